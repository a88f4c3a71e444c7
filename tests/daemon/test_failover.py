"""Failover end to end: actions, cooldowns, trials, limits and conversations, also under many parallel requests."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bed import wire
from tests.bed.asking import ask, error_of, text_of
from tests.bed.daemon import Daemon, Document, Response, holding_settings, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import (
    FAULTS,
    Answer,
    Close,
    Hold,
    Received,
    Script,
    ScriptedUpstream,
    Send,
    Wait,
    closed_url,
    cut_after_content,
    fixed,
    head,
    say,
    status,
)
from tests.bed.wire import PROTOCOLS, Protocol

MANY = 64


HURRY = {"first_byte": 2, "idle": 2}
"""only for an upstream that is to exceed it: on a busy machine any other could as well"""


@dataclass
class Crowd:
    """An answer that records how many requests it serves at a time, and their order.

    `together`: each answer waits until so many requests have come.
    """

    text: str
    seconds: float = 0.0
    gate: threading.Event | None = None
    together: threading.Barrier | None = None
    now: int = 0
    most: int = 0
    order: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Received) -> Iterator[Any]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.order.append(request.json["messages"][0]["content"])
        if self.gate is not None:
            yield Hold(self.gate)
        if self.together is not None:
            self.together.wait(PATIENCE_SECONDS)
        if self.seconds:
            yield Wait(self.seconds)
        # the client may read the last bytes and send its next request before this thread continues
        with self.lock:
            self.now -= 1
        yield from say(self.text)(request)


def at_once(count: int, work: Callable[[int], Response]) -> list[Response]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def texts(responses: list[Response]) -> set[tuple[int, str]]:
    return {(response.status, text_of("messages", response)) for response in responses}


def upstream_state(daemon: Daemon, name: str) -> Document:
    states = daemon.get("/api/state").json["upstreams"]
    return next(dict(state) for state in states if state["name"] == name)


# --- actions -------------------------------------------------------------------

ACTIONS = {
    "on_status": {"418": "retry", "451": "rescue", "409": "return", "5xx": "rescue", "default": "return"},
    "on_error": {"connect": "rescue", "read": "return", "protocol": "switch", "default": "retry"},
    "error_threshold": 1000,
}
TEAPOT, LEGAL, CONFLICT = status(418), status(451), status(409, "said by the first")
HINTED = status(418, headers={"retry-after": "30"})
WAITS_A_LITTLE = status(418, headers={"retry-after-ms": "20"})
GOOD = say("first")
SILENCE = FAULTS["silence before headers"]


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    first: ScriptedUpstream
    second: ScriptedUpstream
    rescue: ScriptedUpstream


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream() as first, ScriptedUpstream() as second, ScriptedUpstream() as rescue:
        entries = (
            upstream("refusing", closed_url(), models=["refused"]),
            upstream("first", first.url, models=["m"]),
            upstream("hurried", first.url, models=["hurried"], timeouts=HURRY),
            upstream("second", second.url, role="backup"),
            upstream("rescue", rescue.url, role="rescue"),
        )
        with Daemon(tmp_path_factory.mktemp("actions"), settings(*entries, failover=ACTIONS)) as daemon:
            yield Bed(daemon, first, second, rescue)


@pytest.mark.parametrize(
    ("answers", "rescue", "status", "text", "asked"),
    [
        pytest.param([WAITS_A_LITTLE, GOOD], None, 200, "first", (2, 0, 0), id="a retry that helps"),
        pytest.param([WAITS_A_LITTLE], None, 200, "second", (3, 1, 0), id="retries used up"),
        pytest.param([HINTED, GOOD], None, 200, "second", (1, 1, 0), id="too long a wait for a retry"),
        pytest.param([SILENCE, GOOD], None, 200, "first", (2, 0, 0), id="a retry after silence"),
        pytest.param([LEGAL], say("rescue"), 200, "rescue", (1, 0, 1), id="rescued"),
        pytest.param([status(503)], say("rescue"), 200, "rescue", (1, 0, 1), id="rescued for a class"),
        pytest.param([LEGAL], LEGAL, 200, "second", (1, 1, 1), id="the rescue fails too"),
        pytest.param([CONFLICT], None, 409, "said by the first", (1, 0, 0), id="returned"),
        pytest.param([status(404, "by default")], None, 404, "by default", (1, 0, 0), id="default"),
        pytest.param([FAULTS["not HTTP"]], None, 200, "second", (1, 1, 0), id="switched for a network error"),
        pytest.param([cut_after_content(text="x" * 99)], None, 502, "", (1, 0, 0), id="returned for one"),
    ],
)
def test_each_failure_has_its_action(
    bed: Bed,
    answers: list[Answer],
    rescue: Answer | None,
    status: int,
    text: str,
    asked: tuple[int, int, int],
) -> None:
    bed.first.script(*answers)
    bed.second.script(say("second"))
    bed.rescue.script(rescue or say("not wanted"))
    bed.daemon.post("/api/upstreams/clear", {})

    model = "hurried" if SILENCE in answers else "m"
    response = ask(bed.daemon.url, "messages", model, stream=False)

    reported = (
        text_of("messages", response) if response.status == 200 else error_of("messages", response)["message"]
    )
    assert response.status == status and text in reported, response.text
    assert (len(bed.first.requests), len(bed.second.requests), len(bed.rescue.requests)) == asked


def test_a_returned_error_keeps_its_words_and_its_time_to_wait(bed: Bed) -> None:
    bed.first.script(status(409, "said by the first", {"retry-after": "7"}))
    bed.daemon.post("/api/upstreams/clear", {})
    response = ask(bed.daemon.url, "messages", stream=False)
    assert (response.status, response.header("retry-after")) == (409, "7")
    assert response.json == json.loads(wire.error_body("messages", "said by the first"))
    reported = response.header("x-switchyard-upstream"), response.header("x-switchyard-attempts")
    assert reported == ("first", "1")


def test_a_refused_connection_may_be_rescued(bed: Bed) -> None:
    bed.rescue.script(say("rescue"))
    response = ask(bed.daemon.url, "messages", "refused")
    assert text_of("messages", response) == "rescue"
    assert response.header("x-switchyard-upstream") == "rescue"
    assert response.header("x-switchyard-attempts") == "2"


@pytest.mark.parametrize(
    "fails", [status(503), cut_after_content(text="x" * 99)], ids=["before content", "after it"]
)
def test_while_an_upstream_is_cooling_down_its_rescue_answers_without_delay(
    tmp_path: Path, fails: Answer
) -> None:
    rules = {"error_threshold": 1, "on_status": {"5xx": "rescue"}, "on_error": {"read": "rescue"}}
    with ScriptedUpstream(fails) as first, ScriptedUpstream(say("rescue")) as rescue:
        entries = (upstream("first", first.url), upstream("rescue", rescue.url, role="rescue"))
        with Daemon(tmp_path, holding_settings(*entries, failover=rules)) as daemon:
            ask(daemon.url, "messages")
            response = ask(daemon.url, "messages")
    assert (text_of("messages", response), response.header("x-switchyard-attempts")) == ("rescue", "1")
    assert len(first.requests) == 1 and "held" not in daemon.journal()[-1]


def test_the_reasons_are_in_the_journal(bed: Bed) -> None:
    bed.first.script(LEGAL)
    bed.rescue.script(LEGAL)
    bed.second.script(say("second"))
    bed.daemon.post("/api/upstreams/clear", {})
    ask(bed.daemon.url, "messages")
    line = bed.daemon.journal()[-1]
    reported = [(one["upstream"], one.get("verdict", "")) for one in line["attempts"]]
    assert reported == [
        ("first", "rescue: 451 scripted failure"),
        ("rescue", "rescue: 451 scripted failure"),
        ("second", ""),
    ]


# --- cooldowns and trials under many requests --------------------------------------


def test_64_requests_at_a_time_meet_a_dying_upstream_a_trial_and_a_recovery(tmp_path: Path) -> None:
    let_go = threading.Event()

    def held(request: Received) -> Script:
        return [Hold(let_go), *say("first")(request)]

    with ScriptedUpstream(status(500)) as first, ScriptedUpstream(say("second")) as second:
        entries = (upstream("first", first.url), upstream("second", second.url, role="backup"))
        rules = {"error_threshold": 3, "cooldown_seconds": 1}
        with Daemon(tmp_path, settings(*entries, failover=rules)) as daemon:
            dying = at_once(MANY, lambda _: ask(daemon.url, "messages"))
            assert texts(dying) == {(200, "second")}
            assert len(second.requests) == MANY
            died_for = len(first.requests)
            assert 3 <= died_for <= MANY

            first.script(held)
            second.script(say("second"))
            wait_until(
                lambda: upstream_state(daemon, "first")["state"] != "cooldown", "the end of the cooldown"
            )
            with ThreadPoolExecutor(MANY) as pool:
                asking = [pool.submit(ask, daemon.url, "messages") for _ in range(MANY)]
                wait_until(lambda: len(second.requests) >= MANY - 1, "the others' answers")
                trials = len(first.requests)
                let_go.set()
                trying = [answer.result() for answer in asking]
            assert trials == 1
            assert sorted(text_of("messages", response) for response in trying) == ["first"] + ["second"] * 63

            recovered = at_once(MANY, lambda _: ask(daemon.url, "messages"))
            assert texts(recovered) == {(200, "first")}
            assert upstream_state(daemon, "first")["state"] == "ready"
            wait_until(lambda: upstream_state(daemon, "first")["under_way"] == 0, "the end of the bodies")
            summary = daemon.token_stats()["summary"]
            lines = daemon.journal()

    assert (summary["total_requests"], len(lines)) == (3 * MANY, 3 * MANY)
    assert summary["total_output_tokens"] == 3 * MANY * 7
    answered = [line["upstream"] for line in lines]
    assert (answered.count("first"), answered.count("second")) == (MANY + 1, 2 * MANY - 1)
    attempts = [one["upstream"] for line in lines for one in line["attempts"]]
    assert attempts.count("first") == died_for + 1 + MANY


def test_a_sole_upstream_is_never_locked_out_by_its_own_cooldown(tmp_path: Path) -> None:
    with ScriptedUpstream(status(401), say("back")) as only:
        with Daemon(tmp_path, settings(upstream("only", only.url))) as daemon:
            assert ask(daemon.url, "messages").status == 401
            assert upstream_state(daemon, "only")["state"] == "cooldown"
            assert texts(at_once(8, lambda _: ask(daemon.url, "messages"))) == {(200, "back")}
            assert upstream_state(daemon, "only")["state"] == "ready"


def test_an_edit_clears_only_what_is_held_against_a_changed_account(tmp_path: Path) -> None:
    with ScriptedUpstream(status(401)) as first, ScriptedUpstream(status(401)) as second:
        entries = [upstream("first", first.url), upstream("second", second.url)]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            ask(daemon.url, "messages")
            entries[1] |= {"key": "sk-another", "note": "a new key"}
            entries[0] |= {"note": "the same key"}
            daemon.change_settings(settings(*entries))
            states = [upstream_state(daemon, name)["state"] for name in ("first", "second")]
    assert states == ["cooldown", "ready"]


# --- limits --------------------------------------------------------------------


def test_32_clients_of_an_upstream_for_two_are_served_two_at_a_time_in_their_order(tmp_path: Path) -> None:
    crowd = Crowd("served", gate=(all_have_come := threading.Event()), together=threading.Barrier(2))
    with ScriptedUpstream(crowd) as limited:
        entry = upstream("limited", limited.url, max_concurrency=2)
        with Daemon(tmp_path, settings(entry)) as daemon:
            names = [f"client {number}" for number in range(32)]
            with ThreadPoolExecutor(32) as pool:
                asking = []
                for count, name in enumerate(names, start=1):
                    asking.append(pool.submit(ask, daemon.url, "messages", text=name))
                    wait_until(lambda: under_way(daemon) >= count, name)  # noqa: B023
                all_have_come.set()
                responses = [answer.result() for answer in asking]
            wait_until(lambda: upstream_state(daemon, "limited")["under_way"] == 0, "the end of the bodies")
            lines = daemon.journal()
    assert texts(responses) == {(200, "served")}
    assert (crowd.most, len(lines)) == (2, 32)
    # the two that are served together may overtake each other on their way to the upstream
    assert all(abs(crowd.order.index(name) - place) <= 1 for place, name in enumerate(names)), crowd.order


def under_way(daemon: Daemon) -> int:
    return len(daemon.get("/api/state").json["running"])


def test_a_request_that_fails_over_keeps_to_the_limits_of_the_next_upstream(tmp_path: Path) -> None:
    crowd = Crowd("served", seconds=0.02)
    with ScriptedUpstream(status(500)) as failing, ScriptedUpstream(crowd) as limited:
        entries = (upstream("failing", failing.url), upstream("limited", limited.url, max_concurrency=2))
        rules = {"error_threshold": 1000}
        with Daemon(tmp_path, settings(*entries, failover=rules)) as daemon:
            responses = at_once(32, lambda _: ask(daemon.url, "messages"))
    assert texts(responses) == {(200, "served")}
    assert crowd.most == 2


def test_a_last_resort_keeps_to_its_limit(tmp_path: Path) -> None:
    crowd = Crowd("served", seconds=0.02)
    with ScriptedUpstream(status(401), crowd) as only:
        with Daemon(tmp_path, settings(upstream("only", only.url, max_concurrency=2))) as daemon:
            assert ask(daemon.url, "messages").status == 401
            responses = at_once(16, lambda _: ask(daemon.url, "messages"))
    assert texts(responses) == {(200, "served")}
    assert crowd.most <= 2


def test_a_full_upstream_is_passed_over_while_another_can_serve(tmp_path: Path) -> None:
    let_go = threading.Event()

    def held(request: Received) -> Script:
        return [Hold(let_go), *say("first")(request)]

    with ScriptedUpstream(held) as first, ScriptedUpstream(say("second")) as second:
        entries = (upstream("first", first.url, max_concurrency=1), upstream("second", second.url))
        with Daemon(tmp_path, settings(*entries)) as daemon, ThreadPoolExecutor(1) as pool:
            holding = pool.submit(ask, daemon.url, "messages")
            first.wait_for()
            response = ask(daemon.url, "messages")
            row = next(one for one in daemon.get("/api/requests").json["requests"] if one["outcome"] == "ok")
            reported = daemon.get(f"/api/requests/{row['id']}").json
            let_go.set()
            held_text = text_of("messages", holding.result())
    assert (text_of("messages", response), held_text) == ("second", "first")
    assert reported["skipped"] == [{"upstream": "first", "text": "at its limit of 1 concurrent request"}]


def test_a_limit_of_requests_a_minute_is_a_reason_and_its_wait_is_bounded(tmp_path: Path) -> None:
    with ScriptedUpstream(say("served")) as limited:
        entry = upstream("limited", limited.url, requests_per_minute=3)
        with Daemon(tmp_path, settings(entry, failover={"queue_seconds": 0.3})) as daemon:
            responses = at_once(5, lambda _: ask(daemon.url, "messages"))
    assert sorted(response.status for response in responses) == [200, 200, 200, 503, 503]
    refused = [error_of("messages", one)["message"] for one in responses if one.status == 503]
    assert all('"limited": at its limit of 3 requests per minute until' in message for message in refused)
    assert len(limited.requests) == 3


FILLERS = {
    "comments": b": PROCESSING\n\n",
    "pings": b'event: ping\ndata: {"type": "ping"}\n\n',
    "empty lines": b"\n\n",
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("filler", FILLERS)
def test_an_upstream_that_only_sends_keep_alives_is_replaced(
    tmp_path: Path, filler: str, stream: bool
) -> None:
    drip = [step for _ in range(200) for step in (Send(FILLERS[filler]), Wait(0.1))]
    opening = head(200, {"content-type": "text/event-stream", "connection": "close"})
    with (
        ScriptedUpstream(fixed([opening, *drip, Close()])) as alive,
        ScriptedUpstream(say("second")) as second,
    ):
        limits = {"first_byte": 1, "idle": 1}
        entries = (upstream("alive", alive.url, timeouts=limits), upstream("second", second.url))
        with Daemon(tmp_path, settings(*entries)) as daemon:
            response = ask(daemon.url, "messages", stream=stream)
    assert text_of("messages", response) == "second"


# --- conversations -------------------------------------------------------------


def test_a_conversation_stays_where_it_went_and_new_ones_go_to_the_recovered(tmp_path: Path) -> None:
    with ScriptedUpstream(status(500), say("first")) as first, ScriptedUpstream(say("second")) as second:
        entries = (upstream("first", first.url), upstream("second", second.url))
        with Daemon(tmp_path, settings(*entries)) as daemon:

            def says(session: str) -> str:
                headers = {"x-claude-code-session-id": session}
                return text_of("messages", ask(daemon.url, "messages", headers=headers))

            reported = [says(session) for session in ("old", "old", "new", "old", "new")]
            explained = daemon.get("/api/explain?model=m&session=old").json["candidates"]
    assert reported == ["second", "second", "first", "second", "first"]
    assert (explained[0]["upstream"], explained[0]["why"]) == ("second", "keeps its conversation")


def test_another_model_requested_beside_a_conversation_does_not_move_it(tmp_path: Path) -> None:
    """Claude Code requests titles from a small model, with the same session."""
    with ScriptedUpstream(say("large")) as large, ScriptedUpstream(say("any")) as every:
        entries = (upstream("large", large.url, models=["claude-large"]), upstream("any", every.url))
        with Daemon(tmp_path, settings(*entries)) as daemon:

            def says(model: str) -> str:
                headers = {"x-claude-code-session-id": "one"}
                return text_of("messages", ask(daemon.url, "messages", model, headers=headers))

            reported = [says(f"claude-{size}") for size in ("large", "small", "large")]
    assert reported == ["large", "any", "large"]


def test_a_request_can_be_replayed_at_another_upstream_whatever_its_role_and_cooldown(tmp_path: Path) -> None:
    answers = (status(401), say("first"))
    with ScriptedUpstream(*answers) as first, ScriptedUpstream(say("rescue")) as rescue:
        entries = (
            upstream("first", first.url),
            upstream("second", closed_url()),
            upstream("rescue", rescue.url, role="rescue", hours="00:00-00:01", weekdays=[]),
            upstream("off", closed_url(), enabled=False),
        )
        with Daemon(tmp_path, settings(*entries)) as daemon:
            daemon.post("/api/capture", {"mode": "all"})
            ask(daemon.url, "messages", "first,m")
            assert upstream_state(daemon, "first")["state"] == "cooldown"
            assert daemon.get("/api/state").json["routes"]["messages"]["model"] == "m"
            id = daemon.get("/api/requests").json["requests"][0]["id"]

            def replayed(name: str) -> Response:
                return daemon.post("/api/requests/replay", {"id": id, "upstream": name})

            for name in ("first", "rescue"):
                again = replayed(name).json["id"]
                wait_until(lambda: outcome_of(daemon, again) == "ok", f"the answer of {name}")  # noqa: B023
                attempts = daemon.get(f"/api/requests/{again}").json["attempts"]
                assert [(one["upstream"], one["why"]) for one in attempts] == [(name, "selected by name")]
            refused = replayed("off")
    assert (refused.status, refused.json["error"]["message"]) == (409, '"off" is disabled; enable it first.')


def outcome_of(daemon: Daemon, id: str) -> str:
    return str(daemon.get(f"/api/requests/{id}").json["row"]["outcome"])


# --- simulated failures ----------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mode", ["down", "slow", "cut"])
def test_the_owner_can_watch_the_failover_work(tmp_path: Path, mode: str, protocol: Protocol) -> None:
    with ScriptedUpstream(say("first " * 40)) as first, ScriptedUpstream(say("second")) as second:
        entries = [
            upstream("first", first.url, protocol, timeouts=HURRY if mode == "slow" else {}),
            upstream("second", second.url, protocol),
        ]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            daemon.post("/api/simulate", {"upstream": "first", "mode": mode, "minutes": 5})
            assert upstream_state(daemon, "first")["simulation"]["mode"] == mode
            during = ask(daemon.url, protocol, stream=False)
            broken = ask(daemon.url, protocol)
            again = ask(daemon.url, protocol)
            daemon.post("/api/simulate", {"upstream": "first", "mode": None})
            after = ask(daemon.url, protocol)
            outcomes = [line["outcome"] for line in daemon.journal()]
    assert text_of(protocol, during) == "second"
    assert text_of(protocol, again) == "second"
    assert text_of(protocol, after).startswith("first first")
    assert outcomes == ["ok", "truncated" if mode == "cut" else "ok", "ok", "ok"]
    assert ("connection cut (simulated)" in broken.text) is (mode == "cut")


def test_an_upstream_that_is_simulated_to_be_down_counts_no_tokens_either(tmp_path: Path) -> None:
    with ScriptedUpstream(status(500)) as first:
        with Daemon(tmp_path, settings(upstream("first", first.url))) as daemon:
            daemon.post("/api/simulate", {"upstream": "first", "mode": "down", "minutes": 5})
            counted = daemon.post("/v1/messages/count_tokens", {"model": "m", "messages": []})
    assert (counted.status, counted.json["input_tokens"] > 0, first.requests) == (200, True, [])


# --- everything is down --------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_error_of_a_dead_end_reports_every_upstream_and_its_cause(
    tmp_path: Path, protocol: Protocol
) -> None:
    with ScriptedUpstream(SILENCE) as silent, ScriptedUpstream(status(529, "too busy")) as busy:
        entries = (
            upstream("refusing", closed_url(), protocol),
            upstream("silent", silent.url, protocol, timeouts={"first_byte": 0.2}),
            upstream("busy", busy.url, protocol),
        )
        with Daemon(tmp_path, settings(*entries)) as daemon:
            response = ask(daemon.url, protocol)
            line = daemon.journal()[-1]
    message = error_of(protocol, response)["message"]
    for reported in (
        '"refusing": cannot connect',
        '"silent": sent nothing for 0.2 s',
        '"busy": 529 too busy',
    ):
        assert reported in message, message
    assert (response.header("retry-after"), response.header("x-should-retry")) == (None, None)
    assert response.header("x-switchyard-attempts") == "3"
    assert (line["outcome"], len(line["attempts"])) == ("failed", 3)
    assert json.dumps(line).count("sk-of-") == 0


def test_a_client_error_is_not_tried_elsewhere(tmp_path: Path) -> None:
    with ScriptedUpstream(fixed(list(status(400)(_none())))) as first, ScriptedUpstream() as second:
        entries = (upstream("first", first.url), upstream("second", second.url))
        with Daemon(tmp_path, settings(*entries)) as daemon:
            responses = at_once(16, lambda _: ask(daemon.url, "messages"))
            state = upstream_state(daemon, "first")
    assert {response.status for response in responses} == {400}
    assert (len(first.requests), len(second.requests), state["state"]) == (16, 0, "ready")


def _none() -> Received:
    return Received("POST", "/v1/messages", [], b"{}", 0.0)


# --- one reason, shown everywhere -----------------------------------------------


def test_the_command_the_api_the_list_and_the_log_report_the_same_reason(tmp_path: Path) -> None:
    with ScriptedUpstream(status(401, "no such key")) as first, ScriptedUpstream(say("second")) as second:
        entries = (upstream("first", first.url), upstream("second", second.url))
        with Daemon(tmp_path, settings(*entries)) as daemon:
            ask(daemon.url, "messages")
            ask(daemon.url, "messages")
            row = daemon.get("/api/requests").json["requests"][0]
            (listed,) = daemon.get(f"/api/requests/{row['id']}").json["skipped"]
            (explained,) = daemon.get("/api/explain?model=m").json["skipped"]
            (routed,) = daemon.get("/api/state").json["routes"]["messages"]["skipped"]
            code, said = daemon.command("explain", "--model", "m")
            without_model = daemon.command("explain")
        log = daemon.log()
    reason = str(listed["text"])
    assert reason.startswith("cooling down until ") and reason.endswith(" after 1 error: 401 no such key")
    assert (explained["text"], routed["text"]) == (reason, reason)
    assert (code, said.splitlines()) == (0, ["1. second -> m (primary)", f"skipped: first: {reason}"])
    assert without_model == (0, f"without --model, for m:\n{said}")
    assert f'; skipped: "first" {reason}\n' in log
