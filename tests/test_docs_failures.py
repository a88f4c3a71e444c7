"""The page on failures matches the code, in both languages."""

import re
from pathlib import Path

import msgspec
import pytest

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.errors.meaning import STATUS_TYPES
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.retry_hints.bounds import LONG_WINDOW_SECONDS, MAX_SECONDS
from switchyard.protocols.retry_hints.fields import ROWS
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
from switchyard.settings import LOCAL_FIRST_BYTE_SECONDS, SEARCH_SECONDS, Failover, Timeouts

DOCS = Path(__file__).resolve().parent.parent / "docs"
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
        return f"yes; after 500 or 501: {TRIES[prospect.tries]} tries" if prospect.tries in TRIES else "yes"
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
    expected = [*pauses, LONGEST_PAUSE_SECONDS, SILENT_SECONDS, 2 * SILENT_SECONDS, REMEMBERED_SECONDS]
    expected += [
        100 - 100 * CLIENT_SHARE,
        WHOLE_SECONDS,
        SEARCH_SECONDS,
        SEARCH_SECONDS - Timeouts().first_byte,
        LOCAL_FIRST_BYTE_SECONDS,
    ]
    expected += [NEVER_ANSWERED_SECONDS, UNKNOWN_HOST_SECONDS, MAX_HELD, MAX_HELD_BYTES >> 20]
    assert figures == [round(one) for one in expected]
