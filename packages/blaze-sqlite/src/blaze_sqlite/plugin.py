"""The entry point ``sqlite`` of the group ``blaze.backends``; it imports no driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blaze.adapters.adapter import Backend
from blaze.adapters.options import Option

if TYPE_CHECKING:
    from blaze_sqlite.adapter import AiosqliteAdapter, SQLiteAdapter

__all__ = ["backend"]


def _sqlite3() -> SQLiteAdapter:
    from blaze_sqlite.adapter import SQLiteAdapter

    return SQLiteAdapter()


def _aiosqlite() -> AiosqliteAdapter:
    from blaze_sqlite.adapter import AiosqliteAdapter

    return AiosqliteAdapter()


backend = Backend(
    name="sqlite",
    adapter=_sqlite3,
    async_adapter=_aiosqlite,
    drivers={"sqlite3": _sqlite3},
    async_drivers={"aiosqlite": _aiosqlite},
    options={
        "journal_mode": Option(
            "choice", "journal of a file", ("wal", "delete", "truncate", "persist", "memory", "off")
        ),
        "synchronous": Option(
            "choice", "how often SQLite waits for the disk", ("off", "normal", "full", "extra")
        ),
        "foreign_keys": Option("flag", "whether foreign keys are enforced"),
        "cached_statements": Option("count", "prepared statements kept per connection"),
    },
)
