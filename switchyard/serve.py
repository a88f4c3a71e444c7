"""Run the daemon: lock the data folder, bind, print the banner, serve until stopped, shut down cleanly."""

import asyncio
import contextlib
import errno
import gc
import secrets
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from uvicorn.config import Config
from uvicorn.server import Server

from switchyard.application import Application
from switchyard.banner import banner
from switchyard.connections import Limits, bounded, prepare_handles, sweep
from switchyard.daemon_address import client_address
from switchyard.faults import SettingsError
from switchyard.installation import own_command
from switchyard.logs import Logs
from switchyard.memory import return_memory, tune_allocator
from switchyard.protocols.late_pattern import compile_all
from switchyard.store.files import (
    REMEDIES,
    NotAFile,
    ensure_folder,
    make_private,
    read_or_none,
    remove_leftovers,
    write_whole,
)
from switchyard.store.lock import DataFolderLock, LockedError
from switchyard.store.settings_file import SettingsFile
from switchyard.web.guard import SECURITY_HEADERS, is_loopback

GRACE_SECONDS = 10
REPORT_SECONDS = 2
PREPARE_AFTER_SECONDS = 2.0
TICK_SECONDS = 1.0
"""how often the date of the responses is updated"""
FIRST_OPEN_PORT = 1024
"""from here on no rights are needed"""
BACKLOG = 2048
SHORTEST_TOKEN = 16
GARBAGE_THRESHOLD = 20_000
SWITCH_SECONDS = 0.001
"""the longest time that a thread converting a large body delays the streams"""


class CannotServe(Exception):
    """One sentence with the remedy."""


class PortTaken(CannotServe):
    """Another program listens on the port."""


class Options(msgspec.Struct, frozen=True):
    host: str
    port: int
    data: Path
    static: Path
    cert: str = ""
    cert_key: str = ""

    @property
    def scheme(self) -> str:
        return "https" if self.cert else "http"

    @property
    def url(self) -> str:
        """The address for clients."""
        return client_address(self.host, self.port, has_tls=bool(self.cert))


def serve(options: Options) -> int:
    """Run the daemon; returns 0 after a clean end. Raises CannotServe."""
    settings_file = _prepared_folder(options)
    lock = DataFolderLock(options.data)
    try:
        lock.acquire(options.url)
    except LockedError as held:
        raise CannotServe(str(held)) from None
    except OSError as error:
        raise CannotServe(_folder_problem(options.data, error)) from None
    try:
        remove_leftovers(options.data)
        _load(settings_file)
        token = _admin_token(options, settings_file)
        return _run(options, settings_file, token)
    finally:
        lock.release()


def _prepared_folder(options: Options) -> SettingsFile:
    try:
        ensure_folder(options.data)
    except OSError as error:
        raise CannotServe(_folder_problem(options.data, error)) from None
    return SettingsFile(options.data)


def _folder_problem(folder: Path, error: OSError) -> str:
    if isinstance(error, NotAFile):
        return f"{error.filename} is {error.strerror}."
    if error.errno in REMEDIES:
        return f"the data folder {folder} cannot be used, {REMEDIES[error.errno]}."
    why = error.strerror or str(error)
    return f"the data folder {folder} cannot be used ({why}); correct its permissions or choose another with --data."


def _load(settings_file: SettingsFile) -> None:
    try:
        settings_file.load()
    except OSError as error:
        raise CannotServe(_folder_problem(settings_file.folder, error)) from None
    except SettingsError as error:
        lines = "\n  ".join((*error.lines(), settings_file.earlier_versions)).rstrip()
        raise CannotServe(
            f"{settings_file.path} is not usable; correct it (`{own_command('check')}` reports the same):\n  {lines}"
        ) from None


def _admin_token(options: Options, settings_file: SettingsFile) -> str:
    """Where other users can connect, everyone needs a key: clients one of `client_keys`, the dashboard this token.

    This applies beyond loopback, and on shared machines, where the user creates the token's file, which may be empty.
    """
    path = options.data / "admin_token"
    if is_loopback(options.host) and not path.exists():
        return ""
    if not settings_file.settings.client_keys:
        why = (
            f"{path} requires a key for every connection"
            if is_loopback(options.host)
            else f"listening on {options.host} exposes your upstream keys to the network"
        )
        remedy = "remove that file" if is_loopback(options.host) else "listen on 127.0.0.1"
        raise CannotServe(f"{why}; add `client_keys` to the settings first, or {remedy}.")
    try:
        token = (read_or_none(path) or b"").decode("ascii", "ignore").strip()
        if len(token) < SHORTEST_TOKEN:
            token = secrets.token_urlsafe(24)
            write_whole(path, token.encode() + b"\n")
        make_private(path)
        return token
    except OSError as error:
        raise CannotServe(_folder_problem(options.data, error)) from None


def _run(options: Options, settings_file: SettingsFile, token: str) -> int:
    _check_certificate(options)
    tune_allocator()
    sockets = _bind(options)
    logs = Logs(options.data / "logs")
    own_names = frozenset({options.host.lower()}) - {"0.0.0.0", "::"}
    application = Application(
        settings_file,
        options.data,
        options.static,
        dashboard=f"{options.url}/",
        own_names=own_names,
        admin_token=token,
        listening=[one.getsockname()[:2] for one in sockets],
    )
    # if standard output is not a terminal, it may be a log that others can read
    shown = token if sys.stdout.isatty() or not token else f"(see {options.data / 'admin_token'})"

    def greet() -> None:
        # if standard output goes to a full disk, the daemon still serves
        with contextlib.suppress(OSError):
            print(banner(application, options.url, shown, colour=sys.stdout.isatty()), flush=True)

    config = server_config(application, options, Limits(connections=prepare_handles()))
    logs.start()
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(application, _QuietServer(config), sockets, greet))
    finally:
        logs.stop()
    return 0


def server_config(application: Application, options: Options, limits: Limits) -> Config:
    return Config(
        application.asgi,
        http=bounded(limits),
        interface="asgi3",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=SECURITY_HEADERS,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=options.cert or None,
        ssl_keyfile=options.cert_key or None,
    )


def _check_certificate(options: Options) -> None:
    if not options.cert:
        return
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.cert, options.cert_key, _passphrase)
    except _NeedsPassphrase:
        raise CannotServe(
            f"the key {options.cert_key} has a passphrase; create a copy without one with "
            f"`openssl pkey -in {options.cert_key} -out NEW` and use that."
        ) from None
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror or error
        raise CannotServe(
            f"the certificate {options.cert} and key {options.cert_key} cannot be used ({why}); "
            "--cert needs a certificate and --cert-key its private key, both in PEM format."
        ) from None


class _NeedsPassphrase(Exception):
    """The daemon may start with the session, where no one can enter it."""


def _passphrase() -> str:
    raise _NeedsPassphrase


class _QuietServer(Server):
    """Signals are handled here: the process ends with 0, not by the signal.

    It does not wake up ten times a second to check whether to stop: `leave` notifies it.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """The first call ends the server after its running responses, the second at once."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._leaving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), TICK_SECONDS)


async def _serve(
    application: Application, server: _QuietServer, sockets: list[socket.socket], greet: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()

    def leave() -> None:
        server.leave()
        application.leave()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, leave)
        except NotImplementedError:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(leave))
    await application.start()
    tune_interpreter()
    sweeping = asyncio.create_task(sweep(server.server_state.connections, Limits().sweep_seconds))
    dependencies = application.dependencies
    returning = asyncio.create_task(return_memory(dependencies.messages.sweep, dependencies.answers.pack))
    preparing = asyncio.create_task(_prepare_later(application))
    try:
        greet()  # after the ledger is read, which knows the spent budgets
        await server.serve(sockets=sockets)
        if server.force_exit:
            await _break_off(server.server_state.tasks)
    finally:
        sweeping.cancel()
        returning.cancel()
        preparing.cancel()
        await application.stop()


async def _prepare_later(application: Application) -> None:
    """The first requests come first."""
    await asyncio.sleep(PREPARE_AFTER_SECONDS)
    with contextlib.suppress(
        OSError, ImportError
    ):  # without free file handles it is imported when it is needed
        await asyncio.to_thread(application.import_rest)
    await asyncio.to_thread(compile_all)


async def _break_off(answers: set[asyncio.Task[None]]) -> None:
    """After a second signal: stop waiting, and report the end to every client."""
    running = list(answers)
    for answer in running:
        answer.cancel("the daemon ends at once")
    if running:
        await asyncio.wait(running, timeout=REPORT_SECONDS)


def tune_interpreter() -> None:
    """Objects that exist at the start stay: the garbage collector need not scan them again every few requests."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 50)
    sys.setswitchinterval(SWITCH_SECONDS)


def _bind(options: Options) -> list[socket.socket]:
    """The sockets to listen on: on loopback both families, as `localhost` may mean either."""
    if options.host not in ("127.0.0.1", "localhost"):
        return [_socket(options.host, options.port)]
    sockets = [_socket("127.0.0.1", options.port)]
    if socket.has_ipv6:
        try:
            sockets.append(_socket("::1", options.port))
        except PortTaken:
            # another listener there would receive what clients send to `localhost`
            sockets[0].close()
            raise
        except CannotServe:
            pass  # a machine without IPv6
    return sockets


def _socket(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotServe(f"--host {host} is not an address of this machine ({error.strerror}).") from None
    try:
        if sys.platform == "win32":
            # https://learn.microsoft.com/windows/win32/winsock/using-so-reuseaddr-and-so-exclusiveaddruse
            found.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind(address)
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        raise _bind_problem(host, port, error) from None
    found.set_inheritable(False)
    return found


def _bind_problem(host: str, port: int, error: OSError) -> CannotServe:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"port {port} on {host} is in use; stop the other program or choose another port with --port."
        )
    if error.errno == errno.EACCES and port >= FIRST_OPEN_PORT:
        # https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2 (WSAEACCES)
        return CannotServe(
            f"port {port} is reserved by the system, or another program has it for itself; choose another one with "
            "--port. On Windows, `netsh interface ipv4 show excludedportrange protocol=tcp` lists the reserved ones."
        )
    if error.errno == errno.EACCES:
        return CannotServe(f"port {port} needs administrator rights; choose one above 1023 with --port.")
    return CannotServe(f"cannot listen on {host}:{port} ({error.strerror}); choose another --host or --port.")
