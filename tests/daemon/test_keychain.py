"""A keychain that waits for its user delays the request that needs it, and no other."""

import threading
from pathlib import Path

from tests.bed.daemon import Daemon, Document, Response, settings, upstream
from tests.bed.keychain import FakeKeychain
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import ScriptedUpstream, say

BODY: Document = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


def test_a_locked_keychain_delays_no_other_request(tmp_path: Path) -> None:
    keychain = FakeKeychain(tmp_path, "asking")
    keychain.put("relay", "sk-kept")
    answers: list[Response] = []
    with ScriptedUpstream(say("hello")) as server:
        entry = upstream("relay", server.url) | {"key": "keyring:relay"}
        with Daemon(tmp_path, settings(entry), keychain.environment) as daemon:
            asking = threading.Thread(target=lambda: answers.append(daemon.post("/v1/messages", BODY)))
            asking.start()
            wait_until(lambda: len(daemon.get("/api/state").json["running"]) == 1, "the request")
            assert daemon.get("/health").status == 200
            assert (answers, server.requests) == ([], [])
            keychain.unlock()
            asking.join(PATIENCE_SECONDS)
            assert [answer.status for answer in answers] == [200]
            assert server.requests[0].header("authorization") == "Bearer sk-kept"
