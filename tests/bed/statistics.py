"""Lines of the journal that statistics are computed from."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from switchyard.store.journal_line import Line, LineAttempt, LineUsage

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


def a_line(at: float = NOON, **fields: Any) -> Line:
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    usual: dict[str, Any] = {
        "v": 1,
        "at": at,
        "day": day,
        "client": "laptop",
        "session": "s1",
        "model": "opus",
        "sent": "qwen",
        "upstream": "a",
        "outcome": "ok",
        "usage": LineUsage(100, 900, 50, 7, 20, 5),
    }
    return Line(**(usual | fields))


NAMES = st.sampled_from(["", "a", "b", "c"])
TOKENS = st.integers(0, 10**9)
USAGES = st.none() | st.builds(LineUsage, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, st.booleans())
MONEY = st.none() | st.floats(0, 1000).map(lambda cost: round(cost, 9))
SECONDS = st.none() | st.floats(0, 4000).map(lambda seconds: round(seconds, 4))
ATTEMPTS = st.lists(
    st.builds(LineAttempt, st.sampled_from("ab"), failed=st.sampled_from(["", "status"])), max_size=3
)


@st.composite
def some_line(draw: st.DrawFn) -> Line:
    at = NOON - draw(st.integers(0, 45 * 24)) * 3600.0
    return a_line(
        at,
        kind=draw(st.sampled_from(["request", "request", "activation", "test"])),
        outcome=draw(st.sampled_from(["ok", "failed", "cancelled", "truncated"])),
        stream=draw(st.booleans()),
        usage=draw(USAGES),
        cost=draw(MONEY),
        first_byte=draw(SECONDS),
        duration=draw(SECONDS),
        attempts=draw(ATTEMPTS),
        **{name: draw(NAMES) for name in ("model", "sent", "upstream", "client", "session")},
    )


SOME_LINES = st.lists(some_line(), max_size=12)
