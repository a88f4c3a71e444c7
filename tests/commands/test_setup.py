"""`setup` as users run it: what it refuses, what it replaces, what becomes an upstream."""

import json
from pathlib import Path

import pytest

from tests.bed.daemon import Daemon, settings, upstream

OLD = '{"env": {"ANTHROPIC_BASE_URL": "https://relay.example/v2", "ANTHROPIC_AUTH_TOKEN": "sk-old"}}'
CODEX = (
    'model_provider = "relay"\n[model_providers.relay]\nname = "Relay"\n'
    'base_url = "https://relay.example/v2"\nenv_key = "RELAY_KEY"\n'
)


def daemon_with(folder: Path, name: str, text: str) -> tuple[Daemon, Path]:
    daemon = Daemon(folder, settings(upstream("u", "https://u.example", models=["qwen3"])))
    path = daemon.home / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return daemon, path


@pytest.mark.parametrize(
    ("client", "name", "text", "says"),
    [
        ("claude", ".claude/settings.json", "{} // mine\n", "Claude Code ignores the whole file"),
        ("codex", ".codex/config.toml", 'profile = "work"\n', "codex --profile work selects them"),
    ],
)
def test_a_file_that_the_client_does_not_use_is_an_error_before_anything_is_written(
    tmp_path: Path, client: str, name: str, text: str, says: str
) -> None:
    daemon, path = daemon_with(tmp_path, name, text)
    code, said = daemon.command("setup", client, "--yes")
    assert code == 1 and says in said and f"{path} is left unchanged" in said
    assert [file.name for file in path.parent.iterdir()] == [path.name] and path.read_text() == text
    _, said = daemon.command("doctor")
    assert f"{path}: " in said and says in said


@pytest.mark.parametrize(
    ("client", "name", "text", "key", "protocol"),
    [
        ("claude", ".claude/settings.json", OLD, "sk-old", "messages"),
        ("codex", ".codex/config.toml", CODEX, "env:RELAY_KEY", "responses"),
    ],
)
def test_the_endpoint_that_is_replaced_is_named_and_can_become_an_upstream(
    tmp_path: Path, client: str, name: str, text: str, key: str, protocol: str
) -> None:
    daemon, path = daemon_with(tmp_path, name, text)
    code, said = daemon.command("setup", client, "--dry-run")
    assert code == 0 and "has used https://relay.example/v2 until now; it can be added" in said
    assert "sk-old" not in said
    code, said = daemon.command("setup", client, "--yes", "--keep-endpoint")
    assert code == 0 and "Upstream added: relay.example" in said, said
    added = json.loads((daemon.data / "all_configs.json").read_text())["upstreams"][-1]
    assert added == {
        "name": "relay.example",
        "base_url": "https://relay.example/v2",
        "key": key,
        "protocol": protocol,
    }
    code, said = daemon.command("setup", client, "--undo", "--yes")
    assert code == 0 and path.read_text() == text


def test_an_endpoint_that_is_an_upstream_already_is_not_offered(tmp_path: Path) -> None:
    daemon, _ = daemon_with(tmp_path, ".claude/settings.json", OLD.replace("relay.example/v2", "u.example"))
    _, said = daemon.command("setup", "claude", "--dry-run")
    assert "until now" not in said and "env.ANTHROPIC_BASE_URL is replaced (now https://u.example)" in said


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "localhost"), ("0.0.0.0", "localhost"), ("192.168.7.5", "192.168.7.5"), ("::1", "[::1]")],
)
def test_before_the_daemon_runs_the_address_is_the_one_at_which_it_will_listen(
    tmp_path: Path, host: str, address: str
) -> None:
    daemon, _ = daemon_with(tmp_path, ".claude/settings.json", "{}")
    code, said = daemon.command("setup", "claude", "--dry-run", "--host", host)
    assert code == 0 and f"http://{address}:{daemon.port}/api" in said, said
