"""The daemon's log: one line for each request, on the console and in a rotating file."""

import logging
import logging.handlers
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO, cast

from switchyard.exchange import Exchange, Outcome
from switchyard.protocols.neutral import Usage
from switchyard.store.files import AT_ONCE, is_in_place

FILE_BYTES = 5 * 1024 * 1024
FILES_KEPT = 3
BATCH_SECONDS = 0.2
MOST_WAITING = 20_000
SHOWN_CHARS = 200
COLOURS = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m", logging.CRITICAL: "\033[31m"}
DIM, GREEN, RED, YELLOW, RESET = "\033[2m", "\033[32m", "\033[31m", "\033[33m", "\033[0m"
OUTCOME_COLOURS = {
    Outcome.OK: GREEN,
    Outcome.FAILED: RED,
    Outcome.TRUNCATED: RED,
    Outcome.CANCELLED: YELLOW,
}
CONTROLS = dict.fromkeys(
    [*range(32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)],
    " ",
)
"""control characters, line ends, changes of text direction and lone surrogates"""

Place = tuple[logging.Handler, Callable[[logging.LogRecord, str], str]]

log = logging.getLogger("switchyard")


class Logs:
    """Writes in a thread of its own, a few times a second, so that a slow disk or terminal delays no stream."""

    def __init__(self, folder: Path) -> None:
        self._collector = _Collector(_destinations(folder))

    def start(self) -> None:
        root = logging.getLogger()
        root.addHandler(self._collector)
        root.setLevel(logging.WARNING)
        log.setLevel(logging.INFO)
        _skip_unused_record_fields()
        self._collector.start()

    def stop(self) -> None:
        """Every record logged so far is written when this returns."""
        logging.getLogger().removeHandler(self._collector)
        self._collector.finish()


def _skip_unused_record_fields() -> None:
    """Caller, thread and process: https://docs.python.org/3/howto/logging.html#optimization."""
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class _Collector(logging.Handler):
    """Collects records; its thread sleeps while there are none and writes them in batches."""

    def __init__(self, places: list[Place]) -> None:
        super().__init__()
        self._places = places
        self._records: deque[logging.LogRecord] = deque(maxlen=MOST_WAITING)
        self._wanted = threading.Event()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._work, name="logs", daemon=True)

    def handle(self, record: logging.LogRecord) -> bool:
        """Needs no lock, unlike other handlers: appending to a deque is atomic."""
        self._records.append(record)
        if not self._wanted.is_set():
            self._wanted.set()
        return True

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        self._finished.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(5)
        for handler, _ in self._places:
            handler.close()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            self._finished.wait(BATCH_SECONDS)
            self._wanted.clear()
            self._write(self._taken())
            if self._finished.is_set():
                self._write(self._taken())  # records made while writing
                return

    def _taken(self) -> list[tuple[logging.LogRecord, str]]:
        """The collected records, each with its text."""
        taken: list[tuple[logging.LogRecord, str]] = []
        while self._records:
            record = self._records.popleft()
            taken.append((record, _text_of(record)))
        return taken

    def _write(self, taken: list[tuple[logging.LogRecord, str]]) -> None:
        """One write for each destination, however many lines: a write for each line would slow the streams."""
        if not taken:
            return
        for handler, line_of_record in self._places:
            lines = "\n".join([line_of_record(record, text) for record, text in taken])
            handler.handle(logging.makeLogRecord({"msg": lines}))


def _destinations(folder: Path) -> list[Place]:
    """The console and the rotating file, each with the format of its lines."""
    file = _LogFile(
        folder / "switchyard.log",
        maxBytes=FILE_BYTES,
        backupCount=FILES_KEPT,
        encoding="utf-8",
        delay=True,
    )
    return [(_Console(sys.stderr), _coloured if sys.stderr.isatty() else _plain), (file, _dated)]


def _text_of(record: logging.LogRecord) -> str:
    if isinstance(record, _ExchangeRecord):
        return record.getMessage()
    text = harmless(record.getMessage())
    if record.exc_info:
        lines = "".join(traceback.format_exception(*record.exc_info)).rstrip().splitlines()
        text = "\n    ".join([text, *map(harmless, lines)])
    return text


def harmless(text: str) -> str:
    """One line without terminal control sequences: much of the text comes from upstreams and clients."""
    return text if text.isprintable() else text.translate(CONTROLS)


def _plain(record: logging.LogRecord, text: str) -> str:
    return f"{_clock('%H:%M:%S', int(record.created))} {text}"


def _coloured(record: logging.LogRecord, text: str) -> str:
    outcome = getattr(record, "outcome", None)
    colour = OUTCOME_COLOURS.get(outcome, "") if outcome else COLOURS.get(record.levelno, "")
    line = _plain(record, text)
    return f"{colour}{line}{RESET}" if colour else line


def _dated(record: logging.LogRecord, text: str) -> str:
    return f"{_clock('%Y-%m-%d %H:%M:%S', int(record.created))} {record.levelname} {text}"


@lru_cache(4)
def _clock(form: str, at: int) -> str:
    return time.strftime(form, time.localtime(at))


class _Console(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:
        """The terminal is gone: there is nowhere to report this."""


class _LogFile(logging.handlers.RotatingFileHandler):
    """Readable only by its owner. If the disk refuses writes, lines are lost, which is reported once.

    After the file was deleted or moved the next lines begin a new one.
    """

    _logged = ""

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not None and not is_in_place(self.baseFilename, self.stream.fileno()):
            with suppress(OSError):
                self.stream.close()
            self.stream = None  # opened anew
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        reason = getattr(sys.exc_info()[1], "strerror", None) or str(sys.exc_info()[1])
        if reason != self._logged:
            self._logged = reason
            log.error("%s cannot be written (%s): lines are missing there", self.baseFilename, reason)

    def close(self) -> None:
        with suppress(OSError):
            super().close()

    def _open(self) -> TextIOWrapper:
        with suppress(OSError):  # reported when the file is opened
            Path(self.baseFilename).parent.mkdir(mode=0o700, exist_ok=True)

        def opener(path: str, flags: int) -> int:
            return os.open(path, flags | AT_ONCE, 0o600)

        file = open(self.baseFilename, self.mode, encoding=self.encoding, opener=opener)
        return cast(TextIOWrapper, file)


def log_exchange(exchange: Exchange) -> None:
    """The log line of a request: no bodies, no keys."""
    if log.isEnabledFor(logging.INFO):
        log.callHandlers(_ExchangeRecord(exchange))  # no filter is set


class _ExchangeRecord(logging.LogRecord):
    """Formatted only when written; without the fields of the usual record that no line shows."""

    name, levelno, levelname = log.name, logging.INFO, "INFO"
    msecs, msg, args = 0.0, "", ()
    exc_info = exc_text = stack_info = None

    def __init__(self, exchange: Exchange) -> None:
        self.created = time.time()
        self.outcome = exchange.outcome
        self._exchange = exchange

    def getMessage(self) -> str:
        return line_of(self._exchange)


def line_of(exchange: Exchange) -> str:
    last = exchange.attempts[-1] if exchange.attempts else None
    way = _way(last.account, last.url, last.model[:SHOWN_CHARS], last.why) if last else "no upstream"
    duration = f"{(exchange.duration or 0) * 1000:.0f} ms"
    held = f" held={exchange.held:.1f}s" if exchange.held else ""
    reported = f": {harmless(exchange.failure.message[:300])}" if exchange.failure is not None else ""
    # left out if no upstream was tried, as the error names them
    skipped = _skipped(exchange.skipped) if last and exchange.skipped else ""
    return (
        f"{exchange.client_protocol} {harmless(exchange.requested_model[:SHOWN_CHARS])} -> {way}:"
        f" {exchange.outcome} {exchange.status or ''}"
        f" attempts={len(exchange.attempts)}{held} {_tokens(exchange.usage)} {duration}{reported}{skipped}"
    )


@lru_cache(64)
def _skipped(skipped: tuple[tuple[str, str], ...]) -> str:
    """The reasons that `explain` and the dashboard show."""
    text = "; ".join(f'"{upstream}" {reason}' for upstream, reason in skipped)
    shown = f"{text[: SHOWN_CHARS - 3]}..." if len(text) > SHOWN_CHARS else text
    return harmless(f"; skipped: {shown}")


@lru_cache(256)
def _way(account: str, url: str, model: str, why: str) -> str:
    """The URL is shown without its query and its user, which may hold a key and a password."""
    scheme, slashes, rest = url.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return harmless(f'"{account}" {scheme}{slashes}{host.rpartition("@")[2]}{slash}{path} as {model} ({why})')


def _tokens(usage: Usage | None) -> str:
    if usage is None:
        return "tokens=?"
    mark = "~" if usage.estimated else ""
    return f"tokens={mark}{usage.total_input}+{usage.output}"
