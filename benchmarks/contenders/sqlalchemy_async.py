"""SQLAlchemy's AsyncSession, on the same models."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import event, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload, selectinload

from benchmarks.contenders.contender import Change, Run, handed_over
from benchmarks.contenders.sqlalchemy import Author, Book, Item, SQLAlchemy, set_pragmas
from benchmarks.data import Row
from benchmarks.databases import Database

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}


class SQLAlchemyAsync(SQLAlchemy):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.loop = asyncio.new_event_loop()
        url = database.url(DRIVERS[database.backend])
        self.async_engine = create_async_engine(url, pool_size=10, max_overflow=0)
        if database.backend == "sqlite":
            event.listen(self.async_engine.sync_engine, "connect", set_pragmas_async)
        self.async_session = async_sessionmaker(self.async_engine, expire_on_commit=False)

    def close(self) -> None:
        self.loop.run_until_complete(self.async_engine.dispose())
        self.loop.close()
        super().close()

    def runs(self, work: Callable[[AsyncSession], Awaitable[Any]]) -> Run:
        """Return a run of the work in a fresh session."""

        async def run() -> Any:
            async with self.async_session() as session:
                return await work(session)

        return lambda: self.loop.run_until_complete(run())

    # writes

    def async_insert_one(self, rows: list[Row]) -> Run:
        async def work(session: AsyncSession) -> list[Item]:
            stored = []
            for row in handed_over(rows):
                item = Item(**row)
                session.add(item)
                await session.commit()
                stored.append(item)
            return stored

        return self.runs(work)

    def async_insert_uow(self, rows: list[Row]) -> Run:
        async def work(session: AsyncSession) -> list[Item]:
            stored = [Item(**row) for row in handed_over(rows)]
            session.add_all(stored)
            await session.commit()
            return stored

        return self.runs(work)

    def async_insert_bulk(self, rows: list[Row]) -> Run:
        async def work(session: AsyncSession) -> None:
            await session.execute(insert(Item), rows, execution_options={"render_nulls": True})
            await session.commit()

        return self.runs(work)

    def async_update_uow(self, changes: list[Change]) -> Run:
        async def work(session: AsyncSession) -> None:
            loaded = await session.scalars(select(Item).where(Item.id <= len(changes)).order_by(Item.id))
            for item, (_, quantity, name) in zip(loaded, changes):
                item.quantity = quantity
                item.name = name
            await session.commit()

        return self.runs(work)

    def async_delete_uow(self, count: int) -> Run:
        session = self.async_session()
        loaded = self.loop.run_until_complete(session.scalars(select(Item).where(Item.id <= count))).all()

        async def run() -> None:
            async with session:
                for item in loaded:
                    await session.delete(item)
                await session.commit()

        return lambda: self.loop.run_until_complete(run())

    # reads

    def async_read_all(self) -> Run:
        async def work(session: AsyncSession) -> list[Item]:
            return list(await session.scalars(select(Item)))

        return self.runs(work)

    def async_read_filter(self, ranges: list[tuple[int, int]]) -> Run:
        async def work(session: AsyncSession) -> list[list[Item]]:
            return [
                list(await session.scalars(select(Item).where(Item.rank >= low, Item.rank < high)))
                for low, high in ranges
            ]

        return self.runs(work)

    async def get(self, key: int) -> Any:
        async with self.async_session() as session:
            return await session.get(Item, key)

    def async_get_pk(self, keys: list[int]) -> Run:
        async def run() -> list[Any]:
            return [await self.get(key) for key in keys]

        return lambda: self.loop.run_until_complete(run())

    def concurrency(self, keys: list[int]) -> Run:
        async def run() -> list[Any]:
            return await asyncio.gather(*[self.get(key) for key in keys])

        return lambda: self.loop.run_until_complete(run())

    def async_join_eager_fk(self) -> Run:
        async def work(session: AsyncSession) -> list[Book]:
            books = list(await session.scalars(select(Book).options(joinedload(Book.author, innerjoin=True))))
            for book in books:
                book.author.name  # noqa: B018
            return books

        return self.runs(work)

    def async_prefetch_o2m(self) -> Run:
        async def work(session: AsyncSession) -> list[Author]:
            authors = list(await session.scalars(select(Author).options(selectinload(Author.books))))
            for author in authors:
                len(author.books)
            return authors

        return self.runs(work)

    def async_prefetch_m2m(self) -> Run:
        async def work(session: AsyncSession) -> list[Book]:
            books = list(await session.scalars(select(Book).options(selectinload(Book.tags))))
            for book in books:
                len(book.tags)
            return books

        return self.runs(work)


def set_pragmas_async(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    set_pragmas(cursor, record)
    cursor.close()
