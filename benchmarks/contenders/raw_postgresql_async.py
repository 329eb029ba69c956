"""raw over asyncpg: prepared statements, binary COPY, unnest."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from benchmarks.contenders.raw_async import RawAsync as Base
from benchmarks.contenders.raw_objects import VALUES
from benchmarks.contenders.raw_postgresql import INSERT, TYPES, Raw


async def set_up(connection: Any) -> None:
    """Give documents as objects and take them as texts; the binary form of JSONB is its text after a 1."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda text: b"\x01" + text.encode(),
        decoder=lambda data: json.loads(data[1:]),
        format="binary",
    )


async def nothing(connection: Any) -> None:
    """Reset nothing: these connections are given back as they were taken."""


class RawAsync(Base, Raw):  # type: ignore[misc]
    async_mark = "${}"

    async def open(self) -> None:
        self.pool = await asyncpg.create_pool(
            self.database.url("postgresql"),
            min_size=10,
            max_size=10,
            init=set_up,
            reset=nothing,
            server_settings={"timezone": "UTC"},
        )
        self.awaited = await self.pool.acquire()
        self.fetch = self.awaited.fetch

    async def aclose(self) -> None:
        await self.pool.release(self.awaited)
        await self.pool.close()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Any]:
        async with self.pool.acquire() as connection:
            yield connection.fetch

    async def async_insert_key(self, values: tuple[Any, ...]) -> int:
        marks = ", ".join(self.marks(len(values)))
        return int(await self.awaited.fetchval(f"{INSERT} VALUES ({marks}) RETURNING id", *values))

    async def async_insert_keys(self, values: list[tuple[Any, ...]]) -> list[int]:
        arrays = ", ".join(f"{mark}::{type}" for mark, type in zip(self.marks(9), TYPES))
        sql = f"{INSERT} SELECT * FROM unnest({arrays}) RETURNING id"
        return [key for (key,) in await self.fetch(sql, *zip(*values))]

    async def async_insert_values(self, values: list[tuple[Any, ...]]) -> None:
        await self.awaited.copy_records_to_table("item", records=values, columns=VALUES.split(", "))

    async def async_update_values(self, values: list[tuple[int, str, int]]) -> None:
        await self.awaited.execute(
            "UPDATE item SET quantity = v.quantity, name = v.name "
            "FROM unnest($1::int[], $2::text[], $3::int[]) v (quantity, name, id) WHERE item.id = v.id",
            *zip(*values),
        )

    async def async_delete_keys(self, keys: list[int]) -> None:
        await self.awaited.execute("DELETE FROM item WHERE id = ANY($1)", keys)
