"""An upstream as fast as Python can be: three protocols on a bare asyncio protocol, without an HTTP library.

    POST .../messages  .../chat/completions  .../responses   about 1 KB of JSON, or a stream if the body asks for one
        POST /_control?count=200&delay_ms=50&batch=1             sets later streams; `cut=1` ends the running ones
        GET  /_counters                                          the counters so far

Each text event carries `~` and the 19 digits of the monotonic clock (zeros without a delay). They survive a
conversion between protocols, so that a client on the same machine sees how long each event was on its way.
Each event is an HTTP chunk of its own. Without a delay `batch` of them go into one write; 0 fills 64 KiB.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

from loops import run

NO_STAMP = b"0" * 19
STAMP = b"S" * 19
TEXT = "The quick brown fox jumps over the lazy dog. " * 18
BLOCK = 65536
WRITES_PER_TURN = 64
"""of the event loop, in a stream without pauses"""
END = b"0\r\n\r\n"
MODEL = "fake-model"
ENDINGS = ((b"/messages", "messages"), (b"/chat/completions", "chat"), (b"/responses", "responses"))


@dataclass(slots=True)
class Look:
    """The parameters of streams that begin from now on."""

    count: int = 100
    delay: float = 0.0
    batch: int = 0
    pad: int = 16


@dataclass(slots=True)
class Counters:
    requests: int = 0
    connections: int = 0
    live: int = 0
    """running streams"""
    events: int = 0
    aborted: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """The parts of a stream, chunked: its start, an event around its stamp, its end."""

    opening: bytes
    before: bytes
    after: bytes
    ending: bytes


def packed(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = (
        b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nrequest-id: req_fake\r\ncontent-length: %d\r\n\r\n"
    )
    return head % (status, len(body)) + body


def chunked(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def named(name: str, value: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + packed({"type": name, **value}) + b"\n\n"


# --- the three protocols ------------------------------------------------------

CHAT_USAGE = {"prompt_tokens": 12, "completion_tokens": 200, "total_tokens": 212}
RESPONSES_USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 200,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 212,
}


def messages_reply(content: list[dict[str, Any]], stop: str | None, output: int) -> dict[str, Any]:
    return {
        "id": "msg_01FakeFakeFakeFakeFake",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 12,
            "output_tokens": output,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


def responses_item(status: str, text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return {"type": "message", "id": "msg_fake", "status": status, "role": "assistant", "content": content}


def responses_reply(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "resp_fake",
        "object": "response",
        "created_at": 1700000000,
        "status": status,
        "model": MODEL,
        "error": None,
        "incomplete_details": None,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSES_USAGE if output else None,
    }


WHOLE = {
    "messages": answer(packed(messages_reply([{"type": "text", "text": TEXT}], "end_turn", 200))),
    "chat": answer(
        packed(
            {
                "id": "chatcmpl-fake",
                "object": "chat.completion",
                "created": 1700000000,
                "model": MODEL,
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": TEXT},
                        "logprobs": None,
                        "finish_reason": "stop",
                    }
                ],
                "usage": CHAT_USAGE,
            }
        )
    ),
    "responses": answer(packed(responses_reply("completed", [responses_item("completed", TEXT)]))),
}
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"request-id: req_fake\r\ntransfer-encoding: chunked\r\n\r\n"
)


def messages_events(mark: str) -> tuple[list[bytes], bytes, list[bytes]]:
    start = {"index": 0, "content_block": {"type": "text", "text": ""}}
    stop = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 200}}
    return (
        [
            named("message_start", {"message": messages_reply([], None, 1)}),
            named("content_block_start", start),
        ],
        named("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": mark}}),
        [
            named("content_block_stop", {"index": 0}),
            named("message_delta", stop),
            named("message_stop", {}),
        ],
    )


def chat_events(mark: str) -> tuple[list[bytes], bytes, list[bytes]]:
    def chunk(delta: dict[str, str], finish: str | None = None, **more: Any) -> bytes:
        head = {
            "id": "chatcmpl-fake",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": MODEL,
        }
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return b"data: " + packed({**head, "choices": [choice], **more}) + b"\n\n"

    return (
        [chunk({"role": "assistant", "content": ""})],
        chunk({"content": mark}),
        [chunk({}, "stop", usage=CHAT_USAGE), b"data: [DONE]\n\n"],
    )


def responses_events(mark: str) -> tuple[list[bytes], bytes, list[bytes]]:
    def event(name: str, **more: Any) -> bytes:
        return named(name, {"sequence_number": 0, **more})

    at = {"item_id": "msg_fake", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    whole = [responses_item("completed", "done")]
    return (
        [
            event("response.created", response=responses_reply("in_progress", [])),
            event("response.output_item.added", output_index=0, item=responses_item("in_progress", "")),
            event("response.content_part.added", part=part, **at),
        ],
        event("response.output_text.delta", delta=mark, **at),
        [
            event("response.output_text.done", text="done", **at),
            event("response.content_part.done", part={**part, "text": "done"}, **at),
            event("response.output_item.done", output_index=0, item=whole[0]),
            event("response.completed", response=responses_reply("completed", whole)),
        ],
    )


EVENTS = {"messages": messages_events, "chat": chat_events, "responses": responses_events}


def script_of(protocol: str, pad: int) -> Script:
    opening, event, ending = EVENTS[protocol]("~" + STAMP.decode() + "x" * pad)
    before, after = chunked(event).split(STAMP)
    return Script(b"".join(map(chunked, opening)), before, after, b"".join(map(chunked, ending)) + END)


def wants_stream(body: bytes) -> bool:
    at = body.find(b'"stream":')
    return at >= 0 and body[at + 9 : at + 14].strip().startswith(b"true")


# --- the server ---------------------------------------------------------------


class Upstream:
    """What all connections share."""

    def __init__(self) -> None:
        self.look = Look()
        self.counters = Counters()
        self.streaming: set[Connection] = set()
        self._scripts: dict[tuple[str, int], Script] = {}

    def script(self, protocol: str) -> Script:
        key = protocol, self.look.pad
        if key not in self._scripts:
            self._scripts[key] = script_of(*key)
        return self._scripts[key]

    def control(self, path: bytes) -> None:
        given = {name.decode(): float(value) for name, value in re.findall(rb"(\w+)=([\d.]+)", path)}
        if given.pop("cut", 0):
            for connection in list(self.streaming):
                connection.transport.abort()
        delay_ms = given.pop("delay_ms", 0.0)
        self.look = Look(**{name: int(value) for name, value in given.items()}, delay=delay_ms / 1000)


class Connection(asyncio.Protocol):
    """Reads requests one after another; of a body it only uses the end and the `stream` flag."""

    transport: asyncio.Transport

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._head = b""
        self._unread = b""
        self._need = 0
        self._got = 0
        self._edge = b""
        self._streams = False
        self._may_write = True
        self._writes: Iterator[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._socket: int = transport.get_extra_info("socket").fileno()
        self._upstream.counters.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._upstream.streaming:
            self._upstream.counters.aborted += 1
            self._end_stream()

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._pump()

    # --- requests ---

    def data_received(self, data: bytes) -> None:
        if not self._head:
            data = self._unread + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._unread = data
                return
            self._begin(data[: end + 2])
            data = data[end + 4 :]
        self._streams = self._streams or wants_stream(data) or wants_stream(self._edge + data[:20])
        self._got += len(data)
        self._edge = (self._edge + data[-20:])[-20:]
        if self._edge.endswith(END) if self._need < 0 else self._got >= self._need:
            self._handle()

    def _begin(self, head: bytes) -> None:
        self._head, self._unread = head, b""
        self._got, self._edge, self._streams = 0, b"", False
        low = head.lower()
        at = low.find(b"\r\ncontent-length:")
        if at >= 0:
            self._need = int(low[at + 17 : low.index(b"\r\n", at + 2)])
        else:
            self._need = -1 if b"\r\ntransfer-encoding: chunked" in low else 0

    def _handle(self) -> None:
        head, self._head = self._head, b""
        path = head.split(b" ", 2)[1]
        bare = path.partition(b"?")[0]
        self._upstream.counters.requests += 1
        for ending, protocol in ENDINGS:
            if bare.endswith(ending):
                if self._streams:
                    self._begin_stream(protocol)
                else:
                    self.transport.write(WHOLE[protocol])
                return
        self.transport.write(self._aside(path))

    def _aside(self, path: bytes) -> bytes:
        if path.startswith(b"/_control"):
            self._upstream.control(path)
            return answer(b"{}")
        if path.startswith(b"/_counters"):
            return answer(packed({**asdict(self._upstream.counters), "pid": os.getpid()}))
        return answer(b'{"error":{"message":"no such path"}}', b"404 Not Found")

    # --- streams ---

    def _begin_stream(self, protocol: str) -> None:
        look, script = self._upstream.look, self._upstream.script(protocol)
        self._end_stream()  # the previous one was completely written, only its end was not noticed yet
        self._upstream.streaming.add(self)
        self._upstream.counters.live += 1
        if look.delay:
            self.transport.write(STREAM_HEAD + script.opening)
            loop = asyncio.get_running_loop()
            self._tick(loop, loop.time() + look.delay, look.count, look.delay, script)
            return
        self._writes = self._glued(look, script) if look.batch == 0 else self._single(look, script)
        self._pump()

    def _glued(self, look: Look, script: Script) -> Iterator[bytes]:
        event = script.before + NO_STAMP + script.after
        self._upstream.counters.events += look.count
        yield STREAM_HEAD + script.opening
        many = max(1, BLOCK // len(event))
        for left in range(look.count, 0, -many):
            yield event * min(left, many)
        yield script.ending

    def _single(self, look: Look, script: Script) -> Iterator[bytes]:
        event = script.before + NO_STAMP + script.after
        yield STREAM_HEAD + script.opening
        for left in range(look.count, 0, -look.batch):
            self._upstream.counters.events += min(left, look.batch)
            yield event * min(left, look.batch)
        yield script.ending

    def _pump(self) -> None:
        if self._writes is None or not self._may_write or self.transport.is_closing():
            return
        for _ in range(WRITES_PER_TURN):
            content = next(self._writes, None)
            if content is None:
                self._end_stream()
                return
            if not self._written_at_once(content):
                break
        if self._may_write:
            asyncio.get_running_loop().call_soon(self._pump)

    def _written_at_once(self, content: bytes) -> bool:
        """As a packet of its own: the loop merges the writes of a turn, and takes longer for one than the program.

        False if some of it has to wait, in the buffer of the loop.
        """
        sent = 0
        if not self.transport.get_write_buffer_size():
            try:
                sent = os.write(self._socket, content)
            except BlockingIOError:
                pass
            except OSError:
                self.transport.abort()
                return False
        if sent < len(content):
            self.transport.write(content[sent:])
        return sent == len(content)

    def _tick(
        self, loop: asyncio.AbstractEventLoop, at: float, left: int, delay: float, script: Script
    ) -> None:
        if left == 0:
            self._end_stream()
            self.transport.write(script.ending)
            return
        self._upstream.counters.events += 1
        self.transport.write(b"%b%019d%b" % (script.before, time.monotonic_ns(), script.after))
        self._timer = loop.call_at(at, self._tick, loop, at + delay, left - 1, delay, script)

    def _end_stream(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._writes = None
        if self in self._upstream.streaming:
            self._upstream.streaming.discard(self)
            self._upstream.counters.live -= 1


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    upstream = Upstream()
    server = await loop.create_server(lambda: Connection(upstream), "127.0.0.1", port, backlog=4096)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=9000)
    run(serve(parser.parse_args().port))
