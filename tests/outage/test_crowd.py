"""Many held sessions of one upstream: one probe at a time, and all are answered after the recovery."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, Document, Response, holding_settings, upstream
from tests.bed.outage import LONG, Outage, OutageUpstream, most_at_once
from tests.bed.patience import wait_until
from tests.bed.upstream import Hold, Received, Script, Wait, say

SESSIONS = 20
FAILS_AFTER = 1.5
"""how long a failing request runs: parallel ones overlap visibly"""
ANSWERS_AFTER = 1.5
"""how long a successful response takes: one after the other they would take too long"""
FAILED_PROBES = 2
"""after so many of a session that has failed the outage ends"""
PROBES = 8
TEXT = "Back again"


@dataclass(frozen=True)
class Scene:
    """`late` sessions start when the others are held."""

    late: int = 0
    max_concurrency: int | None = None

    @property
    def first_attempts(self) -> int:
        """How many may fail before all are held: later ones find the cooldown."""
        return SESSIONS - self.late

    @property
    def together(self) -> int:
        """How many are sent before one of them fails."""
        return min(self.first_attempts, self.max_concurrency or SESSIONS)


SCENES = {
    "all at once": Scene(),
    "four at a time": Scene(max_concurrency=4),
    "half of them during the outage": Scene(late=10),
}


@dataclass(frozen=True)
class Played:
    scene: Scene
    responses: list[Response]
    ended_at: float
    """when the outage was over"""
    requests: list[Received]
    answered: list[Received]
    failed: list[Received]
    rows: list[Document]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    """All scenes in parallel, each with its own upstream and model."""
    folder = tmp_path_factory.mktemp("crowd")
    with (
        OutageUpstream(_slowly) as one,
        OutageUpstream(_slowly) as two,
        OutageUpstream(_slowly) as three,
    ):
        servers = dict(zip(SCENES, (one, two, three), strict=True))
        with Daemon(folder, _settings(servers)) as daemon, ThreadPoolExecutor(len(SCENES)) as pool:
            found = list(pool.map(lambda name: _play(name, servers[name], daemon), SCENES))
    return dict(zip(SCENES, found, strict=True))


def _slowly(request: Received) -> Script:
    return [Wait(ANSWERS_AFTER), *say(TEXT)(request)]


def _settings(servers: dict[str, OutageUpstream]) -> Document:
    limits: dict[str, Document] = {
        name: {"max_concurrency": scene.max_concurrency} if scene.max_concurrency else {}
        for name, scene in SCENES.items()
    }
    entries = [upstream(name, server.url, models=[name], **limits[name]) for name, server in servers.items()]
    return holding_settings(*entries)


def _play(name: str, server: OutageUpstream, daemon: Daemon) -> Played:
    scene, outage, all_came = SCENES[name], Outage(LONG), threading.Event()
    ask(daemon.url, "messages", f"{name},{name}")  # an entry that has never answered is held only briefly
    server.forget()
    server.set_outage("503", outage, before=lambda request: [Hold(all_came), Wait(FAILS_AFTER)])

    def session(number: int) -> Response:
        headers = {"x-claude-code-session-id": f"{name} {number}"}
        return ask(daemon.url, "messages", name, f"I am {number}", headers=headers, seconds=LONG)

    def held() -> int:
        return sum(row["model"] == name for row in daemon.get("/api/state").json["held"])

    with ThreadPoolExecutor(SESSIONS) as pool:
        asked = [pool.submit(session, number) for number in range(scene.first_attempts)]
        wait_until(lambda: len(server.failed) == scene.together, "the first attempts")
        all_came.set()
        wait_until(lambda: not scene.late or held() == scene.first_attempts, "that all are held")
        asked += [pool.submit(session, number) for number in range(scene.first_attempts, SESSIONS)]
        wait_until(lambda: len(_repeated(server.failed)) >= FAILED_PROBES, "failed probes")
        outage.end()
        responses = [one.result() for one in asked]
    rows = [row for row in daemon.journal() if row["model"] == name]
    return Played(
        scene,
        responses,
        outage.ends,
        list(server.requests),
        list(server.answered),
        list(server.failed),
        rows,
    )


@pytest.mark.parametrize("name", SCENES)
def test_every_session_is_answered_after_the_recovery(played: dict[str, Played], name: str) -> None:
    scene = played[name]
    statuses = [response.status for response in scene.responses]
    assert statuses == [200] * SESSIONS, scene.responses[0].text[:300]
    assert {text_of("messages", response) for response in scene.responses} == {TEXT}


@pytest.mark.parametrize("name", ["all at once", "half of them during the outage"])
def test_one_probe_at_a_time_is_under_way_once_the_first_attempts_have_failed(
    played: dict[str, Played], name: str
) -> None:
    scene = played[name]
    first_failure = min(_end(request) for request in scene.failed)
    first_attempts = [request for request in scene.failed if request.at < first_failure]
    since = max(_end(request) for request in first_attempts)
    assert len(first_attempts) <= scene.scene.first_attempts
    assert len(scene.failed) > len(first_attempts), "nothing was held: no probe came"
    assert most_at_once(scene.requests, since, scene.ended_at) == 1


def test_with_a_concurrency_limit_one_of_those_that_have_failed_probes_at_a_time(
    played: dict[str, Played],
) -> None:
    scene = played["four at a time"]
    probes = _repeated(scene.failed)
    assert most_at_once(probes, until=scene.ended_at) == 1
    assert most_at_once(scene.requests) <= 4


@pytest.mark.parametrize("name", SCENES)
def test_the_upstream_is_spared_and_no_request_is_sent_twice(played: dict[str, Played], name: str) -> None:
    scene = played[name]
    assert len(scene.answered) == SESSIONS
    assert len({request.fingerprint for request in scene.answered}) == SESSIONS
    assert len(scene.requests) <= scene.scene.first_attempts + PROBES + SESSIONS


@pytest.mark.parametrize("name", SCENES)
def test_every_session_is_one_row_of_the_journal(played: dict[str, Played], name: str) -> None:
    rows = played[name].rows
    assert [row["outcome"] for row in rows] == ["ok"] * SESSIONS
    assert [(row["usage"]["input"], row["usage"]["output"]) for row in rows] == [(11, 7)] * SESSIONS


def _end(request: Received) -> float:
    assert request.ended_at is not None
    return request.ended_at


def _repeated(requests: list[Received]) -> list[Received]:
    """Those that their session had sent before: no first attempts."""
    sent = [one.fingerprint for one in requests]
    return [one for number, one in enumerate(requests) if one.fingerprint in sent[:number]]
