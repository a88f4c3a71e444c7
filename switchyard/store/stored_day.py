"""Days as JSON text: their form in the roll-up, in which they stay in memory, too."""

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from switchyard.store.cell import DIMENSIONS, Cells, Day
from switchyard.store.cell_view import brief, shown_by
from switchyard.store.local_time import days_before

SESSION_DAYS = 31
"""Older days drop their sessions, which are rarely requested and take the most space."""
EVER_DIMENSIONS = tuple(name for name in DIMENSIONS if name not in ("hours", "sessions"))

Part = TypeVar("Part")


class StoredDay(msgspec.Struct, Generic[Part]):
    """Of the text, which has the keys of the legacy format beside `detail`, only this is read back."""

    detail: Part


class UpstreamsOfDay(msgspec.Struct):
    upstreams: Cells = {}


class StoredDays(msgspec.Struct, frozen=True):
    """Days by name, and the sums of all of them since the last reset, without hours and sessions.

    `tidied`: the newest day when the older ones were tidied.
    """

    ever: Day = msgspec.field(default_factory=Day)
    days: Mapping[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    tidied: str = ""


def with_additions(stored: StoredDays, additions: Mapping[str, Day]) -> StoredDays:
    """Changes neither of them, so that it can run in a thread: a day may take some milliseconds."""
    ever, days = Day(), dict(stored.days)
    for part in (stored.ever, *additions.values()):
        ever.merge(part, dimensions=EVER_DIMENSIONS)
    for name, added in additions.items():
        day = decode_day(days[name], Day) if name in days else Day()
        day.merge(added)
        day.merge_details(added)
        days[name] = encode_day(day)
    names = sorted(days)
    newest = names[-1] if names else ""
    untidy = {*additions, *sorted(stored.days)[-2:]}
    if newest != stored.tidied:
        untidy |= {name for name in names if not stored.tidied or name >= _first_with_sessions(stored.tidied)}
    for name in untidy.intersection(names[:-2]):
        days[name] = tidied(days[name], is_old=name < _first_with_sessions(newest))
    return StoredDays(ever, days, newest)


def _first_with_sessions(newest: str) -> str:
    return days_before(newest, SESSION_DAYS)


def encode_day(day: Day) -> msgspec.Raw:
    return msgspec.Raw(
        msgspec.json.encode({**brief(day.all), "by_model": shown_by(day.models, brief), "detail": day})
    )


def decode_day(text: msgspec.Raw, kind: type[Part]) -> Part:
    """Only the fields of `kind`."""
    stored: StoredDay[Part] = msgspec.json.decode(text, type=StoredDay[kind])  # type: ignore[valid-type]
    return stored.detail


def tidied(text: msgspec.Raw, is_old: bool) -> msgspec.Raw:
    """Without what only the newest days keep; an old day loses its sessions, too."""
    kept = bytes(text)
    if not (b'"upstream_hours"' in kept or (is_old and (b'"sessions"' in kept or b'"talks"' in kept))):
        return text
    day = decode_day(text, Day)
    day.upstream_hours = {}
    if is_old:
        day.sessions, day.talks = {}, {}
    return encode_day(day)
