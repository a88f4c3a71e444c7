"""The daemon's ledger: price each finished exchange, count it, and write it to the journal."""

import asyncio
import logging
import re
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path

from switchyard.exchange import Exchange
from switchyard.plural import plural
from switchyard.settings import Settings
from switchyard.store.budget_reach import Unlimited, unlimited
from switchyard.store.budgets import (
    UNBOUNDED,
    BudgetState,
    BudgetStatus,
    budget_state,
    has_budgets,
    is_set,
)
from switchyard.store.evidence import Evidence
from switchyard.store.journal import Journal
from switchyard.store.journal_line import line_of, write_line
from switchyard.store.price_files import StoredPrices
from switchyard.store.prices import PriceBook
from switchyard.store.roll_up import RollUp

SAVE_SECONDS = 5.0
PATIENCE_BYTES = 64 * 1024 * 1024
"""this much of a journal is read in about a second"""
NUMBERS = re.compile(r"\d+")

log = logging.getLogger("switchyard")


class Ledger:
    """Call `start`, then `record` per exchange while `run` saves the roll-up every few seconds, then `stop`."""

    def __init__(
        self,
        folder: Path,
        settings: Callable[[], Settings],
        now: Callable[[], float],
        patience_bytes: int = PATIENCE_BYTES,
    ) -> None:
        self.journal = Journal(folder)
        self.roll_up = RollUp(folder, self.journal, now)
        self.statistics = self.roll_up.statistics
        self.evidence = Evidence(self.journal)
        self._settings = settings
        self._patience_bytes = patience_bytes
        self._stored_prices = StoredPrices(folder)
        self._prices = PriceBook(Settings())
        self._unlimited: tuple[Unlimited, ...] = ()
        self._unbounded: Settings | None = None
        """settings without any budget"""
        self._now = now
        self._notified: frozenset[Hashable] = frozenset()

    @property
    def fault(self) -> str:
        """The problem with the files, as a sentence for the dashboard and the log; "" if there is none."""
        return self.journal.fault or self.roll_up.fault or self._stored_prices.fault

    def start(self) -> None:
        """Load the totals; `run` reads the rest of a large journal whose roll-up is lost."""
        self._stored_prices.refresh()
        self.journal.repair()
        self.roll_up.start(patience_bytes=self._patience_bytes)
        self.evidence.start()

    async def record(self, exchange: Exchange) -> None:
        """Price, count and write a finished exchange. Await it before the client's response is closed.

        Never raises; a disk that refuses the line does not delay the client.
        """
        self.prices().settle(exchange)
        at = self._now() if exchange.duration is None else exchange.at + exchange.duration
        line = line_of(exchange, at)
        written = write_line(line)
        # counted first: at any await, the counted lines are those written or queued
        self.statistics.add(line)
        self.evidence.add(line)
        await self.journal.append(written, line.month)
        self._notify_changes()

    def prices(self) -> PriceBook:
        """The prices of the current settings."""
        settings, table = self._settings(), self._stored_prices.table
        if self._prices.settings is not settings or self._prices.newer is not table:
            self._prices = PriceBook(settings, table)
            self._unlimited = unlimited(self._prices)
        return self._prices

    def notices(self) -> tuple[str, ...]:
        """For the user: the budgets that are reached, those that cannot apply, and those that miss a part."""
        self.prices()
        return (
            *self.budget_state().warnings,
            *(one.notice for one in self._unlimited),
            *self._unpriced(),
        )

    def _unpriced(self) -> Iterator[str]:
        """The upstreams with a budget that some of today's requests do not count for."""
        settings = self._settings()
        if not has_budgets(settings):
            return
        cells = self.statistics.day(self.statistics.today()).upstreams
        excused = {one.owner for one in self._unlimited}
        for upstream in settings.upstreams:
            owner, cell = f'upstream "{upstream.name}"', cells.get(upstream.name)
            limited = is_set(settings.budget) or (upstream.budget is not None and is_set(upstream.budget))
            if limited and cell is not None and cell.unpriced and owner not in excused:
                requests = plural(cell.unpriced, "request")
                yield f"No budget includes {requests} of today at {owner}: the price is not known"

    def budget_state(self) -> BudgetState:
        """The money limits reached now, and the upstreams that they exclude from the route."""
        settings = self._settings()
        if settings is self._unbounded:
            return UNBOUNDED
        if not has_budgets(settings):
            self._unbounded = settings
        return budget_state(self.statistics, settings, self.statistics.today())

    async def run(self) -> None:
        """Save the roll-up every few seconds, until cancelled."""
        self._notify_changes()
        await self.roll_up.catch_up()
        await self.evidence.load(self._now())
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            self._stored_prices.refresh()
            await self.roll_up.save()
            self._notify_changes()

    async def stop(self) -> None:
        """Write everything that can be written."""
        await self.journal.close()
        await self.roll_up.save(final=True)
        self._notify_changes()
        if self.journal.pending:
            log.error(
                "%s could not be written to the journal before the end.", plural(self.journal.pending, "line")
            )

    def _notify_changes(self) -> None:
        """Log a problem or a reached limit once, when it starts."""
        if not self._notified and not self.fault and self.budget_state() is UNBOUNDED:
            return
        wrong = self._wrong()
        for key in wrong.keys() - self._notified:
            log.warning("%s", wrong[key])
        self._notified = frozenset(wrong)

    def _wrong(self) -> dict[Hashable, str]:
        """The current problems, each with a key that stays the same all day while its numbers grow."""
        wrong: dict[Hashable, str] = {NUMBERS.sub("", self.fault): self.fault} if self.fault else {}
        self.prices()
        wrong |= {one: one.notice for one in self._unlimited}
        budgets = self.budget_state()
        for name, line in {"": budgets.overall, **budgets.upstreams}.items():
            if line.status is not BudgetStatus.OK:
                wrong[self.statistics.today(), name, line.status] = line.reason
        return wrong
