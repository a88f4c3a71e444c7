"""The page on cooldowns says what the code does, in both languages."""

import re
from pathlib import Path

import msgspec
import pytest

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.meaning import STATUS_TYPES
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.retry_hints import LONG_WINDOW_SECONDS, MAX_SECONDS, ROWS
from switchyard.routing.health import Charge, rest_seconds
from switchyard.routing.verdict import judge
from switchyard.settings import Failover

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = (DOCS / "cooldowns.md", DOCS / "cooldowns.zh-CN.md")
TABLE_ROW = re.compile(r"^\| `(\w+)` \|(.*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)

Words = tuple[str, str, str]
"""action, cooldown, scope, as the English page writes them"""


def described(type: ErrorType) -> Words:
    status = next((status for status, known in STATUS_TYPES.items() if known is type), 500)
    verdict = judge(Failure(FailureKind.STATUS, WireError(type, "no", status)), Failover(), 0)
    charge = verdict.charge
    action = "the client" if verdict.action == "return" else "next upstream"
    return action, cooldown(charge), scope(charge)


def cooldown(charge: Charge) -> str:
    if charge.weight == "none":
        return "none"
    if charge.weight == "error":
        return "after `error_threshold` failures"
    if charge.is_reset:
        return "at once, "
    return "at once, `cooldown_seconds`" if charge.full else "at once, first cooldown"


def scope(charge: Charge) -> str:
    if charge.weight == "none":
        return ""
    return "the model; the upstream" if charge.model_only else "the upstream"


def rows(page: Path) -> dict[str, list[str]]:
    return {found[0]: [part.strip() for part in found[1:]] for found in TABLE_ROW.findall(page.read_text())}


@pytest.mark.parametrize("type", ErrorType)
def test_the_table_says_what_follows_each_meaning(type: ErrorType) -> None:
    _, *told = rows(PAGES[0])[type]
    assert all(words.startswith(begin) for words, begin in zip(told, described(type), strict=True))


def test_both_languages_have_the_same_meanings() -> None:
    assert list(rows(PAGES[0])) == list(rows(PAGES[1]))
    assert set(rows(PAGES[0])) == set(ErrorType)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_hint_that_is_read_stands_in_the_table_and_no_other(page: Path) -> None:
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
    lengths = [round(rest_seconds(number, Charge("error"), Failover())) for number in range(1, 8)]
    assert re.search(r"[,、] ?".join(map(str, lengths)), text)
    for name in ("error_threshold", "cooldown_start_seconds", "cooldown_seconds", "max_cooldown_seconds"):
        assert f'"{name}": {defaults[name]}' in text
    assert (LONG_WINDOW_SECONDS, MAX_SECONDS) == (600, 7 * 86400)
    assert re.search("10 (minutes|分钟)", text) and re.search("7 (days|天)", text)
