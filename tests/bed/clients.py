"""Run the real Claude Code and the real Codex, each in a temporary home and a clean environment."""

import json
import os
import pty
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("SWITCHYARD_CLIENTS", ROOT / ".cache" / "clients" / "node_modules" / ".bin"))
KEPT = ("PATH", "LANG", "TMPDIR")
WITH_TITLES = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "",
    "TERM": "xterm-256color",
    **dict.fromkeys(("DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING", "DISABLE_AUTOUPDATER"), "1"),
}
LEFT_SECONDS = 10
"""for a child that a client left behind and that holds its terminal"""
CLIENT_SECONDS = 150
"""for a whole run of a client, which may be slow to start on a busy machine"""


@dataclass(frozen=True)
class Run:
    """The result of a client run: its standard output, its other output, its exit code."""

    output: str
    errors: str
    code: int

    @property
    def text(self) -> str:
        return self.output.strip()


def run_claude(
    base_url: str,
    home: Path,
    prompt: str,
    *options: str,
    token: str = "123",
    environment: dict[str, str] | None = None,
    seconds: float = CLIENT_SECONDS,
) -> Run:
    """`claude -p`, which may use its Bash tool; `base_url` as a user would paste it."""
    command = [installed("claude"), "-p", prompt, "--allowedTools", "Bash", *options]
    return run(command, home, claude_environment(base_url, token) | (environment or {}), seconds)


@contextmanager
def claude_on_a_terminal(base_url: str, home: Path, prompt: str) -> Iterator[None]:
    """Claude Code as its users see it, which then also has titles made; it sends nothing elsewhere."""
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    answered = {"hasCompletedOnboarding": True, "projects": {str(work): {"hasTrustDialogAccepted": True}}}
    (home / ".claude.json").write_text(json.dumps(answered))
    environment = clean_environment(home, claude_environment(base_url) | WITH_TITLES)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [installed("claude"), prompt],
        cwd=work,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as client:
        os.close(theirs)
        reader = threading.Thread(target=_read_all, args=(ours,), daemon=True)
        reader.start()
        try:
            yield
        finally:
            os.killpg(client.pid, signal.SIGKILL)
            client.wait()
            reader.join(LEFT_SECONDS)
            os.close(ours)


def _read_all(terminal: int) -> None:
    """A program whose output nobody reads stops in the end."""
    with suppress(OSError):  # Linux's way to report the end
        while os.read(terminal, 65536):
            pass


def claude_environment(base_url: str, token: str = "123") -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_AUTH_TOKEN": token,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def run_codex(
    base_url: str,
    home: Path,
    prompt: str,
    *options: str,
    model: str = "gpt-5.5",
    token: str = "123",
    settings: str = "",
    seconds: float = CLIENT_SECONDS,
) -> Run:
    """`codex exec` without a sandbox. `settings` is more TOML for the provider's table."""
    folder = home / ".codex"
    folder.mkdir(parents=True, exist_ok=True)
    config = [
        f"model = {json.dumps(model)}",
        'model_provider = "switchyard"',
        "[model_providers.switchyard]",
        'name = "switchyard"',
        f"base_url = {json.dumps(base_url)}",
        'wire_api = "responses"',
        'env_key = "SWITCHYARD_TEST_KEY"',
        settings,
    ]
    (folder / "config.toml").write_text("\n".join(config) + "\n")
    command = [
        installed("codex"),
        "exec",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
    ]
    return run([*command, *options, prompt], home, {"SWITCHYARD_TEST_KEY": token}, seconds)


def installed(client: str) -> str:
    """The path of a real client's program."""
    path = str(BIN / client)
    if shutil.which(path) is None:
        raise AssertionError(f"{path} is not installed; scripts/check.py installs it")
    return path


def clean_environment(home: Path, own: dict[str, str] | None = None) -> dict[str, str]:
    """The client's environment: a temporary home, and none of the user's settings."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {"HOME": str(home), "NO_COLOR": "1", "TERM": "dumb"} | (own or {})


def run(command: list[str], home: Path, environment: dict[str, str], seconds: float) -> Run:
    """Run in `home/work`; a client that takes too long is ended with its children."""
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        command,
        cwd=work,
        env=clean_environment(home, environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as client:
        try:
            output, errors = client.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as late:
            said = b"\n".join(part for part in (late.output, late.stderr) if part).decode(errors="replace")
            raise AssertionError(f"{command[0]} took more than {seconds} s:\n{said}") from None
        finally:
            # also where the test's own limit ends the wait: leaving `with` waits for the client
            if client.poll() is None:
                os.killpg(client.pid, signal.SIGKILL)
    return Run(output, errors, client.returncode)
