"""Say what was found of one upstream and model, with the evidence and the second source."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from switchyard.audit.cache import CacheLoss
from switchyard.audit.fact import Fact
from switchyard.audit.models import same_model
from switchyard.audit.speed import Slowdown
from switchyard.audit.tokens import Inflation

Kind = Literal["model", "tokens", "cache", "speed"]
Level = Literal["confirmed", "stated"]
"""`stated`: only the upstream's own answers say so, there is no second source"""

LATEST = 20
MIN_OTHER_ANSWERS = 2
SHOWN = 5


class Finding(msgspec.Struct, frozen=True):
    """`text` is for people, `values` has the numbers and names in it; `examples` are ids of requests."""

    kind: Kind
    level: Level
    text: str
    values: Mapping[str, str | float | int | None]
    examples: tuple[str, ...] = ()


def other_model(facts: Sequence[Fact], right: Sequence[str]) -> Finding | None:
    """Answers that name another model. `right` are other upstreams whose answers name the requested one."""
    named = [one for one in facts if one.answered_model][-LATEST:]
    wrong = [one for one in named if not same_model(one.model, one.answered_model)]
    if len(wrong) < MIN_OTHER_ANSWERS:
        return None
    answered, count = Counter(one.answered_model for one in wrong).most_common(1)[0]
    requested = wrong[-1].model
    source = _named(right) if right else ""
    if not source and len(wrong) < len(named):
        source = "its own other answers"
    text = f"{count} of the last {len(named)} answers to {requested} name {answered}."
    text += f" The requested name is in those of {source}." if source else ""
    return Finding(
        "model",
        "confirmed" if source else "stated",
        text,
        {
            "count": count,
            "of": len(named),
            "requested": requested,
            "answered": answered,
            "source": source,
        },
        tuple(one.id for one in wrong[-SHOWN:]),
    )


def more_tokens(found: Inflation, latest: Sequence[Fact]) -> Finding:
    others = _named(found.others)
    return Finding(
        "tokens",
        "confirmed",
        f"It reports {_percent(found.factor - 1)} more tokens of the prompt than {others} for the same model and "
        f"client, measured on {found.count} requests.",
        {
            "factor": round(found.factor, 3),
            "percent": round(100 * (found.factor - 1)),
            "count": found.count,
            "source": others,
        },
        tuple(one.id for one in latest[-SHOWN:]),
    )


def lost_cache(found: CacheLoss) -> Finding:
    cost = "" if found.cost is None else f", which cost ${found.cost:.4f}"
    written = f" {found.written:,} tokens were billed as written to the cache." if found.written else ""
    return Finding(
        "cache",
        "confirmed",
        f"{found.missed} of {found.checked} requests did not read from the cache what they could, although the "
        f"conversation began in the same way: {found.tokens:,} tokens{cost}.{written} "
        f"Of {found.source}, {found.others_missed} of {found.others_checked} did not.",
        {
            "missed": found.missed,
            "checked": found.checked,
            "tokens": found.tokens,
            "cost": found.cost,
            "written": found.written,
            "source": found.source,
            "others_missed": found.others_missed,
            "others_checked": found.others_checked,
        },
        tuple(one.id for one in found.examples),
    )


def slower(found: Slowdown, latest: Sequence[Fact]) -> Finding:
    what = "1,000 tokens took" if found.kind == "pace" else "The first token took"
    return Finding(
        "speed",
        "confirmed",
        f"{what} {found.now:.1f} s in the last {found.count} requests, {found.before:.1f} s in its own last week and "
        f"{found.busy:.1f} s in the busy hours of that.",
        {
            "measure": found.kind,
            "now": round(found.now, 2),
            "before": round(found.before, 2),
            "busy": round(found.busy, 2),
            "count": found.count,
        },
        tuple(one.id for one in latest[-SHOWN:]),
    )


def _named(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names[:3]) + (", ..." if len(names) > 3 else "")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
