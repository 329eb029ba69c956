"""Touch the contenders' SQLite files with plain sqlite3: connect, read back, restore."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.data import ITEM_COLUMNS

# Every contender's connections run with exactly these.
PRAGMAS = {"journal_mode": "wal", "synchronous": "normal", "foreign_keys": "on", "busy_timeout": 5000}


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection in the driver's autocommit mode with the common pragmas."""
    connection = sqlite3.connect(path, isolation_level=None)
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}")
    return connection


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection of its own and close it."""
    connection = connect(path)
    try:
        yield connection
    finally:
        connection.close()


def stored_items(path: Path) -> list[tuple[Any, ...]]:
    """Return the rows of `item` in id order, each storage format turned back into Python values."""
    with opened(path) as connection:
        rows = connection.execute(f"SELECT {', '.join(ITEM_COLUMNS)} FROM item ORDER BY id").fetchall()
    return [
        (
            *row[:5],
            bool(row[5]),
            datetime.fromisoformat(row[6]),
            Decimal(str(row[7])),
            row[8],
            json.loads(row[9]),
        )
        for row in rows
    ]


def query_keys(path: Path, sql: str, params: Any) -> list[Any]:
    """Run a query that a contender built and return its first column."""
    with opened(path) as connection:
        return [row[0] for row in connection.execute(sql, params)]


def snapshot(path: Path, copy: Path) -> None:
    """Copy the database, so that `restore` can bring its rows back."""
    with opened(path) as source, opened(copy) as target:
        source.backup(target)


def restore(path: Path, copy: Path) -> None:
    """Give `item` the rows it has in `copy` and start the write-ahead log anew; keep the schema."""
    with opened(path) as connection:
        connection.execute("PRAGMA foreign_keys = off")
        connection.execute("ATTACH ? AS pristine", (str(copy),))
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM main.item")
        connection.execute("INSERT INTO main.item SELECT * FROM pristine.item")
        if connection.execute("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'").fetchone():
            connection.execute("DELETE FROM main.sqlite_sequence")
            connection.execute("INSERT INTO main.sqlite_sequence SELECT * FROM pristine.sqlite_sequence")
        connection.execute("COMMIT")
        connection.execute("DETACH pristine")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # the first commit of an empty log waits for the disk: not in anybody's time
        connection.execute("PRAGMA user_version = 1")
