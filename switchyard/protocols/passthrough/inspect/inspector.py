"""How the answers of one protocol are inspected: what a record of a stream, or a whole reply, reports."""

from collections.abc import Callable, Mapping
from re import Pattern
from typing import Protocol

import msgspec

from switchyard.protocols.neutral import StopReason, Usage, WireError
from switchyard.protocols.openai_chat.calls import Fragment
from switchyard.protocols.sse import Record
from switchyard.protocols.wire import Json, decode_object, fields, text


class RecordSummary(msgspec.Struct, frozen=True):
    """What one record of a stream reports.

    `content`: the model has begun to answer (the commit point). `opens`: it has opened a block that may be filled much
    later. `finished`: the protocol's regular end.
    `signature`: opaque continuity data that this record carries. `is_odd`: the error has no form of this protocol,
    so that its programs would not take it for one, or no words. `begins`: the id of the answer that begins here.
    `fingerprint`: of the servers of a Chat upstream.
    `fragments`: of calls, where they are named or come with something opaque.
    """

    content: bool = False
    finished: bool = False
    usage: Usage | None = None
    error: WireError | None = None
    model: str | None = None
    signature: str | None = None
    stop_reason: StopReason | None = None
    is_odd: bool = False
    opens: bool = False
    begins: str | None = None
    fragments: tuple[Fragment, ...] = ()
    fingerprint: str = ""


class WholeSummary(msgspec.Struct, frozen=True):
    """What a whole JSON reply reports."""

    usage: Usage | None = None
    error: WireError | None = None
    model: str | None = None
    signatures: tuple[str, ...] = ()
    fingerprint: str = ""


class SummarizeWhole(Protocol):
    """What a whole reply reports; the usage only if it is wanted."""

    def __call__(self, body: bytes, *, reads_usage: bool = True) -> WholeSummary: ...


class Inspector(msgspec.Struct, frozen=True):
    """How the answers of one protocol are read."""

    summary: Callable[[Record], RecordSummary]
    summarize_whole: SummarizeWhole
    notable: Pattern[bytes]
    """Occurs in every record after the commit point that must be read: usage, errors, the end.

    Quotes inside a text are escaped, so that no text looks like a field. A pattern that begins with one literal is
    searched ten times as fast as others.
    """
    count_deltas: Callable[[bytes], int]
    """How many records these are, if they are nothing but content of the model: the cheap look that spares all others.

    They are whole and end with LF. 0 means nothing: a call may begin in them, even one dressed up as a delta.
    """
    other_ends: Mapping[bytes, Callable[[Record], bytes]] = {}
    """Names of ends that clients do not know, and the usual name of the end of this record."""


NOTHING = RecordSummary()
Events = Mapping[str, Callable[[Json], RecordSummary]]


def typed_event(record: Record) -> tuple[Json | None, str]:
    """The event, None if it is none, and its type, which the `event:` line names if the data does not."""
    event = decode_object(record.data)
    return event, text(fields(event).get("type")) or record.event


def model_of(holder: Json) -> str | None:
    return text(holder.get("model")) or None
