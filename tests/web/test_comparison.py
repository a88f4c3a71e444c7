"""A request as received beside the request as sent."""

import pytest

from switchyard.protocols.neutral import Loss
from switchyard.protocols.readable import Part, ReadableRequest
from switchyard.web import comparison
from switchyard.web.comparison import ComparedMember, compare_fields, compare_members, compare_parts


def text(said: str, role: str = "user", **members: object) -> Part:
    return Part(role, "text", said, members=members)


def in_short(received: list[Part], sent: list[Part]) -> list[tuple[str, str | None, str | None]]:
    def said(part: Part | None) -> str | None:
        return None if part is None else part.text

    return [(one.change, said(one.received), said(one.sent)) for one in compare_parts(received, sent)]


def test_members_are_the_same_changed_dropped_or_added() -> None:
    found = compare_members({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5}, [Loss("c", "no such field")])
    assert found == [
        ComparedMember("a", "same", 1, 1),
        ComparedMember("b", "changed", 2, 4),
        ComparedMember("c", "dropped", 3, why="no such field"),
        ComparedMember("d", "added", sent=5),
    ]


def test_a_field_with_another_name_in_the_other_protocol_is_one_row() -> None:
    received = ReadableRequest({"model": "m", "stop_sequences": ["x"], "top_k": 4}, (), ())
    sent = ReadableRequest({"model": "n", "stop": ["x"], "stream_options": {}}, (), ())
    found = compare_fields(received, sent, ("messages", "chat"), ())
    assert [(one.name, one.change, one.sent_as) for one in found] == [
        ("model", "changed", ""),
        ("stop_sequences", "renamed", "stop"),
        ("top_k", "dropped", ""),
        ("stream_options", "added", ""),
    ]


def test_parts_are_compared_with_their_counterparts() -> None:
    received = [text("a", "system"), text("one"), text("gone"), text("two"), text("last")]
    sent = [text("b", "system"), text("one"), text("two"), text("new", "assistant"), text("last")]
    assert in_short(received, sent) == [
        ("changed", "a", "b"),
        ("same", "one", "one"),
        ("dropped", "gone", None),
        ("same", "two", "two"),
        ("added", None, "new"),
        ("same", "last", "last"),
    ]


def test_texts_that_were_sent_as_one_are_joined() -> None:
    received = [text("Be short.", "system"), text("Be kind.", "system"), text("gone", "system"), text("hi")]
    sent = [text("Be short.\n\nBe kind.", "system"), text("hi")]
    assert in_short(received, sent) == [
        ("changed", "Be short.", "Be short.\n\nBe kind."),
        ("joined", "Be kind.", None),
        ("dropped", "gone", None),
        ("same", "hi", "hi"),
    ]


def test_a_part_with_other_members_is_changed() -> None:
    (found,) = compare_parts([text("a", cache_control={}, x=1)], [text("a", x=1)])
    assert (found.change, found.members) == ("changed", (ComparedMember("cache_control", "dropped", {}),))


@pytest.mark.parametrize("most", [0, 250_000])
def test_long_conversations_are_compared_in_full_or_in_their_order(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "MAX_COMPARED", most)
    received = [text(str(number)) for number in range(500)]
    sent = [text(str(number)) for number in range(500) if number not in (100, 400)]
    found = compare_parts(received, sent)
    assert [one.received for one in found if one.received] == received
    assert [one.sent for one in found if one.sent] == sent
    changes = {one.change for one in found}
    assert changes == ({"same", "dropped"} if most else {"same", "changed", "dropped"})


def test_an_empty_side_is_all_added_or_dropped() -> None:
    assert in_short([], [text("a")]) == [("added", None, "a")]
    assert in_short([text("a")], []) == [("dropped", "a", None)]
