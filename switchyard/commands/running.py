"""Query the daemon that uses the data folder, which knows more than the files, or have it act."""

import http.client
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from switchyard.commands.command import CommandFailed
from switchyard.store.files import read_or_none
from switchyard.store.lock import holder_of

PATIENCE_SECONDS = 3
MAX_ANSWER_BYTES = 16 * 1024 * 1024

Json = dict[str, Any]


def explained_by_daemon(folder: Path, path: str, query: dict[str, str]) -> Json | None:
    """The API's response to this GET; None if no daemon uses the folder, or it does not respond."""
    status, answer = _call(folder, "GET", f"{path}?{urlencode(query)}") or (0, {})
    return answer if status == 200 else None


def done_by_daemon(folder: Path, path: str, body: Json) -> Json:
    """The API's response to this POST. Raises CommandFailed if no daemon responds, or with its error."""
    found = _call(folder, "POST", path, msgspec.json.encode(body))
    if found is None:
        raise CommandFailed(f"No running Switchyard with the data folder {folder} responds; start it first.")
    status, answer = found
    if status != 200:
        raise CommandFailed(str(answer.get("error", {}).get("message") or f"Switchyard returned {status}."))
    return answer


def _call(folder: Path, method: str, path: str, body: bytes | None = None) -> tuple[int, Json] | None:
    """Status and JSON of the response; None if no daemon uses the folder, or it does not respond."""
    holder = holder_of(folder)
    if holder is None or not holder.address:
        return None
    connection = _connection(holder.address)
    try:
        token = (read_or_none(folder / "admin_token") or b"").decode().strip()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers |= {"content-type": "application/json"} if body is not None else {}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, msgspec.json.decode(answer.read(MAX_ANSWER_BYTES), type=Json)
    except (OSError, ValueError, http.client.HTTPException, msgspec.MsgspecError):
        return None
    finally:
        connection.close()


def _connection(address: str) -> http.client.HTTPConnection:
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
    # the address comes from the private lock file; the certificate may be self-signed
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=PATIENCE_SECONDS, context=context)
