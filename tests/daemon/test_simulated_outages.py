"""Simulated outages, of the demo model or of every upstream: requests are held as in real ones, and nothing stays."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, Document, Response, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import ScriptedUpstream, say
from tests.bed.wire import PROTOCOLS, Protocol

SECONDS = 2.0
HELD = {"hold_seconds": 60, "error_threshold": 1}


class Asking:
    """A running request of a client."""

    def __init__(self, ask: Callable[[], Response]) -> None:
        self._answers: list[Response] = []
        self._thread = threading.Thread(target=lambda: self._answers.append(ask()))
        self._thread.start()

    def answer(self) -> Response:
        self._thread.join(PATIENCE_SECONDS)
        (found,) = self._answers
        return found


def states(daemon: Daemon) -> list[Document]:
    found: list[Document] = daemon.get("/api/state").json["upstreams"]
    return found


def is_clean(daemon: Daemon) -> bool:
    """No upstream counts as failing, and none has a charge."""
    return all(
        (one["state"], one["errors"], one["models"], one["simulation"]) == ("ready", 0, [], None)
        for one in states(daemon)
    )


def simulate(daemon: Daemon, **body: Any) -> Response:
    return daemon.post("/api/simulate", {"upstream": None, "mode": "down", "minutes": SECONDS / 60, **body})


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_request_is_held_through_an_outage_of_the_demo_model(
    tmp_path: Path, protocol: Protocol, stream: bool
) -> None:
    with Daemon(tmp_path) as daemon:
        response = ask(daemon.url, protocol, text="demo: outage 2 529", stream=stream)
        (line,) = daemon.journal()
        assert is_clean(daemon)
    assert response.status == 200
    assert text_of(protocol, response).startswith("The demo model simulated an outage of 2 s: ")
    assert (line["outcome"], line["held"] > 2) == ("ok", True)
    assert [one.get("status") for one in line["attempts"]] == [529] * (len(line["attempts"]) - 1) + [200]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_is_held_through_a_simulated_outage_of_all_upstreams_and_no_cooldown_stays(
    tmp_path: Path, protocol: Protocol
) -> None:
    with ScriptedUpstream(say("one")) as one, ScriptedUpstream(say("two")) as two:
        entries = [upstream("one", one.url, protocol), upstream("two", two.url, protocol, role="backup")]
        with Daemon(tmp_path, settings(*entries, failover=HELD)) as daemon:
            assert simulate(daemon, minutes=5).status == 200
            assert [one["simulation"]["mode"] for one in states(daemon)] == ["down", "down"]
            asking = Asking(partial(ask, daemon.url, protocol))
            wait_until(lambda: bool(daemon.get("/api/state").json["held"]), "the held request")
            assert simulate(daemon).status == 200
            response = asking.answer()
            wait_until(lambda: is_clean(daemon), "a clean state")
            (line,) = daemon.journal()
        asked = len(one.requests) + len(two.requests)
    assert (response.status, text_of(protocol, response) in ("one", "two"), asked) == (200, True, 1)
    assert (line["outcome"], line["held"] > SECONDS / 2) == ("ok", True)
    assert {one["message"] for one in line["attempts"][:-1]} == {"cannot connect (simulated)"}


def test_an_outage_that_the_user_ends_releases_what_is_held_at_once(tmp_path: Path) -> None:
    with ScriptedUpstream(say("one")) as one:
        with Daemon(tmp_path, settings(upstream("one", one.url), failover=HELD)) as daemon:
            simulate(daemon, minutes=5)
            asking = [Asking(partial(ask, daemon.url, "messages", text=f"{n}")) for n in range(3)]
            wait_until(lambda: len(daemon.get("/api/requests").json["requests"]) == 3, "three requests")
            wait_until(lambda: states(daemon)[0]["state"] != "ready", "a cooldown")
            assert simulate(daemon, mode=None).status == 200
            answers = [one.answer() for one in asking]
            assert is_clean(daemon)
    assert [text_of("messages", answer) for answer in answers] == ["one"] * 3


def test_an_outage_of_all_replaces_single_simulations_and_ends_them(tmp_path: Path) -> None:
    with ScriptedUpstream(say("one")) as one, ScriptedUpstream(say("two")) as two:
        entries = [upstream("one", one.url), upstream("two", two.url)]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            simulate(daemon, upstream="one", mode="slow", minutes=5)
            assert [found["simulation"] is None for found in states(daemon)] == [False, True]
            simulate(daemon, minutes=5)
            assert [found["simulation"]["mode"] for found in states(daemon)] == ["down", "down"]
            assert ask(daemon.url, "messages").status != 200
            simulate(daemon, mode=None)
            assert is_clean(daemon)
            assert text_of("messages", ask(daemon.url, "messages")) == "one"
