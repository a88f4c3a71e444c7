"""Identify the turn of a conversation that a request belongs to, however often and in whatever form it is repeated."""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from switchyard.protocols.names import ProtocolName
from switchyard.protocols.request_summary import RequestSummary
from switchyard.protocols.sessions import THREADS

DIGEST_BYTES = 16
NOTHING = msgspec.Raw(b"")


class _Conversation(msgspec.Struct):
    """The members that hold the conversation, as they stand in the body."""

    messages: msgspec.Raw = NOTHING
    input: msgspec.Raw = NOTHING


_decode = msgspec.json.Decoder(_Conversation).decode


def turn_of(protocol: ProtocolName, summary: RequestSummary, headers: Mapping[str, str], body: bytes) -> str:
    """The same key for every request of one turn, a different one for other turns, models and sub-agents.

    `headers` have lower-case names. Claude Code repeats a stream as a whole request with other `max_tokens`, so only
    the conversation counts where the client names its session or thread. Other programs repeat the same body.
    It reads the whole body: compute it only after a failure.
    """
    threads = [headers.get(name, "") for name in THREADS]
    owner = "\0".join((protocol, summary.model, summary.session, *threads))
    is_named = bool(summary.session or any(threads))
    digest = blake2b(owner.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES)
    for part in _conversation(body) if is_named else (body,):
        digest.update(b"\0")
        digest.update(part)
    return digest.hexdigest()


def _conversation(body: bytes) -> tuple[msgspec.Raw, ...]:
    found = _decode(body)
    return found.messages, found.input
