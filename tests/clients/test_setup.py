"""The real clients after `setup`, with no variable in the environment, and after `--undo`."""

import base64
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.bed.clients import BIN, CLIENT_SECONDS
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import Answer, Received, Script, ScriptedUpstream, answer
from tests.bed.wire import Call, Reply, Usage

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


def run(
    home: Path, client: str, *arguments: str, seconds: float = CLIENT_SECONDS
) -> subprocess.CompletedProcess[str]:
    """The client in a temporary home; nothing in its environment refers to the daemon."""
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
        # Codex records the trusted folders in its own file
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


def test_codex_counts_on_the_window_behind_a_model_it_knows(tmp_path: Path) -> None:
    with demo(tmp_path) as daemon:
        setup(daemon, "codex --model gpt-5.5")
        assert MARK in run(daemon.home, "codex", *CODEX).stdout
    (rollout,) = (daemon.home / ".codex" / "sessions").rglob("*.jsonl")
    # Codex uses 95 % of it
    assert set(re.findall(r'"model_context_window":(\d+)', rollout.read_text())) == {str(65536 * 95 // 100)}


def chatgpt_login() -> str:
    """Codex's stored login, with a worthless token."""
    claims = {"exp": 4_000_000_000, "https://api.openai.com/auth": {"chatgpt_account_id": "account-4711"}}
    parts = ({"alg": "none"}, claims, {"no": "signature"})
    token = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )
    tokens = {"id_token": token, "access_token": token, "refresh_token": token, "account_id": "account-4711"}
    return json.dumps({"tokens": tokens, "last_refresh": "2099-01-01T00:00:00Z"})


def test_the_chatgpt_login_of_codex_stays_at_home(tmp_path: Path) -> None:
    """The set-up points at a test listener, which sees everything that the daemon would get."""
    with ScriptedUpstream(answer(Reply("Nothing was told."))) as listener:
        daemon = Daemon(tmp_path, settings(DEMO))
        folder = daemon.home / ".codex"
        folder.mkdir()
        (folder / "auth.json").write_text(chatgpt_login())
        (folder / "config.toml").write_text(
            '[model_providers.switchyard]\nname = "x"\nrequires_openai_auth = true\n'
        )
        setup(daemon, f"codex --url {listener.url}")
        assert "Nothing was told." in run(daemon.home, "codex", *CODEX).stdout
    assert "POST" in {request.method for request in listener.requests}
    reported = json.dumps([request.headers for request in listener.requests])
    assert "authorization" not in reported.lower() and "account-4711" not in reported


SUMMARY = b"detailed summary"


def growing(*tokens: int) -> Answer:
    """Calls a tool in each turn, with a prompt of this many tokens; ends the turn after a summary."""
    left = list(tokens)

    def script(request: Received) -> Script:
        if SUMMARY in request.body or not left:
            left.clear()
            return answer(Reply("<summary>All is well.</summary>"))(request)
        call = Call("Bash", {"command": "echo x", "description": "a test"}, f"call_{len(left)}")
        return answer(Reply(calls=(call,), usage=Usage(fresh=left.pop(0), output=9)))(request)

    return script


@pytest.mark.parametrize("model", ["claude-opus-4-8", "qwen3"])
def test_claude_code_compacts_before_a_small_window_is_full(tmp_path: Path, model: str) -> None:
    with ScriptedUpstream(growing(30_000, 45_000, 52_000, 59_000, 66_000)) as server:
        entry = upstream("local", server.url, "chat", models={"*": "qwen3"}, context_window=65_536)
        with Daemon(tmp_path, settings(entry)) as daemon:
            setup(daemon, "claude --with CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC")
            run(daemon.home, "claude", "-p", "Hello", "--allowedTools", "Bash", "--model", model)
    asked = [SUMMARY in request.body for request in server.requests]
    assert asked[:4] == [False, False, False, True], asked


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


@pytest.mark.parametrize(("server_kind", "seconds"), [("vllm", "1140"), ("auto", "600")])
def test_claude_code_waits_as_long_as_a_known_local_server_may_take(
    tmp_path: Path, server_kind: str, seconds: str
) -> None:
    with ScriptedUpstream(answer(Reply("Done."))) as server:
        entry = upstream("local", server.url, "messages", server=server_kind)
        with Daemon(tmp_path, settings(entry)) as daemon:
            setup(daemon, "claude --with CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC")
            assert "Done." in run(daemon.home, "claude", "-p", "Hello").stdout
            setup(daemon, "claude --undo")
            assert not (daemon.home / ".claude" / "settings.json").exists()
    assert {request.header("x-stainless-timeout") for request in server.requests} == {seconds}
