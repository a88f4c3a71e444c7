"""Cross-origin calls from the pages and extensions in `allowed_origins` (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from switchyard.web.asgi import AsgiApp, Event, Receive, Scope, Send, header, respond

MAX_AGE_SECONDS = "600"


async def answer_preflight(scope: Scope, origin: str, send: Send) -> None:
    """Allows the method and the headers that the page asks for."""
    headers = [
        ("access-control-allow-origin", origin),
        ("access-control-allow-methods", header(scope, b"access-control-request-method")),
        ("access-control-max-age", MAX_AGE_SECONDS),
        ("vary", "origin"),
    ]
    if names := header(scope, b"access-control-request-headers"):
        headers.append(("access-control-allow-headers", names))
    if header(scope, b"access-control-request-private-network") == "true":
        headers.append(("access-control-allow-private-network", "true"))
    await respond(send, 204, headers, b"")


def is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and bool(header(scope, b"access-control-request-method"))


async def serve_readable(app: AsgiApp, origin: str, scope: Scope, receive: Receive, send: Send) -> None:
    """The app's answer, which the page of this origin may read."""

    async def send_readable(event: Event) -> None:
        if event["type"] == "http.response.start":
            added = [
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-expose-headers", b"*"),
                (b"vary", b"origin"),
            ]
            event = {**event, "headers": [*event["headers"], *added]}
        await send(event)

    await app(scope, receive, send_readable)
