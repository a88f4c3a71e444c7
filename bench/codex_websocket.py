"""Measure what Codex gains from Responses over WebSocket in a tool loop, with 80 ms of round trip.

    python bench/codex_websocket.py PATH_OF_CODEX

The upstream answers each turn but the last with a call of the shell, over HTTP and server-sent events or over
WebSocket. It is either far away itself, as for Codex without Switchyard, or near with the round trip behind it, as
Switchyard's own endpoint is. All cases take turns.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import statistics
import struct
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from loops import run
from results import table
from stage import ROOT

sys.path.insert(0, str(ROOT))

from tests.bed.far import FarRelay

ROUND_TRIP_SECONDS = 0.08
TURNS = 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MODEL = "gpt-5.5"
KEY = "SWITCHYARD_BENCH_KEY"
SECONDS = 120.0
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


@dataclass(frozen=True, slots=True)
class Case:
    label: str
    websocket: bool
    is_far: bool


CASES = (
    Case("far upstream, HTTP", websocket=False, is_far=True),
    Case("far upstream, WebSocket", websocket=True, is_far=True),
    Case("near endpoint before a far upstream, HTTP", websocket=False, is_far=False),
    Case("near endpoint before a far upstream, WebSocket", websocket=True, is_far=False),
)


@dataclass
class Seen:
    """One run as the upstream saw it."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    connections: int = 0
    upgrades: int = 0
    turns: list[tuple[float, float]] = field(default_factory=list)
    """when each request came and its answer was sent"""
    seconds: float = 0.0
    """from the start of Codex to its end"""

    @property
    def loop_seconds(self) -> float:
        """From the first request of the conversation to the last answer."""
        return self.turns[-1][1] - self.turns[0][0]

    @property
    def between_seconds(self) -> float:
        """From an answer to the next request: the way there and back, the tool call, and Codex itself."""
        return statistics.median(after[0] - before[1] for before, after in pairwise(self.turns))


class ScriptedUpstream:
    """`answer_seconds` pass before each answer."""

    def __init__(self, answer_seconds: float, websocket: bool) -> None:
        self.seen = Seen()
        self._answer_seconds = answer_seconds
        self._websocket = websocket
        self._answered = 0

    async def __aenter__(self) -> "ScriptedUpstream":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**24)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                headers = _headers(head)
                if headers.get("upgrade", "").lower() == "websocket":
                    self.seen.upgrades += 1
                    if self._websocket:
                        await self._talk(reader, writer, headers["sec-websocket-key"])
                        break
                    writer.write(b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n")
                    continue
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if not head.startswith(b"POST"):
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    continue
                events = await self._answer(body)
                content = b"".join(b"data: %b\n\n" % event for event in events)
                kind = b"content-type: text/event-stream\r\n"
                writer.write(
                    b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (kind, len(content), content)
                )
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-accept: %b\r\n\r\n" % accept
        )
        while True:
            kind, content = await _read_message(reader)
            if kind == CLOSE:
                return
            if kind == PING:
                writer.write(_frame(PONG, content))
            if kind == TEXT:
                for event in await self._answer(content):
                    writer.write(_frame(TEXT, event))

    async def _answer(self, body: bytes) -> list[bytes]:
        request = json.loads(body)
        self.seen.requests.append(request)
        self.seen.sizes.append(len(body))
        if request.get("generate") is False:
            return _events("warm", [])
        came = time.perf_counter()
        await asyncio.sleep(self._answer_seconds)
        self.seen.turns.append((came, time.perf_counter()))
        self._answered += 1
        return _events(f"{self._answered}", [_item(self._answered)])


def _item(turn: int) -> dict[str, Any]:
    if turn < TURNS:
        arguments = json.dumps({"cmd": f"echo {turn}"})
        call = {"name": "exec_command", "arguments": arguments, "call_id": f"call_{turn}"}
        return {"type": "function_call", "id": f"fc_{turn}", "status": "completed", **call}
    content = [{"type": "output_text", "text": "The loop is done.", "annotations": []}]
    return {
        "type": "message",
        "id": f"msg_{turn}",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def _events(name: str, items: list[dict[str, Any]]) -> list[bytes]:
    response = {"id": f"resp_{name}", "object": "response", "status": "in_progress", "output": []}
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    done: dict[str, Any] = {**response, "status": "completed", "output": items, "usage": usage}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": response}]
    for item in items:
        events.append({"type": "response.output_item.added", "output_index": 0, "item": item})
        events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": done})
    return [json.dumps(event).encode() for event in events]


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def _read_message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind, content = 0, b""
    while True:
        first, second = await reader.readexactly(2)
        size = second & 127
        if size == 126:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await reader.readexactly(8))
        mask = await reader.readexactly(4) if second & 128 else b"\0\0\0\0"
        masked = await reader.readexactly(size)
        repeated = (mask * (size // 4 + 1))[:size]
        content += (int.from_bytes(masked) ^ int.from_bytes(repeated)).to_bytes(size)
        kind = kind or first & 15
        if first & 128:
            return kind, content


def _frame(kind: int, content: bytes) -> bytes:
    size = len(content)
    if size < 126:
        head = struct.pack("!BB", 128 | kind, size)
    elif size < 65536:
        head = struct.pack("!BBH", 128 | kind, 126, size)
    else:
        head = struct.pack("!BBQ", 128 | kind, 127, size)
    return head + content


async def seen_of(codex: str, case: Case, model_seconds: float) -> Seen:
    """One run of Codex; the model takes `model_seconds` for each answer."""
    answer_seconds = model_seconds if case.is_far else model_seconds + ROUND_TRIP_SECONDS
    async with ScriptedUpstream(answer_seconds, case.websocket) as upstream:
        if case.is_far:
            async with FarRelay(upstream.port, ROUND_TRIP_SECONDS) as far:
                upstream.seen.seconds = await _codex(codex, far.port, case)
        else:
            upstream.seen.seconds = await _codex(codex, upstream.port, case)
        return upstream.seen


async def _codex(codex: str, port: int, case: Case) -> float:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        folder = Path(home) / ".codex"
        folder.mkdir()
        (folder / "config.toml").write_text(_config(port, case.websocket))
        environment = {"HOME": home, "PATH": os.environ["PATH"], KEY: "123"}
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(codex, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "Do it."),
            cwd=home,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(SECONDS):
            output, errors = await process.communicate()
        seconds = time.perf_counter() - began
    if b"The loop is done." not in output:
        raise SystemExit(f"{case.label}: {output.decode()}\n{errors.decode()[-3000:]}")
    return seconds


def _config(port: int, websocket: bool) -> str:
    return f"""
model = "{MODEL}"
model_provider = "bench"

[model_providers.bench]
name = "bench"
base_url = "http://127.0.0.1:{port}/v1"
wire_api = "responses"
env_key = "{KEY}"
supports_websockets = {str(websocket).lower()}
"""


async def measured(codex: str, rounds: int, model_seconds: float) -> dict[Case, list[Seen]]:
    found: dict[Case, list[Seen]] = {case: [] for case in CASES}
    for number in range(rounds):
        for case in CASES[number % 2 :] + CASES[: number % 2]:
            found[case].append(await seen_of(codex, case, model_seconds))
            last = found[case][-1]
            print(
                f"{number + 1} {case.label:50} {last.loop_seconds:.2f} s of {last.seconds:.2f} s", flush=True
            )
    return found


def shown(found: dict[Case, list[Seen]], model_seconds: float) -> str:
    rows = []
    for case, runs in found.items():
        loop = statistics.median(one.loop_seconds for one in runs)
        best = min(one.loop_seconds for one in runs)
        between = statistics.median(one.between_seconds for one in runs)
        whole = statistics.median(one.seconds for one in runs)
        kilobytes = statistics.median(sum(one.sizes) for one in runs) / 1024
        connections = statistics.median(one.connections for one in runs)
        cells = [
            f"{loop:.2f}",
            f"{best:.2f}",
            f"{1000 * between:.0f}",
            f"{whole:.2f}",
            f"{kilobytes:.0f}",
            f"{connections:g}",
        ]
        rows.append([case.label, *cells])
    head = ["", "tool loop, s", "best", "between two turns, ms", "whole run, s", "sent, KB", "connections"]
    round_trip = f"{1000 * ROUND_TRIP_SECONDS:g} ms of round trip"
    text = f"{TURNS} turns, {round_trip}, {model_seconds:g} s for each answer; medians."
    return f"{text}\n\n{table(head, rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("codex")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model-seconds", type=float, default=0.0, help="until the model has answered")
    options = parser.parse_args()
    print(shown(run(measured(options.codex, options.rounds, options.model_seconds)), options.model_seconds))


if __name__ == "__main__":
    main()
