"""The tape of a captured request: what the client sent, what each upstream got, and both answers with their times."""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Attempt, Exchange
from switchyard.protocols.passthrough.peek import Members
from switchyard.protocols.sse import PIECE_COST
from switchyard.relay.headers import Headers
from switchyard.relay.upstream import Call, Reply
from switchyard.relay.values import ClientRequest
from switchyard.settings import Settings

MAX_REQUEST_BYTES = 16 * 1024 * 1024
MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_SENT_BYTES = 32 * 1024 * 1024
"""of all attempts together; the first ones are dropped"""
MAX_SENT = 20


class Piece(msgspec.Struct, frozen=True):
    """Bytes of an answer; `at` in seconds since the request began."""

    at: float
    data: bytes


class RecordedAnswer:
    """The beginning of an answer, in the pieces in which it passed. `started` is None until its headers are known."""

    def __init__(self) -> None:
        self.started: float | None = None
        self.status = 0
        self.headers: Headers = []
        self.pieces: list[Piece] = []
        self.kept_bytes = 0
        self.is_truncated = False

    @property
    def body(self) -> bytes:
        return b"".join(piece.data for piece in self.pieces)

    def start(self, at: float, status: int, headers: Headers) -> None:
        self.started, self.status, self.headers = at, status, list(headers)

    def keep(self, at: float, data: bytes) -> None:
        if not data or self.is_truncated:
            return
        left = MAX_ANSWER_BYTES - self.kept_bytes
        self.is_truncated = len(data) > left
        self.pieces.append(Piece(at, data[:left]))
        self.kept_bytes += len(data[:left]) + PIECE_COST


class SentRequest(msgspec.Struct, frozen=True):
    """A request as an upstream got it, with its answer. `body` is None if it was too large to keep."""

    note: Attempt
    at: float
    url: str
    headers: Headers
    body: bytes | None
    answer: RecordedAnswer


class Tape:
    """`request.body` is empty if it was too large to keep: then `has_body` is False."""

    def __init__(self, request: ClientRequest, settings: Settings, clock: Callable[[], float]) -> None:
        self.has_body = len(request.body) <= MAX_REQUEST_BYTES
        self.request = _kept(request) if self.has_body else _kept(replace(request, body=b""))
        self.settings = settings
        """those in force when the request arrived: its secrets are hidden even if they have been replaced since"""
        self.exchange: Exchange | None = None
        self.requests: list[SentRequest] = []
        self.answer = RecordedAnswer()
        """what the client got"""
        self._clock = clock
        self._began = clock()

    @property
    def kept_bytes(self) -> int:
        return len(self.request.body) + self.answer.kept_bytes + self._sent_bytes()

    def seconds(self) -> float:
        return self._clock() - self._began

    def sent(self, note: Attempt, call: Call) -> None:
        """This request goes out now."""
        body = self.request.body if call.body == self.request.body else call.body
        kept = body if len(body) <= MAX_REQUEST_BYTES else None
        self.requests.append(
            SentRequest(note, self.seconds(), call.url, call.headers, kept, RecordedAnswer())
        )
        while len(self.requests) > MAX_SENT or (
            len(self.requests) > 1 and self._sent_bytes() > MAX_SENT_BYTES
        ):
            del self.requests[0]

    def replied(self, reply: Reply) -> None:
        """The last request is answered: the answer's body is kept as it is read."""
        answer = self.requests[-1].answer
        answer.start(self.seconds(), reply.status, reply.headers)
        reply.watch(lambda chunk: answer.keep(self.seconds(), chunk))

    def _sent_bytes(self) -> int:
        """Of bodies that differ from the received one, and of answers."""
        own = self.request.body
        bodies = sum(len(one.body) for one in self.requests if one.body is not None and one.body is not own)
        return bodies + sum(one.answer.kept_bytes for one in self.requests)


def _kept(request: ClientRequest) -> ClientRequest:
    """Without remembered messages, which are not counted here, and without views of a body that is not kept."""
    members = request.summary.members if request.body else Members()
    return replace(request, summary=replace(request.summary, members=members, beginning=None, seen=None))
