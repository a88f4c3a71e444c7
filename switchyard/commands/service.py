"""`service`: start the daemon with the user's session."""

import argparse
import os
import sys
from pathlib import Path

from switchyard.autostart.systems import SYSTEMS, CannotAutostart, Job, install, remove, run_tool, status
from switchyard.commands.command import Action, CommandFailed
from switchyard.installation import CHECKOUT, is_checkout, is_temporary, own_command, service_command
from switchyard.store.lock import holder_of


def service(arguments: argparse.Namespace) -> int:
    system = SYSTEMS.get(sys.platform)
    if system is None:
        raise CommandFailed(f"There is no autostart for {sys.platform}; start `{own_command()}` by hand.")
    if arguments.action == "install" and is_temporary():
        raise CommandFailed(
            "This copy runs from the cache of uvx or pipx, which is emptied now and then; "
            "install it with `uv tool install` or `pipx install` first."
        )
    job = _job(arguments)
    if arguments.print:
        print(system.content(job).decode("utf-16" if sys.platform == "win32" else "utf-8"), end="")
        return 0
    try:
        if arguments.action == "status":
            is_well, text = status(system, job)
            print(f"{text}\n{_running(job.data)}")
            return 0 if is_well else 1
        print(install(system, job) if arguments.action == "install" else remove(system, job))
    except CannotAutostart as reason:
        raise CommandFailed(str(reason)) from None
    return 0


def _running(data: Path) -> str:
    """The address of the daemon: not every system reports whether it runs."""
    holder = holder_of(data)
    if holder is None:
        return f"No daemon is using {data}."
    return f"A daemon is using {data}" + (f": {holder.address}" if holder.address else "") + "."


def _job(arguments: argparse.Namespace) -> Job:
    data = Path(arguments.data).resolve()
    flags = {"--data": str(data), "--host": arguments.host, "--port": arguments.port}
    flags |= {"--cert": _absolute(arguments.cert), "--cert-key": _absolute(arguments.cert_key)}
    given = [word for flag, value in flags.items() if value for word in (flag, value)]
    return Job(
        command=(*service_command(), *given),
        program=own_command(),
        folder=CHECKOUT if is_checkout() else data,
        data=data,
        home=Path.home(),
        environment=os.environ,
        run=run_tool,
    )


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if path else ""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("install", "remove", "status"), help="what to do")
    parser.add_argument("--print", action="store_true", help="only show the file that would be written")


ACTION = Action(_arguments, service)
