"""Compute the local day, hour and UTC offset of a time."""

import time
from datetime import date, datetime, tzinfo
from functools import lru_cache
from math import floor

import msgspec


class LocalMoment(msgspec.Struct, frozen=True):
    """`offset` is minutes east of UTC at that time, so that a later change of the time zone shifts nothing."""

    day: str
    hour: int
    offset: int

    @property
    def month(self) -> str:
        return self.day[:7]


def local_moment(at: float, zone: tzinfo | None = None) -> LocalMoment:
    """The local time of an instant, in the machine's time zone unless one is given."""
    return _at_second(floor(at), zone)


@lru_cache(maxsize=256)
def _at_second(at: int, zone: tzinfo | None) -> LocalMoment:
    if zone is None:
        local = time.localtime(at)
        day = f"{local.tm_year:04}-{local.tm_mon:02}-{local.tm_mday:02}"
        return LocalMoment(day, local.tm_hour, local.tm_gmtoff // 60)
    moment = datetime.fromtimestamp(at, zone)
    offset = moment.utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset is not None else 0
    return LocalMoment(moment.date().isoformat(), moment.hour, minutes)


@lru_cache(maxsize=4096)
def is_day(text: str) -> bool:
    """True for the format in which days are written: 2026-11-21."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def days_before(day: str, count: int) -> str:
    return date.fromordinal(max(1, date.fromisoformat(day).toordinal() - count)).isoformat()


def notice_zone_change() -> None:
    """Make the C library read the machine's time zone again: laptops travel."""
    if hasattr(time, "tzset"):
        time.tzset()
    _at_second.cache_clear()
