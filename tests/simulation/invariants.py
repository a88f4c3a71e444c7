"""What must be true in every run, whatever happens."""

import asyncio
import json
import math
import re
from typing import TYPE_CHECKING, Any

from switchyard.exchange import Outcome
from switchyard.store.ledger import Ledger
from tests.simulation.clients import Result
from tests.simulation.clocks import CLOCKS
from tests.simulation.disk import DISK, undisturbed

if TYPE_CHECKING:
    from tests.simulation.world import World

OWN_TASKS = frozenset({"host", "client", "events", "client leaves"})
CLOSING_SECONDS = 15.0
"""a disk that is fine again so long before the end has taken every line"""
LATE_SECONDS = 1.0
CUT_OFF = re.compile(r"claude-cli|codex")
"""programs that repeat a request whose connection was cut"""


class Invariants:
    def __init__(self, world: "World") -> None:
        self._world = world
        self.violations: list[str] = []
        self._bad_at = -math.inf
        """when the disk was last not fine"""

    def begin(self) -> None:
        self._world.loop.observe = self._observe
        self._world.books.begun = self._asked

    def _expect(self, is_so: bool, text: str) -> None:
        if not is_so and text not in self.violations:
            self.violations.append(text)
            self._world.note(f"VIOLATION {text}")

    def complain(self, context: dict[str, Any]) -> None:
        """The event loop was left with an exception, or a task."""
        error = context.get("exception")
        self._expect(
            False,
            f"event loop: {context.get('message')} {error!r} {context.get('task') or context.get('future')}",
        )

    # --- at every moment -----------------------------------------------------------------------

    def _asked(self, host: str, key: str, count: int) -> None:
        scenario = self._world.scenario
        self._expect(key in scenario.keys.get(host, ()), f"the key {key!r} was sent to {host}")
        limit = scenario.limits.get(key, 0)
        self._expect(count <= limit, f"{count} requests at a time with {key} at {host}, the limit is {limit}")

    def _observe(self) -> None:
        application, scenario = self._world.application, self._world.scenario
        if DISK.state != "fine":
            self._bad_at = CLOCKS.awake
        held = application.hold._held
        size = sum(one.size for one in held.values())
        self._expect(application.hold._bytes == size, "the bytes of the hold are wrong")
        self._expect(len(held) <= scenario.most_held, "too many requests are held")
        self._expect(len(application.slots) <= scenario.most_waiting, "too many requests wait for a slot")

    def answered(self, result: Result) -> None:
        """A client sees the end of its answer: by now it is in the journal."""
        if self._bad_at > -math.inf:
            return
        lines = self._lines(b'"%b"' % result.agent.encode())
        self._expect(len(lines) == 1, f"{result.agent} has {len(lines)} lines when its client sees the end")
        if len(lines) == 1:
            outcome = lines[0]["outcome"]
            self._expect(
                (outcome == "ok") == (result.end == "ok"),
                f"{result.agent} got {result.end}, the journal has {outcome}",
            )

    # --- after the clients -------------------------------------------------------------------------

    def check_answers(self) -> None:
        world = self._world
        numbers = [result.number for result in world.results() if result.number]
        self._expect(len(set(numbers)) == len(numbers), "an answer was given to two requests")
        for result in world.results():
            self._expect(result.end != "silent", f"{result.agent} has got no answer")
            is_right = result.end != "cut" or world.stops or CUT_OFF.search(result.agent)
            self._expect(bool(is_right), f"{result.agent} was cut off")
            if result.end == "left" and self._bad_at == -math.inf:
                late = world.ended.get(result.agent, 0.0) - result.ended
                self._expect(
                    late < LATE_SECONDS, f"{result.agent} ends {late:.1f} s after its client has left"
                )
            if result.end == "refused":
                self._expect(bool(world.stops), f"{result.agent} was refused")

    def check_quiet(self) -> None:
        """Nothing is under way: everything that was taken has been given back."""
        application = self._world.application
        taken = [name for name, load in application.limits._loads.items() if load.running]
        self._expect(not taken, f"slots are taken: {taken}")
        self._expect(not application.slots._waiters, "requests wait for a slot")
        self._expect(not application.slots._ending, "slots are ending")
        self._expect(not application.hold._held, "requests are held")
        self._expect(
            not application.hold._probes._attempts, f"attempts: {application.hold._probes._attempts}"
        )
        self._expect(not len(application.dependencies.draining), "answers are drained")
        starting = {name: sessions for name, sessions in application.balance._starting.items() if sessions}
        self._expect(not starting, f"sessions are starting: {starting}")
        trials = [key for key, one in application.health.conditions().items() if one.trial_by]
        self._expect(not trials, f"on trial: {trials}")
        self._check_exchanges()

    def _check_exchanges(self) -> None:
        for exchange in self._world.exchanges:
            self._expect(exchange.outcome is not Outcome.RUNNING, f"{exchange.client_agent} is still running")
            self._expect(exchange.duration is not None, f"{exchange.client_agent} has no end")
            self._expect(not exchange.is_held, f"{exchange.client_agent} is still held")
        self._expect(not self._world.application.recent.running(), "requests are shown as running")

    def check_end(self, ended: float) -> None:
        """The daemon has ended: nothing is left, and all is on the disk."""
        world, application = self._world, self._world.application
        for task in asyncio.all_tasks():
            is_own = task is asyncio.current_task() or task.get_name() in OWN_TASKS
            self._expect(is_own, f"a task is left: {task}")
        for end in world.network.ends:
            is_of_daemon = (end.get_extra_info("number") % 2 == 1) == (
                end.get_extra_info("peername")[0] == "client"
            )
            self._expect(not is_of_daemon or end.is_closing(), "a connection is left open")
        taken = [name for name, load in application.limits._loads.items() if load.running]
        self._expect(not taken, f"slots are taken: {taken}")
        self._check_exchanges()
        self._check_journal(ended)

    def _check_journal(self, ended: float) -> None:
        world, journal = self._world, self._world.application.ledger.journal
        ids = [line["id"] for line in self._lines()]
        self._expect(len(set(ids)) == len(ids), "an exchange has two lines")
        missing = [one.client_agent for one in world.exchanges if one.id not in ids]
        excused = journal.lost + (journal.pending if ended - self._bad_at < CLOSING_SECONDS else 0)
        self._expect(len(missing) <= excused, f"not in the journal: {missing}")
        counted = _counted(world.application.ledger)
        self._expect(
            counted == len(world.exchanges), f"{counted} of {len(world.exchanges)} requests are counted"
        )
        if DISK.state == "fine" and not excused:
            again = Ledger(world.folder, world.application.current, CLOCKS.wall)
            again.start()
            counted = _counted(again)
            self._expect(counted == len(ids), f"{counted} of {len(ids)} requests are counted after a restart")

    def _lines(self, holding: bytes = b"") -> list[dict[str, Any]]:
        """The readable lines of the journal that hold this."""

        def read() -> list[dict[str, Any]]:
            files = sorted(self._world.folder.glob("usage/*.jsonl"))
            return [
                _decoded(line) for file in files for line in file.read_bytes().splitlines() if holding in line
            ]

        lines: list[dict[str, Any]] = undisturbed(read)
        return [line for line in lines if line]


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(line)
        return found
    except ValueError:
        return {}


def _counted(ledger: Ledger) -> int:
    every = ledger.statistics.ever().all
    return every.requests + every.activations
