"""Make TLS contexts: the certificates that are trusted, and those that are presented."""

import asyncio
import os
import ssl
import sys
from collections.abc import Callable
from functools import lru_cache

import certifi
import msgspec
import truststore

from switchyard.http1.errors import TlsUnusable, in_words

SYSTEM_STORES = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""Alpine and Arch, Fedora and Red Hat, older ones, Debian and Ubuntu, SUSE. A Python that comes with an OpenSSL of its
own may look in another place"""
ASKS_THE_SYSTEM = sys.platform in ("darwin", "win32")
"""these verify certificates themselves, with what the user or the company has added to their store"""


class TlsFiles(msgspec.Struct, frozen=True):
    """Paths of PEM files. `ca` is trusted beside the usual; `key` belongs to `cert`."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True


NO_FILES = TlsFiles()
MAX_SESSIONS = 1000


class ResumingContext(ssl.SSLContext):
    """Resumes the last session with each host: the server proves its name once, and with TLS 1.2 a round trip less."""

    def __init__(self, *_: object) -> None:
        self._sessions: dict[str, ssl.SSLSession] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        found = session or self._sessions.get(str(server_hostname))
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, found)

    def keep(self, host: str, session: ssl.SSLSession) -> None:
        if len(self._sessions) >= MAX_SESSIONS:
            self._sessions.clear()
        self._sessions[host] = session


def keep_session(transport: asyncio.BaseTransport) -> None:
    """For the next connection to the same host; once an answer has arrived, as TLS 1.3 sends tickets late."""
    secured = transport.get_extra_info("ssl_object")
    context = getattr(secured, "context", None)
    if isinstance(context, ResumingContext) and secured.session is not None:
        context.keep(str(secured.server_hostname), secured.session)


def tls_context(files: TlsFiles = NO_FILES) -> ssl.SSLContext:
    """Made at the first use, as it takes 20 ms, and again when a file has changed. Raises TlsUnusable."""
    changed = tuple(_changed_at(name, path) for name, path in _named(files))
    return _tls_context(files, changed)


@lru_cache(64)
def _tls_context(files: TlsFiles, changed: tuple[float, ...]) -> ssl.SSLContext:
    kind = truststore.SSLContext if ASKS_THE_SYSTEM and files.verify else ResumingContext
    context = kind(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if files.verify:
        _trust(context, files)
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if files.cert:
        _load("tls.cert or tls.key", lambda: context.load_cert_chain(files.cert, files.key or None))
    return context


def _trust(context: ssl.SSLContext, files: TlsFiles) -> None:
    """The system's store, certifi's list, SSL_CERT_FILE and SSL_CERT_DIR, and the file of the upstream."""
    context.load_verify_locations(certifi.where())
    context.load_default_certs()  # reads the variables as well
    if not ASKS_THE_SYSTEM:
        for store in filter(os.path.isfile, SYSTEM_STORES):
            context.load_verify_locations(store)
    if files.ca:
        _load("tls.ca", lambda: context.load_verify_locations(files.ca))


def _named(files: TlsFiles) -> list[tuple[str, str]]:
    named = [("tls.ca", files.ca), ("tls.cert", files.cert), ("tls.key", files.key)]
    return [(name, path) for name, path in named if path]


def _changed_at(name: str, path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError as error:
        raise TlsUnusable(f"{name}: {in_words(error)}") from error


def _load(name: str, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise TlsUnusable(
            f"{name} cannot be used: {error.reason or 'no certificate in PEM format'}"
        ) from error
    except OSError as error:
        raise TlsUnusable(f"{name}: {in_words(error)}") from error
