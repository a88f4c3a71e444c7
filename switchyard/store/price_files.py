"""Keep a newer price table beside the settings, and read it again when it changes."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from switchyard.store.files import read_or_none, write_whole
from switchyard.store.price_list import table_of_list
from switchyard.store.price_table import PriceTable, decode_table

FILE_NAME = "price_table.json"
MAX_BYTES = 64 * 1024 * 1024


class NoPriceTable(Exception):
    """Why a file has no prices, as a sentence."""


class StoredPrices:
    """Call `refresh` now and then: `table` is what the file has, None without a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self.table: PriceTable | None = None
        self.fault = ""
        self._state: tuple[int, int] | None = None

    def refresh(self) -> None:
        """Read the file if it has changed. An unusable one is reported, and the bundled prices apply."""
        try:
            state = _state_of(self.path)
            if state == self._state:
                return
            content = read_or_none(self.path)
            self.table = None if content is None else decode_table(content)
            self.fault = ""
            self._state = state
        except OSError as error:
            self.fault = f"The price table {self.path} cannot be read: {error.strerror}"
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.table, self._state = None, state
            self.fault = f"The price table {self.path} is not used, the bundled prices apply: {error}"


def store_prices(folder: Path, file: Path, now: Callable[[], float]) -> PriceTable:
    """Validate a table of Switchyard or LiteLLM's list, and keep it. Raises NoPriceTable and OSError."""
    table = read_prices(file.read_bytes(), datetime.fromtimestamp(now(), UTC).date().isoformat())
    write_whole(folder / FILE_NAME, msgspec.json.format(msgspec.json.encode(table), indent=1))
    return table


def read_prices(content: bytes, day: str) -> PriceTable:
    """The table of a file; `day` is that of a list, which does not name its own. Raises NoPriceTable."""
    if len(content) > MAX_BYTES:
        raise NoPriceTable(f"it has more than {MAX_BYTES >> 20} MB")
    try:
        document: Any = msgspec.json.decode(content)
        if isinstance(document, dict) and "entries" in document:
            table = decode_table(content)
        elif isinstance(document, dict):
            # decoded again, as the numbers of the list are not validated
            table = decode_table(msgspec.json.encode(table_of_list(document, day)))
        else:
            raise NoPriceTable("expected an object")
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        ZeroDivisionError,
        RecursionError,
    ) as error:
        raise NoPriceTable(f"it is neither a price table nor LiteLLM's list of prices: {error}") from None
    if not table.entries:
        raise NoPriceTable("it has no prices")
    return table


def _state_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size
