"""The capture API: what is captured, and one captured request as received and as sent."""

import asyncio
from typing import cast, get_args

from starlette.requests import Request
from starlette.responses import Response

from switchyard.exchange import Exchange
from switchyard.relay.capture import CaptureMode
from switchyard.relay.redaction import secrets_of, worth_hiding
from switchyard.relay.tape import SentRequest, Tape
from switchyard.settings import Settings
from switchyard.web.answers import Handler, Json, Problem, answer, read_object
from switchyard.web.captured_view import (
    SIDES,
    Side,
    capture_state,
    captured_view,
    raw_body,
    secrets_in_headers,
)
from switchyard.web.curl import curl_command
from switchyard.web.overview import Daemon

MODES: tuple[str, ...] = get_args(CaptureMode)
MAX_LIMIT = 64 * 1024 * 1024


class Captures:
    """The handlers of what is captured."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> dict[str, Handler]:
        return {"/api/capture": self.switch}

    def reading_table(self) -> dict[str, Handler]:
        return {
            "/api/requests/{id}/capture": self.capture,
            "/api/requests/{id}/capture/{side}": self.body,
        }

    async def switch(self, request: Request) -> Response:
        mode = (await read_object(request)).get("mode")
        if mode not in MODES:
            raise Problem(400, "`mode` must be one of " + ", ".join(MODES) + ".", "mode")
        self._daemon.relay.switch(cast(CaptureMode, mode))
        return answer(capture_state(self._daemon.relay))

    async def capture(self, request: Request) -> Response:
        tape = self._tape(request)
        number = _number_of(request, "number", _last(tape))
        view = await asyncio.to_thread(self._view, tape, number)
        return answer(view)

    def _view(self, tape: Tape, number: int) -> Json:
        secrets = secrets_of_tape(tape, self._daemon.current())
        view = captured_view(tape, number, secrets)
        sent = tape.requests[number] if number < len(tape.requests) else None
        return {**view, "curl": "" if sent is None else _curl(tape, sent, secrets)}

    async def body(self, request: Request) -> Response:
        """The bytes as a file, or with `limit` the beginning."""
        tape, side = self._tape(request), request.path_params["side"]
        number = _number_of(request, "number", _last(tape))
        if side not in SIDES:
            raise Problem(404, "The body must be one of " + ", ".join(SIDES) + ".")
        body = await asyncio.to_thread(self._raw, tape, cast(Side, side), number)
        if body is None:
            raise Problem(404, "This body was not captured.")
        name = f"{request.path_params['id']}-{side}.txt"
        return Response(
            body[: _number_of(request, "limit", MAX_LIMIT)],
            headers={
                "cache-control": "no-store",
                "content-disposition": f'attachment; filename="{name}"',
                "x-body-bytes": str(len(body)),
            },
            media_type="text/plain",
        )

    def _raw(self, tape: Tape, side: Side, number: int) -> bytes | None:
        return raw_body(tape, side, number, secrets_of_tape(tape, self._daemon.current()))

    def _tape(self, request: Request) -> Tape:
        tape = self._daemon.relay.find(request.path_params["id"])
        if tape is None:
            raise Problem(404, "The body of this request was not captured.")
        return tape


def _curl(tape: Tape, sent: SentRequest, secrets: tuple[str, ...]) -> str:
    """ "" without the body that was sent, and for the demo, which has no address."""
    upstream = tape.settings.upstream(sent.note.upstream)
    if upstream is not None and upstream.is_demo:
        return ""
    own = () if upstream is None else upstream.headers
    return curl_command(sent, frozenset(map(str.lower, own)), secrets)


def _last(tape: Tape) -> int:
    """The number of the last request that was sent: the client got its answer."""
    return max(len(tape.requests) - 1, 0)


def _number_of(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name, "")
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise Problem(400, f"`{name}` must be a number.", name)
    return int(given)


def secrets_of_tape(tape: Tape, settings: Settings) -> tuple[str, ...]:
    """All secrets of the settings, now and when the request arrived, and what was sent as a key."""
    found = secrets_in_headers(tape)
    for known in (settings, tape.settings):
        found.update(_secrets_in(known, tape.exchange))
    return worth_hiding(found)


def _secrets_in(settings: Settings, exchange: Exchange | None) -> set[str]:
    tried = set() if exchange is None else {attempt.upstream for attempt in exchange.attempts}
    found = {*settings.client_keys}
    for upstream in settings.upstreams:
        # a keychain may prompt the user: only for keys that were used
        shown = (
            secrets_of(upstream)
            if upstream.name in tried
            else (upstream.key, *upstream.keys, *upstream.headers.values())
        )
        found.update(shown)
    return found
