"""Programs that send one large request and leave on command: Node's fetch, and the real Claude Code."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bed.clients import claude_environment, clean_environment, installed

NODE = shutil.which("node")
FETCH = """
import { readFileSync } from "node:fs";
const [url, path, framing] = process.argv.slice(1);
const body = framing === "chunked" ? new Blob([readFileSync(path)]).stream() : readFileSync(path);
const leaving = new AbortController();
process.stdin.once("data", () => leaving.abort());
try {
  const answer = await fetch(url, { method: "POST", signal: leaving.signal, body, duplex: "half" });
  for await (const _ of answer.body);
} catch {}
setInterval(() => {}, 1000); // the program goes on, so that its end is not what closes the connection
"""


@contextmanager
def node_fetch(
    url: str, body: bytes, folder: Path, *, chunked: bool = False
) -> Iterator["subprocess.Popen[bytes]"]:
    """Node.js with `fetch`; `abort` makes it leave."""
    assert NODE is not None
    path = folder / "body.json"
    path.write_bytes(body)
    command = [NODE, "--input-type=module", "-e", FETCH, url, str(path), "chunked" if chunked else "length"]
    with _running(command, clean_environment(folder), folder, subprocess.PIPE) as node:
        yield node


def abort(node: "subprocess.Popen[bytes]") -> None:
    assert node.stdin is not None
    node.stdin.write(b"leave\n")
    node.stdin.flush()


@contextmanager
def claude(base_url: str, model: str, prompt: str, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`claude -p` with a prompt too long for a command line; `interrupt` makes it leave."""
    path = folder / "prompt.txt"
    path.write_text(prompt)
    command = [installed("claude"), "-p", "--model", model]
    environment = clean_environment(folder, claude_environment(base_url))
    with path.open("rb") as said, _running(command, environment, folder, said.fileno()) as running:
        yield running


def interrupt(claude: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C."""
    claude.send_signal(signal.SIGINT)


@contextmanager
def _running(
    command: list[str], environment: dict[str, str], folder: Path, stdin: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """The program in a new session; it is ended with its children in every case."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as program:
        try:
            yield program
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
