"""Examine the daemon: Python, the data folder, its lock, the settings file, the port."""

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

from switchyard.doctor.finding import Finding, Patient
from switchyard.installation import own_command
from switchyard.settings import SettingsError
from switchyard.store.files import PRIVATE_FILE, PRIVATE_FOLDER, is_missing
from switchyard.store.lock import holder_of
from switchyard.store.settings_file import SettingsFile

PROBE_SECONDS = 3


def examine_python(patient: Patient) -> list[Finding]:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036
        return [Finding("fault", "Python", f"{version} is too old", "Install Python 3.11 or newer.")]
    return [Finding("ok", "Python", version)]


def examine_folder(patient: Patient) -> list[Finding]:
    """The settings file, and that nobody else can read the keys in it."""
    settings_file = SettingsFile(patient.data)
    if is_missing(settings_file.path):
        text = f"{settings_file.path} is not there yet; the first start writes it"
        return [Finding("ok", "Settings", text)]
    try:
        settings_file.load(create=False)
    except SettingsError as error:
        fix = f"Correct it in an editor; every fault: {own_command('check')} ({settings_file.path})"
        return [Finding("fault", "Settings", str(fault), fix) for fault in error.faults]
    count = len(settings_file.settings.upstreams)
    found = [Finding("ok", "Settings", f"{settings_file.path} is valid, {count} upstreams")]
    found += [Finding("warning", "Settings", warning) for warning in settings_file.warnings]
    return found + _rights(patient)


def _rights(patient: Patient) -> list[Finding]:
    if os.name == "nt":
        return []
    found = []
    for path, mode in (
        (patient.data, PRIVATE_FOLDER),
        (SettingsFile(patient.data).path, PRIVATE_FILE),
    ):
        now = stat.S_IMODE(path.stat().st_mode)
        if now & 0o077:
            text = f"{path} can be read by other users of this machine"
            fix = f"chmod {mode:o} {path}"
            found.append(Finding("warning", "Settings", text, fix, partial(os.chmod, path, mode)))
    return found


def examine_port(patient: Patient) -> list[Finding]:
    """Free, ours or somebody else's; and whether the daemon of this folder runs."""
    holder = holder_of(patient.data)
    who = health((holder and holder.address) or _address(patient))
    place = f"port {patient.port}"
    if holder is not None:
        running = f"runs (process {holder.pid or 'unknown'}) at {holder.address or 'an unknown address'}"
        if who is None and holder.address:
            return [Finding("fault", "Daemon", f"{running}, but does not answer", "Restart it.")]
        return [Finding("ok", "Daemon", running)]
    if who == "switchyard":
        text = f"{place} is served by a Switchyard with another data folder"
        return [Finding("warning", "Daemon", text, "Name its folder with --data, or another --port.")]
    problem = _bind_problem(patient.host, patient.port)
    if problem:
        text = f"{place} is taken by another program" if problem == "taken" else f"{place}: {problem}"
        return [Finding("fault", "Daemon", text, "Stop that program, or choose another port with --port.")]
    return [Finding("warning", "Daemon", f"does not run; {place} is free", f"Start it: {own_command()}")]


def health(address: str) -> str | None:
    """What answers at the address: "switchyard", "something else", or None if nothing speaks HTTP there."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 0
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # who is there is all that is asked; a certificate of one's own is no reason not to answer that
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


def _address(patient: Patient) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(patient.host, patient.host)
    scheme = urlsplit(patient.address).scheme
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{patient.port}"


def _bind_problem(host: str, port: int) -> str:
    """Why the port cannot be listened on; "" if it can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return "taken" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
    return ""
