"""Check what each command loads: the server and the HTTP client take longer to import than most commands to run."""

import subprocess
import sys
from pathlib import Path

import pytest

from switchyard.commands import COMMANDS

SERVER = ("uvicorn", "starlette", "httpx", "httptools", "switchyard.serve", "switchyard.application")
PROBE = """
import sys
from switchyard.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("loaded:", *sys.modules)
"""
COMMANDS_RUN = {
    "check": ["check"],
    "explain": ["explain", "claude-opus-4-5"],
    "use": ["use"],
    "import": ["import", "missing.json"],
    "setup": ["setup", "codex", "--dry-run"],
    "stats": ["stats"],
    "prices": ["prices"],
    "service": ["service", "status"],
}
ASK_UPSTREAMS = {"test", "doctor"}
"""these send requests themselves"""
START_A_SERVER = {"selftest"}


def loaded_by(data: Path, *arguments: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, "--data", str(data), *arguments],
        capture_output=True,
        text=True,
        env={"HOME": str(data), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path.cwd())},
    )
    last = ended.stdout.splitlines()[-1]
    assert last.startswith("loaded:"), ended.stderr
    return set(last.split()[1:])


@pytest.mark.parametrize("command", COMMANDS_RUN)
def test_a_command_that_sends_no_request_loads_neither_server_nor_http_client(
    tmp_path: Path, command: str
) -> None:
    assert sorted(loaded_by(tmp_path, *COMMANDS_RUN[command]) & {*SERVER}) == []


@pytest.mark.parametrize("command", sorted(ASK_UPSTREAMS))
def test_a_command_that_sends_requests_loads_no_server(tmp_path: Path, command: str) -> None:
    loaded = loaded_by(tmp_path, command, "--help")
    assert sorted(loaded & {"uvicorn", "switchyard.serve", "switchyard.application"}) == []


def test_the_help_loads_no_command(tmp_path: Path) -> None:
    modules = {f"switchyard.commands.{name}" for name in ("check", "explain", "doctor", "connection")}
    assert sorted(loaded_by(tmp_path, "--help") & modules) == []


def test_every_command_is_in_one_of_the_groups() -> None:
    assert {*COMMANDS_RUN, *ASK_UPSTREAMS, *START_A_SERVER} == {*COMMANDS}


def test_the_daemon_loads_neither_the_dashboard_nor_a_command_line_but_its_own(tmp_path: Path) -> None:
    loaded = loaded_by(tmp_path, "--cert", "without.its.key")
    assert "switchyard.serve" in loaded
    ours = ("switchyard.web.admin", "switchyard.client_plans", "switchyard.demo.app")
    assert (
        sorted(loaded & {*ours, "starlette", "anyio", "httpx", "watchfiles", "uvicorn.main", "click"}) == []
    )
    assert sys.platform in ("darwin", "win32") or "urllib.request" not in loaded


def test_a_checkout_reads_no_metadata_of_installed_packages() -> None:
    probe = "from switchyard.bootstrap import *; print(missing_packages(dependencies(PROJECT)), *sys.modules)"
    ended = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert ended.stdout.startswith("[] ")
    assert "importlib.metadata" not in ended.stdout.split()
