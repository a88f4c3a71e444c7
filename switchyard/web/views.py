"""Values in the form of the dashboard's API: plain JSON, never a secret."""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from switchyard.exchange import Attempt, Exchange, Failure, MarkedCall
from switchyard.faults import Fault
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import Usage
from switchyard.protocols.presets import Vendor, server_kind
from switchyard.relay.capture import CapturingRelay
from switchyard.relay.redaction import MASK, hidden_path, masked_url
from switchyard.relay.urls import request_url
from switchyard.routing.health import Condition, Health
from switchyard.routing.hold import Probed
from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Candidate, Moment, Skip
from switchyard.routing.quotas import Quota, Quotas
from switchyard.routing.route import Route
from switchyard.routing.uses import Uses
from switchyard.settings import Notify, Settings, Upstream
from switchyard.store.cell import Cell, counts
from switchyard.store.journal_line import Line, LineAttempt, LineUsage
from switchyard.suspicion.reasons import Reason
from switchyard.timeouts import timeouts_of
from switchyard.unknown_fields import without_unknown

Json = dict[str, Any]


def shown_path(path: Path) -> str:
    """The path as its owner writes it, relative to the home folder if it is inside."""
    try:
        return f"~/{path.absolute().relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(path)


# --- exchanges ----------------------------------------------------------------


def exchange_row(exchange: Exchange) -> Json:
    """An exchange as a row of the list of requests."""
    last = exchange.attempts[-1] if exchange.attempts else None
    return {
        "id": exchange.id,
        "at": exchange.at,
        "kind": exchange.kind,
        "client": exchange.client,
        "agent": exchange.client_agent,
        "session": exchange.session,
        "thread": exchange.thread,
        "project": exchange.project,
        "rule": exchange.rule,
        "protocol": exchange.client_protocol,
        "stream": exchange.stream,
        "model": exchange.requested_model,
        "upstream": last.upstream if last else "",
        "key": last.key if last else "",
        "upstream_protocol": last.protocol if last else "",
        "sent": last.model if last else "",
        "outcome": str(exchange.outcome),
        "status": exchange.status,
        "attempts": len(exchange.attempts),
        "first_byte": exchange.first_byte,
        "duration": exchange.duration,
        "held": exchange.held,
        "is_held": exchange.is_held,
        "usage": usage_view(exchange.usage),
        "cost": exchange.cost,
        "local": exchange.local,
        "losses": len(exchange.losses),
        "marked_calls": len(exchange.marked_calls),
        "error": exchange.failure.message if exchange.failure else None,
    }


def line_row(line: Line) -> Json:
    """A line of the journal as such a row."""
    return {
        "id": line.id,
        "at": line.at - (line.duration or 0.0) if line.began is None else line.began,
        "kind": line.kind,
        "client": line.client,
        "agent": line.agent,
        "session": line.session,
        "thread": line.thread,
        "project": line.project,
        "rule": line.rule,
        "protocol": line.client_protocol,
        "stream": line.stream,
        "model": line.model,
        "upstream": line.upstream,
        "key": line.key,
        "upstream_protocol": line.protocol,
        "sent": line.sent,
        "outcome": line.outcome,
        "status": line.status,
        "attempts": len(line.attempts),
        "first_byte": line.first_byte,
        "duration": line.duration,
        "held": line.held,
        "is_held": False,
        "usage": usage_view(line.usage),
        "cost": line.cost,
        "local": line.local,
        "losses": len(line.losses),
        "marked_calls": len(line.marked_calls),
        "error": line.error.message if line.error else None,
    }


def line_detail(line: Line) -> Json:
    """What the journal has of the details: no addresses, no skipped upstreams, no facts."""
    error = line.error
    return {
        "row": line_row(line),
        "attempts": [_line_attempt(attempt, line) for attempt in line.attempts],
        "skipped": [],
        "losses": [{"field": loss.field, "why": loss.why} for loss in line.losses],
        "marked_calls": [
            {
                "tool": call.tool,
                "upstream": call.upstream,
                "action": call.action,
                "unknown": call.unknown,
                "reasons": [{"code": one.code, "about": one.about} for one in call.reasons],
            }
            for call in line.marked_calls
        ],
        "error": error and {"type": error.type, "status": error.status, "message": error.message},
        "price": line.price and asdict(line.price),
        "facts": None,
        "answered": line.answered and asdict(line.answered),
        "captured": None,
    }


def _line_attempt(attempt: LineAttempt, line: Line) -> Json:
    is_last = attempt is line.attempts[-1]
    failure = (
        {"kind": attempt.failed, "message": attempt.message or attempt.failed} if attempt.failed else None
    )
    return {
        "upstream": attempt.upstream,
        "key": attempt.key,
        "model": attempt.model,
        "protocol": line.protocol if is_last else "",
        "url": "",
        "why": attempt.why,
        "body": "",
        "started": attempt.started,
        "status": attempt.status,
        "first_byte": attempt.first_byte,
        "ended": attempt.ended,
        "failure": failure,
        "verdict": attempt.verdict,
    }


def usage_view(usage: Usage | LineUsage | None) -> Json | None:
    if usage is None:
        return None
    return {
        "input": usage.input,
        "cache_read": usage.cache_read,
        "cache_write_5m": usage.cache_write_5m,
        "cache_write_1h": usage.cache_write_1h,
        "output": usage.output,
        "reasoning": usage.reasoning,
        "estimated": usage.estimated,
        "tier": usage.tier,
        "searches": usage.searches,
    }


def exchange_detail(exchange: Exchange) -> Json:
    error, price, answered = exchange.failure, exchange.price, exchange.answered
    return {
        "row": exchange_row(exchange),
        "attempts": [_attempt(attempt) for attempt in exchange.attempts],
        "skipped": [{"upstream": name, "text": text} for name, text in exchange.skipped],
        "losses": [{"field": loss.field, "why": loss.why} for loss in exchange.losses],
        "marked_calls": [_marked_call(call) for call in exchange.marked_calls],
        "error": error and {"type": str(error.type), "status": error.status, "message": error.message},
        "price": price and asdict(price),
        "facts": exchange.facts and asdict(exchange.facts),
        "answered": answered and asdict(answered),
    }


def _marked_call(call: MarkedCall) -> Json:
    return {
        "tool": call.tool,
        "upstream": call.upstream,
        "action": call.action,
        "unknown": call.is_unknown,
        "reasons": reasons_view(call.reasons),
    }


def reasons_view(reasons: tuple[Reason, ...]) -> list[Json]:
    return [{"code": str(reason.code), "about": reason.about} for reason in reasons]


def _attempt(attempt: Attempt) -> Json:
    return {
        "upstream": attempt.upstream,
        "key": attempt.key,
        "model": attempt.model,
        "protocol": attempt.protocol,
        "url": masked_url(attempt.url),
        "why": attempt.why,
        "body": attempt.body,
        "started": attempt.started,
        "status": attempt.status,
        "first_byte": attempt.first_byte,
        "ended": attempt.ended,
        "failure": _failure(attempt.failure),
        "verdict": attempt.verdict,
    }


def _failure(failure: Failure | None) -> Json | None:
    return None if failure is None else {"kind": str(failure.kind), "message": failure.message}


def capture_state(relay: CapturingRelay) -> Json:
    """What is being captured, and the ids of the captured requests, the oldest first."""
    return {"mode": relay.mode, "requests": relay.captured}


# --- routes and health --------------------------------------------------------


def epoch(monotonic: float | None, now: Moment) -> float | None:
    """A monotonic time as seconds since 1970."""
    if monotonic is None:
        return None
    return (now.wall + timedelta(seconds=monotonic - now.monotonic)).timestamp()


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


STATES = ("ready", "trial", "busy", "cooldown", "off")
"""the best first"""


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
        "under_way": limits.under_way(account.account),
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


def today_view(day: str, cell: Cell) -> Json:
    return {
        "day": day,
        **counts(cell),
        "input": cell.input,
        "cache_read": cell.cache_read,
        "cache_write": cell.cache_write,
        "output": cell.output,
        "reasoning": cell.reasoning,
        "cost": cell.dollars,
    }


# --- the file -----------------------------------------------------------------


def fault_view(fault: Fault) -> Json:
    return {
        "path": fault.path,
        "expected": fault.expected,
        "found": fault.found,
        "line": fault.line,
        "column": fault.column,
        "message": str(fault),
    }


def entry_view(entry: Mapping[str, Any], upstream: Upstream) -> Json:
    """An entry of the file with its secrets blanked; `url` is the request URL."""
    view: Json = without_unknown(Upstream, dict(entry), lambda _: MASK)
    view["key"] = key_view(upstream.key)
    if upstream.keys:
        view["keys"] = [key_view(key) for key in upstream.keys]
    view["base_url"] = masked_url(upstream.base_url)
    view["url"] = (
        "demo:" if upstream.is_demo else masked_url(request_url(upstream, upstream.model or "MODEL"))
    )
    if upstream.headers:
        view["headers"] = dict.fromkeys(upstream.headers, True)
    if upstream.proxy:
        view["proxy"] = masked_url(upstream.proxy)
    return view


def vendor_view(vendor: Vendor) -> Json:
    """A preset of the form of a new upstream; its kind only where the address does not show it."""
    shown = bool(vendor.urls) and server_kind("auto", vendor.urls[0]) == vendor.kind
    return {
        "id": vendor.id,
        "title": vendor.title,
        "urls": vendor.urls,
        "protocol": vendor.protocol,
        "server": "auto" if shown or not vendor.kind else vendor.kind,
        "needs_key": vendor.needs_key,
        "key_prefix": vendor.key_prefix,
    }


def notify_view(notify: Notify) -> Json:
    """Where notifications go, without what may be a token."""
    return {
        "url": hidden_path(notify.url) if notify.url else "",
        "command": [*notify.command[:1], *(MASK for _ in notify.command[1:])],
        "on": list(notify.on),
    }


def key_id(key: str) -> str:
    """An identifier of a client key that does not reveal it."""
    return blake2b(key.encode(), digest_size=6).hexdigest()


def key_view(key: str) -> Json:
    """The kind of a key; the name of a variable or of a keychain entry is not a secret."""
    kind, colon, name = key.partition(":")
    if not key:
        return {"kind": "none"}
    if key == "client":
        return {"kind": "client"}
    if colon and kind in ("env", "keyring"):
        return {"kind": kind, "name": name}
    return {"kind": "literal"}
