"""`test`: check whether an upstream answers, and which step fails if it does not."""

import argparse
import asyncio

from switchyard.commands.command import Action, CommandFailed, loaded
from switchyard.demo.app import build_demo
from switchyard.exchange import Exchange
from switchyard.protocols.codecs import CODECS
from switchyard.relay.clocks import local_moment, steady_seconds
from switchyard.relay.connection_test import Report, check_connection
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.reach import Step
from switchyard.relay.redaction import masked_url
from switchyard.relay.simulate import SimulatingWire
from switchyard.relay.slot_queue import SlotQueue
from switchyard.relay.upstream import Wire
from switchyard.routing.limits import Limits
from switchyard.routing.route import State
from switchyard.routing.sessions import Sessions
from switchyard.settings import Settings, Upstream


def test(arguments: argparse.Namespace) -> int:
    settings_file = loaded(arguments)
    if settings_file is None:
        return 1
    settings = settings_file.settings
    upstream = settings.upstream(arguments.name)
    if upstream is None:
        names = ", ".join(f'"{one.name}"' for one in settings.upstreams)
        raise CommandFailed(f'There is no upstream "{arguments.name}"; there are {names or "none"}.')
    report = asyncio.run(_tested(settings, upstream, arguments.model))
    print(report_text(report))
    return 0 if report.ok else 1


async def _tested(settings: Settings, upstream: Upstream, model: str) -> Report:
    dependencies = _dependencies(settings)
    try:
        return await check_connection(
            dependencies, upstream, model, lambda step: print(step_text(step), flush=True)
        )
    finally:
        await dependencies.wire.close()


def _dependencies(settings: Settings) -> Dependencies:
    """For one request outside the daemon: nothing is written, and a running daemon is not affected."""
    limits = Limits()
    state = State(limits=limits)
    return Dependencies(
        settings=lambda: settings,
        state=lambda: state,
        sessions=Sessions(),
        slots=SlotQueue(limits, steady_seconds),
        codecs=CODECS,
        wire=SimulatingWire(Wire(build_demo()), steady_seconds),
        opened=lambda exchange: None,
        record=_not_recorded,
        now=local_moment,
    )


async def _not_recorded(exchange: Exchange) -> None:
    return


def step_text(step: Step) -> str:
    mark = "ok  " if step.ok else "FAIL"
    return f"{mark} {step.name:8}{step.seconds * 1000:7.0f} ms  {_harmless(step.detail)}"


def report_text(report: Report) -> str:
    """The end of the report; the steps have been printed before."""
    lines = [f"url   {masked_url(report.url)}", f"model {report.model}"]
    if report.working_url:
        works = masked_url(report.working_url)
        lines.append(f"This form of the address works; use it as the entry's base_url: {works}")
    lines.append(
        f"It works: first answer after {report.seconds * 1000:.0f} ms." if report.ok else "It fails."
    )
    return _harmless("\n".join(lines))


def _harmless(text: str) -> str:
    """Text from upstreams without control characters."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in text)


def _test_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the upstream in the settings")
    parser.add_argument(
        "--model", default="", help="the model to request (default: the first that the upstream serves)"
    )


ACTION = Action(_test_arguments, test)
