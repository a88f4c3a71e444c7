"""Images, documents, failed results and summaries: decoded and expressed once for all protocols."""

import base64
import binascii

from msgspec.structs import replace

from switchyard.protocols import carrier, neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.media import data_url, parse_data_url, sniffed_media_type
from switchyard.protocols.wire import Json, bad_field, joined, json_text, text

Part = neutral.Text | neutral.Image | neutral.Document

PLAIN_TEXT = "text/plain"
PDF = "application/pdf"
ERROR = "Error"
OMITTED_IMAGE = "[image omitted: the model reads no images]"
SUMMARY_HEADING = "Summary of the conversation so far:"
FALLBACK_TURN = neutral.Text("Continue.")
"""For upstreams that answer only to a user."""
NOTHING_TO_SEND = neutral.Loss("messages", "nothing of what the user sent can be sent")
LOST_SEARCH = neutral.Loss("web_search", "searches of earlier turns are not repeated")
JSON_SENTENCE = "Respond with a single JSON object and nothing else."
JSON_SCHEMA_SENTENCE = f"{JSON_SENTENCE} It must match this JSON schema:\n{{schema}}"


def image_at(url: str, path: str, detail: str = "") -> neutral.Image:
    """The image of a web address or a data URL. Raises BadRequest."""
    if url.lower().startswith(("http://", "https://")):
        return neutral.Image(url=url, detail=detail)
    inline = parse_data_url(url)
    if inline is None:
        raise bad_field(path, "Input should be an http(s) or data URL")
    media_type, data = inline
    return inline_image(data, media_type, detail)


def inline_image(data: str, declared: str, detail: str = "") -> neutral.Image:
    return neutral.Image(sniffed_media_type(data, declared), data, detail=detail)


def document_in(
    data: str, path: str, media_type: str = "", title: str = "", context: str = ""
) -> neutral.Document:
    """The document in base64 or in a data URL; of a text the words themselves. Raises BadRequest."""
    declared, encoded = parse_data_url(data) or (media_type or PDF, data)
    media_type = sniffed_media_type(encoded, declared)
    if not media_type.startswith("text/"):
        return neutral.Document(media_type, encoded, title=title, context=context)
    try:
        words = base64.b64decode(encoded).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise bad_field(path, "Input should be base64") from None
    return neutral.Document(PLAIN_TEXT, words, title=title, context=context)


def summary_in(payload: str) -> str | None:
    """The summary that this daemon once had written; None for what only another service can read."""
    return carrier.carried_text(payload, "summary")


def summary_turn(summary: str) -> neutral.Text:
    """The summary of what was compacted, for the model to go on from."""
    return neutral.Text(f"{SUMMARY_HEADING}\n\n{summary}")


def readable_image(
    image: neutral.Image, capabilities: Capabilities, losses: list[neutral.Loss]
) -> neutral.Image | None:
    """The image with its true type; None where the upstream reads none, which is a loss. Raises BadRequest."""
    if not (capabilities.images and capabilities.content_parts):
        losses.append(neutral.Loss("image", "this upstream reads no images"))
        return None
    if not image.url:
        return replace(image, media_type=sniffed_media_type(image.data, image.media_type))
    if not capabilities.image_urls:
        raise BadRequest("This upstream reads images only as base64 data, not from a URL.", "image")
    return image


def url_of(media: neutral.Image | neutral.Document) -> str:
    return media.url or data_url(media.media_type, media.data)


def document_text(document: neutral.Document) -> str | None:
    """All that a text document contains; None for any other."""
    if document.url or not document.media_type.startswith("text/"):
        return None
    return joined((document.title, document.context, document.data))


def require_files(document: neutral.Document, capabilities: Capabilities) -> None:
    """Raises BadRequest for an upstream that reads no files."""
    if not (capabilities.files and capabilities.content_parts):
        name = document.title or document.url or document.media_type
        raise BadRequest(f"This upstream reads no documents; send their text instead: {name}", "document")


def as_error(words: str) -> str:
    """The text of a failed result, which states itself that it failed."""
    return words if words.startswith(ERROR) else f"{ERROR}: {words}"


def parts_as_error(parts: list[Json], type: str = "text") -> list[Json]:
    """The same for a result in parts; `type` is that of texts."""
    first = parts[0] if parts else {}
    if first.get("type") != type:
        return [{"type": type, "text": f"{ERROR}:"}, *parts]
    return [{**first, "text": as_error(text(first.get("text")))}, *parts[1:]]


def summary_of(compaction: neutral.Compaction) -> str:
    """The text of a compaction. Raises BadRequest for one of another service."""
    summary = summary_in(compaction.payload)
    if not summary:
        raise BadRequest(
            "This compacted conversation can only be read by the upstream that compacted it.", "input"
        )
    return summary


def fallback_turn(given: tuple[neutral.Message, ...], losses: list[neutral.Loss]) -> neutral.Message:
    """A turn of the user; a loss where it replaces the client's own first turn."""
    first = next((message.role for message in given if message.role != "system"), "")
    if first == "user":
        losses.append(NOTHING_TO_SEND)
    return neutral.Message("user", (FALLBACK_TURN,))


def lost_thinking(field: str, thinking: neutral.Thinking, issuer: str) -> neutral.Loss:
    """Why an upstream does not get thinking of earlier turns back; `issuer` stands for this upstream."""
    signature = thinking.signature
    if signature is None or signature.issuer == issuer:
        return neutral.Loss(field, "reasoning without a signature cannot be replayed")
    if not signature.issuer:
        return neutral.Loss(field, "reasoning that an unknown upstream signed cannot be replayed")
    return neutral.Loss(field, "reasoning that another upstream signed cannot be replayed")


def format_instruction(wanted: neutral.OutputFormat | None, *, has_field: bool) -> str:
    """An output format in words, for upstreams that have no field for it."""
    if wanted is None or has_field:
        return ""
    if wanted.kind == "json_schema":
        return JSON_SCHEMA_SENTENCE.format(schema=json_text(dict(wanted.schema)))
    return JSON_SENTENCE
