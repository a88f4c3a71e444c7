"""Inspect whole replies that pass through, lists of embeddings among them."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from switchyard.protocols.errors.decode import decode_embedded_error, decode_error
from switchyard.protocols.errors.table import BAD_GATEWAY, broken_answer
from switchyard.protocols.neutral import Usage
from switchyard.protocols.openai_chat import wire as chat
from switchyard.protocols.passthrough.inspect.inspector import WholeSummary, model_of
from switchyard.protocols.surrogates import without_halves
from switchyard.protocols.wire import UNREADABLE, Json, decode_object, entries, parsed_object, text


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
        error = broken_answer(f"The upstream's reply is not a {shape.name}.")
    signatures = [
        signature
        for part in entries(content)
        if isinstance(part, dict) and (signature := shape.signature(part))
    ]
    usage = shape.usage(reply) if reads_usage else None
    return WholeSummary(usage, error, model_of(reply), tuple(signatures))


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
        error = decode_embedded_error(parsed_object(body)) or broken_answer(chat.NO_CHOICES)
        return WholeSummary(error=error)
    usage = None
    if reads_usage:
        chunk = chat.Chunk(usage=whole.usage, timings=whole.timings, service_tier=whole.service_tier)
        usage = chat.usage_in(chunk, None)
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
        error = decode_embedded_error(parsed_object(body)) or broken_answer(NO_EMBEDDINGS)
        return WholeSummary(error=error)
    usage = chat.usage_in(chat.Chunk(usage=whole.usage), None)
    return WholeSummary(usage=usage, model=text(whole.model) or None)
