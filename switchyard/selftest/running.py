"""Run an installed client once, in a temporary home with a set-up for an address."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from switchyard import client_plans
from switchyard.clients.plan import apply
from switchyard.selftest.behaviours import MARK, Runs, Session
from switchyard.selftest.world import Place, World, world
from switchyard.settings import Settings

RUN_SECONDS = 120
KEPT = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT", "TEMP", "COMSPEC", "PATHEXT")
FAIL = "demo: fail 500"


class Script(msgspec.Struct, frozen=True):
    """How a client is run without a user, and its prompts."""

    words: Sequence[str]
    """the arguments before the prompt"""
    loop: str
    bare_failure: str
    model: str = ""
    environment: Mapping[str, str] | None = None


SCRIPTS = {
    "claude": Script(
        ("--allowedTools", "Bash", "-p"),
        f'demo: call Bash {{"command": "echo {MARK}"}}',
        "demo: fail 529",
        environment={"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
    ),
    "codex": Script(
        ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
        f'demo: call exec_command {{"cmd": "echo {MARK}"}}',
        FAIL,
        model="gpt-5.5",
    ),
}


async def run_all(client: str, folder: Path) -> Runs:
    """The three runs of a client, with all files in the folder. Raises OSError or TimeoutError."""
    async with world(folder / "data") as servers:
        return await _three(client, folder, servers)


async def _three(client: str, folder: Path, servers: World) -> Runs:
    script = SCRIPTS[client]
    bare = asyncio.create_task(_run(client, folder / "bare", servers.bare, script.bare_failure))
    try:
        loop = await _run(client, folder / "loop", servers.daemon, script.loop)
        failing = await _run(client, folder / "failing", servers.daemon, FAIL)
        return Runs(loop, failing, await bare)
    finally:
        bare.cancel()


async def _run(client: str, home: Path, place: Place, prompt: str) -> Session:
    script, before = SCRIPTS[client], len(place.recorder.received)
    work = home / "work"
    work.mkdir(parents=True)
    _set_up(client, home, place.address, script.model)
    program = shutil.which(client)
    if program is None:
        raise FileNotFoundError(f"{client} is not on the PATH")
    output = await _output([program, *script.words, prompt], work, _environment(home, script))
    return Session(output, tuple(place.recorder.received[before:]))


def _set_up(client: str, home: Path, address: str, model: str) -> None:
    path = client_plans.path_of(client, {}, home)
    wanted = client_plans.Wanted(address, model=model)
    apply(client_plans.plan(client, path, wanted, Settings(), {}), "selftest")


def _environment(home: Path, script: Script) -> dict[str, str]:
    clean = {name: os.environ[name] for name in KEPT if name in os.environ}
    own = {"HOME": str(home), "USERPROFILE": str(home), "NO_COLOR": "1", "TERM": "dumb"}
    return clean | own | dict(script.environment or {})


async def _output(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """The output of the client; one that takes too long is ended with its children. Raises TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(RUN_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            _end(process)
            await process.wait()
    return output.decode(errors="replace")


def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
