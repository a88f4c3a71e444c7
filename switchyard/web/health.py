"""Answer `/health`, without the dashboard: a check every minute must not import it, nor fail after an update."""

import msgspec

from switchyard import VERSION
from switchyard.store.settings_file import SettingsFile
from switchyard.web.asgi import Scope, Send, respond

PATH = "/health"
METHODS = ("GET", "HEAD")
HEADERS = [("content-type", "application/json"), ("cache-control", "no-store")]


async def answer_health(settings_file: SettingsFile, uptime_seconds: float, scope: Scope, send: Send) -> None:
    """The daemon runs, and how many errors its settings file has."""
    body = {
        "status": "ok",
        "version": VERSION,
        "uptime_seconds": round(uptime_seconds, 1),
        "revision": settings_file.revision,
        "faults": len(settings_file.faults),
    }
    await respond(send, 200, HEADERS, msgspec.json.encode(body), is_head=scope["method"] == "HEAD")
