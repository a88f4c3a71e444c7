"""Check the daemon: Python, the data folder, its lock, the settings file, the port."""

import errno
import http.client
import os
import platform
import socket
import ssl
import stat
import sys
from functools import partial
from urllib.parse import urlsplit

import msgspec

from switchyard.doctor.finding import DoctorInputs, Finding
from switchyard.faults import SettingsError
from switchyard.installation import own_command
from switchyard.plural import plural
from switchyard.store.files import PRIVATE_FILE, PRIVATE_FOLDER, is_missing
from switchyard.store.lock import holder_of
from switchyard.store.settings_file import SettingsFile

PROBE_SECONDS = 3


def examine_python(inputs: DoctorInputs) -> list[Finding]:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036
        return [Finding("fault", "Python", f"{version} is too old", "Install Python 3.11 or newer.")]
    return [Finding("ok", "Python", version)]


def examine_folder(inputs: DoctorInputs) -> list[Finding]:
    """The settings file, and whether other users can read the keys in it."""
    settings_file = SettingsFile(inputs.data)
    if is_missing(settings_file.path):
        text = f"{settings_file.path} does not exist yet; the first start creates it"
        return [Finding("ok", "Settings", text)]
    try:
        settings_file.load(create=False)
    except SettingsError as error:
        fix = f"Correct it in an editor; for all errors: {own_command('check')} ({settings_file.path})"
        return [Finding("fault", "Settings", str(fault), fix) for fault in error.faults]
    count = len(settings_file.settings.upstreams)
    found = [Finding("ok", "Settings", f"{settings_file.path} is valid, {plural(count, 'upstream')}")]
    found += [Finding("warning", "Settings", warning) for warning in settings_file.warnings]
    return found + _rights(inputs)


def _rights(inputs: DoctorInputs) -> list[Finding]:
    if os.name == "nt":
        return []
    found = []
    for path, mode in (
        (inputs.data, PRIVATE_FOLDER),
        (SettingsFile(inputs.data).path, PRIVATE_FILE),
    ):
        now = stat.S_IMODE(path.stat().st_mode)
        if now & 0o077:
            text = f"{path} can be read by other users of this machine"
            fix = f"chmod {mode:o} {path}"
            found.append(Finding("warning", "Settings", text, fix, partial(os.chmod, path, mode)))
    return found


def examine_port(inputs: DoctorInputs) -> list[Finding]:
    """Whether the port is free, used by Switchyard or by another program; and whether this folder's daemon runs."""
    holder = holder_of(inputs.data)
    responder = health((holder and holder.address) or _address(inputs))
    place = f"port {inputs.port}"
    if holder is not None:
        running = (
            f"is running (process {holder.pid or 'unknown'}) at {holder.address or 'an unknown address'}"
        )
        if responder is None and holder.address:
            return [Finding("fault", "Daemon", f"{running}, but does not answer", "Restart it.")]
        return [Finding("ok", "Daemon", running)]
    if responder == "switchyard":
        text = f"{place} is served by a Switchyard with another data folder"
        return [
            Finding("warning", "Daemon", text, "Choose its folder with --data, or another port with --port.")
        ]
    problem = _bind_problem(inputs.host, inputs.port)
    if problem:
        text = f"{place} is in use by another program" if problem == "taken" else f"{place}: {problem}"
        return [Finding("fault", "Daemon", text, "Stop that program, or choose another port with --port.")]
    return [Finding("warning", "Daemon", f"is not running; {place} is free", f"Start it: {own_command()}")]


def health(address: str) -> str | None:
    """What responds at the address: "switchyard", "something else", or None if nothing speaks HTTP there."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 0
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # this only checks which program responds, so a self-signed certificate is accepted
        connection = http.client.HTTPSConnection(
            host, port, timeout=PROBE_SECONDS, context=_any_certificate()
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/health")
        answer = msgspec.json.decode(connection.getresponse().read(10_000))
    except (OSError, http.client.HTTPException):
        return None
    except msgspec.DecodeError:
        return "something else"
    finally:
        connection.close()
    is_ours = isinstance(answer, dict) and {"version", "revision", "faults"} <= answer.keys()
    return "switchyard" if is_ours else "something else"


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _address(inputs: DoctorInputs) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(inputs.host, inputs.host)
    scheme = urlsplit(inputs.address).scheme
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{inputs.port}"


def _bind_problem(host: str, port: int) -> str:
    """Why the port cannot be bound; "" if it can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return "taken" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
    return ""
