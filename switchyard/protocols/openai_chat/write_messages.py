"""Write the messages of a Chat request."""

from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Any

from switchyard.protocols import carrier, neutral
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.history import text_of, well_formed, without_billing_line, without_mid_system
from switchyard.protocols.ids import openai_call_id
from switchyard.protocols.media import data_url, sniffed_media_type
from switchyard.protocols.tools.calls import wire_arguments
from switchyard.protocols.tools.names import wire_name

Json = dict[str, Any]
Media = neutral.Image | neutral.Document

ERROR_PREFIX = "Error: "
MEDIA_BELOW = "[attachment below]"
NO_VISION = "[image omitted: the upstream model has no vision]"
LOST_REASONING = "(not recorded)"
PLAIN_TEXT = "text/plain"


class MessageWriter:
    """Writes a conversation as this upstream can take it, noting in `losses` what it cannot."""

    def __init__(self, target: Target, tools: Mapping[str, neutral.Tool]) -> None:
        self._capabilities = target.capabilities
        self._tools = tools
        self.losses: list[neutral.Loss] = []

    def write(self, request: neutral.Request, instructions: Iterable[str]) -> list[Json]:
        """`instructions` go to the end of the system prompt. Raises BadRequest."""
        messages = well_formed(request.messages)
        leading: tuple[neutral.Message, ...] = ()
        if not self._capabilities.mid_system:
            # templates that take one system message take it first
            messages = without_mid_system(messages)
            leading = tuple(takewhile(lambda message: message.role == "system", messages))
            messages = messages[len(leading) :]
        system = (
            *without_billing_line(request.system),
            *(text_of(message.content) for message in leading),
            *instructions,
        )
        prompt = "\n\n".join(text for text in system if text.strip())
        written: list[Json] = [{"role": "system", "content": prompt}] if prompt else []
        for message in messages:
            written += self._message(message)
        return written

    def _message(self, message: neutral.Message) -> list[Json]:
        match message.role:
            case "system":
                return [{"role": "system", "content": text_of(message.content)}]
            case "assistant":
                return self._assistant(message)
            case _:
                return self._user(message)

    # --- the user's side ------------------------------------------------------

    def _user(self, message: neutral.Message) -> list[Json]:
        """The results as messages of their own, then the rest, led by what the results could not hold."""
        written: list[Json] = []
        parts: list[Json] = []
        for block in message.content:
            if isinstance(block, neutral.ToolResult):
                written.append(self._result(block, parts))
        for block in message.content:
            match block:
                case neutral.Text(text) | neutral.Refusal(text):
                    parts.append(_text_part(text))
                case neutral.Image() | neutral.Document():
                    parts.append(self._media(block))
                case neutral.Compaction():
                    parts.append(_text_part(_summary(block)))
        if parts:
            written.append({"role": "user", "content": _content(parts)})
        return written

    def _result(self, result: neutral.ToolResult, attached: list[Json]) -> Json:
        """Chat takes only text in results: images and files go into `attached`, labelled."""
        texts: list[str] = []
        id = openai_call_id(result.call_id)
        for part in result.content:
            written = _text_part(part.text) if isinstance(part, neutral.Text) else self._media(part)
            if written["type"] == "text":
                texts.append(written["text"])
            else:
                texts.append(MEDIA_BELOW)
                attached += [_text_part(f"[attachment of the result of tool call {id}]"), written]
        content = "\n\n".join(text for text in texts if text)
        if result.is_error and not content.startswith(ERROR_PREFIX.strip()):
            content = ERROR_PREFIX + content
        return {"role": "tool", "tool_call_id": id, "content": content}

    def _media(self, media: Media) -> Json:
        return self._image(media) if isinstance(media, neutral.Image) else self._document(media)

    def _image(self, image: neutral.Image) -> Json:
        if not (self._capabilities.images and self._capabilities.content_parts):
            self.losses.append(neutral.Loss("image", "this upstream reads no images"))
            return _text_part(NO_VISION)
        if image.url and not self._capabilities.image_urls:
            raise BadRequest("This upstream reads only inline images (base64), no image URLs.", "messages")
        url = image.url or data_url(sniffed_media_type(image.data, image.media_type), image.data)
        source = {"url": url}
        if image.detail:
            source["detail"] = "high" if image.detail == "original" else image.detail
        return {"type": "image_url", "image_url": source}

    def _document(self, document: neutral.Document) -> Json:
        title = document.title or "document.pdf"
        if document.media_type == PLAIN_TEXT and not document.url:
            texts = (document.title, document.context, document.data)
            return _text_part("\n\n".join(text for text in texts if text))
        if document.url:
            raise BadRequest(f"This upstream reads no documents by URL: {document.url}", "messages")
        if not (self._capabilities.files and self._capabilities.content_parts):
            raise BadRequest(f"This upstream reads no documents: {title} ({document.media_type})", "messages")
        file = {"filename": title, "file_data": data_url(document.media_type, document.data)}
        return {"type": "file", "file": file}

    # --- the model's side -----------------------------------------------------

    def _assistant(self, message: neutral.Message) -> list[Json]:
        text = text_of(message.content)
        calls = [self._call(block) for block in message.content if isinstance(block, neutral.ToolCall)]
        summaries = [_summary(block) for block in message.content if isinstance(block, neutral.Compaction)]
        if any(isinstance(block, neutral.WebSearch) for block in message.content):
            self.losses.append(neutral.Loss("web_search", "searches of earlier turns are not repeated"))
        text = "\n\n".join((*summaries, *([text] if text else ())))
        if not text and not calls:
            return []
        if calls and not self._capabilities.tools:
            raise BadRequest(
                "This upstream takes no tools, but tools were called in this conversation.", "messages"
            )
        empty = None if self._capabilities.content_parts else ""
        written: Json = {"role": "assistant", "content": text or empty}
        if reasoning := self._reasoning(message, bool(calls)):
            written["reasoning_content"] = reasoning
        if calls:
            written["tool_calls"] = calls
        return [written]

    def _reasoning(self, message: neutral.Message, has_calls: bool) -> str:
        history = self._capabilities.reasoning_history
        if history == "none":
            if any(isinstance(block, neutral.Thinking) for block in message.content):
                self.losses.append(
                    neutral.Loss("thinking", "this upstream takes no reasoning of earlier turns")
                )
            return ""
        thoughts = (_thought(block) for block in message.content if isinstance(block, neutral.Thinking))
        text = "\n\n".join(thought for thought in thoughts if thought)
        return text or (LOST_REASONING if history == "required" and has_calls else "")

    def _call(self, call: neutral.ToolCall) -> Json:
        custom = self._capabilities.custom_tools
        name = wire_name(call.name, call.namespace, self._tools)
        arguments = wire_arguments(call, custom=custom)
        id = openai_call_id(call.id)
        if call.kind == "custom" and custom:
            return {"id": id, "type": "custom", "custom": {"name": name, "input": arguments}}
        return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _text_part(text: str) -> Json:
    return {"type": "text", "text": text}


def _content(parts: list[Json]) -> str | list[Json]:
    """A plain string where texts suffice: some templates choke on lists."""
    if any(part["type"] != "text" for part in parts):
        return parts
    return "\n\n".join(part["text"] for part in parts)


def _thought(thinking: neutral.Thinking) -> str:
    """The reasoning text: the client's copy, or the one that its signature carries."""
    if thinking.text or thinking.signature is None:
        return thinking.text
    packed = carrier.unpack(thinking.signature.payload)
    text = packed.payload.get("text") if packed and packed.kind == "text" else None
    return text if isinstance(text, str) else ""


def _summary(compaction: neutral.Compaction) -> str:
    packed = carrier.unpack(compaction.payload)
    text = packed.payload.get("text") if packed and packed.kind == "summary" else None
    if not isinstance(text, str) or not text:
        raise BadRequest(
            "This compacted conversation can only be read by the upstream that compacted it.", "input"
        )
    return text
