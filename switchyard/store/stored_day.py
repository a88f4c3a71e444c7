"""A day as JSON text: its form in the roll-up, in which most days stay in memory, too."""

from typing import Generic, TypeVar

import msgspec

from switchyard.store.cell import Day
from switchyard.store.cell_view import brief, shown_by

Part = TypeVar("Part")


class StoredDay(msgspec.Struct, Generic[Part]):
    """Of the text, which has the keys of the legacy format beside `detail`, only this is read back."""

    detail: Part


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
