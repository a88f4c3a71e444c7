"""The Vercel AI SDK through the daemon: it names the items of earlier answers instead of sending them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bed.clients import CLIENT_SECONDS, ROOT, clean_environment
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, agent
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply

pytestmark = pytest.mark.real_clients

SDKS = Path(os.environ.get("SWITCHYARD_SDKS", ROOT / ".cache" / "sdks" / "node_modules"))
SCRIPT = Path(__file__).with_name("ai_sdk_loop.mjs")
VERSIONS = {"6": ("ai-6", "ai-sdk-openai-3"), "7": ("ai", "@ai-sdk/openai")}
"""The packages of the SDK and of its provider, as scripts/check.py installs them."""
CALLED = Reply("Let me look.", thinking="Hm.", calls=(Call("weather", {"city": "Rome"}, "call_1"),))


def run_script(base_url: str, folder: Path, version: str) -> str:
    """The output of the script, which finds the SDK beside itself."""
    assert SDKS.is_dir(), f"{SDKS} is not installed; scripts/check.py installs it"
    (folder / "node_modules").symlink_to(SDKS)
    script = shutil.copy(SCRIPT, folder)
    done = subprocess.run(
        ["node", script, base_url, *VERSIONS[version]],
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        timeout=CLIENT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tool_loops_and_continued_answers(tmp_path: Path, protocol: Protocol, version: str) -> None:
    client = tmp_path / "client"
    client.mkdir()
    with ScriptedUpstream(agent(CALLED, Reply("It is sunny."))) as server:
        entry = upstream("u", server.url, protocol)
        if protocol == "responses":
            entry["capabilities"] = {"responses_items": False}
        with Daemon(tmp_path, settings(entry)) as daemon:
            output = run_script(f"{daemon.url}/v1", client, version)

    assert output.splitlines() == [
        "whole: It is sunny. 2",
        "streamed: It is sunny. 2",
        "again: It is sunny. 1",
        "continued: It is sunny. 1",
    ]
    last = server.requests[-1].body.decode()
    assert all(
        words in last for words in ("What is the weather", "sunny in Rome", "It is sunny.", "And now?")
    )
