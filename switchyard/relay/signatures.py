"""Remember which upstream issued which opaque data, so that no upstream gets what another one signed."""

import re
from collections import Counter, OrderedDict
from collections.abc import Iterable
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.ids import anthropic_call_id, openai_call_id
from switchyard.protocols.openai_chat.opaque import ids_in, with_own_members
from switchyard.protocols.passthrough.peek import watched_members
from switchyard.protocols.wire import fields
from switchyard.relay.values import ClientRequest

CAPACITY = 50_000
CALL_CAPACITY_BYTES = 32 * 1024 * 1024
LARGEST_CALL_BYTES = 1024 * 1024
NONE: frozenset[str] = frozenset()
ENTRY_COST = 200
"""what an entry takes in memory besides its texts"""
OPAQUE = re.compile(rb'"(?:signature|encrypted_content|data)"\s*:\s*"([A-Za-z0-9+/=_.-]{16,})"')


class SignatureLedger:
    """Learns the issuers of signatures from answers, and finds foreign ones in requests."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._issuers: OrderedDict[bytes, str] = OrderedDict()
        self._known: set[str] = set()
        self._capacity = capacity

    def note(self, issuer: str, signatures: Iterable[str]) -> None:
        """This issuer has issued these."""
        for signature in signatures:
            mark = _mark(signature.encode())
            self._issuers[mark] = issuer
            self._issuers.move_to_end(mark)
            self._known.add(issuer)
        while len(self._issuers) > self._capacity:
            self._issuers.popitem(last=False)

    def foreign(self, body: bytes, issuer: str) -> frozenset[str]:
        """The signatures in this request that are known to come from another issuer."""
        if self._known <= {issuer}:
            return NONE
        return frozenset(
            signature.decode()
            for signature in OPAQUE.findall(body)
            if self._issuers.get(_mark(signature), issuer) != issuer
        )


class CallLedger:
    """Keeps the opaque members of calls by the id and name of the call, which is all that a client returns."""

    def __init__(self, capacity_bytes: int = CALL_CAPACITY_BYTES) -> None:
        self._signatures: OrderedDict[tuple[str, str], neutral.Signature] = OrderedDict()
        self._ids: Counter[str] = Counter()
        self._size = 0
        self._capacity = capacity_bytes

    def note(self, calls: Iterable[neutral.ToolCall]) -> None:
        """The calls of an answer; each protocol spells their ids within its own limits."""
        for call in calls:
            if call.signature is not None and len(call.signature.payload) <= LARGEST_CALL_BYTES:
                for id in {call.id, anthropic_call_id(call.id), openai_call_id(call.id)}:
                    self._keep((id, call.name), call.signature)

    def signed(self, request: neutral.Request) -> neutral.Request:
        """The request, each call of its history with what its upstream has put beside it."""
        if not self._signatures:
            return request
        messages = tuple(
            replace(message, content=tuple(map(self._signed, message.content)))
            for message in request.messages
        )
        return replace(request, messages=messages)

    def returned(self, request: ClientRequest, issuer: str) -> ClientRequest:
        """The Chat request for this upstream: its own opaque members beside each call, and nobody else's."""
        if not self._signatures or request.protocol != "chat" or not self._knows_any(request.body):
            return request
        body = msgspec.json.decode(request.body)
        messages = with_own_members(fields(body), self._find, issuer)
        if messages is None:
            return request
        encoded = msgspec.json.encode({**body, "messages": messages})
        return replace(
            request, body=encoded, summary=replace(request.summary, members=watched_members(encoded))
        )

    def _knows_any(self, body: bytes) -> bool:
        return b'"tool_calls"' in body and any(id in self._ids for id in ids_in(body))

    def _signed(self, block: neutral.Block) -> neutral.Block:
        if not isinstance(block, neutral.ToolCall):
            return block
        signature = self._find(block.id, block.name)
        return block if signature is None else replace(block, signature=signature)

    def _find(self, id: str, name: str) -> neutral.Signature | None:
        signature = self._signatures.get((id, name))
        if signature is not None:
            self._signatures.move_to_end((id, name))
        return signature

    def _keep(self, key: tuple[str, str], signature: neutral.Signature) -> None:
        self._forget(key)
        self._signatures[key] = signature
        self._ids[key[0]] += 1
        self._size += _cost(signature)
        while self._size > self._capacity:
            self._forget(next(iter(self._signatures)))

    def _forget(self, key: tuple[str, str]) -> None:
        signature = self._signatures.pop(key, None)
        if signature is None:
            return
        self._size -= _cost(signature)
        self._ids[key[0]] -= 1
        if not self._ids[key[0]]:
            del self._ids[key[0]]


def _cost(signature: neutral.Signature) -> int:
    return len(signature.payload) + ENTRY_COST


def _mark(signature: bytes) -> bytes:
    return blake2b(signature, digest_size=12).digest()
