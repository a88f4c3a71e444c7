"""Run 32 clients against the daemon while its upstreams fail and clients leave; then check for losses and leaks.

    python bench/soak.py --seconds 180
    python bench/soak.py --seconds 600 --abuse

Every request must get a complete response from a healthy upstream, or one accurate error; a stream that breaks after
content is reported once. Requests have up to 2 MB, and clients leave in every phase: both sides must notice at once.
Afterwards the daemon must hold what it held before: handles, connections, slots, trials, held requests, tasks.
With `--abuse` other clients disturb it: slow, hostile or broken ones, and a hostile upstream.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import httpx  # noqa: E402
from soak_abuse import AGENT, MODEL, Abuse, HostileUpstream  # noqa: E402
from soak_departures import AGENT as DEPARTURE  # noqa: E402
from soak_departures import Departures  # noqa: E402
from soak_upstream import FaultyUpstream, change_moods, expected_text  # noqa: E402

from tests.bed.asking import PATHS, end_reported, error_of, question, text_of  # noqa: E402
from tests.bed.daemon import Response, free_port, upstream  # noqa: E402
from tests.bed.wire import PROTOCOLS, Protocol  # noqa: E402

CLIENTS = 32
CONVERSATIONS = 40
ABORTS = 0.12
SIZES = (1,) * 30 + (20_000, 100_000, 300_000, 700_000, 2_000_000)
"""bytes of a prompt: most are small, as all clients together have two cores"""
CHUNKED = 0.3
"""share of the requests whose body comes in chunks"""
MAX_CONCURRENCY = 6
CUT = 0
"""instead of a status: if no upstream has answered in time, Claude Code and Codex retry after a cut connection"""
NO_TRY = "this request had no try at it"
TOTAL_SECONDS = 20
EARLY_SECONDS = 0.1
"""a hold ends as soon as no upstream can be expected before the end of the total time"""
PATIENCE = {"connect": 1, "first_byte": 0.6, "idle": 0.6}
RULES = {
    "error_threshold": 3,
    "cooldown_seconds": 0.5,
    "max_cooldown_seconds": 1.5,
    "keep_alive_seconds": 0.2,
    "total_seconds": TOTAL_SECONDS,
    "return_to_primary_minutes": 0.05,
    "on_status": {"502": "retry"},
}
MOST_MEGABYTES = 500
"""above the idle daemon: under abuse several bodies of 64 MB are in memory at a time"""
MOST_GROWTH_MEGABYTES = 60
SECONDS_TO_SETTLE = 90
"""the allocator keeps memory that was used once"""
SPEAK: dict[str, Protocol] = {"alpha": "messages", "beta": "chat", "gamma": "responses"}


@dataclass
class Tally:
    """The clients' view. `wrong` must stay empty."""

    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    answered: set[int] = field(default_factory=set)
    """prompts whose response was complete"""

    @property
    def received(self) -> int:
        return sum(count for what, count in self.seen.items() if what != "aborted")


class Soak:
    def __init__(
        self, seconds: float, seed: int, folder: Path, abuse: bool = False, rest_seconds: float = 0
    ) -> None:
        self.seconds = seconds
        self.rest_seconds = rest_seconds
        self.at_rest = 0
        """megabytes afterwards"""
        self.tally = Tally()
        self.folder = folder
        self.port = free_port()
        self._pick = random.Random(seed)
        self.upstreams = [FaultyUpstream(name, seed + index) for index, name in enumerate(SPEAK)]
        self._by_name = {one.name: one for one in self.upstreams}
        self._numbers = iter(range(1, 100_000_000))
        self._url = f"http://127.0.0.1:{self.port}"
        self.moods: list[str] = []
        self.abuse = Abuse(self.port, seed) if abuse else None
        self.hostile = HostileUpstream(seed)
        self.departures = Departures(self.port, seed)
        self.megabytes: list[int] = []

    # --- the run ---------------------------------------------------------------

    async def run(self) -> list[str]:
        """Everything that is wrong afterwards."""
        for one in self.upstreams:
            await one.listen()
        await self.hostile.listen()
        await self.departures.listen()
        self._write_settings()
        with (self.folder / "output.txt").open("wb") as output:
            command = [
                sys.executable,
                str(ROOT / "bench" / "soak_daemon.py"),
                str(self.port),
                str(self.folder),
            ]
            daemon = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            try:
                return await self._with(daemon)
            finally:
                daemon.send_signal(signal.SIGTERM)
                daemon.wait(20)
                await self.hostile.close()
                await self.departures.close()
                for one in self.upstreams:
                    await one.refuse()

    async def _with(self, daemon: "subprocess.Popen[bytes]") -> list[str]:
        one = httpx.Limits(max_keepalive_connections=1)
        async with httpx.AsyncClient(base_url=self._url, timeout=30, trust_env=False, limits=one) as admin:
            await self._ready(admin)
            await self._warm_up()
            before = await self._steady_counts(daemon)
            began = time.monotonic()
            disturbing = [
                asyncio.create_task(change_moods(self.upstreams, self._pick, self.moods.append)),
                asyncio.create_task(self._watch_memory(daemon.pid)),
            ]
            if self.abuse is not None:
                disturbing.append(asyncio.create_task(self.abuse.run()))
            ends = began + self.seconds
            clients = [self._client(number, ends, admin) for number in range(CLIENTS)]
            await asyncio.gather(*clients, self.departures.run(admin, ends))
            for task in disturbing:
                task.cancel()
            for task in disturbing:
                with suppress(asyncio.CancelledError):
                    await task
            await self._settled(admin)
            after = await self._steady_counts(daemon)
            await asyncio.sleep(self.rest_seconds)
            self.at_rest = _megabytes(daemon.pid)
            statistics = (await admin.get("/api/token-stats")).json()["summary"]
        # leaks come first, as only some of the errors are printed
        wrong = [*_differences(before, after), *self.departures.wrong, *self._miscounts(statistics)]
        wrong += self._growth()
        if self.abuse is not None:
            wrong += self.abuse.wrong
        wrong += self.tally.wrong
        self._report(before, after, time.monotonic() - began, wrong)
        return wrong

    def _write_settings(self) -> None:
        entries = [upstream(one.name, one.url, SPEAK[one.name], timeouts=PATIENCE) for one in self.upstreams]
        entries[1]["max_concurrency"] = MAX_CONCURRENCY
        entries[2]["requests_per_minute"] = 100_000
        self.folder.mkdir(parents=True, exist_ok=True)
        harmful = [
            upstream(f"hostile {one}", self.hostile.url, one, timeouts=PATIENCE, models=[MODEL])
            for one in PROTOCOLS
        ]
        entries += self.departures.entries()
        document = {
            "upstreams": [*harmful, *entries] if self.abuse else entries,
            "failover": RULES,
            "warm_connections": False,  # a connection that is opened again would look like a leak
        }
        (self.folder / "all_configs.json").write_text(json.dumps(document))

    async def _ready(self, admin: httpx.AsyncClient) -> None:
        for _ in range(400):
            with suppress(httpx.HTTPError):
                if (await admin.get("/health")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
        raise SystemExit((self.folder / "output.txt").read_text())

    async def _warm_up(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=30, trust_env=False) as client:
            for protocol in PROTOCOLS:
                for stream in (True, False):
                    await self._ask(client, protocol, stream, "warm")

    async def _settled(self, admin: httpx.AsyncClient) -> None:
        """Wait until nothing is running and no cooldown is left, so that trials are over."""
        for _ in range(200):
            state = (await admin.get("/api/state")).json()
            if not state["running"]:
                return
            await asyncio.sleep(0.05)

    async def _watch_memory(self, pid: int) -> None:
        while True:
            self.megabytes.append(_megabytes(pid))
            await asyncio.sleep(0.25)

    # --- one client ------------------------------------------------------------

    async def _client(self, affinity: int, ends: float, admin: httpx.AsyncClient) -> None:
        pick = random.Random(affinity * 7919 + 1)
        async with httpx.AsyncClient(base_url=self._url, timeout=40, trust_env=False) as client:
            while time.monotonic() < ends:
                protocol, stream = pick.choice(PROTOCOLS), pick.random() < 0.6
                session = f"conversation-{pick.randrange(CONVERSATIONS)}"
                if pick.random() < ABORTS:
                    await self._abort(client, protocol, stream, session, pick.uniform(0.0, 0.3))
                    continue
                number, response = await self._ask(client, protocol, stream, session)
                what = self._judged(protocol, number, response)
                self.tally.seen[what] += 1
                if what == "error":
                    await self._check_honesty(admin, number, protocol, response)
                if what == "broken":
                    # as the real clients do: the whole turn again, without streaming
                    number, response = await self._ask(client, protocol, False, session)
                    self.tally.seen[f"after a break: {self._judged(protocol, number, response)}"] += 1

    async def _ask(
        self, client: httpx.AsyncClient, protocol: Protocol, stream: bool, session: str
    ) -> tuple[int, Response]:
        number = next(self._numbers)
        pick = random.Random(number)
        body = json.dumps(
            question(protocol, "m", f"prompt-{number}-" + "x" * pick.choice(SIZES), stream)
        ).encode()
        headers = {"x-claude-code-session-id": session, "user-agent": f"soak/{number}"}
        if _is_codex(number, protocol):
            headers["originator"] = "codex_exec"
        began = time.monotonic()
        content = _in_pieces(body) if pick.random() < CHUNKED else body
        try:
            answer = await client.post(PATHS[protocol], content=content, headers=headers)
            status, reported, octets = answer.status_code, list(answer.headers.items()), answer.content
        except httpx.RemoteProtocolError:
            status, reported, octets = CUT, [], b""
        self.tally.slowest = max(self.tally.slowest, time.monotonic() - began)
        self.tally.answered.add(number)
        return number, Response(status, reported, octets)

    async def _abort(
        self, client: httpx.AsyncClient, protocol: Protocol, stream: bool, session: str, seconds: float
    ) -> None:
        try:
            async with asyncio.timeout(seconds):
                number, response = await self._ask(client, protocol, stream, session)
        except TimeoutError:
            self.tally.seen["aborted"] += 1
        else:
            self.tally.seen[self._judged(protocol, number, response)] += 1

    # --- checks ---------------------------------------------------------

    def _judged(self, protocol: Protocol, number: int, response: Response) -> str:
        """Returns "whole", "error", "broken" or, for the agents, "cut"; anything else is recorded as wrong."""
        try:
            what, problem = self._read(protocol, number, response)
        except Exception as error:  # an unreadable response is an error, and the run continues
            what, problem = "unreadable", repr(error)
        if problem:
            played = {one.name: one.asked.get(number) for one in self.upstreams}
            self.tally.wrong.append(
                f"prompt {number} ({protocol}, {response.status}): {problem}; {played}; {response.text[:600]!r}"
            )
        return what

    def _read(self, protocol: Protocol, number: int, response: Response) -> tuple[str, str]:
        if response.status == CUT:
            comes_back = protocol == "messages" or _is_codex(number, protocol)
            return "cut", "" if comes_back else "its connection was cut"
        is_stream = (response.header("content-type") or "").startswith("text/event-stream")
        if not is_stream and response.status != 200:
            return "error", "" if error_of(protocol, response)["message"] else "an error without a message"
        text = text_of(protocol, response)
        if not is_stream:
            return "whole", "" if text == expected_text(number) else "not the expected text"
        ends = [end for end in map(end_reported, response.records) if end]
        if ends == ["finished"]:
            return "whole", "" if text == expected_text(number) else "not the expected text"
        if ends == ["failed"]:
            is_last = bool(end_reported(response.records[-1]))
            return "broken" if text else "error", "" if is_last else "something follows the end"
        return "unended", f"ends told: {ends}"

    async def _check_honesty(
        self, admin: httpx.AsyncClient, number: int, protocol: Protocol, response: Response
    ) -> None:
        """An error is correct if every upstream failed this very request, or it names why one was not tried."""
        rows = (await admin.get("/api/requests")).json()["requests"]
        found = next((row for row in rows if row["agent"] == f"soak/{number}"), None)
        if found is None:
            self.tally.wrong.append(f"prompt {number}: no such request in the list")
            return
        detail = (await admin.get(f"/api/requests/{found['id']}")).json()
        # the end of the whole search also ends its last try, and a request in line may have had none at an upstream
        is_over = detail["row"]["duration"] >= TOTAL_SECONDS - EARLY_SECONDS
        late = {
            one["upstream"] for one in detail["attempts"] if _is_late(one) or (is_over and one["failure"])
        }
        if {one.name for one in self.upstreams if number in one.whole} - late:
            self.tally.wrong.append(
                f"prompt {number}: an error although there was an answer: {detail['attempts']}"
            )
        failed = {one["upstream"] for one in detail["attempts"] if one["failure"]}
        kept_out = {one["upstream"] for one in detail["skipped"]}
        kept_out |= {
            name for name in SPEAK if is_over and f'"{name}": {NO_TRY}' in detail["error"]["message"]
        }
        if not set(SPEAK) <= failed | kept_out:
            self.tally.wrong.append(f"prompt {number}: not all were asked: {detail}")
        if any(name not in response.text for name in SPEAK):
            self.tally.wrong.append(f"prompt {number}: not all are named: {response.text[:600]}; {detail}")

    # --- counts -------------------------------------------------------------

    async def _steady_counts(self, daemon: "subprocess.Popen[bytes]") -> dict[str, Any]:
        """Counts that are the same twice: a file that is open while it is saved is no leak."""
        last = await self._counts(daemon)
        for _ in range(5):
            found = await self._counts(daemon)
            if not _differences(last, found):
                break
            last = found
        return last

    async def _counts(self, daemon: "subprocess.Popen[bytes]") -> dict[str, Any]:
        """What the daemon holds after the upstreams have closed their connections and it has noticed."""
        for one in (*self.upstreams, self.departures.server):
            one.hang_up()
        await asyncio.sleep(1.5)
        path = self.folder / "counts.json"
        path.unlink(missing_ok=True)
        daemon.send_signal(signal.SIGUSR1)
        while not path.exists():
            await asyncio.sleep(0.02)
        counts: dict[str, Any] = json.loads(path.read_text())
        counts["tasks"].pop("_prepare_later", None)  # ends by itself soon after the start
        ports = {one.port for one in self.upstreams} | self.departures.ports
        counts["handles"] = _handles(daemon.pid, ports)
        return counts

    def _journal(self) -> list[dict[str, Any]]:
        paths = sorted((self.folder / "usage").glob("*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def _miscounts(self, statistics: dict[str, Any]) -> list[str]:
        journal = self._journal()
        lines = [line for line in journal if line.get("agent") != AGENT and not _has_left(line)]
        outcomes = Counter(line["outcome"] for line in lines)
        seen = self.tally.seen
        warm = 2 * len(PROTOCOLS)
        reported = sum(count for what, count in seen.items() if what != "aborted")
        wrong = []
        done = len(lines) - outcomes["cancelled"]
        # an aborted request may have ended in the daemon before its client left, or never have arrived
        if not warm + reported <= done <= warm + reported + seen["aborted"]:
            wrong.append(f"{done} finished lines in the journal for {reported} answers")
        if outcomes["cancelled"] > seen["aborted"]:
            wrong.append(f"{outcomes['cancelled']} cancelled lines for {seen['aborted']} aborts")
        lost = self.tally.answered - {_number_of(line) for line in lines}
        if lost:
            wrong.append(f"answered, and not in the journal: {sorted(lost)[:20]}")
        of_abuse = sum(line.get("agent") == AGENT for line in journal)
        if self.abuse is not None and of_abuse < self.abuse.answered:
            wrong.append(f"{self.abuse.answered} answers under abuse, {of_abuse} lines")
        of_departures = Counter(line["outcome"] for line in journal if _has_left(line))
        if of_departures != self.departures.lines:
            wrong.append(f"departures: {dict(self.departures.lines)}, in the journal {dict(of_departures)}")
        if statistics["total_requests"] != len(journal):
            wrong.append(
                f"{statistics['total_requests']} requests in the statistics, {len(journal)} in the journal"
            )
        if len({line["id"] for line in journal}) != len(journal):
            wrong.append("a request is twice in the journal")
        most = self._by_name["beta"].most
        if most > MAX_CONCURRENCY:
            wrong.append(f"{most} requests at a time at an upstream for {MAX_CONCURRENCY}")
        return wrong

    def _growth(self) -> list[str]:
        """Memory above the limit, or that is not released."""
        if self.abuse is None:
            return []
        wrong = []
        if max(self.megabytes) > self.megabytes[0] + MOST_MEGABYTES:
            wrong.append(f"{max(self.megabytes)} MB at most, {self.megabytes[0]} MB at the start")
        if self.seconds < SECONDS_TO_SETTLE:
            return wrong
        quarter = len(self.megabytes) // 4
        early, late = (
            min(part) for part in (self.megabytes[quarter : 2 * quarter], self.megabytes[-quarter:])
        )
        if late > early + MOST_GROWTH_MEGABYTES:
            wrong.append(f"{early} MB at least in the second quarter, {late} MB in the last one")
        return wrong

    def _report(
        self, before: dict[str, Any], after: dict[str, Any], seconds: float, wrong: Sequence[str]
    ) -> None:
        outcomes = Counter(line["outcome"] for line in self._journal())
        played: Counter[str] = sum((one.played for one in self.upstreams), Counter())
        good = played.pop("good")
        print(
            f"{seconds:.0f} s, {CLIENTS} clients, {self.tally.received} answers, slowest {self.tally.slowest:.1f} s"
        )
        print(f"  clients saw:      {dict(self.tally.seen.most_common())}")
        print(f"  journal:          {dict(outcomes.most_common())}")
        print(f"  upstreams played: {good} good answers, {played.total()} faults of {len(played)} kinds")
        departures = self.departures
        print(
            f"  left:             {dict(departures.done.most_common())}, noticed within {departures.slowest:.2f} s"
        )
        print(f"  before: {before}\n  after:  {after}")
        quarter = max(1, len(self.megabytes) // 4)
        lowest = [min(self.megabytes[at : at + quarter]) for at in range(0, 4 * quarter, quarter)]
        print(f"  memory: {self.megabytes[0]} MB at first, {max(self.megabytes)} MB at most,"
              f" {lowest} MB at least in each quarter, {self.at_rest} MB at rest")  # fmt: skip
        if self.abuse is not None:
            print(f"  abuse:  {dict(self.abuse.done.most_common())}")
            print(f"  harm:   {dict(self.hostile.played.most_common())}")
        print(f"  {len(wrong)} wrong")
        for problem in wrong[:20]:
            print(f"    {problem}")


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 16 * 1024):
        yield body[at : at + 16 * 1024]


def _is_codex(number: int, protocol: Protocol) -> bool:
    return number % 3 == 0 and protocol == "responses"


def _has_left(line: dict[str, Any]) -> bool:
    return str(line.get("agent", "")).startswith(DEPARTURE)


def _number_of(line: dict[str, Any]) -> int:
    name, _, number = str(line.get("agent", "")).partition("/")
    return int(number) if name == "soak" else 0


def _megabytes(pid: int) -> int:
    """Resident memory of the process."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) >> 10


def _is_late(attempt: dict[str, Any]) -> bool:
    """True if a response may have come after the idle timeout, as happens on a busy machine."""
    failure, seconds = attempt["failure"], (attempt["ended"] or 0) - attempt["started"]
    return bool(failure) and failure["kind"].endswith("_timeout") and seconds >= PATIENCE["first_byte"]


def _handles(pid: int, upstreams: set[int]) -> dict[str, int]:
    """Open handles by kind."""
    kinds: Counter[str] = Counter()
    states = _states(upstreams)
    for handle in (Path("/proc") / str(pid) / "fd").iterdir():
        with suppress(OSError):
            target = os.readlink(handle)
            kind = target.partition(":")[0].partition("/")[0] or "file"
            kinds[states.get(target[8:-1], kind) if kind == "socket" else kind] += 1
    return dict(sorted(kinds.items()))


def _states(upstreams: set[int]) -> dict[str, str]:
    """State and peer of each TCP socket, by its inode."""
    names = {"01": "established", "08": "half closed", "0A": "listening"}
    found: dict[str, str] = {}
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
            _, _, remote, state, *rest = line.split()
            peer = "with upstream" if int(remote.rpartition(":")[2], 16) in upstreams else "with client"
            found[rest[5]] = f"socket {names.get(state, 'closing')} {peer if state != '0A' else ''}".rstrip()
    return found


def _differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    free = ("sessions",)
    return [
        f"{name}: {before[name]} before, {after[name]} after"
        for name in before
        if name not in free and before[name] != after[name]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--abuse", action="store_true", help="hostile clients and upstreams beside it")
    parser.add_argument("--rest", type=float, default=0, help="seconds until the memory at rest is measured")
    parser.add_argument("--memory", type=Path, help="a file for the highest memory and that at rest, in MB")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(options.seconds, options.seed, Path(folder) / "data", options.abuse, options.rest)
        wrong = asyncio.run(soak.run())
        output = (Path(folder) / "data" / "output.txt").read_text()
    if "Traceback" in output or "fault in exchange" in output:
        print(output[-6000:])
        return 1
    if options.memory:
        options.memory.write_text(json.dumps({"most": max(soak.megabytes), "rest": soak.at_rest}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
