"""A connection is ready for the next request of a conversation, in the daemon as users run it."""

import socket
import threading
from pathlib import Path
from typing import Self

from tests.bed.asking import question
from tests.bed.daemon import Daemon, request, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until

ANSWER = (
    b'{"id":"a","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"Hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
)
SESSION = {"session-id": "0f8fad5b-d9cb-469f-a165-70867728950e"}


class Closing:
    """Answers one request per connection, and then closes it as if it had been idle for too long."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self.connected: list[socket.socket] = []
        self.answered: list[int] = []
        """the numbers of the connections that have brought a request"""
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(PATIENCE_SECONDS)  # the next listener may get the number of this one
        self._listener.close()
        for one in self.connected:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.connected.append(accepted)
            threading.Thread(target=self._answer, args=(accepted,), daemon=True).start()

    def _answer(self, accepted: socket.socket) -> None:
        if accepted.recv(65536):
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            self.answered.append(self.connected.index(accepted))
            accepted.sendall(head % len(ANSWER) + ANSWER)
        accepted.close()


def ask(daemon: Daemon, headers: dict[str, str]) -> int:
    return request(
        daemon.url, "POST", "/v1/chat/completions", question("chat", "m", stream=False), headers
    ).status


def test_a_conversation_finds_a_ready_connection_after_the_server_has_closed_its_own(tmp_path: Path) -> None:
    with Closing() as server, Daemon(tmp_path, settings(upstream("a", server.url, "chat"))) as daemon:
        assert ask(daemon, SESSION) == 200
        wait_until(lambda: len(server.connected) == 2, "a ready connection")
        for _ in range(3):  # each takes several turns of the daemon's loop, in which it notes the connection
            daemon.get("/health")
        assert server.answered == [0]
        assert ask(daemon, SESSION) == 200
        assert server.answered == [0, 1]


def test_with_the_setting_off_and_without_a_conversation_nothing_is_opened(tmp_path: Path) -> None:
    for name, more, headers in (("off", {"warm_connections": False}, SESSION), ("none", {}, {})):
        with Closing() as server:
            document = settings(upstream("a", server.url, "chat"), **more)
            with Daemon(tmp_path / name, document) as daemon:
                assert [ask(daemon, headers) for _ in range(3)] == [200] * 3
            assert len(server.connected) == 3  # the daemon has ended: nothing follows
