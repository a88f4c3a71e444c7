"""Decode and encode reasoning items, which only their issuer can read again."""

from collections.abc import Iterable
from typing import Any

from switchyard.protocols import carrier, neutral
from switchyard.protocols.wire import Json, json_text, parsed_object, text

MODEL_FIELDS = ("text", "thinking")


def decode_reasoning(item: Json) -> neutral.Thinking | None:
    """The reasoning of a history; None if nothing of it can be used."""
    reported = reasoning_text(item)
    encrypted = text(item.get("encrypted_content"))
    carried = carrier.unpack(encrypted) if encrypted else None
    if carried is not None:
        return _carried_thinking(carried, reported)
    if encrypted:
        return neutral.Thinking(reported, neutral.Signature(json_text(item)), redacted=not reported)
    return neutral.Thinking(reported) if reported else None


def _carried_thinking(carried: carrier.Carrier, reported: str) -> neutral.Thinking | None:
    payload = carried.payload
    if carried.kind == "reasoning":
        signature = neutral.Signature(json_text(payload), carried.issuer)
        return neutral.Thinking(reported or reasoning_text(payload), signature, redacted=not reported)
    thought = next(
        (payload[field] for field in MODEL_FIELDS if isinstance(payload.get(field), str)), reported
    )
    if carried.kind != "thinking":
        return neutral.Thinking(thought) if thought else None
    signature = neutral.Signature(text(payload.get("signature")), carried.issuer)
    return neutral.Thinking(thought, signature, redacted=payload.get("redacted") is True)


def restored_item(thinking: neutral.Thinking, issuer: str) -> Json | None:
    """The item that this issuer once made, or None: foreign reasoning is refused by every upstream."""
    signature = thinking.signature
    if signature is None or not signature.is_from(issuer):
        return None
    carried = carrier.unpack(signature.payload)
    if carried is not None:
        return dict(carried.payload) if is_own_item(carried, issuer) else None
    item = parsed_object(signature.payload)
    return item if item.get("type") == "reasoning" else None


def is_own_item(carried: carrier.Carrier, issuer: str) -> bool:
    return bool(issuer) and carried.kind == "reasoning" and carried.issuer == issuer


def reply_signature(item: Json, issuer: str) -> neutral.Signature | None:
    """The whole item of an answer in a carrier that any client can keep."""
    if not text(item.get("encrypted_content")):
        return None
    return neutral.Signature(carrier.pack("reasoning", issuer, item), issuer)


def reasoning_text(item: Json) -> str:
    """The summaries, or else the reasoning itself, its parts apart by a blank line."""
    return "\n\n".join(reasoning_parts(item))


def reasoning_parts(item: Json, source: str = "") -> list[str]:
    """The parts of `summary` or `content`, or of whichever there is."""
    return _texts(item.get(source)) if source else _texts(item.get("summary")) or _texts(item.get("content"))


def _texts(parts: Any) -> list[str]:
    if not isinstance(parts, Iterable) or isinstance(parts, str):
        return []
    return [part["text"] for part in parts if isinstance(part, dict) and text(part.get("text"))]
