"""The two adapters of SQLite: through sqlite3 and through aiosqlite."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from blaze.adapters.adapter import Prepared
from blaze.adapters.config import ConnectionConfig
from blaze.adapters.drivers import importing
from blaze_sqlite.connection import SQLiteConnection
from blaze_sqlite.dialect import SQLiteDialect
from blaze_sqlite.opening import ClosingConnection, connect_arguments, open_error, prepare, set_up

if TYPE_CHECKING:
    from blaze_sqlite.aio import AiosqliteConnection

__all__ = ["AiosqliteAdapter", "SQLiteAdapter"]


class SQLiteAdapter:
    """Open SQLite databases through Python's sqlite3."""

    name = "sqlite"
    driver = "sqlite3"

    def __init__(self) -> None:
        self.dialect = SQLiteDialect()

    def prepare(self, config: ConnectionConfig) -> Prepared:
        return prepare(config, self.dialect)

    def connect(self, config: ConnectionConfig) -> SQLiteConnection:
        raw = None
        try:
            raw = sqlite3.connect(**connect_arguments(config), factory=ClosingConnection)
            return set_up(raw, config, self.dialect)
        except sqlite3.Error as error:
            if raw is not None:
                raw.close()
            raise open_error(error, config) from error


class AiosqliteAdapter:
    """Open SQLite databases through aiosqlite, which runs sqlite3 in one thread per connection."""

    name = "sqlite"
    driver = "aiosqlite"

    def __init__(self) -> None:
        self.dialect = SQLiteDialect(driver="aiosqlite")

    def prepare(self, config: ConnectionConfig) -> Prepared:
        return prepare(config, self.dialect)

    async def connect(self, config: ConnectionConfig) -> AiosqliteConnection:
        with importing("aiosqlite", "pip install 'blaze-sqlite[async]'"):
            from blaze_sqlite import aio
        return await aio.connect(config, self.dialect)
