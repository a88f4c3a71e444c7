"""Request bodies and errors of the dashboard's API: one error shape for all of it."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from switchyard.faults import Fault, SettingsError
from switchyard.protocols.names import CLIENTS, PASSED_ENDPOINTS, PassedEndpoint, ProtocolName
from switchyard.store.settings_file import StaleRevision

PAGE_HEADERS = frozenset({"content-type", "origin", "referer", "sec-fetch-site", "sec-fetch-mode", "cookie"})
MAX_BODY = 16 * 1024 * 1024

Handler = Callable[[Request], Awaitable[Response]]
Json = dict[str, Any]


class Problem(Exception):
    """An error response."""

    def __init__(self, status: int, message: str, field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field


def answer(value: Any, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(value), status, {"cache-control": "no-store"}, media_type="application/json"
    )


def answering(handler: Handler) -> Handler:
    """The handler with its exceptions converted to the error shape."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            field = {"field": problem.field} if problem.field else {}
            return _error(problem.status, problem.message, field)
        except SettingsError as error:
            faults = within(error.faults, "$.")
            details = {"field": faults[0].path, "faults": [fault_view(fault) for fault in faults]}
            return _error(422, "; ".join(map(str, faults)), details)
        except StaleRevision as stale:
            return _error(409, str(stale), {})
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            return _error(
                507, f"The disk refused to write: {error.strerror or error}{where}. Nothing was changed.", {}
            )
        except ClientDisconnect:
            return Response(status_code=499)

    return handle


def _error(status: int, message: str, more: Json) -> Response:
    return answer({"error": {"message": message, **more}}, status)


def fault_view(fault: Fault) -> Json:
    return {
        "path": fault.path,
        "expected": fault.expected,
        "found": fault.found,
        "line": fault.line,
        "column": fault.column,
        "message": str(fault),
    }


def within(faults: tuple[Fault, ...], prefix: str) -> tuple[Fault, ...]:
    """The errors below this path, relative to it; the others unchanged."""
    return tuple(replace(fault, path=fault.path.removeprefix(prefix)) for fault in faults)


async def read_json(request: Request, decode: Callable[[bytes], Any] = msgspec.json.decode) -> Any:
    """The body of a write. Raises Problem."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not _is_bare(request):
        raise Problem(415, "Writes need `content-type: application/json`.")
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY:
            raise Problem(413, f"The body is larger than {MAX_BODY // (1024 * 1024)} MB.")
        pieces.append(piece)
    try:
        return decode(b"".join(pieces) or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "The body is not valid JSON.") from None


def _is_bare(request: Request) -> bool:
    """No body, and none of the headers that browsers add to each write: no page can have caused it."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    return not has_body and PAGE_HEADERS.isdisjoint(request.headers.keys())


async def read_object(request: Request) -> Json:
    """The body of a write as an object. Raises Problem."""
    body = await read_json(request)
    if not isinstance(body, dict):
        raise Problem(400, "The body must be a JSON object.")
    return body


def text_of(body: Json, name: str, default: str | None = None) -> str:
    """A string of the body. Raises Problem; without a default it is required."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise Problem(400, f"`{name}` must be a string.", name)
    return value


def optional_text_of(body: Json, name: str) -> str | None:
    """A string of the body, None if it is missing. Raises Problem."""
    return None if body.get(name) is None else text_of(body, name)


def object_of(body: Json, name: str) -> Json:
    value = body.get(name)
    if not isinstance(value, dict):
        raise Problem(400, f"`{name}` must be an object.", name)
    return value


def client_of(request: Request) -> ProtocolName:
    """The protocol of the client that `client` in the query names. Raises Problem."""
    client = request.query_params.get("client", "messages")
    if client not in CLIENTS:
        raise Problem(400, "`client` must be one of " + ", ".join(CLIENTS) + ".", "client")
    return CLIENTS[client]


def endpoint_of(request: Request) -> PassedEndpoint:
    """The endpoint of its own that `endpoint` in the query names; "" without it. Raises Problem."""
    named = request.query_params.get("endpoint", "")
    for endpoint in PASSED_ENDPOINTS:
        if endpoint == named:
            return endpoint
    if named:
        raise Problem(400, "`endpoint` must be one of " + ", ".join(PASSED_ENDPOINTS) + ".", "endpoint")
    return ""
