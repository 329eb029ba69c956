"""SQLAlchemy's ORM as a good SQLAlchemy user writes it."""

from __future__ import annotations

import warnings
from datetime import datetime
from decimal import Decimal
from typing import Any, Optional

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Engine,
    ForeignKey,
    Numeric,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    sessionmaker,
)
from sqlalchemy.types import UserDefinedType
from sqlalchemy.util import has_compiled_ext

from benchmarks.contenders.contender import Change, Contender, Run, handed_over
from benchmarks.data import Library, Row
from benchmarks.databases import Database
from benchmarks.databases.sqlite import PRAGMAS

if not has_compiled_ext():
    warnings.warn("SQLAlchemy runs without its compiled extensions: its figures are too slow", stacklevel=1)


class ExactDecimal(UserDefinedType[Decimal]):
    """A Decimal kept as text: SQLite's own NUMERIC would go through float, with a warning."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"

    def bind_processor(self, dialect: Any) -> Any:
        return lambda value: None if value is None else str(value)

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        return lambda value: None if value is None else Decimal(value)


PRICE = ExactDecimal().with_variant(Numeric(10, 2), "postgresql", "mysql")
MOMENT = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
DOCUMENT = JSON().with_variant(postgresql.JSONB(), "postgresql")
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}


class Base(DeclarativeBase):
    type_annotation_map = {str: String(100), datetime: MOMENT, dict[str, Any]: DOCUMENT}


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    rank: Mapped[int] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(String(80))
    quantity: Mapped[int]
    ratio: Mapped[float]
    active: Mapped[bool]
    created: Mapped[datetime]
    price: Mapped[Decimal] = mapped_column(PRICE)
    note: Mapped[Optional[str]] = mapped_column(String(200))
    meta: Mapped[dict[str, Any]]


class Country(Base):
    __tablename__ = "country"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Publisher(Base):
    __tablename__ = "publisher"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    country_id: Mapped[int] = mapped_column(ForeignKey("country.id"), index=True)
    country: Mapped[Country] = relationship()
    authors: Mapped[list[Author]] = relationship(back_populates="publisher")


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    born: Mapped[int]
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publisher.id"), index=True)
    publisher: Mapped[Publisher] = relationship(back_populates="authors")
    books: Mapped[list[Book]] = relationship(back_populates="author")


book_tag = Table(
    "book_tag",
    Base.metadata,
    Column("book_id", ForeignKey("book.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    pages: Mapped[int]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"), index=True)
    author: Mapped[Author] = relationship(back_populates="books")
    tags: Mapped[list[Tag]] = relationship(secondary=book_tag)


class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def set_pragmas(connection: Any, record: Any) -> None:
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}")


def make_engine(database: Database) -> Engine:
    engine = create_engine(database.url(DRIVERS[database.backend]))
    if database.backend == "sqlite":
        event.listen(engine, "connect", set_pragmas)
    return engine


class SQLAlchemy(Contender):
    name = "sqlalchemy"
    aware = False

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.engine = make_engine(database)
        self.session = sessionmaker(self.engine, expire_on_commit=False)
        Base.metadata.create_all(self.engine)

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
            book_tag: library.links,
        }
        with self.session() as session:
            for table, rows in tables.items():
                if rows:
                    session.execute(insert(table), rows)
            session.commit()

    def hold_items(self) -> tuple[Any, list[Any]]:
        session = self.session()
        return session, list(session.scalars(select(Item)))

    def item_class(self) -> Any:
        return Item

    # writes

    def insert_one(self, rows: list[Row]) -> Run:
        def run() -> list[Item]:
            stored = []
            with self.session() as session:
                for row in handed_over(rows):
                    item = Item(**row)
                    session.add(item)
                    session.commit()
                    stored.append(item)
            return stored

        return run

    def insert_uow(self, rows: list[Row]) -> Run:
        def run() -> list[Item]:
            with self.session() as session:
                stored = [Item(**row) for row in handed_over(rows)]
                session.add_all(stored)
                session.commit()
            return stored

        return run

    def insert_bulk(self, rows: list[Row]) -> Run:
        def run() -> None:
            with self.session() as session:
                session.execute(insert(Item), rows, execution_options={"render_nulls": True})
                session.commit()

        return run

    def bulk_insert(self, rows: list[Row]) -> Run:
        def run() -> None:
            with self.session() as session:
                session.bulk_save_objects([Item(**row) for row in rows])
                session.commit()

        return run

    def update_uow(self, changes: list[Change]) -> Run:
        def run() -> None:
            with self.session() as session:
                loaded = session.scalars(select(Item).where(Item.id <= len(changes)).order_by(Item.id))
                for item, (_, quantity, name) in zip(loaded, changes):
                    item.quantity = quantity
                    item.name = name
                session.commit()

        return run

    def bulk_update(self, changes: list[Change]) -> Run:
        def run() -> None:
            with self.session() as session:
                values = [{"id": key, "quantity": quantity, "name": name} for key, quantity, name in changes]
                session.execute(update(Item), values)
                session.commit()

        return run

    def delete_uow(self, count: int) -> Run:
        session = self.session()
        loaded = session.scalars(select(Item).where(Item.id <= count)).all()

        def run() -> None:
            with session:
                for item in loaded:
                    session.delete(item)
                session.commit()

        return run

    # reads

    def read_all(self) -> Run:
        def run() -> list[Item]:
            with self.session() as session:
                return list(session.scalars(select(Item)))

        return run

    def read_filter(self, ranges: list[tuple[int, int]]) -> Run:
        def run() -> list[list[Item]]:
            with self.session() as session:
                return [
                    list(session.scalars(select(Item).where(Item.rank >= low, Item.rank < high)))
                    for low, high in ranges
                ]

        return run

    def get_pk(self, keys: list[int]) -> Run:
        def run() -> list[Any]:
            found = []
            for key in keys:
                with self.session() as session:
                    found.append(session.get(Item, key))
            return found

        return run

    def get_pk_identity(self, keys: list[int]) -> Run:
        def run() -> list[Any]:
            with self.session() as session:
                return [session.get(Item, key) for key in keys]

        return run

    def get_pk_hits(self, keys: list[int]) -> Run:
        session = self.session()
        self.kept = [session.get(Item, key) for key in keys]  # a session may hold them weakly only

        def run() -> list[Any]:
            with session:
                return [session.get(Item, key) for key in keys]

        return run

    def join_eager_fk(self) -> Run:
        def run() -> list[Book]:
            with self.session() as session:
                books = list(session.scalars(select(Book).options(joinedload(Book.author, innerjoin=True))))
                for book in books:
                    book.author.name  # noqa: B018
                return books

        return run

    def prefetch_o2m(self) -> Run:
        def run() -> list[Author]:
            with self.session() as session:
                authors = list(session.scalars(select(Author).options(selectinload(Author.books))))
                for author in authors:
                    len(author.books)
                return authors

        return run

    def prefetch_o2m_nested(self) -> Run:
        def run() -> list[Publisher]:
            with self.session() as session:
                books = selectinload(Publisher.authors).selectinload(Author.books)
                publishers = list(session.scalars(select(Publisher).options(books)))
                for publisher in publishers:
                    for author in publisher.authors:
                        len(author.books)
                return publishers

        return run

    def prefetch_m2m(self) -> Run:
        def run() -> list[Book]:
            with self.session() as session:
                books = list(session.scalars(select(Book).options(selectinload(Book.tags))))
                for book in books:
                    len(book.tags)
                return books

        return run

    def query_build(self) -> Any:
        dialect = sqlite.dialect(paramstyle="qmark")
        cache: dict[Any, Any] = {}

        def run(pages: int, born: int) -> tuple[str, Any]:
            statement = (
                select(Book)
                .join(Book.author)
                .join(Author.publisher)
                .join(Publisher.country)
                .where(
                    Book.pages > pages,
                    Book.title.startswith("title", autoescape=True),
                    Author.born < born,
                    Author.name != "author 1",
                    Publisher.name != "publisher 1",
                    Country.name == "country 2",
                )
                .order_by(Book.id)
            )
            # what Session.execute does: the compiled form comes from the cache
            compiled, extracted, *_ = statement._compile_w_cache(
                dialect, compiled_cache=cache, column_keys=[]
            )
            values = compiled.construct_params(extracted_parameters=extracted)
            return compiled.string, [values[name] for name in compiled.positiontup]

        return run
