"""When one held request tries again and what ends it, against a small model written from docs/failures.md."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from switchyard.exchange import FailureKind, Outcome
from switchyard.relay.failures import AttemptFailed, network_failure
from switchyard.relay.upstream import Call, Reply
from switchyard.settings import Failover, Settings
from tests.bed.examples import modelled_in_part
from tests.bed.fake_time import now, run
from tests.bed.stage import Stage, reply, upstream


def reset() -> Reply:
    raise AttemptFailed(network_failure(FailureKind.READ, "reset"))


SLOW_DOWN = b'{"error":{"message":"slow down"}}'
ANSWERS: dict[str, Callable[[], Reply]] = {
    "answers": reply,
    "503": lambda: reply(503, b'{"error":{"message":"busy"}}'),
    "502": lambda: reply(502, b"<html>Bad gateway</html>"),
    "reset": reset,
    "429": lambda: reply(429, SLOW_DOWN),
    "again in 3 s": lambda: reply(429, SLOW_DOWN, retry_after="3"),
    "again in 40 s": lambda: reply(503, SLOW_DOWN, retry_after="40"),
    "500": lambda: reply(500, b'{"error":{"message":"internal error"}}'),
    "bad key": lambda: reply(401, b'{"error":{"message":"invalid api key"}}'),
}
WAITS = {"again in 3 s": 3.0, "again in 40 s": 40.0}


class Outage(NamedTuple):
    """What the upstream does at each try, and how long each takes; afterwards it answers."""

    tries: tuple[str, ...]
    takes: float
    hold_seconds: float


class Story(NamedTuple):
    outcome: Outcome
    tried_at: list[float]
    ended_at: float


def expected(outage: Outage) -> Story:
    """After 1, 2, 4, 8 and then every 15 seconds, never before the requested time, for `hold_seconds` in all."""
    time, ends, tried_at = 0.0, None, []
    for number, result in enumerate((*outage.tries, "answers"), start=1):
        tried_at.append(time)
        time += outage.takes
        if result == "answers":
            return Story(Outcome.OK, tried_at, time)
        ends = time + outage.hold_seconds if ends is None else ends
        wait = WAITS.get(result, 0.0)
        cannot_help = result == "bad key" or (result == "500" and number >= 3) or wait > ends - time
        if cannot_help or time >= ends:
            return Story(Outcome.FAILED, tried_at, time)
        pause = max([1.0, 2.0, 4.0, 8.0, 15.0][min(number, 5) - 1], wait)
        if time + pause > ends:
            return Story(Outcome.FAILED, tried_at, ends)
        time += pause
    raise AssertionError("the last try answers")


def played(outage: Outage) -> Story:
    async def scenario() -> Story:
        tried_at: list[float] = []

        async def answer(_: Call) -> Reply:
            result = (*outage.tries, "answers")[len(tried_at)]
            tried_at.append(now())
            await asyncio.sleep(outage.takes)
            return ANSWERS[result]()

        rules = Failover(hold_seconds=outage.hold_seconds)
        stage = Stage(Settings(upstreams=(upstream("a"),), failover=rules), answer)
        exchange = await stage.ask(stream=True)
        assert exchange.outcome is not None
        return Story(exchange.outcome, tried_at, now())

    return run(scenario())


PASSING = [name for name in ANSWERS if name not in ("answers", "bad key")]
OUTAGES = st.builds(
    Outage,
    tries=st.lists(st.sampled_from([*PASSING * 3, "bad key"]), max_size=12).map(tuple),
    takes=st.sampled_from([0.0, 0.5, 3.0]),
    # never at the moment of a try
    hold_seconds=st.sampled_from([0.0, 20.25, 61.25, 300.25]),
)


@given(OUTAGES)
@modelled_in_part
def test_a_held_request_tries_again_when_the_page_on_failures_says(outage: Outage) -> None:
    assert played(outage) == expected(outage)
