"""Undo is the exact inverse of a set-up, on any user's file."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.clients import json_edit, toml_edit
from switchyard.clients.edits import Dialect, Record, Touched, apply_edits, same, undo_edits, value_at
from switchyard.clients.texts import Path, Unparsable
from tests.clients.corpus import COMMENTED_JSON, CONFIG_TOML, SETTINGS_JSON

JSON: Dialect = json_edit
TOML: Dialect = toml_edit
Wanted = dict[Path, Any]
CLAUDE: Wanted = {
    ("env", "ANTHROPIC_BASE_URL"): "http://localhost:5101/api",
    ("env", "ANTHROPIC_AUTH_TOKEN"): "123",
    ("env", "ANTHROPIC_API_KEY"): None,
    ("env", "NO_PROXY"): "localhost",
}
CODEX: Wanted = {
    ("model_provider",): "switchyard",
    ("model",): "qwen",
    ("model_providers", "switchyard", "name"): "Switchyard",
    ("model_providers", "switchyard", "base_url"): "http://localhost:5101/openai",
    ("model_providers", "switchyard", "wire_api"): "responses",
    ("model_providers", "switchyard", "http_headers"): {"x-api-key": "k"},
    ("model_providers", "switchyard", "requires_openai_auth"): None,
    ("model_providers", "switchyard", "env_key"): None,
}
FILES: list[tuple[Dialect, str, Wanted]] = [
    *((JSON, text.removeprefix("\ufeff"), CLAUDE) for text in (*SETTINGS_JSON, *COMMENTED_JSON)),
    *((TOML, text.removeprefix("\ufeff"), CODEX) for text in CONFIG_TOML),
]
WITHOUT_OURS = [file for file in FILES if not any(value_at(file[0].data(file[1]), path) for path in file[2])]
on_every_file = pytest.mark.parametrize(("dialect", "text", "wanted"), FILES)


def got(dialect: Dialect, text: str, wanted: Wanted) -> Wanted:
    return {path: value_at(dialect.data(text), path) for path in wanted}


@on_every_file
def test_a_set_up_sets_what_is_wanted(dialect: Dialect, text: str, wanted: Wanted) -> None:
    assert got(dialect, apply_edits(dialect, text, wanted).text, wanted) == wanted


@on_every_file
def test_undoing_gives_back_every_byte(dialect: Dialect, text: str, wanted: Wanted) -> None:
    edited = apply_edits(dialect, text, wanted)
    assert undo_edits(dialect, edited.text, edited.record).text == text


@on_every_file
def test_doing_it_twice_is_doing_it_once(dialect: Dialect, text: str, wanted: Wanted) -> None:
    once = apply_edits(dialect, text, wanted)
    twice = apply_edits(dialect, once.text, wanted, once.record)
    assert (twice.text, twice.record) == (once.text, once.record)


@on_every_file
def test_every_other_value_stays(dialect: Dialect, text: str, wanted: Wanted) -> None:
    before, after = dialect.data(text), dialect.data(apply_edits(dialect, text, wanted).text)
    for path in wanted:
        for data in (before, after):
            owner = value_at(data, path[:-1])
            if isinstance(owner, dict):
                owner.pop(path[-1], None)
    for data in (before, after):
        for name in ("env", "model_providers"):
            inner = data.get(name)
            if isinstance(inner, dict):
                data[name] = {key: value for key, value in inner.items() if value != {}}
                if not data[name]:
                    del data[name]
    assert same(before, after)


@pytest.mark.parametrize(("dialect", "text", "wanted"), WITHOUT_OURS)
def test_where_none_of_our_keys_was_there_nothing_is_taken_away(
    dialect: Dialect, text: str, wanted: Wanted
) -> None:
    after = iter(apply_edits(dialect, text, wanted).text)
    assert all(sign in after for sign in text if not sign.isspace())


def edited_by_the_user(dialect: Dialect, text: str) -> str:
    """The same small edit, on a text with Switchyard's keys or without."""
    return text.rstrip() + " // the user was here\n" if dialect is JSON else "# the user was here\n" + text


@on_every_file
def test_undoing_keeps_what_the_user_has_changed_since(dialect: Dialect, text: str, wanted: Wanted) -> None:
    edited = apply_edits(dialect, text, wanted)
    undone = undo_edits(dialect, edited_by_the_user(dialect, edited.text), edited.record).text
    assert "the user was here" in undone
    assert same(dialect.data(undone), dialect.data(text)) or dialect.data(text) == {"env": {}}


@pytest.mark.parametrize(("dialect", "text", "wanted"), WITHOUT_OURS)
def test_undoing_beside_an_edit_leaves_exactly_that_edit(dialect: Dialect, text: str, wanted: Wanted) -> None:
    """For files that contained none of Switchyard's keys and no empty table for them."""
    if not text.strip() or json_has_odd_blanks(dialect, text):
        return
    edited = apply_edits(dialect, text, wanted)
    undone = undo_edits(dialect, edited_by_the_user(dialect, edited.text), edited.record).text
    assert undone == edited_by_the_user(dialect, text)


def json_has_odd_blanks(dialect: Dialect, text: str) -> bool:
    """An empty object with blanks between its braces loses them when the file is edited."""
    return dialect is JSON and text.strip() in ("{\n}", "{ }", "{\n\t\n}")


def test_a_key_the_user_has_changed_since_is_the_users() -> None:
    edited = apply_edits(JSON, "{}", CLAUDE)
    changed = edited.text.replace("http://localhost:5101/api", "https://mine.example")
    undone = undo_edits(JSON, changed, edited.record)
    assert json_edit.data(undone.text) == {"env": {"ANTHROPIC_BASE_URL": "https://mine.example"}}
    assert undone.notes == ("env.ANTHROPIC_BASE_URL has been changed since and is left unchanged",)


def test_values_that_were_there_come_back_even_after_an_edit() -> None:
    text = '{\n  "env": {\n    "ANTHROPIC_API_KEY": "mine",\n    "NO_PROXY": "corp"\n  }\n}\n'
    edited = apply_edits(JSON, text, CLAUDE)
    undone = undo_edits(JSON, edited.text.replace('"env"', '"new": 1,\n  "env"'), edited.record)
    assert json_edit.data(undone.text) == {"new": 1, "env": {"NO_PROXY": "corp", "ANTHROPIC_API_KEY": "mine"}}


def test_a_second_set_up_with_other_values_remembers_the_first_state() -> None:
    first = apply_edits(JSON, '{"env": {"NO_PROXY": "corp"}}', CLAUDE)
    second = apply_edits(JSON, first.text, {**CLAUDE, ("env", "ANTHROPIC_AUTH_TOKEN"): "456"}, first.record)
    assert json_edit.data(second.text)["env"]["ANTHROPIC_AUTH_TOKEN"] == "456"
    assert undo_edits(JSON, second.text, second.record).text == '{"env": {"NO_PROXY": "corp"}}'


def test_a_second_set_up_removes_what_is_no_longer_wanted() -> None:
    more = {**CLAUDE, ("env", "KNOB"): "1"}
    first = apply_edits(JSON, "{}", more)
    second = apply_edits(JSON, first.text, CLAUDE, first.record)
    assert second.text == apply_edits(JSON, "{}", CLAUDE).text


def test_an_edit_between_two_set_ups_survives_the_undoing() -> None:
    first = apply_edits(JSON, '{\n  "a": 1\n}\n', CLAUDE)
    by_hand = first.text.replace('"a": 1', '"a": 2')
    second = apply_edits(JSON, by_hand, {**CLAUDE, ("env", "NO_PROXY"): "x"}, first.record)
    assert undo_edits(JSON, second.text, second.record).text == '{\n  "a": 2\n}\n'


def test_a_key_with_the_wanted_value_is_not_recorded() -> None:
    text = '{"env": {"ANTHROPIC_AUTH_TOKEN": "123"}}'
    record = apply_edits(JSON, text, CLAUDE).record
    assert ("env", "ANTHROPIC_AUTH_TOKEN") not in [touched.path for touched in record.keys]


def test_the_record_names_each_key_with_its_text_before_and_after() -> None:
    edited = apply_edits(JSON, '{"a": 1, "b": 2}', {("a",): 5, ("b",): None, ("c",): "x"})
    assert edited.record == Record(
        '{"a": 1, "b": 2}',
        '{"a": 5, "c": "x"}',
        (Touched(("a",), "1", "5"), Touched(("b",), "2", None), Touched(("c",), None, '"x"')),
    )


def test_a_null_that_was_there_comes_back_even_after_an_edit() -> None:
    edited = apply_edits(JSON, '{"env": {"NO_PROXY": null}}', CLAUDE)
    assert undo_edits(JSON, edited.text + "\n", edited.record).text == '{"env": {"NO_PROXY": null}}\n'


def test_a_key_that_occurs_twice_is_removed_twice() -> None:
    text = '{"env": {"ANTHROPIC_API_KEY": "1", "A": "2", "ANTHROPIC_API_KEY": "3"}}'
    edited = apply_edits(JSON, text, CLAUDE)
    assert "ANTHROPIC_API_KEY" not in edited.text
    assert undo_edits(JSON, edited.text, edited.record).text == text


def test_what_cannot_be_edited_safely_is_refused() -> None:
    with pytest.raises(Unparsable):
        apply_edits(TOML, "[[model_providers]]\nname = 1\n", CODEX)


# --- generated files ------------------------------------------------------------

words = st.sampled_from(
    ["env", "model", "a", "b c", "é", "NO_PROXY", "model_providers", "switchyard", "name"]
)
scalars = st.one_of(
    st.booleans(), st.integers(-9, 9), st.sampled_from(["", "x", "} // {", '"', "# [t]", "\n"])
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
)
documents = st.dictionaries(words, values, max_size=5)
layouts = st.sampled_from(["", " ", "\n", "\r\n\t", " // c\n ", " /* c */ "])


@st.composite
def json_texts(draw: st.DrawFn, value: Any = None) -> str:
    """A document as text with blanks and comments in any position."""

    def write(item: Any) -> str:
        def gap() -> str:
            return draw(layouts)

        if isinstance(item, dict):
            parts = [
                f"{gap()}{json_edit.render(key)}{gap()}:{gap()}{write(inner)}{gap()}"
                for key, inner in item.items()
            ]
            trailing = "," if bool(parts) and draw(st.booleans()) else ""
            return "{" + ",".join(parts) + trailing + gap() + "}"
        if isinstance(item, list):
            return "[" + ",".join(f"{gap()}{write(inner)}{gap()}" for inner in item) + "]"
        return json_edit.render(item)

    return draw(layouts) + write(draw(documents)) + draw(layouts)


@st.composite
def toml_texts(draw: st.DrawFn) -> str:
    """A document as text; tables as headers, dotted keys or inline."""
    lines: list[str] = []

    def comment() -> str:
        return draw(st.sampled_from(["", " # c", "\t", " # [x]"]))

    def write(item: dict[str, Any], path: tuple[str, ...]) -> None:
        tables = {}
        for key, inner in item.items():
            if isinstance(inner, dict) and draw(st.booleans()):
                tables[key] = inner
            else:
                lines.append(f"{toml_edit.render_key(key)} = {toml_edit.render(inner)}{comment()}")
        for key, inner in tables.items():
            header = ".".join(map(toml_edit.render_key, (*path, key)))
            lines.extend([""] * draw(st.integers(0, 2)))
            lines.append(f"[{header}]{comment()}")
            write(inner, (*path, key))

    write(draw(documents), ())
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines) + draw(st.sampled_from(["", "\n"]))


def holds(dialect: Dialect, text: str, wanted: Wanted) -> None:
    try:
        dialect.data(text)
    except Unparsable:
        return
    try:
        once = apply_edits(dialect, text, wanted)
    except Unparsable:
        return
    assert got(dialect, once.text, wanted) == wanted
    twice = apply_edits(dialect, once.text, wanted, once.record)
    assert (twice.text, twice.record) == (once.text, once.record)
    assert undo_edits(dialect, once.text, once.record).text == text
    touched = edited_by_the_user(dialect, once.text)
    undone = dialect.data(undo_edits(dialect, touched, once.record).text)
    assert same(undone, dialect.data(text)) or empty_owner(dialect.data(text), wanted)


def empty_owner(data: dict[str, Any], wanted: Wanted) -> bool:
    """A user's empty table may be removed."""
    return any(value_at(data, path[:depth]) == {} for path in wanted for depth in range(1, len(path)))


@given(json_texts())
def test_any_json_file_survives_set_up_and_undo(text: str) -> None:
    holds(JSON, text, CLAUDE)


@given(toml_texts())
def test_any_toml_file_survives_set_up_and_undo(text: str) -> None:
    holds(TOML, text, CODEX)


@given(documents)
def test_the_generated_toml_is_what_it_should_be(document: dict[str, Any]) -> None:
    for key, value in document.items():
        assert tomllib.loads(f"{toml_edit.render_key(key)} = {toml_edit.render(value)}") == {key: value}
