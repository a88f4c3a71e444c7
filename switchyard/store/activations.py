"""Store the activations of each upstream across restarts."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from switchyard.exchange import Activated
from switchyard.store.files import make_private, read_or_none, set_aside, write_whole

FILE_NAME = "activations.json"
MAX_NAMES = 1000
"""Renamed and deleted upstreams leave their entries behind; the oldest are dropped."""

log = logging.getLogger("switchyard")


class _File(msgspec.Struct):
    upstreams: dict[str, Activated]
    version: int = 1


class ActivationMemory:
    """Call `load` once, then `put`; if the disk refuses a write, the state is kept until the daemon ends."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self.path = folder / FILE_NAME
        self.fault = ""
        """the problem with the file, as a sentence for the dashboard; "" if there is none"""
        self._now = now
        self._known: dict[str, Activated] = {}
        self._writing = asyncio.Lock()

    def load(self) -> None:
        """Read the file; an unreadable one is renamed."""
        try:
            content = read_or_none(self.path)
            if content is None:
                return
            make_private(self.path)
            self._known = dict(msgspec.json.decode(content, type=_File).upstreams)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._set_aside(error)
        except OSError as error:
            self._note(
                f"{self.path} cannot be read ({error.strerror}); activations may be sent once more today."
            )

    def all(self) -> Mapping[str, Activated]:
        return self._known

    def of(self, upstream: str) -> Activated:
        return self._known.get(upstream, Activated())

    async def put(self, upstream: str, activated: Activated) -> None:
        """Store it; on disk when this returns, if the disk allows it."""
        self._known.pop(upstream, None)
        self._known[upstream] = activated
        for name in list(self._known)[:-MAX_NAMES]:
            del self._known[name]
        await self.save()

    def rename(self, names: Mapping[str, str]) -> None:
        """Upstreams are renamed: old name -> new name. Call `save` afterwards."""
        self._known |= {new: self._known.pop(old) for old, new in names.items() if old in self._known}

    async def save(self) -> None:
        """Write everything to disk, if the disk allows it."""
        async with self._writing:
            content = msgspec.json.format(msgspec.json.encode(_File(self._known)), indent=2) + b"\n"
            try:
                await asyncio.to_thread(write_whole, self.path, content)
                self.fault = ""
            except OSError as error:
                self._note(
                    f"{self.path} cannot be written ({error.strerror}); today's activations are lost at a restart."
                )

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
