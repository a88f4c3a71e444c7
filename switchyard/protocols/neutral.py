"""The neutral form: what a request, an answer and a stream mean, whatever their protocol.

A stream is a strict walk: ``Started block* (Finished | Failed)`` with ``block = BlockStarted Delta* BlockEnded``.
One block is open at a time, so a `Delta` needs neither index nor type; decoders do the sorting.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from switchyard.protocols.client_program import ClientProgram

Role = Literal["user", "assistant", "system"]
ToolKind = Literal["function", "custom", "local_shell", "shell", "apply_patch", "tool_search"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"]
Schema = Mapping[str, Any]
OMITTED = "omitted"


class Usage(msgspec.Struct, frozen=True):
    """Tokens in disjoint parts: `input` excludes what was read from or written to a cache.

    `reasoning` is the part of `output` spent on reasoning. `estimated` marks numbers that no upstream reported.
    `tier` is the service tier that the answer names, "" for the standard one; `searches` counts the web searches that
    the upstream ran.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False
    tier: str = ""
    searches: int = 0

    @property
    def cache_write(self) -> int:
        return self.cache_write_5m + self.cache_write_1h

    @property
    def total_input(self) -> int:
        """All tokens the model read, cached ones included."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        return self.total_input + self.output

    def merged(self, later: "Usage") -> "Usage":
        """What two reports of one exchange add up to: a later number wins unless it is zero."""
        return Usage(
            input=later.input or self.input,
            cache_read=later.cache_read or self.cache_read,
            cache_write_5m=later.cache_write_5m or self.cache_write_5m,
            cache_write_1h=later.cache_write_1h or self.cache_write_1h,
            output=later.output or self.output,
            reasoning=later.reasoning or self.reasoning,
            estimated=self.estimated and later.estimated,
            tier=later.tier or self.tier,
            searches=later.searches or self.searches,
        )


class Stated(msgspec.Struct, frozen=True):
    """What an answer states about its origin, "" for what it does not: its model, and the mark that Chat servers
    change with their configuration."""

    model: str = ""
    fingerprint: str = ""


UNSTATED = Stated()


class Signature(msgspec.Struct, frozen=True, gc=False):
    """Opaque continuity data of a thinking block, valid only at the upstream that issued it.

    `issuer` is the `Target.issuer` of that upstream, or "" where it is unknown (a native signature).
    """

    payload: str
    issuer: str = ""

    def is_from(self, issuer: str) -> bool:
        return bool(issuer) and self.issuer == issuer


class Text(msgspec.Struct, frozen=True, gc=False):
    text: str


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The model declined; the text is its explanation."""

    text: str


class Image(msgspec.Struct, frozen=True, gc=False):
    """Either base64 `data` with its `media_type`, or a `url`."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    detail: str = ""


class Document(msgspec.Struct, frozen=True, gc=False):
    """Either base64 `data` with its `media_type` (text/plain: `data` is the text itself), or a `url`."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    title: str = ""
    context: str = ""


class Thinking(msgspec.Struct, frozen=True, gc=False):
    """Reasoning text (possibly empty) and the issuer's opaque data; `redacted` when only the latter exists."""

    text: str
    signature: Signature | None = None
    redacted: bool = False


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """`arguments` is the JSON text of an object, or, for kind "custom", the raw free-form input.

    `signature`: opaque members of the call (Gemini's thought signature), which its issuer wants back with it.
    """

    id: str
    name: str
    arguments: str
    kind: ToolKind = "function"
    namespace: str = ""
    signature: Signature | None = None


class ToolResult(msgspec.Struct, frozen=True, gc=False):
    call_id: str
    content: tuple["Text | Image | Document", ...]
    is_error: bool = False
    kind: ToolKind = "function"


class WebSearch(msgspec.Struct, frozen=True, gc=False):
    """A search that the upstream itself performed, or with an `error` did not."""

    id: str
    query: str
    sources: tuple["Citation", ...] = ()
    error: str = ""


class Compaction(msgspec.Struct, frozen=True, gc=False):
    """A conversation summary in a carrier (`carrier.py`) or in the issuer's own opaque form."""

    payload: str


Block = Text | Refusal | Image | Document | Thinking | ToolCall | ToolResult | WebSearch | Compaction


class Message(msgspec.Struct, frozen=True, gc=False):
    role: Role
    content: tuple[Block, ...]

    def having(self, content: tuple[Block, ...]) -> "Message":
        """The message with this content, the very same if it has it."""
        return self if content == self.content else Message(self.role, content)


class Tool(msgspec.Struct, frozen=True):
    """A tool that the client runs. `grammar` belongs to kind "custom": (syntax, definition)."""

    name: str
    description: str = ""
    parameters: Schema = msgspec.field(default_factory=dict)
    kind: ToolKind = "function"
    namespace: str = ""
    strict: bool | None = None
    grammar: tuple[str, str] | None = None


class HostedTool(msgspec.Struct, frozen=True):
    """A tool that the upstream runs; `name` is the neutral name, `options` its settings in neutral words.

    web_search: allowed_domains, blocked_domains (lists), user_location (flat), max_uses, search_context_size.
    """

    name: str
    options: Mapping[str, Any] = msgspec.field(default_factory=dict)


class ToolChoice(msgspec.Struct, frozen=True):
    """`name` (and `namespace`) only with mode "named"; `allowed` restricts the list without changing the mode."""

    mode: Literal["auto", "required", "none", "named"]
    name: str = ""
    namespace: str = ""
    allowed: tuple[str, ...] = ()


class Reasoning(msgspec.Struct, frozen=True):
    """What the client requested of thinking. All None: nothing.

    `enabled` False: thinking off, whatever the effort. `adaptive`: the model decides how much. `summary`: how long it
    is; OMITTED: the client wants to see no thinking.
    """

    effort: Effort | None = None
    budget_tokens: int | None = None
    enabled: bool | None = None
    adaptive: bool = False
    summary: str | None = None

    @property
    def is_omitted(self) -> bool:
        return self.summary == OMITTED

    def joined(self, other: "Reasoning") -> "Reasoning":
        """What two members of one request ask for: the first counts, but what either turns off is off."""
        is_off = self.enabled is False or other.enabled is False
        return Reasoning(
            effort=self.effort or other.effort,
            budget_tokens=other.budget_tokens if self.budget_tokens is None else self.budget_tokens,
            enabled=False if is_off else self.enabled or other.enabled,
            adaptive=self.adaptive or other.adaptive,
            summary=self.summary or other.summary,
        )


class OutputFormat(msgspec.Struct, frozen=True):
    kind: Literal["json_object", "json_schema"]
    name: str = "response"
    schema: Schema = msgspec.field(default_factory=dict)
    strict: bool | None = None
    description: str = ""


class Request(msgspec.Struct, frozen=True):
    """One request of any client protocol. Absent numbers are None: a codec invents no defaults."""

    model: str
    messages: tuple[Message, ...]
    system: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    hosted_tools: tuple[HostedTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    reasoning: Reasoning = Reasoning()
    output_format: OutputFormat | None = None
    verbosity: str | None = None
    session_id: str = ""
    user_id: str = ""
    service_tier: str | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[str, float] | None = None
    logprobs: int | None = None
    metadata: Mapping[str, str] | None = None
    compact: bool = False
    """The client wants the conversation compacted: the answer must be one `Compaction` block."""
    compact_instructions: str = ""
    """How the client wants it summarized."""
    echo: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """Request fields that the client's own protocol repeats in its answer (Responses); no other code reads them."""
    losses: tuple["Loss", ...] = ()
    """What the decoder already had to leave out."""
    client: ClientProgram = ClientProgram.OTHER
    """The program that asks; set by the caller, who has its headers."""
    received_at: int = 0
    """Seconds since the epoch, for answers that contain the time; set by the caller, who has a clock."""


class Loss(msgspec.Struct, frozen=True, gc=False):
    """Something that a conversion could not carry over: the client's field and why."""

    field: str
    why: str


class ErrorType(StrEnum):
    """What went wrong, in terms of no protocol."""

    INVALID_REQUEST = "invalid_request"
    CONTEXT_OVERFLOW = "context_overflow"
    AUTHENTICATION = "authentication"
    BILLING = "billing"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    TIMEOUT = "timeout"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    SERVER = "server"
    OVERLOADED = "overloaded"


class WireError(msgspec.Struct, frozen=True):
    """An error as a protocol reports it; `retry_after` in seconds. `resets_at`, in seconds since the epoch, is when a
    limit ends, where the body has it.

    `tokens` and `limit` are known for some context overflows, `param` for some refused fields. With the param
    "max_tokens" the answer would be too long: `limit` is the most it may have, or, where `tokens` has those of
    the prompt, what both may have together.
    """

    type: ErrorType
    message: str
    status: int
    code: str = ""
    param: str = ""
    retry_after: float | None = None
    tokens: int | None = None
    limit: int | None = None
    resets_at: float | None = None


class StopReason(StrEnum):
    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    TOOL_USE = "tool_use"
    REFUSAL = "refusal"
    CONTEXT_WINDOW = "context_window"
    PAUSE = "pause"
    COMPACTION = "compaction"


class Started(msgspec.Struct, frozen=True):
    """`usage` where the upstream already reports it."""

    id: str = ""
    model: str = ""
    usage: Usage | None = None
    fingerprint: str = ""


AnswerBlock = Text | Refusal | Thinking | ToolCall | WebSearch | Compaction


class BlockStarted(msgspec.Struct, frozen=True):
    """Opens a block. The block's own text, thinking or arguments are empty: they follow as `Delta`s.

    `WebSearch` and `Compaction` come whole, without deltas.
    """

    block: AnswerBlock


class Delta(msgspec.Struct, frozen=True):
    text: str


class Citation(msgspec.Struct, frozen=True, gc=False):
    """A source of the open text block; may stand among its deltas."""

    url: str
    title: str = ""
    cited_text: str = ""


class BlockEnded(msgspec.Struct, frozen=True):
    """`signature` closes a thinking block or a call; `complete` is False for a call cut off in its arguments."""

    signature: Signature | None = None
    complete: bool = True


class Finished(msgspec.Struct, frozen=True):
    """The regular end. `usage` is the merged final report, None when the upstream reported none.

    `losses`: what of the answer no other protocol can carry.
    """

    stop_reason: StopReason
    usage: Usage | None = None
    stop_sequence: str | None = None
    losses: tuple[Loss, ...] = ()


class Failed(msgspec.Struct, frozen=True):
    """The stream broke or the upstream reported an error; nothing follows."""

    error: WireError


Event = Started | BlockStarted | Delta | Citation | BlockEnded | Finished | Failed


class Response(msgspec.Struct, frozen=True):
    """A whole answer: what a stream of events adds up to. `incomplete` are ids of calls that were cut off."""

    id: str
    model: str
    content: tuple[Block, ...]
    stop_reason: StopReason
    usage: Usage | None = None
    stop_sequence: str | None = None
    citations: Mapping[int, tuple[Citation, ...]] = msgspec.field(default_factory=dict)
    incomplete: frozenset[str] = frozenset()


def with_estimate(
    usage: Usage | None, input_tokens: int, output_tokens: int, *, is_final: bool = True
) -> Usage:
    """The usage, its missing halves filled with estimates and marked so.

    Of an answer that was cut short the usage is not final: its output may have been counted at the start only.
    """
    known = usage or Usage()
    output = known.output if known.output and is_final else max(known.output, output_tokens)
    if known.total_input and known.output and output == known.output:
        return known
    return replace(
        known,
        input=known.input or (0 if known.total_input else input_tokens),
        output=output,
        estimated=True,
    )
