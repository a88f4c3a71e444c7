"""One tiny honest request to one upstream, over real sockets."""

import asyncio
from typing import Any

import pytest

from switchyard.exchange import Outcome
from switchyard.protocols.codecs import CODECS
from switchyard.relay.headers import OUR_USER_AGENT
from switchyard.relay.isolated import ProbeResult, answer_text, ask_isolated, usual_model
from switchyard.routing.health import Charge
from switchyard.settings import CLAUDE_SONNET, ModelRule, Upstream
from tests.bed import wire
from tests.bed.dependencies import Bed, bed_of
from tests.bed.upstream import Answer, ScriptedUpstream, closed_url, fixed, say, status, whole
from tests.bed.wire import PROTOCOLS, Protocol, Reply

USAGE_OF_REPLY = (11, 7)


def entry(server: ScriptedUpstream | None = None, protocol: Protocol = "messages", **more: Any) -> Upstream:
    url = server.url if server is not None else closed_url()
    fields = {"name": "u", "base_url": url, "key": "sk-of-u", "protocol": protocol, **more}
    return Upstream(**fields)


def received(bed: Bed, upstream: Upstream, **more: Any) -> ProbeResult:
    async def scenario() -> ProbeResult:
        try:
            return await ask_isolated(bed.dependencies, upstream, "activation", 5.0, **more)
        finally:
            await bed.close()

    return asyncio.run(scenario())


BODIES: dict[Protocol, dict[str, Any]] = {
    "messages": {
        "model": CLAUDE_SONNET,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "ping"}],
    },
    "chat": {"model": "gpt-5.5", "max_tokens": 16, "messages": [{"role": "user", "content": "ping"}]},
    "responses": {
        "model": "gpt-5.5",
        "max_output_tokens": 16,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "ping"}]}],
        "store": False,
        "stream": True,
    },
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_request_is_tiny_and_names_its_program(protocol: Protocol) -> None:
    with ScriptedUpstream(say("pong pong")) as server:
        upstream = entry(server, protocol)
        bed = bed_of(upstream)
        got = received(bed, upstream)
        [request] = server.requests
    assert request.json == BODIES[protocol]
    assert request.header("user-agent") == OUR_USER_AGENT
    assert request.header("authorization") == "Bearer sk-of-u"
    assert (got.ok, got.text) == (True, "pong pong")
    [recorded] = bed.recorded
    assert bed.opened == [recorded] == [got.exchange]
    assert (recorded.kind, recorded.outcome, recorded.status) == ("activation", Outcome.OK, 200)
    assert recorded.usage is not None
    assert (recorded.usage.input, recorded.usage.output) == USAGE_OF_REPLY
    assert (recorded.client, recorded.session) == ("", "")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_upstream_that_streams_unasked_or_does_not_stream_is_understood(protocol: Protocol) -> None:
    def contrary(request: Any) -> Any:
        if request.wants_stream:
            return whole(200, wire.body(protocol, Reply("pong")))
        return [
            *whole(200, b"".join(wire.records(protocol, Reply("pong"))), content_type="text/event-stream")
        ]

    with ScriptedUpstream(contrary) as server:
        upstream = entry(server, protocol)
        got = received(bed_of(upstream), upstream)
    assert (got.ok, got.text) == (True, "pong")


def test_a_field_that_the_upstream_refuses_is_replaced() -> None:
    def picky(request: Any) -> Any:
        if "max_tokens" in request.json:
            message = (
                "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
            )
            return whole(400, wire.error_body("chat", message, "invalid_request_error"))
        return say("pong")(request)

    with ScriptedUpstream(picky) as server:
        upstream = entry(server, "chat")
        got = received(bed_of(upstream), upstream)
        bodies = [request.json for request in server.requests]
    assert (got.ok, got.text) == (True, "pong")
    assert bodies[1] == {
        "model": "gpt-5.5",
        "max_completion_tokens": 16,
        "messages": [{"role": "user", "content": "ping"}],
    }


def test_neither_calendar_nor_limits_nor_a_cooldown_hold_it_up() -> None:
    with ScriptedUpstream(say("pong")) as server:
        upstream = entry(
            server,
            enabled=False,
            weekdays=(),
            hours="00:00-00:01",
            clients=(),
            role="rescue",
            max_concurrency=1,
            requests_per_minute=1,
        )
        bed = bed_of(upstream)
        bed.limits.begin(upstream.account_id)
        cooldown = Charge("cooldown")
        bed.health.failed("u", CLAUDE_SONNET, cooldown, "boom", bed.settings.failover, 1e12)
        got = received(bed, upstream)
    assert got.ok
    assert bed.under_way("u") == 1


def test_another_upstream_never_answers_in_its_place() -> None:
    with ScriptedUpstream(say("I am the other")) as server:
        broken, other = entry(), entry(server, name="other")
        got = received(bed_of(other, broken), broken)
        assert server.requests == []
    assert (got.ok, got.text) == (False, "cannot connect (connection refused)")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (status(401, "no such key: sk-of-u"), "no such key: [key]"),
        (status(503, "busy"), "busy"),
        (status(400, "you are no coding agent"), "you are no coding agent"),
        (
            fixed(whole(200, b"<html>Hi</html>", content_type="text/html")),
            "answered text/html (<html>Hi</html>) instead of its protocol",
        ),
    ],
    ids=["401", "503", "400", "HTML"],
)
def test_a_failure_is_reported_as_the_upstream_put_it_and_does_not_affect_clients(
    answer: Answer, text: str
) -> None:
    with ScriptedUpstream(answer) as server:
        upstream = entry(server)
        bed = bed_of(upstream)
        got = received(bed, upstream)
        assert len(server.requests) == 1
    assert (got.ok, got.text) == (False, text)
    assert bed.health.is_spotless
    assert [exchange.outcome for exchange in bed.recorded] == [Outcome.FAILED]


def test_a_key_that_is_no_secret_leaves_the_text_as_it_is() -> None:
    with ScriptedUpstream(status(500, "broken")) as server:
        upstream = entry(server, key="k")
        assert received(bed_of(upstream), upstream).text == "broken"


def test_a_missing_key_is_reported_without_asking() -> None:
    upstream = entry(key="env:SWITCHYARD_NO_SUCH_KEY")
    got = received(bed_of(upstream), upstream)
    assert got.text == (
        "environment variable SWITCHYARD_NO_SUCH_KEY is not set; set it and restart, or enter the key itself"
    )


@pytest.mark.parametrize(
    ("models", "model"),
    [
        ([], CLAUDE_SONNET),
        (["claude-opus-4-5", "claude-haiku-4-5"], "claude-opus-4-5"),
        ({"claude-*": "qwen", "claude-haiku-4-5": "small"}, "claude-haiku-4-5"),
        ({"claude-*": "qwen"}, CLAUDE_SONNET),
        ({"*": "*"}, CLAUDE_SONNET),
        ({"gpt-4*": "qwen"}, "gpt-4"),
        ({"claude-sonnet-4-5[1m]": "", "gpt-4o": ""}, "gpt-4o"),
    ],
    ids=str,
)
def test_the_requested_model(models: Any, model: str) -> None:
    assert usual_model(entry(models=models)) == model


def test_a_model_that_is_named_goes_through_the_rules_as_a_clients_would() -> None:
    with ScriptedUpstream(say("pong")) as server:
        upstream = entry(server, models={"claude-big": "sonnet"})
        rules = (ModelRule(source="gpt-4", to="claude-big"),)
        assert received(bed_of(upstream), upstream, model="gpt-4", rules=rules).ok
        assert server.requests[0].json["model"] == "sonnet"
        got = received(bed_of(upstream), upstream, model="gpt-4")
    assert got.text == 'No upstream can answer for model "gpt-4" now. Skipped: "u": model "gpt-4" not served.'


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_text_of_an_answer_leaves_thinking_out(protocol: Protocol) -> None:
    reply = Reply("one\n two", thinking="let me see")
    for body in (wire.body(protocol, reply), b"".join(wire.records(protocol, reply))):
        assert answer_text(CODECS[protocol], body) == "one two"
    assert answer_text(CODECS[protocol], b"{}") == ""
