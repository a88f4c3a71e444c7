"""The daemon's ledger: price each finished exchange, count it, and write it to the journal."""

import asyncio
import logging
import re
from collections.abc import Callable, Hashable
from pathlib import Path

from switchyard.exchange import Exchange
from switchyard.plural import plural
from switchyard.settings import Settings
from switchyard.store.budgets import UNBOUNDED, BudgetState, BudgetStatus, budget_state, has_budgets
from switchyard.store.journal import Journal
from switchyard.store.journal_line import line_of, write_line
from switchyard.store.prices import PriceBook
from switchyard.store.stats import Statistics

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
        self.statistics = Statistics(folder, self.journal, now)
        self._settings = settings
        self._patience_bytes = patience_bytes
        self._prices = PriceBook(Settings())
        self._unbounded: Settings | None = None
        """settings without any budget"""
        self._now = now
        self._notified: frozenset[Hashable] = frozenset()

    @property
    def fault(self) -> str:
        """The problem with the files, as a sentence for the dashboard and the log; "" if there is none."""
        return self.journal.fault or self.statistics.fault

    def start(self) -> None:
        """Load the totals; `run` reads the rest of a large journal whose roll-up is lost."""
        self.journal.repair()
        self.statistics.start(patience_bytes=self._patience_bytes)

    async def record(self, exchange: Exchange) -> None:
        """Price, count and write a finished exchange. Await it before the client's response is closed.

        Never raises; a disk that refuses the line does not delay the client.
        """
        settings = self._settings()
        if self._prices.settings is not settings:
            self._prices = PriceBook(settings)
        self._prices.settle(exchange)
        at = self._now() if exchange.duration is None else exchange.at + exchange.duration
        line = line_of(exchange, at)
        written = write_line(line)
        # counted first: at any await, the counted lines are those written or queued
        self.statistics.add(line)
        await self.journal.append(written, line.at)
        self._notify_changes()

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
        await self.statistics.catch_up()
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self.statistics.save()
            self._notify_changes()

    async def stop(self) -> None:
        """Write everything that can be written."""
        await self.journal.close()
        await self.statistics.save(final=True)
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
        budgets = self.budget_state()
        for name, line in {"": budgets.overall, **budgets.upstreams}.items():
            if line.status is not BudgetStatus.OK:
                wrong[self.statistics.today(), name, line.status] = line.reason
        return wrong
