"""raw over sqlite3."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from benchmarks.contenders.contender import Run, handed_over
from benchmarks.contenders.raw import Raw as Base
from benchmarks.contenders.raw_objects import VALUES, Item, item_values
from benchmarks.data import Row
from benchmarks.databases import Database
from benchmarks.databases.sqlite import SQLite, connect

SCHEMA = """
CREATE TABLE item (
    id INTEGER PRIMARY KEY, rank INTEGER NOT NULL, name TEXT NOT NULL, quantity INTEGER NOT NULL,
    ratio REAL NOT NULL, active INTEGER NOT NULL, created TEXT NOT NULL, price TEXT NOT NULL,
    note TEXT, meta TEXT NOT NULL
);
CREATE INDEX item_rank ON item (rank);
CREATE TABLE country (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE publisher (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, country_id INTEGER NOT NULL REFERENCES country
);
CREATE INDEX publisher_country ON publisher (country_id);
CREATE TABLE author (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INTEGER NOT NULL,
    publisher_id INTEGER NOT NULL REFERENCES publisher
);
CREATE INDEX author_publisher ON author (publisher_id);
CREATE TABLE book (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, pages INTEGER NOT NULL,
    author_id INTEGER NOT NULL REFERENCES author
);
CREATE INDEX book_author ON book (author_id);
CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE book_tag (
    book_id INTEGER NOT NULL REFERENCES book, tag_id INTEGER NOT NULL REFERENCES tag,
    PRIMARY KEY (book_id, tag_id)
) WITHOUT ROWID;
"""

INSERT = f"INSERT INTO item ({VALUES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
CHUNK = 200
INSERT_CHUNK = INSERT + ", (?, ?, ?, ?, ?, ?, ?, ?, ?)" * (CHUNK - 1)


def as_text(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Write what SQLite has no type for."""
    rank, name, quantity, ratio, active, created, price, note, meta = values
    return rank, name, quantity, ratio, active, created.isoformat(" ", "microseconds"), str(price), note, meta


class Raw(Base):
    mark = "?"

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        assert isinstance(database, SQLite)
        self.connection = connect(database.path)
        self.connection.executescript(SCHEMA)
        self.execute = self.connection.execute

    def close(self) -> None:
        self.connection.close()

    def items(
        self, rows: Iterable[Any], loads: Any = json.loads, instant: Any = datetime.fromisoformat
    ) -> list[Item]:
        return [
            Item(
                rank,
                name,
                quantity,
                ratio,
                active == 1,
                instant(created),
                Decimal(price),
                note,
                loads(meta),
                id,
            )
            for id, rank, name, quantity, ratio, active, created, price, note, meta in rows
        ]

    def insert_one(self, rows: list[Row]) -> Run:
        execute = self.execute

        def run() -> list[Item]:
            stored = []
            for row in handed_over(rows):
                item = Item(**row)
                # one transaction in autocommit mode
                item.id = execute(INSERT, as_text(item_values(item))).lastrowid
                stored.append(item)
            return stored

        return run

    def insert_keys(self, values: list[tuple[Any, ...]]) -> list[int]:
        keys: list[int] = []
        whole = len(values) - len(values) % CHUNK
        self.execute("BEGIN IMMEDIATE")
        for start in range(0, whole, CHUNK):
            flat: list[Any] = []
            for value in values[start : start + CHUNK]:
                flat += as_text(value)
            # the keys of one statement follow each other: the last one gives all of them
            last = self.execute(INSERT_CHUNK, flat).lastrowid
            keys += range(last - CHUNK + 1, last + 1)
        keys += [self.execute(INSERT, as_text(value)).lastrowid for value in values[whole:]]
        self.execute("COMMIT")
        return keys

    def insert_values(self, values: list[tuple[Any, ...]]) -> None:
        whole = len(values) - len(values) % CHUNK
        self.execute("BEGIN IMMEDIATE")
        for start in range(0, whole, CHUNK):
            flat: list[Any] = []
            for value in values[start : start + CHUNK]:
                flat += as_text(value)
            self.execute(INSERT_CHUNK, flat)
        self.connection.executemany(INSERT, [as_text(value) for value in values[whole:]])
        self.execute("COMMIT")

    def update_values(self, values: list[tuple[int, str, int]]) -> None:
        self.execute("BEGIN IMMEDIATE")
        self.connection.executemany("UPDATE item SET quantity = ?, name = ? WHERE id = ?", values)
        self.execute("COMMIT")

    def delete_keys(self, keys: list[int]) -> None:
        self.execute("BEGIN IMMEDIATE")
        self.connection.executemany("DELETE FROM item WHERE id = ?", [(key,) for key in keys])
        self.execute("COMMIT")

    def insert_tables(self, tables: dict[str, list[Row]]) -> None:
        self.execute("BEGIN IMMEDIATE")
        for table, rows in tables.items():
            names = ", ".join(f":{name}" for name in rows[0])
            self.connection.executemany(f"INSERT INTO {table} VALUES ({names})", rows)
        self.execute("COMMIT")
