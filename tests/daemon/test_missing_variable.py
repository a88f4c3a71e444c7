"""An entry whose key is in a variable that is not set: nobody has answered 401, so nobody reads that."""

from pathlib import Path

import pytest

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say
from tests.bed.wire import PROTOCOLS, Protocol

SENTENCE = "environment variable SWITCHYARD_NO_SUCH_KEY is not set"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_variable_that_is_not_set_is_reported_without_a_status(tmp_path: Path, protocol: Protocol) -> None:
    key = "env:SWITCHYARD_NO_SUCH_KEY"
    with (
        ScriptedUpstream(say("never asked")) as relay,
        Daemon(tmp_path, settings(upstream("relay", relay.url, protocol, key=key))) as daemon,
    ):
        response = ask(daemon.url, protocol)
        [row] = daemon.get("/api/requests").json["requests"]
        detail = daemon.get(f"/api/requests/{row['id']}").json
        [attempt] = detail["attempts"]
        [state] = daemon.get("/api/state").json["upstreams"]
        tested = daemon.post("/api/upstreams/test", {"name": "relay"}).json
        assert not relay.requests
    assert SENTENCE in response.text and "401 environment" not in response.text
    assert response.status == 503
    assert (attempt["status"], attempt["failure"]["kind"]) == (None, "no_key")
    assert state["state"] == "cooldown" and SENTENCE in state["reason"]
    # in the words, not in times and ports
    details = [step["detail"] for step in tested["steps"] if step["step"] != "connect"]
    sentences = [attempt["failure"]["message"], attempt["verdict"], state["reason"], *details]
    assert attempt["failure"]["message"] and not any("401" in sentence for sentence in sentences)
    assert tested["steps"][-1]["detail"].startswith(SENTENCE)
