"""raw+object: what an expert writes by hand with sqlite3 and plain `__slots__` classes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Optional

from benchmarks.contenders.contender import Change, Contender, Run
from benchmarks.data import Library, Row
from benchmarks.database import connect

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

ITEM = "id, rank, name, quantity, ratio, active, created, price, note, meta"
AUTHOR = "id, name, born, publisher_id"
BOOK = "id, title, pages, author_id"
INSERT = (
    "INSERT INTO item (rank, name, quantity, ratio, active, created, price, note, meta) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
CHUNK = 200
INSERT_CHUNK = INSERT + ", (?, ?, ?, ?, ?, ?, ?, ?, ?)" * (CHUNK - 1)


class Item:
    __slots__ = ("active", "created", "id", "meta", "name", "note", "price", "quantity", "rank", "ratio")

    def __init__(
        self,
        rank: int,
        name: str,
        quantity: int,
        ratio: float,
        active: bool,
        created: datetime,
        price: Decimal,
        note: Optional[str],
        meta: dict[str, Any],
        id: Optional[int] = None,
    ) -> None:
        self.id = id
        self.rank = rank
        self.name = name
        self.quantity = quantity
        self.ratio = ratio
        self.active = active
        self.created = created
        self.price = price
        self.note = note
        self.meta = meta


class Publisher:
    __slots__ = ("authors", "country_id", "id", "name")

    def __init__(self, id: int, name: str, country_id: int) -> None:
        self.id = id
        self.name = name
        self.country_id = country_id
        self.authors: list[Author] = []


class Author:
    __slots__ = ("books", "born", "id", "name", "publisher_id")

    def __init__(self, id: int, name: str, born: int, publisher_id: int) -> None:
        self.id = id
        self.name = name
        self.born = born
        self.publisher_id = publisher_id
        self.books: list[Book] = []


class Book:
    __slots__ = ("author", "author_id", "id", "pages", "tags", "title")

    def __init__(
        self, id: int, title: str, pages: int, author_id: int, author: Optional[Author] = None
    ) -> None:
        self.id = id
        self.title = title
        self.pages = pages
        self.author_id = author_id
        self.author = author
        self.tags: Any = None


class Tag:
    __slots__ = ("id", "name")

    def __init__(self, id: int, name: str) -> None:
        self.id = id
        self.name = name


def items(
    cursor: Iterable[Any], loads: Any = json.loads, instant: Any = datetime.fromisoformat
) -> list[Item]:
    return [
        Item(
            rank, name, quantity, ratio, active == 1, instant(created), Decimal(price), note, loads(meta), id
        )
        for id, rank, name, quantity, ratio, active, created, price, note, meta in cursor
    ]


def item_values(item: Item) -> tuple[Any, ...]:
    return (
        item.rank,
        item.name,
        item.quantity,
        item.ratio,
        item.active,
        item.created.isoformat(" ", "microseconds"),
        str(item.price),
        item.note,
        json.dumps(item.meta),
    )


def row_values(row: Row) -> tuple[Any, ...]:
    return (
        row["rank"],
        row["name"],
        row["quantity"],
        row["ratio"],
        row["active"],
        row["created"].isoformat(" ", "microseconds"),
        str(row["price"]),
        row["note"],
        json.dumps(row["meta"]),
    )


class Map:
    """The smallest identity map: one object per class and key."""

    def __init__(self, execute: Any) -> None:
        self.objects: dict[tuple[type, int], Any] = {}
        self.execute = execute

    def get(self, model: type, key: int) -> Any:
        found = self.objects.get((model, key))
        if found is None:
            [found] = items(self.execute(f"SELECT {ITEM} FROM item WHERE id = ?", (key,)))
            self.objects[model, key] = found
        return found


class Raw(Contender):
    name = "raw"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.connection = connect(path)
        self.connection.executescript(SCHEMA)

    def close(self) -> None:
        self.connection.close()

    def seed_items(self, rows: list[Row]) -> None:
        self.insert_bulk(rows)()

    def seed_library(self, library: Library) -> None:
        tables = {
            "country": library.countries,
            "publisher": library.publishers,
            "author": library.authors,
            "book": library.books,
            "tag": library.tags,
            "book_tag": library.links,
        }
        self.connection.execute("BEGIN IMMEDIATE")
        for table, rows in tables.items():
            if rows:
                names = ", ".join(f":{name}" for name in rows[0])
                self.connection.executemany(f"INSERT INTO {table} VALUES ({names})", rows)
        self.connection.execute("COMMIT")

    def hold_items(self) -> tuple[Any, list[Any]]:
        return ExitStack(), items(self.connection.execute(f"SELECT {ITEM} FROM item"))

    def item_class(self) -> Any:
        return Item

    # writes

    def insert_one(self, rows: list[Row]) -> Run:
        execute = self.connection.execute

        def run() -> list[Item]:
            stored = []
            for row in rows:
                item = Item(**row)
                item.id = execute(INSERT, item_values(item)).lastrowid  # one transaction in autocommit mode
                stored.append(item)
            return stored

        return run

    def insert_uow(self, rows: list[Row]) -> Run:
        connection = self.connection

        def run() -> list[Item]:
            stored = [Item(**row) for row in rows]
            connection.execute("BEGIN IMMEDIATE")
            whole = len(stored) - len(stored) % CHUNK
            for start in range(0, whole, CHUNK):
                chunk = stored[start : start + CHUNK]
                flat: list[Any] = []
                for item in chunk:
                    flat += item_values(item)
                # the keys of one statement follow each other: the last one gives all of them
                last = connection.execute(INSERT_CHUNK, flat).lastrowid
                for key, item in enumerate(chunk, last - CHUNK + 1):
                    item.id = key
            for item in stored[whole:]:
                item.id = connection.execute(INSERT, item_values(item)).lastrowid
            connection.execute("COMMIT")
            return stored

        return run

    def insert_bulk(self, rows: list[Row]) -> Run:
        return lambda: self.insert_values([row_values(row) for row in rows])

    def bulk_insert(self, rows: list[Row]) -> Run:
        return lambda: self.insert_values([item_values(item) for item in [Item(**row) for row in rows]])

    def insert_values(self, values: list[tuple[Any, ...]]) -> None:
        connection = self.connection
        whole = len(values) - len(values) % CHUNK
        connection.execute("BEGIN IMMEDIATE")
        for start in range(0, whole, CHUNK):
            flat: list[Any] = []
            for value in values[start : start + CHUNK]:
                flat += value
            connection.execute(INSERT_CHUNK, flat)
        connection.executemany(INSERT, values[whole:])
        connection.execute("COMMIT")

    def update_uow(self, changes: list[Change]) -> Run:
        connection = self.connection

        def run() -> None:
            loaded = items(connection.execute(f"SELECT {ITEM} FROM item WHERE id <= ?", (len(changes),)))
            for item, (_, quantity, name) in zip(loaded, changes):
                item.quantity = quantity
                item.name = name
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE item SET quantity = ?, name = ? WHERE id = ?",
                [(item.quantity, item.name, item.id) for item in loaded],
            )
            connection.execute("COMMIT")

        return run

    def bulk_update(self, changes: list[Change]) -> Run:
        connection = self.connection

        def run() -> None:
            values = [(quantity, name, key) for key, quantity, name in changes]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("UPDATE item SET quantity = ?, name = ? WHERE id = ?", values)
            connection.execute("COMMIT")

        return run

    def delete_uow(self, count: int) -> Run:
        connection = self.connection
        loaded = items(connection.execute(f"SELECT {ITEM} FROM item WHERE id <= ?", (count,)))

        def run() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM item WHERE id = ?", [(item.id,) for item in loaded])
            connection.execute("COMMIT")

        return run

    # reads

    def read_all(self) -> Run:
        return lambda: items(self.connection.execute(f"SELECT {ITEM} FROM item"))

    def read_filter(self, ranges: list[tuple[int, int]]) -> Run:
        execute = self.connection.execute
        sql = f"SELECT {ITEM} FROM item WHERE rank >= ? AND rank < ?"
        return lambda: [items(execute(sql, bounds)) for bounds in ranges]

    def get_pk(self, keys: list[int]) -> Run:
        execute = self.connection.execute
        sql = f"SELECT {ITEM} FROM item WHERE id = ?"
        return lambda: [items(execute(sql, (key,)))[0] for key in keys]

    def get_pk_identity(self, keys: list[int]) -> Run:
        def run() -> list[Item]:
            session = Map(self.connection.execute)
            return [session.get(Item, key) for key in keys]

        return run

    def get_pk_hits(self, keys: list[int]) -> Run:
        session = Map(self.connection.execute)
        for key in keys:
            session.get(Item, key)
        return lambda: [session.get(Item, key) for key in keys]

    def join_eager_fk(self) -> Run:
        def run() -> list[Book]:
            authors: dict[int, Author] = {}
            books = []
            for id, title, pages, author_id, name, born, publisher_id in self.connection.execute(
                "SELECT b.id, b.title, b.pages, b.author_id, a.name, a.born, a.publisher_id "
                "FROM book b JOIN author a ON a.id = b.author_id"
            ):
                author = authors.get(author_id)
                if author is None:
                    author = authors[author_id] = Author(author_id, name, born, publisher_id)
                books.append(Book(id, title, pages, author_id, author))
            for book in books:
                book.author.name  # type: ignore[union-attr]  # noqa: B018
            return books

        return run

    def prefetch_o2m(self) -> Run:
        def run() -> list[Author]:
            execute = self.connection.execute
            authors = {row[0]: Author(*row) for row in execute(f"SELECT {AUTHOR} FROM author")}
            for row in execute(f"SELECT {BOOK} FROM book"):
                authors[row[3]].books.append(Book(*row))
            for author in authors.values():
                len(author.books)
            return list(authors.values())

        return run

    def prefetch_o2m_nested(self) -> Run:
        def run() -> list[Publisher]:
            execute = self.connection.execute
            publishers = {
                row[0]: Publisher(*row) for row in execute("SELECT id, name, country_id FROM publisher")
            }
            authors = {}
            for row in execute(f"SELECT {AUTHOR} FROM author"):
                author = authors[row[0]] = Author(*row)
                publishers[row[3]].authors.append(author)
            for row in execute(f"SELECT {BOOK} FROM book"):
                authors[row[3]].books.append(Book(*row))
            for publisher in publishers.values():
                for author in publisher.authors:
                    len(author.books)
            return list(publishers.values())

        return run

    def prefetch_m2m(self) -> Run:
        def run() -> list[Book]:
            execute = self.connection.execute
            books = {}
            for row in execute(f"SELECT {BOOK} FROM book"):
                book = books[row[0]] = Book(*row)
                book.tags = []
            tags: dict[int, Tag] = {}
            for book_id, id, name in execute(
                "SELECT l.book_id, t.id, t.name FROM book_tag l JOIN tag t ON t.id = l.tag_id"
            ):
                tag = tags.get(id)
                if tag is None:
                    tag = tags[id] = Tag(id, name)
                books[book_id].tags.append(tag)
            for book in books.values():
                len(book.tags)
            return list(books.values())

        return run
