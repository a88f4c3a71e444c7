"""Requests in the form of the dashboard's API, from the memory or the journal; never with a secret."""

from msgspec.structs import asdict

from switchyard.exchange import Attempt, Exchange, Failure, MarkedCall
from switchyard.protocols.neutral import Usage
from switchyard.relay.redaction import masked_url
from switchyard.store.journal_line import Line, LineAttempt, LineUsage
from switchyard.suspicion.reasons import Reason
from switchyard.web.answers import Json


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
