"""Read the database or an SQL export of cc-switch; needs SQLite, which some builds of Python lack."""

import sqlite3

from switchyard.importing.cc_switch import Row, from_rows, members
from switchyard.importing.imported import Imported, UnknownFormat

ALLOWED = frozenset(
    {
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_INSERT,
        sqlite3.SQLITE_UPDATE,
        sqlite3.SQLITE_DELETE,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_REINDEX,
        sqlite3.SQLITE_FUNCTION,
    }
)
"""what a program that is not trusted may do; it stays in memory, so this excludes other files"""
QUERY = (
    "SELECT app_type, name, settings_config, meta, is_current FROM providers"
    " ORDER BY app_type, is_current DESC, COALESCE(sort_index, 999999), created_at, id"
)


def from_database(content: bytes) -> Imported:
    """From the content of cc-switch.db. Raises UnknownFormat."""
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
    """From an SQL export. Raises UnknownFormat."""
    connection = sqlite3.connect(":memory:")
    connection.set_authorizer(_authorize)
    try:
        connection.executescript(script)
        return from_rows(_rows(connection))
    except sqlite3.Error as error:
        raise UnknownFormat(f"The export cannot be read as one of cc-switch: {error}") from None
    finally:
        connection.close()


def _authorize(action: int, first: str | None, *_: str | None) -> int:
    is_harmless = action in ALLOWED or (
        action == sqlite3.SQLITE_PRAGMA and first in ("foreign_keys", "user_version")
    )
    return sqlite3.SQLITE_OK if is_harmless else sqlite3.SQLITE_DENY


def _rows(connection: sqlite3.Connection) -> list[Row]:
    return [
        Row(app, name, members(config), members(meta), bool(is_current))
        for app, name, config, meta, is_current in connection.execute(QUERY)
    ]
