"""Patterns of model names, compared with those of the standard library."""

import fnmatch
import random
import re

import pytest

from switchyard.protocols.names import matches


def by_regular_expression(pattern: str, model: str) -> bool:
    pattern, model = pattern.lower(), model.lower()
    return pattern == model or (
        any(sign in pattern for sign in "*?") and fnmatch.fnmatchcase(model, pattern.replace("[", "[[]"))
    )


@pytest.mark.parametrize("seed", range(20))
def test_patterns_match_as_in_the_standard_library(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(2000):
        pattern = "".join(chance.choices("ab[*?", k=chance.randrange(8)))
        model = "".join(chance.choices("abA[*?", k=chance.randrange(8)))
        assert matches(pattern, model) == by_regular_expression(pattern, model), (pattern, model)


def test_ten_thousand_patterns_compile_no_regular_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(re, "compile", lambda pattern, *_: compiled.append(pattern))
    monkeypatch.setattr(fnmatch, "_compile_pattern", lambda pattern: compiled.append(pattern))
    found = [number for number in range(10_000) if matches(f"a{number}-*-?", "a77-b-c")]
    assert (found, compiled) == ([77], [])


def test_a_pattern_with_many_stars_takes_no_exponential_time() -> None:
    assert not matches("*a" * 200 + "b", "a" * 2000)
    assert not matches("?*a" * 200 + "b", "a" * 2000)
