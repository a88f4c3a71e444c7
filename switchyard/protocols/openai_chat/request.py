"""Read and write Chat requests.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.codec import BadRequest, SentRequest, Target
from switchyard.protocols.effort import EFFORTS, budget_for, clamped, wanted_effort
from switchyard.protocols.ids import shortened
from switchyard.protocols.large import decode_large, encode_large
from switchyard.protocols.limits import answer_limit, answer_limit_losses, drop_refused
from switchyard.protocols.neutral import Loss
from switchyard.protocols.openai_chat.read_messages import read_messages
from switchyard.protocols.openai_chat.tool_lists import (
    read_choice,
    read_tools,
    read_web_search,
    write_tools,
)
from switchyard.protocols.openai_chat.write_messages import MessageWriter

Json = dict[str, Any]

MAX_ID_LENGTH = 64
JSON_OBJECT_SENTENCE = "Respond with a single JSON object and nothing else."
JSON_SCHEMA_SENTENCE = (
    "Respond with a single JSON object that matches this JSON schema, and nothing else:\n{schema}"
)

UNDERSTOOD = frozenset(
    """
    model messages max_completion_tokens max_tokens temperature top_p top_k frequency_penalty presence_penalty
    logit_bias n stop seed stream stream_options tools tool_choice parallel_tool_calls functions function_call
    response_format reasoning_effort verbosity modalities audio web_search_options metadata service_tier
    prompt_cache_key safety_identifier user thinking enable_thinking chat_template_kwargs reasoning
    """.split()
)
"""Every other field is lost in a conversion, and said to be."""
NOTHING_LOST: tuple[object, ...] = (None, False, [], {}, "")


# --- reading ------------------------------------------------------------------


def decode_request(body: bytes) -> neutral.Request:
    """Raises BadRequest."""
    wire = _object(body)
    _refuse_unsayable(wire)
    read = read_messages(wire.get("messages"))
    search = wire.get("web_search_options")
    options = wire.get("stream_options")
    return neutral.Request(
        model=_model(wire),
        messages=read.messages,
        system=read.system,
        tools=read_tools(wire),
        hosted_tools=() if search is None else (read_web_search(search),),
        tool_choice=read_choice(wire),
        parallel_tool_calls=_typed(wire, "parallel_tool_calls", bool),
        max_tokens=_count(wire, "max_completion_tokens", "max_tokens"),
        temperature=_number(wire, "temperature"),
        top_p=_number(wire, "top_p"),
        top_k=_count(wire, "top_k"),
        stop=_stops(wire.get("stop")),
        stream=_typed(wire, "stream", bool) or False,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        reasoning=_reasoning(wire),
        output_format=_output_format(wire.get("response_format")),
        verbosity=_typed(wire, "verbosity", str),
        session_id=_typed(wire, "prompt_cache_key", str) or "",
        user_id=_typed(wire, "safety_identifier", str) or _typed(wire, "user", str) or "",
        service_tier=_typed(wire, "service_tier", str),
        seed=_count(wire, "seed"),
        frequency_penalty=_number(wire, "frequency_penalty"),
        presence_penalty=_number(wire, "presence_penalty"),
        logit_bias=_typed(wire, "logit_bias", dict),
        metadata=_typed(wire, "metadata", dict),
        losses=(*read.losses, *_unknown(wire)),
    )


def _object(body: bytes) -> Json:
    try:
        wire = decode_large(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from None
    if not isinstance(wire, dict):
        raise BadRequest("The body is not a JSON object.")
    return wire


def _model(wire: Json) -> str:
    model = wire.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("You must provide a model parameter.", "model")
    return model


def _refuse_unsayable(wire: Json) -> None:
    if isinstance(wire.get("n"), int) and wire["n"] > 1:
        raise BadRequest("n: only one choice can be made here", "n")
    modalities = wire.get("modalities")
    if wire.get("audio") or (isinstance(modalities, list) and "audio" in modalities):
        raise BadRequest("audio: spoken answers cannot be carried to another protocol", "audio")


def _unknown(wire: Json) -> list[Loss]:
    return [
        Loss(name, "no other protocol has it")
        for name, value in wire.items()
        if name not in UNDERSTOOD and value not in NOTHING_LOST
    ]


def _reasoning(wire: Json) -> neutral.Reasoning:
    """`reasoning_effort`, or what relays and local servers add: `thinking`, `reasoning`, `enable_thinking`."""
    effort = wire.get("reasoning_effort")
    if effort in EFFORTS:
        return neutral.Reasoning(effort=effort)
    match wire.get("thinking"):
        case {"type": "disabled"}:
            return neutral.Reasoning(enabled=False)
        case {"type": "adaptive"}:
            return neutral.Reasoning(enabled=True, adaptive=True)
        case {"type": "enabled", **rest}:
            budget = rest.get("budget_tokens")
            return neutral.Reasoning(enabled=True, budget_tokens=budget if isinstance(budget, int) else None)
    match wire.get("reasoning"):
        case {"effort": effort} if effort in EFFORTS:
            return neutral.Reasoning(effort=effort)
        case {"max_tokens": int(budget)}:
            return neutral.Reasoning(enabled=True, budget_tokens=budget)
        case {"enabled": bool(enabled)}:
            return neutral.Reasoning(enabled=enabled)
    template = wire.get("chat_template_kwargs")
    given = template.get("enable_thinking") if isinstance(template, dict) else wire.get("enable_thinking")
    return neutral.Reasoning(enabled=given if isinstance(given, bool) else None)


def _output_format(wire: object) -> neutral.OutputFormat | None:
    match wire:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return neutral.OutputFormat("json_object")
        case {"type": "json_schema", **rest}:
            given = rest.get("json_schema")
            return _schema_format(given if isinstance(given, dict) else rest)
    raise BadRequest("response_format: expected text, json_object or json_schema", "response_format")


def _schema_format(wire: Mapping[Any, Any]) -> neutral.OutputFormat:
    schema, strict = wire.get("schema"), wire.get("strict")
    return neutral.OutputFormat(
        "json_schema",
        name=str(wire.get("name") or "response"),
        schema=schema if isinstance(schema, dict) else {},
        strict=strict if isinstance(strict, bool) else None,
        description=str(wire.get("description") or ""),
    )


def _stops(stop: object) -> tuple[str, ...]:
    listed = stop if isinstance(stop, list) else [stop]
    return tuple(text for text in listed if isinstance(text, str) and text)


def _typed(wire: Json, name: str, kind: type) -> Any:
    value = wire.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise BadRequest(f"{name}: expected {KIND_NAMES[kind]}", name)


KIND_NAMES: Mapping[type, str] = {bool: "true or false", str: "a text", dict: "an object"}


def _number(wire: Json, name: str) -> float | None:
    value = wire.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise BadRequest(f"{name}: expected a number", name)


def _count(wire: Json, *names: str) -> int | None:
    for name in names:
        value = _number(wire, name)
        if value is not None:
            return int(value)
    return None


# --- writing ------------------------------------------------------------------


def encode_request(request: neutral.Request, target: Target) -> SentRequest:
    """Raises BadRequest when the meaning of the request would be lost."""
    losses: list[Loss] = []
    tools = write_tools(request, target)
    writer = MessageWriter(target, tools.names)
    form, form_sentences = _written_format(request, target)
    messages = writer.write(request, (*tools.instructions, *form_sentences))
    stops, stops_left = _written_stops(request, target)
    body: Json = {
        "model": target.model,
        **_limits(request, target),
        **_written_reasoning(request, target, losses),
        **tools.fields,
        **form,
        **stops,
        **_sampling(request, target, losses),
        **_extras(request, target, losses),
        **_streaming(request, target),
        **_continuation(messages, target),
        "messages": messages,
    }
    losses = [*tools.losses, *writer.losses, *losses, *_not_expressible(request)]
    losses += answer_limit_losses(request.max_tokens, target.capabilities)
    losses += drop_refused(body, target.capabilities)
    return SentRequest(
        body=encode_large(body),
        target=target,
        tools=tools.names,
        stops=stops_left,
        losses=tuple(dict.fromkeys(losses)),
    )


def _limits(request: neutral.Request, target: Target) -> Json:
    if request.max_tokens is None:
        return {}
    name, limit = target.capabilities.max_tokens_field, answer_limit(request.max_tokens, target.capabilities)
    return {"max_tokens" if name == "either" else name: limit}


def _written_reasoning(request: neutral.Request, target: Target, losses: list[Loss]) -> Json:
    reasoning, capabilities = request.reasoning, target.capabilities
    effort = wanted_effort(reasoning)
    wanted = effort != "none" if effort is not None else reasoning.enabled
    if wanted is None:
        return {}
    match capabilities.reasoning_effort:
        case "effort" if effort == "none" and capabilities.thinking_switch:
            return {"thinking": {"type": "disabled"}}
        case "effort":
            supported = clamped(effort, capabilities.efforts) if effort is not None else None
            return {"reasoning_effort": supported} if supported is not None else {}
        case "template":
            return {"chat_template_kwargs": {"enable_thinking": wanted}}
        case "adaptive":
            return {"thinking": {"type": "enabled" if wanted else "disabled"}}
        case "budget":
            return {"thinking": _budget(reasoning, effort) if wanted else {"type": "disabled"}}
    losses.append(Loss("reasoning", "this upstream's thinking cannot be steered"))
    return {}


def _budget(reasoning: neutral.Reasoning, effort: neutral.Effort | None) -> Json:
    budget = reasoning.budget_tokens or (budget_for(effort) if effort is not None else 0)
    return {"type": "enabled", "budget_tokens": budget} if budget else {"type": "enabled"}


def _written_format(request: neutral.Request, target: Target) -> tuple[Json, tuple[str, ...]]:
    """`response_format`, or the sentence that stands for it."""
    wanted = request.output_format
    if wanted is None:
        return {}, ()
    if not target.capabilities.json_schema:
        schema = msgspec.json.encode(dict(wanted.schema)).decode()
        is_schema = wanted.kind == "json_schema"
        return {}, (JSON_SCHEMA_SENTENCE.format(schema=schema) if is_schema else JSON_OBJECT_SENTENCE,)
    if wanted.kind == "json_object":
        return {"response_format": {"type": "json_object"}}, ()
    given: Json = {"name": wanted.name, "schema": wanted.schema}
    if wanted.description:
        given["description"] = wanted.description
    if wanted.strict is not None:
        given["strict"] = wanted.strict
    return {"response_format": {"type": "json_schema", "json_schema": given}}, ()


def _written_stops(request: neutral.Request, target: Target) -> tuple[Json, tuple[str, ...]]:
    """The stops for the upstream and those to be scanned for: all of them if it cannot take all."""
    if not request.stop:
        return {}, ()
    if not target.capabilities.stop or len(request.stop) > target.capabilities.max_stops:
        return {}, request.stop
    return {"stop": list(request.stop)}, ()


def _sampling(request: neutral.Request, target: Target, losses: list[Loss]) -> Json:
    capabilities = target.capabilities
    temperature = request.temperature
    if temperature is not None:
        temperature = min(temperature, capabilities.max_temperature)
    given: Json = {}
    for name, value, taken in (
        ("temperature", temperature, capabilities.sampling),
        ("top_p", request.top_p, capabilities.sampling),
        ("top_k", request.top_k, capabilities.top_k),
        ("frequency_penalty", request.frequency_penalty, True),
        ("presence_penalty", request.presence_penalty, True),
        ("logit_bias", request.logit_bias, True),
        ("seed", request.seed, True),
    ):
        if value is not None and taken:
            given[name] = value
        elif value is not None:
            losses.append(Loss(name, "this upstream does not take it"))
    return given


SERVICE_TIERS: Mapping[str, str | None] = {"auto": None, "standard_only": "default", "ultrafast": "priority"}


def _extras(request: neutral.Request, target: Target, losses: list[Loss]) -> Json:
    """What belongs to OpenAI's service rather than to the protocol. Metadata needs `store`, which we never ask."""
    capabilities = target.capabilities
    given: Json = {}
    if capabilities.prompt_cache_key and request.session_id:
        given["prompt_cache_key"] = shortened(request.session_id, MAX_ID_LENGTH)
    if request.metadata:
        losses.append(Loss("metadata", "nothing is stored"))
    tier = SERVICE_TIERS.get(request.service_tier or "auto", request.service_tier)
    for name, value in (
        ("safety_identifier", _safety_identifier(request.user_id)),
        ("service_tier", tier),
        ("verbosity", request.verbosity),
    ):
        if value and capabilities.openai_extras:
            given[name] = value
        elif value:
            losses.append(Loss(name, "this upstream does not take it"))
    return given


def _safety_identifier(user_id: str) -> str:
    """Longer ids hold more than an id (Claude Code's: account and device), which is nobody else's business."""
    return (
        user_id if len(user_id) <= MAX_ID_LENGTH else sha256(user_id.encode("utf-8", "replace")).hexdigest()
    )


def _streaming(request: neutral.Request, target: Target) -> Json:
    capabilities = target.capabilities
    if not capabilities.streams or not (request.stream or capabilities.stream_only):
        return {}
    return {
        "stream": True,
        **({"stream_options": {"include_usage": True}} if capabilities.include_usage else {}),
    }


def _continuation(messages: list[Json], target: Target) -> Json:
    """An answer that the client has begun is gone on with, not answered anew."""
    last = messages[-1] if messages else {}
    begun = last.get("role") == "assistant" and not last.get("tool_calls")
    if not begun or not target.capabilities.continues_answer:
        return {}
    return {"continue_final_message": True, "add_generation_prompt": False}


def _not_expressible(request: neutral.Request) -> list[Loss]:
    return [Loss("logprobs", "the reply could not tell them")] if request.logprobs is not None else []
