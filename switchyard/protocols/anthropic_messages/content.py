"""The content blocks of messages: read from a client, written for an upstream.

https://platform.claude.com/docs/en/api/messages
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from switchyard.protocols import carrier, neutral
from switchyard.protocols.anthropic_messages.signatures import opened, replayed
from switchyard.protocols.anthropic_messages.wire import arguments_of
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.ids import anthropic_call_id
from switchyard.protocols.media import sniffed_media_type
from switchyard.protocols.tools.calls import wire_arguments
from switchyard.protocols.tools.names import wire_name

ERROR = "Error"
IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

Wire = dict[str, Any]


# --- reading ------------------------------------------------------------------


class Place(msgspec.Struct, frozen=True):
    """Where a block stands: its path for error messages, and the blocks beside it."""

    path: str
    siblings: Sequence[Any]

    def text(self, block: Wire, name: str) -> str:
        value = block.get(name)
        if not isinstance(value, str):
            raise BadRequest(f"{self.path}.{name}: Input should be a valid string", f"{self.path}.{name}")
        return value

    def source(self, block: Wire) -> Wire:
        source = block.get("source")
        if not isinstance(source, dict):
            raise BadRequest(f"{self.path}.source: Field required", f"{self.path}.source")
        return source

    def refuse(self, what: str) -> BadRequest:
        return BadRequest(f"{self.path}: {what}", self.path)


Reader = Callable[[Wire, Place], list[neutral.Block]]


def decode_content(
    role: neutral.Role, content: object, path: str, losses: list[neutral.Loss]
) -> tuple[neutral.Block, ...]:
    """The blocks of a message. Unknown input of the user is an error, unknown output of a model a loss."""
    if isinstance(content, str):
        return (neutral.Text(content),) if content.strip() else ()
    if not isinstance(content, list):
        raise BadRequest(f"{path}: Input should be a string or a list of blocks", path)
    blocks: list[neutral.Block] = []
    for number, wire in enumerate(content):
        place = Place(f"{path}.{number}", content)
        if not isinstance(wire, dict):
            raise place.refuse("Input should be an object")
        read = READERS[role].get(str(wire.get("type", "")))
        if read is not None:
            blocks += read(wire, place)
        elif role == "assistant":
            losses.append(
                neutral.Loss(place.path, f"no other protocol has blocks of type {wire.get('type')!r}")
            )
        else:
            raise place.refuse(f"blocks of type {wire.get('type')!r} are not supported in {role} messages")
    return tuple(blocks)


def _read_text(block: Wire, place: Place) -> list[neutral.Block]:
    text = place.text(block, "text")
    return [neutral.Text(text)] if text.strip() else []


def _read_image(block: Wire, place: Place) -> list[neutral.Block]:
    source = place.source(block)
    inside = Place(f"{place.path}.source", ())
    match source.get("type"):
        case "base64":
            data = inside.text(source, "data")
            declared = source.get("media_type")
            return [
                neutral.Image(sniffed_media_type(data, declared if isinstance(declared, str) else ""), data)
            ]
        case "url":
            return [neutral.Image(url=inside.text(source, "url"))]
    raise place.refuse(f"image sources of type {source.get('type')!r} cannot be read by another upstream")


def _read_document(block: Wire, place: Place) -> list[neutral.Block]:
    source = place.source(block)
    inside = Place(f"{place.path}.source", ())
    title, context = _optional(block, "title"), _optional(block, "context")
    match source.get("type"):
        case "base64":
            media_type = _optional(source, "media_type") or "application/pdf"
            return [neutral.Document(media_type, inside.text(source, "data"), title=title, context=context)]
        case "text":
            return [neutral.Document("text/plain", inside.text(source, "data"), title=title, context=context)]
        case "url":
            return [neutral.Document(url=inside.text(source, "url"), title=title, context=context)]
        case "content":
            heading = "\n\n".join(part for part in (title, context) if part)
            nested = _read_parts(source.get("content"), f"{inside.path}.content")
            return [*([neutral.Text(heading)] if heading else []), *nested]
    raise place.refuse(f"document sources of type {source.get('type')!r} cannot be read by another upstream")


def _read_search_result(block: Wire, place: Place) -> list[neutral.Block]:
    heading = "\n".join(part for part in (_optional(block, "title"), _optional(block, "source")) if part)
    texts = [
        part.text for part in _read_parts(block.get("content"), place.path) if isinstance(part, neutral.Text)
    ]
    return [neutral.Text("\n\n".join(part for part in (heading, *texts) if part))]


def _read_tool_reference(block: Wire, place: Place) -> list[neutral.Block]:
    return [neutral.Text(f"[The tool {_optional(block, 'tool_name')} is available.]")]


def _read_tool_result(block: Wire, place: Place) -> list[neutral.Block]:
    content = _read_parts(block.get("content"), f"{place.path}.content")
    return [
        neutral.ToolResult(
            place.text(block, "tool_use_id"), tuple(content), is_error=bool(block.get("is_error"))
        )
    ]


def _read_parts(content: object, path: str) -> list[neutral.Text | neutral.Image | neutral.Document]:
    """The content inside another block."""
    if content is None:
        return []
    if isinstance(content, str):
        return [neutral.Text(content)] if content.strip() else []
    if not isinstance(content, list):
        raise BadRequest(f"{path}: Input should be a string or a list of blocks", path)
    parts: list[neutral.Text | neutral.Image | neutral.Document] = []
    for number, wire in enumerate(content):
        place = Place(f"{path}.{number}", content)
        read = PART_READERS.get(str(wire.get("type", ""))) if isinstance(wire, dict) else None
        if read is None:
            raise place.refuse("only text, images, documents and search results are supported here")
        for part in read(wire, place):
            if isinstance(part, neutral.Text | neutral.Image | neutral.Document):
                parts.append(part)
    return parts


def _read_thinking(block: Wire, place: Place) -> list[neutral.Block]:
    return [neutral.Thinking(_optional(block, "thinking"), opened(_optional(block, "signature")))]


def _read_redacted_thinking(block: Wire, place: Place) -> list[neutral.Block]:
    return [neutral.Thinking("", opened(_optional(block, "data")), redacted=True)]


def _read_tool_use(block: Wire, place: Place) -> list[neutral.Block]:
    arguments = msgspec.json.encode(block.get("input") or {}).decode()
    return [neutral.ToolCall(place.text(block, "id"), place.text(block, "name"), arguments)]


def _read_server_tool_use(block: Wire, place: Place) -> list[neutral.Block]:
    """Only searches are known elsewhere; what was found stands in a block of its own."""
    if block.get("name") != "web_search":
        return []
    id, given = _optional(block, "id"), block.get("input")
    query = _optional(given, "query") if isinstance(given, dict) else ""
    results = (
        other for other in place.siblings if isinstance(other, dict) and other.get("tool_use_id") == id
    )
    sources = sources_of(next(results, {}).get("content"))
    return [neutral.WebSearch(id, query, sources)]


def _nothing(block: Wire, place: Place) -> list[neutral.Block]:
    return []


def _read_compaction(block: Wire, place: Place) -> list[neutral.Block]:
    text = _optional(block, "content")
    return [neutral.Text(text)] if text.strip() else []


def sources_of(content: object) -> tuple[neutral.Citation, ...]:
    """The pages that a `web_search_tool_result` lists."""
    if not isinstance(content, list):
        return ()
    return tuple(
        neutral.Citation(_optional(result, "url"), _optional(result, "title"))
        for result in content
        if isinstance(result, dict) and _optional(result, "url")
    )


def _optional(block: Wire, name: str) -> str:
    value = block.get(name)
    return value if isinstance(value, str) else ""


PART_READERS: dict[str, Reader] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "search_result": _read_search_result,
    "tool_reference": _read_tool_reference,
}
READERS: dict[neutral.Role, dict[str, Reader]] = {
    "user": {
        "text": _read_text,
        "image": _read_image,
        "document": _read_document,
        "search_result": _read_search_result,
        "tool_result": _read_tool_result,
    },
    "assistant": {
        "text": _read_text,
        "thinking": _read_thinking,
        "redacted_thinking": _read_redacted_thinking,
        "tool_use": _read_tool_use,
        "server_tool_use": _read_server_tool_use,
        "web_search_tool_result": _nothing,
        "compaction": _read_compaction,
    },
    "system": {"text": _read_text},
}


# --- writing ------------------------------------------------------------------


@dataclass(slots=True)
class ContentWriter:
    """Writes the blocks of one request for one upstream and collects what gets lost."""

    target: Target
    tools: Mapping[str, neutral.Tool]
    losses: list[neutral.Loss]

    def message(self, message: neutral.Message) -> Wire:
        blocks = [wire for block in message.content for wire in self.blocks(block)]
        only = blocks[0] if len(blocks) == 1 else {}
        plain = only.get("type") == "text" and message.role != "assistant"
        return {"role": message.role, "content": only["text"] if plain else blocks}

    def blocks(self, block: neutral.Block) -> list[Wire]:
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
                return []
            case neutral.Compaction():
                return [text_block(_summary(block))]

    def _image(self, image: neutral.Image) -> Wire:
        capabilities = self.target.capabilities
        if not capabilities.images:
            self.losses.append(neutral.Loss("image", "this upstream reads no images"))
            return text_block("[image omitted: the model reads no images]")
        if image.url:
            if not capabilities.image_urls:
                raise BadRequest("This upstream reads images only as base64 data, not from a URL.", "image")
            return {"type": "image", "source": {"type": "url", "url": image.url}}
        media_type = sniffed_media_type(image.data, image.media_type)
        if media_type not in IMAGE_TYPES:
            raise BadRequest(
                f"Images of type {media_type!r} are not supported: send JPEG, PNG, GIF or WebP.", "image"
            )
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": image.data}}

    def _document(self, document: neutral.Document) -> Wire:
        is_text = document.media_type.startswith("text/")
        if not self.target.capabilities.files:
            if not is_text:
                raise BadRequest("This upstream reads no documents; send their text instead.", "document")
            parts = (document.title, document.context, document.data)
            return text_block("\n\n".join(part for part in parts if part))
        described = {"title": document.title, "context": document.context}
        reported = {name: value for name, value in described.items() if value}
        return {"type": "document", "source": _document_source(document, is_text), **reported}

    def _thinking(self, thinking: neutral.Thinking) -> list[Wire]:
        if not self.target.capabilities.signed_thinking:
            text = thinking.text
            return [{"type": "thinking", "thinking": text, "signature": ""}] if text.strip() else []
        if (block := replayed(thinking, self.target.issuer)) is not None:
            return [block]
        self.losses.append(
            neutral.Loss("thinking", "reasoning that another upstream signed cannot be replayed")
        )
        return []

    def _tool_use(self, call: neutral.ToolCall) -> Wire:
        return {
            "type": "tool_use",
            "id": anthropic_call_id(call.id),
            "name": wire_name(call.name, call.namespace, self.tools),
            "input": arguments_of(wire_arguments(call, custom=False)),
        }

    def _tool_result(self, result: neutral.ToolResult) -> Wire:
        parts = [wire for part in result.content for wire in self.blocks(part)]
        plain = len(parts) == 1 and parts[0]["type"] == "text"
        reported: Wire = {"type": "tool_result", "tool_use_id": anthropic_call_id(result.call_id)}
        reported["content"] = parts[0]["text"] if plain else parts
        if result.is_error:
            reported["is_error"] = True
            if not self.target.capabilities.error_results:
                reported["content"] = as_error(reported["content"])
        return reported


def as_error(content: str | list[Wire]) -> str | list[Wire]:
    """The content of a failed result, which says itself that it failed."""
    if isinstance(content, str):
        return content if content.startswith(ERROR) else f"{ERROR}: {content}"
    first = content[0] if content else {}
    if first.get("type") != "text":
        return [text_block(f"{ERROR}:"), *content]
    return [{**first, "text": as_error(str(first.get("text")))}, *content[1:]]


def text_block(text: str) -> Wire:
    return {"type": "text", "text": text}


def _document_source(document: neutral.Document, is_text: bool) -> Wire:
    if document.url:
        return {"type": "url", "url": document.url}
    if is_text:
        return {"type": "text", "media_type": "text/plain", "data": document.data}
    if document.media_type != "application/pdf":
        raise BadRequest(f"Documents of type {document.media_type!r} are not supported: send PDF or text.")
    return {"type": "base64", "media_type": document.media_type, "data": document.data}


def _summary(compaction: neutral.Compaction) -> str:
    packed = carrier.unpack(compaction.payload)
    text = packed.payload.get("text") if packed and packed.kind == "summary" else None
    if not isinstance(text, str) or not text:
        raise BadRequest(
            "This compacted conversation can only be read by the upstream that compacted it.", "input"
        )
    return text
