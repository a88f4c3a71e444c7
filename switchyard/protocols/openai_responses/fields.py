"""The fields of Responses requests.

https://platform.openai.com/docs/api-reference/responses/create
"""

from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.effort import UNKNOWN_EFFORT
from switchyard.protocols.fields import (
    NO_EFFORT,
    NO_FIELD,
    NOT_TAKEN,
    NOTHING,
    Field,
    Table,
    effort,
    flag,
    identifier,
    integer,
    members,
    number,
    same,
    warmth,
    word,
)
from switchyard.protocols.openai import decode_format, encode_schema
from switchyard.protocols.wire import Json, text

NO_STATE = "no conversation is stored here; send all items in `input`"
NO_BACKGROUND = "no answer is kept here until it is fetched; send the request without it"
NOT_KNOWN = "no such answer is remembered here; send all items in `input`"
SERVICE_ONLY = "only the service itself can do this"
ECHO_DEFAULTS: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of a request that its response repeats, and their defaults."""


UNNEEDED = (
    *("store", "include", "stream_options", "client_metadata"),
    *("prompt_cache_options", "prompt_cache_retention"),
)


def _no_previous(value: object, path: str) -> None:
    if value not in NOTHING:
        message = f"{path}: Previous response with id {text(value)!r} not found: {NOT_KNOWN}"
        raise BadRequest(message, path, "previous_response_not_found")


def _no_state(value: object, path: str) -> None:
    if value not in NOTHING:
        raise BadRequest(f"{path}: not supported: {NO_STATE}", path, "unsupported_parameter")


def _no_background(value: object, path: str) -> None:
    if value not in NOTHING:
        raise BadRequest(f"{path}: not supported: {NO_BACKGROUND}", path, "unsupported_parameter")


def _reasoning(value: object, path: str) -> neutral.Reasoning:
    given = members(value, path) or {}
    summary = text(given.get("summary")) or text(given.get("generate_summary")) or None
    return neutral.Reasoning(summary=summary)


def _effort(value: object, path: str) -> neutral.Reasoning | None:
    decoded = effort(value, path)
    return None if decoded is None else replace(decoded, enabled=decoded.effort != "none")


def _encode_format(wanted: neutral.OutputFormat, _: Capabilities) -> Json:
    return {"type": wanted.kind, **({} if wanted.kind == "json_object" else encode_schema(wanted))}


FIELDS = Table(
    Field("model", "model"),
    Field("input", "messages"),
    Field("instructions", "system"),
    Field("max_output_tokens", "max_tokens", integer),
    Field("temperature", "temperature", number, warmth, needs="sampling", loss=NOT_TAKEN),
    Field("top_p", "top_p", number, same, needs="sampling", loss=NOT_TAKEN),
    *(
        Field("", name, loss=NO_FIELD)
        for name in ("top_k", "seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs")
    ),
    Field("", "stop", note="watched for in the answer"),
    Field("", "include_usage", note="always sent"),
    Field("input", "compact", note="an item `compaction_trigger`"),
    Field("", "compact_instructions", note="in these words"),
    Field("stream", "stream", flag),
    Field("tools", "tools"),
    Field("tools", "hosted_tools"),
    Field("tool_choice", "tool_choice"),
    Field("parallel_tool_calls", "parallel_tool_calls", flag),
    Field("reasoning", "reasoning", _reasoning),
    Field("reasoning.effort", "reasoning", _effort, unknown=UNKNOWN_EFFORT, idle=NO_EFFORT),
    Field("reasoning.mode", loss=SERVICE_ONLY, idle=("standard",)),
    Field("text", decode=members),
    Field("text.format", "output_format", decode_format, _encode_format, needs="json_schema"),
    Field("text.verbosity", "verbosity", word, same, needs="openai_extras", loss=NOT_TAKEN),
    Field("prompt_cache_key", "session_id", word, identifier, needs="prompt_cache_key"),
    Field("safety_identifier", "user_id", word, identifier, needs="openai_extras"),
    Field("user", "user_id", word),
    Field("service_tier", "service_tier", word, same, needs="openai_extras", loss=NOT_TAKEN, idle=("auto",)),
    Field("metadata", "metadata", members, same, needs="openai_extras", loss=NOT_TAKEN),
    Field("previous_response_id", decode=_no_previous, loss=NOT_KNOWN),
    *(Field(name, decode=_no_state, loss=NO_STATE) for name in ("conversation", "prompt")),
    Field("background", decode=_no_background, loss=NO_BACKGROUND),
    *(
        Field(name, loss=SERVICE_ONLY)
        for name in ("top_logprobs", "max_tool_calls", "moderation", "context_management")
    ),
    Field("truncation", loss=SERVICE_ONLY, idle=("disabled",)),
    *(Field(name) for name in UNNEEDED),
)
