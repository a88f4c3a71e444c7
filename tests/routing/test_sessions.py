import pytest

from switchyard.routing.sessions import Affinity, Sessions, conversation_of

HOUR = 3600.0


@pytest.mark.parametrize(
    ("asked", "now", "affinity"),
    [
        ("s", 100.0, Affinity("u", 100.0)),
        ("s", 100.0 + HOUR, Affinity("u", 100.0)),
        ("s", 100.1 + HOUR, None),
        ("other", 100.0, None),
        ("", 100.0, None),
    ],
)
def test_a_conversation_is_remembered_for_the_set_time(
    asked: str, now: float, affinity: Affinity | None
) -> None:
    sessions = Sessions()
    sessions.remember("s", "u", 100.0)
    assert sessions.affinity_of(asked, now, HOUR) == affinity


def test_each_answer_restarts_the_time() -> None:
    sessions = Sessions()
    for now in (0.0, HOUR, 2 * HOUR):
        sessions.remember("s", "u", now)
    assert sessions.affinity_of("s", 3 * HOUR, HOUR) == Affinity("u", 2 * HOUR)


def test_with_no_time_to_remember_a_conversation_is_forgotten_at_once() -> None:
    sessions = Sessions()
    sessions.remember("s", "u", 100.0)
    assert sessions.affinity_of("s", 100.1, 0.0) is None


def test_requests_without_a_conversation_are_not_remembered() -> None:
    sessions = Sessions()
    sessions.remember("", "u", 0.0)
    assert len(sessions) == 0


def test_the_longest_idle_conversation_is_dropped() -> None:
    sessions = Sessions(capacity=2)
    for now, session in enumerate(("a", "b", "a", "c")):
        sessions.remember(session, "u", float(now))
    assert [session for session in "abc" if sessions.affinity_of(session, 4.0, HOUR)] == ["a", "c"]
    assert len(sessions) == 2


@pytest.mark.parametrize(
    ("answers", "stays_since"),
    [
        ([("u", False)], None),
        ([("u", True)], 0.0),
        ([("u", False), ("u", True), ("u", True)], 1.0),
        ([("u", True), ("u", False)], None),
        ([("u", True), ("u", False), ("u", True)], 2.0),
        ([("u", True), ("v", True)], 1.0),
    ],
)
def test_it_is_known_since_when_a_conversation_could_have_gone_to_a_better_upstream(
    answers: list[tuple[str, bool]], stays_since: float | None
) -> None:
    sessions = Sessions()
    for now, (upstream, stays) in enumerate(answers):
        sessions.remember("s", upstream, float(now), stays=stays)
    affinity = sessions.affinity_of("s", 5.0, HOUR)
    assert affinity is not None and affinity.stays_since == stays_since


def test_a_conversation_stays_with_an_upstream_that_has_a_new_name() -> None:
    sessions = Sessions()
    sessions.remember("s", "u", 0.0)
    sessions.remember("other", "v", 0.0)
    sessions.rename({"u": "new"})
    seats = [sessions.affinity_of(name, 1.0, HOUR) for name in ("s", "other")]
    assert seats == [Affinity("new", 0.0), Affinity("v", 0.0)]


def test_a_session_that_continues_an_answer_begins_at_its_upstream() -> None:
    sessions = Sessions()
    sessions.remember_session("resp_1", "b", 0.0)
    conversation = conversation_of("resp_1", "m")
    affinity = sessions.affinity_of(conversation, 1.0, 60.0)
    assert affinity is not None and affinity.upstream == "b"
    sessions.remember(conversation, "a", 1.0)
    moved = sessions.affinity_of(conversation, 2.0, 60.0)
    assert moved is not None and moved.upstream == "a"
    assert sessions.affinity_of(conversation_of("other", "m"), 2.0, 60.0) is None
