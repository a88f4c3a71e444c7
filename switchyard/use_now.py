"""Remember which upstream the user wants to answer first now, across restarts and edits of the settings."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from switchyard.protocols.names import ProtocolName
from switchyard.routing.uses import NO_USES, Use, Uses, followed, in_effect, with_use
from switchyard.store.files import read_or_none
from switchyard.store.small_file import Consequences, SmallFile

FILE_NAME = "use_now.json"
CONSEQUENCES = Consequences(
    unread='what you chose with "use now" is lost',
    unwritten='what you chose with "use now" is lost at a restart',
)


class _Stored(msgspec.Struct):
    clients: dict[ProtocolName, Use]
    version: int = 1


class UseNow:
    """Call `load` once. `now` is in seconds since the epoch."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self._file = SmallFile(folder / FILE_NAME, _Stored, now, CONSEQUENCES)
        self._now = now
        self._uses: Uses = NO_USES

    @property
    def fault(self) -> str:
        """The problem with the file, as a sentence for the dashboard; "" if there is none."""
        return self._file.fault

    def load(self, enabled: Collection[str]) -> None:
        """Read the file, for the enabled upstreams."""
        stored = self._file.load()
        self._uses = NO_USES if stored is None else followed(stored.clients, {}, enabled)

    def current(self) -> Uses:
        return in_effect(self._uses, self._now()) if self._uses else NO_USES

    def put(self, use: Use | None, clients: Collection[ProtocolName]) -> None:
        """These clients use this upstream from now on, or none. Call `save` afterwards."""
        self._uses = with_use(self.current(), use, clients)

    def follow(self, names: Mapping[str, str], enabled: Collection[str]) -> bool:
        """After an edit of the settings, with old name -> new name; True if something changed: then call `save`."""
        before, self._uses = self._uses, followed(self._uses, names, enabled)
        return before != self._uses

    async def save(self) -> None:
        """Write it to disk, if the disk allows it."""
        await self._file.save(lambda: _Stored(dict(self._uses)))

    async def save_again(self) -> None:
        """Write what the disk has refused, if it allows it by now."""
        await self._file.save_again()


def stored_uses(folder: Path, enabled: Collection[str]) -> Uses:
    """What a daemon of this data folder would use; the file is only read."""
    try:
        content = read_or_none(folder / FILE_NAME)
        stored = None if content is None else msgspec.json.decode(content, type=_Stored)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NO_USES  # the daemon reports it
    return NO_USES if stored is None else followed(stored.clients, {}, enabled)
