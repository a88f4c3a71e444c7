"""Test the connection to one upstream, step by step, up to its model's answer; find the address it listens at."""

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec.structs import replace as changed

from switchyard.exchange import Attempt, FailureKind
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.isolated import ProbeResult, ask_isolated, usual_model
from switchyard.relay.proxies import choose_proxy
from switchyard.relay.reach import Step, reach
from switchyard.relay.urls import ENDPOINTS, request_url, sibling_urls
from switchyard.settings import Upstream
from switchyard.timeouts import timeouts_of

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
    `working_protocol` is the one that it speaks, `answer_form` that of the answer if it is another one.

    `model` is the name that was sent; `seconds` until the first content of the answer.
    """

    ok: bool
    url: str
    model: str
    steps: tuple[Step, ...]
    answer: str = ""
    working_url: str = ""
    seconds: float = 0.0
    working_protocol: ProtocolName | None = None
    answer_form: ProtocolName | None = None


def _nobody(step: Step) -> None:
    return


async def check_connection(
    dependencies: Dependencies,
    upstream: Upstream,
    model: str = "",
    report_step: Callable[[Step], None] = _nobody,
    *,
    any_protocol: bool = False,
) -> Report:
    """Name, connection, TLS, status and answer, up to the first failure; `report_step` gets each step.

    With `any_protocol`, an address that does not know the entry's protocol is tried with the others. No form of the
    address is tried after one that answers: at most one request costs tokens.

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
    return await _with_sibling(dependencies, _forms(upstream, report.model, any_protocol), model, report)


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


def _forms(upstream: Upstream, model: str, any_protocol: bool) -> Iterator[Upstream]:
    """The entry with the other forms of its address, then with each other protocol."""
    yield from (changed(upstream, base_url=url) for url in sibling_urls(upstream, model))
    if not any_protocol:
        return
    for protocol in sorted(FORMS, key=lambda one: not upstream.base_url.rstrip("/").endswith(ENDPOINTS[one])):
        if protocol != upstream.protocol:
            base = _without_endpoint(upstream.base_url)
            other = changed(upstream, protocol=protocol, base_url=base)
            yield other
            yield from (changed(other, base_url=url) for url in sibling_urls(other, usual_model(other)))


def _without_endpoint(base_url: str) -> str:
    """An address that was copied with the endpoint of some protocol."""
    parts = urlsplit(base_url.strip())
    path = parts.path.rstrip("/")
    for endpoint in ENDPOINTS.values():
        path = path.removesuffix(endpoint)
    return urlunsplit(parts._replace(path=path))


async def _with_sibling(
    dependencies: Dependencies, forms: Iterator[Upstream], model: str, report: Report
) -> Report:
    """The report with the first other form of the address that answers."""
    seen, steps = {report.url}, report.steps
    for other in forms:
        url = request_url(other, model or usual_model(other))
        # the form may equal one that was tried already
        if url in seen:
            continue
        seen.add(url)
        result = await _asked(dependencies, other, model)
        if result.ok:
            found = _report(result, report.url, report.model, report.steps)
            return changed(found, ok=False, working_url=other.base_url, working_protocol=other.protocol)
        if not _is_wrong_address(result) and steps is report.steps:
            # it listens here, and says what is wrong
            steps += _steps_of(result, other)
    return changed(report, steps=steps)


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
        answer_form=last.answer_protocol if last else None,
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
