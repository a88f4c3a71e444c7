"""Windows of quotas and rate limits, as the headers of an answer report them."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from switchyard.protocols.retry_hints.fields import ROWS, Row, plain_name, used_share
from switchyard.protocols.retry_hints.values import bounded, http_date, number_of


class QuotaWindow(NamedTuple):
    """A window of a quota or rate limit as headers report it: the share that is used, and when it resets."""

    name: str
    used: float
    seconds: float
    """until the reset"""


MAX_WINDOWS = 16
WINDOW_HEADERS = ("anthropic-ratelimit-", "x-codex-", "x-ratelimit-", "x-rate-limit-")
SPANS = ((10080, "7d"), (1440, "1d"), (300, "5h"), (60, "1h"))
"""minutes of the windows that have a name"""


def read_windows(headers: Sequence[tuple[str, str]], wall: float) -> tuple[QuotaWindow, ...]:
    """The windows in the headers of an answer, or of an error. `wall`: epoch seconds; names are in lower case."""
    resets = [(name, row) for name, _ in headers if "reset" in name and (row := _window_row(name))]
    if not resets:
        return ()
    fields = {plain_name(name): value for name, value in headers}
    theirs = http_date(fields.get("date", "")) or wall
    found: dict[str, QuotaWindow] = {}
    for name, row in resets[:MAX_WINDOWS]:
        name = plain_name(name)
        when, used = row.read(fields[name]), used_share(name, fields)
        if when is None or used is None:
            continue
        seconds = bounded(when.seconds - theirs if when.is_moment else when.seconds)
        label = _window_name(name, fields)
        if seconds:
            found.setdefault(label, QuotaWindow(label, used, seconds))
    return tuple(found.values())


@lru_cache(256)
def _window_row(name: str) -> Row | None:
    """The row of a header that names the reset of a window."""
    plain = plain_name(name)
    if not plain.startswith(WINDOW_HEADERS):
        return None
    return next((row for row in ROWS if row.kind != "pause" and fnmatchcase(plain, row.name)), None)


def _window_name(name: str, fields: Mapping[str, str]) -> str:
    """5h of anthropic-ratelimit-unified-5h-reset; requests of x-ratelimit-reset-requests."""
    before, _, after = name.partition("reset")
    minutes = number_of(fields.get(f"{before}window-minutes", ""))
    spans = [span for length, span in SPANS if length == minutes]
    prefix = next(one for one in WINDOW_HEADERS if name.startswith(one))
    label = before.removeprefix(prefix).removeprefix("unified-").strip("-")
    return spans[0] if spans else label or ("" if after.startswith("-a") else after.strip("-")) or "requests"
