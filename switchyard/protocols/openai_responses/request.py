"""Read a client's request; write the upstream's.

https://platform.openai.com/docs/api-reference/responses/create
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest, SentRequest, Target
from switchyard.protocols.effort import clamped, wanted_effort
from switchyard.protocols.history import well_formed, without_billing_line, without_mid_system
from switchyard.protocols.large import decode_large, encode_large
from switchyard.protocols.limits import answer_limit, answer_limit_losses, drop_refused
from switchyard.protocols.openai_responses.calls import Item
from switchyard.protocols.openai_responses.items import NO_STATE, Conversation, ItemWriter
from switchyard.protocols.openai_responses.skeleton import echo_of
from switchyard.protocols.openai_responses.tools import (
    WEB_SEARCH,
    Toolbox,
    read_choice,
    write_choice,
    write_tools,
)
from switchyard.protocols.wire import fields, json_text, text

MIN_OUTPUT_TOKENS = 16
FALLBACK_TURN = neutral.Text("Continue.")
MAX_IDENTIFIER_LENGTH = 64
STATEFUL_FIELDS = ("conversation", "prompt", "background")
UNCARRIED_FIELDS = ("top_logprobs", "max_tool_calls", "moderation", "context_management")
DROPPED_FIELDS = ("top_k", "seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs")
DROPPED_OPTIONS = ("blocked_domains", "max_uses")
"""What a neutral request, and its web search, may ask for and this protocol has no words for."""


def decode_request(body: bytes) -> neutral.Request:
    """Raises BadRequest."""
    try:
        given = decode_large(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the request body is not valid JSON: {error}") from None
    if not isinstance(given, dict):
        raise BadRequest("the request body is not a JSON object")
    return read_request(given)


def read_request(body: Item) -> neutral.Request:
    """Raises BadRequest."""
    _check(body)
    toolbox = Toolbox()
    toolbox.read(body.get("tools"))
    conversation = Conversation(toolbox)
    if instructions := text(body.get("instructions")):
        conversation.system.append(instructions)
    conversation.read(body["input"])
    format, verbosity = _read_text(body.get("text") or {})
    return neutral.Request(
        model=body["model"],
        messages=conversation.messages,
        system=tuple(conversation.system),
        tools=tuple(toolbox.tools.values()),
        hosted_tools=tuple(toolbox.hosted.values()),
        tool_choice=read_choice(body.get("tool_choice"), toolbox),
        parallel_tool_calls=body.get("parallel_tool_calls"),
        max_tokens=body.get("max_output_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stream=bool(body.get("stream")),
        reasoning=_read_reasoning(body.get("reasoning") or {}),
        output_format=format,
        verbosity=verbosity,
        session_id=text(body.get("prompt_cache_key")),
        user_id=text(body.get("safety_identifier")) or text(body.get("user")),
        service_tier=body.get("service_tier"),
        metadata=body.get("metadata") or None,
        compact=conversation.compact,
        echo=echo_of(body),
        losses=(*toolbox.losses, *conversation.losses, *_uncarried(body)),
    )


def _check(body: Item) -> None:
    if not text(body.get("model")):
        raise BadRequest("model: field required; name the model to use", "model")
    if previous := body.get("previous_response_id"):
        message = f"previous_response_id: Previous response with id {text(previous)!r} not found: {NO_STATE}"
        raise BadRequest(message, "previous_response_id", "previous_response_not_found")
    for field in STATEFUL_FIELDS:
        if body.get(field):
            raise BadRequest(f"{field}: not supported: {NO_STATE}", field, "unsupported_parameter")
    if body.get("input") is None:
        raise BadRequest("input: field required", "input")
    for field, types in _TYPES.items():
        value = body.get(field)
        if value is not None and (
            not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
        ):
            raise BadRequest(f"{field}: {json_text(value)[:100]} is not of the right type", field)


_TYPES: Mapping[str, tuple[type, ...]] = {
    "max_output_tokens": (int,),
    "temperature": (int, float),
    "top_p": (int, float),
    "parallel_tool_calls": (bool,),
    "stream": (bool,),
    "reasoning": (dict,),
    "text": (dict,),
    "tools": (list,),
    "metadata": (dict,),
    "service_tier": (str,),
}


def _read_reasoning(given: Item) -> neutral.Reasoning:
    effort = given.get("effort")
    known = effort if effort in Capabilities().efforts else None
    return neutral.Reasoning(
        effort=known,
        enabled=None if known is None else known != "none",
        summary=text(given.get("summary")) or text(given.get("generate_summary")) or None,
    )


def _read_text(given: Item) -> tuple[neutral.OutputFormat | None, str | None]:
    format = fields(given.get("format"))
    verbosity = text(given.get("verbosity")) or None
    match format.get("type"):
        case "json_object":
            return neutral.OutputFormat("json_object"), verbosity
        case "json_schema":
            schema = neutral.OutputFormat(
                "json_schema",
                name=text(format.get("name")) or "response",
                schema=fields(format.get("schema")),
                strict=format.get("strict") is True or None,
                description=text(format.get("description")),
            )
            return schema, verbosity
    return None, verbosity


def _uncarried(body: Item) -> list[neutral.Loss]:
    lost = [field for field in UNCARRIED_FIELDS if body.get(field)]
    if body.get("truncation") == "auto":
        lost.append("truncation")
    return [neutral.Loss(field, "only the service itself can do this") for field in lost]


# --- writing ------------------------------------------------------------------


def encode_request(request: neutral.Request, target: Target) -> SentRequest:
    """Raises BadRequest when the meaning of the request would be lost."""
    capabilities = target.capabilities
    declared = write_tools(request, capabilities)
    writer = ItemWriter(target, declared)
    messages = well_formed(request.messages)
    if not capabilities.mid_system:
        messages = without_mid_system(messages)
    body: Item = {"model": target.model}
    instructions = _instructions(request, capabilities)
    if instructions:
        body["instructions"] = instructions
    body["input"] = writer.write(messages) or writer.write((neutral.Message("user", (FALLBACK_TURN,)),))
    if request.compact and capabilities.responses_items:
        body["input"].append({"type": "compaction_trigger"})
    if declared.items:
        body["tools"] = declared.items
        body |= _tool_settings(request, capabilities)
    if choice := write_choice(request, declared, capabilities):
        body["tool_choice"] = choice
    body |= _settings(request, capabilities)
    refused = drop_refused(body, capabilities)
    return SentRequest(
        body=encode_large(body),
        target=target,
        tools=declared.names,
        stops=request.stop,
        losses=(
            *writer.losses,
            *_not_expressible(request, capabilities),
            *answer_limit_losses(request.max_tokens, capabilities),
            *refused,
        ),
    )


def _instructions(request: neutral.Request, capabilities: Capabilities) -> str:
    given = list(without_billing_line(request.system))
    format = request.output_format
    if format is not None and not capabilities.json_schema:
        schema = f" It must match this JSON schema: {json_text(format.schema)}" if format.schema else ""
        given.append(f"Respond with a single JSON object and nothing else.{schema}")
    return "\n\n".join(given)


def _tool_settings(request: neutral.Request, capabilities: Capabilities) -> Item:
    if request.parallel_tool_calls is None or not capabilities.parallel_tool_calls:
        return {}
    return {"parallel_tool_calls": request.parallel_tool_calls}


def _settings(request: neutral.Request, capabilities: Capabilities) -> Item:
    given: Item = {
        "max_output_tokens": _limit(request.max_tokens, capabilities),
        "reasoning": _reasoning(request.reasoning, capabilities),
        "text": _text(request, capabilities),
        "include": _include(request, capabilities),
        "store": False,
    }
    if capabilities.sampling:
        given["temperature"] = _limited(request.temperature, capabilities.max_temperature)
        given["top_p"] = request.top_p
    if capabilities.prompt_cache_key:
        given["prompt_cache_key"] = _identifier(request.session_id)
    if capabilities.openai_extras:
        given["safety_identifier"] = _identifier(request.user_id)
        given["service_tier"] = request.service_tier
        given["metadata"] = dict(request.metadata) if request.metadata else None
    if capabilities.stream_only or (request.stream and capabilities.streams):
        given["stream"] = True
    return {field: value for field, value in given.items() if value not in (None, [], {})}


def _reasoning(reasoning: neutral.Reasoning, capabilities: Capabilities) -> Item | None:
    if reasoning == neutral.Reasoning() or capabilities.reasoning_effort == "none":
        return None
    effort = wanted_effort(reasoning)
    if effort is not None:
        effort = clamped(effort, capabilities.efforts)
    summary = None if effort == "none" else reasoning.summary or "auto"
    return {name: value for name, value in (("effort", effort), ("summary", summary)) if value}


def _text(request: neutral.Request, capabilities: Capabilities) -> Item:
    given: Item = {}
    if request.output_format is not None and capabilities.json_schema:
        given["format"] = _format(request.output_format)
    if request.verbosity and capabilities.openai_extras:
        given["verbosity"] = request.verbosity
    return given


def _format(format: neutral.OutputFormat) -> Item:
    if format.kind == "json_object":
        return {"type": "json_object"}
    given: Item = {
        "type": "json_schema",
        "name": format.name,
        "schema": dict(format.schema),
    }
    if format.strict is not None:
        given["strict"] = format.strict
    if format.description:
        given["description"] = format.description
    return given


def _include(request: neutral.Request, capabilities: Capabilities) -> list[str]:
    include = []
    if capabilities.reasoning_effort != "none":
        include.append("reasoning.encrypted_content")
    if capabilities.hosted_web_search and any(tool.name == WEB_SEARCH for tool in request.hosted_tools):
        include.append("web_search_call.action.sources")
    return include


def _limit(asked: int | None, capabilities: Capabilities) -> int | None:
    return None if asked is None else answer_limit(asked, capabilities, MIN_OUTPUT_TOKENS)


def _limited(value: float | None, limit: float) -> float | None:
    return None if value is None else min(value, limit)


def _identifier(id: str) -> str | None:
    """As it is, or a hash: upstreams refuse long ones."""
    if len(id) <= MAX_IDENTIFIER_LENGTH:
        return id or None
    return sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:MAX_IDENTIFIER_LENGTH]


def _not_expressible(request: neutral.Request, capabilities: Capabilities) -> list[neutral.Loss]:
    lost = [field for field in DROPPED_FIELDS if getattr(request, field) is not None]
    lost += [field for field, is_lost in _CAPABILITY_LOSSES.items() if is_lost(request, capabilities)]
    if capabilities.hosted_web_search:
        searches = (tool for tool in request.hosted_tools if tool.name == WEB_SEARCH)
        lost += [
            f"web_search.{option}"
            for tool in searches
            for option in DROPPED_OPTIONS
            if option in tool.options
        ]
    return [neutral.Loss(field, "this upstream does not know it") for field in lost]


_CAPABILITY_LOSSES: Mapping[str, Callable[[neutral.Request, Capabilities], Any]] = {
    "temperature": lambda request, can: request.temperature is not None and not can.sampling,
    "top_p": lambda request, can: request.top_p is not None and not can.sampling,
    "tool_choice": lambda request, can: (
        request.tool_choice is not None
        and request.tool_choice.mode in ("required", "named")
        and not can.forced_tool_choice
    ),
    "reasoning": lambda request, can: (
        wanted_effort(request.reasoning) is not None and can.reasoning_effort == "none"
    ),
    "web_search": lambda request, can: (
        any(tool.name == WEB_SEARCH for tool in request.hosted_tools) and not can.hosted_web_search
    ),
    "hosted_tools": lambda request, can: any(tool.name != WEB_SEARCH for tool in request.hosted_tools),
    "images": lambda request, can: not can.images and _has_images(request),
}


def _has_images(request: neutral.Request) -> bool:
    return any(
        isinstance(part, neutral.Image)
        for message in request.messages
        for block in message.content
        for part in (block.content if isinstance(block, neutral.ToolResult) else (block,))
    )
