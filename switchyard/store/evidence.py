"""Keep what the journal knows of each upstream's answers, for the report on what the upstreams really did."""

import asyncio
from collections.abc import Iterator, Mapping

from switchyard.audit.fact import Fact
from switchyard.audit.memory import Examined, Facts, Pair
from switchyard.exchange import Outcome, PriceUsed
from switchyard.store.journal import Batch, Journal, Position
from switchyard.store.journal_line import Line
from switchyard.store.local_time import local_moment

MAX_READ_BYTES = 32 * 1024 * 1024
"""of the journal, its newest part: half a second"""
DAYS = 8
DAY_SECONDS = 86400.0
MILLION = 1_000_000


class Evidence:
    """Call `start` before the first request, then `load` beside them, and `add` for each finished one."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._facts = Facts()
        self._examined: dict[Pair, tuple[int, Examined]] = {}
        self._hosts: Mapping[str, str] = {}
        self._until: Position = {}
        self._early: list[Fact] | None = []
        """what came before the journal was read; None afterwards"""

    def start(self) -> None:
        self._until = self._journal.position()

    async def load(self, now: float) -> None:
        """Read the last days of the journal in small steps."""
        since = now - DAYS * DAY_SECONDS
        for batch in self._unread(since):
            for line in batch.lines:
                if line.at >= since and (fact := fact_of(line)) is not None:
                    self._facts.add(fact)
            await asyncio.sleep(0)
        early, self._early = self._early, None
        for fact in early or ():
            self._facts.add(fact)

    def add(self, line: Line) -> None:
        fact = fact_of(line)
        if fact is not None:
            (self._facts.add if self._early is None else self._early.append)(fact)

    async def report(self, hosts: Mapping[str, str]) -> list[Examined]:
        """By upstream and model. `hosts` has the upstreams that are examined, each with the host that answers it.

        Whoever has had no request since is not examined again.
        """
        if hosts != self._hosts:
            self._examined, self._hosts = {}, dict(hosts)
        found: list[Examined] = []
        for pair in self._facts.pairs():
            if pair[0] not in hosts:
                continue
            count = self._facts.related(pair)
            known = self._examined.get(pair)
            if known is None or known[0] != count:
                known = self._examined[pair] = count, self._facts.examine(pair, hosts)
                await asyncio.sleep(0)
            found.append(known[1])
        return found

    def _unread(self, since: float) -> Iterator[Batch]:
        first_month = f"{local_moment(since).month}.jsonl"
        left = MAX_READ_BYTES
        start: Position = {}
        for name in sorted(self._until, reverse=True):
            size = self._until[name] if name >= first_month else 0
            start[name] = self._until[name] - min(size, left)
            left -= min(size, left)
        # the first line may be cut off: it is no JSON then
        yield from self._journal.lines_since(start, self._until)


def fact_of(line: Line) -> Fact | None:
    """None for what is no complete answer to a request."""
    answered, usage = line.answered, line.usage
    if line.kind != "request" or line.outcome != Outcome.OK or answered is None or usage is None:
        return None
    program = line.agent.partition("/")[0]
    return Fact(  # by position, in the order of the fields: by their names it takes several times as long
        line.id,
        line.at,
        line.upstream,
        line.sent,
        f"{line.client_protocol} {program}",
        f"{line.session} {line.thread}" if line.session else "",
        answered.model,
        answered.input_reported,
        answered.input_before,
        answered.added_estimated,
        usage.cache_read,
        usage.cache_write_5m + usage.cache_write_1h,
        answered.cache_expected,
        answered.changed_in,
        answered.changed_at,
        None if line.price is None else _cache_price(line.price),
        line.stream,
        usage.output,
        answered.first_token,
        answered.tokens_per_second,
    )


def _cache_price(price: PriceUsed) -> float:
    """What one token costs more if it is not read from the cache."""
    return max(0.0, price.input - price.cache_read) * price.multiplier / MILLION
