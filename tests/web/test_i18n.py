"""The dashboard has the same texts in both languages."""

import ast
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from switchyard.faults import SettingsError, described
from switchyard.settings import Settings
from switchyard.store.settings_file import read_settings

SOURCE = Path(__file__).resolve().parents[2] / "switchyard"
STATIC = Path(__file__).resolve().parents[2] / "static"
KEY = re.compile(r"""\bt\(\s*(?:[\w.]+ \? )?"([^"]+)"|\bt\([^")]*\? "([^"]+)"\s+: "([^"]+)\"""")
GAP = re.compile(r"\{(\w+)\}")
FILLED = re.compile(r"""\bt\("([^"]+)", \{([^{}]*)\}\)""")
FILLING = re.compile(r"^\s*(\w+)(?=:|,|\s*$)")


def words(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STATIC / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
    return found


def test_both_languages_have_the_same_keys_and_gaps() -> None:
    english, chinese = words("en"), words("zh")
    # Chinese has no singular form
    assert [key for key in english if not key.endswith(".one")] == list(chinese)
    differing = [
        key
        for key in chinese
        if english[key] and set(GAP.findall(english[key])) != set(GAP.findall(chinese[key]))
    ]
    assert differing == []


@pytest.mark.parametrize("path", sorted(STATIC.glob("i18n/*.json")), ids=lambda path: path.name)
def test_no_key_stands_twice(path: Path) -> None:
    pairs: list[str] = []

    def note(members: list[tuple[str, Any]]) -> None:
        pairs.extend(name for name, _ in members)

    json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=note)
    assert [name for name, count in Counter(pairs).items() if count > 1] == []


@pytest.mark.parametrize("path", sorted(STATIC.glob("js/**/*.js")), ids=lambda path: path.name)
def test_every_text_shows_what_it_is_filled_with(path: Path) -> None:
    english = words("en")
    calls = FILLED.findall(path.read_text(encoding="utf-8"))
    # a number also chooses between the forms of a text; an empty text leaves the word to the answer of the API
    unused = [key for key, given in calls if english[key] and not _is_shown(given, english[key])]
    assert unused == []


def _is_shown(given: str, text: str) -> bool:
    first = FILLING.match(given)
    return first is None or first[1] in ("count", *GAP.findall(text))


@pytest.mark.parametrize("path", sorted(STATIC.glob("js/**/*.js")), ids=lambda path: path.name)
def test_every_key_that_is_written_out_exists(path: Path) -> None:
    used = {key for groups in KEY.findall(path.read_text(encoding="utf-8")) for key in groups if key}
    assert used - set(words("en")) == set()


def expectations() -> set[str]:
    """The expectations in errors of the settings: from the types, and from the further rules."""
    found: set[str] = set()
    seen: set[Any] = set()
    waiting: list[Any] = [Settings]
    while waiting:
        hint = waiting.pop()
        found.add(described(hint))
        waiting += [part for part in get_args(hint) if get_args(part) or isinstance(part, type)]
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and hint not in seen:
            seen.add(hint)
            waiting += get_type_hints(hint, include_extras=True).values()
    for module in ("settings_validation.py", "settings_text.py", "store/settings_file.py", "web/lending.py"):
        for node in ast.walk(ast.parse((SOURCE / module).read_text(encoding="utf-8"))):
            match node:
                case ast.Yield(ast.Tuple([_, ast.Constant(str(expected)), _])):
                    found.add(expected)
                case ast.Call(ast.Name("Fault"), [_, ast.Constant(str(expected)), *_]):
                    found.add(expected)
    return found


def is_translated(expected: str, words: dict[str, str]) -> bool:
    """As the dashboard looks it up: as a sentence, with # for each number, or in parts."""
    key = re.sub(r"\d+(\.\d+)?", "#", expected)
    if words.get(f"error-sentence.{expected}") or words.get(f"expected.{key}"):
        return True
    parts = expected.split(" or ")
    return expected.startswith("one of ") or (
        len(parts) > 1 and all(is_translated(part, words) for part in parts)
    )


def test_what_an_error_of_the_settings_expects_is_translated() -> None:
    chinese = words("zh")
    assert [expected for expected in expectations() if not is_translated(expected, chinese)] == []


def test_each_sentence_in_place_of_an_expectation_belongs_to_one() -> None:
    sentences = {
        key.removeprefix("error-sentence.") for key in words("en") if key.startswith("error-sentence.")
    }
    assert sentences - expectations() == set()


@pytest.mark.parametrize(
    "content",
    [b"{} // a", b"{} /* a */", b"{} # a", b'{"a": 1,}', "{}".encode("utf-16"), b'{"a": 1, "a": 2}'],
)
def test_what_strict_json_forbids_is_translated(content: bytes) -> None:
    chinese = words("zh")
    with pytest.raises(SettingsError) as caught:
        read_settings(content)
    [fault] = caught.value.faults
    assert is_translated(fault.expected, chinese) and chinese[f"found.{fault.found}"]


def test_no_text_reaches_the_page_as_markup() -> None:
    for path in STATIC.glob("js/**/*.js"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", source), path
        assert path.name == "api.js" or not re.search(r"\bfetch\(|EventSource|XMLHttpRequest", source), path


NEVER_ONE = {
    "request.pace",
    "numbers.speed",
    "report.tokens-text",
    "report.pace-text",
    "report.first-token-text",
}
"""a formatted number, or measured on many requests"""


def test_english_texts_agree_with_the_number_one() -> None:
    english = words("en")
    plural = re.compile(r"\{count\} (?:\w+ )?[a-z]{2,}[^s\W]s\b")
    wanted = {key for key, text in english.items() if plural.search(text)} - NEVER_ONE
    assert {key for key in wanted if f"{key}.one" not in english} == set()
