"""What can go wrong with a request over HTTP/1.1.

    Http1Error
      ├ InvalidUrl            the URL names no host that HTTP can reach
      ├ InvalidHeader         the request is not expressible in HTTP/1.1
      ├ ConnectTimeout        no connection in time
      ├ ConnectFailed         no connection, or TLS failed
      │   └ TlsUnusable       ... because of the files for TLS
      ├ OwnAddress            the connection leads back to this program
      ├ ProxyRefused          the proxy opened no tunnel
      ├ NotHttp               the server sent something else than HTTP/1.1, or more than the limits allow
      └ ConnectionBroken      the connection ended before the end of the answer
          └ Unanswered        ... before its first byte

Their messages hold no addresses and no credentials: they may be shown to users.
"""

import os
import socket


class Http1Error(Exception):
    """No answer, or only a part of it."""


class InvalidUrl(Http1Error):
    pass


class InvalidHeader(Http1Error):
    pass


class ConnectTimeout(Http1Error):
    pass


class ConnectFailed(Http1Error):
    pass


class TlsUnusable(ConnectFailed):
    pass


class OwnAddress(Http1Error):
    pass


class ProxyRefused(Http1Error):
    pass


class NotHttp(Http1Error):
    pass


class ConnectionBroken(Http1Error):
    pass


class Unanswered(ConnectionBroken):
    pass


SYSTEM_WORDS: tuple[tuple[type[OSError], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "connection reset by peer"),
    (ConnectionAbortedError, "connection aborted"),
    (BrokenPipeError, "broken pipe"),
    (TimeoutError, "timed out"),
)


def in_words(error: OSError) -> str:
    """The reason that the system gives, without the address that its message may hold; alike on every system."""
    for kind, words in SYSTEM_WORDS:
        if isinstance(error, kind):
            return words
    if isinstance(error, socket.gaierror):
        return (error.strerror or "name not known").lower()
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else ""
