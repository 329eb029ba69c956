"""The contenders' databases: files of SQLite, or databases made and dropped on a server.

What the contenders stored is read back here by plain drivers, and rows are brought back between the rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Optional

from benchmarks.databases.database import Database

BACKENDS = ("sqlite", "postgresql", "mysql")


class Place:
    """Where the databases of one run are: a backend and, for a server, its DSN."""

    def __init__(self, backend: str, server: Optional[str] = None) -> None:
        self.backend = backend
        self.module = import_module(f"benchmarks.databases.{backend}")
        self.server = server

    @contextmanager
    def database(self, contender: str) -> Iterator[Database]:
        """Give an empty database of its own to a contender, and drop it at the end."""
        with self.module.lent(contender, self.server) as database:
            yield database

    def version(self) -> str:
        """Return the version of the database library or server."""
        with self.module.lent("version", self.server) as database:
            [(version,)] = database.rows(self.module.VERSION)
            return str(version)


__all__ = ["BACKENDS", "Database", "Place"]
