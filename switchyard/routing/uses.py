"""Which upstream the user wants to answer first ("use this now"), and until when. Time is an argument."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from switchyard.protocols.names import ProtocolName


class Use(msgspec.Struct, frozen=True):
    """`until` in seconds since the epoch; None: until it is undone."""

    upstream: str
    until: float | None = None

    def text(self, wall: datetime) -> str:
        """The reason for its position, as of this local time."""
        return f"used now, {until_text(self.until, wall)}"


Uses = Mapping[ProtocolName, Use]
"""client protocol -> what answers its requests first"""
NO_USES: Uses = {}


def use_of(uses: Uses, protocol: ProtocolName, wall: datetime) -> Use | None:
    """What these clients use now, if anything."""
    use = uses.get(protocol)
    return use if use is not None and _goes_on(use, wall.timestamp()) else None


def in_effect(uses: Uses, now: float) -> Uses:
    """Those that are not over."""
    if all(_goes_on(use, now) for use in uses.values()):
        return uses
    return {protocol: use for protocol, use in uses.items() if _goes_on(use, now)}


def with_use(uses: Uses, use: Use | None, protocols: Collection[ProtocolName]) -> Uses:
    """From now on these clients use this upstream, or none."""
    others = {protocol: one for protocol, one in uses.items() if protocol not in protocols}
    return others if use is None else others | dict.fromkeys(protocols, use)


def followed(uses: Uses, names: Mapping[str, str], enabled: Collection[str]) -> Uses:
    """After an edit of the settings: renamed entries are followed; removed and disabled ones are no longer used."""
    renamed = {
        protocol: replace(use, upstream=names.get(use.upstream, use.upstream))
        for protocol, use in uses.items()
    }
    return {protocol: use for protocol, use in renamed.items() if use.upstream in enabled}


def until_text(until: float | None, wall: datetime) -> str:
    """The end of a use, as of this local time."""
    if until is None:
        return "until you undo it"
    end = datetime.fromtimestamp(until, wall.tzinfo)
    return f"until {end:%H:%M}" if end - wall < timedelta(days=1) else f"until {end:%Y-%m-%d %H:%M}"


def _goes_on(use: Use, now: float) -> bool:
    return use.until is None or now < use.until
