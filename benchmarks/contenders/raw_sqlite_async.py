"""raw over aiosqlite, with as few trips to its thread as possible."""

from __future__ import annotations

from typing import Any

import aiosqlite

from benchmarks.contenders.raw_async import RawAsync as Base
from benchmarks.contenders.raw_sqlite import INSERT, Raw, as_text
from benchmarks.databases.sqlite import PRAGMAS


class RawAsync(Base, Raw):  # type: ignore[misc]
    async_mark = "?"

    async def open(self) -> None:
        self.awaited = await aiosqlite.connect(self.database.name, isolation_level=None)
        for name, value in PRAGMAS.items():
            await self.awaited.execute(f"PRAGMA {name} = {value}")

    async def aclose(self) -> None:
        await self.awaited.close()

    async def fetch(self, sql: str, *params: Any) -> Any:
        return await self.awaited.execute_fetchall(sql, params)

    async def async_insert_key(self, values: tuple[Any, ...]) -> int:
        [(key,)] = await self.awaited.execute_fetchall(f"{INSERT} RETURNING id", as_text(values))
        return int(key)

    async def async_insert_keys(self, values: list[tuple[Any, ...]]) -> list[int]:
        await self.awaited.execute("BEGIN IMMEDIATE")
        await self.awaited.executemany(INSERT, [as_text(value) for value in values])
        [(last,)] = await self.awaited.execute_fetchall("SELECT last_insert_rowid()")
        await self.awaited.execute("COMMIT")
        return list(range(last - len(values) + 1, last + 1))

    async def async_insert_values(self, values: list[tuple[Any, ...]]) -> None:
        await self.async_insert_keys(values)

    async def async_update_values(self, values: list[tuple[int, str, int]]) -> None:
        await self.awaited.execute("BEGIN IMMEDIATE")
        await self.awaited.executemany("UPDATE item SET quantity = ?, name = ? WHERE id = ?", values)
        await self.awaited.execute("COMMIT")

    async def async_delete_keys(self, keys: list[int]) -> None:
        await self.awaited.execute("BEGIN IMMEDIATE")
        await self.awaited.executemany("DELETE FROM item WHERE id = ?", [(key,) for key in keys])
        await self.awaited.execute("COMMIT")
