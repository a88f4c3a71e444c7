"""The connection test over real sockets: every step as far as it comes, and the address that works."""

import asyncio
from typing import Any

import pytest

from switchyard.relay.connection_test import CLIENTS_KEY, Report, check_connection
from switchyard.relay.reach import Step
from switchyard.settings import CLAUDE_SONNET, ModelRule, Settings, TimeoutOverrides, Upstream
from tests.bed import wire
from tests.bed.dependencies import Bed, bed_of
from tests.bed.upstream import (
    Answer,
    Received,
    Script,
    ScriptedUpstream,
    Wait,
    closed_url,
    fixed,
    say,
    status,
    whole,
)
from tests.bed.wire import PROTOCOLS, Protocol

IMPATIENT = TimeoutOverrides(connect=2, first_byte=0.2, idle=0.2)
HANG = fixed([Wait()])
HTML = fixed(whole(200, b"<html><title>Welcome</title></html>", content_type="text/html"))
PATHS: dict[Protocol, str] = {
    "messages": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}


def entry(url: str, protocol: Protocol = "messages", **more: Any) -> Upstream:
    return Upstream(name="u", base_url=url, protocol=protocol, **{"key": "sk-of-u", **more})


def report_on(upstream: Upstream, model: str = "", bed: Bed | None = None) -> Report:
    """The report; its steps were told one by one as well."""
    bed = bed or bed_of(upstream)
    reported: list[Step] = []

    async def scenario() -> Report:
        try:
            return await check_connection(bed.dependencies, upstream, model, reported.append)
        finally:
            await bed.close()

    report = asyncio.run(scenario())
    assert tuple(reported) == report.steps
    return report


def reported(report: Report) -> list[tuple[str, bool, str]]:
    return [(step.name, step.ok, step.detail) for step in report.steps]


def way(server: ScriptedUpstream) -> list[tuple[str, bool, str]]:
    return [("resolve", True, "127.0.0.1"), ("connect", True, f"port {server.port}")]


def only(path: str, answer: Answer, elsewhere: Answer | None = None) -> Answer:
    """A server that knows one path."""
    unknown = elsewhere or status(404, "Invalid URL")

    def script(request: Received) -> Script:
        return answer(request) if request.path == path else unknown(request)

    return script


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_upstream_that_works_is_reported_with_its_answer(protocol: Protocol) -> None:
    with ScriptedUpstream(say("pong")) as server:
        bed = bed_of()
        report = report_on(entry(server.url, protocol), bed=bed)
        assert reported(report) == [*way(server), ("status", True, "200"), ("answer", True, "pong")]
    assert (report.ok, report.answer, report.working_url) == (True, "pong", "")
    assert report.url == f"{server.url}{PATHS[protocol]}"
    assert report.seconds > 0
    assert all(step.seconds >= 0 for step in report.steps)
    [recorded] = bed.recorded
    assert (recorded.kind, recorded.status, recorded.attempts[0].url) == ("test", 200, report.url)


@pytest.mark.parametrize(
    ("answer", "step", "asked"),
    [
        (status(401, "invalid x-api-key"), ("status", False, "401 invalid x-api-key"), 1),
        (status(529, "Overloaded"), ("status", False, "529 Overloaded"), 1),
        (HANG, ("status", False, "sent nothing for 0.2 s"), 1),
        (
            HTML,
            (
                "answer",
                False,
                "answered text/html (<html><title>Welcome</title></html>) instead of its protocol",
            ),
            4,
        ),
        (status(404, "Invalid URL"), ("status", False, "404 Invalid URL"), 4),
    ],
    ids=["wrong key", "overloaded", "hang", "HTML everywhere", "404 everywhere"],
)
def test_where_it_fails(answer: Answer, step: tuple[str, bool, str], asked: int) -> None:
    with ScriptedUpstream(answer) as server:
        timeouts = IMPATIENT if answer is HANG else TimeoutOverrides()
        report = report_on(entry(server.url, timeouts=timeouts))
        assert reported(report) == [*way(server), step]
        assert len(server.requests) == asked
    assert (report.ok, report.answer, report.working_url) == (False, "", "")


@pytest.mark.parametrize(
    ("protocol", "base", "works"),
    [
        ("messages", "", "/api/v1/messages"),
        ("messages", "/claude/v1", "/claude/messages"),
        ("chat", "/v1", "/openai/v1/chat/completions"),
        ("chat", "/v4", "/chat/completions"),
        ("responses", "", "/responses"),
        ("responses", "/codex/v1/responses", "/codex/responses"),
    ],
)
@pytest.mark.parametrize(
    "elsewhere", [status(404, "no"), status(405, "no"), HTML], ids=["404", "405", "HTML"]
)
def test_the_form_of_the_address_that_answers_is_found(
    protocol: Protocol, base: str, works: str, elsewhere: Answer
) -> None:
    with ScriptedUpstream(only(works, say("pong"), elsewhere)) as server:
        report = report_on(entry(f"{server.url}{base}", protocol))
        assert (report.ok, report.working_url, report.answer) == (False, f"{server.url}{works}", "pong")
        assert [step.ok for step in report.steps] == [True, True, False]
        assert report_on(entry(report.working_url, protocol)).ok


def test_the_query_of_the_address_is_kept_in_the_form_that_answers() -> None:
    with ScriptedUpstream(only("/api/v1/messages", say("pong"))) as server:
        report = report_on(entry(f"{server.url}?tenant=7"))
        assert report.working_url == f"{server.url}/api/v1/messages?tenant=7"


def test_an_unknown_model_is_not_taken_for_a_wrong_address() -> None:
    unknown = f"model: {CLAUDE_SONNET}"
    answer = fixed(whole(404, wire.error_body("messages", unknown, "not_found_error")))
    with ScriptedUpstream(answer) as server:
        report = report_on(entry(server.url))
        assert reported(report)[-1] == ("status", False, f"404 {unknown}")
        assert len(server.requests) == 1


def test_a_refused_connection_ends_it_before_any_request() -> None:
    report = report_on(entry(closed_url()))
    assert [(step.name, step.ok) for step in report.steps] == [("resolve", True), ("connect", False)]
    assert (report.ok, report.url.endswith("/v1/messages"), report.model) == (False, True, CLAUDE_SONNET)


def test_an_unknown_name_ends_it_at_once() -> None:
    report = report_on(entry("https://nowhere.invalid/v1"))
    assert [(step.name, step.ok) for step in report.steps] == [("resolve", False)]
    assert report.url == "https://nowhere.invalid/v1/messages"


def test_tls_at_a_plain_port_fails_at_its_own_step() -> None:
    with ScriptedUpstream(say("pong")) as server:
        report = report_on(entry(server.url.replace("http:", "https:"), timeouts=IMPATIENT))
        steps = [(step.name, step.ok) for step in report.steps]
        assert steps == [("resolve", True), ("connect", True), ("tls", False)]
        assert server.requests == []


def test_the_demo_needs_no_way() -> None:
    report = report_on(entry("demo:"))
    assert [(step.name, step.ok) for step in report.steps] == [("status", True), ("answer", True)]
    assert (report.ok, report.url) == (True, "demo:")
    assert report.answer.startswith("This is Switchyard's demo model")


def test_the_model_is_named_as_clients_name_it() -> None:
    with ScriptedUpstream(say("pong")) as server:
        upstream = entry(server.url, models={"claude-big": "qwen3-235b"})
        rules = (ModelRule(source="gpt-4", to="claude-big"),)
        bed = Bed(Settings(upstreams=(upstream,), model_rules=rules))
        assert report_on(upstream, "gpt-4", bed).model == "qwen3-235b"
        assert report_on(upstream).model == "qwen3-235b"
        refused = report_on(upstream, "unknown")
        assert reported(refused)[-1][:2] == ("status", False)
        assert 'model "unknown" not served' in refused.steps[-1].detail
        assert len(server.requests) == 2


def test_an_entry_that_passes_keys_on_says_why_a_test_has_none() -> None:
    with ScriptedUpstream(say("never")) as server:
        report = report_on(entry(server.url, key="client"))
        assert reported(report) == [*way(server), ("status", False, CLIENTS_KEY)]
        assert server.requests == []


def test_the_key_is_never_repeated() -> None:
    with ScriptedUpstream(status(401, "Incorrect API key provided: sk-of-u")) as server:
        report = report_on(entry(server.url))
    assert report.steps[-1].detail == "401 Incorrect API key provided: [key]"


@pytest.mark.parametrize(
    ("protocol", "form", "name"),
    [
        ("messages", "chat", "OpenAI Chat Completions"),
        ("chat", "responses", "OpenAI Responses"),
        ("responses", "messages", "Anthropic Messages"),
    ],
)
def test_an_answer_in_another_form_is_named(protocol: Protocol, form: Protocol, name: str) -> None:
    answers = fixed(whole(200, wire.body(form, wire.Reply("pong"), "m")))
    with ScriptedUpstream(answers) as server:
        report = report_on(entry(server.url, protocol))
        assert report.ok
        assert reported(report)[-1] == ("answer", True, f"pong (answers in the form of {name})")


@pytest.mark.parametrize("speaks", PROTOCOLS)
@pytest.mark.parametrize("given", PROTOCOLS)
@pytest.mark.parametrize("place", ["", "/api"])
def test_the_protocol_is_found_with_at_most_one_answered_question(
    given: Protocol, speaks: Protocol, place: str
) -> None:
    with ScriptedUpstream(only(place + PATHS[speaks], say("pong"))) as server:
        upstream = entry(f"{server.url}{place}", given)
        bed = bed_of()

        async def scenario() -> Report:
            try:
                return await check_connection(bed.dependencies, upstream, any_protocol=True)
            finally:
                await bed.close()

        report = asyncio.run(scenario())
        answered = [one for one in server.requests if one.path == place + PATHS[speaks]]
        assert len(answered) == 1
    if given == speaks:
        assert (report.ok, report.working_protocol) == (True, None)
    else:
        assert (report.ok, report.working_protocol, report.answer) == (False, speaks, "pong")
        assert report_on(entry(report.working_url, speaks)).url == f"{server.url}{place}{PATHS[speaks]}"


@pytest.mark.parametrize("speaks", PROTOCOLS)
def test_a_copied_url_of_an_endpoint_shows_its_protocol(speaks: Protocol) -> None:
    with ScriptedUpstream(only(f"/deep{PATHS[speaks]}", say("pong"))) as server:
        bed = bed_of()
        given: Protocol = "chat" if speaks == "messages" else "messages"
        upstream = entry(f"{server.url}/deep{PATHS[speaks]}", given)

        async def scenario() -> Report:
            try:
                return await check_connection(bed.dependencies, upstream, any_protocol=True)
            finally:
                await bed.close()

        report = asyncio.run(scenario())
    assert report.working_protocol == speaks


def test_a_wrong_key_at_another_protocol_is_reported() -> None:
    answer = only("/v1/chat/completions", status(401, "invalid key"))
    with ScriptedUpstream(answer) as server:
        bed = bed_of()

        async def scenario() -> Report:
            try:
                return await check_connection(bed.dependencies, entry(server.url), any_protocol=True)
            finally:
                await bed.close()

        report = asyncio.run(scenario())
    assert (report.ok, report.working_url) == (False, "")
    assert report.steps[-1].detail == "401 invalid key"
