"""Engine and pool: exhaustion, cancelled waiters, threads, statistics, disposal."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from typing import Any

import pytest

from blaze import AsyncSession, Engine, PoolTimeoutError, Select, Session
from blaze.testing.suite.harness import Database, done, each, scenario
from blaze.testing.suite.library import Tag
from blaze.testing.suite.models import Label

__all__ = [
    "test_a_cancelled_waiter_leaks_nothing",
    "test_a_connection_comes_back_clean",
    "test_a_stream_is_read_bit_by_bit",
    "test_closed_and_detached_connections_are_not_used_again",
    "test_eight_workers",
    "test_exhaustion_is_a_time_out",
    "test_statistics",
]


def small(db: Database) -> Engine:
    """Make an engine with one connection on the same database."""
    return Engine(db.engine.config, pool_size=1, max_overflow=0, pool_timeout=0.1)


@scenario
async def test_exhaustion_is_a_time_out(db: Database) -> None:
    engine = small(db)
    try:
        if db.asynchronous:
            async with engine.aconnection():
                with pytest.raises(PoolTimeoutError) as caught:
                    await engine.aacquire()
            await engine.adispose()
        else:
            with engine.connection(), pytest.raises(PoolTimeoutError) as caught:
                engine.acquire()
        assert caught.value.retryable
        assert engine.pool_stats().in_use == 0
    finally:
        engine.dispose()


@scenario
async def test_statistics(db: Database) -> None:
    engine = small(db)
    try:
        if db.asynchronous:
            async with engine.aconnection():
                assert (engine.pool_stats().in_use, engine.pool_stats().idle) == (1, 0)
            assert (engine.pool_stats().in_use, engine.pool_stats().idle) == (0, 1)
            await engine.adispose()
        else:
            with engine.connection():
                assert (engine.pool_stats().in_use, engine.pool_stats().idle) == (1, 0)
            assert (engine.pool_stats().in_use, engine.pool_stats().idle) == (0, 1)
        assert engine.pool_stats().size == 1
    finally:
        engine.dispose()


@scenario
async def test_a_cancelled_waiter_leaks_nothing(db: Database) -> None:
    if not db.asynchronous:  # nobody cancels a thread
        return
    engine = Engine(db.engine.config, pool_size=1, max_overflow=0, pool_timeout=5.0)
    try:
        async with engine.aconnection():
            waiters = [asyncio.ensure_future(engine.aacquire()) for _ in range(3)]
            await asyncio.sleep(0.01)
            assert engine.pool_stats().waiting == 3
            for waiter in waiters:
                waiter.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)
        assert (engine.pool_stats().waiting, engine.pool_stats().in_use) == (0, 0)
        async with AsyncSession(engine) as session:
            assert await session.query(Tag).count() == 4
    finally:
        await engine.adispose()


@scenario
async def test_a_connection_comes_back_clean(db: Database) -> None:
    engine = small(db)
    try:
        if db.asynchronous:
            async with engine.aconnection() as connection:
                await connection.begin()
                await connection.execute("INSERT INTO suite_label (name) VALUES ('lost')")
            async with engine.aconnection() as connection:
                assert not connection.in_transaction
            await engine.adispose()
        else:
            with engine.connection() as blocking:
                blocking.begin()
                blocking.execute("INSERT INTO suite_label (name) VALUES ('lost')")
            with engine.connection() as blocking:
                assert not blocking.in_transaction
    finally:
        engine.dispose()
    assert await db.rows(Select(Label.name)) == []


@scenario
async def test_closed_and_detached_connections_are_not_used_again(db: Database) -> None:
    engine = small(db)
    try:
        for end in ("close", "close", "detach"):
            if db.asynchronous:
                async with engine.aconnection() as connection:
                    await done(getattr(connection, end)())
                    assert not connection.usable
                    await connection.close()  # once more is no error
                async with engine.aconnection() as connection:
                    await connection.execute("SELECT 1")
            else:
                with engine.connection() as blocking:
                    getattr(blocking, end)()
                    assert not blocking.usable
                    blocking.close()
                with engine.connection() as blocking:
                    blocking.execute("SELECT 1")
    finally:
        if db.asynchronous:
            await engine.adispose()
        engine.dispose()


@scenario
async def test_a_stream_is_read_bit_by_bit(db: Database) -> None:
    """100,000 rows and more; no more than a few of them are in memory at once."""
    books = ", ".join([f"suite_library_book {name}" for name in "abcdef"])
    text, parts = f"SELECT a.title, b.title, c.title FROM {books}", []

    async def read(connection: Any) -> None:
        stream = connection.stream(text, (), 50)
        tracemalloc.start()
        try:
            async for part in each(stream):
                parts.append(len(part))
                if len(parts) == 3:
                    break
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()
            await done(stream.aclose() if db.asynchronous else stream.close())

    if db.asynchronous:
        async with db.engine.aconnection() as connection:
            await connection.begin()
            await read(connection)
            await connection.rollback()
    else:
        with db.engine.connection() as blocking:
            blocking.begin()
            await read(blocking)
            blocking.rollback()
    assert len(parts) == 3
    assert max(parts) <= 50


@scenario
async def test_eight_workers(db: Database) -> None:
    """Eight threads or tasks read and write, each with sessions of its own."""
    errors: list[BaseException] = []

    async def task(number: int) -> None:
        for n in range(5):
            async with AsyncSession(db.engine) as session:
                db.sessions.append(session)
                assert await session.query(Tag).count() == 4
                session.add(Label(name=f"w{number}-{n}"))
                await session.commit()

    def thread(number: int) -> None:
        try:
            for n in range(5):
                with Session(db.engine) as session:
                    db.sessions.append(session)
                    assert session.query(Tag).count() == 4
                    session.add(Label(name=f"w{number}-{n}"))
                    session.commit()
        except BaseException as error:
            errors.append(error)

    if db.asynchronous:
        await asyncio.gather(*[task(number) for number in range(8)])
    else:
        threads: list[Any] = [threading.Thread(target=thread, args=(number,)) for number in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert errors == []
    async with db.session() as s:
        assert await done(s.query(Label).count()) == 40
