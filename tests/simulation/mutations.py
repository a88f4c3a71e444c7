"""Faults that the simulation must find: each replaces a text of the source while its module is imported."""

import importlib.machinery
import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 400
"""within so many the fault must be found"""


@dataclass(frozen=True)
class Mutation:
    module: str
    old: str
    new: str

    @property
    def path(self) -> Path:
        return ROOT / (self.module.replace(".", "/") + ".py")

    def applied(self, source: str) -> str:
        assert source.count(self.old) == 1, f"{self.old!r} is {source.count(self.old)} times in {self.module}"
        return source.replace(self.old, self.new)


MUTATIONS = {
    "a slot that is given back stays taken": Mutation(
        "switchyard.relay.slot_queue",
        "self._limits.withdraw_start(account)\n        self.leave(account)",
        "self._limits.withdraw_start(account)",
    ),
    "a slot granted to a client that leaves stays taken": Mutation(
        "switchyard.relay.slot_queue",
        "if waiter.granted.done() and (account := waiter.granted.result()):\n"
        "                self.give_back(account)\n            raise",
        "raise",
    ),
    "a slot is released twice": Mutation(
        "switchyard.relay.slot_queue",
        "self.leave(account)\n\n        return leave",
        "self.leave(account)\n            self.leave(account)\n\n        return leave",
    ),
    "a granted slot is not counted": Mutation(
        "switchyard.relay.slot_queue", "                self.enter(free)\n", ""
    ),
    "more requests wait for a slot than allowed": Mutation(
        "switchyard.relay.slot_queue", "return len(self._waiters) >= MAX_WAITING", "return False"
    ),
    "the slot is released before the body has ended": Mutation(
        "switchyard.relay.open_answer",
        "self._draining.take_over(self._reply, self._queue.leave_after(self._account))",
        "self._queue.leave(self._account)\n            self._draining.take_over(self._reply, lambda: None)",
    ),
    "the slot of a broken answer stays taken": Mutation(
        "switchyard.relay.open_answer",
        "            self._is_open = False\n            self._queue.leave(self._account)\n",
        "            self._is_open = False\n",
    ),
    "a cancelled attempt keeps its slot": Mutation(
        "switchyard.relay.retries",
        "if not isinstance(outcome, Answer):\n                queue",
        "if isinstance(outcome, Verdict):\n                queue",
    ),
    "a cancelled attempt keeps its probe": Mutation(
        "switchyard.relay.retries", "                self._reports.left(started)\n", ""
    ),
    "a drained answer is not closed": Mutation(
        "switchyard.relay.draining",
        "        return\n    finally:\n        await reply.close()",
        "        return",
    ),
    "an abandoned answer keeps its connection": Mutation(
        "switchyard.http1.raw_reply",
        "if self._source is not None:\n            self._source.abort()\n",
        "pass\n",
    ),
    "the hold does not count down its bytes": Mutation(
        "switchyard.relay.hold", "        self._bytes -= held.size\n", ""
    ),
    "more requests are held than allowed": Mutation(
        "switchyard.relay.hold", "len(self._held) >= MAX_HELD or ", ""
    ),
    "a held request stays in the hold": Mutation(
        "switchyard.relay.hold", "self._held.pop(exchange.id)", "self._held[exchange.id]"
    ),
    "a whole answer is sent before its record": Mutation(
        "switchyard.relay.answering",
        '        await self._end_record.write()\n        length = ("content-length", str(len(whole.body)))\n',
        '        length = ("content-length", str(len(whole.body)))\n',
    ),
    "a request whose client leaves is not recorded": Mutation(
        "switchyard.relay.answering",
        "Outcome.CANCELLED\n        self._note_usage()\n        await self._end_record.write()",
        "Outcome.CANCELLED\n        self._note_usage()",
    ),
    "keep-alives go on at the end of an answer": Mutation(
        "switchyard.relay.answering", "            await self._keep_alive.stop()\n\n", "            pass\n\n"
    ),
    "a broken stream has no terminal event": Mutation(
        "switchyard.relay.delivery",
        "return last + stream.break_off(error) if stream.owes_an_end else last",
        "return last",
    ),
    "an idle upstream is waited for without end": Mutation(
        "switchyard.relay.idle_timeout", "            self._task.cancel()\n", "            pass\n"
    ),
    "the key of the first upstream goes to all": Mutation(
        "switchyard.relay.asking",
        "key = key_at_hand(upstream, self._request.headers)",
        'key = self.__dict__.get("key") or key_at_hand(upstream, self._request.headers)\n'
        "            self.key = key",
    ),
    "the rest of a torn line is written with its beginning": Mutation(
        "switchyard.store.journal", "            line = line[done.size :]\n", ""
    ),
    "a torn batch is written again from its beginning": Mutation(
        "switchyard.store.journal",
        "        left = done.size\n",
        "        left = 0 if done.error else done.size\n",
    ),
    "the journal ends without its queue": Mutation(
        "switchyard.store.journal",
        "        if self._writer is not None:\n            await asyncio.wait({self._writer}, timeout=CLOSE_SECONDS)\n",
        "",
    ),
    "a request is counted after an await": Mutation(
        "switchyard.store.ledger",
        "        self.statistics.add(line)\n        self.evidence.add(line)\n        await self.journal",
        "        asyncio.get_running_loop().call_later(1, self.statistics.add, line)\n        await self.journal",
    ),
    "a client that leaves is not noticed": Mutation(
        "switchyard.web.gateway",
        "            has_left = True\n            task.cancel()\n",
        "            pass\n",
    ),
    "a trial ends without its release": Mutation(
        "switchyard.routing.health",
        '                condition.trial_by = ""\n\n    def succeeded',
        "                pass\n\n    def succeeded",
    ),
}


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the mutated source, whatever is cached of the original."""

    def __init__(self, name: str, path: str, mutation: Mutation) -> None:
        super().__init__(name, path)
        self._mutation = mutation

    def get_code(self, fullname: str) -> CodeType:
        source = self._mutation.applied(Path(self.path).read_text(encoding="utf-8"))
        return compile(source, self.path, "exec", dont_inherit=True)


class _Finder:
    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation

    def find_spec(self, name: str, path: object, target: object = None) -> Any:
        if name != self._mutation.module:
            return None
        place = str(self._mutation.path)
        loader = _Loader(name, place, self._mutation)
        return importlib.util.spec_from_file_location(name, place, loader=loader)


def install(name: str) -> None:
    """Call it before Switchyard is imported."""
    sys.meta_path.insert(0, _Finder(MUTATIONS[name]))


def finding(name: str, seeds: int = SEEDS) -> str:
    """What the simulation reports of this mutation; "" if it finds nothing."""
    command = [sys.executable, "-m", "tests.simulation", "--mutation", name]
    command += ["--seeds", str(seeds), "--most-failures", "1"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout if ran.returncode == 1 else ""
