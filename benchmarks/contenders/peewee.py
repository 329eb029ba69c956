"""Peewee as a good Peewee user writes it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

from peewee import (
    BooleanField,
    CharField,
    DatabaseProxy,
    DateTimeField,
    DecimalField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    MySQLDatabase,
    PostgresqlDatabase,
    SqliteDatabase,
    TextField,
    prefetch,
)

from benchmarks.contenders.contender import Change, Contender, Run, handed_over
from benchmarks.data import Library, Row
from benchmarks.databases import Database
from benchmarks.databases.sqlite import PRAGMAS

database = DatabaseProxy()
CHUNK = 1000


def open_database(place: Database) -> Any:
    if place.backend == "sqlite":
        return SqliteDatabase(place.name, pragmas=PRAGMAS)
    server = place.at()
    address = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    if place.backend == "postgresql":
        return PostgresqlDatabase(place.name, **address)
    return MySQLDatabase(place.name, **address, charset="utf8mb4", field_types={"DATETIME": "DATETIME(6)"})


class JSONField(TextField):  # type: ignore[misc]
    """A document as text, the same on every backend."""

    def db_value(self, value: Any) -> Any:
        return None if value is None else json.dumps(value)

    def python_value(self, value: Any) -> Any:
        return None if value is None else json.loads(value)


class Base(Model):  # type: ignore[misc]
    class Meta:
        database = database


class Item(Base):
    rank = IntegerField(index=True)
    name = CharField(max_length=80)
    quantity = IntegerField()
    ratio = DoubleField()
    active = BooleanField()
    created = DateTimeField()
    price = DecimalField(max_digits=10, decimal_places=2)
    note = CharField(max_length=200, null=True)
    meta = JSONField()


class Country(Base):
    name = CharField()


class Publisher(Base):
    name = CharField()
    country = ForeignKeyField(Country)


class Author(Base):
    name = CharField()
    born = IntegerField()
    publisher = ForeignKeyField(Publisher, backref="authors")


class Book(Base):
    title = CharField()
    pages = IntegerField()
    author = ForeignKeyField(Author, backref="books")


class Tag(Base):
    name = CharField()


class BookTag(Base):
    book = ForeignKeyField(Book, backref="links", index=False)
    tag = ForeignKeyField(Tag, backref="links")

    class Meta:
        table_name = "book_tag"
        indexes = ((("book", "tag"), True),)


MODELS = [Item, Country, Publisher, Author, Book, Tag, BookTag]


class Peewee(Contender):
    name = "peewee"
    aware = False

    def __init__(self, place: Database) -> None:
        super().__init__(place)
        self.opened = open_database(place)
        database.initialize(self.opened)
        database.connect()
        database.create_tables(MODELS)

    def close(self) -> None:
        self.opened.close()

    def seed_items(self, rows: list[Row]) -> None:
        self.insert_bulk(rows)()

    def seed_library(self, library: Library) -> None:
        tables: dict[Any, list[Row]] = {
            Country: library.countries,
            Publisher: library.publishers,
            Author: library.authors,
            Book: library.books,
            Tag: library.tags,
            BookTag: library.links,
        }
        with database.atomic():
            for model, rows in tables.items():
                for start in range(0, len(rows), CHUNK):
                    model.insert_many(rows[start : start + CHUNK]).execute()

    def tags_of(self, book: Any) -> list[Any]:
        return [link.tag for link in book.links]

    def hold_items(self) -> tuple[Any, list[Any]]:
        return ExitStack(), list(Item.select())

    def item_class(self) -> Any:
        return Item

    # writes

    def insert_one(self, rows: list[Row]) -> Run:
        return lambda: [Item.create(**row) for row in handed_over(rows)]

    def insert_uow(self, rows: list[Row]) -> Run:
        def run() -> list[Item]:
            with database.atomic():
                return [Item.create(**row) for row in handed_over(rows)]

        return run

    def insert_bulk(self, rows: list[Row]) -> Run:
        def run() -> None:
            with database.atomic():
                for start in range(0, len(rows), CHUNK):
                    Item.insert_many(rows[start : start + CHUNK]).execute()

        return run

    def bulk_insert(self, rows: list[Row]) -> Run:
        def run() -> None:
            with database.atomic():
                Item.bulk_create([Item(**row) for row in rows], batch_size=CHUNK)

        return run

    def update_uow(self, changes: list[Change]) -> Run:
        def run() -> None:
            with database.atomic():
                for item, (_, quantity, name) in zip(
                    Item.select().where(Item.id <= len(changes)).order_by(Item.id), changes
                ):
                    item.quantity = quantity
                    item.name = name
                    item.save(only=item.dirty_fields)

        return run

    def bulk_update(self, changes: list[Change]) -> Run:
        loaded = list(Item.select().where(Item.id <= len(changes)).order_by(Item.id))

        def run() -> None:
            for item, (_, quantity, name) in zip(loaded, changes):
                item.quantity = quantity
                item.name = name
            with database.atomic():
                Item.bulk_update(loaded, [Item.quantity, Item.name], batch_size=100)

        return run

    def delete_uow(self, count: int) -> Run:
        loaded = list(Item.select().where(Item.id <= count))

        def run() -> None:
            with database.atomic():
                for item in loaded:
                    item.delete_instance()

        return run

    # reads; Peewee has neither sessions nor an identity map

    def read_all(self) -> Run:
        return lambda: list(Item.select())

    def read_filter(self, ranges: list[tuple[int, int]]) -> Run:
        return lambda: [list(Item.select().where(Item.rank >= low, Item.rank < high)) for low, high in ranges]

    def get_pk(self, keys: list[int]) -> Run:
        return lambda: [Item.get_by_id(key) for key in keys]

    def get_pk_identity(self, keys: list[int]) -> Run:
        return lambda: [Item.get_by_id(key) for key in keys]

    def join_eager_fk(self) -> Run:
        def run() -> list[Book]:
            books = list(Book.select(Book, Author).join(Author))
            for book in books:
                book.author.name  # noqa: B018
            return books

        return run

    def prefetch_o2m(self) -> Run:
        def run() -> list[Author]:
            authors = prefetch(Author.select(), Book.select())
            for author in authors:
                len(author.books)
            return list(authors)

        return run

    def prefetch_o2m_nested(self) -> Run:
        def run() -> list[Publisher]:
            publishers = prefetch(Publisher.select(), Author.select(), Book.select())
            for publisher in publishers:
                for author in publisher.authors:
                    len(author.books)
            return list(publishers)

        return run

    def prefetch_m2m(self) -> Run:
        def run() -> list[Book]:
            books = prefetch(Book.select(), BookTag.select(), Tag.select())
            for book in books:
                len(book.links)
            return list(books)

        return run

    def query_build(self) -> Any:
        def run(pages: int, born: int) -> tuple[str, Any]:
            query = (
                Book.select()
                .join(Author)
                .join(Publisher)
                .join(Country)
                .where(
                    Book.pages > pages,
                    Book.title.startswith("title"),
                    Author.born < born,
                    Author.name != "author 1",
                    Publisher.name != "publisher 1",
                    Country.name == "country 2",
                )
                .order_by(Book.id)
            )
            sql, params = query.sql()
            return sql, params

        return run
