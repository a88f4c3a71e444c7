"""A dialect is a set of functions: how the demo model decodes and encodes one protocol."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from switchyard.demo.prompt import Prompt
from switchyard.demo.reply import Reply

PIECE_LENGTH = 48


class StreamedReply(msgspec.Struct, frozen=True):
    """A streamed response: its start, its content, and its regular end."""

    opening: tuple[bytes, ...]
    content: tuple[bytes, ...]
    ending: tuple[bytes, ...]


class Dialect(msgspec.Struct, frozen=True):
    read: Callable[[Mapping[str, Any]], Prompt]
    """Raises NotUnderstood."""
    stream: Callable[[Reply, Prompt, int], StreamedReply]
    """The last argument is the time, in seconds since the epoch."""
    whole: Callable[[Reply, Prompt, int], bytes]
    error: Callable[[int, str], bytes]
    """The envelope of an error with this status and message."""


def pieces(text: str) -> Iterator[str]:
    """The text as a model would stream it."""
    return (text[start : start + PIECE_LENGTH] for start in range(0, len(text), PIECE_LENGTH))
