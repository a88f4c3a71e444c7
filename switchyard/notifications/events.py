"""What is worth a notification: decided from two snapshots of the state, and at most once per cause and 10 minutes.

Times are arguments.
"""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from switchyard.exchange import Exchange, Outcome
from switchyard.plural import plural
from switchyard.settings import EventKind

INTERVAL_SECONDS = 600.0
MAX_CAUSES = 1000
"""bounded, as clients choose the names of models"""


class Event(msgspec.Struct, frozen=True):
    """`cause` identifies what happened to whom: the same cause is reported once in a while only."""

    kind: EventKind | Literal["test"]
    cause: str
    text: str
    upstream: str = ""


class Snapshot(msgspec.Struct, frozen=True):
    """The state at one moment. Each mapping is from what it is about to a sentence or reason.

    `cooling` is keyed by account and model, the model being "" for the whole account.
    """

    accounts: Collection[str] = ()
    cooling: Mapping[tuple[str, str], str] = {}
    held: int = 0
    budgets: Mapping[str, str] = {}
    quotas: Mapping[tuple[str, str], str] = {}


def changes(before: Snapshot, now: Snapshot) -> list[Event]:
    """What has happened between two snapshots."""
    found = [
        Event("cooldown", _named(key), f"{_named(key)} is cooling down: {reason}", key[0])
        for key, reason in now.cooling.items()
        if key not in before.cooling
    ]
    found += [
        Event("recovered", _named(key), f"{_named(key)} answers again", key[0])
        for key in before.cooling
        if key not in now.cooling and key[0] in now.accounts
    ]
    if now.held and not before.held:
        text = f"{plural(now.held, 'request')} held: no upstream can answer now"
        found.append(Event("held", "", text))
    found += [
        Event("budget", owner, text) for owner, text in now.budgets.items() if owner not in before.budgets
    ]
    found += [
        Event("quota", f"{account} {window}", f'"{account}": {text}', account)
        for (account, window), text in now.quotas.items()
        if (account, window) not in before.quotas
    ]
    return found


def _named(key: tuple[str, str]) -> str:
    account, model = key
    return f'model {model} of "{account}"' if model else f'"{account}"'


def switch_of(exchange: Exchange) -> Event | None:
    """The failover of a request that another upstream has answered."""
    attempts = exchange.attempts
    if exchange.kind != "request" or exchange.outcome is not Outcome.OK or len(attempts) < 2:
        return None
    first, last = attempts[0], attempts[-1]
    if first.account == last.account:
        return None
    reason = first.failure.message if first.failure is not None else ""
    text = f'"{last.account}" has answered instead of "{first.account}": {reason}'
    return Event("switch", f"{first.account} -> {last.account}", text, last.upstream)


class Limiter:
    """Admits each cause at most once in 10 minutes."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], float] = {}

    def admits(self, event: Event, now: float) -> bool:
        key = event.kind, event.cause
        if now - self._last.get(key, -INTERVAL_SECONDS) < INTERVAL_SECONDS:
            return False
        if len(self._last) >= MAX_CAUSES:
            self._last = {known: last for known, last in self._last.items() if now - last < INTERVAL_SECONDS}
        if len(self._last) >= MAX_CAUSES:
            return False
        self._last[key] = now
        return True
