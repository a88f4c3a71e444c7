"""Held requests of a running daemon: in its API, status line, metrics, `explain` and live events, and the user's
actions on them."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.holding import AGENT, REASON, Holding, holding
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import Hold, say


@pytest.fixture
def outage(tmp_path: Path) -> Iterator[Holding]:
    with holding(tmp_path) as made:
        yield made


def test_the_state_lists_what_is_held_and_why(outage: Holding) -> None:
    outage.hold()
    (row,) = outage.rows()
    (waited,) = row["upstreams"]
    assert waited == {"upstream": "a", "model": "m", "reason": f"503 {REASON}", "tries": 1}
    assert (row["protocol"], row["model"], row["agent"]) == ("messages", "m", AGENT)
    assert 290 <= row["until"] - row["since"] <= 300
    assert 100 <= row["next_try"] - row["since"] <= 121
    state = outage.daemon.get("/api/state").json
    assert [one["is_held"] for one in state["running"]] == [True]


def test_try_now_answers_what_is_held_once_the_upstream_has_recovered(outage: Holding) -> None:
    asked = outage.hold(3)
    outage.recover()
    assert outage.daemon.post("/api/held/try", {"upstream": "a"}).json == {"ok": True}
    assert [one.result(PATIENCE_SECONDS).status for one in asked] == [200, 200, 200]
    assert outage.rows() == []


def test_an_entry_with_another_key_is_tried_by_one_held_request_first(outage: Holding) -> None:
    asked = outage.hold(3)
    answers = threading.Event()
    outage.server.script(lambda received: [Hold(answers), *say("back again")(received)])
    corrected = upstream("a", outage.server.url, key="sk-corrected")
    outage.daemon.change_settings(settings(corrected, failover={"hold_seconds": 300}))
    wait_until(lambda: bool(outage.server.requests), "the trial")
    assert outage.daemon.get("/api/state").json["upstreams"][0]["under_way"] == 1
    answers.set()
    assert [one.result(PATIENCE_SECONDS).status for one in asked] == [200, 200, 200]
    assert outage.daemon.get("/api/state").json["upstreams"][0]["state"] == "ready"


@pytest.mark.parametrize("body", [{}, {"name": "a"}], ids=["all", "one"])
def test_clearing_a_cooldown_makes_the_next_try_due(outage: Holding, body: Document) -> None:
    (asked,) = outage.hold()
    outage.recover()
    outage.daemon.post("/api/upstreams/clear", body)
    assert asked.result(PATIENCE_SECONDS).status == 200


def test_a_try_that_fails_leaves_the_request_held(outage: Holding) -> None:
    (asked,) = outage.hold()
    outage.daemon.post("/api/held/try")
    wait_until(lambda: outage.rows()[0]["upstreams"][0]["tries"] == 2, "the try")
    assert not asked.done()


def test_giving_up_ends_one_request_with_its_error_and_leaves_the_others(outage: Holding) -> None:
    asked = outage.hold(3)
    first = outage.rows()[0]["id"]
    assert outage.daemon.post("/api/held/give-up", {"id": first}).json == {"given_up": 1}
    wait_until(lambda: sum(one.done() for one in asked) == 1, "the end of one")
    (ended,) = [one.result() for one in asked if one.done()]
    assert REASON in ended.text
    assert outage.daemon.post("/api/held/give-up", {"id": first}).status == 404
    assert outage.daemon.post("/api/held/give-up").json == {"given_up": 2}
    assert all(REASON in one.result(PATIENCE_SECONDS).text for one in asked)


def test_the_time_held_is_in_the_row_the_journal_the_log_and_the_metrics(outage: Holding) -> None:
    (asked,) = outage.hold()
    assert "switchyard_held_requests 1\n" in outage.daemon.get("/metrics").text
    outage.recover()
    outage.daemon.post("/api/held/try")
    assert asked.result(PATIENCE_SECONDS).status == 200
    row = outage.daemon.get("/api/requests").json["requests"][0]
    line = outage.daemon.journal()[-1]
    assert (line["held"], row["is_held"]) == (pytest.approx(row["held"], abs=0.002), False)
    assert f" held={row['held']:.1f}s " in log_of(outage.daemon, "held=")
    metrics = outage.daemon.get("/metrics").text
    assert "switchyard_held_requests 0\n" in metrics
    assert 'switchyard_held_total{by="upstream",name="a"} 1\n' in metrics


def log_of(daemon: Daemon, text: str) -> str:
    """The log, once it contains this text."""
    wait_until(lambda: text in daemon.log(), text)
    return daemon.log()


def test_the_log_says_what_is_held_and_how_it_goes_on(outage: Holding) -> None:
    asked = outage.hold(3)
    outage.recover()
    outage.daemon.post("/api/held/try")
    assert [one.result(PATIENCE_SECONDS).status for one in asked] == [200, 200, 200]
    log = log_of(outage.daemon, "was held for")
    assert log.count(f'at the latest: "a": 503 {REASON}') == 3
    assert log.count('upstream "a" answers again; 2 held requests continue') == 1


def test_the_status_line_says_what_is_held_of_this_client(outage: Holding) -> None:
    outage.hold(2)
    line = outage.daemon.get("/statusline").text
    assert line.startswith("held: 2 (a: 503, next try 1")
    assert outage.daemon.get("/statusline?client=chat").text.startswith("a | ")


def test_while_nothing_is_held_the_status_line_names_the_upstream_that_is_cooling_down(
    outage: Holding,
) -> None:
    (asked,) = outage.hold()
    outage.daemon.post("/api/held/give-up")
    asked.result(PATIENCE_SECONDS)
    assert outage.daemon.get("/statusline").text.startswith("a, cooling down | ")


def test_explain_says_what_is_held_and_that_a_new_request_would_be(outage: Holding) -> None:
    outage.hold(2)
    route = outage.daemon.get("/api/explain?client=messages&model=m").json
    assert (route["candidates"], route["last_resort"]) == ([], False)
    assert [(one["upstream"], one["model"]) for one in route["held_for"]] == [("a", "m")]
    assert [(one["upstream"], one["requests"]) for one in route["held"]] == [("a", 2)]
    code, said = outage.daemon.command("explain", "--model", "m")
    assert code == 0
    assert "cooling down: a new request is held and tries them again" in said
    assert "held for: a -> m: 2 requests are held, next try in 1" in said
    assert outage.daemon.get("/api/explain?client=messages&model=m&at=23:59").json["held"] == []


def test_without_holding_the_last_resort_is_explained_as_before(outage: Holding) -> None:
    document = settings(upstream("a", outage.server.url), failover={"hold_seconds": 0})
    outage.daemon.change_settings(document)
    ask(outage.daemon.url, "messages")
    route = outage.daemon.get("/api/explain?client=messages&model=m").json
    assert (route["last_resort"], route["held_for"]) == (True, [])


# --- live events -----------------------------------------------------------------


@contextmanager
def events(daemon: Daemon) -> Iterator[Iterator[tuple[str, Document]]]:
    """The live events, kind and content."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE_SECONDS)
    connection.request("GET", "/api/events")
    answer = connection.getresponse()

    def read() -> Iterator[tuple[str, Document]]:
        kind = ""
        for line in answer:
            if line.startswith(b"event: "):
                kind = line[7:].decode().strip()
            if line.startswith(b"data: "):
                yield kind, json.loads(line[6:])

    try:
        yield read()
    finally:
        connection.close()


def test_what_is_held_and_goes_on_is_pushed(outage: Holding) -> None:
    with events(outage.daemon) as reported:
        states = (state for kind, state in reported if kind == "state")
        assert next(states)["held"] == []
        (asked,) = outage.hold()
        assert next(state["held"] for state in states if state["held"])[0]["model"] == "m"
        outage.recover()
        outage.daemon.post("/api/held/try")
        assert next(state for state in states if not state["held"])
        assert asked.result(PATIENCE_SECONDS).status == 200


def test_while_nothing_changes_nothing_is_pushed(outage: Holding) -> None:
    outage.hold(2)
    with events(outage.daemon) as reported:
        assert len(next(reported)[1]["held"]) == 2
        outage.daemon.post("/api/capture", {"mode": "all"})
        # the state may just have been computed, step by step
        changed = next(
            state for kind, state in reported if kind == "state" and state["capture"]["mode"] == "all"
        )
        wait_until(lambda: int(outage.daemon.get("/api/state").json["now"]) > changed["now"] + 3, "time")
        outage.daemon.post("/api/capture", {"mode": "off"})
        kind, state = next(reported)
        assert (kind, state["capture"]["mode"]) == ("state", "off")
