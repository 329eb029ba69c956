"""A small library of books on a real SQLite database, for the tests of the SQL layer."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from blaze.dialects.types import Binary, DateTime, Float, Integer, Interval, Json, Numeric, String
from blaze.sql.builders import SelectBuilder
from blaze.sql.columns import Column
from blaze.sql.source import Source
from blaze.sql.table import Table, TableColumn
from blaze_sqlite.dialect import SQLiteDialect
from blaze_sqlite.functions import register


def key() -> TableColumn:
    return TableColumn("id", Integer(), primary_key=True, identity=True)


author_table = Table(
    "author", [key(), TableColumn("name", String(120)), TableColumn("email", String(), nullable=True)]
)
book_table = Table(
    "book",
    [
        key(),
        TableColumn("title", String(200)),
        TableColumn("price", Numeric(10, 2)),
        TableColumn("weight", Float()),
        TableColumn("published", DateTime(), nullable=True),
        TableColumn("loan", Interval(), nullable=True),
        TableColumn("cover", Binary(), nullable=True),
        TableColumn("meta", Json(), nullable=True),
        TableColumn("author_id", Integer()),
        TableColumn("editor_id", Integer(), nullable=True),
    ],
)
tag_table = Table("tag", [key(), TableColumn("name", String(40))])
link_table = Table(
    "book_tag",
    [
        TableColumn("book_id", Integer(), primary_key=True),
        TableColumn("tag_id", Integer(), primary_key=True),
    ],
)


class Place:
    """The columns of a source as attributes, like a model's path."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getattr__(self, name: str) -> Any:
        return Column(self.source, self.source.table.column(name))


def to_one(parent: Source, name: str, own: str, table: Table, outer: bool = False) -> Place:
    pairs = ((parent.table.column(own), table.column("id")),)
    return Place(Source(table, parent, pairs, outer=outer, name=name))


def to_many(parent: Source, name: str, table: Table, foreign: str) -> Place:
    pairs = ((parent.table.column("id"), table.column(foreign)),)
    return Place(Source(table, parent, pairs, outer=True, many=True, name=name))


def through(parent: Source, name: str, own: str, foreign: str, table: Table) -> Place:
    middle = to_many(parent, f"{name}*", link_table, own).source
    pairs = ((link_table.column(foreign), table.column("id")),)
    return Place(Source(table, middle, pairs, outer=True, name=name))


author = Place(Source(author_table))
book = Place(Source(book_table))
tag = Place(Source(tag_table))
book_author = to_one(book.source, "author", "author_id", author_table)
book_editor = to_one(book.source, "editor", "editor_id", author_table, outer=True)
author_books = to_many(author.source, "books", book_table, "author_id")
author_edited = to_many(author.source, "edited", book_table, "editor_id")
book_tags = through(book.source, "tags", "book_id", "tag_id", tag_table)
author_books_tags = through(author_books.source, "tags", "book_id", "tag_id", tag_table)

dialect = SQLiteDialect()

DAY = datetime(2020, 1, 1, 12, tzinfo=timezone.utc)
BOOKS = [
    # id, title, price, weight, published, loan, cover, meta, author, editor
    (1, "The Dispossessed", "9.99", 0.3, DAY, timedelta(days=1), b"\x00\xff", {"n": 1, "ok": True}, 1, 2),
    (
        2,
        "A Wizard of Earthsea",
        "10.50",
        0.1,
        DAY + timedelta(days=400),
        None,
        b"",
        {"a": {"b": "x"}},
        1,
        None,
    ),
    (3, "100% [wild]_*?", "100.00", 1e-7, None, None, None, None, 2, 1),
    (4, "the dispossessed", "9.990", 2.5, None, timedelta(hours=2), None, {"n": 2, "l": [7, 8]}, 2, None),
]


def connect() -> sqlite3.Connection:
    """Open a database in memory with the tables and a few rows."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    register(connection)
    for table in (author_table, book_table, tag_table, link_table):
        columns = ", ".join(f'"{c.name}" {dialect.type_ddl(c.type)}' for c in table.columns)
        keys = ", ".join(f'"{c.name}"' for c in table.primary_key)
        connection.execute(f'CREATE TABLE "{table.name}" ({columns}, PRIMARY KEY ({keys}))')
    connection.executemany(
        "INSERT INTO author VALUES (?, ?, ?)",
        [(1, "Ursula", "u@example.org"), (2, "Stanisław", None), (3, "Ärne", "a@example.org")],
    )
    for row in BOOKS:
        values = [Decimal(str(v)) if c.name == "price" else v for c, v in zip(book_table.columns, row)]
        encoded = [_encode(c, v) for c, v in zip(book_table.columns, values)]
        connection.execute(f"INSERT INTO book VALUES ({', '.join('?' * len(row))})", encoded)
    connection.executemany("INSERT INTO tag VALUES (?, ?)", [(1, "sf"), (2, "classic"), (3, "unused")])
    connection.executemany("INSERT INTO book_tag VALUES (?, ?)", [(1, 1), (1, 2), (2, 2), (4, 1)])
    return connection


def _encode(column: TableColumn, value: Any) -> Any:
    encoder = dialect.encoder(column.type)
    return value if value is None or encoder is None else encoder(value)


def select(place: Place, *outputs: Any) -> SelectBuilder:
    return SelectBuilder(place.source).columns(*(outputs or (place.id,)))


def compiled(statement: Any) -> tuple[str, tuple[Any, ...]]:
    """Compile for SQLite; give the text and the parameters."""
    made = dialect.compiler(dialect).compile(statement)
    return made.sql, tuple(made.params(statement.binds))
