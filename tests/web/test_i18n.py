"""The two languages of the dashboard say the same things."""

import json
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "static"
KEY = re.compile(r"""\bt\(\s*(?:[\w.]+ \? )?"([^"]+)"|\bt\([^")]*\? "([^"]+)" : "([^"]+)\"""")
GAP = re.compile(r"\{(\w+)\}")


def words(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STATIC / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
    return found


def test_both_languages_have_the_same_keys_and_gaps() -> None:
    english, chinese = words("en"), words("zh")
    assert list(english) == list(chinese)
    differing = [
        key
        for key in english
        if english[key] and set(GAP.findall(english[key])) != set(GAP.findall(chinese[key]))
    ]
    assert differing == []


@pytest.mark.parametrize("path", sorted(STATIC.glob("js/**/*.js")), ids=lambda path: path.name)
def test_every_key_that_is_written_out_exists(path: Path) -> None:
    used = {key for groups in KEY.findall(path.read_text(encoding="utf-8")) for key in groups if key}
    assert used - set(words("en")) == set()


def test_no_text_reaches_the_page_as_markup() -> None:
    for path in STATIC.glob("js/**/*.js"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", source), path
        assert path.name == "api.js" or not re.search(r"\bfetch\(|EventSource|XMLHttpRequest", source), path
