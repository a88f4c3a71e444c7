"""Encode Messages requests for upstreams.

https://platform.claude.com/docs/en/api/messages
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.fields import FIELDS
from switchyard.protocols.anthropic_messages.reasoning import Obstacles, encode_reasoning
from switchyard.protocols.anthropic_messages.signatures import replayed
from switchyard.protocols.anthropic_messages.wire import WEB_SEARCH_TOOL, arguments_of
from switchyard.protocols.codec import BadRequest, SentRequest, Target
from switchyard.protocols.content import (
    LOST_SEARCH,
    OMITTED_IMAGE,
    PDF,
    PLAIN_TEXT,
    document_text,
    fallback_turn,
    format_instruction,
    lost_thinking,
    parts_as_error,
    readable_image,
    require_files,
    summary_of,
)
from switchyard.protocols.fields import encode_fields, sent_request
from switchyard.protocols.history import text_of, well_formed, without_billing_line, without_mid_system
from switchyard.protocols.ids import anthropic_call_id
from switchyard.protocols.message_memory import MessageMemory
from switchyard.protocols.message_writer import Part, Writer
from switchyard.protocols.neutral import Loss
from switchyard.protocols.tools.calls import encode_arguments
from switchyard.protocols.tools.choice import Offer, lost_options, offer_tools
from switchyard.protocols.tools.names import wire_name
from switchyard.protocols.wire import Json

LEAST_THINKING_TOP_P = 0.95
IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
SEARCH_OPTIONS = ("allowed_domains", "blocked_domains", "max_uses", "user_location")
CACHE_MARK = {"type": "ephemeral"}
MARKED_TURNS = 2
UNMARKABLE = frozenset({"thinking", "redacted_thinking"})
CHOICES = {"auto": "auto", "required": "any", "none": "none", "named": "tool"}


def encode_request(
    request: neutral.Request, target: Target, memory: MessageMemory | None = None
) -> SentRequest:
    """Raises BadRequest where the meaning would be lost."""
    capabilities = target.capabilities
    offer = offer_tools(request, capabilities, custom=False, searches=capabilities.hosted_web_search)
    losses = lost_options(offer, SEARCH_OPTIONS)
    system, conversation = _shaped(request, target, losses)
    encoder = ContentEncoder(target, offer.names, losses)
    writer = Writer(encoder.messages, losses, memory, "messages", target, offer.names)
    messages = _messages(conversation, writer)
    reasoning = encode_reasoning(request, target, _obstacles(_objects(messages), offer), losses)
    stops = [stop for stop in request.stop if stop.strip()] if capabilities.stop else []
    body: Json = {
        "model": target.model,
        "max_tokens": reasoning.max_tokens,
        **_system((*system, *_instructions(request, offer, target))),
        **_tools(offer, losses),
        "messages": messages,
        **encode_fields(
            FIELDS, request, capabilities, losses, _unsettable(request, target, reasoning.thinks)
        ),
    }
    if reasoning.thinking:
        body["thinking"] = reasoning.thinking
    if reasoning.effort:
        body.setdefault("output_config", {})["effort"] = reasoning.effort
    if stops:
        body["stop_sequences"] = stops
    if request.stream:
        body["stream"] = True
    if capabilities.cache_control:
        _mark_for_caching(body)
    # blank stop sequences are refused
    left = tuple(stop for stop in request.stop if stop not in stops)
    return sent_request(body, request, target, offer, losses, left)


def _shaped(
    request: neutral.Request, target: Target, losses: list[neutral.Loss]
) -> tuple[tuple[str, ...], tuple[neutral.Message, ...]]:
    """System prompt and conversation in the order this protocol wants: a user first, roles in turn."""
    messages = well_formed(request.messages)
    system = [text for text in request.system if text.strip()]
    while messages and messages[0].role == "system":
        system.append(text_of(messages[0].content))
        messages = messages[1:]
    if not target.capabilities.mid_system:
        messages = without_mid_system(messages)
    if not messages or messages[0].role != "user":
        messages = (fallback_turn(request.messages, losses), *messages)
    shaped = tuple(system)
    return (shaped if target.capabilities.billing_line else without_billing_line(shaped)), messages


def _messages(messages: Sequence[neutral.Message], writer: Writer) -> list[Part]:
    encoded: list[Part] = []
    origins: list[neutral.Message] = []
    for message in _without_trailing_space(messages):
        for one in writer.parts(message):
            if origins and origins[-1].role == message.role != "system":
                # what stood between them was lost
                before = writer.open(encoded.pop(), origins.pop())
                content = [*_as_blocks(before), *_as_blocks(writer.open(one, message))]
                one = {"role": message.role, "content": content}
            encoded.append(one)
            origins.append(message)
    writer.close()
    if writer.memory is not None:
        _open_end(encoded, origins, writer)
    return encoded


def _open_end(encoded: list[Part], origins: list[neutral.Message], writer: Writer) -> None:
    """What is looked at again are objects: the last message, the last answer, the turns that are marked."""
    turns = answers = 0
    for number in range(len(encoded) - 1, -1, -1):
        if turns >= MARKED_TURNS and answers:
            break
        encoded[number] = writer.open(encoded[number], origins[number])
        turns += origins[number].role == "user"
        answers += origins[number].role == "assistant"


def _objects(messages: list[Part]) -> list[Json]:
    return [message for message in messages if isinstance(message, dict)]


def _without_trailing_space(messages: Sequence[neutral.Message]) -> Sequence[neutral.Message]:
    """An answer that the request begins must not end in white space."""
    last = messages[-1]
    if last.role != "assistant" or not isinstance(text := last.content[-1], neutral.Text):
        return messages
    trimmed = (*last.content[:-1], neutral.Text(text.text.rstrip()))
    return (*messages[:-1], replace(last, content=trimmed))


def _obstacles(messages: list[Json], offer: Offer) -> Obstacles:
    last = messages[-1]
    in_tool_loop = last["role"] == "user" and _as_blocks(last)[0]["type"] == "tool_result"
    before = next((message for message in reversed(messages) if message["role"] == "assistant"), None)
    signed = before is not None and str(_as_blocks(before)[0]["type"]) in UNMARKABLE
    return Obstacles(
        forced_call=offer.choice is not None and offer.choice.forces_a_call,
        prefill=last["role"] == "assistant",
        unsigned_tool_loop=in_tool_loop and not signed,
    )


def _unsettable(request: neutral.Request, target: Target, thinks: bool) -> Collection[str]:
    """With thinking the sampling is fixed; several models refuse temperature and top_p together."""
    if not thinks:
        is_warm = request.temperature is not None and target.capabilities.sampling
        return ("top_p",) if is_warm else ()
    is_near = request.top_p is not None and request.top_p >= LEAST_THINKING_TOP_P
    return ("temperature", "top_k") if is_near else ("temperature", "top_k", "top_p")


def _instructions(request: neutral.Request, offer: Offer, target: Target) -> Iterable[str]:
    """What the protocol or the upstream has no field for, in words."""
    wanted = request.output_format
    has_field = target.capabilities.json_schema and wanted is not None and wanted.kind == "json_schema"
    return filter(None, (offer.instruction, format_instruction(wanted, has_field=has_field)))


def _system(system: tuple[str, ...]) -> Json:
    if not system:
        return {}
    return {"system": system[0] if len(system) == 1 else [text_block(text) for text in system]}


def _mark_for_caching(body: Json) -> None:
    """Mark the last tool, the last system block, the last two user turns: four marks are allowed."""
    if "tools" in body:
        body["tools"][-1] = {**body["tools"][-1], "cache_control": CACHE_MARK}
    if "system" in body:
        blocks = body["system"] = _blocks_of(body["system"])
        blocks[-1]["cache_control"] = CACHE_MARK
    turns = [message for message in _objects(body["messages"]) if message["role"] == "user"]
    for turn in turns[-MARKED_TURNS:]:
        turn["content"] = _as_blocks(turn)
        turn["content"][-1]["cache_control"] = CACHE_MARK


def _as_blocks(message: Json) -> list[Json]:
    return _blocks_of(message["content"])


def _blocks_of(content: str | list[Json]) -> list[Json]:
    return [text_block(content)] if isinstance(content, str) else content


def _tools(offer: Offer, losses: list[Loss]) -> Json:
    if offer.is_empty:
        return {}
    tools: list[Json] = []
    for function in offer.functions:
        described = {"description": function.description} if function.description else {}
        tools.append({"name": function.wire_name, **described, "input_schema": function.parameters})
    encoded: Json = {"tools": [*tools, *(_search(tool, losses) for tool in offer.hosted)]}
    choice = offer.choice
    parallel = {"disable_parallel_tool_use": True} if offer.parallel is False else {}
    if choice is not None and choice.mode == "none":
        encoded["tool_choice"] = {"type": "none"}
    elif choice is not None:
        named = {"name": choice.name} if choice.name else {}
        encoded["tool_choice"] = {"type": CHOICES[choice.mode], **named, **parallel}
    elif parallel:
        encoded["tool_choice"] = {"type": "auto", **parallel}
    return encoded


def _search(search: neutral.HostedTool, losses: list[Loss]) -> Json:
    encoded: Json = {"type": WEB_SEARCH_TOOL, "name": search.name}
    encoded |= {name: search.options[name] for name in SEARCH_OPTIONS if search.options.get(name)}
    if "allowed_domains" in encoded and encoded.pop("blocked_domains", None):
        losses.append(Loss("web_search.blocked_domains", "only one of the two lists can be sent"))
    if "user_location" in encoded:
        encoded["user_location"] = {"type": "approximate", **encoded["user_location"]}
    return encoded


@dataclass(slots=True)
class ContentEncoder:
    """Encodes the blocks of one request for one upstream and collects what is lost."""

    target: Target
    tools: Mapping[str, neutral.Tool]
    losses: list[Loss]

    def messages(self, message: neutral.Message) -> list[Json]:
        """Empty if nothing of it is left."""
        blocks = [encoded for block in message.content for encoded in self._blocks(block)]
        only = blocks[0] if len(blocks) == 1 else {}
        plain = only.get("type") == "text" and message.role != "assistant"
        content = only["text"] if plain else blocks
        return [{"role": message.role, "content": content}] if content else []

    def _blocks(self, block: neutral.Block) -> list[Json]:
        match block:
            case neutral.Text(text) | neutral.Refusal(text):
                return [text_block(text)] if text.strip() else []
            case neutral.Image():
                return [self._image(block)]
            case neutral.Document():
                return [self._document(block)]
            case neutral.Thinking():
                return self._thinking(block)
            case neutral.ToolCall():
                return [self._tool_use(block)]
            case neutral.ToolResult():
                return [self._tool_result(block)]
            case neutral.WebSearch():
                # a search without the encrypted results of this very upstream is refused
                self.losses.append(LOST_SEARCH)
                return []
            case neutral.Compaction():
                return [text_block(summary_of(block))]

    def _image(self, image: neutral.Image) -> Json:
        readable = readable_image(image, self.target.capabilities, self.losses)
        if readable is None:
            return text_block(OMITTED_IMAGE)
        if readable.url:
            return {"type": "image", "source": {"type": "url", "url": readable.url}}
        if readable.media_type not in IMAGE_TYPES:
            message = (
                f"Images of type {readable.media_type!r} are not supported: send JPEG, PNG, GIF or WebP."
            )
            raise BadRequest(message, "image")
        source = {"type": "base64", "media_type": readable.media_type, "data": readable.data}
        return {"type": "image", "source": source}

    def _document(self, document: neutral.Document) -> Json:
        words = document_text(document)
        if words is not None and not self.target.capabilities.files:
            return text_block(words)
        require_files(document, self.target.capabilities)
        about = {"title": document.title, "context": document.context}
        stated = {name: value for name, value in about.items() if value}
        return {"type": "document", "source": _document_source(document, words is not None), **stated}

    def _thinking(self, thinking: neutral.Thinking) -> list[Json]:
        if not self.target.capabilities.signed_thinking:
            text = thinking.text
            return [{"type": "thinking", "thinking": text, "signature": ""}] if text.strip() else []
        if (block := replayed(thinking, self.target.issuer)) is not None:
            return [block]
        self.losses.append(lost_thinking("thinking", thinking, self.target.issuer))
        return []

    def _tool_use(self, call: neutral.ToolCall) -> Json:
        return {
            "type": "tool_use",
            "id": anthropic_call_id(call.id),
            "name": wire_name(call.name, call.namespace, self.tools),
            "input": arguments_of(encode_arguments(call, custom=False)),
        }

    def _tool_result(self, result: neutral.ToolResult) -> Json:
        parts = [encoded for part in result.content for encoded in self._blocks(part)]
        if result.is_error and not self.target.capabilities.error_results:
            parts = parts_as_error(parts)
        plain = len(parts) == 1 and parts[0]["type"] == "text"
        return {
            "type": "tool_result",
            "tool_use_id": anthropic_call_id(result.call_id),
            "content": parts[0]["text"] if plain else parts,
            **({"is_error": True} if result.is_error else {}),
        }


def text_block(text: str) -> Json:
    return {"type": "text", "text": text}


def _document_source(document: neutral.Document, is_text: bool) -> Json:
    if document.url:
        return {"type": "url", "url": document.url}
    if is_text:
        return {"type": "text", "media_type": PLAIN_TEXT, "data": document.data}
    if document.media_type != PDF:
        message = f"Documents of type {document.media_type!r} are not supported: send PDF or text."
        raise BadRequest(message, "document")
    return {"type": "base64", "media_type": PDF, "data": document.data}
