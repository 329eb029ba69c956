"""raw+object over aiosqlite: what an expert writes by hand, with as few trips to its thread as possible."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiosqlite

from benchmarks.contenders.contender import Run
from benchmarks.contenders.raw import INSERT, ITEM, Item, Raw, item_values, items
from benchmarks.data import Row
from benchmarks.database import PRAGMAS


class RawAsync(Raw):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.loop = asyncio.new_event_loop()
        self.async_connection = self.loop.run_until_complete(self.open())

    async def open(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(self.path, isolation_level=None)
        for name, value in PRAGMAS.items():
            await connection.execute(f"PRAGMA {name} = {value}")
        return connection

    def close(self) -> None:
        self.loop.run_until_complete(self.async_connection.close())
        self.loop.close()
        super().close()

    def async_read_all(self) -> Run:
        async def read() -> list[Item]:
            return items(await self.async_connection.execute_fetchall(f"SELECT {ITEM} FROM item"))

        return lambda: self.loop.run_until_complete(read())

    def async_get_pk(self, keys: list[int]) -> Run:
        sql = f"SELECT {ITEM} FROM item WHERE id = ?"

        async def read() -> list[Item]:
            fetch = self.async_connection.execute_fetchall
            return [items(await fetch(sql, (key,)))[0] for key in keys]

        return lambda: self.loop.run_until_complete(read())

    def async_insert_uow(self, rows: list[Row]) -> Run:
        connection = self.async_connection

        async def write() -> list[Item]:
            stored = [Item(**row) for row in rows]
            await connection.execute("BEGIN IMMEDIATE")
            await connection.executemany(INSERT, [item_values(item) for item in stored])
            [(last,)] = await connection.execute_fetchall("SELECT last_insert_rowid()")
            for key, item in enumerate(stored, last - len(stored) + 1):
                item.id = key
            await connection.execute("COMMIT")
            return stored

        return lambda: self.loop.run_until_complete(write())
