"""What a conversation's upstream could read from its cache."""

import json

from switchyard.protocols.passthrough.peek import watched_members
from switchyard.protocols.prefix import Common, Prefix, prefix_of
from switchyard.relay.prefix_memory import CACHE_SECONDS, Known, PrefixMemory, Sent, is_of_another_kind

HERE = ("session", "", "one", "m")


def prefix(*texts: str) -> Prefix:
    history = [{"role": "user", "content": text * 1000} for text in texts]
    return prefix_of(watched_members(json.dumps({"model": "m", "messages": history}).encode()))


def sent(at: float, tokens: int, *texts: str) -> Sent:
    return Sent(prefix(*texts), at, tokens)


def test_the_previous_request_is_expected_as_far_as_it_is_repeated() -> None:
    memory = PrefixMemory()
    first, second = sent(0, 5000, "aa ", "bb "), sent(10, 9000, "aa ", "bb ", "cc ")
    assert memory.note(HERE, first) is None
    assert memory.note(HERE, second) == Known(first, Common(), 5000)
    third = sent(20, 12000, "aa ", "bb ", "cc ", "dd ")
    assert memory.note(HERE, third) == Known(second, Common(), 9000)


def test_a_cache_that_may_have_expired_is_not_expected() -> None:
    memory, first = PrefixMemory(), sent(0, 5000, "aa ", "bb ")
    memory.note(HERE, first)
    assert memory.note(HERE, sent(CACHE_SECONDS, 9000, "aa ", "bb ", "cc ")) == Known(first, Common(), None)


def test_other_conversations_threads_upstreams_and_models_have_caches_of_their_own() -> None:
    memory = PrefixMemory()
    memory.note(HERE, sent(0, 5000, "aa ", "bb "))
    for place in range(4):
        there = tuple("other" if number == place else part for number, part in enumerate(HERE))
        assert memory.note((there[0], there[1], there[2], there[3]), sent(1, 5000, "aa ", "bb ")) is None


def test_a_request_of_another_kind_between_does_not_hide_the_conversation() -> None:
    memory = PrefixMemory()
    first = sent(0, 5000, "aa ", "bb ")
    memory.note(HERE, first)
    memory.note(HERE, sent(1, 2500, "title "))
    assert memory.note(HERE, sent(2, 9000, "aa ", "bb ", "cc ")) == Known(first, Common(), 5000)


def test_a_changed_prefix_lowers_what_is_expected_and_is_named() -> None:
    memory = PrefixMemory()
    memory.note(HERE, sent(0, 9000, "aa ", "bb ", "cc "))
    expected = memory.note(HERE, sent(1, 9000, "aa ", "xx ", "cc "))
    assert expected is not None and expected.common.changed_in == "messages"
    assert expected.cached is not None and 2000 < expected.cached < 3500


def test_the_memory_is_bounded() -> None:
    memory = PrefixMemory(capacity=2)
    for name in ("a", "b", "c"):
        memory.note((name, "", "one", "m"), sent(0, 5000, "aa ", "bb "))
    assert memory.note(("a", "", "one", "m"), sent(1, 5000, "aa ", "bb ")) is None
    assert memory.note(("c", "", "one", "m"), sent(1, 5000, "aa ", "bb ")) is not None


def test_a_much_smaller_request_that_begins_differently_is_of_another_kind() -> None:
    memory = PrefixMemory()
    memory.note(HERE, sent(0, 9000, "aa ", "bb ", "cc "))
    title = sent(1, 3000, "xx ")
    known = memory.note(HERE, title)
    assert known is not None and is_of_another_kind(known, title)
    compacted = sent(2, 5000, "yy ", "bb ")
    known = memory.note(HERE, compacted)
    assert known is not None and not is_of_another_kind(known, compacted)
