"""Keep one small value in a file of the data folder, whatever happens to the file or the disk."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from switchyard.store.files import make_private, read_or_none, set_aside, write_whole

T = TypeVar("T")

log = logging.getLogger("switchyard")


class Consequences(msgspec.Struct, frozen=True):
    """What it means for the user that the file cannot be read or written."""

    unread: str
    unwritten: str


class SmallFile(Generic[T]):
    """`load` once, then `save`. If the disk refuses a write, the value is kept for `save_again`."""

    def __init__(
        self, path: Path, kind: type[T], now: Callable[[], float], consequences: Consequences
    ) -> None:
        self.path = path
        self.fault = ""
        """the problem with the file, as a sentence for the dashboard; "" if there is none"""
        self._kind = kind
        self._now = now
        self._consequences = consequences
        self._writing = asyncio.Lock()
        self._refused: Callable[[], T] | None = None
        """the value that the disk has refused"""

    def load(self) -> T | None:
        """The value of the file, if there is a readable one; an invalid file is renamed."""
        try:
            content = read_or_none(self.path)
            if content is None:
                return None
            make_private(self.path)
            return msgspec.json.decode(content, type=self._kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._set_aside(error)
        except OSError as error:
            self._note(f"{self.path} cannot be read ({error.strerror}); {self._consequences.unread}.")
        return None

    async def save(self, value: Callable[[], T]) -> None:
        """Write the value as it is when its turn comes, if the disk allows it."""
        async with self._writing:
            content = msgspec.json.format(msgspec.json.encode(value()), indent=2) + b"\n"
            try:
                await asyncio.to_thread(write_whole, self.path, content)
                self.fault, self._refused = "", None
            except OSError as error:
                self._refused = value
                consequence = self._consequences.unwritten
                self._note(f"{self.path} cannot be written ({error.strerror}); {consequence}.")

    async def save_again(self) -> None:
        """Write what the disk has refused, if it allows it by now."""
        if self._refused is not None:
            await self.save(self._refused)

    def _set_aside(self, error: Exception) -> None:
        stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            aside = set_aside(self.path, stamp)
        except OSError:
            aside = self.path
        self._note(f"{self.path.name} is damaged ({str(error)[:100]}); it was renamed to {aside.name}.")

    def _note(self, fault: str) -> None:
        if fault != self.fault:
            log.error("%s", fault)
        self.fault = fault
