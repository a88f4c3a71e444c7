"""Halves of characters in JSON."""

import pytest

from switchyard.protocols.surrogates import without_halves


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (r"\ud83d", r"\ufffd"),
        (r"\ude00", r"\ufffd"),
        (r"\uD83D\uDE00", r"\uD83D\uDE00"),
        (r"\ud83d\ud83d\ude00\ude00", r"\ufffd\ud83d\ude00\ufffd"),
        (r"\\ud83d", r"\\ud83d"),
        (r"\\\ud83d", r"\\\ufffd"),
        (r"\\ud83d\ude00", r"\\ud83d\ufffd"),
        (r"\ud83d\\ude00", r"\ufffd\\ude00"),
        (r"\n\u4f60\ud83d\"", r"\n\u4f60\ufffd\""),
        (r"\ud8", r"\ud8"),
    ],
)
def test_only_a_half_that_stands_alone_is_replaced(body: str, whole: str) -> None:
    assert without_halves(body.encode()) == whole.encode()
