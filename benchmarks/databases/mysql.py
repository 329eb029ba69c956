"""MySQL and MariaDB: a database for each contender, made and dropped on one server."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Optional

import pymysql

from benchmarks.databases.database import Database, Server, fresh_name

PORT = 3306
VERSION = "SELECT version()"


def connect(server: Server, name: Optional[str]) -> Any:
    """Open a connection in autocommit mode, in UTC."""
    return pymysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        database=name,
        charset="utf8mb4",
        autocommit=True,
        init_command="SET time_zone = '+00:00'",
    )


@contextmanager
def lent(contender: str, server: Optional[str]) -> Iterator[MySQL]:
    """Make a database with the contender's name in its own, and drop it at the end."""
    dsn = server or os.environ.get("BLAZE_TEST_MYSQL") or f"mysql://{getpass.getuser()}@127.0.0.1"
    at = Server.parse(dsn, PORT)
    name = fresh_name(contender)
    with closing(connect(at, None)) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        try:
            yield MySQL(name, at)
        finally:
            cursor.execute("SET lock_wait_timeout = 10")
            cursor.execute(f"DROP DATABASE `{name}`")


class MySQL(Database):
    backend = "mysql"

    def quote(self, name: str) -> str:
        return f"`{name}`"

    def run(self, *statements: str) -> None:
        """Run statements on a connection of its own."""
        with closing(connect(self.at(), self.name)) as connection:
            cursor = connection.cursor()
            cursor.execute("SET lock_wait_timeout = 10, foreign_key_checks = 0")
            for statement in statements:
                cursor.execute(statement)

    def rows(self, sql: str, params: Any = ()) -> list[Any]:
        with closing(connect(self.at(), self.name)) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, params or None)
            return list(cursor.fetchall())

    def snapshot(self) -> None:
        tables = ", ".join(f"`{table}`" for (table,) in self.rows("SHOW TABLES"))
        self.run("CREATE TABLE pristine AS SELECT * FROM item", f"ANALYZE TABLE {tables}")

    def restore(self) -> None:
        """Bring the rows back, and the counter of the keys."""
        self.run("TRUNCATE TABLE item", "INSERT INTO item SELECT * FROM pristine", "ANALYZE TABLE item")
