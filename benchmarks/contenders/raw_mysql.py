"""raw over PyMySQL: many rows per statement, keys by RETURNING."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timezone
from typing import Any

from benchmarks.contenders.raw import Raw as Base
from benchmarks.contenders.raw_objects import ITEM, VALUES, Item
from benchmarks.data import Row
from benchmarks.databases import Database
from benchmarks.databases.mysql import connect

SCHEMA = """
CREATE TABLE item (
    id integer PRIMARY KEY AUTO_INCREMENT, `rank` integer NOT NULL, name varchar(80) NOT NULL,
    quantity integer NOT NULL, ratio double NOT NULL, active boolean NOT NULL,
    created datetime(6) NOT NULL, price numeric(10, 2) NOT NULL, note varchar(200), meta json NOT NULL,
    INDEX item_rank (`rank`)
);
CREATE TABLE country (id integer PRIMARY KEY, name varchar(100) NOT NULL);
CREATE TABLE publisher (
    id integer PRIMARY KEY, name varchar(100) NOT NULL, country_id integer NOT NULL,
    FOREIGN KEY (country_id) REFERENCES country (id)
);
CREATE TABLE author (
    id integer PRIMARY KEY, name varchar(100) NOT NULL, born integer NOT NULL, publisher_id integer NOT NULL,
    FOREIGN KEY (publisher_id) REFERENCES publisher (id)
);
CREATE TABLE book (
    id integer PRIMARY KEY, title varchar(100) NOT NULL, pages integer NOT NULL, author_id integer NOT NULL,
    FOREIGN KEY (author_id) REFERENCES author (id)
);
CREATE TABLE tag (id integer PRIMARY KEY, name varchar(100) NOT NULL);
CREATE TABLE book_tag (
    book_id integer NOT NULL, tag_id integer NOT NULL, PRIMARY KEY (book_id, tag_id),
    FOREIGN KEY (book_id) REFERENCES book (id), FOREIGN KEY (tag_id) REFERENCES tag (id)
);
"""
INSERT = f"INSERT INTO item ({VALUES.replace('rank', '`rank`')}) VALUES "
MARKS = "(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
CHUNK = 1000


def parts(values: list[Any]) -> Iterable[list[Any]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def inserts(values: list[tuple[Any, ...]], end: str = "") -> Iterable[tuple[str, list[Any]]]:
    """Return statements of up to `CHUNK` rows, and their parameters."""
    for part in parts(values):
        flat: list[Any] = []
        for value in part:
            flat += value
        yield INSERT + ", ".join([MARKS] * len(part)) + end, flat


def updates(values: list[tuple[int, str, int]]) -> Iterable[tuple[str, list[Any]]]:
    """Return statements that join the table with up to `CHUNK` rows, and their parameters."""
    for part in parts(values):
        flat: list[Any] = []
        for value in part:
            flat += value
        rows = "SELECT %s AS quantity, %s AS name, %s AS id" + " UNION ALL SELECT %s, %s, %s" * (
            len(part) - 1
        )
        yield (
            f"UPDATE item JOIN ({rows}) v ON v.id = item.id "
            "SET item.quantity = v.quantity, item.name = v.name",
            flat,
        )


class Raw(Base):
    item = ITEM.replace("rank", "`rank`")

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.connection = connect(database.at(), database.name)
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                self.connection.query(statement)

    def close(self) -> None:
        self.connection.close()

    def execute(self, sql: str, params: Any = None) -> Any:
        cursor = self.connection.cursor()
        cursor.execute(sql, params)
        return cursor.fetchall()

    def items(self, rows: Iterable[Any], loads: Any = json.loads, utc: Any = timezone.utc) -> list[Item]:
        return [
            Item(
                rank,
                name,
                quantity,
                ratio,
                active == 1,
                created.replace(tzinfo=utc),
                price,
                note,
                loads(meta),
                id,
            )
            for id, rank, name, quantity, ratio, active, created, price, note, meta in rows
        ]

    def insert_key(self, values: tuple[Any, ...]) -> int:
        cursor = self.connection.cursor()
        cursor.execute(INSERT + MARKS, values)
        return int(cursor.lastrowid)

    def insert_keys(self, values: list[tuple[Any, ...]]) -> list[int]:
        self.connection.begin()
        keys = [row[0] for sql, flat in inserts(values, " RETURNING id") for row in self.execute(sql, flat)]
        self.connection.commit()
        return keys

    def write(self, statements: Iterable[tuple[str, list[Any]]]) -> None:
        """Run statements in one transaction."""
        cursor = self.connection.cursor()
        self.connection.begin()
        for sql, flat in statements:
            cursor.execute(sql, flat)
        self.connection.commit()

    def insert_values(self, values: list[tuple[Any, ...]]) -> None:
        self.connection.begin()
        self.connection.cursor().executemany(INSERT + MARKS, values)
        self.connection.commit()

    def update_values(self, values: list[tuple[int, str, int]]) -> None:
        self.write(updates(values))

    def delete_keys(self, keys: list[int]) -> None:
        self.connection.cursor().execute("DELETE FROM item WHERE id IN %s", (keys,))

    def insert_tables(self, tables: dict[str, list[Row]]) -> None:
        cursor = self.connection.cursor()
        for table, rows in tables.items():
            marks = ", ".join(["%s"] * len(rows[0]))
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", [tuple(row.values()) for row in rows])
