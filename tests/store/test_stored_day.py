import msgspec
import pytest

from switchyard.store.cell import Cell, Day, Talk, place_of
from switchyard.store.stored_day import UpstreamsOfDay, decode_day, encode_day, tidied
from tests.bed.statistics import a_line


def a_day() -> Day:
    line, cell, day = a_line(), Cell(), Day()
    cell.add(line)
    day.add(place_of(line), cell)
    day.add_to_talk(line)
    return day


def test_a_day_is_decoded_as_it_was_encoded_whole_or_in_part() -> None:
    text = encode_day(a_day())
    assert decode_day(text, Day) == a_day()
    assert decode_day(text, UpstreamsOfDay) == UpstreamsOfDay(a_day().upstreams)


@pytest.mark.parametrize("is_old", [False, True])
def test_a_day_loses_its_hours_by_upstream_and_an_old_one_its_sessions(is_old: bool) -> None:
    expected = msgspec.structs.replace(a_day(), upstream_hours={})
    if is_old:
        expected.sessions, expected.talks = {}, {}
    left = tidied(encode_day(a_day()), is_old)
    assert decode_day(left, Day) == expected
    assert tidied(left, is_old) is left


def test_an_old_day_loses_conversations_without_sums() -> None:
    assert decode_day(tidied(encode_day(Day(talks={"s1": Talk()})), is_old=True), Day) == Day()
