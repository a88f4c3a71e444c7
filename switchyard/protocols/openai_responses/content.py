"""Read and write the parts of messages and tool outputs.

https://platform.openai.com/docs/api-reference/responses/create
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.media import data_url, parse_data_url, sniffed_media_type
from switchyard.protocols.openai_responses.calls import Item
from switchyard.protocols.wire import json_text, text

Part = neutral.Text | neutral.Refusal | neutral.Image | neutral.Document
OutputPart = neutral.Text | neutral.Image | neutral.Document

PDF = "application/pdf"
STRINGIFIED_PARTS = '[{"type":"input_'
OMITTED_IMAGE = "[image omitted: this model does not read images]"


def read_content(content: object, place: str) -> tuple[Part, ...]:
    """The blocks of a message; `place` names it in a complaint. Raises BadRequest."""
    if isinstance(content, str):
        return (neutral.Text(content),) if content else ()
    if not isinstance(content, list):
        return ()
    return tuple(_read_part(part, f"{place}[{position}]") for position, part in enumerate(content))


def read_output(output: object, place: str) -> tuple[OutputPart, ...]:
    """What a tool answered: a text, or parts, or parts as a text."""
    if isinstance(output, str) and output.lstrip().startswith(STRINGIFIED_PARTS):
        output = _parsed_parts(output)
    if output is None:
        return ()
    if not isinstance(output, list):
        text_value = output if isinstance(output, str) else json_text(output)
        return (neutral.Text(text_value),) if text_value else ()
    return tuple(_read_output_part(part, f"{place}[{position}]") for position, part in enumerate(output))


def write_parts(blocks: Iterable[neutral.Block], capabilities: Capabilities) -> list[Item]:
    """The parts of a user message or a tool output. Raises BadRequest for what the upstream cannot read."""
    parts: list[Item] = []
    for block in blocks:
        match block:
            case neutral.Text(words) | neutral.Refusal(words) if words:
                parts.append({"type": "input_text", "text": words})
            case neutral.Image():
                parts.append(_write_image(block, capabilities))
            case neutral.Document():
                parts.append(_write_document(block, capabilities))
    return parts


def write_output(result: neutral.ToolResult, capabilities: Capabilities) -> str | list[Item]:
    """A plain text where there is only text: not every server reads parts here."""
    parts = write_parts(result.content, capabilities)
    if result.is_error:
        parts = _marked_as_error(parts)
    if all(part["type"] == "input_text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def _marked_as_error(parts: list[Item]) -> list[Item]:
    """The protocol has no flag for it."""
    if parts and parts[0]["type"] == "input_text":
        text_value = parts[0]["text"]
        prefix = "" if text_value.startswith("Error") else "Error: "
        return [{"type": "input_text", "text": prefix + text_value}, *parts[1:]]
    return [{"type": "input_text", "text": "Error:"}, *parts]


# --- reading ------------------------------------------------------------------


def _read_part(part: object, place: str) -> Part:
    type = part.get("type") if isinstance(part, dict) else None
    reader = _READERS.get(type) if isinstance(type, str) else None
    if reader is None or not isinstance(part, dict):
        raise BadRequest(f"{place}: content of type {type!r} cannot be sent to this upstream", place)
    return reader(part, place)


def _read_output_part(part: object, place: str) -> OutputPart:
    """What only another service knows is still an answer to the model."""
    if not isinstance(part, dict) or str(part.get("type")) not in _READERS:
        return neutral.Text(json_text(part))
    read = _read_part(part, place)
    return neutral.Text(read.text) if isinstance(read, neutral.Refusal) else read


def _read_text(part: Item, _: str) -> Part:
    return neutral.Text(text(part.get("text")))


def _read_refusal(part: Item, _: str) -> Part:
    return neutral.Refusal(text(part.get("refusal")))


def _read_image(part: Item, place: str) -> Part:
    url: Any = part.get("image_url")
    if isinstance(url, dict):
        url = url.get("url")
    detail = text(part.get("detail"))
    if not isinstance(url, str) or not url:
        raise _foreign_file(part, place)
    inline = parse_data_url(url)
    if inline is None:
        return neutral.Image(url=url, detail=detail)
    media_type, encoded = inline
    return neutral.Image(sniffed_media_type(encoded, media_type), encoded, detail=detail)


def _read_file(part: Item, place: str) -> Part:
    title = text(part.get("filename"))
    if text(part.get("file_url")):
        return neutral.Document(url=part["file_url"], title=title)
    file = text(part.get("file_data"))
    if not file:
        raise _foreign_file(part, place)
    media_type, encoded = parse_data_url(file) or (PDF, file)
    if not media_type.startswith("text/"):
        return neutral.Document(media_type, encoded, title=title)
    try:
        plain = base64.b64decode(encoded).decode("utf-8", "replace")
    except binascii.Error:
        raise BadRequest(f"{place}.file_data: not valid base64", place) from None
    return neutral.Document("text/plain", plain, title=title)


def _foreign_file(part: Item, place: str) -> BadRequest:
    id = text(part.get("file_id"))
    message = f"{place}: file {id!r} is stored at another service; send its content instead"
    return BadRequest(message if id else f"{place}: neither data nor a URL", place)


_READERS: Mapping[str, Callable[[Item, str], Part]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "summary_text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "input_file": _read_file,
}


def _parsed_parts(stringified: str) -> object:
    try:
        return msgspec.json.decode(stringified)
    except (msgspec.DecodeError, RecursionError):
        return stringified


# --- writing ------------------------------------------------------------------


def _write_image(image: neutral.Image, capabilities: Capabilities) -> Item:
    if not capabilities.images:
        return {"type": "input_text", "text": OMITTED_IMAGE}
    if image.url and not capabilities.image_urls:
        raise BadRequest(f"this upstream reads no image URLs; send the image itself: {image.url[:200]}")
    url = image.url or data_url(image.media_type, image.data)
    return {"type": "input_image", "image_url": url, "detail": image.detail or "auto"}


def _write_document(document: neutral.Document, capabilities: Capabilities) -> Item:
    if document.media_type == "text/plain" and document.data:
        text_value = (document.title, document.context, document.data)
        return {"type": "input_text", "text": "\n\n".join(words for words in text_value if words)}
    if not capabilities.files:
        raise BadRequest(f"this upstream reads no documents: {document.title or document.media_type}")
    if document.url:
        return {"type": "input_file", "file_url": document.url}
    return {
        "type": "input_file",
        "filename": document.title or "document.pdf",
        "file_data": data_url(document.media_type, document.data),
    }
