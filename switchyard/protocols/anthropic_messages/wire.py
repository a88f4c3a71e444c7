"""The words of Anthropic Messages that more than one file needs.

https://platform.claude.com/docs/en/api/messages
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from switchyard.protocols.errors.decode import decode_embedded_error
from switchyard.protocols.neutral import StopReason, WireError
from switchyard.protocols.sse import Record
from switchyard.protocols.surrogates import without_halves
from switchyard.protocols.tools.calls import restore_arguments
from switchyard.protocols.walk import UNEXPLAINED
from switchyard.protocols.wire import decode_object, repaired

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
    citation: dict[str, Any] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None


class WireEvent(msgspec.Struct):
    """Any event of a stream; typed, because reading one must cost next to nothing."""

    type: str = ""
    index: int = 0
    delta: WireDelta | None = None
    content_block: dict[str, Any] | None = None
    message: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_decode_event = msgspec.json.Decoder(WireEvent).decode
KEPT_TYPES: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "index": int,
    "content_block": dict,
    "message": dict,
    "usage": dict,
    "error": object,
}


def read_event(record: Record) -> WireEvent | None:
    """The event, its type taken from the `event:` line if the data has none; None if it is no JSON object."""
    try:
        event: WireEvent | None = _decode_event(record.data)
    except UnicodeDecodeError:
        return read_event(Record(repaired(record.data), record.event))
    except msgspec.ValidationError:
        event = _lenient_event(record.data)
    except (msgspec.DecodeError, RecursionError):
        event = None
    if record.event == "error" or (event is not None and event.type == "error"):
        return WireEvent("error", error=event.error if event and event.error else _whole_error(record.data))
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


def _whole_error(data: bytes) -> Any:
    """What an error record without `error` says: the fields of the error itself, or plain text."""
    return decode_object(data) or data.decode("utf-8", "replace")


def _lenient_event(data: bytes) -> WireEvent | None:
    """The event without the fields that have a wrong type."""
    fields = decode_object(data)
    if fields is None:
        return None
    kept = {
        name: fields[name]
        for name, type_ in KEPT_TYPES.items()
        if name in fields and isinstance(fields[name], type_)
    }
    delta = fields.get("delta")
    return WireEvent(**kept, delta=_lenient_delta(delta) if isinstance(delta, dict) else None)


def _lenient_delta(fields: dict[str, Any]) -> WireDelta:
    objects = ("citation", "stop_details")
    return WireDelta(
        **{
            name: fields[name]
            for name in WireDelta.__struct_fields__
            if isinstance(fields.get(name), dict if name in objects else str)
        }
    )
