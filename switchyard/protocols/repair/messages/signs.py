"""What is seen in a body without decoding it, so that only the repairs it needs run."""

import re
from collections.abc import Iterator

import msgspec

from switchyard.protocols import carrier
from switchyard.protocols.anthropic_messages.wire import FABRICATED_SEARCH_ID
from switchyard.protocols.passthrough.peek import ABSENT, Document, Members
from switchyard.protocols.repair.messages.cache_marks import MAX_CACHE_MARKS
from switchyard.protocols.repair.messages.content import SEARCH_BLOCKS
from switchyard.protocols.repair.rows import Scalar, begins_with


class _Inner(msgspec.Struct, gc=False):
    type: Scalar = None
    cache_control: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT


class _Part(msgspec.Struct, gc=False):
    type: Scalar = None
    cache_control: msgspec.Raw = ABSENT
    content: list[_Inner | Scalar] | _Inner | Scalar = None
    is_error: msgspec.Raw = ABSENT
    citations: msgspec.Raw = ABSENT
    signature: msgspec.Raw = ABSENT
    data: msgspec.Raw = ABSENT


class _Message(msgspec.Struct, gc=False):
    role: Scalar = None
    content: list[_Part | Scalar] | Scalar = None
    output_config: msgspec.Raw = ABSENT


decode_messages = msgspec.json.Decoder(list[_Message]).decode
_inner_of = msgspec.json.Decoder(list[_Inner | Scalar]).decode
SIGNS = ("system", "effort", "carrier", "error", "search", "made search", "marks", "surplus marks")
"""beside the types of all blocks"""
SYSTEM, EFFORT, CARRIER, ERROR, SEARCH, MADE_SEARCH, MARKS, SURPLUS_MARKS = SIGNS
CARRIED = f'"{carrier.PREFIX}'.encode()
EMPTY_SEAL = re.compile(rb'"encrypted_(?:content|index)"\s*:\s*""')


def signs_in(document: Document) -> Iterator[str]:
    return find_signs(document, decode_messages(document.raw("messages") or b"[]"))


def find_signs(document: Document, messages: list[_Message]) -> Iterator[str]:
    parts: list[_Part] = []
    for message in messages:
        if message.role == "system":
            yield SYSTEM
        if message.output_config is not ABSENT:
            yield EFFORT
        if isinstance(message.content, list):
            parts += [part for part in message.content if isinstance(part, _Part)]
    marks = _marks_around(document.watched)
    if parts:
        inside = [
            one
            for part in parts
            if isinstance(part.content, list)
            for one in part.content
            if isinstance(one, _Inner)
        ]
        yield from _signs_of(document, parts, inside)
        markable: list[_Part | _Inner] = [*parts, *inside]
        marks += sum([part.cache_control is not ABSENT for part in markable])
    if marks:
        yield MARKS
    if marks > MAX_CACHE_MARKS:
        yield SURPLUS_MARKS


def _signs_of(document: Document, parts: list[_Part], inside: list[_Inner]) -> Iterator[str]:
    types = {part.type for part in parts}
    yield from map(str, types | _types_of(inside))
    if any([part.is_error is not ABSENT for part in parts]):
        yield ERROR
    sealed = [part for part in parts if part.signature is not ABSENT or part.data is not ABSENT]
    if any(begins_with(part.signature, CARRIED) or begins_with(part.data, CARRIED) for part in sealed):
        yield CARRIER
    if not types.isdisjoint(SEARCH_BLOCKS):
        yield SEARCH
    if not types.isdisjoint(SEARCH_BLOCKS) or any([part.citations is not ABSENT for part in parts]):
        yield from _made_search(document)


def _types_of(parts: list[_Inner]) -> set[Scalar]:
    """With those inside of them."""
    types = {part.type for part in parts}
    for part in parts:
        if begins_with(part.content, b"["):
            types |= _types_of([one for one in _inner_of(part.content) if isinstance(one, _Inner)])
    return types


def _made_search(document: Document) -> Iterator[str]:
    is_named = document.mentions(b'"' + FABRICATED_SEARCH_ID.encode())
    if is_named or EMPTY_SEAL.search(document.body) is not None:
        yield MADE_SEARCH


def _marks_around(members: Members) -> int:
    """How many cache marks the request has outside of its messages."""
    marks = int(members.cache_control is not ABSENT)
    for raw in (members.tools, members.system):
        if raw is not ABSENT:
            marks += bytes(raw).count(b'"cache_control"')
    return marks
