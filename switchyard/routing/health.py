"""Decide which accounts are cooling down, and until when. Time is an argument (monotonic seconds)."""

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from switchyard.protocols.retry_hints.values import MAX_SECONDS
from switchyard.settings import Failover, Settings, Upstream

Key = tuple[str, str]
"""(account, model); the model is "" for the account as a whole."""

Account = tuple[Hashable, ...]
ACCOUNT = ("base_url", "key", "protocol", "auth", "api_version", "headers", "proxy", "tls")
"""the fields that identify an account: the endpoint of an entry and its credentials"""


class Charge(msgspec.Struct, frozen=True):
    """What a failure costs its upstream: nothing, one error towards the threshold, or a cooldown at once."""

    weight: Literal["none", "error", "cooldown"]
    model_only: bool = False
    retry_after: float | None = None
    """the cooldown that the upstream itself asked for, in seconds"""
    at_least: float = 0.0
    """seconds that a cooldown lasts although nothing has asked for it: others are preferred, and it may be probed"""
    full: bool = False
    """the first cooldown has the full length: the cause is permanent"""
    is_reset: bool = False
    """`retry_after` is the reset of a quota: earlier requests are useless, however late it is"""
    simulated_seconds: float | None = None
    """the failure was simulated; the simulation goes on for this many seconds"""
    rescues: bool = False
    """the action of the failure is `rescue`"""


NOTHING_CHARGED = Charge("none")
MAX_CONDITIONS = 1000
"""bounded, as clients choose the names of models"""


@dataclass(slots=True)
class Condition:
    """The condition of one upstream, or of one of its models."""

    errors: int = 0
    cooldowns: int = 0
    """cooldowns in a row without a success in between"""
    since: float = 0.0
    """when the cooldown began: an attempt that began earlier proves nothing about the time after it"""
    until: float = 0.0
    reason: str = ""
    trial_by: str = ""
    """the exchange that tries it after its cooldown"""
    charge: Charge = NOTHING_CHARGED
    """the last charge"""
    simulated: bool = True
    """all its charges were simulated"""


class Cooldown(msgspec.Struct, frozen=True):
    """Why an upstream is skipped. `until` in monotonic seconds; `on_trial` while one request tries it afterwards."""

    until: float
    errors: int
    reason: str
    model: str = ""
    on_trial: bool = False
    passes: bool = True
    """the cause is temporary: a request may be held for it"""
    hinted: bool = False
    """the upstream itself has asked for this cooldown"""
    rescues: bool = False
    """the rescue upstreams answer meanwhile"""


class Health:
    """The circuit breakers: threshold, cooldown, one trial at a time, doubling."""

    def __init__(self) -> None:
        self._conditions: dict[Key, Condition] = {}

    def cooldown_of(self, upstream: str, model: str, now: float, asking: str = "") -> Cooldown | None:
        """The cooldown that keeps this model of this upstream from answering now, if any."""
        for key in ((upstream, ""), (upstream, model)):
            condition = self._conditions.get(key)
            if condition is None or not condition.cooldowns:
                continue
            if now < condition.until:
                return _cooldown(condition, key[1], on_trial=False)
            if condition.trial_by and condition.trial_by != asking:
                return _cooldown(condition, key[1], on_trial=True)
        return None

    @property
    def is_spotless(self) -> bool:
        """True if no charge is recorded for any upstream."""
        return not self._conditions

    def begin(self, upstream: str, model: str, exchange: str) -> None:
        """An attempt starts: after a cooldown it is the trial, and others wait for its end."""
        if not self._conditions:
            return
        for key in ((upstream, ""), (upstream, model)):
            condition = self._conditions.get(key)
            if condition is not None and condition.cooldowns and not condition.trial_by:
                condition.trial_by = exchange

    def release(self, exchange: str) -> None:
        """An attempt ended without a result about its upstream (the client left, a client error)."""
        for condition in self._conditions.values():
            if condition.trial_by == exchange:
                condition.trial_by = ""

    def succeeded(self, upstream: str, model: str, begun: float | None = None) -> None:
        """Clear the charges of the upstream that answered, and of this model.

        `begun`: when its attempt began. A cooldown that began later stays: a quota may be used up since.
        """
        if not self._conditions:
            return
        for key in ((upstream, ""), (upstream, model)):
            condition = self._conditions.get(key)
            if condition is None or (condition.cooldowns and begun is not None and begun < condition.since):
                continue
            del self._conditions[key]

    def failed(
        self,
        upstream: str,
        model: str,
        charge: Charge,
        reason: str,
        rules: Failover,
        now: float,
        begun: float | None = None,
    ) -> bool:
        """Charge a failure of an attempt that began at `begun`; True if the upstream or its model is now cooling down.

        A failed trial is charged to what was on trial, even if the failure itself concerns the model only.
        """
        if charge.weight == "none":
            return False
        began = now if begun is None else begun
        keys = {(upstream, model if charge.model_only else "")}
        keys |= {key for key in ((upstream, ""), (upstream, model)) if self._was_tried(key, began, now)}
        for key in keys:
            condition = self._conditions.setdefault(key, Condition())
            condition.reason, condition.charge = reason, charge
            condition.simulated = condition.simulated and charge.simulated_seconds is not None
            _apply_charge(condition, charge, rules, now, began)
        self._drop_surplus()
        return self.cooldown_of(upstream, model, now) is not None

    def _drop_surplus(self) -> None:
        """Above the limit, drop the model whose cooldown ends first."""
        if len(self._conditions) <= MAX_CONDITIONS:
            return
        of_models = [key for key in self._conditions if key[1]]
        if of_models:
            del self._conditions[min(of_models, key=lambda key: self._conditions[key].until)]

    def _was_tried(self, key: Key, began: float, now: float) -> bool:
        condition = self._conditions.get(key)
        return (
            condition is not None
            and condition.cooldowns > 0
            and condition.since <= began
            and condition.until <= now
        )

    def clear(self, accounts: Collection[str] | None = None) -> None:
        """Clear the charges of these accounts, or of all."""
        for key in [key for key in self._conditions if accounts is None or key[0] in accounts]:
            del self._conditions[key]

    def forget_simulated(self, accounts: Collection[str]) -> None:
        """A simulation has ended: drop the conditions that nothing else has caused."""
        for key in [key for key, found in self._conditions.items() if key[0] in accounts and found.simulated]:
            del self._conditions[key]

    def end_cooldowns(self, accounts: Collection[str], now: float) -> None:
        """These accounts have another key or address: forget their charges, but one request tries each first."""
        for key in [key for key in self._conditions if key[0] in accounts]:
            condition = self._conditions.pop(key)
            if condition.cooldowns:
                self._conditions[key] = Condition(1, 1, since=now, until=now, reason=condition.reason)

    def rename(self, names: Mapping[str, str]) -> None:
        """Move the conditions of renamed upstreams to their new names."""
        self._conditions = {
            (names.get(name, name), model): found for (name, model), found in self._conditions.items()
        }

    def keep_only(self, upstreams: Iterable[str]) -> None:
        """Drop the conditions of all other upstreams: they are removed, or belong to another account now."""
        kept = set(upstreams)
        for key in [key for key in self._conditions if key[0] not in kept]:
            del self._conditions[key]

    def conditions(self) -> dict[Key, Condition]:
        """A copy for display."""
        return dict(self._conditions)


def _cooldown(condition: Condition, model: str, *, on_trial: bool) -> Cooldown:
    hinted = condition.charge.retry_after is not None
    passes = hinted or not condition.charge.full
    rescues = condition.charge.rescues
    return Cooldown(
        condition.until, condition.errors, condition.reason, model, on_trial, passes, hinted, rescues
    )


def _apply_charge(condition: Condition, charge: Charge, rules: Failover, now: float, began: float) -> None:
    if condition.cooldowns and (began < condition.since or now < condition.until):
        # the cooldown keeps its length, unless the charge states one or its cause is permanent
        if charge.retry_after is not None or charge.full or charge.at_least:
            condition.until = max(condition.until, now + cooldown_length(condition.cooldowns, charge, rules))
        return
    condition.errors += 1
    cools_down_now = charge.weight == "cooldown" or charge.retry_after is not None or condition.cooldowns > 0
    if cools_down_now or condition.errors >= rules.error_threshold:
        condition.cooldowns += 1
        condition.since = now
        condition.until = now + cooldown_length(condition.cooldowns, charge, rules)
        condition.trial_by = ""


def cooldown_length(cooldowns: int, charge: Charge, rules: Failover) -> float:
    """The upstream's own hint, else the first cooldown doubled for each further one in a row, up to the full length.

    A simulated failure cools down until the end of the simulation at most.
    """
    capped = max(rules.max_cooldown_seconds, rules.cooldown_seconds)
    if charge.retry_after is not None:
        seconds = min(max(charge.retry_after, 1.0), MAX_SECONDS if charge.is_reset else capped)
    elif charge.full:
        seconds = rules.cooldown_seconds
    else:
        seconds = min(rules.cooldown_start_seconds * 2 ** min(cooldowns - 1, 16), rules.cooldown_seconds)
        seconds = max(seconds, min(charge.at_least, capped))
    return seconds if charge.simulated_seconds is None else min(seconds, charge.simulated_seconds)


def same_accounts(before: Settings, after: Settings) -> tuple[str, ...]:
    """The accounts that an edit has not changed: their recorded state stays valid."""
    known = {one.account: one for one in before.accounts}
    return tuple(
        one.account
        for one in after.accounts
        if (old := known.get(one.account)) is not None and is_same_account(old, one)
    )


def renamed(before: Settings, after: Settings) -> dict[str, str]:
    """Old name -> new name of the accounts whose entries were renamed, or whose keys have another position."""
    kept = set(same_accounts(before, after))
    return _pairs(_moved(before, after, kept), _moved(after, before, kept))


def moved(before: Settings, after: Settings) -> dict[str, str]:
    """Old -> new `account_id` of the accounts that another entry has after an edit."""
    old = {one.account_id: _account_of(one) for one in before.accounts}
    new = {one.account_id: _account_of(one) for one in after.accounts}
    gone = {name: account for name, account in old.items() if name not in new}
    return _pairs(gone, {name: account for name, account in new.items() if name not in old})


def renamed_entries(before: Settings, after: Settings) -> dict[str, str]:
    """Old name -> new name of the entries that an edit renamed without changing their accounts."""
    return _pairs(_gone(before, after), _gone(after, before))


def _moved(settings: Settings, others: Settings, kept: Collection[str]) -> dict[str, Account]:
    """The accounts whose names are missing in the other settings, or are those of another key there."""
    known = {one.account for one in others.accounts}
    moved = (
        one for one in settings.accounts if one.account not in known or (one.keys and one.account not in kept)
    )
    return {one.account: _account_of(one) for one in moved}


def _gone(settings: Settings, others: Settings) -> dict[str, Account]:
    """The entries whose names are missing in the other settings."""
    known = {upstream.name for upstream in others.upstreams}
    gone = (upstream for upstream in settings.upstreams if upstream.name not in known)
    return {one.name: (_account_of(one), one.keys) for one in gone}


def _pairs(gone: Mapping[str, Account], come: Mapping[str, Account]) -> dict[str, str]:
    """Those of the same account; several of one account cannot be told apart."""
    old, new = _by_account(gone), _by_account(come)
    pairs = ((names, new.get(account, [])) for account, names in old.items())
    return {names[0]: others[0] for names, others in pairs if len(names) == len(others) == 1}


def _by_account(accounts: Mapping[str, Account]) -> dict[Account, list[str]]:
    found: dict[Account, list[str]] = {}
    for name, account in accounts.items():
        found.setdefault(account, []).append(name)
    return found


def is_same_account(one: Upstream, other: Upstream) -> bool:
    return _account_of(one) == _account_of(other)


def _account_of(upstream: Upstream) -> Account:
    values = (getattr(upstream, field) for field in ACCOUNT)
    return tuple(frozenset(value.items()) if isinstance(value, dict) else value for value in values)
