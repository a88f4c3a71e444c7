"""A dialect is a form to fill in: how the demo model reads and writes one protocol."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from switchyard.demo.prompt import Prompt
from switchyard.demo.reply import Reply

PIECE_LENGTH = 48


class Walk(msgspec.Struct, frozen=True):
    """A streamed answer: what is sent at once, what the model says, and the regular end."""

    opening: tuple[bytes, ...]
    content: tuple[bytes, ...]
    ending: tuple[bytes, ...]


class Dialect(msgspec.Struct, frozen=True):
    read: Callable[[Mapping[str, Any]], Prompt]
    """Raises NotUnderstood."""
    walk: Callable[[Reply, Prompt, int], Walk]
    """The last argument is the time, in seconds since the epoch."""
    whole: Callable[[Reply, Prompt, int], bytes]
    fault: Callable[[int, str], bytes]
    """The envelope of an error with this status and message."""


def pieces(text: str) -> Iterator[str]:
    """The text as a model would stream it."""
    return (text[start : start + PIECE_LENGTH] for start in range(0, len(text), PIECE_LENGTH))
