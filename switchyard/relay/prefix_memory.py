"""Remember how each conversation's last requests began, to know what an upstream had got before."""

from collections import OrderedDict

import msgspec

from switchyard.protocols.prefix import Common, Prefix, common_prefix

CACHE_SECONDS = 270.0
"""the shortest life of a prompt cache is five minutes from its last use; the rest is for the way there"""
MAX_CONVERSATIONS = 256
MAX_EACH = 4
"""the requests of one conversation do not all begin alike: titles, checks, sub-agents without an id"""

Conversation = tuple[str, str, str, str]
"""session, thread, upstream, upstream model"""


class Sent(msgspec.Struct, frozen=True):
    """A request that was answered: when it began, and the tokens of its prompt as the upstream reported them."""

    prefix: Prefix
    at: float
    tokens: int


class Known(msgspec.Struct, frozen=True):
    """The earlier request that a request has most in common with, and how many tokens could be read from the cache,
    None if that may have expired."""

    earlier: Sent
    common: Common
    cached: int | None


class PrefixMemory:
    """Bounded: the oldest conversation makes way. Time is an argument."""

    def __init__(self, capacity: int = MAX_CONVERSATIONS) -> None:
        self._sent: OrderedDict[Conversation, list[Sent]] = OrderedDict()
        self._capacity = capacity

    def note(self, conversation: Conversation, sent: Sent) -> Known | None:
        """What this upstream had got of the conversation before; None if it was nothing."""
        earlier = self._sent.get(conversation, [])
        known = [_known(one, sent) for one in earlier]
        # a request that goes on takes the place of the one before
        kept = [one.earlier for one in known if one.common.changed_in]
        self._sent[conversation] = [*kept, sent][-MAX_EACH:]
        self._sent.move_to_end(conversation)
        while len(self._sent) > self._capacity:
            self._sent.popitem(last=False)
        return max(known, key=lambda one: one.common.share * one.earlier.tokens, default=None)


def _known(earlier: Sent, sent: Sent) -> Known:
    common = common_prefix(earlier.prefix, sent.prefix)
    is_fresh = 0 <= sent.at - earlier.at < CACHE_SECONDS
    return Known(earlier, common, int(earlier.tokens * common.share) if is_fresh else None)


def is_of_another_kind(known: Known, sent: Sent) -> bool:
    """A much smaller request that begins differently, such as one for a title, is no change of the conversation."""
    return bool(known.common.changed_in) and sent.tokens < known.earlier.tokens / 2
