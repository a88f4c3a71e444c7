"""Decide whether an edit would send a stored secret to an address other than the one it was saved with."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from switchyard.faults import Fault, child, shown
from switchyard.relay.urls import request_url, sibling_urls
from switchyard.settings import DIRECT, Upstream
from switchyard.web.editing import KEPT
from switchyard.web.settings_view import key_view

ANY_MODEL = "m"


def moved_secrets(stored: Upstream, edited: Upstream, sent: dict[str, Any]) -> tuple[Fault, ...]:
    """The secrets that were not entered again, if the edited entry would send them elsewhere."""
    if not _goes_elsewhere(stored, edited):
        return ()
    return tuple(
        Fault(path, "the value again, as a stored one goes only to the base URL it was saved with")
        for path in _kept(edited, sent)
    )


def unsaved_name(saved: Sequence[Upstream], edited: Upstream) -> tuple[Fault, ...]:
    """The variable or keychain entry that holds the key, unless the file has the same name for the same address.

    Looking it up for a test would send any key of this machine to any address.
    """
    known = {one.key for entry in saved if not _goes_elsewhere(entry, edited) for one in entry.accounts}
    return tuple(
        Fault(path, "a name that is saved with this base URL; save the entry first, then test it", shown(key))
        for path, key in _keys(edited)
        if key_view(key)["kind"] in ("env", "keyring") and key not in known
    )


def _keys(upstream: Upstream) -> Iterator[tuple[str, str]]:
    """Each key with its path."""
    if not upstream.keys:
        yield "key", upstream.key
    for index, key in enumerate(upstream.keys):
        yield f"keys[{index}]", key


def _kept(edited: Upstream, sent: dict[str, Any]) -> Iterator[str]:
    """The paths of secrets that the edit keeps as stored. Names of variables are not secrets."""
    entered_keys = sent.get("keys", []) if edited.keys else [sent.get("key")]
    for place, (path, key) in enumerate(_keys(edited)):
        entered_key = entered_keys[place] if place < len(entered_keys) else None
        if not isinstance(entered_key, str) and key_view(key)["kind"] == "literal":
            yield path
    entered = sent.get("headers")
    for name, value in edited.headers.items():
        if value and (not isinstance(entered, dict) or entered.get(name) is KEPT):
            yield child("headers", name, quoted=True)


def _goes_elsewhere(stored: Upstream, edited: Upstream) -> bool:
    """True if a third party would see the key: another address, another host behind it, or others read along.

    A test of the stored entry tries its address in several forms, which count as the same address.
    """
    if edited.is_demo:
        return False
    there = replace(edited, base_url=stored.base_url)
    url = request_url(edited, ANY_MODEL)
    if url != request_url(there, ANY_MODEL) and url not in sibling_urls(there, ANY_MODEL):
        return True
    is_open = not url.startswith("https:") or not edited.tls.verify
    reads_along = edited.proxy not in ("", DIRECT, stored.proxy) and is_open
    stops_checking = stored.tls.verify and not edited.tls.verify
    return reads_along or stops_checking or _host_header(edited) != _host_header(stored)


def _host_header(upstream: Upstream) -> str:
    return next((value for name, value in upstream.headers.items() if name.lower() == "host"), "")
