"""Blaze's async sessions over aiosqlite, on the same models and engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from benchmarks.contenders.blaze import Blaze, Item
from benchmarks.contenders.contender import Run
from benchmarks.data import Row
from blaze import AsyncSession


class BlazeAsync(Blaze):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.loop = asyncio.new_event_loop()

    def close(self) -> None:
        self.loop.run_until_complete(self.engine.adispose())
        self.loop.close()
        super().close()

    def async_read_all(self) -> Run:
        async def read() -> list[Item]:
            async with AsyncSession(self.engine) as session:
                return await session.query(Item).all()

        return lambda: self.loop.run_until_complete(read())

    def async_get_pk(self, keys: list[int]) -> Run:
        async def read() -> list[Any]:
            found = []
            for key in keys:
                async with AsyncSession(self.engine) as session:
                    found.append(await session.get(Item, key))
            return found

        return lambda: self.loop.run_until_complete(read())

    def async_insert_uow(self, rows: list[Row]) -> Run:
        async def write() -> list[Item]:
            async with AsyncSession(self.engine) as session:
                stored = [Item(**row) for row in rows]
                for item in stored:
                    session.add(item)
                await session.commit()
            return stored

        return lambda: self.loop.run_until_complete(write())
