"""Start the measured programs on free ports, and stop them afterwards."""

import asyncio
import contextlib
import io
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import processes
from load import ask_again, call
from traffic import MODEL, Target

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = ROOT / ".cache" / "peers"
"""the programs that peers.py installs"""
START_SECONDS = 120
STOP_SECONDS = 15
ASKED = "claude-bench"
"""the requested model on the passthrough route; a rule renames it"""
CONVERTED = "chat-bench"
SWITCHYARD = "Switchyard"
EARLIER = f"{SWITCHYARD} 0.1.0"
EARLIER_COMMIT = "0f4c523a"
"""the last one of version 0.1.0"""

NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 100m;
    keepalive_requests 1000000;
    upstream plain {{ server 127.0.0.1:{upstream}; keepalive 2048; keepalive_requests 1000000; }}
    upstream busy {{ server 127.0.0.1:{busy}; keepalive 2048; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_buffering off;
        proxy_request_buffering off;
        location / {{ proxy_pass http://plain; }}
        location /busy/ {{ proxy_pass http://busy/; }}
    }}
}}
"""


@dataclass
class Upstream:
    """The fake upstream, and its controls."""

    port: int

    async def look(self, count: int = 100, delay_ms: float = 0, batch: int = 0) -> None:
        await call(self.port, f"/_control?count={count}&delay_ms={delay_ms:g}&batch={batch}")

    async def cut(self) -> None:
        await call(self.port, "/_control?cut=1")

    async def counter(self, name: str) -> int:
        counters = await call(self.port, "/_counters", "GET")
        return int(counters[name])


@dataclass
class Stage:
    """The folder, the cores and the programs of a measurement. Use it as a context manager."""

    pinned: bool = True
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="switchyard-bench-")))
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def is_pinned(self) -> bool:
        return self.pinned and (os.cpu_count() or 1) > 1

    def __enter__(self) -> "Stage":
        if self.is_pinned:
            os.sched_setaffinity(0, {self.load_core})
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started):
            self.end(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def load_core(self) -> int:
        return (os.cpu_count() or 1) - 1

    def start(self, command: Sequence[str], *, on_load_core: bool = False) -> subprocess.Popen[bytes]:
        core = self.load_core if on_load_core else 0
        log = (self.folder / "output.txt").open("ab")
        environment = {**os.environ, "HOME": str(self.folder)}
        # with it, every start compiles each module that has no compiled file yet
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        process = subprocess.Popen(
            [*_pinned(core), *command] if self.is_pinned else command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Stop a program that this stage started, with its descendants."""
        if process in self._started:
            self._started.remove(process)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            try:
                process.wait(STOP_SECONDS)
                return
            except subprocess.TimeoutExpired:
                continue

    # --- the programs ---

    async def upstream(self, port: int = 0) -> Upstream:
        port = port or free_port()
        process = self.start(
            [sys.executable, str(HERE / "upstream.py"), "--port", str(port)], on_load_core=True
        )
        await self.listening(process, port)
        return Upstream(port)

    async def floor(self, upstream: Upstream) -> Target:
        port = free_port()
        command = [sys.executable, str(HERE / "floor.py"), f"http://127.0.0.1:{upstream.port}", str(port)]
        process = self.start(command)
        await self.listening(process, port)
        return Target("Starlette + httpx", f"http://127.0.0.1:{port}", root=process.pid)

    async def nginx(self, upstream: Upstream, busy: Upstream | None = None) -> Target | None:
        """None if it is not installed."""
        program = nginx_program()
        if program is None:
            return None
        port, folder = free_port(), self.folder / "nginx"
        folder.mkdir()
        user = "user root;" if os.geteuid() == 0 else ""
        other = (busy or upstream).port
        text = NGINX.format(user=user, folder=folder, port=port, upstream=upstream.port, busy=other)
        (folder / "nginx.conf").write_text(text)
        process = self.start([str(program), "-p", str(folder), "-c", str(folder / "nginx.conf")])
        await self.listening(process, port)
        return Target("nginx", f"http://127.0.0.1:{port}", root=process.pid)

    async def switchyard(
        self, document: dict[str, Any], data: Path | None = None, model: str = ASKED, code: Path = ROOT
    ) -> "Daemon":
        data = data or self.folder / f"data-{free_port()}"
        daemon = Daemon(self, data, free_port(), model, code, SWITCHYARD if code == ROOT else EARLIER)
        daemon.data.mkdir(exist_ok=True)
        (daemon.data / "all_configs.json").write_bytes(msgspec.json.encode(document))
        await daemon.start()
        return daemon

    async def earlier(self, document: dict[str, Any]) -> "Daemon | None":
        """Version 0.1.0 from the history of this repository; None in a copy without the history."""
        command = ["git", "-C", str(ROOT), "archive", EARLIER_COMMIT]
        packed = subprocess.run(command, capture_output=True)
        if packed.returncode:
            return None
        code = self.folder / EARLIER_COMMIT
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(code, filter="data")
        return await self.switchyard(document, code=code)

    async def listening(self, process: subprocess.Popen[bytes], port: int) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            if process.poll() is not None:
                break
            await asyncio.sleep(0.02)
        raise SystemExit(f"{process.args!r} did not start:\n{self.output()}")

    def output(self) -> str:
        """The last output of the programs."""
        return (self.folder / "output.txt").read_text(errors="replace")[-2000:]


@dataclass
class Daemon:
    """Switchyard with a temporary data folder."""

    stage: Stage
    data: Path
    port: int
    model: str = ASKED
    """a model that an upstream serves"""
    code: Path = ROOT
    name: str = SWITCHYARD
    process: subprocess.Popen[bytes] | None = None
    seconds_to_answer: float = math.nan

    async def start(self) -> None:
        """Start it, and poll it until it answers."""
        began = time.perf_counter()
        command = [sys.executable, str(self.code / "app.py"), "--no-install"]
        self.process = self.stage.start([*command, "--port", str(self.port), "--data", str(self.data)])
        while (await ask_again(self.target(self.model), 1, 30, limit=1)).answers == 0:
            if self.process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                raise SystemExit(f"Switchyard did not answer:\n{self.stage.output()}")
            await asyncio.sleep(0.002)
        self.seconds_to_answer = time.perf_counter() - began

    def target(self, model: str = ASKED, does: str = "") -> Target:
        root = None if self.process is None else self.process.pid
        return Target(f"{self.name}{does}", f"http://127.0.0.1:{self.port}", model=model, root=root)

    def converting(self) -> Target:
        return self.target(CONVERTED, ", converting")

    def pids(self) -> list[int]:
        assert self.process is not None
        return processes.tree(self.process.pid)

    def stop(self) -> None:
        assert self.process is not None
        self.stage.end(self.process)


def settings(upstream: Upstream, *, upstreams: int = 20, rules: int = 30) -> dict[str, Any]:
    """The settings of a busy user: many upstreams and rules, two of which the measured requests use."""
    url = f"http://127.0.0.1:{upstream.port}"
    measured = [
        entry("passthrough", url, "messages", [MODEL]),
        entry("converted", url, "chat", [CONVERTED]),
    ]
    others = [
        entry(f"upstream {number}", f"https://upstream-{number}.invalid", *_kind(number))
        for number in range(max(0, upstreams - 2))
    ]
    renamings = [
        {"from": f"some-model-{number}*", "to": f"other-model-{number}"}
        for number in range(max(0, rules - 1))
    ]
    half = len(others) // 2
    return {
        "upstreams": [*others[:half], *measured, *others[half:]],
        "model_rules": [*renamings, {"from": ASKED, "to": MODEL}],
        "prices": {MODEL: {"input": 3, "output": 15}, CONVERTED: {"input": 1, "output": 4}},
    }


def entry(name: str, url: str, protocol: str, models: list[str]) -> dict[str, Any]:
    return {"name": name, "base_url": url, "key": f"sk-of-{name}", "protocol": protocol, "models": models}


def _kind(number: int) -> tuple[str, list[str]]:
    protocol = ("messages", "chat", "responses")[number % 3]
    return protocol, [f"model-{number}", f"family-{number}-*"]


def named_peer(target: Target) -> Target:
    """A peer with its process, if it runs on this machine."""
    return replace(target, root=processes.listener(target.port))


def nginx_program() -> Path | None:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    unpacked = PEERS / "nginx" / "usr" / "sbin" / "nginx"
    return Path(found) if found else unpacked if unpacked.exists() else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pinned(core: int) -> Iterator[str]:
    return iter(("taskset", "-c", str(core)))
