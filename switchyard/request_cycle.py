"""One request of a connection and its response, as an ASGI application receives and sends them."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from switchyard.answer_writer import AnswerWriter, CommonHead
from switchyard.web.asgi import AsgiApp, Event, Scope, departure_of

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
GONE: Event = {"type": "http.disconnect"}


class RequestCycle(AnswerWriter):
    """The connection reports what arrives, the application runs in a task of its own."""

    __slots__ = ("_has_news", "_more_body", "_pieces", "_reader", "unread_bytes")

    def __init__(
        self,
        connection: HttpToolsProtocol,
        common: CommonHead,
        scope: Scope,
        keep_alive: bool,
        expects_continue: bool,
    ) -> None:
        super().__init__(connection, common, scope, keep_alive, expects_continue)
        self.unread_bytes = 0
        """of the body"""
        self._pieces: list[bytes] = []
        self._more_body = True
        self._has_news = False
        """`receive` has something to return"""
        self._reader: asyncio.Future[None] | None = None

    # --- the connection's side -------------------------------------------------

    async def run(self, app: AsgiApp) -> None:
        """However the application ends, what it has sent is written, and the client sees an end."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            # the daemon ends: a client repeats a request whose connection was closed, not one answered with 500
            self._cut()
        except Exception as error:
            self._fail("Exception in ASGI application\n", error)
        else:
            if not self.response_complete and not self.disconnected:
                missing = "completing" if self.response_started else "starting"
                self._fail(f"ASGI callable returned without {missing} response.")

    def _fail(self, message: str, error: Exception | None = None) -> None:
        self._connection.logger.error(message, exc_info=error)
        self._write_held()
        if self.response_started:
            self._connection.transport.close()
        elif not self.disconnected:
            self._refuse()

    def arrived(self, body: bytes) -> None:
        self._pieces.append(body)
        self.unread_bytes += len(body)
        self._wake()

    def ended(self) -> None:
        """The request is complete."""
        self._more_body = False
        self._wake()

    def leave(self) -> None:
        """The client has closed its connection."""
        if not self.response_complete:
            self.disconnected = True
            self._wake()
            departure_of(self.scope).happen()

    def _wake(self) -> None:
        self._has_news = True
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # --- the application's side ------------------------------------------------

    async def receive(self) -> Event:
        """Implements ASGI's `receive`, for one reader."""
        connection = self._connection
        if self.expects_continue and not connection.transport.is_closing():
            connection.transport.write(CONTINUE)
            self.expects_continue = False
        if not (self.disconnected or self.response_complete):
            connection.flow.resume_reading()
            if not self._has_news:
                self._reader = connection.loop.create_future()
                await self._reader
            self._has_news = False
        if self.disconnected or self.response_complete:
            return GONE
        body, self.unread_bytes = b"".join(self._pieces), 0
        self._pieces.clear()
        return {"type": "http.request", "body": body, "more_body": self._more_body}
