"""Read the database or an SQL export of cc-switch.

SQLite is imported when it is needed: it takes 1.4 MB, and some builds of Python lack it.
"""

from typing import TYPE_CHECKING

from switchyard.importing.cc_switch import Row, from_rows, members
from switchyard.importing.imported import Imported, UnknownFormat

if TYPE_CHECKING:
    import sqlite3

ALLOWED = (
    "CREATE_TABLE",
    "CREATE_INDEX",
    "INSERT",
    "UPDATE",
    "DELETE",
    "READ",
    "SELECT",
    "TRANSACTION",
    "REINDEX",
    "FUNCTION",
)
"""what a program that is not trusted may do; it stays in memory, so this excludes other files"""
QUERY = (
    "SELECT app_type, name, settings_config, meta, is_current FROM providers"
    " ORDER BY app_type, is_current DESC, COALESCE(sort_index, 999999), created_at, id"
)


def from_database(content: bytes) -> Imported:
    """From the content of cc-switch.db. Raises UnknownFormat and ImportError."""
    import sqlite3

    # a database with a write-ahead log cannot be opened from memory; this marks it as one without
    plain = content[:18] + b"\x01\x01" + content[20:]
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(plain)
        return from_rows(_rows(connection))
    except sqlite3.Error as error:
        raise UnknownFormat(f"The database cannot be read as one of cc-switch: {error}") from None
    finally:
        connection.close()


def from_export(script: str) -> Imported:
    """From an SQL export. Raises UnknownFormat and ImportError."""
    import sqlite3

    allowed = {getattr(sqlite3, f"SQLITE_{name}") for name in ALLOWED}

    def authorize(action: int, first: str | None, *_: str | None) -> int:
        is_harmless = action in allowed or (
            action == sqlite3.SQLITE_PRAGMA and first in ("foreign_keys", "user_version")
        )
        return sqlite3.SQLITE_OK if is_harmless else sqlite3.SQLITE_DENY

    connection = sqlite3.connect(":memory:")
    connection.set_authorizer(authorize)
    try:
        connection.executescript(script)
        return from_rows(_rows(connection))
    except sqlite3.Error as error:
        raise UnknownFormat(f"The export cannot be read as one of cc-switch: {error}") from None
    finally:
        connection.close()


def _rows(connection: "sqlite3.Connection") -> list[Row]:
    return [
        Row(app, name, members(config), members(meta), bool(is_current))
        for app, name, config, meta, is_current in connection.execute(QUERY)
    ]
