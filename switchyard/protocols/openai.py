"""What both protocols of OpenAI share: the parts of messages, the tools and the choice among them.

Chat nests what Responses has flat. Each form is understood in both protocols: clients mix them up.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.content import (
    OMITTED_IMAGE,
    Part,
    document_in,
    document_text,
    image_at,
    readable_image,
    require_files,
    summary_of,
    url_of,
)
from switchyard.protocols.neutral import ToolChoice
from switchyard.protocols.wire import Json, bad_field, entries, fields, required_text, text

CIPHERTEXT = "gAAAA"
"""How texts begin that only the service itself can decrypt; other servers get the plain text in their place."""
OMITTED_CIPHERTEXT = "[encrypted text omitted: only the service that encrypted it can read it]"
AUDIO = "audio cannot be carried to another protocol: send its transcript as text"
TEXT_PARTS = ("text", "input_text", "output_text", "summary_text")
REASONING_NAMES = ("reasoning_content", "reasoning", "thinking")

MessagePart = Part | neutral.Refusal | neutral.Thinking


def decode_content(content: object, path: str) -> tuple[MessagePart, ...]:
    """The blocks of a message. Raises BadRequest."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (neutral.Text(content),) if content else ()
    if not isinstance(content, list):
        raise bad_field(path, "Input should be a text or a list of parts")
    return tuple(decode_part(part, f"{path}[{number}]") for number, part in enumerate(content))


def decode_part(part: object, path: str) -> MessagePart:
    """Raises BadRequest."""
    if isinstance(part, str):
        return neutral.Text(part)
    if not isinstance(part, dict):
        raise bad_field(path, "Input should be an object")
    decode = PARTS.get(str(part.get("type")))
    if decode is None:
        raise bad_field(f"{path}.type", f"parts of type {part.get('type')!r} are not supported")
    return decode(part, path)


def reasoning_in(given: Json) -> str:
    """The reasoning text of an earlier turn, under whichever name the client kept it."""
    for name in REASONING_NAMES:
        if words := text(given.get(name)):
            return words
    return ""


def _encrypted(part: Json, _: str) -> MessagePart:
    """What one agent of Codex writes to another."""
    return neutral.Text(OMITTED_CIPHERTEXT if holds_ciphertext(part) else text(part.get("encrypted_content")))


def holds_ciphertext(part: object) -> bool:
    return text(fields(part).get("encrypted_content")).startswith(CIPHERTEXT)


def _image(part: Json, path: str) -> MessagePart:
    source = part.get("image_url")
    given = source if isinstance(source, dict) else {**part, "url": source}
    url = text(given.get("url"))
    if not url:
        raise _foreign_file(given, path)
    nested = f"{path}.image_url.url" if isinstance(source, dict) else path
    return image_at(url, nested, text(given.get("detail")))


def _file(part: Json, path: str) -> MessagePart:
    given = fields(part.get("file")) or part
    title = text(given.get("filename"))
    if url := text(given.get("file_url")):
        return neutral.Document(url=url, title=title)
    path = f"{path}.file" if "file" in part else path
    data = text(given.get("file_data"))
    if not data:
        raise _foreign_file(given, path)
    return document_in(data, path, title=title)


def _foreign_file(given: Json, path: str) -> BadRequest:
    id = text(given.get("file_id"))
    stored = f"file {id!r} is stored at another service; send its content instead"
    return bad_field(path, stored if id else "neither data nor a URL")


def _audio(_: Json, path: str) -> MessagePart:
    raise bad_field(path, AUDIO)


PARTS: Mapping[str, Callable[[Json, str], MessagePart]] = {
    **dict.fromkeys(TEXT_PARTS, lambda part, _: neutral.Text(text(part.get("text")))),
    "encrypted_content": _encrypted,
    "refusal": lambda part, _: neutral.Refusal(text(part.get("refusal"))),
    "thinking": lambda part, _: neutral.Thinking(reasoning_in(part)),
    **dict.fromkeys(("image_url", "input_image"), _image),
    **dict.fromkeys(("file", "input_file"), _file),
    "input_audio": _audio,
}


class PartForms(msgspec.Struct, frozen=True):
    """How a protocol writes what users send: the type of texts, an image, a file."""

    text: str
    image: Callable[[neutral.Image], Json]
    file: Callable[[neutral.Document], Json]


def encode_part(
    block: neutral.Block, forms: PartForms, capabilities: Capabilities, losses: list[neutral.Loss]
) -> Json | None:
    """None for what is no part of a user's message. Raises BadRequest for what the upstream cannot read."""
    if isinstance(block, (neutral.Text, neutral.Refusal)):  # nearly all, and faster than a pattern
        return {"type": forms.text, "text": block.text} if block.text else None
    words: str | None = None
    match block:
        case neutral.Image():
            readable = readable_image(block, capabilities, losses)
            if readable is not None:
                return forms.image(readable)
            words = OMITTED_IMAGE
        case neutral.Document():
            words = document_text(block)
            if words is None:
                require_files(block, capabilities)
                return forms.file(block)
        case neutral.Compaction():
            words = summary_of(block)
    return {"type": forms.text, "text": words} if words else None


def file_data(document: neutral.Document) -> Json:
    return {"filename": document.title or "document.pdf", "file_data": url_of(document)}


def decode_function(declared: Json, path: str, namespace: str = "") -> neutral.Tool:
    """Raises BadRequest."""
    given = fields(declared.get("function")) or declared
    return neutral.Tool(
        required_text(given, "name", path),
        text(given.get("description")),
        fields(given.get("parameters")),
        namespace=namespace,
        strict=given.get("strict") is True or None,
    )


def decode_custom(declared: Json, path: str, namespace: str = "") -> neutral.Tool:
    """A tool that takes free-form text. Raises BadRequest."""
    given = fields(declared.get("custom")) or declared
    format = fields(given.get("format"))
    grammar = fields(format.get("grammar")) or format
    has_grammar = bool(text(grammar.get("syntax")))
    return neutral.Tool(
        required_text(given, "name", path),
        text(given.get("description")),
        kind="custom",
        namespace=namespace,
        grammar=(grammar["syntax"], text(grammar.get("definition"))) if has_grammar else None,
    )


def decode_choice(choice: object) -> ToolChoice | None:
    """Raises BadRequest."""
    match choice:
        case None:
            return None
        case "auto" | "required" | "none":
            return ToolChoice(choice)
        case "any":
            return ToolChoice("required")
        case {"type": "allowed_tools", **rest}:
            given = fields(rest.get("allowed_tools")) or rest
            allowed = tuple(_allowed_names(entries(given.get("tools"))))
            return ToolChoice("required" if given.get("mode") == "required" else "auto", allowed=allowed)
        case {"type": "function" | "custom" as kind, **rest}:
            given = fields(rest.get(kind)) or rest
            if name := text(given.get("name")):
                return ToolChoice("named", name, text(given.get("namespace")))
    raise bad_field("tool_choice", "Input should be 'auto', 'required', 'none' or one of the tools")


def _allowed_names(tools: list[Any]) -> Iterable[str]:
    for tool in map(fields, tools):
        inner = fields(tool.get("function")) or fields(tool.get("custom")) or tool
        if name := text(inner.get("name")) or text(tool.get("type")):
            yield name


def decode_format(value: object, _: str = "") -> neutral.OutputFormat | None:
    """None for plain text and unknown types."""
    given = fields(value)
    kind, inner = given.get("type"), fields(given.get("json_schema")) or given
    if kind == "json_object":
        return neutral.OutputFormat("json_object")
    if kind != "json_schema":
        return None
    return neutral.OutputFormat(
        "json_schema",
        name=text(inner.get("name")) or "response",
        schema=fields(inner.get("schema")),
        strict=inner.get("strict") is True or None,
        description=text(inner.get("description")),
    )


def encode_schema(wanted: neutral.OutputFormat) -> Json:
    given: Json = {"name": wanted.name, "schema": dict(wanted.schema)}
    if wanted.description:
        given["description"] = wanted.description
    if wanted.strict is not None:
        given["strict"] = wanted.strict
    return given
