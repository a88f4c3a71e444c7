"""Remember the items of Responses answers for a while: clients name them instead of sending them again.

Services keep answers unless the client asks them not to (`store`). What was answered by another protocol, or by another
upstream than the next one, no service knows: it is kept here, in memory only.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from switchyard.protocols.openai_responses.references import (
    PREVIOUS,
    REFERENCE,
    final_response,
    for_another_service,
    ids_in,
    is_reference,
    items_in,
    replaced,
)
from switchyard.protocols.passthrough.peek import ABSENT, watched_members
from switchyard.protocols.wire import Json, parsed, text
from switchyard.relay.values import ClientRequest

MAX_BYTES = 24 * 1024 * 1024
PLAIN_BYTES = 8 * 1024 * 1024
"""so much of what the newest answers answered is never compressed: conversations in use need it with every turn"""
LEAST_PACKED_BYTES = 4 * 1024
"""less gains little, and takes longer for each byte"""
PACKING_LEVEL = 1
"""of zstd: long inputs to a quarter or a third, at 5 ms a megabyte; a higher one saves another tenth"""
MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_AGE_SECONDS = 24 * 3600.0
OVERHEAD_BYTES = 512
LONGEST_CHAIN = 1000
NAMING = "responses"
"""the protocol whose clients may name earlier answers"""
NAMES_AN_ITEM = f'"{REFERENCE}"'.encode()


class Remembered(msgspec.Struct, frozen=True):
    """One answer and what it answered, which may be packed. `issuer`: the service that knows it by its id; "" if none
    does."""

    session: str
    upstream: str
    issuer: str
    previous: str
    given: bytes
    output: bytes
    at: float
    is_packed: bool = False

    @property
    def input(self) -> bytes:
        return _unpacked(self.given) if self.is_packed else self.given

    @property
    def size(self) -> int:
        return len(self.given) + len(self.output) + OVERHEAD_BYTES


class AnswerMemory:
    """The newest answers, within bounds of bytes and age."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_age_seconds: float = MAX_AGE_SECONDS) -> None:
        self._answers: OrderedDict[str, Remembered] = OrderedDict()
        self._answer_of: dict[str, str] = {}
        """the answer that an item was part of"""
        self._bytes = 0
        self._plain: dict[str, int] = {}
        """of the answers whose input may be packed, the oldest first: its bytes"""
        self._plain_bytes = 0
        self._max_bytes = max_bytes
        self._max_age_seconds = max_age_seconds

    def note(self, request: ClientRequest, upstream: str, issuer: str, answer: bytes, now: float) -> None:
        """`answer`: a whole answer, or the last records of a stream, as the client gets it. Only if it `keeps` that."""
        response = final_response(answer)
        if response is None or not response.can_be_named:
            return
        noted = Remembered(
            session=request.summary.session or response.id,
            upstream=upstream,
            issuer=issuer,
            previous=_previous(request),
            given=_raw(request, "input"),
            output=bytes(response.output),
            at=now,
        )
        if noted.size > MAX_ANSWER_BYTES:
            return
        self._forget(response.id)
        self._answers[response.id] = noted
        self._bytes += noted.size
        if (size := len(noted.given)) >= LEAST_PACKED_BYTES:
            self._plain[response.id] = size
            self._plain_bytes += size
        self._answer_of.update(dict.fromkeys(ids_in(noted.output), response.id))
        self._trim(now)

    def continued(self, request: ClientRequest) -> Remembered | None:
        """The answer that this request continues: the one that it names, or that its last named item was part of."""
        if request.protocol != NAMING:
            return None
        id = _previous(request)
        if not id and NAMES_AN_ITEM in request.body:
            named = [text(item.get("id")) for item in items_in(_raw(request, "input")) if is_reference(item)]
            id = next((self._answer_of[item] for item in reversed(named) if item in self._answer_of), "")
        return self._answers.get(id)

    def recalled(self, request: ClientRequest, issuer: str, now: float) -> ClientRequest:
        """The request with the items in place of their names, but for those that this upstream knows itself."""
        if request.protocol != NAMING:
            return request
        previous = _previous(request)
        if not previous and NAMES_AN_ITEM not in request.body:
            return request
        self._trim(now)
        items = items_in(_raw(request, "input"))
        earlier = self._conversation(previous, issuer) if previous else None
        found = self._replaced([*(earlier or ()), *items], issuer)
        if earlier is None and found == items:
            return request
        body = msgspec.json.decode(request.body)
        body["input"] = found
        if earlier is not None:
            del body[PREVIOUS]
        encoded = msgspec.json.encode(body)
        return replace(
            request, body=encoded, summary=replace(request.summary, members=watched_members(encoded))
        )

    async def pack(self, most_plain: int = PLAIN_BYTES) -> int:
        """Compress the inputs of the older answers in a thread, down to so many bytes that are not; what this saves."""
        older: list[tuple[str, Remembered]] = []
        while self._plain_bytes > most_plain:
            id = next(iter(self._plain))
            self._plain_bytes -= self._plain.pop(id)
            older.append((id, self._answers[id]))
        if not older:
            return 0
        saved = 0
        packed = await asyncio.to_thread(_packed, [answer.given for _, answer in older])
        for (id, answer), given in zip(older, packed, strict=True):
            if self._answers.get(id) is answer:  # it may have been forgotten since
                self._answers[id] = replace(answer, given=given, is_packed=True)
                saved += len(answer.given) - len(given)
        self._bytes -= saved
        return saved

    def _conversation(self, id: str, issuer: str) -> list[Json] | None:
        """All items up to this answer, None if some are not known; the upstream that issued it knows them itself."""
        chain: list[Remembered] = []
        newest = self._answers.get(id)
        if newest is None or (issuer and newest.issuer == issuer):
            return None
        while id:
            answer = self._answers.get(id)
            if answer is None or len(chain) > LONGEST_CHAIN:
                return None
            chain.append(answer)
            id = answer.previous
        items: list[Json] = []
        for answer in reversed(chain):
            items += items_in(answer.input) + self._adapted(answer, items_in(answer.output), issuer)
        return items

    def _replaced(self, items: list[Json], issuer: str) -> list[Json]:
        return replaced(items, lambda id: self._item(id, issuer))

    def _item(self, id: str, issuer: str) -> Json | None:
        answer = self._answers.get(self._answer_of.get(id, ""))
        if answer is None or (issuer and answer.issuer == issuer):
            return None
        found = [item for item in items_in(answer.output) if item.get("id") == id]
        return next(iter(self._adapted(answer, found, issuer)), None)

    def _adapted(self, answer: Remembered, items: list[Json], issuer: str) -> list[Json]:
        return for_another_service(items) if issuer and answer.issuer != issuer else items

    def _trim(self, now: float) -> None:
        while self._answers:
            oldest, answer = next(iter(self._answers.items()))
            if self._bytes <= self._max_bytes and now - answer.at <= self._max_age_seconds:
                return
            self._forget(oldest)

    def _forget(self, id: str) -> None:
        answer = self._answers.pop(id, None)
        if answer is None:
            return
        self._bytes -= answer.size
        self._plain_bytes -= self._plain.pop(id, 0)
        for item in ids_in(answer.output):
            if self._answer_of.get(item) == id:
                del self._answer_of[item]


def keeps(request: ClientRequest) -> bool:
    """True for an answer that the service would keep as well."""
    is_usual = request.protocol == NAMING and request.kind == "request" and not request.compact_endpoint
    return is_usual and _raw(request, "store") != b"false"


def _previous(request: ClientRequest) -> str:
    return text(parsed(_raw(request, PREVIOUS)))


def _raw(request: ClientRequest, member: str) -> bytes:
    return bytes(request.summary.members.get(member) or ABSENT)


def _packed(inputs: Sequence[bytes]) -> list[bytes]:
    from zstandard import ZstdCompressor  # which most daemons never need

    compress = ZstdCompressor(PACKING_LEVEL).compress
    # what it returns keeps the memory of the longest possible output
    return [bytes(memoryview(compress(given))) for given in inputs]


def _unpacked(given: bytes) -> bytes:
    from zstandard import ZstdDecompressor

    return ZstdDecompressor().decompress(given)
