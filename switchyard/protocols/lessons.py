"""What a refusal teaches about an upstream: the capability it lacks, so that the request can be said again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.neutral import ErrorType, WireError

TEACHING_STATUSES = frozenset({400, 404, 415, 422, 500, 501})
REFUSED = (
    r"(unsupported|not supported|does not support|unknown|unrecognized"
    r"|not permitted|not allowed|invalid|unexpected)"
)

FOREIGN_THINKING = re.compile(
    r"signature.*thinking|thinking.*signature|thinking.{0,40}(block|expected)|invalid_encrypted_content"
    r"|encrypted content.*(verified|decrypted)|reasoning.*without its required",
    re.IGNORECASE | re.DOTALL,
)

TAUGHT: tuple[tuple[str, Mapping[str, Any]], ...] = (
    (r"max_tokens.*use.*max_completion_tokens", {"max_tokens_field": "max_completion_tokens"}),
    (
        rf"max_completion_tokens.*{REFUSED}|{REFUSED}.*max_completion_tokens",
        {"max_tokens_field": "max_tokens"},
    ),
    (rf"{REFUSED}.*(temperature|top_p)|(temperature|top_p).*{REFUSED}", {"sampling": False}),
    (rf"{REFUSED}.*\btop_k\b|\btop_k\b.*{REFUSED}", {"top_k": False}),
    (rf"{REFUSED}.*['\"`]stop['\"`]|['\"`]stop['\"`].*{REFUSED}", {"stop": False}),
    (rf"{REFUSED}.*parallel_tool_calls|parallel_tool_calls.*{REFUSED}", {"parallel_tool_calls": False}),
    (rf"{REFUSED}.*stream_options|stream_options.*{REFUSED}", {"include_usage": False}),
    (r"adaptive", {"reasoning_effort": "budget"}),
    (rf"{REFUSED}.*(reasoning_effort|reasoning\.effort|output_config)", {"reasoning_effort": "none"}),
    (rf"(reasoning_effort|output_config|thinking).*{REFUSED}", {"reasoning_effort": "none"}),
    (rf"context_management.*{REFUSED}|{REFUSED}.*context_management", {"context_management": False}),
    (rf"cache_control.*{REFUSED}|{REFUSED}.*cache_control", {"cache_control": False}),
    (rf"{REFUSED}.*developer|developer.*{REFUSED}|unknown role: developer", {"developer_role": False}),
    (
        r"system message must be|role.{0,20}system.{0,60}(not supported|unexpected|invalid)",
        {"mid_system": False},
    ),
    (r"messages\.\d+\.role|input should be 'user' or 'assistant'", {"mid_system": False}),
    (rf"(image|vision|multimodal).*{REFUSED}|{REFUSED}.*(image|vision)|not a multimodal", {"images": False}),
    (
        rf"(json_schema|response_format).*{REFUSED}|{REFUSED}.*(json_schema|response_format)",
        {"json_schema": False},
    ),
    (r"reasoning_content.{0,40}(missing|must|required)", {"reasoning_history": "required"}),
    (
        rf"tools?.{{0,30}}(namespace|custom|tool_search).*|{REFUSED}.*(namespace|custom tool)",
        {"responses_items": False, "custom_tools": False},
    ),
)
UNKNOWN_FIELD = (
    re.compile(r"unsupported parameter:? ['\"`]?([a-z_]+)", re.IGNORECASE),
    re.compile(r"unknown (?:parameter|field|name):? ['\"`]?([a-z_]+)", re.IGNORECASE),
    re.compile(r"unrecognized request arguments? supplied: ([a-z_]+)", re.IGNORECASE),
    re.compile(r"\b([a-z_]+): extra inputs are not permitted", re.IGNORECASE),
    re.compile(r"extra_forbidden.*?body[',\s]+'?([a-z_]+)", re.IGNORECASE | re.DOTALL),
)
INDISPENSABLE = frozenset(
    {"model", "messages", "input", "tools", "stream", "max_tokens", "system", "instructions"}
)

_TAUGHT = tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), taught) for pattern, taught in TAUGHT)


@dataclass(frozen=True, slots=True)
class Lesson:
    """`capabilities` holds for the upstream from now on; `strip_thinking` only for the request at hand."""

    why: str
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    strip_thinking: bool = False


def lesson_of(error: WireError, known: Capabilities) -> Lesson | None:
    """What to change before asking the same upstream again; None if its refusal teaches nothing new."""
    if error.status not in TEACHING_STATUSES or error.type in (
        ErrorType.CONTEXT_OVERFLOW,
        ErrorType.MODEL_NOT_FOUND,
    ):
        return None
    text = f"{error.param} {error.code} {error.message}"
    if FOREIGN_THINKING.search(text):
        return Lesson("the thinking of earlier turns is not its own", strip_thinking=True)
    for pattern, taught in _TAUGHT:
        if pattern.search(text) and _is_news(taught, known):
            return Lesson(f"it does not take {', '.join(taught)}", taught)
    return _unknown_field(error, text, known)


def _is_news(taught: Mapping[str, Any], known: Capabilities) -> bool:
    return any(getattr(known, name) != value for name, value in taught.items())


def _unknown_field(error: WireError, text: str, known: Capabilities) -> Lesson | None:
    for pattern in UNKNOWN_FIELD:
        found = pattern.search(text)
        if found is None:
            continue
        name = found[1]
        if name not in INDISPENSABLE and name not in known.dropped_fields:
            return Lesson(f"it does not know {name}", {"dropped_fields": (*known.dropped_fields, name)})
    return None
