"""Remember how each conversation's last requests began, to know what an upstream could read from its cache."""

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


class Expected(msgspec.Struct, frozen=True):
    """How many tokens could be read from the cache, and where the request differs from the one before."""

    tokens: int
    common: Common


class PrefixMemory:
    """Bounded: the oldest conversation makes way. Time is an argument."""

    def __init__(self, capacity: int = MAX_CONVERSATIONS) -> None:
        self._sent: OrderedDict[Conversation, list[Sent]] = OrderedDict()
        self._capacity = capacity

    def note(self, conversation: Conversation, sent: Sent) -> Expected | None:
        """What the upstream could have read from its cache; None if nothing was sent to it shortly before."""
        earlier = self._sent.get(conversation, [])
        fresh = [one for one in earlier if 0 <= sent.at - one.at < CACHE_SECONDS]
        compared = [(common_prefix(one.prefix, sent.prefix), one) for one in fresh]
        expected = [Expected(int(one.tokens * common.share), common) for common, one in compared]
        continued = [one for common, one in compared if not common.changed_in]
        kept = [one for one in fresh if not any(one is other for other in continued)]
        self._sent[conversation] = [*kept, sent][-MAX_EACH:]
        self._sent.move_to_end(conversation)
        while len(self._sent) > self._capacity:
            self._sent.popitem(last=False)
        return max(expected, key=lambda one: one.tokens, default=None)
