"""How the opaque data of thinking blocks travels through a Messages client and back to its issuer.

A client of this protocol keeps a thinking block's `signature` (or a redacted block's `data`) as it came. Data
that another upstream issued travels there inside a carrier; a native signature stands for itself.
"""

from typing import Any

from switchyard.protocols import carrier
from switchyard.protocols.neutral import Signature, Thinking

REDACTED = "redacted:"
"""Marks, in a `Signature.payload`, the data of a block without text, which returns as `redacted_thinking`."""


def sealed(signature: Signature | None) -> str:
    """The string for the client. Never empty: clients forget thinking without a signature."""
    if signature is None:
        return carrier.pack("text", "", {})
    if is_carrier(signature.payload):
        return signature.payload
    if not signature.issuer:
        return signature.payload.removeprefix(REDACTED)
    return carrier.pack("thinking", signature.issuer, {"signature": signature.payload})


def opened(text: str) -> Signature | None:
    """What the client's string holds; None for our mark of unsigned thinking and for damaged carriers."""
    if not is_carrier(text):
        return Signature(text) if text else None
    packed = carrier.unpack(text)
    if packed is not None and packed.kind == "reasoning":
        # a whole item of its issuer, which reads the carrier itself
        return Signature(text, packed.issuer)
    payload = packed.payload.get("signature") if packed else None
    if packed is None or packed.kind != "thinking" or not isinstance(payload, str) or not payload:
        return None
    return Signature(payload, packed.issuer)


def decode_thinking(words: str, seal: str) -> Thinking:
    """The thinking of a client's block: with its own text, or the one that its signature carries."""
    return Thinking(words or carrier.carried_text(seal) or "", opened(seal))


def is_carrier(text: str) -> bool:
    return text.startswith(carrier.PREFIX)


def is_redacted(signature: Signature) -> bool:
    """True if thinking without text must reach the client as `redacted_thinking`: all but native signatures."""
    return bool(signature.issuer) or is_carrier(signature.payload) or signature.payload.startswith(REDACTED)


def replayed(thinking: Thinking, issuer: str) -> dict[str, Any] | None:
    """The block as the upstream that issued it sent it, None for every other upstream."""
    signature = thinking.signature
    if signature is None or not signature.is_from(issuer) or is_carrier(signature.payload):
        return None
    if signature.payload.startswith(REDACTED):
        return {"type": "redacted_thinking", "data": signature.payload.removeprefix(REDACTED)}
    return {"type": "thinking", "thinking": thinking.text, "signature": signature.payload}
