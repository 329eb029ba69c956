"""The SQLite backend of Blaze: sqlite3 for blocking code, aiosqlite for asynchronous code."""

from blaze_sqlite.adapter import AiosqliteAdapter, SQLiteAdapter
from blaze_sqlite.dialect import SQLiteDialect

__all__ = ["AiosqliteAdapter", "SQLiteAdapter", "SQLiteDialect"]
