"""Blaze's async sessions, on the same models and engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.contenders.blaze import Author, Blaze, Book, Item
from benchmarks.contenders.contender import Change, Run, handed_over
from benchmarks.data import Row
from benchmarks.databases import Database
from blaze import AsyncSession, Insert


class BlazeAsync(Blaze):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.loop = asyncio.new_event_loop()

    def close(self) -> None:
        self.loop.run_until_complete(self.engine.adispose())
        self.loop.close()
        super().close()

    def runs(self, work: Callable[[AsyncSession], Awaitable[Any]]) -> Run:
        """Return a run of the work in a fresh session."""

        async def run() -> Any:
            async with AsyncSession(self.engine) as session:
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
            for item in stored:
                session.add(item)
            await session.commit()
            return stored

        return self.runs(work)

    def async_insert_bulk(self, rows: list[Row]) -> Run:
        async def work(session: AsyncSession) -> None:
            await session.exec(Insert(Item).values(rows))
            await session.commit()

        return self.runs(work)

    def async_update_uow(self, changes: list[Change]) -> Run:
        async def work(session: AsyncSession) -> None:
            loaded = await session.query(Item).where(Item.id <= len(changes)).order_by(Item.id).all()
            for item, (_, quantity, name) in zip(loaded, changes):
                item.quantity = quantity
                item.name = name
            await session.commit()

        return self.runs(work)

    def async_delete_uow(self, count: int) -> Run:
        session = AsyncSession(self.engine)
        loaded = self.loop.run_until_complete(self.first(session, count))

        async def run() -> None:
            async with session:
                for item in loaded:
                    session.delete(item)
                await session.commit()

        return lambda: self.loop.run_until_complete(run())

    async def first(self, session: AsyncSession, count: int) -> list[Item]:
        return await session.query(Item).where(Item.id <= count).all()

    # reads

    def async_read_all(self) -> Run:
        return self.runs(lambda session: session.query(Item).all())

    def async_read_filter(self, ranges: list[tuple[int, int]]) -> Run:
        async def work(session: AsyncSession) -> list[list[Item]]:
            return [
                await session.query(Item).where(Item.rank >= low, Item.rank < high).all()
                for low, high in ranges
            ]

        return self.runs(work)

    async def get(self, key: int) -> Any:
        async with AsyncSession(self.engine) as session:
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
            books = await session.query(Book).select_related(Book.author).all()
            for book in books:
                book.author.name  # noqa: B018
            return books

        return self.runs(work)

    def async_prefetch_o2m(self) -> Run:
        async def work(session: AsyncSession) -> list[Author]:
            authors = await session.query(Author).include(Author.books).all()
            for author in authors:
                len(author.books)
            return authors

        return self.runs(work)

    def async_prefetch_m2m(self) -> Run:
        async def work(session: AsyncSession) -> list[Book]:
            books = await session.query(Book).include(Book.tags).all()
            for book in books:
                len(book.tags)
            return books

        return self.runs(work)
