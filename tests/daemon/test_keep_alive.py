"""Keep-alives while upstreams are slow: each client gets the kind that it counts, and failover works after them."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import anthropic
import openai
import pytest

from tests.bed.asking import ask, end_reported, text_of, watch
from tests.bed.daemon import Daemon, Response, settings, upstream
from tests.bed.upstream import (
    FAULTS,
    Answer,
    Close,
    Hold,
    Received,
    Script,
    ScriptedUpstream,
    Step,
    Wait,
    opening,
    say,
    status,
    stream,
)
from tests.bed.wire import PROTOCOLS, Protocol

BEAT = 0.2
SILENT = 0.9
IMPATIENT = {"first_byte": 2, "idle": 2}
"""for the upstream of this model, which hangs, or sends data often enough"""
HURRIED = "hurried"
CODEX = {"originator": "codex_exec", "user-agent": "codex_exec/0.169.0"}


def slow_then(answer: Answer, silence: Step) -> Answer:
    return lambda request: [silence, *answer(request)]


def opening_then_silence_then_failure(silence: Step) -> Answer:
    return lambda request: stream(opening(request), end=[silence, Close()])


SLOW: dict[str, tuple[Callable[[Step], Answer], str, str]] = {
    "slow but well": (partial(slow_then, say("first")), "m", "first"),
    "slow and failing": (partial(slow_then, status(503)), "m", "second"),
    "hanging": (lambda _: FAULTS["silence before headers"], HURRIED, "second"),
    "opened and then cut": (opening_then_silence_then_failure, "m", "second"),
}
"""how the first upstream answers after its idle time, the model, and the upstream whose text the client gets"""


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    first: ScriptedUpstream
    second: ScriptedUpstream


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream() as first, ScriptedUpstream() as second:
        entries = [
            upstream(f"{name} {protocol}", server.url, protocol, clients=[protocol], **more)
            for protocol in PROTOCOLS
            for name, server, more in (
                ("first", first, {"models": ["m"]}),
                ("hurried", first, {"models": [HURRIED], "timeouts": IMPATIENT}),
                ("second", second, {"role": "backup"}),
            )
        ]
        rules = {"keep_alive_seconds": BEAT, "error_threshold": 1000}
        with Daemon(tmp_path_factory.mktemp("alive"), settings(*entries, failover=rules)) as daemon:
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


def ask_and_watch(
    daemon: Daemon, client: str, seen: threading.Event, model: str = "m", signs: int = 2
) -> Response:
    """The whole response; the event is set after this many keep-alives."""
    protocol, headers, sign = SIGNS[client]

    def notice(body: bytes) -> None:
        if body.count(sign) >= signs:
            seen.set()

    return watch(daemon.url, protocol, notice, model, headers)


@pytest.mark.parametrize("slowness", SLOW)
@pytest.mark.parametrize("client", SIGNS)
def test_a_client_is_shown_life_and_failover_works_all_the_same(bed: Bed, client: str, slowness: str) -> None:
    protocol, _, sign = SIGNS[client]
    answer, model, text = SLOW[slowness]
    seen = threading.Event()
    bed.first.script(answer(Hold(seen)))

    response = ask_and_watch(bed.daemon, client, seen, model)

    before, _, _ = response.body.partition(b'"model"')
    assert before.count(sign) >= 2, before
    assert response.body.startswith(sign)
    assert text_of(protocol, response) == text
    ends = [end for end in map(end_reported, response.records) if end]
    assert (response.status, ends) == (200, ["finished"])


@pytest.mark.parametrize("client", SIGNS)
def test_an_error_after_keep_alives_is_reported_in_the_stream(bed: Bed, client: str) -> None:
    protocol, _, sign = SIGNS[client]
    seen = threading.Event()
    bed.first.script(slow_then(status(500, "first cause"), Hold(seen)))
    bed.second.script(status(500, "second cause"))

    response = ask_and_watch(bed.daemon, client, seen)

    assert response.body.startswith(sign)
    assert [end_reported(record) for record in response.records if end_reported(record)] == ["failed"]
    assert f"first {protocol}" in response.text
    assert "first cause" in response.text and "second cause" in response.text
    line = bed.daemon.journal()[-1]
    assert line["outcome"] == "failed" and line["status"] >= 500


def messages_sdk(url: str, model: str = "m") -> str:
    with anthropic.Anthropic(base_url=f"{url}/api", auth_token="123", max_retries=0) as client:
        arguments: Any = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        with client.messages.stream(**arguments) as events:
            return events.get_final_text()


def chat_sdk(url: str, model: str = "m") -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="123", max_retries=0) as client:
        arguments: Any = {"model": model, "messages": [{"role": "user", "content": "x"}]}
        with client.chat.completions.stream(**arguments) as events:
            return events.get_final_completion().choices[0].message.content or ""


def responses_sdk(url: str, model: str = "m") -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="123", max_retries=0) as client:
        with client.responses.stream(model=model, input="x") as events:
            return events.get_final_response().output_text


SDKS: dict[Protocol, Callable[..., str]] = {
    "messages": messages_sdk,
    "chat": chat_sdk,
    "responses": responses_sdk,
}


@pytest.mark.parametrize("slowness", SLOW)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_official_stream_helpers_take_it(bed: Bed, protocol: Protocol, slowness: str) -> None:
    answer, model, text = SLOW[slowness]
    bed.first.script(answer(Wait(SILENT)))
    assert SDKS[protocol](bed.daemon.url, model) == text


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pauses_between_events_are_filled_and_no_total_time_ends_a_stream(
    bed: Bed, protocol: Protocol
) -> None:
    """Much longer in total than each idle timeout."""
    bed.first.script(say("0123456789", piece=3, seconds_between=0.5))

    assert SDKS[protocol](bed.daemon.url, HURRIED) == "0123456789"
    line = bed.daemon.journal()[-1]
    assert (line["outcome"], line["upstream"]) == ("ok", f"hurried {protocol}")
    assert line["duration"] > IMPATIENT["idle"]


def test_a_request_that_waits_for_a_slot_is_kept_alive_too(tmp_path_factory: pytest.TempPathFactory) -> None:
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
            response = ask_and_watch(daemon, "messages", held, signs=1)
            first.join()
    assert response.body.startswith(b"event: ping")
    assert text_of("messages", response) == "served"
