"""Keep the books of the daemon: price each finished exchange, count it, and write it to the journal."""

import asyncio
import logging
import re
from collections.abc import Callable, Hashable
from pathlib import Path

from switchyard.exchange import Exchange
from switchyard.settings import Settings
from switchyard.store.budgets import UNBOUNDED, BudgetState, BudgetStatus, budget_state, has_budgets
from switchyard.store.journal import Journal
from switchyard.store.journal_line import line_of, write_line
from switchyard.store.prices import PriceBook
from switchyard.store.stats import Statistics

SAVE_SECONDS = 5.0
PATIENCE_BYTES = 64 * 1024 * 1024
"""So much of a journal is read in about a second."""
NUMBERS = re.compile(r"\d+")

log = logging.getLogger("switchyard")


class Ledger:
    """`start`, then `record` per exchange while `run` saves the roll-up every few seconds, then `stop`."""

    def __init__(
        self,
        folder: Path,
        settings: Callable[[], Settings],
        now: Callable[[], float],
        patience_bytes: int = PATIENCE_BYTES,
    ) -> None:
        self.journal = Journal(folder)
        self.statistics = Statistics(folder, self.journal, now)
        self._settings = settings
        self._patience_bytes = patience_bytes
        self._prices = PriceBook(Settings())
        self._unbounded: Settings | None = None
        """settings that are known to have no budget"""
        self._now = now
        self._notified: frozenset[Hashable] = frozenset()

    @property
    def fault(self) -> str:
        """What is wrong with the books, in a sentence for the dashboard and the log; "" if nothing is."""
        return self.journal.fault or self.statistics.fault

    def start(self) -> None:
        """Reads what was counted before; `run` reads the rest of a large journal whose roll-up is lost."""
        self.journal.repair()
        self.statistics.start(patience_bytes=self._patience_bytes)

    async def record(self, exchange: Exchange) -> None:
        """Prices, counts and writes a finished exchange. Await it before the client's answer is closed.

        Never raises; a disk that refuses the line does not delay the client.
        """
        settings = self._settings()
        if self._prices.settings is not settings:
            self._prices = PriceBook(settings)
        self._prices.settle(exchange)
        at = self._now() if exchange.duration is None else exchange.at + exchange.duration
        line = line_of(exchange, at)
        written = write_line(line)
        # counted first: at any await, what is counted is what is written or waits to be
        self.statistics.add(line)
        await self.journal.append(written, line.at)
        self._notify_changes()

    def budget_state(self) -> BudgetState:
        """Which money limits are reached now, and which upstreams that takes out of the route."""
        settings = self._settings()
        if settings is self._unbounded:
            return UNBOUNDED
        if not has_budgets(settings):
            self._unbounded = settings
        return budget_state(self.statistics, settings, self.statistics.today())

    async def run(self) -> None:
        """Saves the roll-up every few seconds, until cancelled."""
        self._notify_changes()
        await self.statistics.catch_up()
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self.statistics.save()
            self._notify_changes()

    async def stop(self) -> None:
        """Writes everything that can be written."""
        await self.journal.close()
        await self.statistics.save(final=True)
        self._notify_changes()
        if self.journal.pending:
            log.error("%d lines could not be written to the journal before the end.", self.journal.pending)

    def _notify_changes(self) -> None:
        """Logs a fault, or a limit that is reached, once: when it comes up."""
        if not self._notified and not self.fault and self.budget_state() is UNBOUNDED:
            return
        wrong = self._wrong()
        for key in wrong.keys() - self._notified:
            log.warning("%s", wrong[key])
        self._notified = frozenset(wrong)

    def _wrong(self) -> dict[Hashable, str]:
        """What is wrong now, each under a key that stays the same all day while only its numbers grow."""
        wrong: dict[Hashable, str] = {NUMBERS.sub("", self.fault): self.fault} if self.fault else {}
        budgets = self.budget_state()
        for name, line in {"": budgets.overall, **budgets.upstreams}.items():
            if line.status is not BudgetStatus.OK:
                wrong[self.statistics.today(), name, line.status] = line.reason
        return wrong
