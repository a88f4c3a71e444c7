"""A hostile upstream: memory stays bounded, the client gets one clear error, and the next upstream serves it."""

import json
import re
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard

from tests.bed.asking import ask, error_of, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import (
    Answer,
    Close,
    Received,
    Script,
    ScriptedUpstream,
    Send,
    Step,
    fixed,
    head,
    say,
    whole,
)
from tests.bed.wire import PROTOCOLS, Protocol, Reply, records

MEGABYTE = 1 << 20
MOST_MEGABYTES = 300
"""above the memory of the idle daemon"""


class Endless:
    """A script that continues until the other side closes, or for 10 GB."""

    def __init__(self, beginning: list[Step], more: bytes) -> None:
        self._beginning = beginning
        self._more = Send(more)
        self._times = 10_000 * MEGABYTE // len(more)

    def __iter__(self) -> Iterator[Step]:
        yield from self._beginning
        for _ in range(self._times):
            yield self._more

    def answer(self, _: Received) -> Script:
        return self


def endless(beginning: list[Step], more: bytes) -> Answer:
    return Endless(beginning, more).answer


def packed(encoding: str, beginning: bytes) -> bytes:
    """A gigabyte after this beginning."""
    packers: dict[str, Any] = {
        "gzip": lambda: zlib.compressobj(9, wbits=31),
        "deflate": lambda: zlib.compressobj(9),
        "br": lambda: brotli.Compressor(quality=1),
        "zstd": lambda: zstandard.ZstdCompressor().compressobj(),
    }
    packer = packers[encoding]()
    pack = getattr(packer, "compress", None) or packer.process
    pieces = [pack(beginning), *(pack(b"a" * MEGABYTE) for _ in range(1024))]
    return b"".join([*pieces, (getattr(packer, "finish", None) or packer.flush)()])


def bomb(encoding: str, beginning: bytes, status: int = 200, kind: str = "application/json") -> Answer:
    body = packed(encoding, beginning)
    return fixed(
        [head(status, {"content-type": kind, "content-encoding": encoding, **CLOSING}), Send(body), Close()]
    )


def brackets(beginning: Send, opening: bytes, megabytes: int, closing: bytes) -> Answer:
    body = opening + b"[]," * (megabytes * MEGABYTE // 3) + closing
    return fixed([beginning, Send(body), Close()])


CLOSING = {"connection": "close"}
JSON = head(200, {"content-type": "application/json", **CLOSING})
STREAM = head(200, {"content-type": "text/event-stream", **CLOSING})
DEEP = b'{"content":' * 100_000 + b"1" + b"}" * 100_000

HARM: dict[str, Answer] = {
    "an endless status line": endless([Send(b"HTTP/1.1 200 ")], b"a" * MEGABYTE),
    "an endless header": endless([Send(b"HTTP/1.1 200 OK\r\nx: ")], b"a" * MEGABYTE),
    "endless headers": endless([Send(b"HTTP/1.1 200 OK\r\n")], b"x-y: " + b"z" * 100 + b"\r\n"),
    "endless interim answers": endless([], b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n" * 1000),
    "10 GB of JSON": endless([JSON, Send(b'{"a":"')], b"a" * MEGABYTE),
    "10 GB in one line": endless([STREAM, Send(b'data: {"a":"')], b"a" * MEGABYTE),
    "10 GB of comments": endless([STREAM], b": x\n\n" * 100_000),
    "10 GB of empty lines of data": endless([STREAM], b"data:\n" * 100_000),
    "10 GB of blanks": endless([JSON], b"\n" * MEGABYTE),
    "10 GB of an error": endless([head(500, CLOSING), Send(b'{"error":"')], b"a" * MEGABYTE),
    "100,000 levels": fixed([JSON, Send(DEEP), Close()]),
    "an event of 100,000 levels": fixed([STREAM, Send(b"data: " + DEEP + b"\n\n"), Close()]),
    "an event that is no UTF-8": fixed([STREAM, Send(b'data: {"type":"error","x":"\xff\xfe"}\n\n'), Close()]),
    "a status of its own": fixed([Send(b"HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\n{}"), Close()]),
    "an upgrade": fixed(
        [Send(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), Close()]
    ),
    "two lengths": fixed(
        [Send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\n{}"), Close()]
    ),
    "headers in headers": fixed(
        [Send(b"HTTP/1.1 429 X\r\nrequest-id: a\x00b\rset-cookie: a=b\r\n\r\n"), Close()]
    ),
    "half a page of '<'": fixed(whole(500, b"<html>" + b"<" * MEGABYTE, content_type="text/html")),
    "a redirect": fixed(whole(307, b"", headers={"location": "http://127.0.0.1:9/steal"})),
    "a wait for ever": fixed(whole(429, b"{}", headers={"retry-after": "1e999"})),
}
LARGE: dict[str, Callable[[], Answer]] = {
    "60 MB of brackets": lambda: brackets(JSON, b'{"content":[', 60, b"[]]}"),
    "an event of brackets": lambda: brackets(STREAM, b'data: {"choices":[', 15, b"[]]}\n\n"),
    "JSON packed by gzip": partial(bomb, "gzip", b'{"a":"'),
    "JSON packed by brotli": partial(bomb, "br", b'{"a":"'),
    "JSON packed by zstd": partial(bomb, "zstd", b'{"a":"'),
    "a stream packed by deflate": partial(bomb, "deflate", b'data: {"a":"', kind="text/event-stream"),
    "a stream packed by zstd": partial(bomb, "zstd", b'data: {"a":"', kind="text/event-stream"),
    "an error packed by brotli": partial(bomb, "br", b'{"error":"', status=500),
}
"""made only for their tests: every test process imports this file"""
HURRY = {"connect": 2, "first_byte": 2, "idle": 2}
"""where another upstream answers: on a busy machine any answer could miss these"""


@cache
def harm(name: str) -> Answer:
    return LARGE[name]() if name in LARGE else HARM[name]


@pytest.fixture(scope="module")
def hostile() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(hostile: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with ScriptedUpstream(say("The good one answers")) as good:
        document = settings(
            *(
                upstream(
                    f"{name} {protocol}",
                    hostile.url,
                    protocol,
                    timeouts=timeouts,
                    models=[f"{model}-{protocol}"],
                )
                for name, model, timeouts in (("hurried", "both", HURRY), ("hostile", "alone", {}))
                for protocol in PROTOCOLS
            ),
            *(
                upstream(f"good {protocol}", good.url, protocol, models=[f"both-{protocol}"], role="backup")
                for protocol in PROTOCOLS
            ),
            failover={"error_threshold": 1000, "cooldown_seconds": 1, "max_cooldown_seconds": 1},
        )
        with Daemon(tmp_path_factory.mktemp("hostile"), document) as running:
            ask(running.url, "messages", "warm-up")
            yield running


def peak_megabytes(daemon: Daemon) -> int:
    """The daemon's peak memory since the last reset of the counter."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    assert found is not None
    return int(found[1]) >> 10


def forget_peak(daemon: Daemon) -> None:
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")


@pytest.mark.parametrize("name", [*HARM, *LARGE])
def test_the_next_one_answers_and_memory_stays_bounded(
    daemon: Daemon, hostile: ScriptedUpstream, name: str
) -> None:
    daemon.post("/api/upstreams/clear")
    forget_peak(daemon)
    before = peak_megabytes(daemon)
    for spoken, stream in (("messages", True), ("chat", False)):
        hostile.script(harm(name))
        response = ask(daemon.url, "messages", f"both-{spoken}", stream=stream)
        assert text_of("messages", response) == "The good one answers", response.text[:300]

    assert len(hostile.requests) == 1, "it was asked"
    assert peak_megabytes(daemon) - before < MOST_MEGABYTES


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "name", ["10 GB of JSON", "100,000 levels", "a status of its own", "JSON packed by zstd"]
)
def test_as_the_only_upstream_it_gives_the_client_one_clear_error(
    daemon: Daemon, hostile: ScriptedUpstream, name: str, protocol: Protocol
) -> None:
    daemon.post("/api/upstreams/clear")
    hostile.script(harm(name))
    response = ask(daemon.url, protocol, f"alone-{protocol}", stream=False)

    assert response.status == 502
    assert error_of(protocol, response)["message"].startswith(f'upstream "hostile {protocol}": ')


BROWSER_WORDS = {
    "content-type": "text/html",
    "set-cookie": "session=theirs",
    "access-control-allow-origin": "*",
    "content-security-policy": "default-src *",
    "refresh": "0;url=https://elsewhere.example",
    "clear-site-data": '"*"',
    "strict-transport-security": "max-age=1",
}


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_that_a_browser_obeys_comes_through(
    daemon: Daemon, hostile: ScriptedUpstream, protocol: Protocol, status: int
) -> None:
    body = b"<script>alert(1)</script>" if status != 200 else b""
    headers = BROWSER_WORDS | {"content-type": "text/html"}
    answer = say("fine", headers=headers) if status == 200 else fixed(whole(status, body, headers=headers))
    hostile.script(answer)
    response = ask(daemon.url, protocol, f"alone-{protocol}", stream=False)

    assert response.status == status
    assert response.header("content-type") == "application/json"
    assert response.header("x-content-type-options") == "nosniff"
    reported = {name.lower(): value for name, value in response.headers}
    assert not {"set-cookie", "access-control-allow-origin", "refresh", "clear-site-data"} & set(reported)
    assert "default-src *" not in reported["content-security-policy"]
    assert b"<script" not in response.body


def test_an_event_of_50_megabytes_breaks_the_stream_visibly(
    daemon: Daemon, hostile: ScriptedUpstream
) -> None:
    def script(request: Received) -> Script:
        opening = b"".join(records("messages", Reply("Some words to begin with"))[:4])
        return [STREAM, Send(opening + b'data: {"a":"'), *[Send(b"a" * MEGABYTE)] * 50, Close()]

    forget_peak(daemon)
    before = peak_megabytes(daemon)
    hostile.script(script)
    response = ask(daemon.url, "messages", "alone-messages", stream=True)

    assert [record["type"] for record in response.records][-1] == "error"
    assert peak_megabytes(daemon) - before < MOST_MEGABYTES


def test_impossible_numbers_are_not_recorded(daemon: Daemon, hostile: ScriptedUpstream) -> None:
    before = daemon.token_stats()["summary"]["total_input_tokens"]
    body = json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "\x1b[2J\n\u2028",
            "content": [{"type": "text", "text": "hi"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 10**25, "output_tokens": "9" * 5000, "cache_read_input_tokens": -4},
        }
    )
    hostile.script(fixed(whole(200, body.encode())))
    ask(daemon.url, "messages", "alone-messages", stream=False)

    assert daemon.token_stats()["summary"]["total_input_tokens"] - before < 1000
    assert daemon.journal()[-1]["outcome"] == "ok"


@pytest.mark.parametrize("status", [400, 401, 500])
def test_its_key_in_an_error_message_is_hidden(
    daemon: Daemon, hostile: ScriptedUpstream, status: int
) -> None:
    def script(request: Received) -> Script:
        reported = f"refused \x1b]0;x\x07 {request.header('x-api-key')} {request.header('authorization')}\n2026 forged"
        return whole(
            status, json.dumps({"type": "error", "error": {"type": "x", "message": reported}}).encode()
        )

    hostile.script(script)
    response = ask(daemon.url, "messages", "alone-messages", stream=False)

    assert response.status == status
    assert "sk-of-hostile" not in response.text and "[key]" in response.text


def test_nothing_of_all_this_shows_in_what_was_written(daemon: Daemon) -> None:
    written = daemon.all_written()

    assert "sk-of-" not in written
    assert "Traceback" not in written
    assert not [sign for sign in daemon.output + daemon.log() if not sign.isprintable() and sign != "\n"]
    assert not [line for line in daemon.log().splitlines() if line.startswith("2026 forged")]
