"""What happens in one run, drawn from its seed: settings and their edits, clients, moods, disk, clocks, shutdown."""

import copy
import math
import random
from dataclasses import dataclass, field
from typing import Any, get_args

from tests.bed.wire import PROTOCOLS
from tests.simulation.disk import State
from tests.simulation.hosts import Mood

CLIENT_KEY = "sk-client-of-its-own"
HOSTS = 4
Document = dict[str, Any]


@dataclass
class Event:
    at: float
    what: str
    value: Any = None


@dataclass
class Scenario:
    document: Document
    events: list[Event]
    clients: list[tuple[int, tuple[float, ...]]]
    """how many requests each sends, and its pauses between them"""
    most_held: int
    most_waiting: int
    buffer_bytes: int
    """of answers and connections: from there on the other side has to wait"""
    large_bytes: int
    """of a body: from there on it is converted in a thread"""
    looks: int
    """how often a dashboard asks"""
    renames: bool
    """the edits rename upstreams"""
    keys: dict[str, set[str]] = field(default_factory=dict)
    """by host: those that may ever be sent there"""
    limits: dict[str, float] = field(default_factory=dict)
    """by key: the highest `max_concurrency` that ever applied"""

    def note(self, document: Document) -> None:
        """These settings may be in use from now on."""
        for upstream in document["upstreams"]:
            host = upstream["base_url"].split("/")[2]
            for key in upstream.get("keys") or [upstream["key"]]:
                sent = CLIENT_KEY if key == "client" else key.removeprefix("keyring:")
                self.keys.setdefault(host, set()).add(sent)
                limit = (sent.startswith("sk-up") and upstream["max_concurrency"]) or math.inf
                self.limits[sent] = max(self.limits.get(sent, 0), limit)


def draw(random: random.Random) -> Scenario:
    document = _document(random)
    seconds = random.choice((0.5, 5.0, 40.0))
    clients: list[tuple[int, tuple[float, ...]]] = [
        (random.choice((1, 1, 2, 4)), random.choice(((0.0,), (0.0, 0.01), (0.0, seconds / 2, seconds))))
        for _ in range(random.choice((1, 2, 4, 8, 20)))
    ]
    scenario = Scenario(
        document,
        [],
        clients,
        most_held=random.choice((1, 3, 200)),
        most_waiting=random.choice((1, 3, 1000)),
        buffer_bytes=random.choice((300, 64 * 1024)),
        large_bytes=random.choice((10, 300_000)),
        looks=random.choice((0, 0, 0, 1, 6)),
        renames=random.random() < 0.05,
    )
    scenario.note(document)
    scenario.events = sorted(_events(random, scenario, seconds), key=lambda event: event.at)
    return scenario


# --- settings -------------------------------------------------------------------------


def _document(random: random.Random) -> Document:
    return {
        "upstreams": [_upstream(random, number) for number in range(random.choice((1, 1, 2, 3)))],
        "failover": {
            "hold_seconds": random.choice((0, 8, 30, 60)),
            "cooldown_start_seconds": random.choice((0, 1, 15)),
            "cooldown_seconds": random.choice((5, 60)),
            "queue_seconds": random.choice((0, 2, 30)),
            "keep_alive_seconds": random.choice((0.5, 2, 15)),
            "error_threshold": random.choice((1, 3)),
            **random.choice(({}, {"total_seconds": 40})),
            **random.choice(({}, {}, {"on_status": {"5xx": "retry"}})),
        },
    }


def _upstream(random: random.Random, number: int) -> Document:
    host = random.randrange(HOSTS)
    own_key = f"sk-up-{number}-at-{host}"
    keys = random.choice(
        ({"key": own_key},) * 6 + ({"key": "", "keys": [own_key, f"{own_key}-b"]}, {"key": ""})
    )
    return {
        "name": f"u{number}",
        "base_url": f"http://host{host}.test/v1",
        "protocol": random.choice(PROTOCOLS),
        "max_concurrency": random.choice((0, 1, 1, 2)),
        "requests_per_minute": random.choice((0, 0, 0, 3)),
        "balance": random.random() < 0.1,
        **random.choice(({}, {}, {}, {"activation": {"at": "14:14"}})),
        "weight": random.choice((1, 3)),
        "role": random.choice(("primary", "primary", "primary", "backup", "rescue")) if number else "primary",
        "timeouts": {
            "connect": random.choice((1, 5)),
            "first_byte": random.choice((2, 20)),
            "idle": random.choice((1, 5)),
        },
        **keys,
    }


def edited(random: random.Random, document: Document, *, renames: bool) -> Document:
    """The document after one edit of a user."""
    document = copy.deepcopy(document)
    upstream = random.choice(document["upstreams"])
    match 5 if renames else random.choice((0, 1, 2, 3, 4, 6)):
        case 0:
            moved = _upstream(random, int(upstream["name"][1]))
            upstream.clear()
            upstream.update(moved)
        case 1:
            upstream["enabled"] = not upstream.get("enabled", True)
        case 2:
            upstream["max_concurrency"] = random.choice((0, 1, 2))
        case 3:
            document["failover"]["hold_seconds"] = random.choice((0, 5, 60))
        case 4:
            document["upstreams"].append(_upstream(random, len(document["upstreams"])))
            document["upstreams"] = document["upstreams"][-3:]
        case 5:
            upstream["name"] = f"u{upstream['name'][1]}x"
        case _:
            random.shuffle(document["upstreams"])
    names = [one["name"] for one in document["upstreams"]]
    if len(set(names)) < len(names):
        document["upstreams"] = [upstream]
    return document


# --- what happens meanwhile --------------------------------------------------------------


def _events(random: random.Random, scenario: Scenario, seconds: float) -> list[Event]:
    def moment() -> float:
        return random.choice((0.0, 0.001, 0.05, random.random() * seconds, random.random() * seconds))

    events = []
    moods = get_args(Mood)
    for host in range(HOSTS):
        events.append(Event(0.0, "mood", (host, random.choice((*moods, "fine", "fine", "fine")))))
        if random.random() < 0.6:
            events.append(Event(moment(), "mood", (host, random.choice(moods))))
        events.append(Event(seconds * random.choice((1, 2)), "mood", (host, "fine")))
    if random.random() < 0.4 or scenario.renames:
        document = scenario.document
        for _ in range(random.choice((1, 2, 3))):
            document = edited(random, document, renames=scenario.renames)
            scenario.note(document)
            how = random.choice(("edit", "save", "save", "torn edit"))
            events.append(Event(moment(), how, document))
    if random.random() < 0.3:
        begin = moment()
        events.append(Event(begin, "disk", random.choice(get_args(State))))
        events.append(Event(begin + random.choice((0.05, 1.0, 5.0, 1000.0)), "disk", "fine"))
    if random.random() < 0.2:
        begin = moment()
        events += [Event(begin, "network", False), Event(begin + random.choice((0.5, 20.0)), "network", True)]
    if random.random() < 0.2:
        events.append(Event(moment(), "clock", random.choice((-86400.0, -3.0, 3.0, 3600.0))))
    if random.random() < 0.2:
        events.append(Event(moment(), "sleep", random.choice((3.0, 40.0, 20_000.0))))
    for what in ("give up", "give up", "hasten", "use", "simulate", "silence"):
        if random.random() < 0.15:
            events.append(Event(moment(), what, random.random()))
    if random.random() < 0.25:
        events.append(Event(moment(), "stop"))
        if random.random() < 0.3:
            events.append(Event(events[-1].at + random.choice((0.0, 0.05, 1.0, 11.0)), "stop"))
    return events
