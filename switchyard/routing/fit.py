"""Decide whether a request fits an upstream: its prompt into the window, its parts among what the model takes."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import msgspec

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.presets import capabilities_of, server_kind
from switchyard.settings import Upstream

Part = Literal["images", "files", "tools", "web_search", "thinking"]

LIKELY_SHARE = 0.9
"""of an estimate: it is rather too high than too low"""
SURE_SHARE = 0.75
"""of an estimate: no prompt is so much shorter"""
ANSWER_TOKENS = 1024
"""the least that an answer needs"""

LACKS: Mapping[Part, tuple[str, object]] = {
    "images": ("images", False),
    "files": ("files", False),
    "tools": ("tools", False),
    "web_search": ("hosted_web_search", False),
    "thinking": ("reasoning_effort", "none"),
}
"""the capability and its value by which an upstream does not take a part"""
WORDS: Mapping[Part, str] = {
    "images": "images",
    "files": "documents",
    "tools": "tools",
    "web_search": "web searches",
    "thinking": "thinking",
}


class Needs(msgspec.Struct, frozen=True):
    """What a request needs of an upstream, as far as it matters for the choice."""

    tokens: int = 0
    """an estimate of the prompt; 0 if it certainly fits every window"""
    parts: frozenset[Part] = frozenset()


class Overflow(msgspec.Struct, frozen=True):
    """The prompt exceeds the window of every upstream; `window` is the largest."""

    tokens: int
    window: int


NO_NEEDS = Needs()


def window_fits(window: int, tokens: int) -> bool:
    """True if the prompt fits in all likelihood; an unknown window (0) fits every prompt."""
    return not window or not tokens or LIKELY_SHARE * tokens + ANSWER_TOKENS <= window


def window_exceeded(window: int, tokens: int) -> bool:
    """True if the prompt certainly does not fit. Between the two the upstream decides."""
    return 0 < window < SURE_SHARE * tokens


def answer_left(window: int, tokens: int) -> int:
    """The tokens that the prompt leaves for the answer."""
    return max(window - tokens, ANSWER_TOKENS)


def window_text(window: int, tokens: int) -> str:
    return f"the prompt has about {tokens:,} tokens, its context window has room for {window:,}"


def unfit_text(window: int, lacks: frozenset[Part], needs: Needs) -> str:
    """Why the request does not fit; "" if it does."""
    if not window_fits(window, needs.tokens):
        return window_text(window, needs.tokens)
    missing = [WORDS[part] for part in LACKS if part in needs.parts & lacks]
    return f"it does not accept {' and '.join(missing)}, which this request needs" if missing else ""


def lacks_of(upstream: Upstream) -> frozenset[Part]:
    """What the upstream is known not to take, by its kind and its entry."""
    if upstream.is_demo:
        return frozenset()
    if not upstream.capabilities:
        return _lacks_of_kind(server_kind(upstream.server, upstream.base_url), upstream.protocol)
    return _lacks_in(
        capabilities_of(upstream.server, upstream.base_url, upstream.protocol, upstream.capabilities)
    )


@lru_cache(256)
def _lacks_of_kind(kind: str, protocol: ProtocolName) -> frozenset[Part]:
    return _lacks_in(capabilities_of(kind, "", protocol))


def _lacks_in(known: Capabilities) -> frozenset[Part]:
    return frozenset(part for part, (name, value) in LACKS.items() if getattr(known, name) == value)


def learned_lacks(learned: Mapping[str, Any], upstream: Upstream) -> frozenset[Part]:
    """What refusals have taught in addition; the entry takes precedence."""
    news = {name: value for name, value in learned.items() if name not in upstream.capabilities}
    return frozenset(part for part, (name, value) in LACKS.items() if news.get(name) == value)
