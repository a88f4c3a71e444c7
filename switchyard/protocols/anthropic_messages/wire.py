"""The words of Anthropic Messages that more than one file needs.

https://platform.claude.com/docs/en/api/messages
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from switchyard.protocols.errors.decode import decode_embedded_error
from switchyard.protocols.neutral import Citation, StopReason, WireError
from switchyard.protocols.sse import Record
from switchyard.protocols.surrogates import without_halves
from switchyard.protocols.tools.calls import restore_arguments
from switchyard.protocols.walk import UNEXPLAINED
from switchyard.protocols.wire import Json, decode_object, entries, fields, repaired, text

WEB_SEARCH_TOOL = "web_search_20250305"
FABRICATED_SEARCH_ID = "srvtoolu_swyd_"
"""Begins the ids of search blocks that were made from another vendor's search: they must not be sent back."""

STOP_WORDS: Mapping[StopReason, str] = {
    StopReason.END_TURN: "end_turn",
    StopReason.MAX_TOKENS: "max_tokens",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.TOOL_USE: "tool_use",
    StopReason.REFUSAL: "refusal",
    StopReason.CONTEXT_WINDOW: "model_context_window_exceeded",
    StopReason.PAUSE: "pause_turn",
    StopReason.COMPACTION: "compaction",
}


class WireDelta(msgspec.Struct):
    """The `delta` of a block or of the message."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    citation: Json | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Json | None = None


class WireEvent(msgspec.Struct):
    """Any event of a stream; typed, because reading one must cost next to nothing."""

    type: str = ""
    index: int = 0
    delta: WireDelta | None = None
    content_block: Json | None = None
    message: Json | None = None
    usage: Json | None = None
    error: Any = None


_decode_event = msgspec.json.Decoder(WireEvent).decode


def read_event(record: Record) -> WireEvent | None:
    """The event, its type taken from the `event:` line if the data has none; None if it is no JSON object."""
    try:
        event: WireEvent | None = _decode_event(record.data)
    except UnicodeDecodeError:
        return read_event(Record(repaired(record.data), record.event))
    except msgspec.ValidationError:
        event = _lenient(record.data)
    except (msgspec.DecodeError, RecursionError):
        event = None
    if record.event == "error" or (event is not None and event.type == "error"):
        # without `error` the fields of the error itself, or plain text
        whole = decode_object(record.data) or record.data.decode("utf-8", "replace")
        return WireEvent("error", error=(event and event.error) or whole)
    if event is not None and not event.type:
        event.type = record.event
    return event


def error_of(event: WireEvent) -> WireError:
    """The error that an event reports."""
    reported = decode_embedded_error({"type": "error", "error": event.error}) if event.error else None
    return reported or UNEXPLAINED


def arguments_of(text: str) -> msgspec.Raw:
    """The argument text as a JSON object for `input`; what is none is kept under `_raw`."""
    encoded = without_halves(restore_arguments(text, None).encode("utf-8", "replace"))
    if decode_object(encoded) is not None:
        return msgspec.Raw(encoded)
    return msgspec.Raw(msgspec.json.encode({"_raw": text}))


def sources_of(content: object) -> tuple[Citation, ...]:
    """The pages that a `web_search_tool_result` lists."""
    results = map(fields, entries(content))
    return tuple(
        Citation(url, text(result.get("title"))) for result in results if (url := text(result.get("url")))
    )


def _lenient(data: bytes) -> WireEvent | None:
    """The event without the members that have a wrong type."""
    given = decode_object(data)
    if given is None:
        return None
    delta = given.pop("delta", None)
    known = WireDelta(**_fitting(WireDelta, delta)) if isinstance(delta, dict) else None
    return WireEvent(**_fitting(WireEvent, given), delta=known)


def _fitting(type: type[msgspec.Struct], given: Json) -> Json:
    fitting: Json = {}
    for field in msgspec.structs.fields(type):
        with suppress(KeyError, msgspec.ValidationError):
            fitting[field.name] = msgspec.convert(given[field.name], field.type)
    return fitting
