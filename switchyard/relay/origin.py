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
    known = _known_before(exchange, request, usage, prefixes)
    changed = known.common if known is not None and known.common.changed_in else None
    began = exchange.attempts[-1].started
    first = exchange.first_byte if held.stream is not None else None
    return Answered(
        model=redacted_text(stated.model, secrets),
        fingerprint=redacted_text(stated.fingerprint, secrets),
        input_reported=total or None,
        input_estimated=estimate,
        cache_share=usage.cache_read / total if total else None,
        input_before=None if known is None else known.earlier.tokens,
        cache_expected=None if known is None else known.cached,
        changed_in="" if changed is None else changed.changed_in,
        changed_at=None if changed is None else changed.changed_at,
        added_estimated=_added(request, known),
        first_token=None if first is None else max(0.0, first - began),
        tokens_per_second=_pace(usage, seconds - (began if first is None else first)),
    )


def _known_before(
    exchange: Exchange, request: ClientRequest, usage: Usage, prefixes: PrefixMemory
) -> Known | None:
    if not exchange.session or usage.total_input < MIN_CACHED_TOKENS:
        return None
    last = exchange.attempts[-1]
    conversation = (exchange.session, exchange.thread, last.upstream, last.model)
    sent = Sent(prefix_of(request.summary.members), exchange.at + last.started, usage.total_input)
    known = prefixes.note(conversation, sent)
    return None if known is None or is_of_another_kind(known, sent) else known


def _added(request: ClientRequest, known: Known | None) -> Parts | None:
    """An estimate of what the conversation has added since its previous request."""
    if known is None or known.common.changed_in:
        return None
    added = added_after(known.earlier.prefix, request.summary.members)
    return estimate_parts(added) if added else None


def _pace(usage: Usage, seconds: float) -> float | None:
    """Tokens of the output per second."""
    return usage.output / seconds if usage.output and seconds > 0 else None
