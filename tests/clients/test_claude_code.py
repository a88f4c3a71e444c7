"""Set-up of Claude Code in its own settings file, and undo."""

import stat
from pathlib import Path

import pytest

from switchyard.clients import claude_code, json_edit
from switchyard.clients.texts import Refused, Unparsable
from tests.clients.corpus import SETTINGS_JSON

ADDRESS = "http://localhost:5101"


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.json"
    path.write_bytes(text.encode())
    return path


def env_of(path: Path) -> dict[str, str]:
    env = json_edit.data(path.read_bytes().decode("utf-8-sig"))["env"]
    assert isinstance(env, dict)
    return env


def test_a_new_file_points_at_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / ".claude" / "settings.json"
    claude_code.apply(claude_code.plan(path, ADDRESS + "/"), "now")
    assert path.read_text() == (
        "{\n"
        '  "env": {\n'
        '    "ANTHROPIC_BASE_URL": "http://localhost:5101/api",\n'
        '    "ANTHROPIC_AUTH_TOKEN": "switchyard",\n'
        '    "NO_PROXY": "localhost,127.0.0.1,::1"\n'
        "  }\n"
        "}\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_undoing_a_new_file_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    claude_code.apply(claude_code.plan(path, ADDRESS), "1")
    claude_code.apply(claude_code.undo(path), "2")
    assert [file.name for file in tmp_path.iterdir()] == ["settings.json.backup-2"]


@pytest.mark.parametrize("text", SETTINGS_JSON)
def test_set_up_and_undo_leave_the_file_byte_for_byte(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    claude_code.apply(claude_code.plan(path, ADDRESS, "123", knobs={"API_TIMEOUT_MS": "1"}), "1")
    assert claude_code.plan(path, ADDRESS, "123", knobs={"API_TIMEOUT_MS": "1"}).is_empty
    env = env_of(path)
    assert env["ANTHROPIC_AUTH_TOKEN"] == "123" and "ANTHROPIC_API_KEY" not in env
    claude_code.apply(claude_code.undo(path), "2")
    assert path.read_bytes() == text.encode()
    assert (tmp_path / "settings.json.backup-1").read_bytes() == text.encode()


def test_exactly_one_credential_stays(tmp_path: Path) -> None:
    path = written(tmp_path, '{"env": {"ANTHROPIC_API_KEY": "sk-ant-mine"}}')
    claude_code.apply(claude_code.plan(path, ADDRESS), "1")
    assert {name for name in env_of(path) if name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")} == {
        "ANTHROPIC_AUTH_TOKEN"
    }


@pytest.mark.parametrize(
    ("text", "shell", "expected"),
    [
        ("{}", "", "localhost,127.0.0.1,::1"),
        ("{}", "corp.example, localhost", "corp.example,localhost,127.0.0.1,::1"),
        ('{"env": {"NO_PROXY": ".internal"}}', "corp.example", ".internal,localhost,127.0.0.1,::1"),
        ("{}", "*", "*"),
        ('{"env": {"NO_PROXY": 5}}', "", "localhost,127.0.0.1,::1"),
    ],
)
def test_loopback_is_added_to_the_users_exceptions_from_the_proxy(
    tmp_path: Path, text: str, shell: str, expected: str
) -> None:
    path = written(tmp_path, text)
    for stamp in "12":
        claude_code.apply(claude_code.plan(path, ADDRESS, environment={"NO_PROXY": shell}), stamp)
        assert env_of(path)["NO_PROXY"] == expected


@pytest.mark.parametrize(
    ("text", "shell"),
    [
        ("{}", {"no_proxy": "corp"}),
        ('{"env": {"no_proxy": "corp"}}', {}),
        ("{}", {"no_proxy": "corp", "NO_PROXY": "x"}),
    ],
)
def test_the_spelling_with_precedence_names_loopback_too(
    tmp_path: Path, text: str, shell: dict[str, str]
) -> None:
    path = written(tmp_path, text)
    for stamp in "12":
        claude_code.apply(claude_code.plan(path, ADDRESS, environment=shell), stamp)
        assert env_of(path)["no_proxy"] == "corp,localhost,127.0.0.1,::1"
        assert env_of(path)["NO_PROXY"] == f"{shell.get('NO_PROXY', 'corp')},localhost,127.0.0.1,::1"
    claude_code.apply(claude_code.undo(path), "3")
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("window", "variables"),
    [
        (0, ()),
        (32_768, ("32768", "100000", "30")),
        (65_536, ("65536", "100000", "61")),
        (262_144, ("262144", "262144")),
        (1_000_000, ()),
    ],
)
def test_a_window_smaller_than_the_client_thinks_is_written(
    tmp_path: Path, window: int, variables: tuple[str, ...]
) -> None:
    path = written(tmp_path, "{}")
    claude_code.apply(claude_code.plan(path, ADDRESS, context_window=window), "1")
    names = (
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW",
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
        "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE",
    )
    assert tuple(env_of(path)[name] for name in names if name in env_of(path)) == variables
    claude_code.apply(claude_code.undo(path), "2")
    assert path.read_text() == "{}"


def test_the_plan_shows_the_change_and_hides_secrets(tmp_path: Path) -> None:
    path = written(tmp_path, '{\n  "env": {\n    "ANTHROPIC_API_KEY": "sk-ant-mine"\n  }\n}\n')
    plan = claude_code.plan(path, ADDRESS, "local-secret")
    assert plan.diff() == (
        f"--- {path}\n+++ {path}\n@@ -1,5 +1,7 @@\n {{\n"
        '   "env": {\n'
        '-    "ANTHROPIC_API_KEY": "(not shown)"\n'
        '+    "ANTHROPIC_BASE_URL": "http://localhost:5101/api",\n'
        '+    "ANTHROPIC_AUTH_TOKEN": "(not shown)",\n'
        '+    "NO_PROXY": "localhost,127.0.0.1,::1"\n'
        "   }\n }\n"
    )
    assert b"sk-ant-mine" in path.read_bytes()


def test_a_file_that_cannot_be_read_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    path = written(tmp_path, '{\n  "env": {,}\n}')
    with pytest.raises(Unparsable, match="line 2, column 11"):
        claude_code.plan(path, ADDRESS)
    assert [file.name for file in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("content", [b'{"a": "\xff"}', b'{"env": 5}', b"[]"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(Unparsable):
        claude_code.plan(path, ADDRESS)


def test_a_symbolic_link_into_dotfiles_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    target = written(tmp_path / "dotfiles", "{}\n")
    link = tmp_path / "settings.json"
    link.symlink_to(target)
    claude_code.apply(claude_code.plan(link, ADDRESS), "1")
    assert link.is_symlink() and "ANTHROPIC_BASE_URL" in env_of(target)
    claude_code.apply(claude_code.undo(link), "2")
    assert link.is_symlink() and target.read_bytes() == b"{}\n"
    assert [file.name for file in (tmp_path / "dotfiles").iterdir()] == ["settings.json"]


def test_a_link_to_a_file_that_is_not_there_yet_stays_one(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    first, second = tmp_path / "settings.json", tmp_path / "dotfiles" / "link.json"
    first.symlink_to(second)
    second.symlink_to(tmp_path / "dotfiles" / "real.json")
    claude_code.apply(claude_code.plan(first, ADDRESS), "1")
    assert "ANTHROPIC_BASE_URL" in env_of(tmp_path / "dotfiles" / "real.json")
    claude_code.apply(claude_code.undo(first), "2")
    assert (first.is_symlink(), second.is_symlink(), first.exists()) == (True, True, False)


def test_undoing_without_a_set_up_says_so(tmp_path: Path) -> None:
    plan = claude_code.undo(written(tmp_path, "{}"))
    assert (plan.is_empty, plan.notes) == (True, ("There is no set-up to undo.",))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('{"apiKeyHelper": "x.sh"}', "apiKeyHelper is set"),
        ('{"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}', "CLAUDE_CODE_USE_BEDROCK is set"),
    ],
)
def test_conflicting_settings_are_pointed_out(tmp_path: Path, text: str, note: str) -> None:
    (found,) = claude_code.plan(written(tmp_path, text), ADDRESS).notes
    assert found.startswith(note)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1, // mine\n}', "line 1, column 10"),
        ('{"a": 1,}', "line 1, column 9"),
        ("// mine\n{}", "line 1, column 1"),
        ("{\n  /* mine */\n}", "line 2, column 3"),
    ],
)
def test_a_file_that_claude_code_ignores_is_refused_with_the_remedy(
    tmp_path: Path, text: str, place: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(Refused, match=rf"Claude Code ignores the whole file, .* \({place}\)") as caught:
        claude_code.plan(path, ADDRESS)
    assert caught.value.remedy == "Remove these, then run the set-up again."
    assert [file.name for file in tmp_path.iterdir()] == ["settings.json"]


def test_a_set_up_can_be_undone_although_comments_have_been_added_since(tmp_path: Path) -> None:
    path = written(tmp_path, '{\n  "model": "opus"\n}\n')
    claude_code.apply(claude_code.plan(path, ADDRESS), "1")
    path.write_text("// mine\n" + path.read_text())
    claude_code.apply(claude_code.undo(path), "2")
    assert path.read_text() == '// mine\n{\n  "model": "opus"\n}\n'


def test_a_second_credential_of_the_shell_is_pointed_out(tmp_path: Path) -> None:
    shell = {"ANTHROPIC_API_KEY": "sk-ant-mine"}
    (note,) = claude_code.plan(tmp_path / "settings.json", ADDRESS, environment=shell).notes
    assert note.startswith("ANTHROPIC_API_KEY is set in the environment") and "sk-ant-mine" not in note


def test_the_file_is_where_the_client_looks(tmp_path: Path) -> None:
    assert claude_code.settings_path({}, tmp_path) == tmp_path / ".claude" / "settings.json"
    assert claude_code.settings_path({"CLAUDE_CONFIG_DIR": "/x"}, tmp_path) == Path("/x/settings.json")


def test_two_variables_that_exclude_each_other_are_pointed_out(tmp_path: Path) -> None:
    knobs = {claude_code.QUIET: "1", claude_code.DISCOVERY: "1"}
    assert claude_code.plan(tmp_path / "settings.json", "http://localhost:5101", knobs=knobs).notes == (
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC also turns off model discovery: use only one of the two.",
    )


def test_the_choices_of_a_set_up_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    knobs = {"API_TIMEOUT_MS": "3000000", claude_code.MODEL: "qwen3"}
    claude_code.apply(claude_code.plan(path, "http://localhost:5101", knobs=knobs, context_window=1000), "1")
    assert claude_code.chosen(path) == knobs
    assert claude_code.chosen(tmp_path / "none.json") == {}


# --- the time-out -----------------------------------------------------------------

TIMEOUT = claude_code.TIMEOUT


@pytest.mark.parametrize(
    ("text", "shell", "wait", "found"),
    [
        ("{}", {}, 0, None),
        ("{}", {}, 1080, "1140000"),
        ("{}", {}, 600.2, "661000"),
        ('{"env": {"API_TIMEOUT_MS": "60000"}}', {}, 0, "60000"),
        ('{"env": {"API_TIMEOUT_MS": "60000"}}', {}, 1080, "1140000"),
        ('{"env": {"API_TIMEOUT_MS": "3000000"}}', {}, 1080, "3000000"),
        ('{"env": {"API_TIMEOUT_MS": "long"}}', {}, 1080, "1140000"),
        ("{}", {"API_TIMEOUT_MS": "3000000"}, 1080, None),
        ("{}", {"API_TIMEOUT_MS": "60000"}, 1080, "1140000"),
    ],
)
def test_the_time_out_is_set_where_the_daemon_may_take_longer_and_undone_to_what_it_was(
    tmp_path: Path, text: str, shell: dict[str, str], wait: float, found: str | None
) -> None:
    path = written(tmp_path, text)
    for stamp in "12":
        plan = claude_code.plan(path, ADDRESS, environment=shell, wait_seconds=wait)
        claude_code.apply(plan, stamp)
        assert env_of(path).get(TIMEOUT) == found
    assert plan.is_empty
    claude_code.apply(claude_code.undo(path), "3")
    assert path.read_text() == text


def test_the_timeout_is_removed_with_the_slow_upstream(tmp_path: Path) -> None:
    path = written(tmp_path, "{}")
    claude_code.apply(claude_code.plan(path, ADDRESS, wait_seconds=1080), "1")
    assert claude_code.chosen(path) == {}
    claude_code.apply(claude_code.plan(path, ADDRESS, knobs=claude_code.chosen(path)), "2")
    assert TIMEOUT not in env_of(path)


def test_a_chosen_timeout_stays_whatever_the_upstreams_need(tmp_path: Path) -> None:
    path = written(tmp_path, "{}")
    knobs = {TIMEOUT: claude_code.KNOBS[TIMEOUT][0]}
    for stamp, wait in enumerate((1080, 0)):
        claude_code.apply(claude_code.plan(path, ADDRESS, knobs=knobs, wait_seconds=wait), str(stamp))
        assert (env_of(path)[TIMEOUT], claude_code.chosen(path)) == ("3000000", knobs)
