"""Signs of life while upstreams are slow: each client gets those that it counts, and failover works after them."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest

from tests.bed.asking import ask, end_reported, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import (
    FAULTS,
    Answer,
    Close,
    Hold,
    Received,
    Script,
    ScriptedUpstream,
    Wait,
    opening,
    say,
    status,
    stream,
)
from tests.bed.wire import PROTOCOLS, Protocol

BEAT = 0.2
SILENT = 0.9
CODEX = {"originator": "codex_exec", "user-agent": "codex_exec/0.169.0"}


def slow_then(answer: Answer) -> Answer:
    return lambda request: [Wait(SILENT), *answer(request)]


def opening_then_silence_then_failure(request: Received) -> Script:
    return stream(opening(request), end=[Wait(SILENT), Close()])


SLOW: dict[str, tuple[Answer, str]] = {
    "slow but well": (slow_then(say("first")), "first"),
    "slow and failing": (slow_then(status(503)), "second"),
    "hanging": (FAULTS["silence before headers"], "second"),
    "opened and then cut": (opening_then_silence_then_failure, "second"),
}


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    first: ScriptedUpstream
    second: ScriptedUpstream


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream() as first, ScriptedUpstream() as second:
        entries = [
            upstream(f"{name} {protocol}", server.url, protocol, clients=[protocol], role=role)
            for protocol in PROTOCOLS
            for name, server, role in (("first", first, "primary"), ("second", second, "backup"))
        ]
        rules = {"keep_alive_seconds": BEAT, "error_threshold": 1000}
        limits = {"first_byte": 1.2, "idle": 1.2}
        with Daemon(
            tmp_path_factory.mktemp("alive"), settings(*entries, failover=rules, timeouts=limits)
        ) as daemon:
            yield Bed(daemon, first, second)


@pytest.fixture(autouse=True)
def well(bed: Bed) -> None:
    bed.second.script(say("second"))
    bed.daemon.post("/api/upstreams/clear", {})


SIGNS: dict[str, tuple[Protocol, dict[str, str], bytes]] = {
    "messages": ("messages", {}, b'event: ping\ndata: {"type":"ping"}\n\n'),
    "chat": ("chat", {}, b": keep-alive\n\n"),
    "an SDK": ("responses", {}, b": keep-alive\n\n"),
    "codex": ("responses", CODEX, b'event: keepalive\ndata: {"type":"keepalive","sequence_number":0}\n\n'),
}


@pytest.mark.parametrize("slowness", SLOW)
@pytest.mark.parametrize("client", SIGNS)
def test_a_client_is_shown_life_and_failover_works_all_the_same(bed: Bed, client: str, slowness: str) -> None:
    protocol, headers, sign = SIGNS[client]
    answer, text = SLOW[slowness]
    bed.first.script(answer)

    response = ask(bed.daemon.url, protocol, headers=headers)

    before, _, _ = response.body.partition(b'"model"')
    assert 2 <= before.count(sign) <= 6, before
    assert response.body.startswith(sign)
    assert text_of(protocol, response) == text
    ends = [end for end in map(end_reported, response.records) if end]
    assert (response.status, ends) == (200, ["finished"])


@pytest.mark.parametrize("client", SIGNS)
def test_an_error_after_keep_alives_is_reported_in_the_stream(bed: Bed, client: str) -> None:
    protocol, headers, sign = SIGNS[client]
    bed.first.script(slow_then(status(500, "first cause")))
    bed.second.script(status(500, "second cause"))

    response = ask(bed.daemon.url, protocol, headers=headers)

    assert response.body.startswith(sign)
    assert [end_reported(record) for record in response.records if end_reported(record)] == ["failed"]
    # on a busy machine the first one may reach its limit on silence before it tells its cause
    assert f"first {protocol}" in response.text and "second cause" in response.text
    line = bed.daemon.journal()[-1]
    assert line["outcome"] == "failed" and line["status"] >= 500


def messages_sdk(url: str) -> str:
    with anthropic.Anthropic(base_url=f"{url}/api", auth_token="123", max_retries=0) as client:
        arguments: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        with client.messages.stream(**arguments) as events:
            return events.get_final_text()


def chat_sdk(url: str) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="123", max_retries=0) as client:
        arguments: Any = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        with client.chat.completions.stream(**arguments) as events:
            return events.get_final_completion().choices[0].message.content or ""


def responses_sdk(url: str) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="123", max_retries=0) as client:
        with client.responses.stream(model="m", input="x") as events:
            return events.get_final_response().output_text


SDKS: dict[Protocol, Callable[[str], str]] = {
    "messages": messages_sdk,
    "chat": chat_sdk,
    "responses": responses_sdk,
}


@pytest.mark.parametrize("slowness", SLOW)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_official_stream_helpers_take_it(bed: Bed, protocol: Protocol, slowness: str) -> None:
    answer, text = SLOW[slowness]
    bed.first.script(answer)
    assert SDKS[protocol](bed.daemon.url) == text


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pauses_between_events_are_filled_and_no_total_time_ends_a_stream(
    bed: Bed, protocol: Protocol
) -> None:
    """Far longer in all than each limit on silence."""
    bed.first.script(say("0123456789", piece=3, seconds_between=0.5))

    assert SDKS[protocol](bed.daemon.url) == "0123456789"
    assert bed.daemon.journal()[-1]["duration"] > 2.5
    assert bed.daemon.journal()[-1]["outcome"] == "ok"


def test_a_request_that_waits_for_a_place_is_kept_alive_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    held = threading.Event()

    def answer(request: Received) -> Script:
        return [Hold(held), *say("served")(request)]

    with ScriptedUpstream(answer, say("served")) as only:
        entry = upstream("only", only.url, max_concurrency=1)
        document = settings(entry, failover={"keep_alive_seconds": BEAT})
        with Daemon(tmp_path_factory.mktemp("queue"), document) as daemon:
            first = threading.Thread(target=ask, args=(daemon.url, "messages"))
            first.start()
            only.wait_for()
            threading.Timer(0.7, held.set).start()
            response = ask(daemon.url, "messages")
            first.join()
    assert response.body.startswith(b"event: ping")
    assert text_of("messages", response) == "served"
