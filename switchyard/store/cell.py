"""Add up exchanges: a `Cell` of sums, and a `Day` of cells by hour, model, upstream, client and session.

All sums are whole numbers, so that they do not depend on the order in which lines are added.
"""

from bisect import bisect
from collections.abc import Iterable
from operator import attrgetter

import msgspec

from switchyard.store.counts import counts_of, is_request
from switchyard.store.journal_line import Line

NANOS = 1_000_000_000
MAX_KEYS = 200
"""limit on the names of one kind in one day, as clients choose model and session names"""
MAX_KEYS_OF_SPAN = 5000
"""the limit for several days together, so that the newest names are not all counted as others"""
MAX_UPSTREAM_HOURS = 4000
MAX_UPSTREAMS_OF_TALK = 20
OTHER = "(other)"
NONE = "(none)"
BUCKETS_PER_OCTAVE = 4
BUCKET_ENDS = [2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE) / 1000 for bucket in range(160)]
"""the seconds at which each class ends, the last after thirty years"""


class Cell(msgspec.Struct, omit_defaults=True):
    """Sums over exchanges. The first fields are those of `COUNTS`, which defines them.

    Tokens and cost include tests, activations and replays; times and failed attempts are those of requests.
    `first_byte` counts by logarithmic class of milliseconds; `first_token` does so from the start of the last attempt
    on, without what other upstreams and the hold took. `cost` is in billionths.
    """

    requests: int = 0
    errors: int = 0
    cancelled: int = 0
    truncated: int = 0
    held: int = 0
    estimated: int = 0
    priced: int = 0
    unpriced: int = 0
    local: int = 0
    tests: int = 0
    failed_tests: int = 0
    activations: int = 0
    failed_activations: int = 0
    replays: int = 0
    failed_replays: int = 0
    failed_attempts: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    first_byte_ms: int = 0
    first_byte: dict[int, int] = {}
    first_token: dict[int, int] = {}
    duration_ms: int = 0
    timed: int = 0
    held_ms: int = 0
    stream_ms: int = 0
    stream_tokens: int = 0
    cost: int = 0

    @property
    def cache_write(self) -> int:
        return self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.output

    @property
    def dollars(self) -> float | None:
        """The cost; None if nothing has a price."""
        return self.cost / NANOS if self.priced or self.cost else None

    def add(self, line: Line) -> None:
        for name in counts_of(line):
            setattr(self, name, getattr(self, name) + 1)
        if (usage := line.usage) is not None:
            self.input += usage.input
            self.cache_read += usage.cache_read
            self.cache_write_5m += usage.cache_write_5m
            self.cache_write_1h += usage.cache_write_1h
            self.output += usage.output
            self.reasoning += usage.reasoning
        if line.cost is not None:
            self.cost += round(line.cost * NANOS)
        if is_request(line):
            self._add_times(line, line.duration, line.first_byte)

    def _add_times(self, line: Line, duration: float | None, first_byte: float | None) -> None:
        if duration is not None:
            self.duration_ms += round(duration * 1000)
            self.timed += 1
        if line.held:
            self.held_ms += round(line.held * 1000)
        if first_byte is None:
            return
        bucket = bucket_of(first_byte)
        self.first_byte[bucket] = self.first_byte.get(bucket, 0) + 1
        if line.attempts:
            bucket = bucket_of(first_byte - line.attempts[-1].started)
            self.first_token[bucket] = self.first_token.get(bucket, 0) + 1
        self.first_byte_ms += round(first_byte * 1000)
        if line.stream and line.usage is not None and line.usage.output and duration is not None:
            writing = round((duration - first_byte) * 1000)
            if writing > 0:
                self.stream_ms += writing
                self.stream_tokens += line.usage.output

    def merge(self, other: "Cell") -> None:
        for name, amount in zip(SUMS, _sums_of(other), strict=True):
            if amount:
                setattr(self, name, getattr(self, name) + amount)
        for name in CLASSED:
            mine = getattr(self, name)
            for bucket, count in getattr(other, name).items():
                mine[bucket] = mine.get(bucket, 0) + count


CLASSED = ("first_byte", "first_token")
SUMS = tuple(name for name in Cell.__struct_fields__ if name not in CLASSED)
_sums_of = attrgetter(*SUMS)
"""all at once: a year has tens of thousands of cells"""


Cells = dict[str, Cell]


class Talk(msgspec.Struct, omit_defaults=True):
    """What a day knows of a conversation beside its sums: its requests by upstream, and its latest texts."""

    began: float = 0.0
    ended: float = 0.0
    project: str = ""
    agent: str = ""
    model: str = ""
    upstreams: dict[str, int] = {}

    def add(self, line: Line) -> None:
        began = line.at if line.began is None else line.began
        if not self.began or began < self.began:
            self.began = began
        if line.at > self.ended:
            self.ended = line.at
        self.project = line.project or self.project
        self.agent = line.agent or self.agent
        self.model = line.model or self.model
        self._count(line.upstream or NONE, 1)

    def merge(self, later: "Talk") -> None:
        self.began = min(self.began, later.began) if self.began else later.began
        self.ended = max(self.ended, later.ended)
        self.project = later.project or self.project
        self.agent = later.agent or self.agent
        self.model = later.model or self.model
        for name, count in later.upstreams.items():
            self._count(name, count)

    def _count(self, upstream: str, requests: int) -> None:
        known = self.upstreams.get(upstream)
        if known is not None:
            self.upstreams[upstream] = known + requests
        elif len(self.upstreams) < MAX_UPSTREAMS_OF_TALK:
            self.upstreams[upstream] = requests


class Day(msgspec.Struct, omit_defaults=True):
    """The sums of one local day; `models` are the requested models, `sent` the upstream models.

    `upstream_hours` are cells by upstream and hour, as "09 name". The newest two days have them.
    """

    all: Cell = msgspec.field(default_factory=Cell)
    hours: Cells = {}
    models: Cells = {}
    sent: Cells = {}
    upstreams: Cells = {}
    clients: Cells = {}
    sessions: Cells = {}
    projects: Cells = {}
    upstream_hours: Cells = {}
    talks: dict[str, Talk] = {}

    def add(self, place: "Place", cell: Cell) -> None:
        """Add what one place has counted to all sums that it belongs to."""
        _day, hour, model, sent, upstream, client, session, project = place
        self.all.merge(cell)
        for cells, key in (
            (self.hours, f"{hour:02}"),
            (self.models, model or NONE),
            (self.sent, sent or NONE),
            (self.upstreams, upstream or NONE),
            (self.clients, client),
            (self.sessions, session),
            (self.projects, project),
        ):
            if key:
                cell_of(cells, key).merge(cell)
        cell_of(self.upstream_hours, hour_key(hour, upstream), MAX_UPSTREAM_HOURS).merge(cell)

    def add_failed_attempts(self, upstream: str, hour: int) -> None:
        self.all.failed_attempts += 1
        cell_of(self.upstreams, upstream).failed_attempts += 1
        hours = cell_of(self.upstream_hours, hour_key(hour, upstream), MAX_UPSTREAM_HOURS)
        hours.failed_attempts += 1

    def add_to_talk(self, line: Line) -> None:
        talk = self.talks.get(line.session)
        if talk is None:
            if len(self.talks) >= MAX_KEYS:
                return
            talk = self.talks[line.session] = Talk()
        talk.add(line)

    def merge(
        self, other: "Day | DaySums", max_keys: int = MAX_KEYS, dimensions: Iterable[str] | None = None
    ) -> None:
        self.all.merge(other.all)
        for name in DIMENSIONS if dimensions is None else dimensions:
            mine = getattr(self, name)
            for key, cell in getattr(other, name).items():
                cell_of(mine, key, max_keys).merge(cell)

    def merge_details(self, other: "Day") -> None:
        """What `merge` leaves out, as few need it."""
        for key, cell in other.upstream_hours.items():
            cell_of(self.upstream_hours, key, MAX_UPSTREAM_HOURS).merge(cell)
        for session, talk in other.talks.items():
            if session in self.talks or len(self.talks) < MAX_KEYS:
                self.talks.setdefault(session, Talk()).merge(talk)


class DaySums(msgspec.Struct):
    """What each answer about a span of days shows of a day."""

    all: Cell = msgspec.field(default_factory=Cell)
    models: Cells = {}
    sent: Cells = {}
    upstreams: Cells = {}
    clients: Cells = {}


SHOWN_DIMENSIONS = ("models", "sent", "upstreams", "clients")
DETAILS = ("upstream_hours", "talks")
DIMENSIONS = tuple(name for name in Day.__struct_fields__ if name not in ("all", *DETAILS))


def hour_key(hour: int, upstream: str) -> str:
    return f"{hour:02} {upstream or NONE}"


Place = tuple[str, int, str, str, str, str, str, str]
"""Day, hour, model, sent, upstream, client, session and project: lines with the same are added up in one cell."""


def place_of(line: Line) -> Place:
    return (
        line.day,
        line.hour,
        line.model,
        line.sent,
        line.upstream,
        line.client,
        line.session,
        line.project,
    )


def cell_of(cells: Cells, key: str, max_keys: int = MAX_KEYS) -> Cell:
    cell = cells.get(key)
    if cell is None:
        if len(cells) >= max_keys:
            key = OTHER
        cell = cells.setdefault(key, Cell())
    return cell


def most_first(cells: Cells) -> list[tuple[str, Cell]]:
    """By their tokens, equal ones by name."""
    return sorted(cells.items(), key=lambda entry: (-entry[1].total, entry[0]))


def bucket_of(seconds: float) -> int:
    """The class of a duration: four for each doubling, so that a percentile is off by 9 % at most."""
    return bisect(BUCKET_ENDS, seconds)


def percentile(buckets: dict[int, int], share: float) -> int | None:
    """The milliseconds below which this share of the counted durations lies; None if none was counted."""
    wanted = share * sum(buckets.values())
    passed = 0
    for bucket in sorted(buckets):
        passed += buckets[bucket]
        if passed >= wanted:
            return round(2 ** (bucket / BUCKETS_PER_OCTAVE))
    return None
