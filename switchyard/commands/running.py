"""Query the daemon that uses the data folder: it knows more than the files."""

import http.client
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from switchyard.store.files import read_or_none
from switchyard.store.lock import holder_of

PATIENCE_SECONDS = 3
MAX_ANSWER_BYTES = 16 * 1024 * 1024


def explained_by_daemon(folder: Path, path: str, query: dict[str, str]) -> dict[str, Any] | None:
    """The API's response to this GET; None if no daemon uses the folder, or it does not respond."""
    holder = holder_of(folder)
    if holder is None or not holder.address:
        return None
    connection = _connection(holder.address)
    try:
        token = (read_or_none(folder / "admin_token") or b"").decode().strip()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        connection.request("GET", f"{path}?{urlencode(query)}", headers=headers)
        answer = connection.getresponse()
        content = answer.read(MAX_ANSWER_BYTES)
        return msgspec.json.decode(content, type=dict[str, Any]) if answer.status == 200 else None
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
