"""The asynchronous pool: proven under cancellation at every await."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from blaze.adapters.async_pool import AsyncPool
from blaze.adapters.pool import Limits
from blaze.errors import DatabaseError, PoolTimeoutError, SessionError

pytestmark = pytest.mark.requirement("R110")


class Fake:
    """A connection whose I/O takes a few turns of the loop."""

    def __init__(self) -> None:
        self.usable = True
        self.needs_reset = False
        self.keep_on_fork = True
        self.fails = False
        self.closed = 0

    async def reset(self) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if self.fails:
            raise DatabaseError("no")
        self.needs_reset = False

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1
        self.usable = False

    def terminate(self) -> None:
        self.closed += 1
        self.usable = False


class Maker:
    def __init__(self) -> None:
        self.made: list[Fake] = []
        self.failures = 0

    async def __call__(self) -> Any:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise DatabaseError("cannot connect")
        fake = Fake()
        self.made.append(fake)
        return fake

    @property
    def open(self) -> int:
        return sum(not fake.closed for fake in self.made)


def make(
    maker: Maker, size: int = 2, overflow: int = 1, timeout: float = 0.05, recycle: float = 0.0
) -> AsyncPool:
    return AsyncPool(maker, Limits(size, overflow, timeout, recycle))


async def test_reuse_rush_and_reset() -> None:
    maker = Maker()
    pool = make(maker)
    three: list[Any] = [await pool.acquire() for _ in range(3)]
    assert pool.stats() == (2, 3, 0, 0)
    three[0].needs_reset = True
    for connection in three:
        await pool.release(connection)
    await asyncio.sleep(0.01)
    assert pool.stats() == (2, 0, 2, 0)
    assert maker.open == 2
    assert await pool.acquire() is three[1]
    await pool.close()


async def test_an_exhausted_pool_times_out_and_recovers() -> None:
    maker = Maker()
    pool = make(maker, size=1, overflow=0)
    held = await pool.acquire()
    with pytest.raises(PoolTimeoutError, match="all 1 are in use and 1 callers wait"):
        await pool.acquire()
    assert pool.stats().waiting == 0
    await pool.release(held)
    assert await pool.acquire() is held


async def test_who_waits_longest_is_served_first() -> None:
    pool = make(Maker(), size=1, overflow=0, timeout=5)
    held = await pool.acquire()
    order: list[int] = []

    async def wait(number: int) -> None:
        connection = await pool.acquire()
        order.append(number)
        await pool.release(connection)

    tasks = [asyncio.ensure_future(wait(number)) for number in range(5)]
    await asyncio.sleep(0)
    await pool.release(held)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("how", ["reset fails", "unusable", "discard", "connect fails"])
async def test_a_place_that_becomes_free_goes_to_a_waiter(how: str) -> None:
    maker = Maker()
    pool = make(maker, size=1, overflow=0, timeout=5)
    held: Any = await pool.acquire()
    waiter = asyncio.ensure_future(pool.acquire())
    last = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    held.needs_reset = held.fails = how == "reset fails"
    held.usable = how != "unusable"
    maker.failures = int(how == "connect fails")
    await pool.release(held, discard=how in ("discard", "connect fails"))
    if how == "connect fails":
        with pytest.raises(DatabaseError):
            await waiter
    else:
        await pool.release(await waiter)
    assert await asyncio.wait_for(last, 2) is maker.made[-1]
    assert pool.stats() == (1, 1, 0, 0)


async def test_releasing_twice_and_closing() -> None:
    maker = Maker()
    pool = make(maker, size=1, overflow=0, timeout=5)
    connection = await pool.acquire()
    await pool.release(connection)
    with pytest.raises(SessionError, match="released before"):
        await pool.release(connection)
    held = await pool.acquire()
    waiter = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    await pool.close()
    with pytest.raises(SessionError, match="disposed"):
        await waiter
    with pytest.raises(SessionError, match="disposed"):
        await pool.acquire()
    await pool.release(held)
    await pool.close()
    assert maker.open == 0


async def test_cancelling_a_release_does_not_lose_the_connection() -> None:
    maker = Maker()
    pool = make(maker, size=1, overflow=0, timeout=1)
    connection: Any = await pool.acquire()
    connection.needs_reset = True
    task = asyncio.ensure_future(pool.release(connection))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await pool.acquire() is connection
    assert not connection.needs_reset


async def test_cancellation_at_every_moment_loses_nothing() -> None:
    rng = random.Random(3)
    maker = Maker()
    pool = make(maker, size=2, overflow=1, timeout=5, recycle=0.05)
    inside: set[int] = set()

    async def work() -> None:
        connection: Any = await pool.acquire()
        try:
            assert id(connection) not in inside
            inside.add(id(connection))
            assert len(inside) <= 3
            for _ in range(rng.randint(0, 3)):
                await asyncio.sleep(0)
            connection.needs_reset = rng.random() < 0.3
            connection.fails = rng.random() < 0.1
        finally:
            inside.discard(id(connection))
            await pool.release(connection, discard=rng.random() < 0.1)

    async def meddle(task: asyncio.Future[None]) -> None:
        for _ in range(rng.randint(0, 12)):
            await asyncio.sleep(0)
        task.cancel()

    for _ in range(150):
        tasks = [asyncio.ensure_future(work()) for _ in range(8)]
        maker.failures = rng.choice([0, 0, 0, 1])
        await asyncio.gather(*(meddle(task) for task in tasks if rng.random() < 0.6))
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, (asyncio.CancelledError, DatabaseError)), result
    await asyncio.sleep(0.01)
    stats = pool.stats()
    assert (stats.in_use, stats.waiting) == (0, 0)
    maker.failures = 0
    three = [await asyncio.wait_for(pool.acquire(), 1) for _ in range(3)]
    for connection in three:
        await pool.release(connection)
    await pool.close()
    assert maker.open == 0
    assert all(fake.closed == 1 for fake in maker.made), "each is closed exactly once"
