"""The page on failures matches the code, in both languages."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from switchyard.demo.outages import DEFAULT_STATUS
from switchyard.demo.outages import MAX_SECONDS as OUTAGE_SECONDS
from switchyard.demo.outages import REMEMBERED_SECONDS as REMEMBERED_OUTAGE_SECONDS
from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.errors.decode import decode_embedded_error, decode_error
from switchyard.protocols.errors.meaning import STATUS_TYPES
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.retry_hints.combine import with_hints
from switchyard.protocols.retry_hints.fields import ROWS
from switchyard.protocols.retry_hints.values import LONG_WINDOW_SECONDS, MAX_SECONDS
from switchyard.relay.hold import MAX_HELD, MAX_HELD_BYTES
from switchyard.routing.health import Charge, cooldown_length
from switchyard.routing.hold import (
    CLIENT_SHARE,
    LONGEST_PAUSE_SECONDS,
    NEVER_ANSWERED_SECONDS,
    UNKNOWN_HOST_SECONDS,
    WHOLE_SECONDS,
    pause_seconds,
    prospect_of,
)
from switchyard.routing.probes import SILENT_SECONDS
from switchyard.routing.turns import REMEMBERED_SECONDS
from switchyard.routing.verdict import judge
from switchyard.settings import Failover
from switchyard.timeouts import LOCAL_FIRST_BYTE_SECONDS, SEARCH_SECONDS, Timeouts

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = (DOCS / "failures.md", DOCS / "failures.zh-CN.md")
TABLE_ROW = re.compile(r"^\| `(\w+)` \|(.*)\|([^|\n]*)\|([^|\n]*)\|([^|\n]*)\|([^|\n]*)\|$", re.MULTILINE)

Words = tuple[str, str, str, str]
"""action, cooldown, scope, held or not, as written on the English page"""


def described(type: ErrorType) -> Words:
    status = next((status for status, known in STATUS_TYPES.items() if known is type), 500)
    failure = Failure(FailureKind.STATUS, WireError(type, "no", status))
    verdict = judge(failure, Failover(), 0)
    charge = verdict.charge
    action = "return error" if verdict.action == "return" else "next upstream"
    return action, cooldown(charge), scope(charge), held(failure)


def cooldown(charge: Charge) -> str:
    if charge.weight == "none":
        return "none"
    if charge.weight == "error":
        return "after `error_threshold` failures"
    if charge.is_reset:
        return "at once, "
    return "at once, `cooldown_seconds`" if charge.full else "at once, first cooldown"


def held(failure: Failure) -> str:
    with_hint = msgspec.structs.replace(
        failure, error=msgspec.structs.replace(failure.error, retry_after=5.0)
    )
    prospect = prospect_of(failure)
    if prospect.passes:
        return (
            f"yes; after 400, 422, 500 or 501: {TRIES[prospect.tries]} tries"
            if prospect.tries in TRIES
            else "yes"
        )
    return "only if the reset is near enough" if prospect_of(with_hint).passes else "no"


TRIES = {3: "three"}


def scope(charge: Charge) -> str:
    if charge.weight == "none":
        return ""
    return "the model; the upstream" if charge.model_only else "the upstream"


def rows(page: Path) -> dict[str, list[str]]:
    return {found[0]: [part.strip() for part in found[1:]] for found in TABLE_ROW.findall(page.read_text())}


@pytest.mark.parametrize("type", ErrorType)
def test_the_table_states_what_follows_each_meaning(type: ErrorType) -> None:
    _, *reported = rows(PAGES[0])[type]
    assert all(words.startswith(begin) for words, begin in zip(reported, described(type), strict=True))


def test_both_languages_have_the_same_meanings() -> None:
    assert list(rows(PAGES[0])) == list(rows(PAGES[1]))
    assert set(rows(PAGES[0])) == set(ErrorType)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_hint_that_is_read_is_in_the_table_and_no_other(page: Path) -> None:
    text = page.read_text()
    table = text[text.index("`retry-after-ms`") : text.index("## ", text.index("`retry-after-ms`"))]
    named = [
        name.lower()
        for line in table.splitlines()
        if line.startswith("|")
        for name in re.findall("`([^`]+)`", line.split("|")[1])
    ]
    assert sorted([*named, "retry-after-ms"]) == sorted(row.name for row in ROWS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_figures_are_the_defaults(page: Path) -> None:
    text = page.read_text()
    defaults = msgspec.to_builtins(Failover())
    lengths = [round(cooldown_length(number, Charge("error"), Failover())) for number in range(1, 8)]
    assert re.search(r"[,、] ?".join(map(str, lengths)), text)
    for name in ("error_threshold", "cooldown_start_seconds", "cooldown_seconds", "max_cooldown_seconds"):
        assert f'"{name}": {defaults[name]}' in text
    assert (LONG_WINDOW_SECONDS, MAX_SECONDS) == (600, 7 * 86400)
    assert re.search("10 (minutes|分钟)", text) and re.search("7 (days|天)", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_figures_of_the_hold_are_those_of_the_code(page: Path) -> None:
    text = page.read_text()
    section = text[text.index("- Tries" if page is PAGES[0] else "- 尝试") :]
    figures = [int(found) for found in re.findall(r"\d+", section.split("\n## ")[0])]
    pauses = [pause_seconds(failures, 0.0) for failures in range(1, 5)]
    expected = [*pauses, LONGEST_PAUSE_SECONDS, SILENT_SECONDS, 2 * SILENT_SECONDS, 0, REMEMBERED_SECONDS]
    expected += [
        100 - 100 * CLIENT_SHARE,
        WHOLE_SECONDS,
        SEARCH_SECONDS,
        SEARCH_SECONDS - Timeouts().first_byte,
        LOCAL_FIRST_BYTE_SECONDS,
    ]
    expected += [NEVER_ANSWERED_SECONDS, UNKNOWN_HOST_SECONDS, MAX_HELD, MAX_HELD_BYTES >> 20]
    assert figures == [round(one) for one in expected]


def answers_of(row: list[str]) -> list[tuple[int, bytes]]:
    """The typical answers of a row: its statuses, and a body for each text; a text after a status goes with it."""
    cell = row[0]
    found: list[tuple[int, bytes]] = []
    for status, texts in re.findall(r"(\d{3}) *((?:`[^`]+`(?:[,、] ?)?)*)", cell):
        named = re.findall("`([^`]+)`", texts)
        found += [(int(status), body(text)) for text in named] or [(int(status), b"")]
        found += [(500, body(text)) for text in named if not text.isascii()]
    return found


def body(text: str) -> bytes:
    """An error with this type, code or text."""
    is_name = re.fullmatch(r"\w+", text, re.ASCII) is not None
    return json.dumps({"error": {"code" if is_name else "message": text}}, ensure_ascii=False).encode()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize("type", ErrorType)
def test_an_answer_has_the_meaning_that_the_page_gives_it(type: ErrorType, page: Path) -> None:
    answers = answers_of(rows(page)[type])
    assert answers
    without_a_reason = {404: {ErrorType.NOT_FOUND}, 402: {ErrorType.BILLING}}
    for status, content in answers:
        expected = {type} | (without_a_reason.get(status, set()) if not content else set())
        assert decode_error(status, content).type in expected, (status, content.decode())
        embedded = decode_embedded_error(json.loads(content)) if content else None
        assert embedded is None or embedded.type is type


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_sentence_of_the_page_is_recognized(page: Path) -> None:
    text = page.read_text()
    begin = text.index("try again in 7m12s") - 1
    listed = re.findall('["“「](.+?)["”」]', text[begin : text.index("\n\n", begin)].replace("\n", " "))
    assert len(listed) == 7
    noon = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
    for sentence in listed:
        long_ago = noon if "2026-08" not in sentence else datetime(2026, 8, 24, tzinfo=UTC).timestamp()
        error = decode_error(429, json.dumps({"error": {"message": sentence}}).encode())
        assert with_hints(error, {}, long_ago).retry_after, sentence


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_figures_of_the_walk_through_are_those_of_the_code(page: Path) -> None:
    text = re.sub("(?s)```.*?```", "", page.read_text())
    figures = [int(found) for found in re.findall(r"\d+", text[text.index("\n## ") :].split("\n## ")[1])]
    assert figures[:8] == [
        DEFAULT_STATUS,
        20,
        Failover().keep_alive_seconds,
        LONGEST_PAUSE_SECONDS,
        401,
        30,
        401,
        WHOLE_SECONDS,
    ]
    assert figures[8:18] == [
        20,
        20,
        529,
        DEFAULT_STATUS,
        20,
        OUTAGE_SECONDS,
        503,
        5,
        5,
        REMEMBERED_OUTAGE_SECONDS,
    ]
    offered = (ROOT / "static" / "js" / "panels" / "upstreams.js").read_text()
    minutes = [float(found) for found in re.findall(r'\["([\d.]+)", "simulate\.', offered)]
    assert figures[18:] == [60 * minutes[0], *minutes[1:]]
