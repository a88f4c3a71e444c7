"""Which upstreams a connection is kept ready to."""

import asyncio

import pytest
from msgspec.structs import replace

from switchyard.demo.app import build_demo
from switchyard.relay.upstream import Destination, Wire
from switchyard.relay.warm import ACTIVE_SECONDS, RENEW_SECONDS, Renewals, destination_of, destinations_of
from switchyard.settings import Settings, Tls, Upstream
from tests.bed.fake_time import run
from tests.bed.stage import Stage, refused, reply

FAR = Upstream(name="far", base_url="https://far.example", key="k", proxy="direct", tls=Tls(ca="ca.pem"))
URL = "https://far.example/v1/messages"
SESSION = {"x-claude-code-session-id": "s1"}


def test_the_destination_has_what_the_connections_of_the_upstream_have() -> None:
    assert destination_of(FAR, Settings(upstreams=(FAR,))) == Destination(URL, 10, "direct", Tls(ca="ca.pem"))


@pytest.mark.parametrize(
    "upstream",
    [
        replace(FAR, enabled=False),
        replace(FAR, base_url="demo:"),
        replace(FAR, max_concurrency=1),
        replace(FAR, local=True),
        replace(FAR, base_url="http://127.0.0.1:11434"),
    ],
    ids=["disabled", "demo", "max_concurrency", "local", "ollama"],
)
def test_no_connection_is_kept_to_it(upstream: Upstream) -> None:
    assert destination_of(upstream, Settings(upstreams=(upstream,))) is None


def test_the_setting_turns_it_off() -> None:
    assert destinations_of(Settings(upstreams=(FAR,), warm_connections=False)) == set()
    assert {one.url for one in destinations_of(Settings(upstreams=(FAR,)))} == {URL}


def test_an_upstream_is_renewed_now_and_then_and_after_an_edit() -> None:
    renewals, edited = Renewals(), replace(FAR, proxy="")
    asked = [(FAR, 0.0), (FAR, RENEW_SECONDS - 1), (edited, RENEW_SECONDS - 1), (edited, 2 * RENEW_SECONDS)]
    assert [renewals.is_due(*one) for one in asked] == [True, False, True, True]


def kept_ready(headers: dict[str, str], *failing: str) -> list[tuple[str, float]]:
    """After one request with these headers."""

    async def scenario() -> list[tuple[str, float]]:
        async def answer(call: object) -> object:
            if getattr(call, "upstream", "") in failing:
                raise refused()
            return reply()

        second = replace(FAR, name="second", base_url="https://second.example")
        stage = Stage(Settings(upstreams=(FAR, second)), answer)  # type: ignore[arg-type]
        await stage.ask(headers=headers)
        await asyncio.sleep(0)
        return stage.wire.kept_ready

    return run(scenario())


def test_a_conversation_keeps_a_connection_to_the_upstream_that_answered_it() -> None:
    assert kept_ready(SESSION) == [(URL, ACTIVE_SECONDS)]
    assert kept_ready(SESSION, "far") == [("https://second.example/v1/messages", ACTIVE_SECONDS)]


def test_a_request_of_no_conversation_keeps_none() -> None:
    assert kept_ready({}) == []


def test_the_wire_keeps_a_connection_ready_until_the_entry_is_edited() -> None:
    async def scenario() -> list[int]:
        wire = Wire(build_demo())
        destination = Destination("http://127.0.0.1:9/v1/messages", 5, "direct")
        other = replace(destination, proxy="")
        counts = []
        wire.keep_ready(destination, ACTIVE_SECONDS)
        counts.append(wire.ready_count)
        wire.keep_only({destination, other})
        counts.append(wire.ready_count)
        wire.keep_only({replace(destination, url="http://127.0.0.1:10/v1/messages")})
        counts.append(wire.ready_count)
        await wire.close()
        return counts

    assert asyncio.run(scenario()) == [1, 1, 0]


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "socks5h://127.0.0.1:1080"])
def test_no_connection_is_kept_through_socks(proxy: str) -> None:
    async def scenario() -> int:
        wire = Wire(build_demo())
        wire.keep_ready(Destination(URL, 5, proxy), ACTIVE_SECONDS)
        return wire.ready_count

    assert asyncio.run(scenario()) == 0
