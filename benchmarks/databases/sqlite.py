"""SQLite: a file in a temporary folder for each contender."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Optional

from benchmarks.databases.database import Database

# Every contender's connections run with exactly these.
PRAGMAS = {"journal_mode": "wal", "synchronous": "normal", "foreign_keys": "on", "busy_timeout": 5000}
VERSION = "SELECT sqlite_version()"


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection in the driver's autocommit mode with the common pragmas."""
    connection = sqlite3.connect(path, isolation_level=None)
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}")
    return connection


@contextmanager
def lent(contender: str, server: Optional[str]) -> Iterator[SQLite]:
    """Lend a file that does not exist yet; there is no server."""
    with tempfile.TemporaryDirectory(prefix="blaze-bench-") as folder:
        yield SQLite(str(Path(folder) / f"{contender}.db"))


class SQLite(Database):
    backend = "sqlite"

    @property
    def path(self) -> Path:
        return Path(self.name)

    def url(self, scheme: str) -> str:
        return f"{scheme}:///{self.name}"

    def rows(self, sql: str, params: Any = ()) -> list[Any]:
        with closing(connect(self.path)) as connection:
            return connection.execute(sql, params).fetchall()

    def copy(self) -> Path:
        return self.path.with_suffix(".copy")

    def snapshot(self) -> None:
        with closing(connect(self.path)) as source, closing(connect(self.copy())) as target:
            source.backup(target)

    def restore(self) -> None:
        """Bring the rows back, start the write-ahead log anew, and keep the schema."""
        with closing(connect(self.path)) as connection:
            connection.execute("PRAGMA foreign_keys = off")
            connection.execute("ATTACH ? AS pristine", (str(self.copy()),))
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM main.item")
            connection.execute("INSERT INTO main.item SELECT * FROM pristine.item")
            if connection.execute(
                "SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'"
            ).fetchone():
                connection.execute("DELETE FROM main.sqlite_sequence")
                connection.execute("INSERT INTO main.sqlite_sequence SELECT * FROM pristine.sqlite_sequence")
            connection.execute("COMMIT")
            connection.execute("DETACH pristine")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            # the first commit of an empty log waits for the disk: not in anybody's time
            connection.execute("PRAGMA user_version = 1")
