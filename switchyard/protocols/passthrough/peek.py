"""Read the members of a request body one by one, each only when it is needed."""

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

import msgspec

WATCHED = """
model stream metadata prompt_cache_key stream_options messages input system instructions tools tool_choice
parallel_tool_calls max_tokens max_completion_tokens max_output_tokens temperature top_p top_k stop thinking
output_config output_format context_management cache_control reasoning reasoning_effort response_format text include
user safety_identifier service_tier client_metadata store previous_response_id
""".split()
"""Members that are found in the one scan that every body needs; any other costs a second scan."""
ABSENT = msgspec.Raw(b"")
HISTORY = ("messages", "input")
_WATCHED = frozenset(WATCHED)


class Members(msgspec.Struct, frozen=True):
    """The watched members as they stand in the body; this one has none."""

    def get(self, name: str) -> msgspec.Raw | None:
        raw: msgspec.Raw = getattr(self, name, ABSENT)
        return None if raw is ABSENT else raw


_Watched = msgspec.defstruct(
    "_Watched", [(name, msgspec.Raw, ABSENT) for name in WATCHED], bases=(Members,), frozen=True
)
_scan: Callable[[bytes], Any] = msgspec.json.Decoder(_Watched).decode
_scan_all = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def watched_members(body: bytes) -> Members:
    """Raises what msgspec raises for anything but a JSON object."""
    members: Members = _scan(body)
    return members


def has_any(members: Members, names: Iterable[str]) -> bool:
    """True if the body has one of these."""
    for name in names:
        if getattr(members, name, ABSENT) is not ABSENT:
            return True
    return False


class Document(MutableMapping[str, Any]):
    """The members of a body: each is decoded when it is first read, and encoded only if it was set.

    What a member holds is therefore never changed in place: a new value is set. Reading raises what msgspec raises.
    """

    def __init__(self, body: bytes, watched: Members | None = None) -> None:
        self.body = body
        self._watched = watched_members(body) if watched is None else watched
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
        return any(word in raw for word in words)

    def raw(self, name: str) -> msgspec.Raw:
        """The member as it stands in the body; ABSENT if there is none."""
        if name in _WATCHED:
            raw: msgspec.Raw = getattr(self._watched, name, ABSENT)
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
