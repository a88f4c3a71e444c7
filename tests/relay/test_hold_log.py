"""The log lines of held requests: when one is held and why, how it ends, and when an upstream recovers."""

import asyncio
import logging
import re
from typing import Any

import pytest

from switchyard.relay.upstream import Call, Reply
from switchyard.settings import Failover, Settings
from tests.bed.fake_time import now, run
from tests.bed.stage import Stage, refused, reply, upstream

BUSY = b'{"type":"error","error":{"type":"api_error","message":"busy"}}'


def logged(caplog: pytest.LogCaptureFixture, scenario: Any) -> list[str]:
    """The lines of a scenario that speak of holding, request ids and times taken out."""
    with caplog.at_level(logging.INFO, "switchyard.relay"):
        run(scenario())
    lines = [re.sub(r"x_\w+", "x", record.getMessage()) for record in caplog.records]
    lines = [re.sub(r"until \d\d:\d\d:\d\d", "until hh:mm:ss", line) for line in lines]
    return [line for line in lines if "held" in line or "again" in line]


def failing_until(moment: float, *names: str) -> Any:
    async def answer(call: Call) -> Reply:
        if now() >= moment and call.upstream not in names:
            return reply()
        if call.upstream == "b":
            raise refused()
        return reply(503, BUSY)

    return answer


def stage(answer: Any, *names: str, **rules: Any) -> Stage:
    entries = tuple(upstream(name) for name in names)
    return Stage(Settings(upstreams=entries, failover=Failover(**rules)), answer)


def test_a_held_request_has_a_line_with_its_reasons_and_one_with_its_outcome(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        await stage(failing_until(8, "b"), "a", "b").ask(stream=True)

    assert logged(caplog, scenario) == [
        'request x is held until hh:mm:ss at the latest: "a": 503 busy; "b": cannot connect',
        'upstream "a" answers again',
        'request x was held for 15.0 s, tries: 7; "a" answers',
    ]


def test_the_recovery_of_an_upstream_is_logged_once_with_the_requests_that_continue(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        made = stage(failing_until(8), "a")
        await asyncio.gather(*(made.ask(stream=True) for _ in range(20)))

    lines = logged(caplog, scenario)
    assert [line for line in lines if "again" in line] == [
        'upstream "a" answers again; 19 held requests continue'
    ]


def test_an_upstream_that_no_request_waited_for_recovers_without_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async def one_fails_at_first(call: Call) -> Reply:
            return reply(503, BUSY) if call.upstream == "a" and now() < 8 else reply()

        made = stage(one_fails_at_first, "a", "c")
        await made.ask(stream=True)
        await asyncio.sleep(10)
        await made.ask(stream=True)

    assert logged(caplog, scenario) == []


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [
        ("given up", "given up by the user"),
        ("client left", "its connection ended"),
        ("cut", "its connection ended"),
        ("time", "its time limit has passed"),
    ],
)
def test_the_line_of_a_request_without_an_answer_has_the_reason_why_its_hold_ended(
    caplog: pytest.LogCaptureFixture, ends: str, outcome: str
) -> None:
    async def scenario() -> None:
        made = stage(failing_until(1000), "a", hold_seconds=20)
        asking = asyncio.create_task(made.ask(stream=True))
        await asyncio.sleep(8.5)
        match ends:
            case "given up":
                made.dependencies.hold.give_up()
            case "client left":
                asking.cancel()
            case "cut":
                made.dependencies.hold.cut_all()
        await asyncio.wait([asking])

    seconds = 20.0 if ends == "time" else 8.5
    tries = 4 if ends == "time" else 3
    assert logged(caplog, scenario)[-1] == f"request x was held for {seconds} s, tries: {tries}; {outcome}"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(401, "there is nothing left to wait for"), (400, 'its client gets the error of "a"')],
)
def test_a_failure_that_ends_the_waiting_is_reported_as_such(
    caplog: pytest.LogCaptureFixture, status: int, outcome: str
) -> None:
    async def scenario() -> None:
        async def answer(call: Call) -> Reply:
            return reply(503, BUSY) if now() < 5 else reply(status, b'{"error":{"message":"no"}}')

        await stage(answer, "a").ask(stream=True)

    assert logged(caplog, scenario)[-1] == f"request x was held for 7.0 s, tries: 3; {outcome}"
