"""Write the messages of a request for an upstream, those that were written before from memory."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import Target
from switchyard.protocols.message_memory import MessageMemory, Written
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.repair.refused import rewrites_history
from switchyard.protocols.wire import Json

Encode = Callable[[neutral.Message], list[Json]]
Part = Json | msgspec.Raw
"""an object that stands in the body, or its bytes"""

_encode_into = msgspec.json.Encoder().encode_into


class Writer:
    """Writes messages with `encode`, those that it has written before from memory; `losses` is what `encode` fills."""

    def __init__(
        self,
        encode: Encode,
        losses: list[neutral.Loss],
        memory: MessageMemory | None,
        protocol: ProtocolName,
        target: Target,
        tools: Mapping[str, neutral.Tool],
    ) -> None:
        self._encode = encode
        self._losses = losses
        self.memory = None if memory is None or rewrites_history(target.capabilities) else memory
        self._form = 0
        self._new: list[Written] = []
        if self.memory is not None:
            known = replace(target.capabilities, max_output_tokens=None)  # may be set for one request
            self._form = self.memory.form(protocol, target.issuer, known, _digest_of_names(tools))

    def parts(self, message: neutral.Message) -> Sequence[Part]:
        """What the message is written as. Raises BadRequest."""
        if self.memory is None:
            return self._encode(message)
        written = self.memory.written(self._form, message)
        if written is not None:
            self._losses += written.losses
            return written.parts
        before = len(self._losses)
        parts = _in_their_bytes(self._encode(message))
        self._new.append(Written(message.content, parts, tuple(self._losses[before:])))
        return parts

    def open(self, part: Part, message: neutral.Message, number: int = 0) -> Json:
        """A part of this message as an object, to be looked into."""
        return self._encode(message)[number] if isinstance(part, msgspec.Raw) else part

    def close(self) -> None:
        """All messages were written."""
        if self.memory is not None and self._new:
            self.memory.keep_written(self._form, self._new)


def _in_their_bytes(parts: list[Json]) -> tuple[msgspec.Raw, ...]:
    """The bytes that `encode` of msgspec returns take up to half as much memory again, as long as they are kept."""
    buffer = bytearray()
    written = []
    for part in parts:
        _encode_into(part, buffer)
        written.append(msgspec.Raw(bytes(buffer)))
    return tuple(written)


def _digest_of_names(tools: Mapping[str, neutral.Tool]) -> bytes:
    names = [(wire, tool.namespace, tool.name) for wire, tool in tools.items()]
    return blake2b(repr(names).encode("utf-8", "surrogatepass"), digest_size=16).digest()
