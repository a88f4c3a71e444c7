"""What is worth a notification, decided from snapshots; and how often the same cause is reported."""

import json
from typing import Any

import pytest

from switchyard.exchange import Attempt, Exchange, Failure, FailureKind, Outcome
from switchyard.notifications.events import MAX_CAUSES, Event, Limiter, Snapshot, changes, switch_of
from switchyard.notifications.message import post_of, variables_of
from switchyard.protocols.neutral import ErrorType, WireError

CALM = Snapshot(accounts={"a", "b"})
COOLING = Snapshot(accounts={"a", "b"}, cooling={("a", ""): "503 overloaded", ("b", "gpt"): "429"})


def texts(before: Snapshot, now: Snapshot) -> list[tuple[str, str]]:
    return [(event.kind, event.text) for event in changes(before, now)]


def test_a_cooldown_and_its_end_are_events() -> None:
    assert texts(CALM, COOLING) == [
        ("cooldown", '"a" is cooling down: 503 overloaded'),
        ("cooldown", 'model gpt of "b" is cooling down: 429'),
    ]
    assert texts(COOLING, CALM) == [
        ("recovered", '"a" answers again'),
        ("recovered", 'model gpt of "b" answers again'),
    ]
    assert texts(COOLING, COOLING) == []


def test_an_account_that_was_removed_has_not_recovered() -> None:
    assert texts(COOLING, Snapshot(accounts={"b"}, cooling={("b", "gpt"): "429"})) == []


def test_held_requests_are_one_event_until_none_is_held() -> None:
    assert texts(CALM, Snapshot(held=2)) == [("held", "2 requests held: no upstream can answer now")]
    assert texts(Snapshot(held=2), Snapshot(held=5)) == []
    assert texts(Snapshot(held=5), CALM) == []


def test_budgets_and_quotas_are_events_when_they_are_reached() -> None:
    reached = Snapshot(budgets={"a warn": "budget of a"}, quotas={("a", "5h"): "91% of its 5h quota is used"})
    assert texts(CALM, reached) == [("budget", "budget of a"), ("quota", '"a": 91% of its 5h quota is used')]
    assert texts(reached, reached) == []


def exchange(*upstreams: str, outcome: Outcome = Outcome.OK, kind: Any = "request") -> Exchange:
    failure = Failure(FailureKind.STATUS, WireError(ErrorType.OVERLOADED, "overloaded", 529))
    attempts = [Attempt(name, "m", "messages", "", "", 0.0, failure=failure) for name in upstreams]
    attempts[-1].failure = None
    found = Exchange("1", 0.0, "messages", "m")
    found.attempts, found.outcome, found.kind = attempts, outcome, kind
    return found


def test_a_request_that_another_upstream_has_answered_is_a_switch() -> None:
    event = switch_of(exchange("a", "a", "b"))
    assert event is not None
    assert (event.kind, event.cause, event.upstream) == ("switch", "a -> b", "b")
    assert event.text.startswith('"b" has answered instead of "a": ')


@pytest.mark.parametrize(
    "other",
    [
        exchange("a"),
        exchange("a", "a"),
        exchange("a", "b", outcome=Outcome.FAILED),
        exchange("a", "b", kind="test"),
    ],
    ids=["first", "retried", "failed", "a test"],
)
def test_other_ends_are_no_switch(other: Exchange) -> None:
    assert switch_of(other) is None


def test_each_cause_is_reported_once_in_10_minutes() -> None:
    limiter, event, other = Limiter(), Event("cooldown", "a", ""), Event("cooldown", "b", "")
    times = [0.0, 1.0, 599.0, 600.0, 601.0, 1200.0]
    assert [limiter.admits(event, now) for now in times] == [True, False, False, True, False, True]
    assert limiter.admits(other, 1200.0)
    assert limiter.admits(Event("recovered", "a", ""), 1200.0)


def test_what_the_limiter_remembers_is_bounded() -> None:
    limiter = Limiter()
    admitted = [limiter.admits(Event("cooldown", f"{number}", ""), 0.0) for number in range(2 * MAX_CAUSES)]
    assert sum(admitted) == MAX_CAUSES
    assert limiter.admits(Event("cooldown", "later", ""), 601.0)
    assert len(limiter._last) == 1


EVENT = Event("cooldown", "a", '"a" is cooling down: 503', "a")


@pytest.mark.parametrize(
    ("url", "posted_to", "body"),
    [
        (
            "https://ntfy.sh/my-topic",
            "https://ntfy.sh/",
            {
                "topic": "my-topic",
                "title": "Switchyard: cooldown",
                "message": EVENT.text,
                "tags": ["cooldown"],
            },
        ),
        (
            "https://hooks.slack.com/services/T/B/x",
            "https://hooks.slack.com/services/T/B/x",
            {"text": f"Switchyard: {EVENT.text}"},
        ),
        (
            "http://127.0.0.1:9/hook?token=t",
            "http://127.0.0.1:9/hook?token=t",
            {
                "event": "cooldown",
                "upstream": "a",
                "text": EVENT.text,
                "title": "Switchyard: cooldown",
                "at": 5.5,
            },
        ),
    ],
    ids=["ntfy", "slack", "webhook"],
)
def test_the_form_of_the_json_follows_the_address(url: str, posted_to: str, body: dict[str, Any]) -> None:
    post = post_of(url, EVENT, 5.5)
    assert (post.url, json.loads(post.body)) == (posted_to, body)


def test_a_command_finds_the_event_in_variables() -> None:
    assert variables_of(Event("held", "", "a\0b")) == {
        "SWITCHYARD_EVENT": "held",
        "SWITCHYARD_UPSTREAM": "",
        "SWITCHYARD_TEXT": "ab",
    }
