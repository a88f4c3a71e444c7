"""What goes wrong on a connection, in httpx's tree, so that one table serves every transport.

    httpx.ConnectTimeout               no connection in time
    httpx.ConnectError                 no connection, or TLS failed
    httpx.ProxyError                   the proxy refused
    httpx.LocalProtocolError           the request cannot be said in HTTP/1.1
    httpx.ReadError                    broke off before the end of the answer
      └ Unanswered                     ... before its first byte
    httpx.RemoteProtocolError
      └ NotHttp                        the answer is not HTTP, or beyond all measure

Their texts hold no addresses and no credentials: they may be shown.
"""

import os
import socket

import httpx


class Unanswered(httpx.ReadError):
    """The connection ended before the first byte of an answer."""


class NotHttp(httpx.RemoteProtocolError):
    """The server sent something that is no HTTP/1.1 answer."""


SYSTEM_WORDS: tuple[tuple[type[OSError], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "connection reset by peer"),
    (ConnectionAbortedError, "connection aborted"),
    (BrokenPipeError, "broken pipe"),
    (TimeoutError, "timed out"),
)


def in_words(error: OSError) -> str:
    """The system's reason, without the address that its own text may hold; the same on every system."""
    for kind, words in SYSTEM_WORDS:
        if isinstance(error, kind):
            return words
    if isinstance(error, socket.gaierror):
        return (error.strerror or "name not known").lower()
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else ""
