"""Blaze as its documentation teaches it."""

from __future__ import annotations

import warnings
from datetime import datetime
from decimal import Decimal
from typing import Any, Optional

from benchmarks.contenders.contender import Change, Contender, Run, handed_over
from benchmarks.data import Library, Row
from benchmarks.databases import Database
from blaze import (
    Engine,
    Field,
    ForeignKey,
    Insert,
    ManyToMany,
    Model,
    OneToMany,
    Session,
    create_all,
    field,
    foreign_key,
    many_to_many,
    one_to_many,
)
from blaze.errors import NPlusOneWarning

# The scenarios that get objects one by one in a loop are what the warning is about.
warnings.simplefilter("ignore", NPlusOneWarning)


class Item(Model):
    id: Field[int] = field(primary_key=True)
    rank: Field[int] = field(index=True)
    name: Field[str] = field(max_length=80)
    quantity: Field[int] = field()
    ratio: Field[float] = field()
    active: Field[bool] = field()
    created: Field[datetime] = field()
    price: Field[Decimal] = field(precision=10, scale=2)
    note: Field[Optional[str]] = field(max_length=200, default=None)
    meta: Field[dict[str, Any]] = field(default_factory=dict)

    class Meta:
        table = "item"


class Country(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field()

    class Meta:
        table = "country"


class Publisher(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field()
    country: ForeignKey[Country] = foreign_key()
    authors: OneToMany[Author] = one_to_many()

    class Meta:
        table = "publisher"


class Author(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field()
    born: Field[int] = field()
    publisher: ForeignKey[Publisher] = foreign_key(related_name="authors")
    books: OneToMany[Book] = one_to_many()

    class Meta:
        table = "author"


class Tag(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field()

    class Meta:
        table = "tag"


class Book(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str] = field()
    pages: Field[int] = field()
    author: ForeignKey[Author] = foreign_key(related_name="books")
    tags: ManyToMany[Tag] = many_to_many(related_name="books")

    class Meta:
        table = "book"


class Blaze(Contender):
    name = "blaze"

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.engine = Engine(database.url(database.backend), pool_size=10, max_overflow=0)
        create_all(self.engine, [Item, Country, Publisher, Author, Tag, Book])

    def close(self) -> None:
        self.engine.dispose()

    def seed_items(self, rows: list[Row]) -> None:
        self.insert_bulk(rows)()

    def seed_library(self, library: Library) -> None:
        tables: dict[Any, list[Row]] = {
            Country: library.countries,
            Publisher: library.publishers,
            Author: library.authors,
            Book: library.books,
            Tag: library.tags,
        }
        with Session(self.engine) as session:
            for model, rows in tables.items():
                if rows:
                    session.exec(Insert(model).values(rows))
            for link in library.links:
                book, tag = session.get_one(Book, link["book_id"]), session.get_one(Tag, link["tag_id"])
                session.add_m2m(book, Book.tags, tag)
            session.commit()

    def hold_items(self) -> tuple[Any, list[Any]]:
        session = Session(self.engine)
        return session, session.query(Item).all()

    def item_class(self) -> Any:
        return Item

    # writes

    def insert_one(self, rows: list[Row]) -> Run:
        def run() -> list[Item]:
            stored = []
            with Session(self.engine) as session:
                for row in handed_over(rows):
                    item = Item(**row)
                    session.add(item)
                    session.commit()
                    stored.append(item)
            return stored

        return run

    def insert_uow(self, rows: list[Row]) -> Run:
        def run() -> list[Item]:
            with Session(self.engine) as session:
                stored = [Item(**row) for row in handed_over(rows)]
                for item in stored:
                    session.add(item)
                session.commit()
            return stored

        return run

    def insert_bulk(self, rows: list[Row]) -> Run:
        def run() -> None:
            with Session(self.engine) as session:
                session.exec(Insert(Item).values(rows))
                session.commit()

        return run

    def bulk_insert(self, rows: list[Row]) -> Run:
        def run() -> None:
            with Session(self.engine) as session:
                session.bulk_insert([Item(**row) for row in rows])
                session.commit()

        return run

    def update_uow(self, changes: list[Change]) -> Run:
        def run() -> None:
            with Session(self.engine) as session:
                loaded = session.query(Item).where(Item.id <= len(changes)).order_by(Item.id).all()
                for item, (_, quantity, name) in zip(loaded, changes):
                    item.quantity = quantity
                    item.name = name
                session.commit()

        return run

    def bulk_update(self, changes: list[Change]) -> Run:
        session = Session(self.engine)
        loaded = session.query(Item).where(Item.id <= len(changes)).order_by(Item.id).all()

        def run() -> None:
            with session:
                for item, (_, quantity, name) in zip(loaded, changes):
                    item.quantity = quantity
                    item.name = name
                session.bulk_update(loaded, [Item.quantity, Item.name])
                session.commit()

        return run

    def delete_uow(self, count: int) -> Run:
        session = Session(self.engine)
        loaded = session.query(Item).where(Item.id <= count).all()

        def run() -> None:
            with session:
                for item in loaded:
                    session.delete(item)
                session.commit()

        return run

    # reads

    def read_all(self) -> Run:
        def run() -> list[Item]:
            with Session(self.engine) as session:
                return session.query(Item).all()

        return run

    def read_filter(self, ranges: list[tuple[int, int]]) -> Run:
        def run() -> list[list[Item]]:
            with Session(self.engine) as session:
                return [
                    session.query(Item).where(Item.rank >= low, Item.rank < high).all()
                    for low, high in ranges
                ]

        return run

    def get_pk(self, keys: list[int]) -> Run:
        def run() -> list[Any]:
            found = []
            for key in keys:
                with Session(self.engine) as session:
                    found.append(session.get(Item, key))
            return found

        return run

    def get_pk_identity(self, keys: list[int]) -> Run:
        def run() -> list[Any]:
            with Session(self.engine) as session:
                return [session.get(Item, key) for key in keys]

        return run

    def get_pk_hits(self, keys: list[int]) -> Run:
        session = Session(self.engine)
        self.kept = [session.get(Item, key) for key in keys]  # a session may hold them weakly only

        def run() -> list[Any]:
            with session:
                return [session.get(Item, key) for key in keys]

        return run

    def join_eager_fk(self) -> Run:
        def run() -> list[Book]:
            with Session(self.engine) as session:
                books = session.query(Book).select_related(Book.author).all()
                for book in books:
                    book.author.name  # noqa: B018
                return books

        return run

    def prefetch_o2m(self) -> Run:
        def run() -> list[Author]:
            with Session(self.engine) as session:
                authors = session.query(Author).include(Author.books).all()
                for author in authors:
                    len(author.books)
                return authors

        return run

    def prefetch_o2m_nested(self) -> Run:
        def run() -> list[Publisher]:
            with Session(self.engine) as session:
                publishers = session.query(Publisher).include(Publisher.authors.books).all()
                for publisher in publishers:
                    for author in publisher.authors:
                        len(author.books)
                return publishers

        return run

    def prefetch_m2m(self) -> Run:
        def run() -> list[Book]:
            with Session(self.engine) as session:
                books = session.query(Book).include(Book.tags).all()
                for book in books:
                    len(book.tags)
                return books

        return run

    def query_build(self) -> Any:
        session = Session(self.engine)

        def run(pages: int, born: int) -> tuple[str, Any]:
            return (
                session.query(Book)
                .where(
                    Book.pages > pages,
                    Book.title.startswith("title"),
                    Book.author.born < born,
                    Book.author.name != "author 1",
                    Book.author.publisher.name != "publisher 1",
                    Book.author.publisher.country.name == "country 2",
                )
                .order_by(Book.id)
                .to_sql()
            )

        return run
