"""Find the members of a large Messages request and the signs in its history in one scan, in place of one for each."""

import re
from itertools import islice

import msgspec
from msgspec.structs import replace

from switchyard.protocols.known_history import NAME_WITHIN, PLACE_BYTES
from switchyard.protocols.passthrough.peek import WATCHED, Document, Members, watched_members
from switchyard.protocols.repair.messages.signs import decode_messages, find_signs
from switchyard.protocols.wire import UNREADABLE

LEAST_BYTES = 64 * 1024
BEHIND_BYTES = 256 * 1024
"""no client sends more behind its messages"""
START = b'"messages":['
END = re.compile(rb'\}\](?=\s*(?:\}\s*\Z|,\s*"(?:%b)"\s*:))' % "|".join(sorted(WATCHED)).encode())
MAX_ENDS = 8


class Seen(msgspec.Struct, frozen=True):
    """The messages begin at `start` of this very body, and have these signs."""

    body: bytes
    start: int
    signs: frozenset[str]


def seen_at_once(body: bytes) -> tuple[Members, Seen] | None:
    """The members and the rest; None for a body that is small, or has another form than clients send."""
    start = body.find(START, 0, NAME_WITHIN) + len(START) - 1
    if len(body) < LEAST_BYTES or start < len(START):
        return None
    found = _without_history(body, start)
    if found is None:
        return None
    members, end = found
    messages = msgspec.Raw(memoryview(body)[start:end])
    members = replace(members, messages=messages)
    try:
        signs = frozenset(find_signs(Document(body, members), decode_messages(messages)))
    except UNREADABLE:
        return None
    return members, Seen(body, start, signs)


def _without_history(body: bytes, start: int) -> tuple[Members, int] | None:
    """The members but for the messages that begin at `start`, and where these end if they are JSON.

    A text instead of them leaves JSON, and is the member: so would they.
    """
    for found in islice(END.finditer(body, max(start, len(body) - BEHIND_BYTES)), MAX_ENDS):
        try:
            members = watched_members(b"%b%b%b" % (body[:start], PLACE_BYTES, body[found.end() :]))
        except UNREADABLE:
            continue
        if bytes(memoryview(members.messages)[: len(PLACE_BYTES) + 1]) == PLACE_BYTES:
            return members, found.end()
    return None
