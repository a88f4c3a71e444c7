"""Names that cross rooms: the three protocols, and how model names are read and matched."""

from typing import Literal, get_args

import msgspec

ProtocolName = Literal["messages", "chat", "responses"]
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)

PassedEndpoint = Literal["", "completions", "embeddings"]
"""an endpoint of Chat upstreams whose requests are passed to them and never converted; "" for conversations"""
PASSED_ENDPOINTS: tuple[PassedEndpoint, ...] = ("completions", "embeddings")

CLIENTS: dict[str, ProtocolName] = {
    **{protocol: protocol for protocol in PROTOCOLS},
    "claude": "messages",
    "codex": "responses",
}
"""the names by which users call clients: their protocol, or the program"""

THINKING_SUFFIX = "-thinking"
OWN_NAMES = tuple(
    """
    kimi-k2-thinking moonshot.kimi-k2-thinking kimi-vl-*-thinking
    qwen3-next?*-thinking qwen3-vl?*-thinking qwen3-omni-*-thinking
    glm-4.1v-*thinking ernie-4.5-*-thinking longcat-flash-thinking
    """.split()
)
"""Models of their own that end with the suffix: the name without it is another model or none."""
LONG_CONTEXT_SUFFIX = "[1m]"
CLAUDE_ALIAS = "claude-switchyard-"
"""before a model's name where a client shows only names of Claude"""


class ModelName(msgspec.Struct, frozen=True):
    """A model as a client spells it: `upstream,model[1m]` or `model-thinking`."""

    model: str
    upstream: str = ""
    """the upstream that a vendor prefix forces, or "" """
    thinking: bool = False
    """asked for by a `-thinking` suffix, which `model` no longer carries"""

    @classmethod
    def read(cls, text: str) -> "ModelName":
        """The name without vendor prefix, alias and `[1m]`; a `-thinking` suffix stays until `without_thinking`."""
        upstream, comma, model = text.rpartition(",")
        if not comma:
            upstream, model = "", text
        if model.lower().startswith(CLAUDE_ALIAS) and len(model) > len(CLAUDE_ALIAS):
            model = model[len(CLAUDE_ALIAS) :]
        return cls(_without(model, LONG_CONTEXT_SUFFIX), upstream.strip())

    def without_thinking(self) -> "ModelName | None":
        """The same with the `-thinking` suffix understood; None if there is none."""
        bare = _without(self.model, THINKING_SUFFIX)
        if bare == self.model or not bare:
            return None
        name = self.model.rpartition("/")[2]
        is_own = any(matches(pattern, name) for pattern in OWN_NAMES)
        return None if is_own else ModelName(bare, self.upstream, thinking=True)


def _without(text: str, suffix: str) -> str:
    return text[: -len(suffix)] if text.lower().endswith(suffix) else text


def is_glob(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def matches(pattern: str, model: str) -> bool:
    """True if the model name matches the exact name or glob, in whatever case. `[1m]` is text, not a class."""
    pattern, model = pattern.lower(), model.lower()
    if pattern == model:
        return True
    # no regular expression: settings may have thousands of patterns, and compiling one takes longer than this
    if "?" in pattern:
        return _matches_signs(pattern, model)
    first, *others = pattern.split("*")
    return bool(others) and model.startswith(first) and _has_in_order(model[len(first) :], others)


def _has_in_order(text: str, parts: list[str]) -> bool:
    """True if the parts follow each other in the text, the last one at its end."""
    *middle, last = parts
    for part in middle:
        _, found, text = text.partition(part) if part else ("", "*", text)
        if not found:
            return False
    return text.endswith(last)


def _matches_signs(pattern: str, model: str) -> bool:
    """As `matches`, sign by sign: after a mismatch the last * takes one sign more."""
    at = place = 0
    star = resume = -1
    while at < len(model):
        sign = pattern[place : place + 1]
        if sign == "*":
            star, resume, place = place, at, place + 1
        elif sign and sign in ("?", model[at]):
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = resume, star + 1
        else:
            return False
    return not pattern[place:].strip("*")


def specificity(pattern: str) -> tuple[bool, int]:
    """Sorts patterns: exact names above globs, then the one with more literal characters."""
    return (not is_glob(pattern), len(pattern.replace("*", "").replace("?", "")))


def account_name(upstream: str, key: str) -> str:
    """The name of an account: that of the entry, with its key if it has several."""
    return f"{upstream} ({key})" if key else upstream
