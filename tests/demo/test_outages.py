"""Outages of the demo model that prompts request: their start, their length, and what is remembered."""

import pytest

from switchyard.demo.outages import MAX_OUTAGES, MAX_SECONDS, REMEMBERED_SECONDS, Outages

PROMPT = "demo: outage 20"


def down(outages: Outages, text: str, now: float) -> int | None:
    """The status with which a request of this prompt fails; None if it is answered."""
    outage = outages.ask(text, now)
    return outage.status if outage is not None and outage.is_on else None


@pytest.mark.parametrize("text", ["hello", "demo: outage", "demo: outage soon", "demo: fail 503", ""])
def test_a_prompt_without_an_outage_is_answered(text: str) -> None:
    assert Outages().ask(text, 0.0) is None


@pytest.mark.parametrize(
    ("text", "status", "seconds"),
    [
        ("demo: outage 20", 503, 20),
        ("please demo:outage 2.5 now", 503, 2.5),
        ("demo: outage 20 529", 529, 20),
        ("demo: outage 20 429.", 429, 20),
        ("demo: outage 20 times", 503, 20),
        ("demo: outage 20 200", 503, 20),
        ("demo: outage 20 5030", 503, 20),
        ("demo: outage 86400", 503, MAX_SECONDS),
        ("demo: outage 99999999999999999999", 503, MAX_SECONDS),
    ],
)
def test_the_prompt_names_the_length_and_the_status(text: str, status: int, seconds: float) -> None:
    outages = Outages()
    assert [down(outages, text, at) for at in (5.0, 5.0 + seconds - 0.1, 5.0 + seconds)] == [
        status,
        status,
        None,
    ]


def test_an_outage_of_no_length_is_none() -> None:
    assert down(Outages(), "demo: outage 0", 5.0) is None


def test_the_end_is_counted_from_the_first_request() -> None:
    outages = Outages()
    assert [down(outages, PROMPT, at) for at in (0.0, 1.0, 3.0, 7.0, 15.0, 30.0)] == [503] * 5 + [None]
    outage = outages.ask(PROMPT, 31.0)
    assert outage is not None
    assert (outage.seconds, outage.failures, outage.age) == (20.0, 5, 31.0)


def test_every_prompt_has_its_own_outage() -> None:
    outages = Outages()
    assert down(outages, PROMPT, 0.0) == 503
    assert down(outages, f"{PROMPT} again", 25.0) == 503
    assert down(outages, PROMPT, 25.0) is None


@pytest.mark.parametrize(("later", "status"), [(REMEMBERED_SECONDS, None), (REMEMBERED_SECONDS + 1, 503)])
def test_the_same_prompt_begins_a_new_outage_some_time_after_the_end(
    later: float, status: int | None
) -> None:
    outages = Outages()
    down(outages, PROMPT, 0.0)
    assert down(outages, PROMPT, 20.0 + later) == status


def test_only_so_many_are_remembered_and_of_their_prompts_next_to_nothing() -> None:
    outages = Outages()
    for number in range(MAX_OUTAGES + 1):
        down(outages, f"{PROMPT} {number} {'x' * 10_000}", 0.0)
    assert down(outages, f"{PROMPT} {MAX_OUTAGES} {'x' * 10_000}", 20.0) is None
    assert down(outages, f"{PROMPT} 0 {'x' * 10_000}", 20.0) == 503
    assert len(outages) == MAX_OUTAGES
