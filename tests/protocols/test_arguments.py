"""Arguments arrive in any pieces and are known to be complete at the right moment."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.protocols.arguments import Arguments, EndlessBlank

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=4), JSON, min_size=1, max_size=4)


@settings(max_examples=200)
@given(OBJECTS, st.lists(st.integers(0, 200), max_size=6))
def test_an_object_cut_anywhere_is_complete_at_its_last_character(
    value: dict[str, object], cuts: list[int]
) -> None:
    text = msgspec.json.encode(value).decode()
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    arguments = Arguments()
    reported = ""
    for piece in pieces:
        assert not arguments.is_complete
        reported += arguments.take(piece)
    assert (reported, arguments.text, arguments.is_complete) == (text, text, True)


@pytest.mark.parametrize(
    "pieces, reported, is_complete",
    [
        (['{"a":1}', "x"], ['{"a":1}', ""], True),
        (['{"a":1} \n'], ['{"a":1}'], True),
        ([' {"a":1}'], [' {"a":1}'], True),
        (["{}"], [""], False),
        (["{ }"], ["{ }"], False),
        (["{", "}"], ["{", "}"], False),
        (["{}", '{"a":', "1}"], ["", '{"a":', "1}"], True),
        (["", " ", '{"a":1}'], ["", "", '{"a":1}'], True),
        (['{"a"', '{"a":1', '{"a":1}'], ['{"a"', ":1", "}"], True),
        (['{"a":"b', '{"a":"bc"}'], ['{"a":"b', 'c"}'], True),
        (['{"a":"\\', '"}', '"}'], ['{"a":"\\', '"}', '"}'], True),
        (['{"a":"b\\', "", '"', '"}'], ['{"a":"b\\', "", '"', '"}'], True),
        (['{"a":"b\\', "n", '"}'], ['{"a":"b\\', "n", '"}'], True),
        (['{"a":"\\x"}}'], ['{"a":"\\x"}'], True),
        (['{"a":{"b":1}}'], ['{"a":{"b":1}}'], True),
        (['{"a":1}}'], ['{"a":1}'], True),
        (['"{\\"a\\":1}"'], ['"{\\"a\\":1}"'], False),
        (["[1]"], ["[1]"], False),
    ],
)
def test_what_each_piece_adds(pieces: list[str], reported: list[str], is_complete: bool) -> None:
    arguments = Arguments()
    assert [arguments.take(piece) for piece in pieces] == reported
    assert arguments.is_complete is is_complete


def test_endless_whitespace_is_noticed() -> None:
    arguments = Arguments()
    arguments.take('{"a":')
    with pytest.raises(EndlessBlank):
        for _ in range(100):
            arguments.take(" \n\t   ")
