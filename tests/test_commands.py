"""The sub-commands as a user calls them: their output, their files, their exit codes."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from switchyard.cli import main
from switchyard.installation import own_command
from switchyard.protocols.facts import PROGRAM_OF_CLIENT
from switchyard.store.lock import DataFolderLock
from tests.bed.daemon import Daemon, settings, upstream

ACCOUNTS: list[dict[str, Any]] = [
    {
        "name": "azure",
        "azureEndpoint": "https://a.openai.azure.com",
        "deploymentName": "gpt4",
        "apiKey": "sk-secret-1",
        "supportedModels": ["gpt-4"],
        "odd": 1,
    },
    {
        "name": "azure",
        "apiUrl": "https://b.example.com",
        "apiKey": "sk-secret-2",
        "supportedModels": {"claude-*": "qwen3"},
    },
]


class Shell:
    """Runs `app.py ARGUMENTS` in this process, with a temporary home and data folder."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self.data, self.home = folder, folder / "data", folder / "home"
        self._capture = capture

    def __call__(self, line: str) -> tuple[int, str, str]:
        code = main(["--data", str(self.data), *shlex.split(line)])
        said = self._capture.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out, said.err

    def file(self, name: str, content: object) -> Path:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in (
        "CODEX_HOME",
        "CLAUDE_CONFIG_DIR",
        "XDG_CONFIG_HOME",
        "NO_PROXY",
        "no_proxy",
        "ANTHROPIC_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    return Shell(tmp_path, capsys)


# --- flags ----------------------------------------------------------------------


def test_flags_of_the_daemon_may_follow_the_command(shell: Shell) -> None:
    other = shell.folder / "other"
    other.mkdir()
    (other / "all_configs.json").write_text('{"upstreams": []}')
    assert shell(f"check --data {other}")[1].startswith(str(other))
    assert "http://localhost:6000/api" in shell("setup claude --dry-run --port 6000")[1]
    assert "http://localhost:7000/api" in shell("--port 7000 setup claude --dry-run")[1]


# --- limits for the first byte ----------------------------------------------------

OLLAMA = {"name": "ollama", "base_url": "http://localhost:11434/v1", "protocol": "chat"}
RESELLER = {"name": "reseller", "base_url": "https://h.example", "protocol": "chat"}
BUDGET = "note: that is the whole time budget: failover.total_seconds is 60; unset, it fits the upstreams"


TWO_VENDORS: list[dict[str, object]] = [
    {"name": "claude", "base_url": "https://api.anthropic.com", "protocol": "messages"},
    {"name": "relay", "base_url": "https://relay.example", "protocol": "responses"},
]
ORDER_NOTES = [
    'note: upstream "claude" does not state what it is for: api.anthropic.com serves claude models, those of other '
    "vendors are requested there last; to change this, set `models` or `clients`",
    'note: upstream "relay" does not state what it is for: clients that do not speak responses are sent there after '
    "the upstreams that speak theirs; to change this, set `models` or `clients`",
]


@pytest.mark.parametrize(
    ("entries", "notes"),
    [
        (TWO_VENDORS, ORDER_NOTES),
        (TWO_VENDORS[:1], []),
        ([{**TWO_VENDORS[0], "models": ["claude-*"]}, {**TWO_VENDORS[1], "clients": ["responses"]}], []),
        ([TWO_VENDORS[1], {**TWO_VENDORS[1], "name": "second"}], []),
    ],
)
def test_check_names_the_entries_that_do_not_state_what_they_are_for(
    shell: Shell, entries: list[dict[str, object]], notes: list[str]
) -> None:
    shell.data.mkdir()
    (shell.data / "all_configs.json").write_text(json.dumps({"upstreams": entries}))
    assert shell("check")[1].splitlines()[:-1] == notes


def test_explain_names_who_comes_last_and_why(shell: Shell) -> None:
    shell.data.mkdir()
    (shell.data / "all_configs.json").write_text(json.dumps({"upstreams": TWO_VENDORS}))
    assert shell("explain --client responses --model gpt-5.5")[1].splitlines() == [
        "1. relay -> gpt-5.5 (primary)",
        "2. claude -> gpt-5.5 (primary, unlikely: api.anthropic.com serves claude models and probably not gpt-5.5; "
        "if it does, set `models` or `clients`)",
    ]


@pytest.mark.parametrize(("name", "protocol"), [("claude", "messages"), ("codex", "responses")])
def test_explain_takes_the_names_of_the_programs(shell: Shell, name: str, protocol: str) -> None:
    shell.data.mkdir()
    rule = {"when": {"client": ["claude-code", "codex"]}, "upstreams": ["claude"]}
    document = {"upstreams": TWO_VENDORS, "routes": [rule]}
    (shell.data / "all_configs.json").write_text(json.dumps(document))
    by_name = shell(f"explain --client {name}")
    assert (by_name[0], "1. claude" in by_name[1]) == (0, True)
    assert by_name[1] == shell(f"explain --client {protocol} --program {PROGRAM_OF_CLIENT[name]}")[1]


@pytest.mark.parametrize(
    ("use", "first"),
    [
        ({"upstream": "claude"}, "1. claude -> m (used now, until you undo it)"),
        ({"upstream": "claude", "until": 1.0}, "1. relay -> m (primary)"),
        ({"upstream": "gone"}, "1. relay -> m (primary)"),
        ("damaged", "1. relay -> m (primary)"),
    ],
)
def test_explain_knows_what_is_used_now_without_a_running_daemon(
    shell: Shell, use: object, first: str
) -> None:
    shell.data.mkdir()
    (shell.data / "all_configs.json").write_text(json.dumps({"upstreams": TWO_VENDORS}))
    stored = shell.data / "use_now.json"
    stored.write_text(json.dumps({"version": 1, "clients": {"responses": use}}))
    assert shell("explain --client responses --model m")[1].splitlines()[0] == first
    assert shell("explain --client responses --model m --at 'mon 09:00'")[0] == 0
    assert stored.exists()


@pytest.mark.parametrize(
    ("entry", "more", "notes", "explained"),
    [
        (RESELLER, {}, [], "primary"),
        (
            OLLAMA,
            {},
            ['note: upstream "ollama" has a first-byte timeout of 600 s, as it is a known local server'],
            "primary; has a first-byte timeout of 600 s",
        ),
        (
            {**RESELLER, "timeouts": {"first_byte": 900}},
            {},
            ['note: upstream "reseller" has a first-byte timeout of 900 s'],
            "primary; has a first-byte timeout of 900 s",
        ),
        (OLLAMA, {"timeouts": {"first_byte": 120}}, [], "primary"),
        (
            OLLAMA,
            {"failover": {"total_seconds": 60}},
            [
                'note: upstream "ollama" has a first-byte timeout of 600 s, as it is a known local server',
                BUDGET,
            ],
            "primary; has a first-byte timeout of 600 s",
        ),
    ],
)
def test_check_and_explain_name_a_limit_for_the_first_byte_that_is_not_the_usual_one(
    shell: Shell, entry: dict[str, object], more: dict[str, object], notes: list[str], explained: str
) -> None:
    shell.data.mkdir()
    (shell.data / "all_configs.json").write_text(json.dumps({"upstreams": [entry], **more}))
    assert shell("check")[1].splitlines()[:-1] == notes
    assert shell("explain --model m")[1].strip() == f"1. {entry['name']} -> m ({explained})"


@pytest.mark.parametrize("line", ["setup claude --port ²", "doctor --port 70000", "--port 0 setup codex"])
def test_a_port_that_is_none_gets_one_sentence(shell: Shell, line: str) -> None:
    code, _, said = shell(line)
    assert (code, "is not a port; give a number from 1 to 65535." in said) == (1, True)


# --- import ---------------------------------------------------------------------


def test_a_preview_shows_what_an_import_adds_and_writes_nothing(shell: Shell) -> None:
    file = shell.file("accounts.json", ACCOUNTS)
    code, said, _ = shell(f"import {file} --dry-run")
    assert (code, said.splitlines()) == (
        0,
        [
            "accounts[0] -> azure: chat at https://a.openai.azure.com, 1 model",
            "accounts[1] -> azure (2): messages at https://b.example.com, 1 model",
            'note: accounts[1]: renamed from "azure" to "azure (2)", names must be unique',
            "note: accounts[0].odd: unknown field, kept without effect",
            "2 new, 0 exist already.",
            "Nothing was written.",
        ],
    )
    assert not shell.data.exists()


def test_an_import_is_live_and_a_second_one_adds_nothing(shell: Shell) -> None:
    file = shell.file("accounts.json", ACCOUNTS)
    assert shell(f"import {file} --yes")[0] == 0
    first = (shell.data / "all_configs.json").read_bytes()
    names = [entry["name"] for entry in json.loads(first)["upstreams"]]
    assert names == ["demo", "azure", "azure (2)"]
    code, said, _ = shell(f"import {file} --yes")
    assert (code, said.splitlines()[-1]) == (0, "Nothing to do: all entries exist already.")
    assert (shell.data / "all_configs.json").read_bytes() == first


def test_five_hundred_accounts_come_in_one_call(shell: Shell) -> None:
    many = [ACCOUNTS[1] | {"name": f"account {number}", "apiKey": f"k{number}"} for number in range(500)]
    code, said, _ = shell(f"import {shell.file('many.json', many)} --yes")
    assert (code, "500 new, 0 exist already." in said) == (0, True)
    assert len(json.loads((shell.data / "all_configs.json").read_bytes())["upstreams"]) == 501


def test_a_foreign_file_may_have_comments(shell: Shell) -> None:
    path = shell.folder / "config.json"
    path.write_text(
        '{\n  // mine\n  "Providers": [{"name": "a", "api_base_url": "http://a.example", "x": 1,},],\n}\n'
    )
    code, said, _ = shell(f"import {path} --yes")
    assert (code, said.splitlines()[:2]) == (
        0,
        [
            "Providers[0] -> a: chat at http://a.example",
            "note: Providers[0].x: unknown field, kept without effect",
        ],
    )


def test_a_file_in_the_legacy_format_is_rewritten_in_place_and_kept(shell: Shell) -> None:
    shell.data.mkdir()
    path = shell.data / "all_configs.json"
    path.write_text(
        json.dumps({"api_configs": [{"name": "a", "base_url": "https://a.example.com", "key": "k"}]})
    )
    before = path.read_bytes()
    assert shell(f"import {path} --yes")[0] == 0
    assert json.loads(path.read_bytes())["upstreams"][0]["name"] == "a"
    assert [copy.read_bytes() for copy in shell.data.glob("all_configs.legacy*")] == [before]


def test_without_a_terminal_nothing_is_written_unconfirmed(shell: Shell) -> None:
    code, _, complaint = shell(f"import {shell.file('accounts.json', ACCOUNTS)}")
    assert (code, shell.data.exists()) == (1, False)
    assert complaint == "Nothing was written: no terminal to ask for confirmation; run it again with --yes.\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"a": ', "is not valid JSON: line 1, column 7: expected a value, found the end of the file"),
        ("[1, 2]", "The file is none of these"),
        ('{"upstreams": [{"name": "x", "base_url": "no"}]}', "has errors:"),
        (None, "cannot be read: No such file or directory."),
    ],
)
def test_a_file_that_cannot_be_imported_gets_one_sentence(
    shell: Shell, content: str | None, complaint: str
) -> None:
    path = shell.folder / "foreign.json"
    if content is not None:
        path.write_text(content)
    code, _, said = shell(f"import {path} --yes")
    assert (code, complaint in said, str(path) in said) == (1, True, True)


def test_no_import_on_top_of_a_broken_file(shell: Shell) -> None:
    shell.data.mkdir()
    (shell.data / "all_configs.json").write_text("{")
    code, _, said = shell(f"import {shell.file('accounts.json', ACCOUNTS)} --yes")
    assert (code, "has errors; correct them first:" in said) == (1, True)
    assert (shell.data / "all_configs.json").read_text() == "{"


@pytest.mark.parametrize("text", ["{} // mine", "/* mine */ {}", '{"upstreams": [],}'])
@pytest.mark.parametrize("command", ["import accounts.json --yes", "setup claude --yes"])
def test_no_command_writes_where_a_comment_would_be_lost(shell: Shell, text: str, command: str) -> None:
    shell.data.mkdir()
    (shell.data / "all_configs.json").write_text(text)
    accounts = shell.file("accounts.json", ACCOUNTS)
    code, _, said = shell(command.replace("accounts.json", str(accounts)))
    assert (code, "delete it" in said, "line 1" in said) == (1, True, True)
    assert (shell.data / "all_configs.json").read_text() == text


# --- setup ----------------------------------------------------------------------


def test_a_set_up_shows_its_diff_and_can_be_taken_back(shell: Shell) -> None:
    path = shell.home / ".claude" / "settings.json"
    path.parent.mkdir()
    path.write_text('{\n  "model": "opus"\n}\n')
    before = path.read_bytes()
    code, said, _ = shell("setup claude --yes")
    assert code == 0
    assert '+    "ANTHROPIC_BASE_URL": "http://localhost:5101/api",' in said
    assert json.loads(path.read_bytes())["env"]["NO_PROXY"] == "localhost,127.0.0.1,::1"
    assert shell("setup claude --yes")[1].endswith("Nothing to do for Claude Code.\n")
    code, said, _ = shell("setup claude --undo --yes")
    assert (code, said.splitlines()[-1], path.read_bytes()) == (
        0,
        "Claude Code uses its previous settings again.",
        before,
    )


@pytest.mark.parametrize("client", ["claude", "codex"])
def test_a_dry_run_writes_nothing(shell: Shell, client: str) -> None:
    code, said, _ = shell(f"setup {client} --dry-run")
    assert (code, said.splitlines()[-1]) == (0, "Nothing was written.")
    assert list(shell.home.iterdir()) == []


def test_the_first_client_key_and_the_window_are_written(shell: Shell) -> None:
    shell.data.mkdir()
    upstream = {"name": "u", "base_url": "http://localhost:1", "protocol": "chat", "context_window": 32768}
    document = {"upstreams": [upstream], "client_keys": {"key-1": "laptop", "key-2": "desk"}}
    (shell.data / "all_configs.json").write_text(json.dumps(document))
    shell("setup claude --yes --with API_TIMEOUT_MS --model qwen3")
    assert json.loads((shell.home / ".claude" / "settings.json").read_bytes())["env"] == {
        "ANTHROPIC_BASE_URL": "http://localhost:5101/api",
        "ANTHROPIC_AUTH_TOKEN": "key-1",
        "NO_PROXY": "localhost,127.0.0.1,::1",
        "API_TIMEOUT_MS": "3000000",
        "ANTHROPIC_MODEL": "qwen3",
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW": "32768",
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "100000",
        "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE": "30",
    }


def test_the_choices_of_an_earlier_set_up_stay(shell: Shell) -> None:
    shell("setup claude --yes --with API_TIMEOUT_MS --model qwen3")
    assert shell("setup claude --yes")[1].endswith("Nothing to do for Claude Code.\n")


@pytest.mark.parametrize(
    ("entries", "more", "milliseconds"),
    [
        ([{}], {}, "1140000"),
        ([{"timeouts": {"first_byte": 540}}], {}, None),
        ([{"timeouts": {"first_byte": 541}}], {}, "1081000"),
        ([{"base_url": "https://h.example", "timeouts": {"first_byte": 900}}], {}, "1440000"),
        ([{"base_url": "https://h.example"}], {}, None),
        ([{"enabled": False}], {}, None),
        ([{"clients": ["chat", "responses"]}], {}, None),
        ([{"base_url": "https://h.example"}, {"name": "second"}], {}, "1140000"),
        ([{}], {"timeouts": {"first_byte": 120}}, None),
        ([{}], {"failover": {"total_seconds": 300}}, None),
        ([{}], {"failover": {"hold_seconds": 900}}, "1560000"),
    ],
)
def test_claude_code_waits_longer_only_where_an_upstream_may_take_longer(
    shell: Shell, entries: list[dict[str, object]], more: dict[str, object], milliseconds: str | None
) -> None:
    shell.data.mkdir()
    document = {"upstreams": [{**OLLAMA, **entry} for entry in entries], **more}
    (shell.data / "all_configs.json").write_text(json.dumps(document))
    said = shell("setup claude --yes")[1]
    env = json.loads((shell.home / ".claude" / "settings.json").read_bytes())["env"]
    assert env.get("API_TIMEOUT_MS") == milliseconds
    assert ("note: API_TIMEOUT_MS is set" in said) is (milliseconds is not None)
    assert "--with API_TIMEOUT_MS" not in said
    shell("setup claude --undo --yes")
    assert not (shell.home / ".claude" / "settings.json").exists()


@pytest.mark.parametrize(
    ("model", "has_catalogue"), [("qwen3", True), ("gpt-5.5", False), ("gpt-6-sol", False)]
)
def test_codex_gets_a_catalogue_only_for_models_it_does_not_know(
    shell: Shell, model: str, has_catalogue: bool
) -> None:
    shell(f"setup codex --yes --model {model}")
    assert (shell.home / ".codex" / "switchyard-models.json").exists() is has_catalogue


@pytest.mark.parametrize(
    ("client", "name", "content", "place"),
    [
        ("claude", ".claude/settings.json", '{"env": {', "line 1"),
        ("codex", ".codex/config.toml", "a = \n", "line 1, column 5"),
    ],
)
def test_an_unreadable_file_of_the_user_is_refused(
    shell: Shell, client: str, name: str, content: str, place: str
) -> None:
    path = shell.home / name
    path.parent.mkdir()
    path.write_text(content)
    code, _, said = shell(f"setup {client} --yes")
    assert (code, place in said, path.read_text()) == (1, True, content)


@pytest.mark.parametrize("url", ["localhost:5101", "http://localhost:5101/api", "ftp://x"])
def test_an_address_of_the_daemon_has_no_path(shell: Shell, url: str) -> None:
    code, _, said = shell(f"setup claude --yes --url {url}")
    assert (code, "is not an address like http://localhost:5101" in said) == (1, True)


def test_codex_gets_a_model_it_knows_if_one_is_served(shell: Shell) -> None:
    shell.data.mkdir()
    upstream = {
        "name": "u",
        "base_url": "http://localhost:1",
        "protocol": "chat",
        "models": ["qwen3", "gpt-5.6"],
    }
    (shell.data / "all_configs.json").write_text(json.dumps({"upstreams": [upstream]}))
    assert '+model = "gpt-5.6"' in shell("setup codex --dry-run")[1]


def test_undo_without_a_set_up_says_so(shell: Shell) -> None:
    code, said, _ = shell("setup codex --undo --yes")
    assert (code, said) == (
        0,
        "note: There is no set-up to undo.\nNothing to do for Codex.\n",
    )


def test_a_running_daemons_address_is_taken(shell: Shell) -> None:
    shell.data.mkdir()
    lock = DataFolderLock(shell.data)
    lock.acquire("http://localhost:7777")
    try:
        assert "http://localhost:7777/openai" in shell("setup codex --dry-run")[1]
    finally:
        lock.release()


def test_errors_in_the_settings_stop_a_set_up(shell: Shell) -> None:
    shell.data.mkdir()
    (shell.data / "all_configs.json").write_text('{"upstreams": 5}')
    code, _, said = shell("setup claude --yes")
    assert (code, own_command("check") in said) == (1, True)


# --- the others -----------------------------------------------------------------


def test_statistics_of_an_empty_folder_are_zeros(shell: Shell) -> None:
    assert shell("stats --days 7")[1].splitlines()[1].split()[:2] == ["today", "0"]
    assert shell("stats --csv --by model")[0] == 0
    assert json.loads(shell("stats --json")[1])["summary"] is not None


def test_statistics_are_not_rebuilt_beside_a_daemon(shell: Shell) -> None:
    shell.data.mkdir()
    lock = DataFolderLock(shell.data)
    lock.acquire("http://localhost:7777")
    try:
        code, said, refused = shell("stats --rebuild")
        assert (code, said, refused[:28]) == (1, "", "Nothing was rebuilt: a daemo")
    finally:
        lock.release()


@pytest.mark.parametrize("line", ["stats", "doctor", "check", "explain", "setup claude --yes", "test demo"])
def test_a_data_folder_that_is_none_is_reported(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("PATH", "")
    shell.data.write_text("no folder")
    code, said, complaint = shell(line)
    assert (code, "Not a directory" in said + complaint) == (1, True)


@pytest.mark.parametrize("days", ["-1", "0", "99999999999"])
def test_days_that_no_calendar_has_get_one_sentence(shell: Shell, days: str) -> None:
    assert shell(f"stats --days {days}") == (
        1,
        "",
        f"--days {days} is out of range; give a number from 1 to 36500.\n",
    )


def test_a_day_that_is_none_gets_one_sentence(shell: Shell) -> None:
    assert shell("stats --verify monday") == (
        1,
        "",
        '--verify: "monday" is not a day like 2026-11-21.\n',
    )


def test_the_doctor_ends_with_the_number_of_errors(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    shell.data.mkdir()
    (shell.data / "all_configs.json").write_text('{"upstreams": 5, "model_rules": 6}')
    code, said, _ = shell("doctor")
    assert (code, said.count("ERROR   Settings:")) == (1, 2)


def test_the_doctor_repairs_what_is_safe(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    shell("setup claude --yes")
    path = shell.home / ".claude" / "settings.json"
    before = path.read_text()
    path.write_text(before.replace('"env": {', '"env": {\n    "ANTHROPIC_API_KEY": "sk-old",'))
    assert "ERROR   Claude Code: two tokens are set" in shell("doctor")[1]
    code, said, _ = shell("doctor --fix")
    assert (code, "repaired: two tokens are set" in said) == (0, True)
    assert "ANTHROPIC_API_KEY" not in path.read_text()


def test_a_client_that_is_missing_is_skipped_by_the_self_test(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = shell.folder / "claude"
    program.write_text("#!/bin/sh\necho 9.9.9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shell.folder}:/bin")
    code, said, _ = shell("selftest")
    assert (code, said.splitlines()[0]) == (1, "Codex: not on the PATH, skipped")
    assert "version 9.9.9 has not been tested" in said
    assert "CHANGED a tool loop finishes: no (measured: yes)" in said


def test_the_state_of_a_service_says_whether_a_daemon_runs(shell: Shell) -> None:
    code, said, _ = shell("service status")
    assert (code, said.splitlines()[-1]) == (1, f"No daemon is using {shell.data}.")
    shell.data.mkdir()
    with DataFolderLock(shell.data) as lock:
        lock.note("http://localhost:5101")
        assert shell("service status")[1].endswith(
            f"\nA daemon is using {shell.data}: http://localhost:5101.\n"
        )


def test_the_file_of_a_service_can_be_looked_at(shell: Shell) -> None:
    code, said, _ = shell("service install --print")
    assert (code, str(shell.data) in said) == (0, True)


def test_a_self_test_without_clients_says_what_is_missing(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert shell("selftest")[::2] == (
        1,
        "Neither claude nor codex is on the PATH; install one and try again.\n",
    )


def test_a_preview_shows_no_key_of_an_address(shell: Shell) -> None:
    account = {
        "name": "a",
        "apiUrl": "https://user:hidden-1@b.example.com/v1?key=hidden-2",
        "apiKey": "hidden-3",
    }
    _, said, _ = shell(f"import {shell.file('accounts.json', [account])} --dry-run")
    assert "user:***@b.example.com" in said and "hidden" not in said


# --- prices ---

PRICED: dict[str, Any] = {
    "upstreams": [
        {"name": "official", "base_url": "https://api.openai.com", "protocol": "responses", "models": ["o3"]},
        {
            "name": "reseller",
            "base_url": "https://reseller.example.com",
            "protocol": "chat",
            "models": {"a": "mine", "b": "qwen3-32b"},
            "price_multiplier": 0.25,
        },
        {
            "name": "gpu",
            "base_url": "http://127.0.0.1:8000",
            "protocol": "chat",
            "server": "vllm",
            "models": ["gpt-5"],
        },
        {"name": "relay", "base_url": "http://127.0.0.1:3000", "protocol": "chat"},
    ],
    "prices": {"mine": {"input": 1, "output": 2, "tiers": {"flex": 0.5}}},
}


def test_prices_lists_what_applies_to_each_upstream_and_model_and_its_source(shell: Shell) -> None:
    shell.data.mkdir()
    (shell.data / "all_configs.json").write_text(json.dumps(PRICED))
    lines = shell("prices")[1].splitlines()
    assert lines == [
        "bundled table: 2026-11-27",
        "",
        'upstream "official"',
        "  o3: input 2, output 8, cache read 0.5, priority times 1.75, flex times 0.5, batch times 0.5, "
        "web_search 0.01 each (OpenAI 2026-11-27)",
        "",
        'upstream "reseller", prices times 0.25',
        "  mine: input 1, output 2, flex times 0.5 (settings: mine)",
        "  qwen3-32b: input 0.15, output 0.6, priority times 1.75, flex times 0.5, batch times 0.5 "
        "(Amazon Bedrock 2026-11-27)",
        "",
        'upstream "gpu"',
        "  gpt-5: no price, as it is local",
        "",
        'upstream "relay"',
        "  (any model): by the name of the model",
    ]
    asked = shell("prices mine nobody-knows-it")[1].splitlines()
    assert asked[-2:] == [
        "  mine: input 1, output 2, flex times 0.5 (settings: mine)",
        "  nobody-knows-it: unpriced; add it to `prices`",
    ]


def test_a_newer_price_table_is_stored_and_an_invalid_one_changes_nothing(shell: Shell) -> None:
    shell.data.mkdir()
    (shell.data / "all_configs.json").write_text(json.dumps(PRICED))
    entry = {
        "models": ["o3"],
        "source": "OpenAI",
        "checked": "2026-12-24",
        "price": {"input": 9, "output": 10},
    }
    newer = {"date": "2026-12-24", "currency": "USD", "sources": {}, "entries": [entry]}
    file = shell.data / "newer.json"
    file.write_text(json.dumps(newer))
    code, said, _ = shell(f"prices --update {file}")
    assert code == 0 and "prices of 1 model, dated 2026-12-24" in said
    lines = shell("prices o3")[1].splitlines()
    assert lines[0] == "stored table: 2026-12-24"
    assert "  o3: input 9, output 10 (OpenAI 2026-12-24)" in lines
    file.write_text("{}")
    code, _, said = shell(f"prices --update {file}")
    assert code == 1 and "nothing was changed" in said
    assert "  o3: input 9, output 10 (OpenAI 2026-12-24)" in shell("prices o3")[1]
    assert shell("prices --update /no/such/file")[0] == 1


def test_check_reports_a_budget_that_cannot_apply_as_an_error(shell: Shell) -> None:
    shell.data.mkdir()
    limited = [{**entry, "budget": {"day_hard": 5}} for entry in PRICED["upstreams"]]
    (shell.data / "all_configs.json").write_text(json.dumps({**PRICED, "upstreams": limited}))
    code, _, said = shell("check")
    assert code == 1
    assert (
        '$.upstreams[2].budget: the budget of upstream "gpu" cannot apply: its models are local and have no price'
    ) in said
    assert said.splitlines()[-1].endswith("all_configs.json: 1 error")
    limited[2]["local"] = False
    (shell.data / "all_configs.json").write_text(json.dumps({**PRICED, "upstreams": limited}))
    assert shell("check")[0] == 0


def test_a_name_that_the_output_cannot_show_is_escaped(tmp_path: Path) -> None:
    document = settings(upstream("日本", "https://a.example", "chat", models=["m"], key="k"))
    daemon = Daemon(tmp_path, document, {"PYTHONIOENCODING": "ascii"})
    code, said = daemon.command("explain", "--client", "chat", "--model", "m")
    assert (code, said) == (0, "1. \\u65e5\\u672c -> m (primary)\n")
