"""Test that patterns that are compiled late find what others find."""

import re

import pytest

import switchyard.serve  # noqa: F401  # imports all modules that have patterns
from switchyard.protocols.late_pattern import METHODS, compile_all, late

TEXT = "a1 b22 c"


def test_every_pattern_of_the_daemon_can_be_compiled() -> None:
    compile_all()


@pytest.mark.parametrize("method", ["findall", "search", "match", "fullmatch", "finditer"])
def test_a_late_pattern_finds_what_a_compiled_one_finds(method: str) -> None:
    found, expected = (
        getattr(kind(r"[A-Z](\d+)", re.IGNORECASE), method)(TEXT) for kind in (late, re.compile)
    )
    assert _spans(found) == _spans(expected)


def _spans(found: object) -> object:
    if isinstance(found, re.Match):
        return found.span()
    return found if isinstance(found, list | None) else [one.span() for one in found]  # type: ignore[attr-defined]


def test_it_substitutes_and_shows_its_pattern() -> None:
    pattern = late(r"\d")
    assert (pattern.sub("-", TEXT), pattern.pattern) == ("a- b-- c", r"\d")


def test_it_has_no_other_methods_of_patterns() -> None:
    assert "split" not in METHODS
    with pytest.raises(AttributeError):
        late("a").split("bab")
