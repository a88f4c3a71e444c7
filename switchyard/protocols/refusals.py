"""What a refusal teaches about an upstream: the capability it lacks, so that the request can be said again."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.effort import EFFORTS
from switchyard.protocols.neutral import ErrorType, WireError

TEACHING_STATUSES = frozenset({400, 404, 415, 422, 500, 501})
MAX_READ_CHARS = 4000
"""of a refusal: the rest quotes the request"""
REFUSED = (
    r"(unsupported|not supported|does not support|doesn't support|unknown|unrecognized|not permitted"
    r"|unavailable|deprecated|cannot both)"
)


def _near(words: str) -> str:
    """The words in a refusal's own sentence, whichever comes first."""
    return rf"{REFUSED}.{{0,100}}{words}|{words}.{{0,100}}{REFUSED}"


FOREIGN_THINKING = re.compile(
    r"signature.{0,100}thinking|thinking.{0,100}signature|thinking.{0,40}(block|expected)"
    r"|invalid_encrypted_content|encrypted content.{0,200}(verified|decrypted)"
    r"|reasoning.{0,60}without its required|without its required.{0,20}reasoning|item with id .?rs_",
    re.IGNORECASE | re.DOTALL,
)

TAUGHT: tuple[tuple[str, Mapping[str, Any]], ...] = (
    (r"max_tokens.{0,100}use.{0,20}max_completion_tokens", {"max_tokens_field": "max_completion_tokens"}),
    (_near("max_completion_tokens"), {"max_tokens_field": "max_tokens"}),
    (_near("(temperature|top_p)"), {"sampling": False}),
    (_near(r"\btop_k\b"), {"top_k": False}),
    (_near("['\"`]stop['\"`]"), {"stop": False}),
    (_near("parallel_tool_calls"), {"parallel_tool_calls": False}),
    (_near("stream_options"), {"include_usage": False}),
    (
        r"use .{0,3}thinking\.type\.adaptive",
        {"reasoning_effort": "adaptive", "thinking_budgets": False},
    ),
    (_near("(adaptive|effort parameter|output_config)"), {"reasoning_effort": "budget"}),
    (r"'adaptive' found", {"reasoning_effort": "budget"}),
    (_near(r"(reasoning_effort|reasoning\.effort|\bthink\b|\bthinking\b)"), {"reasoning_effort": "none"}),
    (_near("context_management"), {"context_management": False}),
    (_near("cache_control"), {"cache_control": False}),
    (_near("developer") + "|unexpected role.{0,5}developer", {"developer_role": False}),
    (
        r"system message must be|role.{0,20}system.{0,60}(not supported|unexpected|invalid)"
        r"|unexpected role.{0,5}system|messages\.\d+\.role|input should be 'user' or 'assistant'"
        r"|roles must alternate|unexpected message role",
        {"mid_system": False},
    ),
    (
        r"(image|vision|multimodal)\w* ?(input|content|url)?s? (is|are) (not|only) supported"
        r"|(not|n't|that) support.{0,30}(image|vision|multimodal)|not a multimodal|at most 0 image"
        r"|unknown variant .?image_url",
        {"images": False},
    ),
    (_near("(json_schema|response_format)"), {"json_schema": False}),
    (
        r"reasoning_content.{0,40}(missing|must|required)|missing.{0,10}reasoning_content",
        {"reasoning_history": "required"},
    ),
    (
        r"(invalid value|unknown variant|unsupported tool type|tool type)"
        r".{0,40}\b(namespace|custom|tool_search|additional_tools|custom_tool_call)"
        r"|unknown parameter.{0,30}namespace|type'? of tool must be 'function'",
        {"responses_items": False, "custom_tools": False},
    ),
)
SUPPORTED_EFFORTS = re.compile(r"effort.{0,100}supported values are:([^.]*)", re.IGNORECASE | re.DOTALL)
UNKNOWN_FIELD = (
    re.compile(r"unsupported param(?:eter)?:? ['\"`]?([a-z_]+)", re.IGNORECASE),
    re.compile(r"unknown (?:parameter|field|name):? ['\"`]?([a-z_]+)", re.IGNORECASE),
    re.compile(r"unrecognized request arguments? supplied: ([a-z_]+)", re.IGNORECASE),
    re.compile(r"(?:^|[\s'\"`])([a-z_]+): extra inputs are not permitted", re.IGNORECASE),
    re.compile(r"extra_forbidden.{0,40}?body[',\s\"]+([a-z_]+)", re.IGNORECASE | re.DOTALL),
)
UNKNOWN_BETAS = re.compile(
    r"(invalid beta flag)|unexpected value\(?s?\)? (.{1,500}?) for the .?anthropic-beta", re.I
)
BETA = re.compile(r"[a-z0-9][a-z0-9-]+")
LOWER_BOUND = re.compile(r"at least \d{1,12} input tokens", re.IGNORECASE)
INDISPENSABLE = frozenset(
    {"model", "messages", "input", "tools", "stream", "max_tokens", "system", "instructions"}
)

_TAUGHT = tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), taught) for pattern, taught in TAUGHT)


class LearnedLimit(msgspec.Struct, frozen=True):
    """`capabilities` hold for this model of the upstream from now on, unless they and `strip_thinking` are only
    `for_now`, for the request at hand."""

    why: str
    capabilities: Mapping[str, Any] = msgspec.field(default_factory=dict)
    strip_thinking: bool = False
    for_now: bool = False


def learned_from(error: WireError, known: Capabilities, input_estimate: int = 0) -> LearnedLimit | None:
    """What to change before asking the same upstream again; None if its refusal teaches nothing new.

    `input_estimate`: the tokens of the prompt, for servers that stop counting where the window is full.
    """
    if error.status not in TEACHING_STATUSES or error.type in (
        ErrorType.CONTEXT_OVERFLOW,
        ErrorType.MODEL_NOT_FOUND,
    ):
        return None
    if error.param == "max_tokens" and error.limit is not None:
        stopped_counting = LOWER_BOUND.search(error.message) is not None
        return _shorter_answer(error.limit, error.tokens, known, input_estimate if stopped_counting else 0)
    text = f"{error.param} {error.code} {error.message}"[:MAX_READ_CHARS]
    if FOREIGN_THINKING.search(text):
        return LearnedLimit("the thinking of earlier turns is not its own", strip_thinking=True)
    betas = _refused_betas(text)
    if not set(betas) <= set(known.refused_betas):
        both = tuple(dict.fromkeys((*known.refused_betas, *betas)))
        return LearnedLimit(f"it does not know these betas: {', '.join(betas)}", {"refused_betas": both})
    efforts = _supported_efforts(text)
    if efforts and efforts != known.efforts:
        return LearnedLimit(f"it knows only these efforts: {', '.join(efforts)}", {"efforts": efforts})
    for pattern, taught in _TAUGHT:
        if pattern.search(text) and _is_news(taught, known):
            return LearnedLimit(f"it does not take {', '.join(taught)}", taught)
    return _unknown_field(error, text, known)


def _shorter_answer(
    limit: int, prompt: int | None, known: Capabilities, estimate: int
) -> LearnedLimit | None:
    """The limit of the model, or what this prompt leaves of the window."""
    left = limit if prompt is None else limit - max(prompt, estimate if estimate < limit else 0)
    if left < 1 or (known.max_output_tokens is not None and left >= known.max_output_tokens):
        return None
    why = f"it gives at most {left} tokens"
    return LearnedLimit(why, {"max_output_tokens": left}, for_now=prompt is not None)


def _refused_betas(text: str) -> tuple[str, ...]:
    found = UNKNOWN_BETAS.search(text)
    if found is None:
        return ()
    return ("*",) if found[1] else tuple(BETA.findall(found[2]))


def _supported_efforts(text: str) -> tuple[str, ...]:
    found = SUPPORTED_EFFORTS.search(text)
    return tuple(effort for effort in EFFORTS if found and f"'{effort}'" in found[1])


def _is_news(taught: Mapping[str, Any], known: Capabilities) -> bool:
    return any(getattr(known, name) != value for name, value in taught.items())


def _unknown_field(error: WireError, text: str, known: Capabilities) -> LearnedLimit | None:
    for pattern in UNKNOWN_FIELD:
        found = pattern.search(text)
        if found is None:
            continue
        name = found[1]
        if name not in INDISPENSABLE and name not in known.dropped_fields:
            return LearnedLimit(f"it does not know {name}", {"dropped_fields": (*known.dropped_fields, name)})
    return None
