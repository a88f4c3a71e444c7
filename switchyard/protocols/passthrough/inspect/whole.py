"""Inspect whole replies that pass through, lists of embeddings among them."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from switchyard.protocols.errors.decode import decode_embedded_error, decode_error
from switchyard.protocols.errors.table import BAD_GATEWAY
from switchyard.protocols.neutral import ErrorType, Usage, WireError
from switchyard.protocols.openai_chat import wire as chat
from switchyard.protocols.passthrough.inspect.inspector import WholeSummary, model_of
from switchyard.protocols.surrogates import without_halves
from switchyard.protocols.wire import UNREADABLE, Json, decode_object, entries, fields, parsed, text


class Shape(msgspec.Struct, frozen=True):
    """Where a whole reply of a protocol has its content, and what it is called."""

    content: str
    signature: Callable[[Json], str]
    usage: Callable[[Json], Usage | None]
    name: str


def summarize_object(shape: Shape, body: bytes, *, reads_usage: bool = True) -> WholeSummary:
    reply = decode_object(body)
    if reply is None:
        return WholeSummary()
    content = reply.get(shape.content)
    error = decode_embedded_error(reply)
    if error is None and not isinstance(content, list):
        error = WireError(ErrorType.SERVER, f"The upstream's reply is not a {shape.name}.", BAD_GATEWAY)
    signatures = [shape.signature(part) for part in entries(content) if isinstance(part, dict)]
    return WholeSummary(
        usage=shape.usage(reply) if reads_usage else None,
        error=error,
        model=model_of(reply),
        signatures=tuple(filter(None, signatures)),
    )


class _Chat(msgspec.Struct):
    """The few fields of a whole Chat reply that matter; choices, which are most of it, are only looked at."""

    model: Any = None
    usage: Any = None
    timings: Any = None
    service_tier: Any = None
    system_fingerprint: Any = None
    error: Any = None
    choices: msgspec.Raw = msgspec.Raw(b"")


_read_chat = msgspec.json.Decoder(_Chat).decode
CHOICES = re.compile(rb"\s*\[\s*\{")


def summarize_chat(body: bytes, *, reads_usage: bool = True) -> WholeSummary:
    try:
        whole = _read_chat(without_halves(body))
    except UNREADABLE:
        return WholeSummary(error=decode_error(BAD_GATEWAY, body))
    if whole.error or not CHOICES.match(whole.choices):
        reported = decode_embedded_error(fields(parsed(body)))
        return WholeSummary(error=reported or WireError(ErrorType.SERVER, chat.NO_CHOICES, BAD_GATEWAY))
    chunk = chat.Chunk(usage=whole.usage, timings=whole.timings, service_tier=whole.service_tier)
    usage = chat.usage_in(chunk, None) if reads_usage else None
    model, fingerprint = text(whole.model) or None, text(whole.system_fingerprint)
    return WholeSummary(usage=usage, model=model, fingerprint=fingerprint)


DATA = re.compile(rb"\s*\[")
NO_EMBEDDINGS = "The upstream's reply has no embeddings."


class _Embeddings(msgspec.Struct):
    """The few fields of a list of embeddings that matter; the numbers are only looked at."""

    model: Any = None
    usage: Any = None
    error: Any = None
    data: msgspec.Raw = msgspec.Raw(b"")


_read_embeddings = msgspec.json.Decoder(_Embeddings).decode


def summarize_embeddings(body: bytes) -> WholeSummary:
    """https://platform.openai.com/docs/api-reference/embeddings"""
    try:
        whole = _read_embeddings(body)
    except UNREADABLE:
        return WholeSummary(error=decode_error(BAD_GATEWAY, body))
    if whole.error or not DATA.match(whole.data):
        reported = decode_embedded_error(fields(parsed(body)))
        return WholeSummary(error=reported or WireError(ErrorType.SERVER, NO_EMBEDDINGS, BAD_GATEWAY))
    usage = chat.usage_in(chat.Chunk(usage=whole.usage), None)
    return WholeSummary(usage=usage, model=text(whole.model) or None)
