"""`body` of an entry: members of the request that are set or removed for one upstream, in every protocol."""

from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import PATHS, question
from tests.bed.daemon import Daemon, request, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say
from tests.bed.wire import Protocol

CHANGES: dict[str, Any] = {
    "set": {"provider": {"sort": "price"}, "chat_template_kwargs": {"enable_thinking": False}, "top_p": 0.5},
    "remove": ["temperature", "unknown"],
}


@pytest.mark.parametrize("spoken", ["messages", "chat", "responses"])
@pytest.mark.parametrize("protocol", ["messages", "chat"])
def test_members_are_set_and_removed_whether_passed_through_or_converted(
    tmp_path: Path, protocol: Protocol, spoken: Protocol
) -> None:
    with ScriptedUpstream(say("yes")) as server:
        entry = upstream("a", server.url, spoken, body=CHANGES)
        with Daemon(tmp_path, settings(entry)) as daemon:
            body = question(protocol, "m", stream=False) | {"temperature": 0.1, "top_p": 0.9}
            assert request(daemon.url, "POST", PATHS[protocol], body).status == 200
            id = daemon.get("/api/requests").json["requests"][0]["id"]
            (attempt,) = daemon.get(f"/api/requests/{id}").json["attempts"]
            (candidate,) = daemon.get(f"/api/explain?client={protocol}&model=m").json["candidates"]
            explained = daemon.command("explain", "--client", protocol, "--model", "m")[1].strip()
    (received,) = server.requests
    assert CHANGES["set"].items() <= received.json.items()
    assert "temperature" not in received.json and received.json["model"] == "m"
    text = "sets provider, chat_template_kwargs, top_p; removes temperature, unknown"
    assert attempt["body"] == candidate["body"] == text
    assert explained.endswith(f"; {text})")


def test_only_the_entry_with_the_changes_is_sent_them(tmp_path: Path) -> None:
    with ScriptedUpstream(say("a")) as a, ScriptedUpstream(say("b")) as b:
        entries = [
            upstream("a", a.url, models=["m"]),
            upstream("b", b.url, models=["n"], body={"set": {"service_tier": "flex"}}),
        ]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            for model in ("m", "n"):
                request(daemon.url, "POST", PATHS["messages"], question("messages", model, stream=False))
    assert [one.requests[0].json.get("service_tier") for one in (a, b)] == [None, "flex"]
