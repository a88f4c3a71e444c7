"""Define what is counted: the one list that the totals, the API, the command line, `/metrics` and the docs use.

The dashboard has the same definitions in its texts (`count.NAME`), and docs/statistics.md in its table.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import msgspec

from switchyard.store.journal_line import Line

PriceState = Literal["", "priced", "unpriced", "local"]
SIDE_KINDS = ("test", "activation", "replay")
"""what Switchyard sends for its user; everything else is a request of a client"""


class Counted(msgspec.Struct, frozen=True, gc=False):
    """What decides in which counts a line is."""

    kind: str
    outcome: str
    held: bool
    estimated: bool
    price: PriceState


class Count(msgspec.Struct, frozen=True):
    """`name` is the field in the totals and the API, and with `_total` the metric; `meaning` is its definition."""

    name: str
    meaning: str
    includes: Callable[[Counted], bool]


def _of_requests(includes: Callable[[Counted], bool]) -> Callable[[Counted], bool]:
    return lambda line: line.kind not in SIDE_KINDS and includes(line)


def _of_kind(kind: str, outcomes: tuple[str, ...] = ()) -> Callable[[Counted], bool]:
    return lambda line: line.kind == kind and (not outcomes or line.outcome in outcomes)


FAILED = ("failed", "truncated")

COUNTS: tuple[Count, ...] = (
    Count(
        "requests",
        "Requests of clients. Connection tests, activations and replays are counted apart.",
        _of_requests(lambda line: True),
    ),
    Count(
        "errors",
        "Requests that got an error instead of an answer.",
        _of_requests(lambda line: line.outcome == "failed"),
    ),
    Count(
        "cancelled",
        "Requests whose client left before the end of the answer.",
        _of_requests(lambda line: line.outcome == "cancelled"),
    ),
    Count(
        "truncated",
        "Requests whose answer broke off after the client had received content.",
        _of_requests(lambda line: line.outcome == "truncated"),
    ),
    Count(
        "held",
        "Requests that were held because all upstreams were failing.",
        _of_requests(lambda line: line.held),
    ),
    Count(
        "estimated",
        "Requests whose upstream did not report all tokens, so that some are estimated.",
        _of_requests(lambda line: line.estimated),
    ),
    Count(
        "priced",
        "Requests whose price is known.",
        _of_requests(lambda line: line.price == "priced"),
    ),
    Count(
        "unpriced",
        "Requests with tokens whose price is not known. The cost does not include them.",
        _of_requests(lambda line: line.price == "unpriced"),
    ),
    Count(
        "local",
        "Requests that a local server or the demo model answered, which have no price.",
        _of_requests(lambda line: line.price == "local"),
    ),
    Count("tests", "Requests of connection tests.", _of_kind("test")),
    Count("failed_tests", "Requests of connection tests that failed.", _of_kind("test", FAILED)),
    Count("activations", "Activations.", _of_kind("activation")),
    Count("failed_activations", "Activations that failed.", _of_kind("activation", FAILED)),
    Count("replays", "Requests that you replayed in the dashboard.", _of_kind("replay")),
    Count("failed_replays", "Replayed requests that failed.", _of_kind("replay", FAILED)),
)


def counts_of(line: Line) -> tuple[str, ...]:
    """The names of the counts that this line is in."""
    usage = line.usage
    estimated = usage is not None and usage.estimated
    return _names(Counted(line.kind, line.outcome, bool(line.held), estimated, _price_state(line)))


def is_request(line: Line) -> bool:
    """False for what Switchyard itself sends."""
    return line.kind not in SIDE_KINDS


def _price_state(line: Line) -> PriceState:
    if line.cost is not None:
        return "priced"
    if line.usage is None or not line.usage.total:
        return ""
    return "local" if line.local else "unpriced"


@lru_cache(maxsize=512)
def _names(counted: Counted) -> tuple[str, ...]:
    return tuple(count.name for count in COUNTS if count.includes(counted))
