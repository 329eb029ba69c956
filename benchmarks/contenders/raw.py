"""raw+object: what an expert writes by hand over a driver, with plain `__slots__` classes.

Reads are the same on every backend but for the driver and what it leaves to convert. Writes use what is
fastest on each: they are in `raw_sqlite`, `raw_postgresql` and `raw_mysql`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from benchmarks.contenders.contender import Change, Contender, Run, handed_over
from benchmarks.contenders.raw_objects import (
    AUTHOR,
    BOOK,
    ITEM,
    Author,
    Book,
    Item,
    Publisher,
    Tag,
    item_values,
    row_values,
)
from benchmarks.data import Library, Row

Execute = Callable[..., Any]  # sql and parameters to rows

JOINED = (
    "SELECT b.id, b.title, b.pages, b.author_id, a.name, a.born, a.publisher_id "
    "FROM book b JOIN author a ON a.id = b.author_id"
)
LINKED = "SELECT l.book_id, t.id, t.name FROM book_tag l JOIN tag t ON t.id = l.tag_id"


def joined(rows: Iterable[Any]) -> list[Book]:
    """Make books with their authors of the rows of `JOINED`."""
    authors: dict[int, Author] = {}
    books = []
    for id, title, pages, author_id, name, born, publisher_id in rows:
        author = authors.get(author_id)
        if author is None:
            author = authors[author_id] = Author(author_id, name, born, publisher_id)
        books.append(Book(id, title, pages, author_id, author))
    for book in books:
        book.author.name  # type: ignore[union-attr]  # noqa: B018
    return books


def with_books(author_rows: Iterable[Any], book_rows: Callable[[], Iterable[Any]]) -> list[Author]:
    """Make authors, and their books of the rows asked for next."""
    authors = {row[0]: Author(*row) for row in author_rows}
    for row in book_rows():
        authors[row[3]].books.append(Book(*row))
    for author in authors.values():
        len(author.books)
    return list(authors.values())


def tagged(book_rows: Iterable[Any], link_rows: Callable[[], Iterable[Any]]) -> list[Book]:
    """Make books, and their tags of the rows asked for next."""
    books = {}
    for row in book_rows:
        book = books[row[0]] = Book(*row)
        book.tags = []
    tags: dict[int, Tag] = {}
    for book_id, id, name in link_rows():
        tag = tags.get(id)
        if tag is None:
            tag = tags[id] = Tag(id, name)
        books[book_id].tags.append(tag)
    for book in books.values():
        len(book.tags)
    return list(books.values())


class Map:
    """The smallest identity map: one object per class and key."""

    def __init__(self, read: Callable[[int], Item]) -> None:
        self.objects: dict[tuple[type, int], Any] = {}
        self.read = read

    def get(self, model: type, key: int) -> Any:
        found = self.objects.get((model, key))
        if found is None:
            found = self.objects[model, key] = self.read(key)
        return found


class Raw(Contender):
    """Subclasses open the connection, give `execute` (statement and parameters to rows), and write."""

    name = "raw"
    item = ITEM  # the columns, quoted where a name asks for it
    mark = "%s"
    execute: Execute

    def items(self, rows: Iterable[Any]) -> list[Item]:
        """Make items of rows, converting what the driver has not."""
        raise NotImplementedError

    def insert_values(self, values: list[tuple[Any, ...]]) -> None:
        """Store rows in one transaction; no keys are wanted."""
        raise NotImplementedError

    def insert_keys(self, values: list[tuple[Any, ...]]) -> list[int]:
        """Store rows in one transaction and return their keys in order."""
        raise NotImplementedError

    def insert_key(self, values: tuple[Any, ...]) -> int:
        """Store one row in a transaction of its own and return its key."""
        raise NotImplementedError

    def update_values(self, values: list[tuple[int, str, int]]) -> None:
        """Store quantity and name by id, in one transaction."""
        raise NotImplementedError

    def delete_keys(self, keys: list[int]) -> None:
        """Delete items in one transaction."""
        raise NotImplementedError

    def insert_tables(self, tables: dict[str, list[Row]]) -> None:
        """Store the related tables."""
        raise NotImplementedError

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
        self.insert_tables({name: rows for name, rows in tables.items() if rows})

    def hold_items(self) -> tuple[Any, list[Any]]:
        return ExitStack(), self.items(self.execute(f"SELECT {self.item} FROM item"))

    def item_class(self) -> Any:
        return Item

    # writes

    def insert_one(self, rows: list[Row]) -> Run:
        def run() -> list[Item]:
            stored = []
            for row in handed_over(rows):
                item = Item(**row)
                item.id = self.insert_key(item_values(item))
                stored.append(item)
            return stored

        return run

    def insert_uow(self, rows: list[Row]) -> Run:
        def run() -> list[Item]:
            stored = [Item(**row) for row in handed_over(rows)]
            for item, key in zip(stored, self.insert_keys([item_values(item) for item in stored])):
                item.id = key
            return stored

        return run

    def insert_bulk(self, rows: list[Row]) -> Run:
        return lambda: self.insert_values([row_values(row) for row in rows])

    def bulk_insert(self, rows: list[Row]) -> Run:
        return lambda: self.insert_values([item_values(item) for item in [Item(**row) for row in rows]])

    def update_uow(self, changes: list[Change]) -> Run:
        sql = f"SELECT {self.item} FROM item WHERE id <= {self.mark} ORDER BY id"

        def run() -> None:
            loaded = self.items(self.execute(sql, (len(changes),)))
            for item, (_, quantity, name) in zip(loaded, changes):
                item.quantity = quantity
                item.name = name
            self.update_values([(item.quantity, item.name, item.id) for item in loaded])  # type: ignore[misc]

        return run

    def bulk_update(self, changes: list[Change]) -> Run:
        return lambda: self.update_values([(quantity, name, key) for key, quantity, name in changes])

    def delete_uow(self, count: int) -> Run:
        sql = f"SELECT {self.item} FROM item WHERE id <= {self.mark}"
        loaded = self.items(self.execute(sql, (count,)))
        return lambda: self.delete_keys([item.id for item in loaded])  # type: ignore[misc]

    # reads

    def by_key(self) -> Callable[[int], Item]:
        """Return what reads one item by its id."""
        execute, items = self.execute, self.items
        sql = f"SELECT {self.item} FROM item WHERE id = {self.mark}"
        return lambda key: items(execute(sql, (key,)))[0]

    def read_all(self) -> Run:
        return lambda: self.items(self.execute(f"SELECT {self.item} FROM item"))

    def read_filter(self, ranges: list[tuple[int, int]]) -> Run:
        execute, items, mark = self.execute, self.items, self.mark
        rank = self.item.split(", ")[1]
        sql = f"SELECT {self.item} FROM item WHERE {rank} >= {mark} AND {rank} < {mark}"
        return lambda: [items(execute(sql, bounds)) for bounds in ranges]

    def get_pk(self, keys: list[int]) -> Run:
        execute, items = self.execute, self.items
        sql = f"SELECT {self.item} FROM item WHERE id = {self.mark}"
        return lambda: [items(execute(sql, (key,)))[0] for key in keys]

    def get_pk_identity(self, keys: list[int]) -> Run:
        def run() -> list[Item]:
            session = Map(self.by_key())
            return [session.get(Item, key) for key in keys]

        return run

    def get_pk_hits(self, keys: list[int]) -> Run:
        session = Map(self.by_key())
        for key in keys:
            session.get(Item, key)
        return lambda: [session.get(Item, key) for key in keys]

    def join_eager_fk(self) -> Run:
        return lambda: joined(self.execute(JOINED))

    def prefetch_o2m(self) -> Run:
        execute = self.execute
        return lambda: with_books(
            execute(f"SELECT {AUTHOR} FROM author"), lambda: execute(f"SELECT {BOOK} FROM book")
        )

    def prefetch_o2m_nested(self) -> Run:
        def run() -> list[Publisher]:
            execute = self.execute
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
        execute = self.execute
        return lambda: tagged(execute(f"SELECT {BOOK} FROM book"), lambda: execute(LINKED))
