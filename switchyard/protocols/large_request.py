"""Find the members of a large request and the signs in its history in one scan, in place of one for each."""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

import msgspec
from msgspec.structs import replace

from switchyard.protocols.known_history import NAME_WITHIN, PLACE_BYTES
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough.peek import WATCHED, Document, Members, watched_members
from switchyard.protocols.repair import responses
from switchyard.protocols.repair.messages import signs
from switchyard.protocols.wire import UNREADABLE

LEAST_BYTES = 64 * 1024
BEHIND_BYTES = 256 * 1024
"""no client sends more behind its history"""
END = re.compile(rb'\}\](?=\s*(?:\}\s*\Z|,\s*"(?:%b)"\s*:))' % "|".join(sorted(WATCHED)).encode())
MAX_ENDS = 8


class Form(msgspec.Struct, frozen=True):
    """Where a protocol has its history, how that is decoded without its texts, and what finds the signs in it."""

    name: str
    decode: Callable[[msgspec.Raw], Any]
    find_signs: Callable[[Document, Any], Iterable[str]]


FORMS: Mapping[ProtocolName, Form] = {
    "messages": Form("messages", signs.decode_messages, signs.find_signs),
    "responses": Form("input", responses.decode_items, responses.find_signs),
}
"""To find the signs in a Chat history takes longer than the scan: it is done only where they are needed."""


class Seen(msgspec.Struct, frozen=True):
    """The history begins at `start` of this very body, and has these signs."""

    body: bytes
    start: int
    signs: frozenset[str]


def seen_at_once(protocol: ProtocolName, body: bytes) -> tuple[Members, Seen] | None:
    """The members and the rest; None for a body that is small, or has another form than clients send."""
    form = FORMS.get(protocol)
    if form is None or len(body) < LEAST_BYTES:
        return None
    beginning = b'"%b":[' % form.name.encode()
    start = body.find(beginning, 0, NAME_WITHIN) + len(beginning) - 1
    found = _without_history(body, form.name, start) if start >= len(beginning) else None
    if found is None:
        return None
    members, end = found
    raw = msgspec.Raw(memoryview(body)[start:end])
    members = replace(members, **{form.name: raw})
    try:
        found_signs = frozenset(form.find_signs(Document(body, members), form.decode(raw)))
    except UNREADABLE:
        return None
    return members, Seen(body, start, found_signs)


def _without_history(body: bytes, name: str, start: int) -> tuple[Members, int] | None:
    """The members but for the history that begins at `start`, and where it ends if it is JSON.

    With a text in its place the body is JSON and the text is the member: with the history, it is.
    """
    for found in islice(END.finditer(body, max(start, len(body) - BEHIND_BYTES)), MAX_ENDS):
        try:
            members = watched_members(b"%b%b%b" % (body[:start], PLACE_BYTES, body[found.end() :]))
        except UNREADABLE:
            continue
        if bytes(memoryview(getattr(members, name))[: len(PLACE_BYTES) + 1]) == PLACE_BYTES:
            return members, found.end()
    return None
