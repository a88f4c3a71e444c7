"""The plan of the coming week."""

from datetime import UTC, datetime
from typing import Any

import pytest

from switchyard.routing.lineup import Moment
from switchyard.routing.route import Ask
from switchyard.routing.week import Span, plan
from switchyard.settings import Settings, Upstream

SATURDAY = Moment(datetime(2026, 11, 21, 14, 30, tzinfo=UTC), 0.0)
HOUR, DAY = 60, 24 * 60


def entry(name: str, **more: Any) -> Upstream:
    return Upstream(name=name, base_url=f"http://{name}", **more)


def planned(*upstreams: Upstream, client: Any = "messages", days: int = 7) -> dict[str, tuple[Span, ...]]:
    return plan(Settings(upstreams=upstreams), Ask(client, "m"), SATURDAY, days)


@pytest.mark.parametrize(
    ("upstreams", "expected"),
    [
        ([entry("a")], {"a": (Span(0, 2 * DAY, 1),)}),
        ([entry("a"), entry("b")], {"a": (Span(0, 2 * DAY, 1),), "b": (Span(0, 2 * DAY, 2),)}),
        ([entry("a", weekdays=("sun",))], {"a": (Span(DAY, 2 * DAY, 1),)}),
        (
            [entry("a", hours="08:00-09:30")],
            {"a": (Span(8 * HOUR, 9 * HOUR + 30, 1), Span(DAY + 8 * HOUR, DAY + 9 * HOUR + 30, 1))},
        ),
        (
            [entry("night", hours="22:00-06:00"), entry("b", role="backup")],
            {
                "night": (
                    Span(0, 6 * HOUR, 1),
                    Span(22 * HOUR, DAY + 6 * HOUR, 1),
                    Span(DAY + 22 * HOUR, 2 * DAY, 1),
                ),
                "b": (
                    Span(0, 6 * HOUR, 2),
                    Span(6 * HOUR, 22 * HOUR, 1),
                    Span(22 * HOUR, DAY + 6 * HOUR, 2),
                    Span(DAY + 6 * HOUR, DAY + 22 * HOUR, 1),
                    Span(DAY + 22 * HOUR, 2 * DAY, 2),
                ),
            },
        ),
        ([entry("a", enabled=False), entry("b", clients=("chat",)), entry("c", models=["other"])], {}),
    ],
)
def test_spans_follow_the_calendar_and_the_order(upstreams: list[Upstream], expected: Any) -> None:
    assert planned(*upstreams, days=2) == expected
