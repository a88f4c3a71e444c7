"""The findings of the doctor, and its repairs."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from switchyard.doctor import clients, daemon, upstreams
from switchyard.doctor.examination import exit_code, repaired
from switchyard.doctor.finding import DoctorInputs, Finding
from switchyard.installation import own_command
from switchyard.settings import Settings
from switchyard.settings_validation import parse
from switchyard.store.lock import DataFolderLock
from tests.bed.daemon import free_port
from tests.bed.upstream import closed_port

OURS = {"ANTHROPIC_BASE_URL": "http://localhost:5101/api", "NO_PROXY": "localhost,127.0.0.1"}
PROVIDER = {"base_url": "http://127.0.0.1:5101/openai", "name": "x"}


@pytest.fixture
def inputs(tmp_path: Path) -> DoctorInputs:
    (tmp_path / "data").mkdir(mode=0o700)
    return DoctorInputs(
        data=tmp_path / "data",
        host="127.0.0.1",
        port=5101,
        address="http://localhost:5101",
        settings=Settings(),
        environment={"PATH": ""},
        home=tmp_path,
        stamp="now",
    )


def settings(**upstream: Any) -> Settings:
    entry = {"name": "u", "base_url": "http://localhost:1", "protocol": "chat"}
    return parse({"upstreams": [entry | upstream]}).settings


def claude(inputs: DoctorInputs, env: dict[str, str], **more: Any) -> list[Finding]:
    path = inputs.home / ".claude" / "settings.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"env": env}))
    return clients.examine_claude(replace(inputs, **more))[1:]


def codex(inputs: DoctorInputs, text: str, **more: Any) -> list[Finding]:
    path = inputs.home / ".codex" / "config.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return clients.examine_codex(replace(inputs, **more))[1:]


def reported(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.text) for finding in findings]


def program(folder: Path, name: str, says: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return str(folder)


# --- clients --------------------------------------------------------------------


def test_a_measured_version_is_known_to_work(inputs: DoctorInputs, tmp_path: Path) -> None:
    path = program(tmp_path, "codex", "codex-cli 0.169.0")
    found = clients.examine_codex(replace(inputs, environment={"PATH": f"{path}:/bin:/usr/bin"}))
    assert reported(found) == [
        ("ok", "version 0.169.0, tested"),
        ("warning", "does not use Switchyard: no base URL is set"),
    ]


def test_another_version_is_pointed_out_with_the_way_to_measure_it(
    inputs: DoctorInputs, tmp_path: Path
) -> None:
    path = program(tmp_path, "claude", "3.0.0 (Claude Code)")
    found = clients.examine_claude(replace(inputs, environment={"PATH": f"{path}:/bin:/usr/bin"}))[0]
    assert found.text == "version 3.0.0 has not been tested (tested: 2.1.197)"
    assert "selftest" in found.fix


def test_a_client_that_is_not_installed_is_no_error(inputs: DoctorInputs) -> None:
    assert reported(clients.examine_codex(inputs)) == [("ok", "not installed")]


@pytest.mark.parametrize(
    ("env", "environment", "findings"),
    [
        ({}, {}, [("warning", "does not use Switchyard: no base URL is set")]),
        (
            {"ANTHROPIC_BASE_URL": "https://me:secret@relay.example.com"},
            {},
            [("warning", "uses https://relay.example.com instead of http://localhost:5101/api")],
        ),
        (
            {**OURS, "ANTHROPIC_AUTH_TOKEN": "x"},
            {},
            [
                ("ok", "uses http://localhost:5101/api"),
                ("ok", "has one token (ANTHROPIC_AUTH_TOKEN in FILE)"),
            ],
        ),
        (
            {**OURS},
            {},
            [
                ("ok", "uses http://localhost:5101/api"),
                ("fault", "has no token and will ask for a login"),
            ],
        ),
        (
            {**OURS, "ANTHROPIC_AUTH_TOKEN": "x"},
            {"ANTHROPIC_API_KEY": "y"},
            [
                ("ok", "uses http://localhost:5101/api"),
                (
                    "fault",
                    "two tokens are set: ANTHROPIC_AUTH_TOKEN in FILE, ANTHROPIC_API_KEY in the environment; "
                    "Claude Code warns and may use the wrong one",
                ),
            ],
        ),
        (
            {"ANTHROPIC_BASE_URL": OURS["ANTHROPIC_BASE_URL"], "ANTHROPIC_AUTH_TOKEN": "x"},
            {"HTTPS_PROXY": "http://proxy:1"},
            [
                ("ok", "uses http://localhost:5101/api"),
                ("ok", "has one token (ANTHROPIC_AUTH_TOKEN in FILE)"),
                ("fault", "HTTPS_PROXY sends requests for the daemon to that proxy"),
            ],
        ),
    ],
)
def test_findings_on_claude_code(
    inputs: DoctorInputs, env: dict[str, str], environment: dict[str, str], findings: list[tuple[str, str]]
) -> None:
    found = claude(inputs, env, environment={"PATH": "", **environment})
    file = str(inputs.home / ".claude" / "settings.json")
    assert reported(found) == [(level, text.replace("FILE", file)) for level, text in findings]


@pytest.mark.parametrize(
    ("exempt", "finding"),
    [
        (
            {"NO_PROXY": "localhost,127.0.0.1"},
            ("ok", "http_proxy is set, NO_PROXY excludes the daemon"),
        ),
        ({"NO_PROXY": "*"}, ("ok", "http_proxy is set, NO_PROXY excludes the daemon")),
        (
            {"no_proxy": "corp localhost 127.0.0.1"},
            ("ok", "http_proxy is set, no_proxy excludes the daemon"),
        ),
        (
            {"NO_PROXY": "localhost,127.0.0.1", "no_proxy": "corp"},
            ("fault", "http_proxy sends requests for the daemon to that proxy"),
        ),
    ],
)
def test_the_spelling_that_the_client_takes_decides_about_the_proxy(
    inputs: DoctorInputs, exempt: dict[str, str], finding: tuple[str, str]
) -> None:
    env = {"ANTHROPIC_BASE_URL": OURS["ANTHROPIC_BASE_URL"], "ANTHROPIC_AUTH_TOKEN": "x"}
    shell = {"PATH": "", "http_proxy": "http://proxy:1", **exempt}
    found = claude(inputs, env, environment=shell)[-1]
    assert (found.level, found.text) == finding
    if found.repair:
        repaired(found)
        own = json.loads((inputs.home / ".claude" / "settings.json").read_bytes())["env"]
        assert claude(inputs, own, environment=shell)[-1].level == "ok"


def test_a_window_larger_than_the_upstreams_take_is_a_warning_and_repaired(inputs: DoctorInputs) -> None:
    env = {**OURS, "ANTHROPIC_AUTH_TOKEN": "x"}
    found = claude(inputs, env, settings=settings(context_window=32_000))[-1]
    assert found.text == (
        "may assume more than the 32000 tokens that the upstreams take: CLAUDE_CODE_AUTO_COMPACT_WINDOW, "
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS, CLAUDE_AUTOCOMPACT_PCT_OVERRIDE"
    )
    assert repaired(found).level == "ok"
    written = json.loads((inputs.home / ".claude" / "settings.json").read_bytes())["env"]
    assert written["CLAUDE_CODE_AUTO_COMPACT_WINDOW"] == "32000"
    assert claude(inputs, written, settings=settings(context_window=32_000))[-1].level == "ok"


def test_two_repairs_of_one_file_do_not_conflict(inputs: DoctorInputs) -> None:
    env = {**OURS, "ANTHROPIC_AUTH_TOKEN": "x", "ANTHROPIC_API_KEY": "y"}
    found = claude(inputs, env, settings=settings(context_window=32_000))
    broken = [finding for finding in found if finding.repair]
    assert [repaired(finding).level for finding in broken] == ["ok", "ok"]


def test_a_file_that_claude_code_ignores_is_an_error(inputs: DoctorInputs) -> None:
    path = inputs.home / ".claude" / "settings.json"
    path.parent.mkdir()
    path.write_text("{\n  // mine\n}")
    found = clients.examine_claude(inputs)[1]
    assert (found.level, found.text, found.fix) == (
        "fault",
        f"{path}: Claude Code ignores the whole file, because it has a comment or a trailing comma "
        "(line 2, column 3)",
        "Remove these, then run the set-up again.",
    )
    assert found.repair is None


def test_a_file_with_which_codex_does_not_start_is_an_error(inputs: DoctorInputs) -> None:
    (found,) = codex(inputs, 'profile = "work"\n')
    assert (found.level, 'does not start with the line profile = "work"' in found.text) == ("fault", True)
    assert found.fix.startswith("Remove the line")


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ('model_provider = "other"\n', [("warning", "does not use Switchyard: no base URL is set")]),
        (
            'model_provider = "mine"\n[model_providers.mine]\nbase_url = "http://127.0.0.1:5101/openai"\n',
            [
                ("warning", "uses http://127.0.0.1:5101/openai instead of http://localhost:5101/openai"),
                ("warning", 'reaches this daemon as provider "mine"; sessions are listed by that id'),
            ],
        ),
        (
            'model_provider = "switchyard"\n[model_providers.switchyard]\n'
            'base_url = "http://localhost:5101/openai"\nrequires_openai_auth = true\nwire_api = "chat"\n',
            [
                ("ok", "uses http://localhost:5101/openai"),
                ("fault", "requires_openai_auth sends your ChatGPT token to the daemon"),
                ("fault", 'wire_api = "chat" is refused by Codex'),
            ],
        ),
    ],
)
def test_findings_on_codex(inputs: DoctorInputs, text: str, findings: list[tuple[str, str]]) -> None:
    assert reported(codex(inputs, text)) == findings


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("{}", [("warning", "does not use Switchyard: no base URL is set")]),
        (
            '{"security": {"auth": {"selectedType": "openai", "baseUrl": "http://localhost:5101/openai/v1"}}, '
            '"model": {"name": "other"}}',
            [
                ("ok", "uses http://localhost:5101/openai/v1"),
                ("fault", "requests other, which no upstream serves (served: qwen3)"),
            ],
        ),
        ('{"a"', [("fault", "{path}: line 1, column 5: expected a colon, found the end of the file")]),
    ],
)
def test_findings_on_clients_with_a_json_file(
    inputs: DoctorInputs, text: str, findings: list[tuple[str, str]]
) -> None:
    path = inputs.home / ".qwen" / "settings.json"
    path.parent.mkdir()
    path.write_text(text)
    found = clients.examine_others(replace(inputs, settings=settings(models=["qwen3"])))
    assert reported(found) == [(level, text.replace("{path}", str(path))) for level, text in findings]


def test_other_clients_that_are_not_here_are_not_mentioned(inputs: DoctorInputs) -> None:
    assert clients.examine_others(inputs) == []


def test_a_catalogue_with_too_large_a_window_is_a_warning(inputs: DoctorInputs) -> None:
    catalogue = inputs.home / "models.json"
    catalogue.write_text(json.dumps({"models": [{"slug": "qwen3", "context_window": 200_000}]}))
    text = (
        f'model_provider = "switchyard"\nmodel = "qwen3"\nmodel_catalog_json = "{catalogue}"\n'
        '[model_providers.switchyard]\nbase_url = "http://localhost:5101/openai"\n'
    )
    found = codex(inputs, text, settings=settings(context_window=32_000))
    assert found[-1].text == "assumes a window of 200000 tokens for qwen3; the upstreams take 32000"


CODEX_KNOWN = (
    'model_provider = "switchyard"\nmodel = "gpt-5.5"\nMORE\n'
    '[model_providers.switchyard]\nname = "x"\nbase_url = "http://localhost:5101/openai"\n'
)


def test_a_model_that_codex_knows_but_another_answers_has_its_window_written(inputs: DoctorInputs) -> None:
    here = settings(context_window=32_000)
    found = codex(inputs, CODEX_KNOWN.replace("MORE", ""), settings=here)[-1]
    assert found.text == "assumes a window of 272000 tokens for gpt-5.5; the upstreams take 32000"
    assert repaired(found).level == "ok"
    written = (inputs.home / ".codex" / "config.toml").read_text()
    assert "model_context_window = 32000\n" in written
    assert codex(inputs, written, settings=here)[-1].level == "ok"


@pytest.mark.parametrize(
    ("shell", "level"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, []),
        ({"ALL_PROXY": "http://p:1"}, ["fault"]),
        ({"http_proxy": "http://p:1", "no_proxy": "corp", "NO_PROXY": "localhost,127.0.0.1"}, ["ok"]),
        ({"http_proxy": "http://p:1", "NO_PROXY": "corp", "no_proxy": "localhost,127.0.0.1"}, ["fault"]),
    ],
)
def test_codex_reads_proxy_variables_differently(
    inputs: DoctorInputs, shell: dict[str, str], level: list[str]
) -> None:
    found = codex(inputs, CODEX_KNOWN.replace("MORE", ""), environment={"PATH": "", **shell})
    assert [one.level for one in found[1:]] == level


def test_a_model_without_an_upstream_is_an_error(inputs: DoctorInputs) -> None:
    text = (
        'model_provider = "switchyard"\nmodel = "gpt-5.5"\n'
        '[model_providers.switchyard]\nbase_url = "http://localhost:5101/openai"\n'
    )
    found = codex(inputs, text, settings=settings(models=["qwen3"]))
    assert found[-1].text == "requests gpt-5.5, which no upstream serves (served: qwen3)"
    assert codex(inputs, text, settings=settings(models={"gpt-*": "qwen3"}))[-1].level == "ok"


def test_a_broken_client_file_is_an_error_with_its_position(inputs: DoctorInputs) -> None:
    found = codex(inputs, "a = \n")
    assert (found[0].level, "line 1, column 5" in found[0].text) == ("fault", True)


# --- the daemon -----------------------------------------------------------------


def test_a_free_port_and_no_daemon_is_a_warning(inputs: DoctorInputs) -> None:
    found = daemon.examine_port(replace(inputs, port=free_port()))
    assert [(one.level, one.fix) for one in found] == [("warning", f"Start it: {own_command()}")]


def test_a_port_of_another_program_is_an_error(inputs: DoctorInputs) -> None:
    with served(lambda: None) as port:
        found = daemon.examine_port(replace(inputs, port=port))
    assert reported(found) == [("fault", f"port {port} is in use by another program")]


def test_the_daemon_of_the_folder_is_recognised_wherever_it_listens(inputs: DoctorInputs) -> None:
    with DataFolderLock(inputs.data) as lock, served(lambda: None) as port:
        lock.note(f"http://127.0.0.1:{port}")
        found = daemon.examine_port(inputs)
    assert [one.level for one in found] == ["ok"]
    assert found[0].text.endswith(f"at http://127.0.0.1:{port}")


def test_a_daemon_that_does_not_answer_is_an_error(inputs: DoctorInputs) -> None:
    port = closed_port()
    with DataFolderLock(inputs.data) as lock:
        lock.note(f"http://127.0.0.1:{port}")
        found = daemon.examine_port(inputs)
    assert [(one.level, one.fix) for one in found] == [("fault", "Restart it.")]


def test_every_error_of_the_file_is_a_finding(inputs: DoctorInputs) -> None:
    (inputs.data / "all_configs.json").write_text('{"upstreams": 5, "model_rules": 6}')
    assert [(one.level, one.text) for one in daemon.examine_folder(inputs)] == [
        ("fault", "$.upstreams (line 1, column 2): expected a list, found 5"),
        ("fault", "$.model_rules (line 1, column 18): expected a list, found 6"),
    ]


def test_keys_that_others_can_read_are_closed(inputs: DoctorInputs) -> None:
    path = inputs.data / "all_configs.json"
    path.write_text('{"upstreams": []}')
    path.chmod(0o644)
    found = daemon.examine_folder(inputs)[-1]
    assert (found.level, repaired(found).level, path.stat().st_mode & 0o777) == ("warning", "ok", 0o600)


KEYED = {"client_keys": {"sy-key": "laptop"}}


@pytest.mark.parametrize(("mode", "warns"), [(0o644, True), (0o640, True), (0o604, True), (0o600, False)])
def test_a_client_key_that_others_can_read_is_a_warning_and_closed(
    inputs: DoctorInputs, mode: int, warns: bool
) -> None:
    settings = parse(KEYED).settings
    claude(inputs, OURS | {"ANTHROPIC_AUTH_TOKEN": "sy-key"})
    text = f'model_provider = "p"\n[model_providers.p]\nbase_url = "{PROVIDER["base_url"]}"\n'
    codex(inputs, text + 'http_headers = { "x-api-key" = "sy-key" }\n')
    for place, examine in (
        (".claude/settings.json", clients.examine_claude),
        (".codex/config.toml", clients.examine_codex),
    ):
        path = inputs.home / place
        path.chmod(mode)
        found = [one for one in examine(replace(inputs, settings=settings)) if "other users" in one.text]
        assert [(one.level, one.fix) for one in found] == [("warning", f"chmod 600 {path}")] * warns
        for one in found:
            repaired(one)
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_without_a_client_key_may_be_open(inputs: DoctorInputs) -> None:
    found = claude(inputs, OURS | {"ANTHROPIC_AUTH_TOKEN": "x"}, settings=parse(KEYED).settings)
    assert not [one for one in found if "other users" in one.text]


# --- upstreams ------------------------------------------------------------------


@contextmanager
def served(date: Any) -> Iterator[int]:
    """A server whose responses have the date given by `date`."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(404)
            stamp = date()
            if stamp is not None:
                self.send_header("Date", stamp)
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_upstream_that_listens_is_reached_and_reports_the_time(inputs: DoctorInputs) -> None:
    with served(lambda: formatdate(usegmt=True)) as port:
        here = settings(base_url=f"http://127.0.0.1:{port}/v1")
        found = upstreams.examine_upstreams(replace(inputs, settings=here))
    assert [(one.subject, one.level, one.text) for one in found] == [
        ("u", "ok", "can be reached"),
        ("Clock", "ok", "agrees with the upstreams"),
    ]


def test_one_that_does_not_listen_is_an_error_and_delays_no_other(inputs: DoctorInputs) -> None:
    port = closed_port()
    here = settings(base_url=f"http://127.0.0.1:{port}", name="my box")
    found = upstreams.examine_upstreams(replace(inputs, settings=here))[0]
    assert (found.level, found.text) == (
        "fault",
        f"cannot connect to 127.0.0.1:{port} (Connection refused)",
    )
    assert found.fix.endswith(own_command('test "my box"'))


@pytest.mark.parametrize(
    ("differences", "text"),
    [
        ([], None),
        ([1.0, None, -2.0], "agrees with the upstreams"),
        ([700.0, 650.0, 1.0], "is 650 s ahead of the upstreams' clocks"),
        ([-3600.0], "is 3600 s behind the upstreams' clocks"),
    ],
)
def test_the_clock_is_compared_with_most_upstreams(differences: list[float | None], text: str | None) -> None:
    found = upstreams.clock_findings(differences)
    assert [one.text for one in found] == ([] if text is None else [text])


def test_a_key_in_a_variable_that_is_not_set_is_an_error(inputs: DoctorInputs) -> None:
    here = replace(inputs, settings=settings(key="env:SWITCHYARD_NO_SUCH_KEY"))
    found = upstreams.examine_upstreams(here)
    assert found[1].text == "its key is in the variable SWITCHYARD_NO_SUCH_KEY, which is not set"


# --- the whole ------------------------------------------------------------------


def test_only_errors_count_for_scripts() -> None:
    warning, fault = Finding("warning", "a", "b"), Finding("fault", "a", "b")
    assert [exit_code([]), exit_code([warning]), exit_code([warning, fault])] == [0, 0, 1]


def test_a_repair_that_fails_is_reported() -> None:
    def fails() -> None:
        raise OSError("read-only")

    finding = Finding("fault", "a", "b", "do it", fails)
    assert repaired(finding).fix == "do it (could not be repaired: read-only)"
