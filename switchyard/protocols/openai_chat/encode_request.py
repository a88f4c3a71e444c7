"""Encode Chat requests for upstreams.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from switchyard.protocols import carrier, neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest, SentRequest, Target
from switchyard.protocols.content import LOST_SEARCH, as_error, format_instruction, summary_of, url_of
from switchyard.protocols.effort import budget_for, wanted_effort
from switchyard.protocols.fields import answer_limit, clamped_effort, encode_fields, sent_request
from switchyard.protocols.history import text_of, well_formed, without_billing_line, without_mid_system
from switchyard.protocols.ids import openai_call_id
from switchyard.protocols.message_memory import MessageMemory
from switchyard.protocols.message_writer import Part, Writer
from switchyard.protocols.neutral import Loss
from switchyard.protocols.openai import PartForms, encode_part, file_data
from switchyard.protocols.openai_chat.fields import FIELDS, encode_search
from switchyard.protocols.search_error import runs_searches
from switchyard.protocols.tools.calls import encode_arguments
from switchyard.protocols.tools.choice import Offer, lost_options, offer_tools
from switchyard.protocols.tools.names import wire_name
from switchyard.protocols.tools.schema import Function, fits_strict
from switchyard.protocols.wire import Json, joined, parsed_object

SEARCH_OPTIONS = ("search_context_size", "user_location")
MEDIA_BELOW = "[attachment below]"
LOST_REASONING = "(not recorded)"


def encode_request(
    request: neutral.Request, target: Target, memory: MessageMemory | None = None
) -> SentRequest:
    """Raises BadRequest when the meaning of the request would be lost."""
    capabilities = target.capabilities
    searches = runs_searches("chat", target.model, capabilities)
    offer = offer_tools(request, capabilities, custom=capabilities.custom_tools, searches=searches)
    losses = lost_options(offer, SEARCH_OPTIONS)
    form = format_instruction(request.output_format, has_field=capabilities.json_schema)
    encoder = MessageEncoder(capabilities, offer.names, losses, target.issuer)
    writer = Writer(encoder.messages, losses, memory, "chat", target, offer.names)
    messages = encoder.encode(request, (offer.instruction, form), writer)
    body: Json = {
        "model": target.model,
        **_settings(request, capabilities),
        **_reasoning(request.reasoning, capabilities, losses),
        **_tools(offer, capabilities),
        **encode_fields(FIELDS, request, capabilities, losses),
        **_continuation(messages, capabilities),
        "messages": messages,
    }
    # what is not sent is scanned for: all of them if the upstream cannot take all
    return sent_request(body, request, target, offer, losses, () if "stop" in body else request.stop)


def _settings(request: neutral.Request, capabilities: Capabilities) -> Json:
    settings: Json = {}
    if request.max_tokens is not None:
        name = capabilities.max_tokens_field
        limit = answer_limit(request.max_tokens, capabilities)
        settings["max_tokens" if name == "either" else name] = limit
    if request.stop and capabilities.stop and len(request.stop) <= capabilities.max_stops:
        settings["stop"] = list(request.stop)
    if request.output_format is not None and capabilities.json_object and not capabilities.json_schema:
        # the nearest to a schema that the upstream can be held to
        settings["response_format"] = {"type": "json_object"}
    if capabilities.streams and (request.stream or capabilities.stream_only):
        settings["stream"] = True
        if capabilities.include_usage:
            settings["stream_options"] = {"include_usage": True}
    return settings


def _reasoning(reasoning: neutral.Reasoning, capabilities: Capabilities, losses: list[Loss]) -> Json:
    effort = wanted_effort(reasoning)
    wanted = effort != "none" if effort is not None else reasoning.enabled
    if wanted is None:
        return {}
    switch = {"type": "enabled" if wanted else "disabled"}
    match capabilities.reasoning_effort:
        case "effort" if effort == "none" and capabilities.thinking_switch:
            return {"thinking": switch}
        case "effort":
            supported = clamped_effort(effort, capabilities, losses)
            return {"reasoning_effort": supported} if supported is not None else {}
        case "template":
            return {"chat_template_kwargs": {"enable_thinking": wanted}}
        case "adaptive":
            return {"thinking": switch}
        case "budget":
            budget = reasoning.budget_tokens or (budget_for(effort) if effort is not None else 0)
            return {"thinking": {**switch, "budget_tokens": budget} if wanted and budget else switch}
    losses.append(Loss("reasoning", "this upstream's thinking cannot be steered"))
    return {}


def _continuation(messages: list[Part], capabilities: Capabilities) -> Json:
    """An answer that the client has begun is continued, not answered again."""
    if not capabilities.continues_answer:
        return {}
    last = messages[-1] if messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant" or last.get("tool_calls"):
        return {}
    return {"continue_final_message": True, "add_generation_prompt": False}


def _tools(offer: Offer, capabilities: Capabilities) -> Json:
    encoded: Json = {}
    for tool in offer.hosted:
        encoded["web_search_options"] = encode_search(tool)
    if not offer.functions:
        return encoded
    encoded["tools"] = [_tool(function, capabilities) for function in offer.functions]
    choice = offer.choice
    if choice is not None and choice.tool is not None:
        encoded["tool_choice"] = _named(choice.tool, {"name": choice.name}, capabilities)
    elif choice is not None and choice.mode != "named":
        encoded["tool_choice"] = choice.mode
    if offer.parallel is not None:
        encoded["parallel_tool_calls"] = offer.parallel
    return encoded


def _named(tool: neutral.Tool, members: Json, capabilities: Capabilities) -> Json:
    """Chat nests a tool under its kind."""
    kind = "custom" if tool.kind == "custom" and capabilities.custom_tools else "function"
    return {"type": kind, kind: members}


def _tool(function: Function, capabilities: Capabilities) -> Json:
    members: Json = {"name": function.wire_name}
    if function.description:
        members["description"] = function.description
    if function.tool.kind == "custom" and capabilities.custom_tools:
        if function.tool.grammar:
            grammar = dict(zip(("syntax", "definition"), function.tool.grammar, strict=True))
            members["format"] = {"type": "grammar", "grammar": grammar}
        return _named(function.tool, members, capabilities)
    members["parameters"] = function.parameters
    if function.strict is False or (function.strict and fits_strict(function.parameters)):
        members["strict"] = function.strict
    return _named(function.tool, members, capabilities)


@dataclass(slots=True)
class MessageEncoder:
    """Encodes a conversation as one upstream takes it, and collects what is lost."""

    capabilities: Capabilities
    tools: Mapping[str, neutral.Tool]
    losses: list[Loss]
    issuer: str = ""

    def encode(self, request: neutral.Request, instructions: Iterable[str], writer: Writer) -> list[Part]:
        """`instructions` go to the end of the system prompt. Raises BadRequest."""
        messages = well_formed(request.messages)
        leading: tuple[neutral.Message, ...] = ()
        if not self.capabilities.mid_system:
            # templates that take one system message take it first
            messages = without_mid_system(messages)
            leading = tuple(takewhile(lambda message: message.role == "system", messages))
            messages = messages[len(leading) :]
        system = [
            *without_billing_line(request.system),
            *[text_of(message.content) for message in leading],
            *instructions,
        ]
        prompt = "\n\n".join([text for text in system if text.strip()])
        encoded: list[Part] = [{"role": "system", "content": prompt}] if prompt else []
        for message in messages:
            encoded += writer.parts(message)
        writer.close()
        if writer.memory is not None:
            _open_ends(encoded, messages, writer)
        return encoded

    def messages(self, message: neutral.Message) -> list[Json]:
        match message.role:
            case "system":
                return [{"role": "system", "content": text_of(message.content)}]
            case "assistant":
                return self._assistant(message.content)
            case _:
                return self._user(message.content)

    def _user(self, content: tuple[neutral.Block, ...]) -> list[Json]:
        """The results as messages of their own, then the rest, led by what the results could not hold."""
        encoded: list[Json] = []
        attached: list[Json] = []
        rest: list[Json] = []
        for block in content:
            if isinstance(block, neutral.ToolResult):
                encoded.append(self._result(block, attached))
            elif (part := self._part(block)) is not None:
                rest.append(part)
        if parts := attached + rest:
            encoded.append({"role": "user", "content": _content(parts)})
        return encoded

    def _result(self, result: neutral.ToolResult, attached: list[Json]) -> Json:
        """Chat takes only text in results: images and files go into `attached`, labelled."""
        texts: list[str] = []
        id = openai_call_id(result.call_id)
        for block in result.content:
            if isinstance(block, neutral.Text):  # nearly all
                texts.append(block.text)
            elif (part := self._part(block)) is None:
                continue
            elif part["type"] == "text":
                texts.append(part["text"])
            else:
                texts.append(MEDIA_BELOW)
                attached += [{"type": "text", "text": f"[attachment of the result of tool call {id}]"}, part]
        content = joined(texts)
        return {
            "role": "tool",
            "tool_call_id": id,
            "content": as_error(content) if result.is_error else content,
        }

    def _part(self, block: neutral.Block) -> Json | None:
        return encode_part(block, FORMS, self.capabilities, self.losses)

    def _assistant(self, content: tuple[neutral.Block, ...]) -> list[Json]:
        calls = [self._call(block) for block in content if isinstance(block, neutral.ToolCall)]
        words, kinds = text_of(content), set(map(type, content))
        if neutral.Compaction in kinds:
            summaries = [summary_of(block) for block in content if isinstance(block, neutral.Compaction)]
            words = joined((*summaries, words))
        if neutral.WebSearch in kinds:
            self.losses.append(LOST_SEARCH)
        if not words and not calls:
            return []
        if calls and not self.capabilities.tools:
            message = "This upstream takes no tools, but tools were called in this conversation."
            raise BadRequest(message, "messages")
        encoded: Json = {"role": "assistant"}
        encoded["content"] = words or (None if self.capabilities.content_parts else "")
        if reasoning := self._reasoning(content, bool(calls)):
            encoded["reasoning_content"] = reasoning
        if calls:
            encoded["tool_calls"] = calls
        return [encoded]

    def _reasoning(self, content: tuple[neutral.Block, ...], has_calls: bool) -> str:
        history = self.capabilities.reasoning_history
        thoughts = [block for block in content if isinstance(block, neutral.Thinking)]
        if history == "none":
            if thoughts:
                self.losses.append(Loss("thinking", "this upstream takes no reasoning of earlier turns"))
            return ""
        words = joined([_thought(thought) for thought in thoughts])
        return words or (LOST_REASONING if history == "required" and has_calls else "")

    def _call(self, call: neutral.ToolCall) -> Json:
        is_custom = call.kind == "custom" and self.capabilities.custom_tools
        arguments = encode_arguments(call, custom=is_custom)
        name = wire_name(call.name, call.namespace, self.tools)
        id = openai_call_id(call.id)
        # what this upstream itself has put beside the call; another one gets nothing of it
        signature = call.signature
        own = parsed_object(signature.payload) if signature and signature.is_from(self.issuer) else {}
        if is_custom:
            return {"id": id, "type": "custom", "custom": {"name": name, "input": arguments}, **own}
        return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **own}


def _open_ends(encoded: list[Part], messages: Sequence[neutral.Message], writer: Writer) -> None:
    """The first and the last, which are looked at again, as objects."""
    for order, place in ((messages, 0), (reversed(messages), -1)):
        if encoded and not isinstance(encoded[place], dict):
            origin = next(message for message in order if writer.parts(message))
            encoded[place] = writer.open(encoded[place], origin, place)


def _image(image: neutral.Image) -> Json:
    source = {"url": url_of(image)}
    if image.detail:
        source["detail"] = "high" if image.detail == "original" else image.detail
    return {"type": "image_url", "image_url": source}


def _file(document: neutral.Document) -> Json:
    if document.url:
        raise BadRequest(f"This upstream reads no documents by URL: {document.url}", "document")
    return {"type": "file", "file": file_data(document)}


FORMS = PartForms("text", _image, _file)


def _content(parts: list[Json]) -> str | list[Json]:
    """A plain string where texts suffice: some templates choke on lists."""
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return "\n\n".join(texts) if len(texts) == len(parts) else parts


def _thought(thinking: neutral.Thinking) -> str:
    """The reasoning text: the client's copy, or the one that its signature carries."""
    signature = thinking.signature
    return thinking.text or (carrier.carried_text(signature.payload) if signature else "") or ""
