"""Check every request before routing: its host name, and the page that it comes from."""

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, quote

import msgspec

from switchyard.settings import Settings
from switchyard.settings_validation import allowed_host, host_name
from switchyard.web.asgi import AsgiApp, Receive, Scope, Send, header, respond
from switchyard.web.cors import answer_preflight, is_preflight, serve_readable

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
COOKIE = "switchyard_admin"
REFUSAL_SECONDS = 0.5
"""delay after each wrong token"""
MAX_HOST_CHARS = 300
OWN_SITES = frozenset({"", "same-origin", "none"})
GUARDED = frozenset({b"host", b"origin", b"sec-fetch-site"})
"""the name of the server, and by which browsers state what page a request comes from"""
SECURITY_HEADERS = [
    (
        "content-security-policy",
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
]
"""for every response, including the server's own"""


class Guard:
    """Wraps the whole application. Refuses foreign host names (DNS rebinding) and foreign pages (cross-site calls).

    With an admin token (any bind beyond loopback), everything except the client endpoints needs it: as Bearer, or as
    the cookie that a visit with `?token=` sets.
    """

    def __init__(
        self,
        app: AsgiApp,
        settings: Callable[[], Settings],
        is_client_endpoint: Callable[[str, str], bool],
        own_names: frozenset[str] = frozenset(),
        admin_token: str = "",
    ) -> None:
        self._app = app
        self._settings = settings
        self._is_client_endpoint = is_client_endpoint
        self._own_names = LOCAL_NAMES | own_names
        self._admin_token = admin_token

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)

        allowed = self._allowed_origin(scope)
        reason = self._refusal(scope, allowed)
        if reason:
            return _refuse(403, "permission_error", reason, send)
        if allowed and is_preflight(scope):
            return answer_preflight(scope, allowed, send)
        if allowed:
            return serve_readable(self._admit, allowed, scope, receive, send)
        return self._admit(scope, receive, send)

    def _admit(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Beyond loopback, everything needs the admin token or a client key."""
        if self._admin_token and not self._is_client_endpoint(scope["method"], scope["path"]):
            return self._admit_admin(scope, receive, send)
        if self._admin_token and not self._settings().client_keys:
            reason = "`client_keys` is empty: requests from other machines are refused until it holds a key."
            return _refuse(401, "authentication_error", reason, send)
        return self._app(scope, receive, send)

    async def _admit_admin(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The dashboard beyond loopback: the token as Bearer or cookie; a visit with `?token=` sets the cookie."""
        visited = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token", "")
        if visited and same_secret(visited, self._admin_token):
            headers = [
                ("location", "/" + quote(scope["path"].lstrip("/\\"))),
                ("set-cookie", self._cookie(scope)),
            ]
            await respond(send, 303, headers, b"")
        elif any(same_secret(shown, self._admin_token) for shown in _shown_tokens(scope)):
            await self._app(scope, receive, send)
        else:
            await asyncio.sleep(REFUSAL_SECONDS)
            reason = "The admin token is missing; open the dashboard with ?token=... as shown in the banner."
            await _refuse(401, "authentication_error", reason, send)

    def _cookie(self, scope: Scope) -> str:
        secure = "; Secure" if scope["scheme"] == "https" else ""
        return f"{COOKIE}={self._admin_token}; HttpOnly; SameSite=Strict; Path=/{secure}"

    def _allowed_origin(self, scope: Scope) -> str:
        """The page of `allowed_origins` that calls a client endpoint; "" if none does."""
        known = self._settings().allowed_origins
        origins = _values(scope, b"origin") if known else []
        if len(origins) != 1 or origins[0] not in known:
            return ""
        return origins[0] if self._is_client_endpoint(scope["method"], scope["path"]) else ""

    def _refusal(self, scope: Scope, allowed: str) -> str:
        """Why this request is refused; "" if it is not. `allowed` is the page that may call."""
        # few of the headers are looked at here: one pass finds them
        guarded = [(name, value.decode("latin-1")) for name, value in scope["headers"] if name in GUARDED]
        hosts = [value for name, value in guarded if name == b"host"]
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            shown = hosts[0][:100] if hosts else "none"
            return f"Host {shown!r} is not allowed; add the name to `allowed_hosts` if it is yours."
        if allowed or len(guarded) == 1:
            return ""
        own_origin = f"{scope['scheme']}://{hosts[0]}".lower()
        for name, origin in guarded:
            if name == b"origin" and origin.lower() != own_origin:
                return self._foreign_page(scope, origin)
        sites = {value for name, value in guarded if name == b"sec-fetch-site"}
        if not sites <= OWN_SITES and not _is_plain_visit(scope):
            return "Requests from pages of other sites are refused."
        return ""

    def _foreign_page(self, scope: Scope, origin: str) -> str:
        may_be_allowed = self._is_client_endpoint(scope["method"], scope["path"])
        remedy = "; add the origin to `allowed_origins` if it is yours" if may_be_allowed else ""
        return f"Requests from pages of {origin[:100]!r} are refused{remedy}."

    def _is_ours(self, host: str) -> bool:
        name = host_name(host) if len(host) <= MAX_HOST_CHARS else ""
        if name in self._own_names:
            return True
        return bool(name) and name in map(allowed_host, self._settings().allowed_hosts)


async def _refuse(status: int, kind: str, reason: str, send: Send) -> None:
    error = {"type": kind, "message": reason, "code": "forbidden"}
    body = msgspec.json.encode({"type": "error", "error": error})
    await respond(send, status, [("content-type", "application/json"), ("connection", "close")], body)


def _shown_tokens(scope: Scope) -> list[str]:
    scheme, _, bearer = header(scope, b"authorization").partition(" ")
    shown = [bearer.strip()] if scheme.lower() == "bearer" else []
    for pair in header(scope, b"cookie").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            shown.append(value)
    return [token for token in shown if token]


def _values(scope: Scope, name: bytes) -> list[str]:
    """All headers of this lower-case name."""
    return [value.decode("latin-1") for found, value in scope["headers"] if found == name]


def _is_plain_visit(scope: Scope) -> bool:
    """A link to a page of the dashboard was followed: harmless, and without a body."""
    return (
        scope["method"] in ("GET", "HEAD")
        and header(scope, b"sec-fetch-mode") == "navigate"
        and header(scope, b"sec-fetch-dest") in ("document", "")
        and scope["path"] in ("/", "/index.html", "/token-stats.html")
    )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def same_secret(one: str, other: str) -> bool:
    """Constant-time comparison."""
    return hmac.compare_digest(one.encode(), other.encode())
