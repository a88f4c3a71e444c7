"""Scheduled activation by the real daemon."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, Wait, fixed, say, status
from tests.bed.wire import PROTOCOLS, Protocol


def minutes_ago(minutes: int) -> str:
    """A local time of day; just after midnight it is one of yesterday."""
    return (datetime.now() - timedelta(minutes=minutes)).strftime("%H:%M")


def activated(daemon: Daemon, name: str) -> dict[str, Any]:
    """The state of the activation in the dashboard."""
    [found] = [one for one in daemon.get("/api/state").json["upstreams"] if one["name"] == name]
    return dict(found["activation"])


def has_ended(daemon: Daemon, name: str) -> bool:
    """True once the result is recorded and the next time is planned: there is none during an activation."""
    found = activated(daemon, name)
    return found["last"] is not None and found["next"] is not None


def of_kind(daemon: Daemon, kind: str) -> list[dict[str, Any]]:
    return [line for line in daemon.journal() if line.get("kind", "request") == kind]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_missed_activation_is_made_up_at_the_start_and_not_repeated_after_a_restart(
    tmp_path: Path, protocol: Protocol
) -> None:
    with ScriptedUpstream(say("pong")) as server:
        entry = upstream("u", server.url, protocol, activation={"at": minutes_ago(5)})
        with Daemon(tmp_path, settings(entry)) as daemon:
            wait_until(lambda: has_ended(daemon, "u"), "the activation")
            reported = activated(daemon, "u")
            assert (reported["at"], reported["ok"], reported["detail"]) == (
                entry["activation"]["at"],
                True,
                "pong",
            )
            assert 20 * 3600 < reported["next"] - reported["last"] < 28 * 3600
            daemon.restart()
            assert text_of(protocol, ask(daemon.url, protocol)) == "pong"
            assert activated(daemon, "u")["last"] == reported["last"]
            [line] = of_kind(daemon, "activation")
            assert (line["upstream"], line["outcome"], line["client_protocol"]) == ("u", "ok", protocol)
            summary = daemon.token_stats()["summary"]
            assert (len(of_kind(daemon, "request")), summary["activations"]) == (1, 1)
        assert len(server.requests) == 2
        assert (server.requests[0].header("user-agent") or "").startswith("switchyard/")


def test_an_activation_that_fails_is_reported_and_costs_clients_nothing(tmp_path: Path) -> None:
    refusing = status(403, "only coding agents")
    with ScriptedUpstream(refusing, say("Hello")) as server:
        entry = upstream("u", server.url, activation={"at": minutes_ago(5)})
        with Daemon(tmp_path, settings(entry)) as daemon:
            wait_until(lambda: has_ended(daemon, "u"), "the failure")
            reported = activated(daemon, "u")
            assert (reported["ok"], reported["detail"]) == (False, "only coding agents")
            assert 0 < reported["next"] - reported["last"] <= 61
            assert text_of("messages", ask(daemon.url, "messages")) == "Hello"


def test_a_time_entered_while_the_daemon_runs_is_kept_at_once(tmp_path: Path) -> None:
    with ScriptedUpstream(say("pong")) as server:
        with Daemon(tmp_path, settings(upstream("u", server.url))) as daemon:
            daemon.change_settings(settings(upstream("u", server.url, activation={"at": minutes_ago(1)})))
            server.wait_for(1)


def test_a_new_name_is_no_new_occasion(tmp_path: Path) -> None:
    with ScriptedUpstream(say("pong")) as server:
        entry = upstream("u", server.url, key="sk", activation={"at": minutes_ago(5)})
        with Daemon(tmp_path, settings(entry)) as daemon:
            wait_until(lambda: has_ended(daemon, "u"), "the activation")
            daemon.change_settings(settings({**entry, "name": "renamed"}))
            wait_until(lambda: has_ended(daemon, "renamed"), "the memory under the new name")
            daemon.restart()
            assert activated(daemon, "renamed")["last"] is not None
            ask(daemon.url, "messages")
        assert [line["upstream"] for line in of_kind(daemon, "activation")] == ["u"]
        assert len(server.requests) == 2


def test_what_is_not_due_is_not_sent(tmp_path: Path) -> None:
    with ScriptedUpstream(say("pong")) as server:
        missed = upstream("missed", server.url, activation={"at": minutes_ago(180)})
        disabled = upstream("disabled", server.url, enabled=False, activation={"at": minutes_ago(5)})
        never = upstream("never", server.url, weekdays=[], activation={"at": minutes_ago(5)})
        with Daemon(tmp_path, settings(missed, disabled, never)) as daemon:
            ask(daemon.url, "messages")
            assert [of_kind(daemon, "activation"), len(server.requests)] == [[], 1]
            nexts = {name: activated(daemon, name)["next"] for name in ("disabled", "never")}
            assert nexts == {"disabled": None, "never": None}


def test_the_button_of_the_dashboard(tmp_path: Path) -> None:
    with ScriptedUpstream(say("pong"), status(500, "broken")) as server:
        with Daemon(tmp_path, settings(upstream("u", server.url))) as daemon:
            done = daemon.post("/api/upstreams/activate", {"name": "u"})
            assert (done.status, done.json["ok"]) == (200, True)
            failed = daemon.post("/api/upstreams/activate", {"name": "u"})
            assert failed.status == 502
            assert "broken" in failed.json["error"]["message"]
            assert daemon.post("/api/upstreams/activate", {"name": "x"}).status == 404
            outcomes = [line["outcome"] for line in of_kind(daemon, "activation")]
            assert outcomes == ["ok", "failed"]


@pytest.mark.timing
def test_the_daemon_ends_at_once_while_an_activation_hangs(tmp_path: Path) -> None:
    with ScriptedUpstream(fixed([Wait()])) as server:
        entry = upstream("u", server.url, activation={"at": minutes_ago(5)})
        with Daemon(tmp_path, settings(entry)) as daemon:
            server.wait_for(1)
            began = time.monotonic()
            daemon.restart()
            assert time.monotonic() - began < 8
            [line] = of_kind(daemon, "activation")
            assert line["outcome"] == "cancelled"
