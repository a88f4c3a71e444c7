"""Store the activations of each upstream across restarts."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from switchyard.exchange import Activated
from switchyard.store.small_file import Consequences, SmallFile

FILE_NAME = "activations.json"
MAX_NAMES = 1000
"""Renamed and deleted upstreams leave their entries behind; the oldest are dropped."""
CONSEQUENCES = Consequences(
    unread="activations may be sent once more today",
    unwritten="today's activations are lost at a restart",
)


class _Stored(msgspec.Struct):
    upstreams: dict[str, Activated]
    version: int = 1


class ActivationMemory:
    """Call `load` once, then `put`."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self._file = SmallFile(folder / FILE_NAME, _Stored, now, CONSEQUENCES)
        self._known: dict[str, Activated] = {}

    @property
    def path(self) -> Path:
        return self._file.path

    @property
    def fault(self) -> str:
        """The problem with the file, as a sentence for the dashboard; "" if there is none."""
        return self._file.fault

    def load(self) -> None:
        """Read the file."""
        stored = self._file.load()
        self._known = {} if stored is None else stored.upstreams

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
        taken = set(names.values()) - set(names)
        self._known = {names.get(name, name): one for name, one in self._known.items() if name not in taken}

    async def save(self) -> None:
        """Write everything to disk, if the disk allows it."""
        await self._file.save(lambda: _Stored(self._known))

    async def save_again(self) -> None:
        """Write what the disk has refused, if it allows it by now."""
        await self._file.save_again()
