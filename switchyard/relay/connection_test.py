"""Test the connection to one upstream, step by step, up to its model's answer; find the address it listens at."""

from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace as changed

from switchyard.exchange import Attempt, FailureKind
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.isolated import ProbeResult, ask_isolated, usual_model
from switchyard.relay.proxies import choose_proxy
from switchyard.relay.reach import Step, reach
from switchyard.relay.urls import request_url, sibling_urls
from switchyard.settings import Upstream, timeouts_of

PATIENCE_SECONDS = 60.0
KIND = "test"
FORMS: Mapping[ProtocolName, str] = {
    "messages": "Anthropic Messages",
    "chat": "OpenAI Chat Completions",
    "responses": "OpenAI Responses",
}
CLIENTS_KEY = (
    "this entry passes the client's own key on, and a test has none; send a request with a client instead"
)


class Report(msgspec.Struct, frozen=True):
    """How it went. `working_url`: a form of the address that answers where `url` does not; "" if there is none.

    `model` is the name that was sent; `seconds` until the first content of the answer.
    """

    ok: bool
    url: str
    model: str
    steps: tuple[Step, ...]
    answer: str = ""
    working_url: str = ""
    seconds: float = 0.0


def _nobody(step: Step) -> None:
    return


async def check_connection(
    dependencies: Dependencies,
    upstream: Upstream,
    model: str = "",
    report_step: Callable[[Step], None] = _nobody,
) -> Report:
    """Name, connection, TLS, status and answer, up to the first failure; `report_step` gets each step.

    `model` is named as clients name it; without one the usual model of the upstream is requested.
    """
    asked = model or usual_model(upstream)
    sent = upstream.model_for(asked) or asked
    url = upstream.base_url if upstream.is_demo else request_url(upstream, sent)
    way = () if upstream.is_demo else await _way(dependencies, upstream, url)
    for step in way:
        report_step(step)
    if any(not step.ok for step in way):
        return Report(False, url, sent, way)
    result = await _asked(dependencies, upstream, model)
    steps = _steps_of(result, upstream)
    for step in steps:
        report_step(step)
    report = _report(result, url, sent, way + steps)
    if not _is_wrong_address(result) or upstream.is_demo:
        return report
    return await _with_sibling(dependencies, upstream, model, report)


async def _way(dependencies: Dependencies, upstream: Upstream, url: str) -> tuple[Step, ...]:
    chosen = choose_proxy(upstream.proxy, url)
    if chosen.problem:
        return (Step("connect", False, 0.0, chosen.problem),)
    seconds = timeouts_of(upstream, dependencies.settings()).connect
    return await reach(url, chosen.url, seconds, upstream.tls)


async def _asked(dependencies: Dependencies, upstream: Upstream, model: str) -> ProbeResult:
    """The answer with each key, up to the first that fails."""
    rules = dependencies.settings().model_rules if model else ()
    for account in upstream.accounts:
        result = await ask_isolated(dependencies, account, KIND, PATIENCE_SECONDS, model, rules)
        if not result.ok:
            break
    return result


async def _with_sibling(dependencies: Dependencies, upstream: Upstream, model: str, report: Report) -> Report:
    """The report with the first other form of the address that answers."""
    seen = {report.url}
    for url in sibling_urls(upstream, report.model):
        other = changed(upstream, base_url=url)
        # the form may equal one that was tried already
        if request_url(other, report.model) in seen:
            continue
        seen.add(request_url(other, report.model))
        result = await _asked(dependencies, other, model)
        if result.ok:
            found = _report(result, report.url, report.model, report.steps)
            return Report(False, found.url, found.model, found.steps, result.text, url, found.seconds)
    return report


# --- the answer ----------------------------------------------------------------


def _report(result: ProbeResult, url: str, model: str, steps: tuple[Step, ...]) -> Report:
    last = _last(result)
    seconds = last.first_byte - last.started if last is not None and last.first_byte is not None else 0.0
    return Report(
        result.ok,
        url,
        last.model if last else model,
        steps,
        result.text if result.ok else "",
        seconds=seconds,
    )


def _steps_of(result: ProbeResult, upstream: Upstream) -> tuple[Step, ...]:
    """Status and answer; without the status if the reply is no answer of this protocol."""
    last, whole = _last(result), result.exchange.duration or 0.0
    if result.ok and last is not None:
        first = (last.first_byte or whole) - last.started
        text = result.text or "(no text in so few tokens)"
        if last.answer_protocol is not None:
            text = f"{text} (answers in the form of {FORMS[last.answer_protocol]})"
        return (
            Step("status", True, first, str(last.status)),
            Step("answer", True, max(whole - last.started - first, 0.0), text),
        )
    if last is None or last.failure is None:
        return (Step("status", False, whole, result.text),)
    took = (last.ended or whole) - last.started
    failure, which = last.failure, f"{last.key}: " if last.key else ""
    if failure.kind is FailureKind.PROTOCOL:
        return (Step("answer", False, took, f"{which}{result.text}"),)
    if failure.kind is FailureKind.REFUSED_REQUEST and upstream.key == "client":
        return (Step("status", False, took, CLIENTS_KEY),)
    status = f"{failure.status} " if failure.kind is FailureKind.STATUS else ""
    return (Step("status", False, took, f"{which}{status}{result.text}"),)


def _is_wrong_address(result: ProbeResult) -> bool:
    """True for what servers answer at unknown paths: 404, 405, or a web page."""
    last = _last(result)
    if result.ok or last is None or last.failure is None:
        return False
    failure = last.failure
    if failure.kind is FailureKind.PROTOCOL:
        return True
    return failure.status in (404, 405) and failure.error.type is not ErrorType.MODEL_NOT_FOUND


def _last(result: ProbeResult) -> Attempt | None:
    return result.exchange.attempts[-1] if result.exchange.attempts else None
