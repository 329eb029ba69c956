"""Tortoise as a good Tortoise user writes it: async only, with its default pool of connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tortoise import fields
from tortoise.context import TortoiseContext
from tortoise.models import Model
from tortoise.transactions import in_transaction

from benchmarks.contenders.contender import Change, Contender, Run, handed_over
from benchmarks.data import Library, Row
from benchmarks.databases import Database
from benchmarks.databases.sqlite import PRAGMAS

CHUNK = 1000
ENGINES = {"sqlite": "sqlite", "postgresql": "asyncpg", "mysql": "mysql"}


class Item(Model):
    id = fields.IntField(primary_key=True)
    rank = fields.IntField(db_index=True)
    name = fields.CharField(max_length=80)
    quantity = fields.IntField()
    ratio = fields.FloatField()
    active = fields.BooleanField()
    created = fields.DatetimeField()
    price = fields.DecimalField(max_digits=10, decimal_places=2)
    note = fields.CharField(max_length=200, null=True)
    meta: Any = fields.JSONField()

    class Meta:
        table = "item"


class Country(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100)

    class Meta:
        table = "country"


class Publisher(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100)
    country: Any = fields.ForeignKeyField("models.Country", db_index=True)

    class Meta:
        table = "publisher"


class Author(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100)
    born = fields.IntField()
    publisher: Any = fields.ForeignKeyField("models.Publisher", related_name="authors", db_index=True)
    books: Any

    class Meta:
        table = "author"


class Tag(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100)

    class Meta:
        table = "tag"


class Book(Model):
    id = fields.IntField(primary_key=True)
    title = fields.CharField(max_length=100)
    pages = fields.IntField()
    author: Any = fields.ForeignKeyField("models.Author", related_name="books", db_index=True)
    tags: Any = fields.ManyToManyField(
        "models.Tag", through="book_tag", forward_key="tag_id", backward_key="book_id"
    )

    class Meta:
        table = "book"


def credentials(database: Database) -> dict[str, Any]:
    if database.backend == "sqlite":
        return {"file_path": database.name, **PRAGMAS}
    server = database.at()
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "database": database.name,
        "minsize": 1,
        "maxsize": 10,
    }


class Tortoise(Contender):
    name = "tortoise"

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.loop = asyncio.new_event_loop()
        self.context = TortoiseContext()
        engine = f"tortoise.backends.{ENGINES[database.backend]}"
        config = {
            "connections": {"default": {"engine": engine, "credentials": credentials(database)}},
            "apps": {"models": {"models": [__name__], "default_connection": "default"}},
        }
        self.take(lambda: self.context.init(config))
        self.take(self.context.generate_schemas)

    def close(self) -> None:
        self.take(self.context.close_connections)
        self.loop.close()

    def take(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Run the work in the context of this database."""

        async def run() -> Any:
            return await work()

        with self.context:
            return self.loop.run_until_complete(run())

    def runs(self, work: Callable[[], Awaitable[Any]]) -> Run:
        return lambda: self.take(work)

    def seed_items(self, rows: list[Row]) -> None:
        self.async_insert_bulk(rows)()

    def seed_library(self, library: Library) -> None:
        self.take(lambda: self.seed(library))

    async def seed(self, library: Library) -> None:
        tables: dict[Any, list[Row]] = {
            Country: library.countries,
            Publisher: library.publishers,
            Author: library.authors,
            Book: library.books,
            Tag: library.tags,
        }
        async with in_transaction() as connection:
            for model, rows in tables.items():
                if rows:
                    await model.bulk_create([model(**row) for row in rows], batch_size=CHUNK)
            for link in library.links:
                await connection.execute_query(
                    f"INSERT INTO book_tag (book_id, tag_id) VALUES ({link['book_id']}, {link['tag_id']})"
                )

    # writes

    def async_insert_one(self, rows: list[Row]) -> Run:
        async def work() -> list[Item]:
            return [await Item.create(**row) for row in handed_over(rows)]

        return self.runs(work)

    def async_insert_uow(self, rows: list[Row]) -> Run:
        async def work() -> list[Item]:
            async with in_transaction():  # bulk_create would not give the keys back
                return [await Item.create(**row) for row in handed_over(rows)]

        return self.runs(work)

    def async_insert_bulk(self, rows: list[Row]) -> Run:
        async def work() -> None:
            async with in_transaction():
                await Item.bulk_create([Item(**row) for row in rows], batch_size=CHUNK)

        return self.runs(work)

    def async_update_uow(self, changes: list[Change]) -> Run:
        async def work() -> None:
            async with in_transaction():
                loaded = await Item.filter(id__lte=len(changes)).order_by("id")
                for item, (_, quantity, name) in zip(loaded, changes):
                    item.quantity = quantity
                    item.name = name
                await Item.bulk_update(loaded, ["quantity", "name"], batch_size=100)

        return self.runs(work)

    def async_delete_uow(self, count: int) -> Run:
        async def first() -> list[Item]:
            return await Item.filter(id__lte=count)

        loaded = self.take(first)

        async def work() -> None:
            async with in_transaction():
                for item in loaded:
                    await item.delete()

        return self.runs(work)

    # reads

    def async_read_all(self) -> Run:
        return self.runs(lambda: Item.all())

    def async_read_filter(self, ranges: list[tuple[int, int]]) -> Run:
        async def work() -> list[list[Item]]:
            return [await Item.filter(rank__gte=low, rank__lt=high) for low, high in ranges]

        return self.runs(work)

    def async_get_pk(self, keys: list[int]) -> Run:
        async def work() -> list[Item]:
            return [await Item.get(id=key) for key in keys]

        return self.runs(work)

    def concurrency(self, keys: list[int]) -> Run:
        return self.runs(lambda: asyncio.gather(*[read(key) for key in keys]))

    def async_join_eager_fk(self) -> Run:
        async def work() -> list[Book]:
            books = await Book.all().select_related("author")
            for book in books:
                book.author.name  # noqa: B018
            return books

        return self.runs(work)

    def async_prefetch_o2m(self) -> Run:
        async def work() -> list[Author]:
            authors = await Author.all().prefetch_related("books")
            for author in authors:
                len(author.books)
            return authors

        return self.runs(work)

    def async_prefetch_m2m(self) -> Run:
        async def work() -> list[Book]:
            books = await Book.all().prefetch_related("tags")
            for book in books:
                len(book.tags)
            return books

        return self.runs(work)


async def read(key: int) -> Item:
    return await Item.get(id=key)
