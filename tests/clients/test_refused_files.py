"""The files that `setup` refuses are those that the real clients do not use."""

import json
from pathlib import Path

import pytest

from tests.bed.clients import CLIENT_SECONDS, claude_environment, installed, run
from tests.bed.upstream import ScriptedUpstream, say

pytestmark = pytest.mark.real_clients


@pytest.mark.parametrize(("end", "is_used"), [("}}", True), ("}} // mine", False), ("},}", False)])
def test_claude_code_ignores_a_file_that_is_not_strict_json(tmp_path: Path, end: str, is_used: bool) -> None:
    path = tmp_path / ".claude" / "settings.json"
    path.parent.mkdir()
    with ScriptedUpstream(say("Hello.")) as server:
        path.write_text(json.dumps({"env": claude_environment(server.url)}).removesuffix("}}") + end)
        done = run([installed("claude"), "-p", "hi"], tmp_path, {}, CLIENT_SECONDS)
        assert ("Hello." in done.output, bool(server.requests)) == (is_used, is_used), done


def test_codex_does_not_start_with_a_profile_line(tmp_path: Path) -> None:
    path = tmp_path / ".codex" / "config.toml"
    path.parent.mkdir()
    path.write_text('profile = "work"\n[profiles.work]\nmodel = "gpt-5.5"\n')
    done = run([installed("codex"), "exec", "--skip-git-repo-check", "hi"], tmp_path, {}, CLIENT_SECONDS)
    assert done.code != 0 and "use `--profile work` with `work.config.toml`" in done.errors
