"""The fields of Messages requests.

https://platform.claude.com/docs/en/api/messages
"""

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.effort import UNKNOWN_EFFORT
from switchyard.protocols.errors.table import THREAD_NOT_FOUND
from switchyard.protocols.fields import (
    NO_EFFORT,
    NO_FIELD,
    NOT_TAKEN,
    NOTHING,
    NOWHERE_ELSE,
    Field,
    Table,
    effort,
    flag,
    integer,
    number,
    same,
    thinking,
    warmth,
    word,
)
from switchyard.protocols.sessions import session_in_user_id
from switchyard.protocols.tools.choice import MCP
from switchyard.protocols.tools.schema import fits_strict
from switchyard.protocols.wire import Json, bad_field, entries, fields, text

MAX_USER_ID = 256
HIGHEST_TEMPERATURE = 1.0
ABSENT = ("seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "verbosity", "metadata")
DECODED_TIERS = {"auto": "auto", "standard_only": "default"}
ENCODED_TIERS = {"auto": "auto", "default": "standard_only"}


def _temperature(value: float, capabilities: Capabilities) -> float:
    return min(HIGHEST_TEMPERATURE, warmth(value, capabilities))


def _stops(value: object, path: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise bad_field(path, "Input should be a list of strings")
    return tuple(filter(None, value))


def _format(value: object, _: str) -> neutral.OutputFormat | None:
    given = fields(value)
    if given.get("type") != "json_schema":
        return None
    schema = fields(given.get("schema"))
    # this protocol knows no other way, but OpenAI's takes fewer schemas
    return neutral.OutputFormat("json_schema", schema=schema, strict=fits_strict(schema) or None)


def _encode_format(wanted: neutral.OutputFormat, _: Capabilities) -> Json | None:
    return {"type": "json_schema", "schema": wanted.schema} if wanted.kind == "json_schema" else None


def _servers(value: object, _: str) -> tuple[neutral.HostedTool, ...]:
    return tuple(neutral.HostedTool(MCP, server) for server in entries(value) if isinstance(server, dict))


def _summarizes(value: object, _: str) -> bool | None:
    return fields(value).get("type") == "summarize" or None


def _no_thread(value: object, path: str) -> None:
    """Clients send the whole conversation once they know that this part of it is not held here."""
    given = fields(value)
    if value not in NOTHING and given.get("type") != "create":
        id = text(given.get("previous_message_id"))
        raise BadRequest(f"{path}: no conversation is held for message {id!r}", path, THREAD_NOT_FOUND)


FIELDS = Table(
    Field("model", "model"),
    Field("messages", "messages"),
    Field("system", "system"),
    Field("max_tokens", "max_tokens", integer),
    Field("temperature", "temperature", number, _temperature, needs="sampling", loss=NOT_TAKEN),
    Field("top_p", "top_p", number, same, needs="sampling", loss=NOT_TAKEN),
    Field("top_k", "top_k", integer, same, needs="top_k", loss=NOT_TAKEN),
    Field("stop_sequences", "stop", _stops),
    Field("stream", "stream", flag),
    Field("tools", "tools"),
    Field("tools", "hosted_tools"),
    Field("mcp_servers", "hosted_tools", _servers),
    Field("tool_choice", "tool_choice"),
    Field("tool_choice.disable_parallel_tool_use", "parallel_tool_calls"),
    Field("thinking", "reasoning", thinking),
    Field("output_config.effort", "reasoning", effort, unknown=UNKNOWN_EFFORT, idle=NO_EFFORT),
    Field("output_config.format", "output_format", _format, _encode_format, needs="json_schema"),
    Field("output_format", "output_format", _format),
    Field("metadata.user_id", "user_id", word, lambda id, _: id[:MAX_USER_ID], needs="openai_extras"),
    Field("metadata.user_id", "session_id", lambda value, _: session_in_user_id(value)),
    Field(
        "service_tier",
        "service_tier",
        lambda value, _: DECODED_TIERS.get(text(value)),
        lambda value, _: ENCODED_TIERS.get(value),
        needs="openai_extras",
        loss=NOT_TAKEN,
    ),
    Field("", "include_usage", note="always sent"),
    Field("", "compact", note="a summary is requested in words"),
    Field("compaction", "compact", _summarizes, unknown=NOWHERE_ELSE),
    Field("compaction.instructions", "compact_instructions", word),
    Field("thread", decode=_no_thread, loss="no conversation is held here; send all messages"),
    Field("cache_control", note="cache marks are set again"),
    *(Field("", name, loss=NO_FIELD) for name in ABSENT),
)
