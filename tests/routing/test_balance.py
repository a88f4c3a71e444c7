"""Equal priorities take turns by load: new conversations spread over them."""

import random
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from switchyard.routing.ask import State
from switchyard.routing.balance import Balance, Load, by_load
from switchyard.routing.limits import Limits
from switchyard.routing.lineup import Candidate
from switchyard.routing.sessions import Sessions, conversation_of
from switchyard.settings import Settings, Upstream
from tests.routing.test_route import ASK, MONDAY_NOON, cooling, names, route, settings

HOUR = 3600.0


def candidate(name: str, priority: int | None = 70, **more: Any) -> Candidate:
    return Candidate(Upstream(name=name, base_url="https://h.example", priority=priority, **more), "m")


@pytest.mark.parametrize(
    ("loads", "order"),
    [
        ({}, "abc"),
        ({"a": Load(sessions=1)}, "bca"),
        ({"a": Load(running=1), "b": Load(sessions=1, running=1)}, "cab"),
        ({"a": Load(sessions=2), "b": Load(running=2), "c": Load(sessions=1, running=1)}, "abc"),
        ({"a": Load(turn=2.0), "b": Load(turn=1.0), "c": Load(turn=1.0)}, "bca"),
        ({"a": Load(turn=2.0), "b": Load(sessions=1), "c": Load(running=1)}, "abc"),
        ({"c": Load(sessions=9, running=9, turn=9.0, has_session=True)}, "cab"),
    ],
)
def test_the_least_loaded_comes_first_and_the_file_decides_between_equals(
    loads: dict[str, Load], order: str
) -> None:
    assert "".join(one.name for one in by_load(map(candidate, "abc"), loads)) == order


@pytest.mark.parametrize(
    ("priorities", "loads", "order"),
    [
        ((50, 50, None), {}, "abc"),
        ((50, 50, None), {"a": Load(1)}, "bac"),
        ((50, None, 50), {"a": Load(1)}, "cba"),
        ((None, 50, 50), {"b": Load(1)}, "acb"),
        ((50, None, 50), {"b": Load(9), "c": Load(has_session=True)}, "cba"),
        ((50, 60, None), {}, "bac"),
        ((40, 40, None), {"a": Load(1)}, "cba"),
    ],
)
def test_one_without_a_priority_keeps_its_position_among_those_with_the_same(
    priorities: tuple[int | None, ...], loads: dict[str, Load], order: str
) -> None:
    entries = map(candidate, "abc", priorities)
    assert "".join(one.name for one in by_load(entries, loads)) == order


@pytest.mark.parametrize(
    ("sessions", "first"), [((0, 0), "b"), ((1, 0), "b"), ((1, 1), "a"), ((2, 1), "a"), ((3, 1), "b")]
)
def test_the_load_counts_by_weight(sessions: tuple[int, int], first: str) -> None:
    entries = candidate("a", weight=3), candidate("b", weight=1)
    loads = {"a": Load(sessions[0], turn=9.0), "b": Load(sessions[1])}
    assert by_load(entries, loads)[0].name == first


def test_the_keys_of_an_entry_share_its_load_at_its_own_position() -> None:
    before, several, after = (
        candidate("a", None),
        candidate("b", None, keys=("k1", "k2")),
        candidate("c", None),
    )
    keyed = [replace(several, upstream=one) for one in several.upstream.accounts]
    loads = {"a": Load(9), "b (key 1)": Load(1), "c": Load(0)}
    found = [one.name for one in by_load((before, *keyed, after), loads)]
    assert found == ["a", "b (key 2)", "b (key 1)", "c"]


def test_each_key_counts_as_one_among_equal_priorities() -> None:
    entries = settings({"priority": 70, "keys": ["k1", "k2"]}, {"priority": 70})
    balance, firsts = Balance(), []
    for number in range(6):
        found = route(entries, replace(ASK, session=f"s{number}"), state=State(balance=balance))
        firsts.append(found.candidates[0].name)
        balance.begin(f"s{number}", found.candidates[0].upstream)
    assert Counter(firsts) == {"u0 (key 1)": 2, "u0 (key 2)": 2, "u1": 2}


def test_role_priority_and_the_order_of_the_file_come_before_the_load() -> None:
    entries = (
        candidate("a", 80),
        candidate("b", None),
        candidate("c", None),
        candidate("d", 50, role="backup"),
    )
    loads = {"a": Load(9), "b": Load(5), "c": Load(1), "d": Load(0)}
    assert [one.name for one in by_load(entries, loads)] == ["a", "b", "c", "d"]


# --- over time -------------------------------------------------------------------


class World:
    """What the daemon does with the requests of sessions, without the network."""

    def __init__(self, *entries: dict[str, Any], **rest: Any) -> None:
        self.settings: Settings = settings(*({"priority": 70, **entry} for entry in entries), **rest)
        self.sessions, self.limits, self.now = Sessions(), Limits(), 1000.0
        self.balance = Balance(self.sessions)
        self.state = State(limits=self.limits, balance=self.balance)

    def begin(self, session: str, model: str = "m", **state: Any) -> tuple[str, str, str]:
        """A request is sent: session, model and the upstream."""
        moment = replace(MONDAY_NOON, monotonic=self.now)
        keep = self.settings.failover.session_seconds
        affinity = self.sessions.affinity_of(conversation_of(session, model), self.now, keep)
        ask = replace(ASK, model=model, session=session)
        found = route(self.settings, ask, moment, state=replace(self.state, **state), affinity=affinity)
        assert found.takes_turns
        upstream = found.candidates[0].upstream
        self.limits.begin(upstream.name)
        self.balance.begin(session, upstream)
        return session, model, upstream.name

    def content(self, request: tuple[str, str, str]) -> None:
        session, model, upstream = request
        self.balance.end(session, upstream)
        self.sessions.remember(conversation_of(session, model), upstream, self.now)

    def end(self, request: tuple[str, str, str]) -> None:
        self.limits.end(request[2])

    def ask(self, session: str, model: str = "m", **state: Any) -> str:
        request = self.begin(session, model, **state)
        self.content(request)
        self.end(request)
        return request[2]


@pytest.mark.parametrize("servers", [2, 3, 5])
@pytest.mark.parametrize("seed", range(8))
def test_each_session_has_a_server_of_its_own_while_there_are_enough(servers: int, seed: int) -> None:
    world, chance = World(*({} for _ in range(servers))), random.Random(seed)
    started: list[tuple[str, str, str]] = []
    answering: list[tuple[str, str, str]] = []
    homes: dict[str, set[str]] = {}
    for _ in range(300):
        world.now += chance.choice((0.0, 0.1, 30.0))
        match chance.choice(("begin", "content", "end")):
            case "begin":
                request = world.begin(f"s{chance.randrange(servers)}", chance.choice(("opus", "haiku")))
                homes.setdefault(request[0], set()).add(request[2])
                started.append(request)
            case "content" if started:
                answering.append(started.pop(chance.randrange(len(started))))
                world.content(answering[-1])
            case "end" if answering:
                world.end(answering.pop(chance.randrange(len(answering))))
    assert len(homes) == servers
    assert sorted(homes.values(), key=min) == [{f"u{number}"} for number in range(servers)]


def test_conversations_are_shared_by_weight() -> None:
    world = World({"weight": 1}, {"weight": 3}, {})
    assert Counter(world.ask(f"s{number}") for number in range(50)) == {"u0": 10, "u1": 30, "u2": 10}


def test_requests_without_a_session_are_shared_by_weight_too() -> None:
    world = World({"weight": 1}, {"weight": 3}, {})
    assert Counter(world.ask("") for _ in range(50)) == {"u0": 10, "u1": 30, "u2": 10}


def test_a_session_that_has_been_idle_for_too_long_is_not_counted() -> None:
    world = World({}, {}, failover={"session_hours": 1})
    assert (world.ask("a"), world.ask("b")) == ("u0", "u1")
    world.now += HOUR / 2
    world.ask("b")
    world.now += HOUR / 2 + 1
    assert [world.ask(name) for name in "cb"] == ["u0", "u1"]
    assert len(world.sessions) == 2


def test_a_conversation_that_has_moved_counts_where_it_is() -> None:
    world = World({}, {})
    assert world.ask("a") == "u0"
    assert world.ask("a", health=cooling("u0").health) == "u1"
    assert (world.ask("b"), world.ask("a")) == ("u0", "u1")


def test_a_renamed_upstream_keeps_its_sessions() -> None:
    world = World({}, {})
    for number in range(10):
        world.ask(f"s{number}")
    world.sessions.rename({"u0": "new"})
    assert [len(world.sessions.sessions_at(name)) for name in ("u0", "u1", "new")] == [0, 5, 5]


def test_a_new_upstream_gets_no_more_than_its_share_of_what_follows() -> None:
    world = World({}, {})
    assert [world.ask("") for _ in range(5)] == ["u0", "u1", "u0", "u1", "u0"]
    world.settings = World({}, {}, {}).settings
    assert [world.ask("") for _ in range(5)] == ["u1", "u2", "u0", "u1", "u2"]


def test_what_was_sent_in_vain_does_not_count() -> None:
    world = World({}, {})
    session, _, upstream = failed = world.begin("a")
    world.balance.end(session, upstream)
    world.end(failed)
    entries = [one for one in world.settings.upstreams if one.name == upstream]
    assert world.balance.loads(entries, "a", world.limits, world.now, HOUR)[upstream].sessions == 0


def test_an_order_is_the_same_each_time_it_is_asked_for() -> None:
    world = World({}, {}, {})
    for number in range(4):
        world.ask(f"s{number}")
    orders = {tuple(names(route(world.settings, state=world.state))) for _ in range(5)}
    assert orders == {("u1", "u2", "u0")}
