"""raw+object over an async driver; the sync driver's class makes the tables and the seed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from benchmarks.contenders.contender import Change, Run, handed_over
from benchmarks.contenders.raw import JOINED, LINKED, Raw, joined, tagged, with_books
from benchmarks.contenders.raw_objects import AUTHOR, BOOK, Item, item_values, row_values
from benchmarks.data import Row
from benchmarks.databases import Database

Fetch = Callable[..., Awaitable[Any]]  # sql and parameters to rows


class RawAsync:
    """Mixed into a backend's `Raw`; subclasses open `self.fetch` and write."""

    items: Callable[[Iterable[Any]], list[Item]]
    item: str
    async_mark = "%s"  # with {} replaced by the parameter's number
    fetch: Fetch

    def __init__(self, database: Database) -> None:
        super().__init__(database)  # type: ignore[call-arg]
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self.open())

    def close(self) -> None:
        self.loop.run_until_complete(self.aclose())
        self.loop.close()
        super().close()  # type: ignore[misc]

    async def open(self) -> None:
        """Connect."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Disconnect."""
        raise NotImplementedError

    async def async_insert_key(self, values: tuple[Any, ...]) -> int:
        """As `insert_key`."""
        raise NotImplementedError

    async def async_insert_keys(self, values: list[tuple[Any, ...]]) -> list[int]:
        """As `insert_keys`."""
        raise NotImplementedError

    async def async_insert_values(self, values: list[tuple[Any, ...]]) -> None:
        """As `insert_values`."""
        raise NotImplementedError

    async def async_update_values(self, values: list[tuple[int, str, int]]) -> None:
        """As `update_values`."""
        raise NotImplementedError

    async def async_delete_keys(self, keys: list[int]) -> None:
        """As `delete_keys`."""
        raise NotImplementedError

    def lend(self) -> AbstractAsyncContextManager[Fetch]:
        """Lend the `fetch` of one of ten connections."""
        raise NotImplementedError

    def runs(self, work: Callable[[], Awaitable[Any]]) -> Run:
        async def run() -> Any:
            return await work()

        return lambda: self.loop.run_until_complete(run())

    def marks(self, number: int) -> list[str]:
        return [self.async_mark.format(place) for place in range(1, number + 1)]

    def select(self, condition: str = "", number: int = 0) -> str:
        """Return a SELECT of items, `{}` in the condition replaced by marks."""
        return f"SELECT {self.item} FROM item {condition.format(*self.marks(number))}"

    # writes

    def async_insert_one(self, rows: list[Row]) -> Run:
        async def work() -> list[Item]:
            stored = []
            for row in handed_over(rows):
                item = Item(**row)
                item.id = await self.async_insert_key(item_values(item))
                stored.append(item)
            return stored

        return self.runs(work)

    def async_insert_uow(self, rows: list[Row]) -> Run:
        async def work() -> list[Item]:
            stored = [Item(**row) for row in handed_over(rows)]
            keys = await self.async_insert_keys([item_values(item) for item in stored])
            for item, key in zip(stored, keys):
                item.id = key
            return stored

        return self.runs(work)

    def async_insert_bulk(self, rows: list[Row]) -> Run:
        return self.runs(lambda: self.async_insert_values([row_values(row) for row in rows]))

    def async_update_uow(self, changes: list[Change]) -> Run:
        sql = self.select("WHERE id <= {} ORDER BY id", 1)

        async def work() -> None:
            loaded = self.items(await self.fetch(sql, len(changes)))
            for item, (_, quantity, name) in zip(loaded, changes):
                item.quantity = quantity
                item.name = name
            await self.async_update_values(
                [(item.quantity, item.name, item.id) for item in loaded]  # type: ignore[misc]
            )

        return self.runs(work)

    def async_delete_uow(self, count: int) -> Run:
        sql = self.select("WHERE id <= {}", 1)
        loaded = self.items(self.loop.run_until_complete(self.fetch(sql, count)))
        return self.runs(lambda: self.async_delete_keys([item.id for item in loaded]))  # type: ignore[misc]

    # reads

    def async_read_all(self) -> Run:
        async def work() -> list[Item]:
            return self.items(await self.fetch(self.select()))

        return self.runs(work)

    def async_read_filter(self, ranges: list[tuple[int, int]]) -> Run:
        rank = self.item.split(", ")[1]
        sql = self.select(f"WHERE {rank} >= {{}} AND {rank} < {{}}", 2)

        async def work() -> list[list[Item]]:
            return [self.items(await self.fetch(sql, low, high)) for low, high in ranges]

        return self.runs(work)

    def async_get_pk(self, keys: list[int]) -> Run:
        sql = self.select("WHERE id = {}", 1)

        async def work() -> list[Item]:
            return [self.items(await self.fetch(sql, key))[0] for key in keys]

        return self.runs(work)

    def concurrency(self, keys: list[int]) -> Run:
        sql = self.select("WHERE id = {}", 1)

        async def get(key: int) -> Item:
            async with self.lend() as fetch:
                return self.items(await fetch(sql, key))[0]

        return self.runs(lambda: asyncio.gather(*[get(key) for key in keys]))

    def async_join_eager_fk(self) -> Run:
        async def work() -> Any:
            return joined(await self.fetch(JOINED))

        return self.runs(work)

    def async_prefetch_o2m(self) -> Run:
        async def work() -> Any:
            authors = await self.fetch(f"SELECT {AUTHOR} FROM author")
            books = await self.fetch(f"SELECT {BOOK} FROM book")
            return with_books(authors, lambda: books)

        return self.runs(work)

    def async_prefetch_m2m(self) -> Run:
        async def work() -> Any:
            books = await self.fetch(f"SELECT {BOOK} FROM book")
            links = await self.fetch(LINKED)
            return tagged(books, lambda: links)

        return self.runs(work)


__all__ = ["Raw", "RawAsync"]
