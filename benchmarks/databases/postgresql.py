"""PostgreSQL: a database for each contender, made and dropped on one server.

Commits do not wait for the disk (`synchronous_commit = off`): that wait is the same for all, and its length
says more about the machine than about anybody's code.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Optional

import psycopg2

from benchmarks.databases.database import Database, Server, fresh_name

PORT = 5432
VERSION = "SELECT current_setting('server_version')"


def connect(server: Server, name: str) -> Any:
    """Open a connection in autocommit mode, in UTC."""
    connection = psycopg2.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        dbname=name,
        options="-c timezone=UTC",
    )
    connection.autocommit = True
    return connection


@contextmanager
def lent(contender: str, server: Optional[str]) -> Iterator[Postgres]:
    """Make a database with the contender's name in its own, and drop it at the end."""
    dsn = server or os.environ.get("BLAZE_TEST_POSTGRES") or f"postgresql://{getpass.getuser()}@127.0.0.1"
    at = Server.parse(dsn, PORT)
    name = fresh_name(contender)
    with closing(connect(at, "postgres")) as connection:
        cursor = connection.cursor()
        cursor.execute(f'CREATE DATABASE "{name}"')
        try:
            cursor.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
            yield Postgres(name, at)
        finally:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


class Postgres(Database):
    backend = "postgresql"

    def run(self, *statements: str) -> None:
        """Run statements on a connection of its own."""
        with closing(connect(self.at(), self.name)) as connection:
            cursor = connection.cursor()
            cursor.execute("SET lock_timeout = '10s'")
            for statement in statements:
                cursor.execute(statement)

    def rows(self, sql: str, params: Any = ()) -> list[Any]:
        with closing(connect(self.at(), self.name)) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, params or None)
            return list(cursor.fetchall())

    def snapshot(self) -> None:
        self.run("CREATE TABLE pristine AS TABLE item", "VACUUM ANALYZE")

    def restore(self) -> None:
        """Bring the rows back, and the counter of the keys."""
        self.run(
            "TRUNCATE item RESTART IDENTITY",
            "INSERT INTO item OVERRIDING SYSTEM VALUE SELECT * FROM pristine",
            "SELECT setval(pg_get_serial_sequence('item', 'id'), max(id)) FROM item HAVING max(id) > 0",
            "VACUUM ANALYZE item",
        )
