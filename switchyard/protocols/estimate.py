"""Estimate tokens without a tokenizer: fast, close on code and prose, and rather too many than too few.

The weights were fitted to a byte-pair vocabulary of 200,000 entries over code, prose, logs and JSON.
"""

import base64
import binascii
import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import ceil

import msgspec

from switchyard.protocols import neutral

PER_MESSAGE = 4
PER_TOOL = 12
PER_REPLY = 3
PER_IMAGE = 1600
PIXELS_PER_TOKEN = 750
PER_PDF_PAGE = 2000
PDF_BYTES_PER_TOKEN = 50
PDF_PAGE = re.compile(rb"/Type\s*/Page\b")
SAFETY = 1.05

BODY_SAMPLES = 32
BODY_SAMPLE_BYTES = 64
"""Of JSON as it stands only these are weighed: 35 microseconds, whatever its size."""

SAMPLES = 64
SAMPLE_CHARACTERS = 256
"""Of a text longer than all samples together only these are weighed, nearly always within three percent of the whole: a
megabyte takes 17 milliseconds."""

HEADER_CHARACTERS = 400_000
"""of base64 in which the size of an image is looked for: JPEG states it behind its metadata"""


def estimate_tokens(request: neutral.Request) -> int:
    """All that the model reads: system, tools, messages with calls, results and thinking."""
    texts, media = [*_own_texts(request)], list[Media]()
    for message in request.messages:
        _collect(message.content, texts, media)
    text = _weighed_lines(list(filter(None, texts)))
    overhead = PER_MESSAGE * len(request.messages) + PER_TOOL * len(request.tools) + PER_REPLY
    return ceil(SAFETY * text) + sum(map(_media_tokens, media)) + overhead


def estimate_text(text: str) -> int:
    return ceil(SAFETY * _weighed_lines([text])) if text else 0


Media = neutral.Image | neutral.Document
Parts = tuple[int, int, int, int]
"""tokens of words, numbers, signs and line ends, and of what is not ASCII: tokenizers differ in each of these"""


def estimate_parts(text: bytes) -> Parts:
    """A rough estimate of some JSON, without images, from pieces of it: alike for all upstreams and protocols."""
    size, samples, spare = BODY_SAMPLE_BYTES, BODY_SAMPLES, len(text) - BODY_SAMPLE_BYTES
    if spare <= samples * size:
        words, numbers, signs, wide = _weighed_parts(b" " + text)
        return ceil(words), ceil(numbers), ceil(signs), ceil(wide)
    starts = (spare * number // (samples - 1) for number in range(samples))
    pieces = [text[start : start + size] for start in starts]
    sample = b"".join([piece for piece in pieces if not _is_base64(piece)])
    factor = len(text) / (samples * size)
    words, numbers, signs, wide = _weighed_parts(b" " + sample)
    return ceil(words * factor), ceil(numbers * factor), ceil(signs * factor), ceil(wide * factor)


def _is_base64(piece: bytes) -> bool:
    return piece.isascii() and not (b" " in piece or b'"' in piece or b"\\" in piece)


def _weighed_lines(texts: Sequence[str]) -> float:
    """The texts as lines of one text, of which only samples are put together if it is long."""
    length = sum(map(len, texts)) + len(texts) - 1
    if length <= SAMPLES * SAMPLE_CHARACTERS:
        return _weighed("\n".join(texts))
    ends = list(accumulate([len(text) + 1 for text in texts]))
    spare = length - SAMPLE_CHARACTERS
    starts = (spare * number // (SAMPLES - 1) for number in range(SAMPLES))
    sample = "".join([_piece(texts, ends, start) for start in starts])
    return _weighed(sample) * length / len(sample)


def _piece(texts: Sequence[str], ends: Sequence[int], start: int) -> str:
    """One sample, at equal distance from those before and behind it."""
    number = bisect_right(ends, start)
    begun = start - (ends[number] - len(texts[number]) - 1)
    piece = texts[number][begun : begun + SAMPLE_CHARACTERS]
    while len(piece) < SAMPLE_CHARACTERS:
        number += 1
        piece += "\n" + texts[number][: SAMPLE_CHARACTERS - len(piece) - 1]
    return piece


class StreamEstimate:
    """The tokens of a text that comes in pieces."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        self._pieces.append(piece)

    def extend(self, pieces: list[str]) -> None:
        self._pieces += pieces

    @property
    def tokens(self) -> int:
        self._pieces = ["".join(self._pieces)]
        return estimate_text(self._pieces[0])


# --- text ---------------------------------------------------------------------


def _class(byte: int) -> str:
    """Of a UTF-8 byte: letter a or A, digit 0, sign ., underscore, newline n, blank, or the first of 2, 3, 4."""
    if byte >= 0x80:
        return " " if byte < 0xC0 else "2234"[(byte >> 4) - 12]
    character = chr(byte)
    if character.isalpha():
        return "a" if character.islower() else "A"
    if character.isdigit():
        return "0"
    if character.isspace():
        return "n" if character in "\r\n" else " "
    return "_" if character == "_" else "."


CLASSES = bytes(ord(_class(byte)) for byte in range(256))
RUNS = bytes(ord({"0": "0", ".": ".", "_": "."}.get(_class(byte), " ")) for byte in range(256))
"""Keeps digits and signs, to count their runs."""
WORD, NUMBER, SIGN, NEWLINE, BLANK, SMALL, LARGE = range(7)
"""A bit for each class of bytes."""
BITS = {
    "a": 1 << WORD | 1 << SMALL,
    "A": 1 << WORD | 1 << LARGE,
    "0": 1 << NUMBER,
    ".": 1 << SIGN,
    "_": 1 << SIGN,
    "n": 1 << NEWLINE,
    " ": 1 << BLANK,
}
PLANES = bytes(BITS.get(_class(byte), 0) for byte in range(256))
EACH = int.from_bytes(b"\1" * (SAMPLES * SAMPLE_CHARACTERS * 4 + 1), "big")
"""The lowest bit of each byte of the longest text that is weighed, in UTF-8."""


def _weighed(text: str) -> float:
    return sum(_weighed_parts(b" " + text.encode("utf-8", "surrogatepass")))


def _weighed_parts(encoded: bytes) -> tuple[float, float, float, float]:
    """All bytes are looked at at once, as one number whose bits are their classes. `encoded` begins with a blank."""
    planes = int.from_bytes(encoded.translate(PLANES), "big")
    before = planes >> 8
    starts = planes ^ (planes & before)
    words, letters, blanks = starts & EACH, planes & EACH, planes >> BLANK & EACH  # words have the lowest bit
    pairs = letters & letters >> 8
    fours = pairs & pairs >> 16
    long_words = words >> 48 & fours & fours >> 24  # where the seventh letter is
    humps = before >> SMALL & planes >> LARGE & EACH
    runs = encoded.translate(RUNS)
    indented = planes >> NEWLINE + 16 & blanks & blanks >> 8
    return (
        0.95 * words.bit_count() + 0.36 * long_words.bit_count() + 1.5 * humps.bit_count(),
        1.45 * (starts >> NUMBER & EACH).bit_count() + 0.44 * runs.count(b"000"),
        0.18 * (planes >> SIGN & EACH).bit_count()
        + 0.44 * (starts >> SIGN & EACH).bit_count()
        + 0.16 * runs.count(b"..")
        + 1.1 * (starts >> NEWLINE & EACH).bit_count()
        + 0.21 * indented.bit_count(),
        0.0 if encoded.isascii() else _weighed_wide(encoded.translate(CLASSES)),
    )


def _weighed_wide(classes: bytes) -> float:
    return 0.4 * classes.count(b"2") + 0.77 * classes.count(b"3") + 2.0 * classes.count(b"4")


# --- requests -----------------------------------------------------------------


def _own_texts(request: neutral.Request) -> Iterator[str]:
    """What the model reads beside the conversation."""
    yield from request.system
    for tool in request.tools:
        yield tool.name
        yield tool.description
        yield msgspec.json.encode(tool.parameters).decode()
        if tool.grammar:
            yield tool.grammar[1]
    if request.output_format is not None:
        yield msgspec.json.encode(request.output_format.schema).decode()


def _collect(content: Iterable[neutral.Block], texts: list[str], media: list[Media]) -> None:
    for block in content:
        if isinstance(block, neutral.Text):
            texts.append(block.text)
        elif isinstance(block, neutral.ToolResult):
            _collect(block.content, texts, media)
        elif isinstance(block, neutral.ToolCall):
            texts += (block.name, block.arguments)
        elif isinstance(block, (neutral.Refusal, neutral.Thinking)):
            texts.append(block.text)
        elif isinstance(block, (neutral.Image, neutral.Document)):
            media.append(block)
            texts += _written_in(block)
        elif isinstance(block, neutral.WebSearch):
            texts += (block.query, *(source.cited_text for source in block.sources))
        else:
            texts.append(block.payload)


def _written_in(part: Media) -> tuple[str, ...]:
    if isinstance(part, neutral.Image):
        return ()
    return part.title, part.context, part.data if part.media_type.startswith("text/") else ""


# --- media --------------------------------------------------------------------


def _media_tokens(part: Media) -> int:
    if isinstance(part, neutral.Image):
        size = _image_size(_decoded(part.data[:HEADER_CHARACTERS]))
        return min(PER_IMAGE, ceil(size[0] * size[1] / PIXELS_PER_TOKEN)) if size else PER_IMAGE
    if part.media_type.startswith("text/"):
        return 0
    pdf = _decoded(part.data)
    pages = len(PDF_PAGE.findall(pdf))
    return pages * PER_PDF_PAGE or max(len(pdf) // PDF_BYTES_PER_TOKEN, PER_PDF_PAGE)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data[: len(data) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""


def _image_size(image: bytes) -> tuple[int, int] | None:
    """Width and height as stated in the file's header."""
    try:
        if image.startswith(b"\x89PNG"):
            width, height = struct.unpack(">II", image[16:24])
        elif image.startswith(b"GIF8"):
            width, height = struct.unpack("<HH", image[6:10])
        elif image.startswith(b"\xff\xd8"):
            return _jpeg_size(image)
        else:
            return None
    except struct.error:
        return None
    return width, height


def _jpeg_size(image: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(image) and image[at] == 0xFF:
        marker, length = image[at + 1], int.from_bytes(image[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", image[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
