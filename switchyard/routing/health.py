"""Who rests and until when. Time is given (monotonic seconds), never read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from switchyard.settings import Failover

Key = tuple[str, str]
"""(upstream, model); the model is "" for the upstream as a whole."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a failure costs its upstream: nothing, one of the errors that make the threshold, or rest at once."""

    weight: Literal["none", "error", "rest"]
    model_only: bool = False
    retry_after: float | None = None
    """seconds of rest that the upstream itself asked for"""


@dataclass(slots=True)
class Condition:
    """How one upstream (or one of its models) is doing."""

    errors: int = 0
    rests: int = 0
    """rests in a row without a success between them"""
    until: float = 0.0
    reason: str = ""
    trial_by: str = ""
    """the exchange that is trying it after its rest"""


@dataclass(frozen=True, slots=True)
class Rest:
    """Why not now. `until` in monotonic seconds; `on_trial` when the rest is over and one request tries it."""

    until: float
    errors: int
    reason: str
    model: str = ""
    on_trial: bool = False


class Health:
    """The circuit breakers: threshold, rest, one trial at a time, doubling."""

    def __init__(self) -> None:
        self._conditions: dict[Key, Condition] = {}

    def rest_of(self, upstream: str, model: str, now: float, asking: str = "") -> Rest | None:
        """The rest that keeps this model of this upstream from answering now; None when it may."""
        for key in ((upstream, ""), (upstream, model)):
            condition = self._conditions.get(key)
            if condition is None or not condition.rests:
                continue
            if now < condition.until:
                return Rest(condition.until, condition.errors, condition.reason, key[1])
            if condition.trial_by and condition.trial_by != asking:
                return Rest(condition.until, condition.errors, condition.reason, key[1], on_trial=True)
        return None

    @property
    def is_spotless(self) -> bool:
        """True if nothing is held against anybody."""
        return not self._conditions

    def is_on_probation(self, upstream: str, model: str) -> bool:
        """True if the next answer of this upstream decides whether it is well again."""
        return any(
            (found := self._conditions.get(key)) is not None and found.rests > 0
            for key in ((upstream, ""), (upstream, model))
        )

    def begin(self, upstream: str, model: str, exchange: str) -> None:
        """An attempt starts: after a rest it is the trial, and others wait for its end."""
        for key in ((upstream, ""), (upstream, model)):
            condition = self._conditions.get(key)
            if condition is not None and condition.rests and not condition.trial_by:
                condition.trial_by = exchange

    def release(self, exchange: str) -> None:
        """An attempt ended without saying anything about its upstream (the client left, a client error)."""
        for condition in self._conditions.values():
            if condition.trial_by == exchange:
                condition.trial_by = ""

    def succeeded(self, upstream: str, model: str) -> None:
        """Clears what is held against the upstream that answered, and against this model of it."""
        self._conditions.pop((upstream, ""), None)
        self._conditions.pop((upstream, model), None)

    def failed(
        self, upstream: str, model: str, charge: Charge, reason: str, rules: Failover, now: float
    ) -> bool:
        """Notes a failure; True if the upstream rests now because of it."""
        if charge.weight == "none":
            return False
        condition = self._conditions.setdefault((upstream, model if charge.model_only else ""), Condition())
        condition.errors += 1
        condition.reason = reason
        was_trial = condition.rests > 0 and now >= condition.until
        condition.trial_by = ""
        if charge.weight == "error" and not was_trial and condition.errors < rules.error_threshold:
            return False
        if condition.rests and now < condition.until and charge.retry_after is None:
            return True
        condition.rests += 1
        condition.until = max(condition.until, now + rest_seconds(condition.rests, charge, rules))
        return True

    def clear(self, upstream: str | None = None) -> None:
        """Forget what is held against one upstream, or against all."""
        for key in [key for key in self._conditions if upstream in (None, key[0])]:
            del self._conditions[key]

    def keep_only(self, upstreams: Iterable[str]) -> None:
        """Drop the conditions of upstreams that no longer exist."""
        kept = set(upstreams)
        for key in [key for key in self._conditions if key[0] not in kept]:
            del self._conditions[key]

    def conditions(self) -> dict[Key, Condition]:
        """A copy for display."""
        return dict(self._conditions)


def rest_seconds(rests: int, charge: Charge, rules: Failover) -> float:
    """The upstream's own hint, or the cooldown doubled for each rest in a row; capped either way."""
    if charge.retry_after is not None:
        wanted = max(charge.retry_after, 1.0)
    else:
        wanted = rules.cooldown_seconds * 2 ** min(rests - 1, 16)
    return min(wanted, max(rules.max_cooldown_seconds, rules.cooldown_seconds))
