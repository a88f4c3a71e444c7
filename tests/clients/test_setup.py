"""The real clients after `setup`, with no variable in the environment, and after `--undo`."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.bed.clients import BIN
from tests.bed.daemon import Daemon, settings

pytestmark = pytest.mark.real_clients

MARK = "switchyard-4711"
DEMO = {"name": "demo", "base_url": "demo:", "models": {"qwen3": "qwen3", "*": "*"}, "context_window": 65536}
CLAUDE = ("-p", f'demo: call Bash {{"command": "echo {MARK}"}}', "--allowedTools", "Bash")
CODEX = (
    "exec",
    "--skip-git-repo-check",
    "--dangerously-bypass-approvals-and-sandbox",
    f'demo: call exec_command {{"cmd": "echo {MARK}"}}',
)
USERS_CLAUDE = '{\n  "includeCoAuthoredBy": false\n}\n'
USERS_CODEX = '# mine\nmodel = "gpt-5.5" # best\n\n[tui]\nnotifications = false\n'


def run(home: Path, client: str, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """The client in a home of its own; nothing in its environment tells of the daemon."""
    work = home / "work"
    work.mkdir(exist_ok=True)
    clean = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.run(
        [str(BIN / client), *arguments],
        cwd=work,
        env=clean | {"HOME": str(home), "NO_COLOR": "1", "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )


def demo(folder: Path, **more: object) -> Daemon:
    return Daemon(folder, settings(DEMO, **more))


def setup(daemon: Daemon, line: str) -> str:
    code, said = daemon.command("setup", *shlex.split(line), "--yes")
    assert code == 0, said
    return said


def test_claude_code_works_after_setup_and_not_after_undo(tmp_path: Path) -> None:
    with demo(tmp_path) as daemon:
        path = daemon.home / ".claude" / "settings.json"
        path.parent.mkdir()
        path.write_text(USERS_CLAUDE)
        setup(daemon, "claude --with CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC")
        assert MARK in run(daemon.home, "claude", *CLAUDE).stdout
        setup(daemon, "claude --undo")
        assert path.read_text() == USERS_CLAUDE
        asked = len(daemon.journal())
        assert "/login" in run(daemon.home, "claude", *CLAUDE).stdout
        assert len(daemon.journal()) == asked > 0


def test_codex_works_after_setup_and_its_file_is_as_before_after_undo(tmp_path: Path) -> None:
    with demo(tmp_path) as daemon:
        path = daemon.home / ".codex" / "config.toml"
        path.parent.mkdir()
        path.write_text(USERS_CODEX)
        setup(daemon, "codex")
        done = run(daemon.home, "codex", *CODEX)
        assert MARK in done.stdout, done.stdout
        setup(daemon, "codex --undo")
        # Codex itself notes in its file which folders it trusts
        assert path.read_text().startswith(USERS_CODEX)
        assert "switchyard" not in path.read_text().replace(str(tmp_path), "")


def test_a_model_that_codex_does_not_know_comes_with_its_window(tmp_path: Path) -> None:
    with demo(tmp_path) as daemon:
        setup(daemon, "codex --model qwen3")
        done = run(daemon.home, "codex", *CODEX)
        assert MARK in done.stdout, done.stdout
        assert "metadata" not in done.stdout
        listed = run(daemon.home, "codex", "debug", "models").stdout
        models = json.loads(listed[listed.index("{") :])["models"]
        assert ("qwen3", 65536) in [(model["slug"], model["context_window"]) for model in models]
        assert daemon.journal()[-1]["model"] == "qwen3"


def test_claude_code_lists_the_daemons_models(tmp_path: Path) -> None:
    with demo(tmp_path) as daemon:
        setup(daemon, "claude --with CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY")
        done = run(daemon.home, "claude", *CLAUDE, "--model", "claude-switchyard-qwen3")
        assert MARK in done.stdout, done.stdout
        cache = json.loads((daemon.home / ".claude" / "cache" / "gateway-models.json").read_bytes())
        assert cache["models"] == [{"id": "claude-switchyard-qwen3", "display_name": "qwen3"}]
        assert {line["sent"] for line in daemon.journal() if line["model"].endswith("qwen3")} == {"qwen3"}


@pytest.mark.parametrize(("client", "arguments"), [("claude", CLAUDE), ("codex", CODEX)])
def test_a_daemon_that_wants_a_key_gets_it(tmp_path: Path, client: str, arguments: tuple[str, ...]) -> None:
    with demo(tmp_path, client_keys={"key-of-mine": "laptop"}) as daemon:
        setup(daemon, client)
        done = run(daemon.home, client, *arguments)
        assert MARK in done.stdout, done.stdout
        assert {line["client"] for line in daemon.journal()} == {"laptop"}
