"""Read the members of a request body one by one, each only when it is needed."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import msgspec

ABSENT = msgspec.Raw(b"")
HISTORY = ("messages", "input")


class Members(msgspec.Struct, frozen=True):
    """The watched members as they stand in a body, ABSENT where it does not have them.

    They are found in the one scan that every body needs; any other costs a second scan.
    """

    model: msgspec.Raw = ABSENT
    stream: msgspec.Raw = ABSENT
    metadata: msgspec.Raw = ABSENT
    prompt_cache_key: msgspec.Raw = ABSENT
    stream_options: msgspec.Raw = ABSENT
    messages: msgspec.Raw = ABSENT
    input: msgspec.Raw = ABSENT
    system: msgspec.Raw = ABSENT
    instructions: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT
    tool_choice: msgspec.Raw = ABSENT
    parallel_tool_calls: msgspec.Raw = ABSENT
    max_tokens: msgspec.Raw = ABSENT
    max_completion_tokens: msgspec.Raw = ABSENT
    max_output_tokens: msgspec.Raw = ABSENT
    temperature: msgspec.Raw = ABSENT
    top_p: msgspec.Raw = ABSENT
    top_k: msgspec.Raw = ABSENT
    stop: msgspec.Raw = ABSENT
    thinking: msgspec.Raw = ABSENT
    output_config: msgspec.Raw = ABSENT
    output_format: msgspec.Raw = ABSENT
    context_management: msgspec.Raw = ABSENT
    cache_control: msgspec.Raw = ABSENT
    reasoning: msgspec.Raw = ABSENT
    reasoning_effort: msgspec.Raw = ABSENT
    response_format: msgspec.Raw = ABSENT
    text: msgspec.Raw = ABSENT
    include: msgspec.Raw = ABSENT
    user: msgspec.Raw = ABSENT
    safety_identifier: msgspec.Raw = ABSENT
    service_tier: msgspec.Raw = ABSENT
    client_metadata: msgspec.Raw = ABSENT
    store: msgspec.Raw = ABSENT
    previous_response_id: msgspec.Raw = ABSENT
    background: msgspec.Raw = ABSENT

    def get(self, name: str) -> msgspec.Raw | None:
        raw: msgspec.Raw = getattr(self, name)
        return None if raw is ABSENT else raw


WATCHED = frozenset(Members.__struct_fields__)
watched_members: Callable[[bytes], Members] = msgspec.json.Decoder(Members).decode
"""Raises what msgspec raises for anything but a JSON object."""
_scan_all = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def history_in(members: Members) -> msgspec.Raw | None:
    """The conversation, wherever it is."""
    return next((raw for name in HISTORY if (raw := members.get(name)) is not None), None)


class Document(MutableMapping[str, Any]):
    """The members of a body: each is decoded when it is first read, and encoded only if it was set.

    What a member holds is therefore never changed in place: a new value is set. Reading raises what msgspec raises.
    """

    def __init__(
        self, body: bytes, watched: Members | None = None, signs: frozenset[str] | None = None
    ) -> None:
        self.body = body
        self.watched = watched_members(body) if watched is None else watched
        self.signs = signs
        """those of the repairs in its history, if they are known"""
        self._every: dict[str, msgspec.Raw] | None = None
        self._decoded: dict[str, Any] = {}
        self._set: dict[str, Any] = {}
        self._deleted: set[str] = set()
        self.history_is_changed = False

    def mentions(self, *words: bytes) -> bool:
        """True if one of them occurs anywhere, spelled as JSON encoders do, without escapes for letters."""
        for word in words:
            if word in self.body:
                return True
        return False

    def mentions_within(self, name: str, *words: bytes) -> bool:
        """The same of one member as it stands in the body."""
        raw = bytes(self.raw(name))
        for word in words:
            if word in raw:
                return True
        return False

    def raw(self, name: str) -> msgspec.Raw:
        """The member as it stands in the body; ABSENT if there is none."""
        if name in WATCHED:
            raw: msgspec.Raw = getattr(self.watched, name)
            return raw
        return self._all.get(name, ABSENT)

    @property
    def history_is_decoded(self) -> bool:
        return any(name in self._decoded or name in self._set for name in HISTORY)

    @property
    def is_changed(self) -> bool:
        return bool(self._set or self._deleted)

    @property
    def changed(self) -> frozenset[str]:
        return frozenset(self._set) | self._deleted

    def original(self, name: str) -> Any:
        """The value in the body; None for a member that it does not have."""
        raw = self.raw(name)
        return None if raw is ABSENT else msgspec.json.decode(raw)

    def encode(self) -> bytes:
        """The body with the changes; what was not set stays byte for byte."""
        kept = {name: raw for name, raw in self._all.items() if name not in self._deleted}
        return msgspec.json.encode({**kept, **self._set})

    def get(self, name: str, default: Any = None) -> Any:
        """Without an exception for each member that is not there, as most are not."""
        found = self._find(name)
        return default if found is ABSENT else found

    def __getitem__(self, name: str) -> Any:
        found = self._find(name)
        if found is ABSENT:
            raise KeyError(name)
        return found

    def _find(self, name: str) -> Any:
        if name in self._set:
            return self._set[name]
        if name not in self._decoded:
            raw = ABSENT if name in self._deleted else self.raw(name)
            if raw is ABSENT:
                return ABSENT
            self._decoded[name] = msgspec.json.decode(raw)
        return self._decoded[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._set[name] = value
        self._deleted.discard(name)
        self.history_is_changed = self.history_is_changed or name in HISTORY

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._set.pop(name, None)
        self._decoded.pop(name, None)
        if self.raw(name) is not ABSENT:
            self._deleted.add(name)
        self.history_is_changed = self.history_is_changed or name in HISTORY

    def __contains__(self, name: object) -> bool:
        if name in self._set:
            return True
        return isinstance(name, str) and name not in self._deleted and self.raw(name) is not ABSENT

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(name for name in self._all if name in self), **self._set})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def _all(self) -> dict[str, msgspec.Raw]:
        if self._every is None:
            self._every = _scan_all(self.body)
        return self._every
