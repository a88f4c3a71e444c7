"""Where the daemon says what it does: one line for each request, on the console and in a rotating file."""

import logging
import logging.handlers
import os
import queue
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import cast

from switchyard.exchange import Exchange, Outcome
from switchyard.protocols.neutral import Usage

FILE_BYTES = 5 * 1024 * 1024
FILES_KEPT = 3
COLOURS = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m", logging.CRITICAL: "\033[31m"}
DIM, GREEN, RED, YELLOW, RESET = "\033[2m", "\033[32m", "\033[31m", "\033[33m", "\033[0m"
OUTCOME_COLOURS = {
    Outcome.OK: GREEN,
    Outcome.FAILED: RED,
    Outcome.TRUNCATED: RED,
    Outcome.CANCELLED: YELLOW,
}

log = logging.getLogger("switchyard")


class Logs:
    """Writing happens in a thread of its own: a slow disk or terminal delays no stream."""

    def __init__(self, folder: Path) -> None:
        lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        self._listener = logging.handlers.QueueListener(lines, *_handlers(folder), respect_handler_level=True)
        self._handler = logging.handlers.QueueHandler(lines)

    def start(self) -> None:
        root = logging.getLogger()
        root.addHandler(self._handler)
        root.setLevel(logging.WARNING)
        log.setLevel(logging.INFO)
        self._listener.start()

    def stop(self) -> None:
        logging.getLogger().removeHandler(self._handler)
        self._listener.stop()


def _handlers(folder: Path) -> list[logging.Handler]:
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(_Console(colour=sys.stderr.isatty()))
    handlers: list[logging.Handler] = [console]
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        file = _PrivateFile(
            folder / "switchyard.log",
            maxBytes=FILE_BYTES,
            backupCount=FILES_KEPT,
            encoding="utf-8",
            delay=True,
        )
    except OSError:
        return handlers
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return [*handlers, file]


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """Readable by its owner alone."""

    def _open(self) -> TextIOWrapper:
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        file = open(self.baseFilename, self.mode, encoding=self.encoding, opener=opener)
        return cast(TextIOWrapper, file)


class _Console(logging.Formatter):
    def __init__(self, colour: bool) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        outcome = getattr(record, "outcome", None)
        colour = OUTCOME_COLOURS.get(outcome, "") if outcome else COLOURS.get(record.levelno, "")
        return f"{colour}{text}{RESET}" if self._colour and colour else text


def log_exchange(exchange: Exchange) -> None:
    """The one line of a request: no bodies, no keys."""
    log.info(line_of(exchange), extra={"outcome": exchange.outcome})


def line_of(exchange: Exchange) -> str:
    last = exchange.attempts[-1] if exchange.attempts else None
    way = f'"{last.upstream}" {_bare(last.url)} as {last.model}' if last is not None else "no upstream"
    duration = f"{(exchange.duration or 0) * 1000:.0f} ms"
    told = f": {exchange.failure.message[:300]}" if exchange.failure is not None else ""
    text = (
        f"{exchange.client_protocol} {exchange.model_asked} -> {way}: {exchange.outcome} {exchange.status or ''}"
        f" attempts={len(exchange.attempts)} {_tokens(exchange.usage)} {duration}{told}"
    )
    return text.replace("\n", " ").replace("\r", " ")


def _bare(url: str) -> str:
    """Without its query, which may hold a key."""
    return url.partition("?")[0]


def _tokens(usage: Usage | None) -> str:
    if usage is None:
        return "tokens=?"
    mark = "~" if usage.estimated else ""
    return f"tokens={mark}{usage.total_input}+{usage.output}"
