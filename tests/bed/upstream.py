"""A scripted upstream on a real socket: it sends exactly the given bytes, and breaks off as scripted.

No HTTP library is used, so that every failure can be scripted. One thread serves one connection; while it waits it
watches the socket, so that a client that leaves is noticed at once.
"""

import hashlib
import itertools
import json
import select
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self, cast

import brotli
import zstandard

from tests.bed import wire
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.wire import Protocol, Reply

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    429: "Too Many Requests",
    500: "Internal Server Error",
}
FOREVER = 600.0
"""seconds; longer than any test"""


# --- the steps of a script --------------------------------------------------


@dataclass(frozen=True)
class Send:
    octets: bytes


@dataclass(frozen=True)
class Wait:
    """No bytes; a hang is a long one."""

    seconds: float = FOREVER


@dataclass(frozen=True)
class Hold:
    """No bytes until the test releases it."""

    until: threading.Event


@dataclass(frozen=True)
class Close:
    """The end of the connection, with a FIN or an RST."""

    reset: bool = False


Step = Send | Wait | Hold | Close
Script = Iterable[Step]


@dataclass
class Received:
    """One request as received, and its result. Times are `time.monotonic()`, the same in all processes."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    at: float
    gone_at: float | None = None
    """when the client left before the script had ended"""
    ended_at: float | None = None
    """when the script reached its last step, or the client left"""
    finished: threading.Event = field(default_factory=threading.Event)
    connection: socket.socket | None = None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @cached_property
    def json(self) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self.body))

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def protocol(self) -> Protocol:
        for ending, protocol in _PATHS.items():
            if self.path.endswith(ending):
                return protocol
        return "messages"

    @property
    def client_has_left(self) -> bool:
        """Read from the system: on a busy machine `gone_at` may be later than the client's next request."""
        assert self.connection is not None
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    @property
    def wants_stream(self) -> bool:
        return bool(self.json.get("stream"))

    @property
    def wants_usage(self) -> bool:
        return bool((self.json.get("stream_options") or {}).get("include_usage"))

    @property
    def fingerprint(self) -> str:
        """Equal for two requests with the same content."""
        return hashlib.sha256(self.body).hexdigest()[:16]

    @property
    def raw(self) -> bytes:
        """Everything that was sent, for searches."""
        head = "".join(f"{name}: {value}\n" for name, value in [("", self.target), *self.headers])
        return head.encode() + self.body


_PATHS: dict[str, Protocol] = {
    "/messages": "messages",
    "/chat/completions": "chat",
    "/responses": "responses",
}
Answer = Callable[[Received], Script]


# --- the server ----------------------------------------------------------------


class ScriptedUpstream:
    """Answers each request with the next of `answers`; the last one is repeated. With `tls`, scripts cannot wait."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answers = answers or (say("Hello from upstream"),)
        self._tls = tls
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.requests: list[Received] = []
        self.probes: list[Received] = []
        """requests without a body, answered without using up a script"""
        self.on_get: Answer | None = None
        """what these get; None: by `pages`"""
        self.pages: dict[str, bytes] = {}
        """what they get by path, and 404 elsewhere; an empty 200 while there are none"""
        self.connection_count = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._listener.shutdown(socket.SHUT_RDWR)
            open_ones = list(self._connections)
        for connection in open_ones:
            _shut(connection)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        self._listener.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def script(self, *answers: Answer) -> None:
        """Set the next answers and drop the records."""
        with self._lock:
            self._answers = answers
            self.requests.clear()

    def hang_up(self) -> None:
        """Close all connections; new ones are accepted."""
        with self._lock:
            open_ones = list(self._connections)
        for connection in open_ones:
            _shut(connection)

    def wait_for(self, count: int = 1) -> list[Received]:
        """The first `count` requests, once they have arrived."""
        wait_until(lambda: len(self.requests) >= count, f"{count} requests at {self.url}")
        return self.requests[:count]

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connection_count += 1
                self._connections.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection.makefile("rb") as reader:
                while (request := _read_request(reader, connection)) is not None:
                    if not self._answer(connection, request):
                        return
        except (OSError, ValueError, ClientGone):
            return  # the client left, or does not speak HTTP (but TLS, for example)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _answer(self, connection: socket.socket, request: Received) -> bool:
        """Play one script; False when the connection is over."""
        if request.method != "POST":
            self.probes.append(request)
            if self.on_get is not None:
                return _play(connection, self.on_get(request))
            page = self.pages.get(request.path)
            status = 404 if page is None and self.pages else 200
            return _play(connection, whole(status, page or b""))
        with self._lock:
            turn = len(self.requests)
            self.requests.append(request)
            answer = self._answers[min(turn, len(self._answers) - 1)]
        try:
            return _play(connection, answer(request))
        except ClientGone:
            request.gone_at = request.ended_at = time.monotonic()
            return False
        finally:
            request.finished.set()


class ClientGone(Exception):
    """The other side closed its connection before the script had ended."""


def _play(connection: socket.socket, script: Script) -> bool:
    for step in script:
        match step:
            case Send(octets):
                _send(connection, octets)
            case Wait(seconds):
                _watch(connection, time.monotonic() + seconds, None)
            case Hold(until):
                _watch(connection, time.monotonic() + FOREVER, until)
            case Close(reset):
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()
                else:
                    _shut(connection)
                return False
    return True


def _send(connection: socket.socket, octets: bytes) -> None:
    try:
        connection.sendall(octets)
    except OSError:
        raise ClientGone from None


def _watch(connection: socket.socket, deadline: float, until: threading.Event | None) -> None:
    """Stay idle until the time is up or the event is set. Raises ClientGone."""
    while (left := deadline - time.monotonic()) > 0 and not (until and until.is_set()):
        readable, _, _ = select.select([connection], [], [], min(left, 0.02) if until else left)
        if not readable:
            continue
        try:
            if connection.recv(1, socket.MSG_PEEK) == b"":
                raise ClientGone
        except OSError:
            raise ClientGone from None
        time.sleep(0.005)  # a pipelined request: it waits until this one has ended


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side was first


def _read_request(reader: Any, connection: socket.socket) -> Received | None:
    first = reader.readline()
    if not first:
        return None
    at = time.monotonic()
    method, target, _ = first.decode("latin-1").split(" ", 2)
    headers: list[tuple[str, str]] = []
    while (line := reader.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name.strip(), value.strip()))
    fields = {name.lower(): value for name, value in headers}
    if fields.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in fields.get("transfer-encoding", ""):
        body = _read_chunks(reader)
    else:
        body = reader.read(int(fields.get("content-length", 0)))
    return Received(method, target, headers, body, at, connection=connection)


def _read_chunks(reader: Any) -> bytes:
    body = b""
    while size := int(reader.readline().split(b";")[0], 16):
        body += reader.read(size)
        reader.readline()
    reader.readline()
    return body


_RESERVED: list[socket.socket] = []
"""bound without listening: no other program gets these ports"""


def closed_port() -> int:
    """A port that refuses connections, for as long as the tests run."""
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    _RESERVED.append(reserved)
    port: int = reserved.getsockname()[1]
    return port


def closed_url() -> str:
    return f"http://127.0.0.1:{closed_port()}"


# --- successful responses --------------------------------------------------------------

_NUMBERS = itertools.count(1)
ENCODERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.compressobj(wbits=31),
    "deflate": lambda: zlib.compressobj(),
    "br": lambda: _BrotliStream(),
    "zstd": lambda: _ZstdStream(),
}


class _BrotliStream:
    def __init__(self) -> None:
        self._inner = brotli.Compressor()

    def compress(self, octets: bytes) -> bytes:
        return cast(bytes, self._inner.process(octets) + self._inner.flush())

    def flush(self, *_: object) -> bytes:
        return cast(bytes, self._inner.finish())


class _ZstdStream:
    def __init__(self) -> None:
        self._inner = zstandard.ZstdCompressor().compressobj()

    def compress(self, octets: bytes) -> bytes:
        return self._inner.compress(octets) + self._inner.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def flush(self, *_: object) -> bytes:
        return self._inner.flush()


def answer(
    reply: Reply,
    *,
    encoding: str = "",
    octets_per_send: int = 0,
    seconds_between: float = 0,
    headers: dict[str, str] | None = None,
    piece: int = 8,
) -> Answer:
    """`reply` in the requested form: streamed or not, in the protocol of its path."""

    def script(request: Received) -> Script:
        model = str(request.json.get("model", ""))
        more = dict(headers or {})
        sent_reply = replace(reply, id=f"{reply.id}{next(_NUMBERS)}")
        if not request.wants_stream:
            return whole(200, wire.body(request.protocol, sent_reply, model), headers=more, encoding=encoding)
        include_usage = request.protocol != "chat" or request.wants_usage
        sent = wire.records(request.protocol, sent_reply, model, include_usage, piece)
        steps = stream(sent, headers=more, encoding=encoding, seconds_between=seconds_between)
        return list(_in_small_sends(steps, octets_per_send)) if octets_per_send else steps

    return script


def say(text: str, **more: Any) -> Answer:
    return answer(Reply(text), **more)


def agent(*turns: Reply, aside: Reply | None = None) -> Answer:
    """Play a conversation: the turn is chosen by the tool calls in the request's history.

    Requests without tools (titles, summaries) are answered with `aside` instead.
    """

    def script(request: Received) -> Script:
        if not offers_tools(request.json):
            return answer(aside or Reply("A title"))(request)
        turn = min(_rounds_of_calls(request), len(turns) - 1)
        return answer(turns[turn])(request)

    return script


def offers_tools(body: dict[str, Any]) -> bool:
    items = body.get("input")
    inside = isinstance(items, list) and any(item.get("type") == "additional_tools" for item in items)
    return bool(body.get("tools")) or inside


def _rounds_of_calls(request: Received) -> int:
    if request.protocol == "responses":
        items = request.json.get("input")
        kinds = (
            [str(item.get("type", "message")).endswith("_call") for item in items]
            if isinstance(items, list)
            else []
        )
        return sum(is_call and not before for before, is_call in zip([False, *kinds], kinds, strict=False))
    messages = [message for message in request.json.get("messages", []) if message["role"] == "assistant"]
    if request.protocol == "chat":
        return sum(bool(message.get("tool_calls")) for message in messages)
    return sum(
        isinstance(message["content"], list)
        and any(block["type"] == "tool_use" for block in message["content"])
        for message in messages
    )


# --- raw responses ---------------------------------------------------------------


def head(status: int, headers: dict[str, str]) -> Send:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return Send("\r\n".join([*lines, "", ""]).encode("latin-1"))


def whole(
    status: int,
    body: bytes,
    *,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
    encoding: str = "",
    length: int | None = None,
) -> Script:
    """A body with a content-length (which may be wrong)."""
    if encoding:
        encoder = ENCODERS[encoding]()
        body = encoder.compress(body) + encoder.flush()
    fields = {"content-type": content_type, "content-length": str(len(body) if length is None else length)}
    if encoding:
        fields["content-encoding"] = encoding
    return [head(status, fields | (headers or {})), Send(body)]


def stream(
    records: Iterable[bytes],
    *,
    status: int = 200,
    content_type: str = "text/event-stream",
    headers: dict[str, str] | None = None,
    encoding: str = "",
    seconds_between: float = 0,
    end: Script | None = None,
) -> Script:
    """A chunked body, one event per chunk. `end` replaces the regular end of the body."""
    fields = {"content-type": content_type, "transfer-encoding": "chunked"} | (headers or {})
    encoder = ENCODERS[encoding]() if encoding else None
    steps: list[Step] = [head(status, fields | ({"content-encoding": encoding} if encoding else {}))]
    for record in records:
        octets = record if encoder is None else encoder.compress(record) + _flushed(encoder, encoding)
        if octets:
            steps.append(Send(chunk(octets)))
        if seconds_between:
            steps.append(Wait(seconds_between))
    if end is not None:
        return [*steps, *end]
    rest = encoder.flush() if encoder is not None else b""
    return [*steps, Send((chunk(rest) if rest else b"") + b"0\r\n\r\n")]


def _flushed(encoder: Any, encoding: str) -> bytes:
    """Live streams are flushed at every event; only zlib leaves that to its caller."""
    return cast(bytes, encoder.flush(zlib.Z_SYNC_FLUSH)) if encoding in ("gzip", "deflate") else b""


def chunk(octets: bytes) -> bytes:
    return f"{len(octets):x}\r\n".encode() + octets + b"\r\n"


def _in_small_sends(script: Script, size: int) -> Iterable[Step]:
    for step in script:
        if isinstance(step, Send):
            yield from (Send(step.octets[start : start + size]) for start in range(0, len(step.octets), size))
        else:
            yield step


# --- failures --------------------------------------------------------------------


def status(code: int, message: str = "scripted failure", headers: dict[str, str] | None = None) -> Answer:
    return lambda request: whole(code, wire.error_body(request.protocol, message), headers=headers)


def fixed(script: Script) -> Answer:
    return lambda request: script


def opening(request: Received, records: int | None = None) -> list[bytes]:
    """The events of a stream before any content; `records` sets another number."""
    sent = wire.records(request.protocol, Reply("cut short"), "m")
    return sent[
        : {"messages": 1, "chat": 1, "responses": 2}[request.protocol] if records is None else records
    ]


def cut_after_content(end: Script = (Close(),), text: str = "The beginning of an answer") -> Answer:
    """The start and part of the text, then the break."""

    def script(request: Received) -> Script:
        sent = wire.records(request.protocol, Reply(text), "m")
        shown = {"messages": 4, "chat": 4, "responses": 6}[request.protocol]
        return stream(sent[:shown], end=end)

    return script


def _streamed_error(request: Received) -> Script:
    return stream([*opening(request), *wire.error_records(request.protocol, "Overloaded")])


def _streamed_error_first(request: Received) -> Script:
    return stream(wire.error_records(request.protocol, "Overloaded"))


HTML = b"<!doctype html><html><head><title>Sign in</title></head><body>Please sign in</body></html>"
GARBAGE = bytes(range(256)) * 4
EVENT_STREAM = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}

STATUSES = (401, 402, 403, 404, 408, 409, 429, 500, 502, 503, 504, 529)
"""Statuses after which another upstream may well answer."""
CLIENT_STATUSES = (400, 413, 422)
"""Statuses that would come from every upstream."""

FAULTS: dict[str, Answer] = {
    **{f"status {code}": status(code) for code in STATUSES},
    "429 with retry-after": status(429, headers={"retry-after": "30"}),
    "429 with a reset in milliseconds": status(429, headers={"retry-after-ms": "1500"}),
    "500 as HTML": fixed(whole(500, HTML, content_type="text/html")),
    "502 without a body": fixed(whole(502, b"")),
    "reset before headers": fixed([Close(reset=True)]),
    "closed before headers": fixed([Close()]),
    "half a status line": fixed([Send(b"HTTP/1.1 20"), Close()]),
    "not HTTP": fixed([Send(GARBAGE), Close()]),
    "reset after headers": fixed([head(200, EVENT_STREAM), Wait(0.02), Close(reset=True)]),
    "headers only, then closed": fixed([head(200, EVENT_STREAM), Close()]),
    "headers only, then silence": fixed([head(200, EVENT_STREAM), Wait()]),
    "empty stream": fixed(stream([])),
    "opening only, then closed": lambda request: stream(opening(request), end=[Close()]),
    "opening only, then reset": lambda request: stream(opening(request), end=[Wait(0.02), Close(reset=True)]),
    "opening only, then a proper end": lambda request: stream(opening(request)),
    "opening only, then silence": lambda request: stream(opening(request), end=[Wait()]),
    "error event after the opening": _streamed_error,
    "error event at once": _streamed_error_first,
    "error as JSON in a 200": lambda request: whole(200, wire.error_body(request.protocol, "Overloaded")),
    "error as flat JSON in a 200": fixed(
        whole(200, b'{"code": 500, "msg": "quota exhausted", "success": false}')
    ),
    "JSON without an answer": fixed(whole(200, b'{"status": "ok", "data": []}')),
    "HTML with 200": fixed(whole(200, HTML, content_type="text/html; charset=utf-8")),
    "HTML typed as event stream": fixed(stream([HTML])),
    "garbage bytes": fixed(whole(200, GARBAGE, content_type="application/octet-stream")),
    "garbage typed as JSON": fixed(whole(200, GARBAGE)),
    "garbage typed as event stream": fixed(stream([GARBAGE])),
    "garbage records": fixed(stream([b"data: {not json\n\n", b"data: 42\n\n", b"event: x\ndata: []\n\n"])),
    "empty body": fixed(whole(200, b"")),
    "silence before headers": fixed([Wait()]),
    "content-length too long": fixed([*whole(200, b'{"id": "m', length=5000), Close()]),
    "broken compression": fixed(whole(200, GARBAGE, headers={"content-encoding": "gzip"})),
}
"""Failures before any content: each must be answered by the next upstream. (A refused connection is `closed_url`.)"""

SILENT_FAULTS = frozenset(name for name in FAULTS if "silence" in name)
