"""Cooldowns of an upstream and its models, against a small model written from docs/failures.md."""

from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from switchyard.routing.health import Charge, Health
from switchyard.settings import Failover
from tests.bed.examples import modelled

MODELS = ("m1", "m2")
RULES = Failover(error_threshold=3, cooldown_start_seconds=15, cooldown_seconds=600)
CHARGES = {
    "rate_limit": Charge("cooldown", model_only=True),
    "overloaded": Charge("error", model_only=True),
    "server": Charge("error"),
    "authentication": Charge("cooldown", full=True),
    "invalid_request": Charge("none"),
    "server, again in 40 s": Charge("error", retry_after=40.0),
    "quota for 3 hours": Charge("cooldown", full=True, is_reset=True, retry_after=10800.0),
}


class Event(NamedTuple):
    """After a pause, a request for the model ends in this way, if the upstream may be asked."""

    pause: float
    model: str
    outcome: str


@dataclass
class Count:
    failures: int = 0
    cooldowns: int = 0
    until: float = 0.0


@dataclass
class Cooldowns:
    """What the page says. "" is the upstream as a whole."""

    counts: dict[str, Count] = field(default_factory=dict)

    def is_cooling_down(self, model: str, now: float) -> bool:
        return any(key in self.counts and now < self.counts[key].until for key in ("", model))

    def succeed(self, model: str) -> None:
        """After a success, they start at the beginning again."""
        for key in ("", model):
            self.counts.pop(key, None)

    def fail(self, model: str, outcome: str, now: float) -> None:
        if outcome == "invalid_request":
            return
        scope = model if outcome in ("rate_limit", "overloaded") else ""
        probed = {key for key in ("", model) if key in self.counts and self.counts[key].cooldowns}
        for key in {scope} | probed:
            count = self.counts.setdefault(key, Count())
            count.failures += 1
            waits_for_threshold = outcome in ("overloaded", "server") and key not in probed
            if waits_for_threshold and count.failures < RULES.error_threshold:
                continue
            count.cooldowns += 1
            count.until = now + self.seconds(outcome, count.cooldowns)

    def seconds(self, outcome: str, number: int) -> float:
        """Doubled from 15 to 600 seconds; a bad key has all of them at once; what is requested replaces that."""
        if outcome == "server, again in 40 s":
            return 40.0
        if outcome == "quota for 3 hours":
            return 10800.0
        if outcome == "authentication":
            return 600.0
        return [15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 600.0][min(number, 7) - 1]


EVENTS = st.lists(
    st.builds(
        Event,
        pause=st.sampled_from([0.0, 1.0, 15.0, 40.0, 600.0, 10800.0]),
        model=st.sampled_from(MODELS),
        outcome=st.sampled_from(["success", *CHARGES, "server", "overloaded"]),
    ),
    max_size=40,
)


@given(EVENTS)
@modelled
def test_the_health_of_an_upstream_is_what_the_page_on_failures_says(events: list[Event]) -> None:
    health, cooldowns, now = Health(), Cooldowns(), 0.0
    for number, event in enumerate(events):
        now += event.pause
        if health.cooldown_of("u", event.model, now, "probe") is None:
            health.begin("u", event.model, "probe")
            if event.outcome == "success":
                health.succeeded("u", event.model, now)
                cooldowns.succeed(event.model)
            else:
                health.failed("u", event.model, CHARGES[event.outcome], "failed", RULES, now, now)
                cooldowns.fail(event.model, event.outcome, now)
            health.release("probe")
        cools_down = {model: health.cooldown_of("u", model, now) is not None for model in MODELS}
        assert cools_down == {model: cooldowns.is_cooling_down(model, now) for model in MODELS}, number
