"""`import` as users run it, with files that are not JSON."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.bed.daemon import Daemon, settings, upstream
from tests.importing.test_cc_switch import fill
from tests.importing.test_litellm import CONFIG


def database(path: Path) -> None:
    connection = sqlite3.connect(path)
    fill(connection)
    connection.close()


@pytest.mark.parametrize("name", ["cc-switch.db", "config.yaml", ".env"])
def test_a_file_of_another_program_is_shown_without_keys_and_added(tmp_path: Path, name: str) -> None:
    daemon = Daemon(tmp_path, settings(upstream("u", "https://u.example")))
    path = tmp_path / name
    if name == "cc-switch.db":
        database(path)
    else:
        path.write_text(CONFIG if name == "config.yaml" else "OPENROUTER_API_KEY=sk-or\n")
    code, said = daemon.command("import", str(path), "--yes")
    assert code == 0 and "sk-or" not in said and "sk-a" not in said, said
    written = json.loads((daemon.data / "all_configs.json").read_text())["upstreams"]
    expected = {"cc-switch.db": "Relay", "config.yaml": "Anthropic", ".env": "OpenRouter"}[name]
    assert expected in [entry["name"] for entry in written] and written[0]["name"] == "u"
    assert daemon.command("import", str(path), "--yes")[1].endswith("all entries exist already.\n")
