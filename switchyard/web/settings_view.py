"""Parts of the settings in the form of the dashboard's API; never a secret."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from switchyard.protocols.presets import Vendor, server_kind
from switchyard.relay.redaction import MASK, hidden_path, masked_url
from switchyard.relay.urls import request_url
from switchyard.settings import Notify, Upstream
from switchyard.unknown_fields import without_unknown
from switchyard.web.answers import Json


def entry_view(entry: Mapping[str, Any], upstream: Upstream) -> Json:
    """An entry of the file with its secrets blanked; `url` is the request URL."""
    view: Json = without_unknown(Upstream, dict(entry), lambda _: MASK)
    view["key"] = key_view(upstream.key)
    if upstream.keys:
        view["keys"] = [key_view(key) for key in upstream.keys]
    view["base_url"] = masked_url(upstream.base_url)
    view["url"] = (
        "demo:" if upstream.is_demo else masked_url(request_url(upstream, upstream.model or "MODEL"))
    )
    if upstream.headers:
        view["headers"] = dict.fromkeys(upstream.headers, True)
    if upstream.proxy:
        view["proxy"] = masked_url(upstream.proxy)
    return view


def vendor_view(vendor: Vendor) -> Json:
    """A preset of the form of a new upstream; its kind only where the address does not show it."""
    shown = bool(vendor.urls) and server_kind("auto", vendor.urls[0]) == vendor.kind
    return {
        "id": vendor.id,
        "title": vendor.title,
        "urls": vendor.urls,
        "protocol": vendor.protocol,
        "server": "auto" if shown or not vendor.kind else vendor.kind,
        "needs_key": vendor.needs_key,
        "key_prefix": vendor.key_prefix,
    }


def notify_view(notify: Notify) -> Json:
    """Where notifications go, without what may be a token."""
    return {
        "url": hidden_path(notify.url) if notify.url else "",
        "command": [*notify.command[:1], *(MASK for _ in notify.command[1:])],
        "on": list(notify.on),
    }


def key_id(key: str) -> str:
    """An identifier of a client key that does not reveal it."""
    return blake2b(key.encode(), digest_size=6).hexdigest()


def key_view(key: str) -> Json:
    """The kind of a key; the name of a variable or of a keychain entry is not a secret."""
    kind, colon, name = key.partition(":")
    if not key:
        return {"kind": "none"}
    if key == "client":
        return {"kind": "client"}
    if colon and kind in ("env", "keyring"):
        return {"kind": kind, "name": name}
    return {"kind": "literal"}
