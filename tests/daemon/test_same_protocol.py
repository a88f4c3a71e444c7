"""Same protocol on both sides: bytes pass through except for the model's name, compressed and in any chunks."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bed import wire
from tests.bed.asking import PATHS, ask, question, text_of
from tests.bed.daemon import Daemon, request, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.raw_client import post
from tests.bed.upstream import (
    ENCODERS,
    Answer,
    Close,
    Hold,
    Received,
    Script,
    ScriptedUpstream,
    answer,
    fixed,
    say,
    stream,
    whole,
)
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply, Usage, records

USAGE = Usage(fresh=1000, cache_read=300, cache_write=20, output=70, reasoning=30)
RICH = Reply(
    "Some text, éàü 日本語 🚂, and more of it.",
    thinking="First think.",
    calls=(Call("run", {"command": "echo 'é' \"quoted\"", "n": 1}, "call_1"), Call("look", {}, "call_2")),
    usage=USAGE,
    id="fixed",
)


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    server: ScriptedUpstream


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream() as server:
        entries = [
            upstream(
                protocol,
                f"{server.url}/v1",
                protocol,
                clients=[protocol],
                models={"asked": "sent-to-upstream"},
            )
            for protocol in PROTOCOLS
        ]
        with Daemon(tmp_path_factory.mktemp("same"), settings(*entries)) as daemon:
            yield Bed(daemon, server)


def scripted(protocol: Protocol, wants_stream: bool, model: str, **more: Any) -> bytes:
    """The upstream's response with this model name in it."""
    if wants_stream:
        return b"".join(wire.records(protocol, RICH, model, include_usage=more.get("include_usage", True)))
    return wire.body(protocol, RICH, model)


def exactly(request: Received) -> Script:
    """The rich reply with the upstream model as its name."""
    if request.wants_stream:
        usage = request.protocol != "chat" or request.wants_usage
        return stream([scripted(request.protocol, True, request.json["model"], include_usage=usage)])
    return whole(200, scripted(request.protocol, False, request.json["model"]))


@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_only_the_models_name_changes_both_ways(bed: Bed, protocol: Protocol, wants_stream: bool) -> None:
    bed.server.script(exactly)
    body = question(protocol, "asked", stream=wants_stream) | {"unknown_field": {"b": 1, "a": [1.50, "é"]}}
    if protocol == "chat" and wants_stream:
        body["stream_options"] = {"include_usage": True}
    sent = json.dumps(body, ensure_ascii=False, indent=1).encode()

    response = request(bed.daemon.url, "POST", PATHS[protocol], sent, {"content-type": "application/json"})

    assert bed.server.requests[0].body == sent.replace(b'"asked"', b'"sent-to-upstream"')
    assert response.body == scripted(protocol, wants_stream, "asked")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_text_that_was_cut_within_a_character_is_sent_with_a_replacement(
    bed: Bed, protocol: Protocol
) -> None:
    bed.server.script(answer(RICH))
    text = "cut \ud83d, whole \U0001f682, a path C:\\ud83d"
    sent = json.dumps(question(protocol, "asked", text, stream=False)).encode()

    response = request(bed.daemon.url, "POST", PATHS[protocol], sent)

    assert response.status == 200
    expected = sent.replace(b"cut \\ud83d", b"cut \\ufffd").replace(b'"asked"', b'"sent-to-upstream"')
    assert bed.server.requests[0].body == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_model_named_twice_in_the_text_is_renamed_once(bed: Bed, protocol: Protocol) -> None:
    bed.server.script(exactly)
    text = 'the words "model": "asked" stand in a text'

    ask(bed.daemon.url, protocol, "asked", text)

    received = bed.server.requests[0]
    assert received.json["model"] == "sent-to-upstream"
    assert text in json.dumps(received.json, ensure_ascii=False).replace("\\", "")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_usage_is_counted_exactly(bed: Bed, protocol: Protocol) -> None:
    for wants_stream in (True, False):
        bed.server.script(answer(RICH))
        ask(bed.daemon.url, protocol, "asked", stream=wants_stream)
        assert bed.daemon.journal()[-1]["usage"] == counted(protocol)


def counted(protocol: Protocol) -> dict[str, int]:
    """The parts of USAGE; Messages does not report how much of the output was reasoning."""
    parts = {"input": 1000, "cache_read": 300, "cache_write_5m": 20, "output": 70}
    return parts if protocol == "messages" else parts | {"reasoning": 30}


@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
def test_the_terms_of_a_cache_are_counted_apart(bed: Bed, wants_stream: bool) -> None:
    usage = {
        "input_tokens": 1234,
        "cache_read_input_tokens": 650,
        "cache_creation_input_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
        "output_tokens": 42,
    }

    def as_told_in_two_records(received: Received) -> Script:
        if not wants_stream:
            return whole(200, json.dumps(json.loads(wire.body("messages", RICH)) | {"usage": usage}).encode())
        first, *others, delta, stop = wire.records("messages", RICH)
        start = json.loads(first.partition(b"data: ")[2])
        start["message"]["usage"] = usage | {"output_tokens": 1}
        end = json.loads(delta.partition(b"data: ")[2])
        end["usage"] = {"output_tokens": 42, "input_tokens": None, "cache_read_input_tokens": 0}
        reported = [
            f"event: {record['type']}\ndata: {json.dumps(record)}\n\n".encode() for record in (start, end)
        ]
        return stream([reported[0], *others, reported[1], stop])

    bed.server.script(as_told_in_two_records)
    ask(bed.daemon.url, "messages", "asked", stream=wants_stream)
    assert bed.daemon.journal()[-1]["usage"] == {
        "input": 1234,
        "cache_read": 650,
        "cache_write_5m": 20,
        "cache_write_1h": 30,
        "output": 42,
    }


def test_a_chat_client_that_requested_no_usage_gets_none_but_it_is_counted(bed: Bed) -> None:
    bed.server.script(answer(RICH))

    response = ask(bed.daemon.url, "chat", "asked")

    assert bed.server.requests[0].wants_usage
    assert not [record for record in response.records if record.get("usage") or not record["choices"]]
    assert response.text.endswith("data: [DONE]\n\n")
    assert bed.daemon.journal()[-1]["usage"]["output"] == 70


@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_compressed_answers_are_read(bed: Bed, protocol: Protocol, encoding: str, wants_stream: bool) -> None:
    bed.server.script(answer(RICH, encoding=encoding))

    response = ask(bed.daemon.url, protocol, "asked", stream=wants_stream)

    assert (response.status, text_of(protocol, response)) == (200, RICH.text)
    assert response.header("content-encoding") is None
    assert bed.daemon.journal()[-1]["usage"] == counted(protocol)


CUTS: dict[str, Answer] = {
    "one byte at a time": answer(Reply("ü 日本 🚂", usage=USAGE), octets_per_send=1),
    "seven bytes at a time": answer(RICH, octets_per_send=7),
    "a drip": answer(Reply("slow and steady wins the race", usage=USAGE), seconds_between=0.005),
    "tiny pieces of text": answer(RICH, piece=1),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CUTS)
def test_any_cut_of_the_stream_gives_the_same_answer(bed: Bed, name: str, protocol: Protocol) -> None:
    bed.server.script(CUTS[name])

    response = ask(bed.daemon.url, protocol, "asked")

    assert text_of(protocol, response) in ("ü 日本 🚂", RICH.text, "slow and steady wins the race")
    assert bed.daemon.journal()[-1]["outcome"] == "ok"
    assert bed.daemon.journal()[-1]["usage"]["output"] == 70


def test_content_reaches_the_client_before_the_upstream_has_ended(bed: Bed) -> None:
    go_on = threading.Event()
    steps = list(stream(records("messages", Reply("word " * 40), "m")))
    bed.server.script(lambda request: [*steps[:-5], Hold(go_on), *steps[-5:]])
    body = json.dumps(question("messages", "asked")).encode()

    with post(bed.daemon.port, PATHS["messages"], body) as client:
        seen = b""
        while b"word" not in seen:
            seen += client.recv(65536)
        assert b"message_stop" not in seen
        go_on.set()
        while not seen.endswith(b"0\r\n\r\n"):
            seen += client.recv(65536)

    assert b"message_stop" in seen


VARIANTS = {
    "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "no space after the colon": lambda text: text.replace(b"data: ", b"data:").replace(b"event: ", b"event:"),
    "comments between": lambda text: text.replace(b"\n\n", b"\n\n: keep-alive\n\n"),
    "no blank line at the end": lambda text: text.rstrip(b"\n"),
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", VARIANTS)
def test_spellings_of_event_streams_are_understood(bed: Bed, name: str, protocol: Protocol) -> None:
    records = b"".join(wire.records(protocol, Reply("Got it.", usage=USAGE), "sent-to-upstream"))
    bed.server.script(fixed(stream([VARIANTS[name](records)])))

    response = ask(bed.daemon.url, protocol, "asked")

    assert response.status == 200
    assert b"Got it." in response.body
    assert not response.body.startswith(b"\xef\xbb\xbf"), "programs lose the first record with it"
    assert response.body.endswith((b"\n\n", b"\r\n\r\n")), "and the last one without its blank line"
    line = bed.daemon.journal()[-1]
    assert (line["outcome"], line["usage"]["output"]) == ("ok", 70)


# --- forms that do not fit -----------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_for_a_client_that_wanted_none_is_gathered(bed: Bed, protocol: Protocol) -> None:
    records = wire.records(protocol, Reply("Gathered", usage=USAGE), "sent-to-upstream")
    bed.server.script(fixed(stream(records)))

    response = ask(bed.daemon.url, protocol, "asked", stream=False)

    assert (response.status, response.header("content-type")) == (200, "application/json")
    assert text_of(protocol, response) == "Gathered"
    assert response.json["model"] == "asked"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_whole_body_for_a_client_that_wanted_a_stream_is_streamed(bed: Bed, protocol: Protocol) -> None:
    body = wire.body(protocol, Reply("Streamed after all", usage=USAGE), "sent-to-upstream")
    bed.server.script(fixed(whole(200, body)))

    response = ask(bed.daemon.url, protocol, "asked")

    assert (response.header("content-type") or "").startswith("text/event-stream")
    assert text_of(protocol, response) == "Streamed after all"


def test_a_count_of_tokens_is_returned_with_all_that_the_upstream_reports(bed: Bed) -> None:
    counted = b'{"input_tokens": 42, "context_management": {"original_input_tokens": 50}}'
    bed.server.script(fixed(whole(200, counted)))

    response = bed.daemon.post("/v1/messages/count_tokens", question("messages", "asked"))

    assert (response.status, response.body) == (200, counted)


def test_a_count_of_tokens_repeats_no_key(bed: Bed) -> None:
    def telling(request: Received) -> Script:
        return whole(200, json.dumps({"input_tokens": 42, "seen": dict(request.headers)}).encode())

    bed.server.script(telling)

    response = bed.daemon.post("/v1/messages/count_tokens", question("messages", "asked"))

    assert response.json["input_tokens"] == 42
    assert b"sk-of-messages" not in response.body


def test_a_count_of_tokens_that_is_no_text_is_estimated(bed: Bed) -> None:
    bed.server.script(fixed(whole(200, b'{"input_tokens": 123456, "note": "\xff"}')))

    response = bed.daemon.post("/v1/messages/count_tokens", question("messages", "asked"))

    assert 0 < response.json["input_tokens"] < 1000


# --- headers -------------------------------------------------------------------


def test_headers_that_matter_pass_and_the_others_stay(bed: Bed) -> None:
    bed.server.script(
        say("ok", headers={"request-id": "req_1", "set-cookie": "a=b", "x-ratelimit-remaining": "9"})
    )
    headers = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "context-1m-2025-08-07,new-beta-2026",
        "user-agent": "claude-cli/2.1.197",
        "x-stainless-lang": "js",
        "cookie": "c=d",
        "connection": "close",
        "accept-encoding": "gzip, br",
    }
    response = ask(bed.daemon.url, "messages", "asked", headers=headers)

    received = bed.server.requests[0]
    for name in ("anthropic-version", "anthropic-beta", "user-agent"):
        assert received.header(name) == headers[name]
    assert received.header("cookie") is None
    assert received.header("host") == f"127.0.0.1:{bed.server.port}"
    assert response.header("request-id") == "req_1"
    assert response.header("set-cookie") is None


def test_connections_to_an_upstream_are_used_again(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(say("again")) as server,
        Daemon(tmp_path, settings(upstream("a", server.url))) as daemon,
    ):
        for _ in range(20):
            assert ask(daemon.url, "messages").status == 200
            # the client's answer may end before the upstream's body has
            wait_until(lambda: daemon.get("/api/state").json["upstreams"][0]["under_way"] == 0, "its end")
        assert server.connection_count <= 3


def test_a_connection_that_the_upstream_has_closed_meanwhile_costs_nothing(tmp_path: Path) -> None:
    def answer_and_close(request: Received) -> Script:
        return [*say("once")(request), Close()]

    with ScriptedUpstream(answer_and_close) as server:
        with Daemon(tmp_path, settings(upstream("a", server.url))) as daemon:
            for _ in range(10):
                assert text_of("messages", ask(daemon.url, "messages")) == "once"
            lines = daemon.journal()
    assert [len(line["attempts"]) for line in lines] == [1] * 10


def test_many_at_once(bed: Bed) -> None:
    bed.server.script(answer(RICH, seconds_between=0.002))
    texts: list[str] = []

    def one(protocol: Protocol) -> None:
        texts.append(text_of(protocol, ask(bed.daemon.url, protocol, "asked")))

    before = len(bed.daemon.journal())
    threads = [threading.Thread(target=one, args=(PROTOCOLS[number % 3],)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert texts == [RICH.text] * 60
    wait_until(lambda: len(bed.daemon.journal()) == before + 60, "60 lines")


@pytest.mark.parametrize(("stated", "shown"), [("GPT-5.5", "gpt-5.6"), ("gpt-5.2", "gpt-5.2")])
def test_a_header_names_the_requested_model_unless_the_upstream_chose_another_itself(
    tmp_path: Path, stated: str, shown: str
) -> None:
    """For any other, Codex reports that the account was flagged."""
    with ScriptedUpstream(say("yes", headers={"openai-model": stated})) as server:
        entry = upstream("a", server.url, "responses", models={"gpt-5.6": "gpt-5.5"})
        with Daemon(tmp_path, settings(entry)) as daemon:
            answer = ask(daemon.url, "responses", "gpt-5.6")
    assert answer.header("openai-model") == shown
