"""Decode JSON and the fields of its objects: once for all protocols, lenient or with an error that names the field."""

from collections.abc import Sequence
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.large import decode_large
from switchyard.protocols.surrogates import without_halves

Json = dict[str, Any]

MAX_STATED_CHARS = 200

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises for bytes that are no JSON, no UTF-8, or nested without end."""

_checked = msgspec.json.Decoder(msgspec.Raw).decode


def decode_object(body: bytes) -> Json | None:
    """The JSON object, None for anything else. A broken character does not cost the rest."""
    try:
        decoded = decode_large(body)
    except UnicodeDecodeError:
        return decode_object(repaired(body))
    except UNREADABLE:
        fixed = without_halves(body)
        return None if fixed == body else decode_object(fixed)
    return decoded if isinstance(decoded, dict) else None


def decode_body(body: bytes) -> Json:
    """The object of a client's request. Raises BadRequest."""
    decoded = decode_object(body)
    if decoded is None:
        raise BadRequest("The request body is not a valid JSON object.")
    return decoded


def repaired(body: bytes) -> bytes:
    """The body with a replacement for every byte that is no UTF-8."""
    return body.decode("utf-8", "replace").encode()


def parsed(text: str | bytes) -> Any:
    """What the JSON text means, None if it is none."""
    try:
        return msgspec.json.decode(text)
    except UNREADABLE:
        fixed = _with_whole_characters(text)
        return None if fixed is None else parsed(fixed)


def parsed_object(text: str | bytes) -> Json:
    """The object in the JSON text, or an empty one."""
    return fields(parsed(text))


def is_json(text: str | bytes) -> bool:
    try:
        _checked(text)
    except UNREADABLE:
        fixed = _with_whole_characters(text)
        return fixed is not None and is_json(fixed)
    return True


def _with_whole_characters(text: str | bytes) -> bytes | None:
    """The JSON text without halves of characters; None if it has none."""
    encoded = text.encode("utf-8", "replace") if isinstance(text, str) else text
    fixed = without_halves(encoded)
    return None if fixed == encoded else fixed


def may_become_json(beginning: str) -> bool:
    """Whether some JSON text begins so."""
    try:
        _checked(beginning.encode("utf-8", "replace"))
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    except RecursionError:
        return True
    return True


def json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def fields(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def entries(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def stated(model: object = None, fingerprint: object = None) -> neutral.Stated:
    """What an answer states about its origin; fields of another type state nothing."""
    return neutral.Stated(text(model)[:MAX_STATED_CHARS], text(fingerprint)[:MAX_STATED_CHARS])


def joined(parts: Sequence[str], separator: str = "\n\n") -> str:
    """The parts that are not empty, by default with a blank line between them."""
    return separator.join(filter(None, parts))


def required_text(given: Json, name: str, path: str = "") -> str:
    """A text that must be there and not be empty."""
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise bad_field(f"{path}.{name}" if path else name, "Field required")
    return value


def bad_field(path: str, message: str, code: str = "") -> BadRequest:
    return BadRequest(f"{path}: {message}", path, code)
