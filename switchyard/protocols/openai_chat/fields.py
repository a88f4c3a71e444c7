"""The fields of Chat requests.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Mapping
from typing import Any

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.effort import UNKNOWN_EFFORT
from switchyard.protocols.fields import (
    NO_EFFORT,
    NOT_TAKEN,
    Field,
    Table,
    effort,
    flag,
    identifier,
    integer,
    members,
    number,
    same,
    thinking,
    warmth,
    word,
)
from switchyard.protocols.openai import decode_custom, decode_format, decode_function, encode_schema
from switchyard.protocols.openai_chat.foreign import own_tool
from switchyard.protocols.tools.choice import WEB_SEARCH
from switchyard.protocols.wire import Json, bad_field, fields, text

THINKING_TYPES = ("enabled", "disabled", "adaptive")
SERVICE_TIERS: Mapping[str, str] = {"standard_only": "default", "ultrafast": "priority"}


def _one_choice(value: object, path: str) -> None:
    if isinstance(value, int) and value > 1:
        raise bad_field(path, "only one choice can be made here")


def _no_audio(value: object, _: str) -> None:
    if value and (not isinstance(value, list) or "audio" in value):
        raise BadRequest("audio: audio answers cannot be carried to another protocol", "audio")


def _stops(value: object, _: str) -> tuple[str, ...]:
    return tuple(filter(None, map(text, value if isinstance(value, list) else [value])))


def _thinking(value: object, path: str) -> neutral.Reasoning | None:
    """As in Messages, but an extension here: other forms ("auto") ask for nothing."""
    return thinking(value, path) if fields(value).get("type") in THINKING_TYPES else None


def _reasoning(value: object, _: str) -> neutral.Reasoning | None:
    """OpenRouter's `reasoning`, but for its effort."""
    given = fields(value)
    budget, enabled = given.get("max_tokens"), given.get("enabled")
    decoded = neutral.Reasoning(
        budget_tokens=budget if isinstance(budget, int) else None,
        enabled=enabled if isinstance(enabled, bool) else isinstance(budget, int) or None,
        summary=neutral.OMITTED if given.get("exclude") is True else None,
    )
    return None if decoded == neutral.Reasoning() else decoded


def _switch(value: object, _: str) -> neutral.Reasoning | None:
    return neutral.Reasoning(enabled=value) if isinstance(value, bool) else None


def _format(value: object, path: str) -> neutral.OutputFormat | None:
    given = fields(value)
    decoded = decode_format(given)
    if decoded is None and given.get("type") != "text":
        raise bad_field(path, "Input should be text, json_object or json_schema")
    return decoded


def _encode_format(wanted: neutral.OutputFormat, _: Capabilities) -> Json:
    if wanted.kind == "json_object":
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": encode_schema(wanted)}


def _search(value: object, _: str) -> tuple[neutral.HostedTool, ...]:
    given = fields(value)
    location = fields(fields(given.get("user_location")).get("approximate"))
    options: dict[str, Any] = {
        "user_location": {name: value for name, value in location.items() if name != "type"},
        "search_context_size": given.get("search_context_size"),
    }
    return (neutral.HostedTool(WEB_SEARCH, {name: value for name, value in options.items() if value}),)


def encode_search(search: neutral.HostedTool) -> Json:
    options = search.options
    encoded: Json = {}
    if options.get("search_context_size"):
        encoded["search_context_size"] = options["search_context_size"]
    if options.get("user_location"):
        encoded["user_location"] = {"type": "approximate", "approximate": dict(options["user_location"])}
    return encoded


def _tools(value: object, path: str) -> tuple[neutral.Tool, ...] | None:
    """`tools`, or the deprecated `functions`."""
    if not value:
        return None
    if not isinstance(value, list):
        raise bad_field(path, "Input should be a list")
    return tuple(_tool(fields(tool), f"{path}[{number}]") for number, tool in enumerate(value))


def _tool(given: Json, path: str) -> neutral.Tool:
    own = fields(own_tool(given))
    return (decode_custom if own.get("type") == "custom" else decode_function)(own, path)


def _tier(value: str, _: Capabilities) -> str:
    return SERVICE_TIERS.get(value, value)


FIELDS = Table(
    Field("model", "model"),
    Field("messages", "messages"),
    Field("messages", "system"),
    Field("max_completion_tokens", "max_tokens", integer),
    Field("max_tokens", "max_tokens", integer),
    Field("temperature", "temperature", number, warmth, needs="sampling", loss=NOT_TAKEN),
    Field("top_p", "top_p", number, same, needs="sampling", loss=NOT_TAKEN),
    Field("top_k", "top_k", integer, same, needs="top_k", loss=NOT_TAKEN),
    Field("frequency_penalty", "frequency_penalty", number, same),
    Field("presence_penalty", "presence_penalty", number, same),
    Field("logit_bias", "logit_bias", members, same),
    Field("seed", "seed", integer, same),
    Field("", "logprobs", loss="the answer could not return them"),
    Field("n", decode=_one_choice, loss="more than one choice"),
    Field("modalities", decode=_no_audio, loss="audio"),
    Field("audio", decode=_no_audio, loss="audio"),
    Field("stop", "stop", _stops),
    Field("stream", "stream", flag),
    Field("stream_options.include_usage", "include_usage", lambda value, _: value is True),
    Field("stream_options.include_obfuscation"),
    Field("tools", "tools", _tools),
    Field("functions", "tools", _tools),
    Field("web_search_options", "hosted_tools", _search),
    Field("tool_choice", "tool_choice"),
    Field("function_call", "tool_choice"),
    Field("parallel_tool_calls", "parallel_tool_calls", flag),
    Field("reasoning_effort", "reasoning", effort, unknown=UNKNOWN_EFFORT, idle=NO_EFFORT),
    Field("thinking", "reasoning", _thinking),
    Field("reasoning.effort", "reasoning", effort, unknown=UNKNOWN_EFFORT, idle=NO_EFFORT),
    Field("reasoning", "reasoning", _reasoning),
    Field("chat_template_kwargs.enable_thinking", "reasoning", _switch),
    Field("enable_thinking", "reasoning", _switch),
    Field("response_format", "output_format", _format, _encode_format, needs="json_schema"),
    Field("verbosity", "verbosity", word, same, needs="openai_extras", loss=NOT_TAKEN),
    Field("prompt_cache_key", "session_id", word, identifier, needs="prompt_cache_key"),
    Field("safety_identifier", "user_id", word, identifier, needs="openai_extras"),
    Field("user", "user_id", word),
    Field("service_tier", "service_tier", word, _tier, needs="openai_extras", loss=NOT_TAKEN, idle=("auto",)),
    Field("metadata", "metadata", members),
    Field("", "metadata", loss="nothing is stored"),
    Field("", "compact", note="a summary is requested in words"),
    Field("", "compact_instructions", note="in these words"),
)
