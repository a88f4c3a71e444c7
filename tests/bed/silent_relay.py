"""A relay that can fall silent: connections stay open, new ones are accepted, and not a byte goes through.

To both ends this is a network that is lost without a FIN or RST: a closed lid of the other side, a NAT that has
forgotten the connection.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from tests.bed.patience import PATIENCE_SECONDS


class SilentRelay:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._flows = threading.Event()
        self._flows.set()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._flows.set()
        for one in (self._listener, *self._open):
            with suppress(OSError):  # the other side was first
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        for one in (self._listener, *self._open):
            one.close()

    def fall_silent(self) -> None:
        self._flows.clear()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            self._open += [near, far]
            self._start(self._pass, near, far)
            self._start(self._pass, far, near)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while octets := source.recv(65536):
                self._flows.wait()
                sink.sendall(octets)
            self._flows.wait()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
