"""Messages requests: a client's body read, an upstream's body written.

https://platform.claude.com/docs/en/api/messages
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.content import ContentWriter, decode_content, text_block
from switchyard.protocols.anthropic_messages.reasoning import (
    Obstacles,
    WrittenReasoning,
    decode_reasoning,
    encode_reasoning,
)
from switchyard.protocols.anthropic_messages.tool_lists import (
    WrittenTools,
    decode_tool_choice,
    decode_tools,
    encode_tools,
)
from switchyard.protocols.codec import BadRequest, SentRequest, Target
from switchyard.protocols.history import text_of, well_formed, without_billing_line, without_mid_system
from switchyard.protocols.large import encode_large
from switchyard.protocols.limits import drop_refused
from switchyard.protocols.tools.schema import fits_strict
from switchyard.protocols.wire import decode_object

MAX_USER_ID = 256
HIGHEST_TEMPERATURE = 1.0
LEAST_THINKING_TOP_P = 0.95
MARKED_TURNS = 2
FALLBACK_TURN = "Continue."
JSON_ONLY = "Respond with a single JSON object and nothing else."

UNDERSTOOD = frozenset(
    """
    model max_tokens messages system stream temperature top_p top_k stop_sequences tools tool_choice thinking
    output_config output_format metadata service_tier mcp_servers cache_control
    """.split()
)
"""Every other field is lost in a conversion, and said to be. Marks for caching are set anew."""
NOTHING_LOST: tuple[object, ...] = (None, False, [], {}, "")

ROLES: dict[str, neutral.Role] = {"user": "user", "assistant": "assistant", "system": "system"}
SESSION_IN_USER_ID = re.compile(r"_session_([0-9a-fA-F-]{8,})$")
READ_TIERS = {"auto": "auto", "standard_only": "default"}
WRITTEN_TIERS = {"auto": "auto", "default": "standard_only"}

CACHE_MARK = {"type": "ephemeral"}
UNMARKABLE = frozenset({"thinking", "redacted_thinking"})

Wire = dict[str, Any]


# --- reading ------------------------------------------------------------------


def decode_request(body: bytes) -> neutral.Request:
    """The client's request. Raises BadRequest, with the field's path."""
    wire = decode_object(body)
    if wire is None:
        raise BadRequest("The request body is not a valid JSON object.")
    losses = _not_understood(wire)
    tools, hosted = decode_tools(wire.get("tools"))
    choice, parallel = decode_tool_choice(wire.get("tool_choice"))
    output_config = wire["output_config"] if isinstance(wire.get("output_config"), dict) else {}
    user_id = _user_id(wire.get("metadata"))
    return neutral.Request(
        model=_model(wire),
        messages=_messages(wire, losses),
        system=_system(wire.get("system")),
        tools=tools,
        hosted_tools=(*hosted, *_mcp_servers(wire.get("mcp_servers"))),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        max_tokens=_integer(wire, "max_tokens"),
        temperature=_number(wire, "temperature"),
        top_p=_number(wire, "top_p"),
        top_k=_integer(wire, "top_k"),
        stop=_stop(wire.get("stop_sequences")),
        stream=bool(wire.get("stream")),
        include_usage=True,
        reasoning=decode_reasoning(wire.get("thinking"), output_config),
        output_format=_output_format(output_config.get("format") or wire.get("output_format")),
        session_id=_session_id(user_id),
        user_id=user_id,
        service_tier=READ_TIERS.get(str(wire.get("service_tier"))),
        losses=tuple(losses),
    )


def _not_understood(wire: Wire) -> list[neutral.Loss]:
    return [
        neutral.Loss(name, "no other protocol has it")
        for name, value in wire.items()
        if name not in UNDERSTOOD and value not in NOTHING_LOST
    ]


def _model(wire: Wire) -> str:
    model = wire.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("model: Field required", "model")
    return model


def _messages(wire: Wire, losses: list[neutral.Loss]) -> tuple[neutral.Message, ...]:
    given = wire.get("messages")
    if not isinstance(given, list):
        raise BadRequest("messages: Field required", "messages")
    if not given:
        raise BadRequest("messages: at least one message is required", "messages")
    messages = []
    for number, message in enumerate(given):
        role = ROLES.get(str(message.get("role"))) if isinstance(message, dict) else None
        if role is None:
            path = f"messages.{number}.role"
            raise BadRequest(f"{path}: Input should be 'user', 'assistant' or 'system'", path)
        content = decode_content(role, message.get("content"), f"messages.{number}.content", losses)
        if content:
            messages.append(neutral.Message(role, content))
    return tuple(messages)


def _system(system: object) -> tuple[str, ...]:
    if system is None:
        return ()
    blocks = decode_content("system", system, "system", [])
    return tuple(block.text for block in blocks if isinstance(block, neutral.Text))


def _mcp_servers(servers: object) -> tuple[neutral.HostedTool, ...]:
    if not isinstance(servers, list):
        return ()
    return tuple(neutral.HostedTool("mcp", server) for server in servers if isinstance(server, dict))


def _stop(stop: object) -> tuple[str, ...]:
    if stop is None:
        return ()
    if not isinstance(stop, list) or not all(isinstance(entry, str) for entry in stop):
        raise BadRequest("stop_sequences: Input should be a list of strings", "stop_sequences")
    return tuple(entry for entry in stop if entry)


def _output_format(given: object) -> neutral.OutputFormat | None:
    if not isinstance(given, dict) or given.get("type") != "json_schema":
        return None
    schema = given["schema"] if isinstance(given.get("schema"), dict) else {}
    # this protocol knows no other way, but OpenAI's takes fewer schemas
    return neutral.OutputFormat("json_schema", schema=schema, strict=fits_strict(schema) or None)


def _user_id(metadata: object) -> str:
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    return user_id if isinstance(user_id, str) else ""


def _session_id(user_id: str) -> str:
    """Claude Code hides the session in the user id: as JSON, in older versions as `…_session_<id>`."""
    given = decode_object(user_id.encode("utf-8", "replace")) if user_id.startswith("{") else None
    if given is not None:
        return str(given.get("session_id") or "")
    found = SESSION_IN_USER_ID.search(user_id)
    return found.group(1) if found else ""


def _number(wire: Wire, name: str) -> float | None:
    value = wire.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest(f"{name}: Input should be a valid number", name)
    return value


def _integer(wire: Wire, name: str) -> int | None:
    value = _number(wire, name)
    if value is not None and value != int(value):
        raise BadRequest(f"{name}: Input should be a valid integer", name)
    return None if value is None else int(value)


# --- writing ------------------------------------------------------------------


def encode_request(request: neutral.Request, target: Target) -> SentRequest:
    """The body for the upstream. Raises BadRequest where the meaning would be lost."""
    losses: list[neutral.Loss] = []
    capabilities = target.capabilities
    tools = encode_tools(request, target, losses)
    system, conversation = _shaped(request, target)
    messages = _encode_messages(conversation, ContentWriter(target, tools.names, losses))
    reasoning = encode_reasoning(request, target, _obstacles(messages, tools), losses)
    instructions = _instructions(request, target, tools)
    body: Wire = {"model": target.model, "max_tokens": reasoning.max_tokens}
    body |= _encode_system((*system, *instructions))
    if tools.tools:
        body["tools"] = list(tools.tools)
    if tools.choice:
        body["tool_choice"] = tools.choice
    body["messages"] = messages
    body |= _encode_reasoning_fields(request, target, reasoning)
    body |= _encode_sampling(request, target, reasoning, losses)
    body |= _encode_extras(request, target)
    stop, dropped_stops = _encode_stop(request, target)
    body |= stop
    if request.stream:
        body["stream"] = True
    if capabilities.cache_control:
        _mark_for_caching(body)
    _note_ignored(request, losses)
    losses += drop_refused(body, capabilities)
    return SentRequest(
        body=encode_large(body),
        target=target,
        tools=tools.names,
        stops=dropped_stops,
        losses=tuple(dict.fromkeys(losses)),
    )


def _shaped(request: neutral.Request, target: Target) -> tuple[tuple[str, ...], tuple[neutral.Message, ...]]:
    """System prompt and conversation in the order this protocol wants: a user first, roles in turn."""
    messages = well_formed(request.messages)
    system = [text for text in request.system if text.strip()]
    while messages and messages[0].role == "system":
        system.append(text_of(messages[0].content))
        messages = messages[1:]
    if not target.capabilities.mid_system:
        messages = without_mid_system(messages)
    if not messages or messages[0].role != "user":
        messages = (neutral.Message("user", (neutral.Text(FALLBACK_TURN),)), *messages)
    shaped = tuple(system)
    return (shaped if target.capabilities.billing_line else without_billing_line(shaped)), messages


def _encode_messages(messages: Sequence[neutral.Message], writer: ContentWriter) -> list[Wire]:
    encoded: list[Wire] = []
    for message in _without_trailing_space(messages):
        wire = writer.message(message)
        if not wire["content"]:
            continue
        if encoded and encoded[-1]["role"] == wire["role"] != "system":
            # what stood between them was lost
            wire = {"role": wire["role"], "content": [*_as_blocks(encoded.pop()), *_as_blocks(wire)]}
        encoded.append(wire)
    return encoded


def _without_trailing_space(messages: Sequence[neutral.Message]) -> Sequence[neutral.Message]:
    """A reply that the request begins must not end in white space."""
    last = messages[-1]
    if last.role != "assistant" or not isinstance(text := last.content[-1], neutral.Text):
        return messages
    trimmed = (*last.content[:-1], neutral.Text(text.text.rstrip()))
    return (*messages[:-1], replace(last, content=trimmed))


def _obstacles(messages: list[Wire], tools: WrittenTools) -> Obstacles:
    last = messages[-1]
    in_tool_loop = last["role"] == "user" and _as_blocks(last)[0]["type"] == "tool_result"
    before = next((message for message in reversed(messages) if message["role"] == "assistant"), None)
    signed = before is not None and str(_as_blocks(before)[0]["type"]) in UNMARKABLE
    return Obstacles(
        forced_call=tools.forces_a_call,
        prefill=last["role"] == "assistant",
        unsigned_tool_loop=in_tool_loop and not signed,
    )


def _instructions(request: neutral.Request, target: Target, tools: WrittenTools) -> tuple[str, ...]:
    """What the protocol or the upstream has no field for is said in words."""
    said = [tools.instruction] if tools.instruction else []
    wanted = request.output_format
    if wanted is not None and wanted.kind == "json_object":
        said.append(JSON_ONLY)
    elif wanted is not None and not target.capabilities.json_schema:
        schema = msgspec.json.encode(wanted.schema).decode()
        said.append(f"{JSON_ONLY} It must match this JSON schema:\n{schema}")
    return tuple(said)


def _encode_system(system: tuple[str, ...]) -> Wire:
    if not system:
        return {}
    return {"system": system[0] if len(system) == 1 else [text_block(text) for text in system]}


def _encode_reasoning_fields(request: neutral.Request, target: Target, reasoning: WrittenReasoning) -> Wire:
    fields: Wire = {"thinking": reasoning.thinking} if reasoning.thinking else {}
    output: Wire = {"effort": reasoning.effort} if reasoning.effort else {}
    wanted = request.output_format
    if wanted is not None and wanted.kind == "json_schema" and target.capabilities.json_schema:
        output["format"] = {"type": "json_schema", "schema": wanted.schema}
    return fields | ({"output_config": output} if output else {})


def _encode_sampling(
    request: neutral.Request, target: Target, reasoning: WrittenReasoning, losses: list[neutral.Loss]
) -> Wire:
    """With thinking the sampling is fixed; several models refuse temperature and top_p together."""
    capabilities = target.capabilities
    given: Wire = {}
    if request.temperature is not None and capabilities.sampling and not reasoning.thinks:
        given["temperature"] = min(request.temperature, HIGHEST_TEMPERATURE, capabilities.max_temperature)
    if request.top_p is not None and capabilities.sampling and "temperature" not in given:
        if not reasoning.thinks or request.top_p >= LEAST_THINKING_TOP_P:
            given["top_p"] = request.top_p
    if request.top_k is not None and capabilities.top_k and not reasoning.thinks:
        given["top_k"] = request.top_k
    for name in ("temperature", "top_p", "top_k"):
        if getattr(request, name) is not None and name not in given:
            losses.append(neutral.Loss(name, "this request cannot set it at this upstream"))
    return given


def _encode_extras(request: neutral.Request, target: Target) -> Wire:
    if not target.capabilities.openai_extras:
        return {}
    extras: Wire = {}
    if request.user_id:
        extras["metadata"] = {"user_id": request.user_id[:MAX_USER_ID]}
    if (tier := WRITTEN_TIERS.get(request.service_tier or "")) is not None:
        extras["service_tier"] = tier
    return extras


def _encode_stop(request: neutral.Request, target: Target) -> tuple[Wire, tuple[str, ...]]:
    """The stop sequences as a field, and those that must be watched for here: blank ones are refused."""
    sayable = [stop for stop in request.stop if stop.strip()] if target.capabilities.stop else []
    dropped = tuple(stop for stop in request.stop if stop not in sayable)
    return ({"stop_sequences": sayable} if sayable else {}), dropped


def _mark_for_caching(body: Wire) -> None:
    """Mark the last tool, the last system block, the last two user turns: four marks are allowed."""
    if "tools" in body:
        body["tools"][-1] = {**body["tools"][-1], "cache_control": CACHE_MARK}
    if "system" in body:
        blocks = body["system"] = _blocks_of(body["system"])
        blocks[-1]["cache_control"] = CACHE_MARK
    turns = [message for message in body["messages"] if message["role"] == "user"]
    for turn in turns[-MARKED_TURNS:]:
        turn["content"] = _as_blocks(turn)
        turn["content"][-1]["cache_control"] = CACHE_MARK


def _as_blocks(message: Wire) -> list[Wire]:
    return _blocks_of(message["content"])


def _blocks_of(content: str | list[Wire]) -> list[Wire]:
    return [text_block(content)] if isinstance(content, str) else content


IGNORED = (
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "verbosity",
    "metadata",
)


def _note_ignored(request: neutral.Request, losses: list[neutral.Loss]) -> None:
    losses += (
        neutral.Loss(name, "Anthropic Messages has no such field")
        for name in IGNORED
        if getattr(request, name) is not None
    )
    if request.service_tier is not None and request.service_tier not in WRITTEN_TIERS:
        losses.append(
            neutral.Loss("service_tier", f"Anthropic Messages has no tier {request.service_tier!r}")
        )
