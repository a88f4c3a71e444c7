"""Blank the secrets of a settings document, for exports and for comparing versions."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec

from switchyard.relay.redaction import masked_url
from switchyard.settings import Settings
from switchyard.unknown_fields import without_unknown
from switchyard.web.settings_view import key_view

Document = dict[str, Any]
Blank = Callable[[Any], str]


def nothing(secret: object) -> str:
    """For an export: to be filled in again."""
    return ""


def mark(salt: bytes) -> Blank:
    """For a comparison: equal secrets get equal marks, which reveal nothing else."""

    def blank(secret: Any) -> str:
        content = secret.encode() if isinstance(secret, str) else msgspec.json.encode(secret)
        return f"(not shown {blake2b(content, key=salt, digest_size=3).hexdigest()})"

    return blank


def without_secrets(document: Document, blank: Blank) -> Document:
    shown: Document = without_unknown(Settings, document, blank)
    if isinstance(shown.get("upstreams"), list):
        shown["upstreams"] = [
            _entry(entry, blank) if isinstance(entry, dict) else entry for entry in shown["upstreams"]
        ]
    if isinstance(shown.get("notify"), dict):
        shown["notify"] = _notify(shown["notify"], blank)
    if isinstance(document.get("client_keys"), dict):
        blanked = {blank(key): label for key, label in document["client_keys"].items()}
        shown["client_keys"] = {key: label for key, label in blanked.items() if key}
    return shown


def _notify(notify: Document, blank: Blank) -> Document:
    """Without the address and the arguments of the command, which often hold a token."""
    shown = dict(notify)
    if notify.get("url"):
        shown["url"] = blank(notify["url"])
    if isinstance(notify.get("command"), list):
        shown["command"] = [*notify["command"][:1], *map(blank, notify["command"][1:])]
    return shown


def _entry(entry: Document, blank: Blank) -> Document:
    shown = dict(entry)
    if "key" in entry:
        shown["key"] = _key(entry["key"], blank)
    if isinstance(entry.get("keys"), list):
        shown["keys"] = [_key(key, blank) for key in entry["keys"]]
    if isinstance(entry.get("headers"), dict):
        shown["headers"] = {name: blank(str(value)) for name, value in entry["headers"].items()}
    for name in ("proxy", "base_url"):
        if isinstance(entry.get(name), str):
            shown[name] = masked_url(entry[name])
    return shown


def _key(key: Any, blank: Blank) -> Any:
    """Names of variables and keychain entries are no secrets."""
    return blank(key) if isinstance(key, str) and key_view(key)["kind"] == "literal" else key
