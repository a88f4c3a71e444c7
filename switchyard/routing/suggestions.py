"""Suggest which of an upstream's models answers for the names that clients request."""

import re
from collections.abc import Iterable

CLAUDE_LINES = ("opus", "sonnet", "haiku")
SMALL_LINE = "haiku"
GPT = "gpt-*"
OWN_NAMES = ("claude-", "gpt-")
"""what clients request: an upstream that lists such names needs no mapping"""
NO_CHAT = re.compile(
    r"embed|whisper|tts|audio|speech|voice|image|vision|-vl|ocr|rerank|moderation|guard|dall|sora|video|transcri"
    r"|realtime|search|math|omni"
)
SMALL = re.compile(r"mini|nano|flash|lite|air|small|haiku|instant|turbo|(?<![\d.])[1-9]b(?![a-z])")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
NO_VERSION = re.compile(r"\d+(?:\.\d+)?b(?![a-z])|20\d{6}|20\d\d-\d\d(-\d\d)?|\d{4,}")


def suggest_mapping(names: Iterable[str]) -> dict[str, str]:
    """Requested name -> upstream's; empty if the upstream knows the names that clients request, or lists no model for
    conversations."""
    usable = [name for name in names if not NO_CHAT.search(name.lower())]
    if not usable or any(name.startswith(OWN_NAMES) for name in usable):
        return {}
    found = {f"claude-{line}-*": _for_claude(usable, line) for line in CLAUDE_LINES}
    return {**found, GPT: _best([one for one in usable if "/gpt-" in one] or usable)}


def _for_claude(names: list[str], line: str) -> str:
    own = [name for name in names if "claude" in name and line in name]
    return _best(own or names, small=line == SMALL_LINE and not own)


def _best(names: list[str], small: bool = False) -> str:
    """The newest of the large ones, or of the small ones if there are any."""
    fitting = [name for name in names if bool(SMALL.search(name.lower())) is small]
    return max(fitting or names, key=_rank)


def _rank(name: str) -> tuple[float, bool, int]:
    """The first number that is no size or date is the version: glm-4.6, qwen3-coder-480b. Then one for code, then the
    shortest."""
    numbers = [float(one) for one in NUMBER.findall(NO_VERSION.sub("", name))]
    return numbers[0] if numbers else 0.0, "code" in name, -len(name)
