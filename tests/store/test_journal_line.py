import re
from datetime import UTC
from pathlib import Path

import msgspec
import pytest

from switchyard.exchange import Answered, Attempt, Exchange, Failure, FailureKind, Outcome, PriceUsed
from switchyard.protocols.neutral import ErrorType, Loss, Usage, WireError
from switchyard.store import journal_line
from switchyard.store.journal_line import (
    MAX_LINE,
    Line,
    LineAnswered,
    LineAttempt,
    LineError,
    LineLoss,
    LineUsage,
    decode_line,
    encode_line,
    line_of,
    write_line,
)

BEGAN = 1_763_683_200.25  # 2025-11-21T00:00:00.25Z


def refused(message: str) -> Failure:
    return Failure(FailureKind.STATUS, WireError(ErrorType.AUTHENTICATION, message, 401))


def exchange() -> Exchange:
    return Exchange(
        id="x1",
        at=BEGAN,
        client_protocol="messages",
        requested_model="claude-sonnet-4-5",
        client="my laptop",
        client_agent="claude-cli/2.1",
        session="s1",
        stream=True,
        skipped=(("Monday key", "not today"),),
        attempts=[
            Attempt(
                "first",
                "m1",
                "chat",
                "http://a",
                "primary",
                0.0,
                401,
                None,
                0.1,
                refused("bad key"),
                "switch",
            ),
            Attempt("second", "m2", "responses", "http://b", "backup", 0.1, 200, 0.6, 2.5),
        ],
        outcome=Outcome.OK,
        status=200,
        first_byte=0.65,
        duration=2.75,
        usage=Usage(100, 900, 50, 7, 20, 5),
        losses=(Loss("top_k", "not known there"),),
        cost=0.012345678912,
        price=PriceUsed(3, 15, 0.3, 3.75, 6, 1.5, "Anthropic 2026-07-29"),
    )


WHOLE = Line(
    v=1,
    at=BEGAN + 2.75,
    day="2025-11-21",
    offset=0,
    id="x1",
    kind="request",
    began=BEGAN,
    client="my laptop",
    agent="claude-cli/2.1",
    session="s1",
    client_protocol="messages",
    protocol="responses",
    model="claude-sonnet-4-5",
    sent="m2",
    upstream="second",
    stream=True,
    outcome="ok",
    status=200,
    first_byte=0.65,
    duration=2.75,
    usage=LineUsage(100, 900, 50, 7, 20, 5),
    cost=0.012345679,
    price=PriceUsed(3, 15, 0.3, 3.75, 6, 1.5, "Anthropic 2026-07-29"),
    attempts=[
        LineAttempt("first", "m1", "primary", 0.0, 401, None, 0.1, "status", "bad key", "switch"),
        LineAttempt("second", "m2", "backup", 0.1, 200, 0.6, 2.5),
    ],
    losses=[LineLoss("top_k", "not known there")],
)


def test_a_line_reports_the_whole_exchange() -> None:
    raw = encode_line(exchange(), BEGAN + 2.75, UTC)
    assert raw.endswith(b"}\n") and raw.count(b"\n") == 1
    assert decode_line(raw) == WHOLE


def test_every_line_names_its_schema_version_first() -> None:
    assert encode_line(exchange(), BEGAN, UTC).startswith(b'{"v":1,')


def test_an_exchange_without_any_attempt_has_a_line() -> None:
    bare = Exchange("x2", BEGAN, "chat", "m", outcome=Outcome.FAILED, status=503)
    bare.failure = WireError(ErrorType.OVERLOADED, "no upstream", 503)
    line = decode_line(encode_line(bare, BEGAN, UTC))
    assert line == Line(
        v=1,
        at=BEGAN,
        day="2025-11-21",
        id="x2",
        began=BEGAN,
        client_protocol="chat",
        model="m",
        outcome="failed",
        status=503,
        error=LineError("overloaded", 503, "no upstream"),
    )


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-abcdefgh1234",
        "sk-proj-AAAA****************************BBBB",
        "Bearer abc.def",
        "AIzaSyA1234567890abcdef",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6.eyJzdWIiOiI",
    ],
)
def test_keys_that_an_upstream_repeats_do_not_reach_the_journal(secret: str) -> None:
    reported = exchange()
    reported.attempts[0].failure = refused(f"Incorrect API key provided: {secret}.")
    reported.failure = WireError(ErrorType.AUTHENTICATION, f"key {secret} is wrong", 401)
    raw = encode_line(reported, BEGAN, UTC)
    assert secret.encode() not in raw
    assert b"[key]" in raw


@pytest.mark.parametrize("sign", ["x", "é", "\x00", '"', "\U0001f600", "\ud800"])
def test_a_line_has_a_bounded_length_whatever_the_client_sends(sign: str) -> None:
    huge = exchange()
    huge.requested_model = huge.session = huge.client = huge.client_agent = sign * 100_000
    huge.attempts = [
        Attempt(sign * 999, sign * 999, "chat", "u", sign * 999, 0.0, 401, failure=refused(sign * 9999))
    ] * 500
    huge.losses = (Loss(sign * 999, sign * 999),) * 500
    raw = encode_line(huge, BEGAN, UTC)
    line = decode_line(raw)
    assert len(raw) <= MAX_LINE
    assert line is not None and line.shortened
    assert (line.usage, line.cost, line.day) == (WHOLE.usage, WHOLE.cost, WHOLE.day)


def test_newer_fields_survive_a_re_read() -> None:
    fields = msgspec.to_builtins(WHOLE) | {"v": 2, "carbon": {"grams": 3}}
    line = decode_line(msgspec.json.encode(fields))
    assert line is not None and line.newer == {"carbon": {"grams": 3}}
    again = decode_line(write_line(line))
    assert again == line
    assert msgspec.json.decode(write_line(line))["carbon"] == {"grams": 3}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"v":1}',
        b"\x00\x00\x00",
        b"\xff\xfe",
        b'{"v":1,"at":"soon","day":"2026-11-21"}',
        b'{"v":1,"at":1,"day":"2026-11-2x"}',
        b'{"v":1,"at":1,"day":"2026-02-30"}',
        b'{"v":1,"at":1,"day":"20261121"}',
        b'{"v":1,"at":-1,"day":"2026-11-21"}',
        b'{"v":1,"at":1e300,"day":"2026-11-21"}',
        b'{"v":1,"at":1,"day":"2026-11-21","offset":1e9}',
        b'{"v":1,"at":1,"day":"2026-11-21","cost":1e300}',
        b'{"v":1,"at":1,"day":"2026-11-21","cost":-1}',
        b'{"v":1,"at":1,"day":"2026-11-21","duration":1e308}',
        b'{"v":1,"at":1,"day":"2026-11-21","usage":{"input":-5}}',
        b'{"v":1,"at":1,"day":"2026-11-21","usage":{"output":99999999999999999999999}}',
        b"[" * 9999,
    ],
)
def test_what_is_no_line_is_none(raw: bytes) -> None:
    assert decode_line(raw) is None


def test_no_part_of_a_line_is_taken_for_a_line() -> None:
    raw = encode_line(exchange(), BEGAN, UTC)
    whole = len(raw) - 1
    assert [end for end in range(len(raw)) if decode_line(raw[:end]) is not None] == [whole]


def test_a_moment_that_is_rounded_into_the_next_day_belongs_to_it() -> None:
    line = decode_line(encode_line(exchange(), 1_763_683_199.9996, UTC))
    assert line is not None
    assert (line.at, line.day, line.hour) == (1_763_683_200.0, "2025-11-21", 0)


@pytest.mark.parametrize(
    ("at", "offset", "hour"),
    [(0.0, 0, 0), (3599.9, 0, 0), (3600.0, 0, 1), (0.0, -60, 23), (0.0, 330, 5), (86_399.0, 60, 0)],
)
def test_the_hour_is_that_of_the_place_where_it_happened(at: float, offset: int, hour: int) -> None:
    assert Line(v=1, at=at, day="1970-01-01", offset=offset).hour == hour


def test_what_an_answer_states_is_bounded_and_documented() -> None:
    long = "x" * 10_000
    answered = Answered(long, long, 10, 20, 1 / 3, 9, 5, "system", 1024, (5, 2, 1, 0), 0.123456, 45.678)
    recorded = exchange()
    recorded.answered = answered
    line = line_of(recorded, BEGAN + 1)
    assert line.answered is not None
    assert (len(line.answered.model), line.answered.cache_share, line.answered.tokens_per_second) == (
        200,
        0.3333,
        45.68,
    )
    assert decode_line(write_line(line)) == line
    page = (Path(__file__).resolve().parents[2] / "docs" / "upstream-report.md").read_text()
    assert [name for name in Answered.__struct_fields__ if f"`{name}`" not in page] == []
    assert LineAnswered.__struct_fields__ == Answered.__struct_fields__


# --- its documentation ---

PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"
ROW = re.compile(r"^\| `(\w+)` \| \S.* \|$", re.MULTILINE)
TABLES = (Line, LineUsage, PriceUsed, LineAttempt)
ANSWERED = PAGE.with_name("upstream-report.md")


def test_the_page_on_statistics_lists_every_field_of_the_journal_in_its_order() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## The journal\n")[2]
    tables = [ROW.findall(part) for part in section.split("| Field | Meaning |\n|---|---|\n")[1:]]
    fields = [[name for name in kind.__struct_fields__ if name != "newer"] for kind in TABLES]
    assert tables[: len(TABLES)] == fields
    listed = {name for table in tables for name in table} | set(re.findall(r"`(\w+)`", section))
    listed |= set(re.findall(r"`(\w+)`", ANSWERED.read_text(encoding="utf-8")))
    nested = {
        name for kind in STRUCTS_OF_A_LINE for name in kind.__struct_fields__ if name not in ("newer", "v")
    }
    assert nested <= listed


STRUCTS_OF_A_LINE = [
    kind
    for kind in vars(journal_line).values()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__name__.startswith("Line")
]
