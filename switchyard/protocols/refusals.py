"""Read refusals: what an upstream does not take, why, and which values it allows; and learn its capabilities from them.

The rows at the end are tried in their order; a new kind of refusal is one row. `repair/` and the encoders then drop,
clamp, replace or rename what the learned capabilities exclude.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.effort import EFFORTS
from switchyard.protocols.neutral import ErrorType, WireError

STATUSES = frozenset({400, 404, 415, 422, 500, 501})
OTHER_MATTERS = (ErrorType.CONTEXT_OVERFLOW, ErrorType.MODEL_NOT_FOUND)
MAX_READ_CHARS = 4000
"""of a refusal: the rest quotes the request"""
LOWER_BOUND = re.compile(r"at least \d{1,12} input tokens", re.IGNORECASE)
INDISPENSABLE = frozenset(
    {"model", "messages", "input", "tools", "stream", "max_tokens", "system", "instructions"}
)


class LearnedLimit(msgspec.Struct, frozen=True):
    """`capabilities` hold for this model of the upstream from now on, unless they and `strip_thinking` are only
    `for_now`, for the request at hand."""

    why: str
    capabilities: Mapping[str, Any] = msgspec.field(default_factory=dict)
    strip_thinking: bool = False
    for_now: bool = False


def learned_from(error: WireError, known: Capabilities, input_estimate: int = 0) -> LearnedLimit | None:
    """What to change before the same upstream is tried again; None if its refusal shows nothing new.

    `input_estimate`: the tokens of the prompt, for servers that stop counting where the window is full.
    """
    if error.status not in STATUSES or error.type in OTHER_MATTERS:
        return None
    if error.param == "max_tokens" and error.limit is not None:
        stopped_counting = LOWER_BOUND.search(error.message) is not None
        return _shorter_answer(error.limit, error.tokens, known, input_estimate if stopped_counting else 0)
    text = f"{error.param} {error.code} {error.message}"[:MAX_READ_CHARS]
    found = ((row, row.words.search(text)) for row in REFUSALS)
    learned = (row.learned(match, known) for row, match in found if match is not None)
    return next((limit for limit in learned if limit is not None), None)


def _shorter_answer(
    limit: int, prompt: int | None, known: Capabilities, estimate: int
) -> LearnedLimit | None:
    """The limit of the model, or what this prompt leaves of the window."""
    left = limit if prompt is None else limit - max(prompt, estimate if estimate < limit else 0)
    if left < 1 or (known.max_output_tokens is not None and left >= known.max_output_tokens):
        return None
    why = f"it gives at most {left} tokens"
    return LearnedLimit(why, {"max_output_tokens": left}, for_now=prompt is not None)


# --- kinds of refusals ----------------------------------------------------------


class Refusal(msgspec.Struct, frozen=True):
    """`words` recognize it in the text of an error."""

    words: re.Pattern[str]

    def learned(self, found: re.Match[str], known: Capabilities) -> LearnedLimit | None:
        """None if that is known already."""
        raise NotImplementedError


class Lacks(Refusal, frozen=True):
    """Something that the upstream does not take, or only in another form."""

    capabilities: Mapping[str, Any]

    def learned(self, found: re.Match[str], known: Capabilities) -> LearnedLimit | None:
        if all(getattr(known, name) == value for name, value in self.capabilities.items()):
            return None
        return LearnedLimit(f"it does not take {', '.join(self.capabilities)}", self.capabilities)


class Allows(Refusal, frozen=True):
    """The values that are allowed, in quotes; only `of` these count."""

    capability: str
    of: tuple[str, ...]

    def learned(self, found: re.Match[str], known: Capabilities) -> LearnedLimit | None:
        allowed = tuple(value for value in self.of if f"'{value}'" in found[1])
        if not allowed or allowed == getattr(known, self.capability):
            return None
        return LearnedLimit(
            f"it knows only these {self.capability}: {', '.join(allowed)}", {self.capability: allowed}
        )


class Unknown(Refusal, frozen=True):
    """Names that the upstream does not know: all that `name` finds in the first group; "*" for an empty group."""

    capability: str
    called: str = ""
    name: re.Pattern[str] = re.compile(r".+")

    def learned(self, found: re.Match[str], known: Capabilities) -> LearnedLimit | None:
        names = tuple(self.name.findall(found[1])) if found[1] else ("*",)
        before = getattr(known, self.capability)
        if set(names) <= {*before, *INDISPENSABLE}:
            return None
        together = tuple(dict.fromkeys((*before, *names)))
        return LearnedLimit(f"it does not know {self.called}{', '.join(names)}", {self.capability: together})


class ForeignThinking(Refusal, frozen=True):
    """Thinking of earlier turns that another upstream signed."""

    def learned(self, found: re.Match[str], known: Capabilities) -> LearnedLimit | None:
        return LearnedLimit("the thinking of earlier turns is not its own", strip_thinking=True)


def _pattern(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE | re.DOTALL)


BETAS = "these betas: "
REFUSED = (
    r"(unsupported|not supported|does not support|doesn't support|unknown|unrecognized|not permitted"
    r"|unavailable|deprecated|cannot both)"
)


def _refused(words: str, *others: str) -> re.Pattern[str]:
    """The words in a refusal's own sentence, whichever comes first; or other words that are clear by themselves."""
    return _pattern(rf"{REFUSED}.{{0,100}}{words}|{words}.{{0,100}}{REFUSED}", *others)


def _unknown_field(words: str) -> Unknown:
    return Unknown(_pattern(words), "dropped_fields")


REFUSALS: tuple[Refusal, ...] = (
    ForeignThinking(
        _pattern(
            r"signature.{0,100}thinking|thinking.{0,100}signature|thinking.{0,40}(block|expected)",
            r"invalid_encrypted_content|encrypted content.{0,200}(verified|decrypted)",
            r"reasoning.{0,60}without its required|without its required.{0,20}reasoning|item with id .?rs_",
        )
    ),
    Unknown(_pattern("invalid beta flag()"), "refused_betas", BETAS),
    Unknown(
        _pattern(r"unexpected value\(?s?\)? (.{1,500}?) for the .?anthropic-beta"),
        "refused_betas",
        BETAS,
        re.compile(r"[a-z0-9][a-z0-9-]+"),
    ),
    Lacks(_pattern(r"messages\W{1,4}\d+\W{1,4}(system\W{1,4})?output_config"), {"effort_in_messages": False}),
    Allows(_pattern(r"effort.{0,100}supported values are:([^.]*)"), "efforts", EFFORTS),
    Lacks(
        _pattern(r"max_tokens.{0,100}use.{0,20}max_completion_tokens"),
        {"max_tokens_field": "max_completion_tokens"},
    ),
    Lacks(_refused("max_completion_tokens"), {"max_tokens_field": "max_tokens"}),
    Lacks(_refused("(temperature|top_p)"), {"sampling": False}),
    Lacks(_refused(r"\btop_k\b"), {"top_k": False}),
    Lacks(_refused("['\"`]stop['\"`]"), {"stop": False}),
    Lacks(_refused("parallel_tool_calls"), {"parallel_tool_calls": False}),
    Lacks(_refused("stream_options"), {"include_usage": False}),
    Lacks(
        _pattern(r"use .{0,3}thinking\.type\.adaptive"),
        {"reasoning_effort": "adaptive", "thinking_budgets": False},
    ),
    Lacks(
        _refused("(adaptive|effort parameter|output_config)", r"'adaptive' found"),
        {"reasoning_effort": "budget"},
    ),
    Lacks(
        _refused(r"(reasoning_effort|reasoning\.effort|\bthink\b|\bthinking\b)"),
        {"reasoning_effort": "none"},
    ),
    Lacks(_refused("context_management"), {"context_management": False}),
    Lacks(_refused("cache_control"), {"cache_control": False}),
    Lacks(_refused("developer", r"unexpected role.{0,5}developer"), {"developer_role": False}),
    Lacks(
        _pattern(
            r"system message must be|role.{0,20}system.{0,60}(not supported|unexpected|invalid)",
            r"unexpected role.{0,5}system|messages\.\d+\.role|input should be 'user' or 'assistant'",
            r"roles must alternate|unexpected message role",
        ),
        {"mid_system": False},
    ),
    Lacks(
        _pattern(
            r"(image|vision|multimodal)\w* ?(input|content|url)?s? (is|are) (not|only) supported",
            r"(not|n't|that) support.{0,30}(image|vision|multimodal)|not a multimodal|at most 0 image",
            r"unknown variant .?image_url",
        ),
        {"images": False},
    ),
    Lacks(_refused("(json_schema|response_format)"), {"json_schema": False}),
    Lacks(
        _pattern(r"reasoning_content.{0,40}(missing|must|required)|missing.{0,10}reasoning_content"),
        {"reasoning_history": "required"},
    ),
    Lacks(
        _pattern(
            r"(invalid value|unknown variant|unsupported tool type|tool type)"
            r".{0,40}\b(namespace|custom|tool_search|additional_tools|custom_tool_call)",
            r"unknown parameter.{0,30}namespace|type'? of tool must be 'function'",
        ),
        {"responses_items": False, "custom_tools": False},
    ),
    _unknown_field(r"unsupported param(?:eter)?:? ['\"`]?([a-z_]+)"),
    _unknown_field(r"unknown (?:parameter|field|name):? ['\"`]?([a-z_]+)"),
    _unknown_field(r"unrecognized request arguments? supplied: ([a-z_]+)"),
    _unknown_field(r"(?:^|[\s'\"`])([a-z_]+): extra inputs are not permitted"),
    _unknown_field(r"extra_forbidden.{0,40}?body[',\s\"]+([a-z_]+)"),
)
