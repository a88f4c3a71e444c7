"""The lines of `explain` for what a running daemon reports of held requests."""

from typing import Any

from switchyard.commands.explain import ALL_COOLING, explain_text


def reported(held_for: list[Any], held: list[Any]) -> list[str]:
    route = {"model": "m", "at": 1000.0, "candidates": [], "rescues": [], "skipped": []}
    text = explain_text({**route, "held_for": held_for, "held": held}, names_model=False)
    return text.splitlines()


def test_where_all_are_cooling_down_a_request_would_be_held() -> None:
    assert reported([{"upstream": "a", "model": "m", "not_before": None}], []) == [
        ALL_COOLING,
        "held for: a -> m: tried at once",
    ]


def test_what_is_held_already_is_counted_with_its_next_try() -> None:
    held_for = [{"upstream": name, "model": "m", "not_before": None} for name in "ab"]
    held = [
        {"upstream": "a", "model": "m", "requests": 19, "next_try": 1004},
        {"upstream": "b", "model": "m", "requests": 1, "next_try": None},
    ]
    assert reported(held_for, held) == [
        ALL_COOLING,
        "held for: a -> m: 19 requests are held, next try in 4 s",
        "held for: b -> m: 1 request is held, an attempt is running",
    ]


def test_requests_may_be_held_for_the_first_candidate_of_a_new_one() -> None:
    held = [{"upstream": "a", "model": "m", "requests": 2, "next_try": 999}]
    assert reported([], held) == ["held for: a -> m: 2 requests are held, next try in 0 s"]


def test_an_upstream_with_a_retry_after_is_tried_from_then_on() -> None:
    lines = reported([{"upstream": "a", "model": "m", "not_before": 2_000_000_000}], [])
    assert lines[1].startswith("held for: a -> m: tried from ") and lines[1].endswith(" on")
