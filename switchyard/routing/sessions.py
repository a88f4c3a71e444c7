"""Session affinity: a bounded memory of each conversation's upstream, so that its prompt caches stay useful."""

from collections import Counter, OrderedDict
from collections.abc import Collection, Mapping

import msgspec
from msgspec.structs import replace

from switchyard.routing.rules import Ruled

MAX_SESSIONS = 10_000


class Affinity(msgspec.Struct, frozen=True):
    """The sticky upstream of a conversation. Times in monotonic seconds."""

    upstream: str
    last_used: float
    stays_since: float | None = None
    """since when the conversation has stayed although a better upstream could answer"""


def conversation_of(session: str, model: str, thread: str = "", ruled: Ruled | None = None) -> str:
    """The key of an affinity. A prompt cache belongs to one model and one sub-agent, and a rule selects upstreams."""
    if not session:
        return ""
    key = f"{session}\0{model}\0{thread}" if thread else f"{session}\0{model}"
    return key if ruled is None else f"{key}\0\0{ruled.affinity}"


def session_of(conversation: str) -> str:
    """The session of a key of an affinity."""
    return conversation.partition("\0")[0]


class Sessions:
    """Time is an argument."""

    def __init__(self, capacity: int = MAX_SESSIONS) -> None:
        self._affinities: OrderedDict[str, Affinity] = OrderedDict()
        """the longest idle one first"""
        self._at: dict[str, Counter[str]] = {}
        """upstream -> the number of conversations of each session there"""
        self._capacity = capacity

    def affinity_of(self, conversation: str, now: float, keep_seconds: float) -> Affinity | None:
        """The last upstream of the conversation; None if it is new, unknown, or has been idle for too long.

        One that is new under this key may continue an answer: `remember_session`.
        """
        affinity = self._affinities.get(conversation) or self._affinities.get(session_of(conversation))
        if affinity is None or now - affinity.last_used > keep_seconds:
            return None
        return affinity

    def remember(self, conversation: str, upstream: str, now: float, *, stays: bool = False) -> None:
        """The upstream has answered this conversation; `stays` if a better one could have."""
        if not conversation:
            return
        before = self._affinities.get(conversation)
        stays_since = now if stays else None
        if stays and before is not None and before.upstream == upstream and before.stays_since is not None:
            stays_since = before.stays_since
        self._affinities[conversation] = Affinity(upstream, now, stays_since)
        self._affinities.move_to_end(conversation)
        if before is None or before.upstream != upstream:
            self._moved(conversation, "" if before is None else before.upstream, upstream)
        while len(self._affinities) > self._capacity:
            self._forget_first()

    def remember_session(self, session: str, upstream: str, now: float) -> None:
        """The upstream has given the answer that this session continues, whatever model it asks for now."""
        self.remember(session, upstream, now)

    def sessions_at(self, upstream: str) -> Collection[str]:
        """The sessions that have a conversation there."""
        return self._at.get(upstream, {})

    def forget_idle(self, now: float, keep_seconds: float) -> None:
        """Forget the conversations that have been idle for longer."""
        while self._affinities and now - next(iter(self._affinities.values())).last_used > keep_seconds:
            self._forget_first()

    def _forget_first(self) -> None:
        conversation, affinity = self._affinities.popitem(last=False)
        self._moved(conversation, affinity.upstream, "")

    def _moved(self, conversation: str, before: str, after: str) -> None:
        """Count a conversation at its new upstream; "" is none."""
        session = session_of(conversation)
        if before:
            here = self._at[before]
            here[session] -= 1
            if not here[session]:
                del here[session]
        if after:
            self._at.setdefault(after, Counter())[session] += 1

    def rename(self, names: Mapping[str, str]) -> None:
        """Upstreams are renamed: old name -> new name."""
        for conversation, affinity in self._affinities.items():
            if affinity.upstream in names:
                self._affinities[conversation] = replace(affinity, upstream=names[affinity.upstream])
                self._moved(conversation, affinity.upstream, names[affinity.upstream])

    def __len__(self) -> int:
        return len(self._affinities)
