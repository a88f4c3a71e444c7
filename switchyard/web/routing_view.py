"""Routes and the states of upstreams in the form of the dashboard's API."""

from switchyard.protocols.names import ProtocolName
from switchyard.routing.health import Condition, Health
from switchyard.routing.hold import Probed
from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Candidate, Moment, Skip
from switchyard.routing.quotas import Quota, Quotas
from switchyard.routing.route import Route
from switchyard.routing.uses import Uses
from switchyard.settings import Settings, Upstream
from switchyard.timeouts import timeouts_of
from switchyard.web.answers import Json
from switchyard.web.epochs import epoch

STATES = ("ready", "trial", "busy", "cooldown", "off")
"""the best first"""


def route_view(route: Route, client: ProtocolName, model: str, settings: Settings, now: Moment) -> Json:
    return {
        "client": client,
        "model": model,
        "at": now.wall.timestamp(),
        "candidates": [_candidate(one, client, settings) for one in route.candidates],
        "rescues": [_candidate(one, client, settings) for one in route.rescues],
        "skipped": [_skip(skip, now) for skip in route.skipped],
        "last_resort": route.last_resort,
    }


def _candidate(candidate: Candidate, client: ProtocolName, settings: Settings) -> Json:
    upstream = candidate.upstream
    return {
        "upstream": upstream.name,
        "key": upstream.key_label,
        "model": candidate.model,
        "protocol": client if upstream.is_demo else upstream.protocol,
        "role": upstream.role,
        "why": candidate.why,
        "used": candidate.is_used,
        "unlikely": candidate.unlikely,
        "body": upstream.body.text,
        "first_byte": timeouts_of(upstream, settings).first_byte,
    }


def _skip(skip: Skip, now: Moment) -> Json:
    # the time at which a sliding window opens moves with every request: whole seconds keep the overview stable
    until = epoch(skip.until, now)
    return {
        "upstream": skip.upstream,
        "reason": skip.reason,
        "text": skip.text,
        "until": until and round(until),
    }


def probed_view(probed: Probed, now: Moment) -> Json:
    """`not_before`: null if it may be tried at once."""
    upstream, model = probed.target
    until = epoch(now.monotonic + probed.seconds, now) if probed.seconds else None
    return {"upstream": upstream, "model": model, "not_before": until and round(until)}


def uses_view(uses: Uses) -> Json:
    """What is used now, by client protocol."""
    return {client: {"upstream": use.upstream, "until": use.until} for client, use in uses.items()}


def upstream_state(upstream: Upstream, health: Health, limits: Limits, quotas: Quotas, now: Moment) -> Json:
    """The state of one upstream: with several keys, that of the best one, and each in `accounts`."""
    accounts = [_account_state(one, health, limits, quotas, now) for one in upstream.accounts]
    best = min(accounts, key=lambda one: (STATES.index(one["state"]), one["until"] or 0))
    return {
        "name": upstream.name,
        "protocol": upstream.protocol,
        "role": upstream.role,
        "enabled": upstream.enabled,
        "demo": upstream.is_demo,
        **best,
        "under_way": sum(one["under_way"] for one in accounts),
        "accounts": [
            {"name": one.account, "key": one.key_label, **state}
            for one, state in zip(upstream.accounts, accounts, strict=True)
            if one.key_label
        ],
    }


def _account_state(account: Upstream, health: Health, limits: Limits, quotas: Quotas, now: Moment) -> Json:
    conditions = {
        model: condition
        for (name, model), condition in health.conditions().items()
        if name == account.account and condition.cooldowns
    }
    own = conditions.pop("", None)
    return {
        "state": _state_name(account, own, limits, now),
        **_cooldown_view(own, now),
        "models": [
            {"model": model, **_cooldown_view(cooldown, now)} for model, cooldown in conditions.items()
        ],
        "under_way": limits.under_way(account.account_id),
        "quotas": [_quota(quota, now) for quota in quotas.of(account.account, now.monotonic)],
    }


def _quota(quota: Quota, now: Moment) -> Json:
    resets_at, full_at = epoch(quota.resets_at, now), epoch(quota.full_at, now)
    return {
        "window": quota.window,
        "used": round(quota.used, 3),
        "resets_at": resets_at and round(resets_at),
        "full_at": full_at and round(full_at),
    }


def _state_name(upstream: Upstream, own: Condition | None, limits: Limits, now: Moment) -> str:
    if not upstream.enabled:
        return "off"
    if own is not None:
        return "cooldown" if now.monotonic < own.until else "trial"
    return "busy" if limits.is_full(upstream) else "ready"


def _cooldown_view(condition: Condition | None, now: Moment) -> Json:
    until = epoch(condition.until, now) if condition else None
    return {
        "errors": condition.errors if condition else 0,
        "until": until and round(until),
        "reason": condition.reason if condition else "",
    }
