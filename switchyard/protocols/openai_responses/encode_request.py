"""Encode Responses requests for upstreams.

https://platform.openai.com/docs/api-reference/responses/create
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.content import (
    LOST_SEARCH,
    fallback_turn,
    format_instruction,
    lost_thinking,
    parts_as_error,
    summary_in,
    summary_of,
    url_of,
)
from switchyard.protocols.effort import wanted_effort
from switchyard.protocols.fields import answer_limit, clamped_effort, encode_fields, sent_request
from switchyard.protocols.history import text_of, well_formed, without_billing_line, without_mid_system
from switchyard.protocols.ids import openai_call_id
from switchyard.protocols.message_memory import MessageMemory
from switchyard.protocols.message_writer import Writer
from switchyard.protocols.neutral import Loss
from switchyard.protocols.openai import PartForms, encode_part, file_data
from switchyard.protocols.openai_responses.calls import FIXED, encode_call
from switchyard.protocols.openai_responses.fields import FIELDS
from switchyard.protocols.openai_responses.reasoning import restored_item
from switchyard.protocols.tools.calls import encode_arguments
from switchyard.protocols.tools.choice import Offer, lost_options, offer_tools
from switchyard.protocols.tools.names import wire_name
from switchyard.protocols.tools.schema import Function, fits_strict
from switchyard.protocols.wire import Json, entries, fields, joined, parsed

MIN_OUTPUT_TOKENS = 16
PLAIN_OPTIONS = ("search_context_size", "search_content_types", "external_web_access")
SEARCH_OPTIONS = ("allowed_domains", "user_location", *PLAIN_OPTIONS)


def encode_request(
    request: neutral.Request, target: Target, memory: MessageMemory | None = None
) -> SentRequest:
    """Raises BadRequest when the meaning of the request would be lost."""
    capabilities = target.capabilities
    native = capabilities.responses_items
    offer = offer_tools(
        request,
        capabilities,
        custom=native or capabilities.custom_tools,
        searches=capabilities.hosted_web_search,
        restricts=native,
    )
    losses: list[Loss] = []
    messages = well_formed(request.messages)
    if not capabilities.mid_system:
        messages = without_mid_system(messages)
    encoder = ItemEncoder(target, offer, losses)
    body: Json = {"model": target.model}
    if instructions := _instructions(request, offer, capabilities):
        body["instructions"] = instructions
    writer = Writer(encoder.items, losses, memory, "responses", target, offer.names)
    items = [item for message in messages for item in writer.parts(message)]
    writer.close()
    body["input"] = items or encoder.items(fallback_turn(request.messages, losses))
    if request.compact and native:
        body["input"].append({"type": "compaction_trigger"})
    body |= _tools(request, offer, capabilities)
    body |= _settings(request, offer, capabilities, losses)
    body |= encode_fields(FIELDS, request, capabilities, losses)
    losses += lost_options(offer, SEARCH_OPTIONS)
    return sent_request(body, request, target, offer, losses, request.stop)


def _instructions(request: neutral.Request, offer: Offer, capabilities: Capabilities) -> str:
    form = format_instruction(request.output_format, has_field=capabilities.json_schema)
    return joined((*without_billing_line(request.system), offer.instruction, form))


def _settings(request: neutral.Request, offer: Offer, capabilities: Capabilities, losses: list[Loss]) -> Json:
    settings: Json = {"store": False}
    if request.max_tokens is not None:
        settings["max_output_tokens"] = answer_limit(request.max_tokens, capabilities, MIN_OUTPUT_TOKENS)
    if reasoning := _reasoning(request.reasoning, capabilities, losses):
        settings["reasoning"] = reasoning
    include = ["reasoning.encrypted_content"] if capabilities.reasoning_effort != "none" else []
    include += ["web_search_call.action.sources"] if offer.hosted else []
    if include:
        settings["include"] = include
    if capabilities.stream_only or (request.stream and capabilities.streams):
        settings["stream"] = True
    return settings


def _reasoning(reasoning: neutral.Reasoning, capabilities: Capabilities, losses: list[Loss]) -> Json:
    effort = wanted_effort(reasoning)
    if reasoning == neutral.Reasoning():
        return {}
    if capabilities.reasoning_effort == "none":
        if effort is not None:
            losses.append(Loss("reasoning", "this upstream's thinking cannot be steered"))
        return {}
    summary = None if effort == "none" or reasoning.is_omitted else reasoning.summary or "auto"
    supported = clamped_effort(effort, capabilities, losses)
    return {name: value for name, value in (("effort", supported), ("summary", summary)) if value}


def _tools(request: neutral.Request, offer: Offer, capabilities: Capabilities) -> Json:
    if offer.is_empty:
        return {}
    native = capabilities.responses_items
    named = [_function(function, function.wire_name) for function in offer.functions]
    functions = _native_tools(offer.functions) if native else named
    encoded: Json = {"tools": [*functions, *map(_web_search, offer.hosted)]}
    if (choice := _choice(request, offer, native)) is not None:
        encoded["tool_choice"] = choice
    if offer.parallel is not None:
        encoded["parallel_tool_calls"] = offer.parallel
    return encoded


def _native_tools(functions: Iterable[Function]) -> list[Json]:
    items: list[Json] = []
    groups: dict[str, Json] = {}
    for function in functions:
        namespace = function.tool.namespace
        if not namespace:
            items.append(_native(function))
            continue
        if namespace not in groups:
            named = {"name": namespace, "description": f"The tools of {namespace}."}
            groups[namespace] = {"type": "namespace", **named, "tools": []}
            items.append(groups[namespace])
        groups[namespace]["tools"].append(_function(function, function.tool.name))
    return items


def _native(function: Function) -> Json:
    kind = function.tool.kind
    if kind == "tool_search":
        described = {"description": function.description, "parameters": function.parameters}
        return {"type": kind, "execution": "client", **described}
    return {"type": kind} if kind in FIXED else _function(function, function.wire_name)


def _function(function: Function, name: str) -> Json:
    """A function states whether it is strict: left out, the server takes it for true."""
    tool = function.tool
    item: Json = {"type": "function", "name": name, "description": function.description}
    if tool.kind == "custom" and not function.parameters:
        item["type"] = "custom"
        if tool.grammar:
            syntax, definition = tool.grammar
            item["format"] = {"type": "grammar", "syntax": syntax, "definition": definition}
        return item
    item["parameters"] = function.parameters
    item["strict"] = function.strict is True and fits_strict(function.parameters)
    return item


def _web_search(search: neutral.HostedTool) -> Json:
    options = search.options
    item: Json = {"type": search.name}
    if options.get("allowed_domains"):
        item["filters"] = {"allowed_domains": options["allowed_domains"]}
    if options.get("user_location"):
        item["user_location"] = {"type": "approximate", **options["user_location"]}
    return item | {name: options[name] for name in PLAIN_OPTIONS if name in options}


def _choice(request: neutral.Request, offer: Offer, native: bool) -> str | Json | None:
    choice, allowed = offer.choice, request.tool_choice.allowed if request.tool_choice else ()
    if choice is None:
        return None
    if choice.mode == "named":
        function = next((one for one in offer.functions if one.wire_name == choice.name), None)
        return {"type": choice.name} if function is None else _reference(function, native)
    if allowed and native:
        tools = [
            _reference(function, native) for function in offer.functions if function.tool.name in allowed
        ]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}
    return choice.mode


def _reference(function: Function, native: bool) -> Json:
    tool = function.tool
    if native and tool.kind in FIXED:
        return {"type": tool.kind}
    type = "custom" if tool.kind == "custom" and not function.parameters else "function"
    if tool.namespace and native:
        return {"type": type, "name": tool.name, "namespace": tool.namespace}
    return {"type": type, "name": function.wire_name}


@dataclass(slots=True)
class ItemEncoder:
    """Encodes a well-formed conversation for one upstream, and collects what is lost."""

    target: Target
    offer: Offer
    losses: list[Loss]

    @property
    def _is_native(self) -> bool:
        return self.target.capabilities.responses_items

    @property
    def _takes_custom(self) -> bool:
        return self._is_native or self.target.capabilities.custom_tools

    def items(self, message: neutral.Message) -> list[Json]:
        """Raises BadRequest for what the upstream cannot read."""
        if message.role == "assistant":
            return self._assistant(message.content)
        if message.role == "user":
            return self._user(message.content)
        role = "developer" if self.target.capabilities.developer_role else "system"
        return [{"role": role, "content": text_of(message.content)}]

    def _user(self, content: tuple[neutral.Block, ...]) -> list[Json]:
        items: list[Json] = []
        waiting: list[neutral.Block] = []
        for block in content:
            if isinstance(block, neutral.ToolResult):
                items += [*self._parts(waiting), self._result(block)]
                waiting = []
            else:
                waiting.append(block)
        return items + self._parts(waiting)

    def _parts(self, blocks: list[neutral.Block]) -> list[Json]:
        parts = encode_parts(blocks, self.target.capabilities, self.losses)
        return [{"role": "user", "content": parts}] if parts else []

    def _assistant(self, content: tuple[neutral.Block, ...]) -> list[Json]:
        items: list[Json] = []
        for block in content:
            match block:
                case neutral.Text(words) | neutral.Refusal(words) if words:
                    _add_text(items, words)
                case neutral.Thinking():
                    items += self._reasoning(block)
                case neutral.ToolCall():
                    items.append(self._call(block))
                case neutral.WebSearch():
                    self.losses.append(LOST_SEARCH)
                case neutral.Compaction(payload):
                    if self._is_native and summary_in(payload) is None:
                        items.append({"type": "compaction", "encrypted_content": payload})
                    else:
                        _add_text(items, summary_of(block))
        return self._followed(items)

    def _reasoning(self, thinking: neutral.Thinking) -> list[Json]:
        item = restored_item(thinking, self.target.issuer)
        if item is None:
            self.losses.append(lost_thinking("input.reasoning", thinking, self.target.issuer))
            return []
        return [item]

    def _followed(self, items: list[Json]) -> list[Json]:
        """Reasoning is refused unless the item that it led to follows."""
        kept = list(items)
        while kept and kept[-1].get("type") == "reasoning":
            kept.pop()
            self.losses.append(Loss("input.reasoning", "what it led to is missing"))
        return kept

    def _call(self, call: neutral.ToolCall) -> Json:
        if self._is_native and (call.kind not in ("function", "custom") or call.namespace):
            return encode_call(replace(call, arguments=encode_arguments(call, custom=True)))
        name = wire_name(call.name, call.namespace, self.offer.names)
        item: Json = {"type": "function_call", "call_id": openai_call_id(call.id), "name": name}
        if call.kind == "custom" and self._takes_custom:
            return {**item, "type": "custom_tool_call", "input": call.arguments}
        return {**item, "arguments": encode_arguments(call, custom=False)}

    def _result(self, result: neutral.ToolResult) -> Json:
        call_id = openai_call_id(result.call_id)
        encode = RESULTS.get(result.kind) if self._is_native else None
        if encode is not None:
            return {"call_id": call_id, **encode(result)}
        is_custom = result.kind == "custom" and self._takes_custom
        return {
            "type": "custom_tool_call_output" if is_custom else "function_call_output",
            "call_id": call_id,
            "output": self._output(result),
        }

    def _output(self, result: neutral.ToolResult) -> str | list[Json]:
        """A plain text where there is only text: not every server reads parts here."""
        parts = encode_parts(result.content, self.target.capabilities, self.losses)
        if result.is_error:
            parts = parts_as_error(parts, "input_text")
        if all(part["type"] == "input_text" for part in parts):
            return "\n\n".join(part["text"] for part in parts)
        return parts


def _add_text(items: list[Json], words: str) -> None:
    part = {"type": "output_text", "text": words, "annotations": []}
    if items and items[-1].get("type") == "message":
        items[-1]["content"].append(part)
    else:
        items.append({"type": "message", "role": "assistant", "content": [part]})


def _shell_result(result: neutral.ToolResult) -> Json:
    """The outputs of commands, if they were decoded as JSON text."""
    words = text_of(result.content)
    outputs = entries(parsed(words))
    if not outputs or not all("outcome" in fields(output) for output in outputs):
        outcome = {"type": "exit", "exit_code": 1 if result.is_error else 0}
        outputs = [{"stdout": words, "stderr": "", "outcome": outcome}]
    return {"type": "shell_call_output", "output": outputs}


RESULTS: Mapping[neutral.ToolKind, Callable[[neutral.ToolResult], Json]] = {
    "local_shell": lambda result: {
        "type": "local_shell_call_output",
        "id": result.call_id,
        "output": text_of(result.content),
    },
    "shell": _shell_result,
    "apply_patch": lambda result: {
        "type": "apply_patch_call_output",
        "status": "failed" if result.is_error else "completed",
        "output": text_of(result.content),
    },
    # the found tools are declared with all others by now
    "tool_search": lambda _: {
        "type": "tool_search_output",
        "execution": "client",
        "status": "completed",
        "tools": [],
    },
}


def encode_parts(
    blocks: Iterable[neutral.Block], capabilities: Capabilities, losses: list[Loss]
) -> list[Json]:
    """The parts of a user message or a tool output. Raises BadRequest for what the upstream cannot read."""
    parts = [encode_part(block, FORMS, capabilities, losses) for block in blocks]
    return [part for part in parts if part is not None]


def _image(image: neutral.Image) -> Json:
    return {"type": "input_image", "image_url": url_of(image), "detail": image.detail or "auto"}


def _file(document: neutral.Document) -> Json:
    given = {"file_url": document.url} if document.url else file_data(document)
    return {"type": "input_file", **given}


FORMS = PartForms("input_text", _image, _file)
