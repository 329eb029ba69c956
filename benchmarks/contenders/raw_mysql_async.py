"""raw over asyncmy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import asyncmy

from benchmarks.contenders.raw_async import RawAsync as Base
from benchmarks.contenders.raw_mysql import INSERT, MARKS, Raw, inserts, updates


class RawAsync(Base, Raw):  # type: ignore[misc]
    async def open(self) -> None:
        server = self.database.at()
        self.pool = await asyncmy.create_pool(
            minsize=10,
            maxsize=10,
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            db=self.database.name,
            charset="utf8mb4",
            autocommit=True,
            init_command="SET time_zone = '+00:00'",
        )
        self.awaited = await self.pool.acquire()

    async def aclose(self) -> None:
        self.pool.release(self.awaited)
        self.pool.close()
        await self.pool.wait_closed()

    async def fetch(self, sql: str, *params: Any) -> Any:
        return await fetch_on(self.awaited, sql, params)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Any]:
        async with self.pool.acquire() as connection:
            yield lambda sql, *params: fetch_on(connection, sql, params)

    async def async_insert_key(self, values: tuple[Any, ...]) -> int:
        async with self.awaited.cursor() as cursor:
            await cursor.execute(INSERT + MARKS, values)
            return int(cursor.lastrowid)

    async def async_insert_keys(self, values: list[tuple[Any, ...]]) -> list[int]:
        await self.awaited.begin()
        keys: list[int] = []
        for sql, flat in inserts(values, " RETURNING id"):
            keys += [row[0] for row in await self.fetch(sql, *flat)]
        await self.awaited.commit()
        return keys

    async def awrite(self, statements: Iterable[tuple[str, list[Any]]]) -> None:
        """Run statements in one transaction."""
        await self.awaited.begin()
        async with self.awaited.cursor() as cursor:
            for sql, flat in statements:
                await cursor.execute(sql, flat)
        await self.awaited.commit()

    async def async_insert_values(self, values: list[tuple[Any, ...]]) -> None:
        await self.awaited.begin()
        async with self.awaited.cursor() as cursor:
            await cursor.executemany(INSERT + MARKS, values)
        await self.awaited.commit()

    async def async_update_values(self, values: list[tuple[int, str, int]]) -> None:
        await self.awrite(updates(values))

    async def async_delete_keys(self, keys: list[int]) -> None:
        async with self.awaited.cursor() as cursor:
            await cursor.execute("DELETE FROM item WHERE id IN %s", (tuple(keys),))


async def fetch_on(connection: Any, sql: str, params: Any) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(sql, params or None)
        return await cursor.fetchall()
