"""The daemon as users run it: `python app.py` as a separate process, on a temporary data folder."""

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import IO, Any, Self, cast
from urllib.parse import urlsplit

from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.processes import killed_at_end

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT", "TZ")

Document = dict[str, Any]


def upstream(name: str, url: str, protocol: str = "messages", **more: Any) -> Document:
    """One entry of the settings file, with a key that identifies it."""
    return {"name": name, "base_url": url, "key": f"sk-of-{name}", "protocol": protocol, **more}


def settings(*upstreams: Document, **more: Any) -> Document:
    """A settings file whose failures end at once, unless `failover` sets how long a request is held."""
    failover = {"hold_seconds": 0, **more.pop("failover", {})}
    return {"upstreams": list(upstreams), "failover": failover, **more}


def holding_settings(*upstreams: Document, **more: Any) -> Document:
    """A settings file with the default hold."""
    return {"upstreams": list(upstreams), **more}


class Daemon:
    """`with Daemon(folder, settings) as daemon:` runs it, and requires a clean end without a traceback."""

    def __init__(
        self,
        folder: Path,
        document: Document | None = None,
        environment: dict[str, str] | None = None,
        root: Path = ROOT,
    ):
        self._root = root
        self.data = folder / "data"
        self.home = folder / "home"
        reserved = _reservation()
        weakref.finalize(self, reserved.close)
        self.port = _port_of(reserved)
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._output = folder / "output.txt"
        self.home.mkdir(parents=True, exist_ok=True)
        if document is not None:
            self.write_settings(document)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._process is None:
            return
        if kind is None:
            self.stop()
        else:
            self.kill()

    # --- running ---------------------------------------------------------------

    def start(self, *arguments: str, wait: bool = True) -> None:
        self._process = self.spawn(*arguments, output=self._output.open("ab"))
        if wait:
            self._await_readiness()

    def spawn(self, *arguments: str, output: IO[bytes] | int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """A process with the same data folder and port, unless the arguments override them."""
        command = [sys.executable, str(self._root / "app.py"), "--no-install"]
        command += ["--port", str(self.port), "--data", str(self.data), *arguments]
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"HOME": str(self.home), "PYTHONUNBUFFERED": "1", **self._environment}
        try:
            return subprocess.Popen(
                command,
                cwd=self._root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        finally:
            if not isinstance(output, int):
                output.close()

    def command(self, *arguments: str) -> tuple[int, str]:
        """Run a sub-command on the same data folder; returns its exit code and its output."""
        with killed_at_end(self.spawn(*arguments)) as process:
            said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, said.decode()

    def stop(self) -> None:
        """Send SIGTERM, and check everything that belongs to a clean end."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"SIGTERM did not end the daemon within {PATIENCE_SECONDS:g} s:\n{self.output}"
            ) from None
        self._process = None
        assert "Traceback" not in self.output, self.output
        assert code == 0, f"exit code {code}:\n{self.output}"

    def kill(self) -> None:
        """kill -9."""
        process = self._running()
        process.kill()
        process.wait(PATIENCE_SECONDS)
        self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def output(self) -> str:
        """All output, over all its starts."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def processor_seconds(self) -> float:
        """The time that the processors have worked for it, or the time itself where only that is known."""
        path = Path(f"/proc/{self.pid}/stat")
        if not path.exists():
            return time.monotonic()
        user, system = path.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the daemon does not run"
        return self._process

    def _await_readiness(self) -> None:
        try:
            wait_until(self._is_ready, "an answer of the daemon")
        except AssertionError as late:
            self.kill()
            raise AssertionError(f"{late}:\n{self.output}") from None

    def _is_ready(self) -> bool:
        if self._running().poll() is not None:
            raise AssertionError(f"the daemon ended with {self._running().returncode}")
        try:
            return self.get("/health").status == 200
        except OSError:
            return False

    # --- requests ---------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, headers: dict[str, str] | None = None) -> "Response":
        return request(self.url, "GET", path, headers=headers)

    def post(
        self, path: str, document: Document | None = None, headers: dict[str, str] | None = None
    ) -> "Response":
        return request(self.url, "POST", path, document or {}, headers)

    def token_stats(self) -> Document:
        return self.get("/api/token-stats").json

    # --- its files -------------------------------------------------------------

    @property
    def settings_path(self) -> Path:
        return self.data / "all_configs.json"

    def write_settings(self, document: Document) -> None:
        """Like an editor: writes a temporary file and renames it over the old one."""
        self.data.mkdir(parents=True, exist_ok=True)
        temporary = self.settings_path.with_suffix(".tmp")
        temporary.write_text(json.dumps(document, indent=2))
        temporary.replace(self.settings_path)

    def change_settings(self, document: Document) -> None:
        """Write the settings, and wait until the daemon uses them."""
        before = self.get("/health").json["revision"]
        self.write_settings(document)
        wait_until(lambda: self.get("/health").json["revision"] != before, "the new settings")

    def journal(self) -> list[Document]:
        lines: list[Document] = []
        for path in sorted((self.data / "usage").glob("*.jsonl")):
            complete = path.read_text().rpartition("\n")[0]  # a line may be on its way just now
            lines += [cast(Document, json.loads(line)) for line in complete.split("\n") if line]
        return lines

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted((self.data / "logs").glob("*")))

    def all_written(self) -> str:
        """Everything the daemon has written or printed except the settings, for searches."""
        kept_out = {"all_configs.json", "history"}
        texts = self.texts().items()
        files = [text for path, text in texts if kept_out.isdisjoint(path.relative_to(self.data).parts)]
        return self.output + "".join(files)

    def texts(self) -> dict[Path, str]:
        """The content of each file of the data folder."""
        found: dict[Path, str] = {}
        for path in self.data.rglob("*"):
            if path.is_file():
                with suppress(FileNotFoundError):  # the daemon saves: a temporary file has just got its name
                    found[path] = path.read_text(errors="replace")
        return found


class Response:
    """A whole response."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def json(self) -> Document:
        return cast(Document, json.loads(self.body))

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def records(self) -> list[Document]:
        """The JSON of an event stream's events."""
        lines = [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]
        return [cast(Document, json.loads(line)) for line in lines if line != "[DONE]"]


def request(
    url: str,
    method: str,
    path: str,
    body: Document | bytes | None = None,
    headers: dict[str, str] | None = None,
    seconds: float = PATIENCE_SECONDS,
) -> Response:
    """One request on a new connection, with exactly the given headers (and those of JSON, for a document).

    Raises OSError, also if the connection ends within the response.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    own = {"content-type": "application/json"} if isinstance(body, dict) else {}
    octets = json.dumps(body).encode() if isinstance(body, dict) else body
    try:
        connection.request(method, path, octets, own | (headers or {}))
        answer = connection.getresponse()
        return Response(answer.status, answer.getheaders(), answer.read())
    except http.client.HTTPException as broken:
        raise ConnectionError(f"the answer is not whole: {broken!r}") from broken
    finally:
        connection.close()


PORTS = range(20_000, 32_000)
"""below those that systems choose from"""
_turns = itertools.count(SystemRandom().randrange(len(PORTS)))


_RESERVED: list[socket.socket] = []


def free_port() -> int:
    """One that no other listener, connection or test gets for as long as the tests run."""
    _RESERVED.append(_reservation())
    return _port_of(_RESERVED[-1])


def _reservation() -> socket.socket:
    """Of a port for TCP: the tests of all processes take the same one for UDP first, and keep it."""
    while True:
        address = "127.0.0.1", PORTS[next(_turns) % len(PORTS)]
        reserved = socket.socket(type=socket.SOCK_DGRAM)
        try:
            reserved.bind(address)
            with socket.socket() as probe:
                probe.bind(address)
            return reserved
        except OSError:
            reserved.close()


def _port_of(reserved: socket.socket) -> int:
    port: int = reserved.getsockname()[1]
    return port
