"""Decode and encode inline images and files: data URLs, and the types that their first bytes show.

https://www.rfc-editor.org/rfc/rfc2397
"""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

SYNONYMS = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
DEFAULT_TYPE = "text/plain"
WHITESPACE = re.compile(r"\s+")
SNIFFED_CHARACTERS = 64

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
BRANDS = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"avif": "image/avif"}
"""The types of ISO media files, by the brand behind `ftyp`."""


def data_url(media_type: str, data: str) -> str:
    return f"data:{media_type};base64,{data}"


def parse_data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 data, or None if it is no data URL."""
    if url[:5].lower() != "data:" or "," not in url:
        return None
    header, _, data = url[5:].partition(",")
    media_type, *parameters = [part.strip().lower() for part in header.split(";")]
    if "base64" in parameters:
        data = _plain_base64(data)
    else:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return _known_type(media_type or DEFAULT_TYPE), data


def sniffed_media_type(data_base64: str, declared: str) -> str:
    """The type that the first bytes show, otherwise the declared one. Strict upstreams compare the two."""
    try:
        head = base64.b64decode(_plain_base64(data_base64[:SNIFFED_CHARACTERS]))
    except (binascii.Error, ValueError):
        head = b""
    return _type_of_bytes(head) or _known_type(declared)


def _type_of_bytes(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    return next((media_type for magic, media_type in MAGIC if head.startswith(magic)), None)


def _known_type(media_type: str) -> str:
    media_type = media_type.partition(";")[0].strip().lower()
    return SYNONYMS.get(media_type, media_type)


def _plain_base64(data: str) -> str:
    """Standard alphabet, padded, on one line: upstreams refuse the lenient forms that clients send."""
    if "%" in data:
        data = unquote_to_bytes(data).decode("ascii", "ignore")
    data = WHITESPACE.sub("", data).replace("-", "+").replace("_", "/").rstrip("=")
    return data + "=" * (-len(data) % 4)
