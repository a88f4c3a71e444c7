"""Sum up what an upstream stated and delivered, with Switchyard's own numbers beside it."""

from switchyard.exchange import Answered, Exchange
from switchyard.protocols.estimate import Parts, estimate_parts
from switchyard.protocols.neutral import Usage
from switchyard.protocols.prefix import added_after, prefix_of
from switchyard.relay.attempt import HeldAnswer
from switchyard.relay.prefix_memory import Known, PrefixMemory, Sent, is_of_another_kind
from switchyard.relay.redaction import redacted_text
from switchyard.relay.values import ClientRequest

MIN_CACHED_TOKENS = 2048
"""shorter prompts are not cached by every vendor"""
NOTHING = Usage()


def answered_of(
    exchange: Exchange,
    request: ClientRequest,
    held: HeldAnswer,
    reported: Usage | None,
    estimate: int,
    prefixes: PrefixMemory,
    secrets: tuple[str, ...],
    seconds: float,
) -> Answered:
    """Call it once, at the end of the answer, `seconds` after the exchange began. `estimate` is that of the prompt."""
    stated, usage = held.stated, reported or NOTHING
    total = usage.total_input
    known = _known_before(exchange, request, total, prefixes)
    changed = known.common if known is not None and known.common.changed_in else None
    began = exchange.attempts[-1].started
    first = exchange.first_byte if held.stream is not None else None
    return Answered(  # by position, in the order of the fields: by their names it takes several times as long
        redacted_text(stated.model, secrets),
        redacted_text(stated.fingerprint, secrets) if stated.fingerprint else "",
        total or None,
        estimate,
        usage.cache_read / total if total else None,
        None if known is None else known.earlier.tokens,
        None if known is None else known.cached,
        "" if changed is None else changed.changed_in,
        None if changed is None else changed.changed_at,
        None if known is None else _added(request, known),
        None if first is None else max(0.0, first - began),
        _pace(usage, seconds - (began if first is None else first)),
    )


def _known_before(
    exchange: Exchange, request: ClientRequest, tokens: int, prefixes: PrefixMemory
) -> Known | None:
    if not exchange.session or tokens < MIN_CACHED_TOKENS:
        return None
    last = exchange.attempts[-1]
    conversation = (exchange.session, exchange.thread, last.upstream, last.model)
    sent = Sent(prefix_of(request.summary.members), exchange.at + last.started, tokens)
    known = prefixes.note(conversation, sent)
    return None if known is None or is_of_another_kind(known, sent) else known


def _added(request: ClientRequest, known: Known) -> Parts | None:
    """An estimate of what the conversation has added since its previous request."""
    if known.common.changed_in:
        return None
    added = added_after(known.earlier.prefix, request.summary.members)
    return estimate_parts(added) if added else None


def _pace(usage: Usage, seconds: float) -> float | None:
    """Tokens of the output per second."""
    return usage.output / seconds if usage.output and seconds > 0 else None
