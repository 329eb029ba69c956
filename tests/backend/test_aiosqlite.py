"""One aiosqlite connection: the same contract, awaited, and known-good or given up after a cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from blaze import AsyncSession, Engine
from blaze import errors as e
from blaze.adapters import ConnectionConfig, threaded
from blaze_sqlite import AiosqliteAdapter, SQLiteAdapter
from blaze_sqlite.aio import AiosqliteConnection

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"


@pytest.fixture
def config(tmp_path: Path) -> ConnectionConfig:
    return ConnectionConfig("sqlite", database=str(tmp_path / "test.db"), options={"lock_timeout": 0.5})


@pytest.fixture
async def connection(config: ConnectionConfig) -> AsyncIterator[AiosqliteConnection]:
    connection = await AiosqliteAdapter().connect(config)
    await connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT UNIQUE)")
    yield connection
    await connection.close()


async def test_statements_and_transactions(connection: AiosqliteConnection) -> None:
    outcome = await connection.execute("INSERT INTO t (x) VALUES (?) RETURNING id", ("a",))
    assert (outcome.rowcount, outcome.columns, outcome.rows) == (1, ("id",), [(1,)])
    assert await connection.execute_many("INSERT INTO t (x) VALUES (?)", [("b",), ("c",)]) == 2
    assert await connection.execute("SELECT x FROM t ORDER BY id", (), list) == [("a",), ("b",), ("c",)]
    await connection.begin()
    await connection.savepoint("s")
    await connection.execute("DELETE FROM t")
    await connection.rollback_to("s")
    await connection.release("s")
    assert connection.in_transaction
    await connection.commit()
    await connection.begin(read_only=True)
    with pytest.raises(e.DatabaseError, match="read-only"):
        await connection.execute("DELETE FROM t")
    assert connection.needs_reset
    await connection.reset()
    assert not connection.needs_reset
    with pytest.raises(e.UniqueError) as caught:
        await connection.execute("INSERT INTO t (x) VALUES ('a')")
    assert caught.value.columns == ("x",)
    with pytest.raises(e.DataError):
        await connection.execute("SELECT 'x'", (), lambda rows: [int(row[0]) for row in rows])


async def test_streams(connection: AiosqliteConnection) -> None:
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c"
    seen: list[Any] = []
    stream = connection.stream(endless, (), 2)
    async for rows in stream:
        seen.append(rows)
        if len(seen) == 2:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    assert seen == [[(1,), (2,)], [(3,), (4,)]]
    assert [rows async for rows in connection.stream("SELECT 1")] == [[(1,)]]


async def test_a_cancelled_statement_stops_at_once_and_leaves_a_good_connection(
    connection: AiosqliteConnection,
) -> None:
    for pause in (0.0, 0.001, 0.05):
        task = asyncio.ensure_future(connection.execute(ENDLESS))
        await asyncio.sleep(pause)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 1
        assert connection.usable
        assert (await connection.execute("SELECT 1")).rows == [(1,)]


async def test_a_cancelled_statement_ends_the_streams_beside_it_and_nothing_else(
    connection: AiosqliteConnection,
) -> None:
    await connection.begin()
    await connection.execute_many("INSERT INTO t (x) VALUES (?)", [(str(n),) for n in range(9)])
    stream = connection.stream("SELECT x FROM t ORDER BY id", (), 2)
    assert await stream.__anext__() == [("0",), ("1",)]
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(connection.execute(ENDLESS), 0.05)
    await connection.savepoint("s")
    await connection.execute("DELETE FROM t")
    await connection.rollback_to("s")
    assert (await connection.execute("SELECT count(*) FROM t")).rows == [(9,)]
    with pytest.raises(e.DatabaseError, match="stream has ended, since a statement beside it was cancelled"):
        await stream.__anext__()
    await connection.commit()
    assert [rows async for rows in connection.stream("SELECT count(*) FROM t")] == [[(9,)]]


async def test_a_cancelled_write_in_a_transaction_can_be_rolled_back(connection: AiosqliteConnection) -> None:
    for turns in range(6):
        await connection.begin()
        await connection.execute("INSERT INTO t (x) VALUES ('first')")
        task = asyncio.ensure_future(connection.execute("INSERT INTO t (x) VALUES ('second')"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):  # it may have finished just before
            await task
        assert connection.usable
        await connection.rollback()
        assert (await connection.execute("SELECT count(*) FROM t")).rows == [(0,)]


async def test_a_cancelled_commit_is_done_or_not_done(connection: AiosqliteConnection) -> None:
    for turns in range(6):
        await connection.execute("DELETE FROM t")
        await connection.begin()
        await connection.execute("INSERT INTO t (x) VALUES ('x')")
        task = asyncio.ensure_future(connection.commit())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert connection.usable
        done = not connection.in_transaction
        await connection.rollback()
        assert (await connection.execute("SELECT count(*) FROM t")).rows == [(int(done),)]


async def test_a_statement_that_does_not_stop_gives_the_connection_up(
    config: ConnectionConfig, connection: AiosqliteConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threaded, "_SETTLE_SECONDS", 0.05)
    holder = SQLiteAdapter().connect(config)
    holder.begin()
    task = asyncio.ensure_future(connection.begin())  # waits for the lock, where SQLite cannot be interrupted
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not connection.usable
    connection.terminate()
    holder.rollback()
    await asyncio.sleep(0.1)
    holder.begin()  # the thread has ended and holds nothing
    holder.close()


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_who_waits_for_the_lock_is_cancelled_without_stopping_the_event_loop(
    tmp_path: Path, cancellations: int
) -> None:
    """Closing waits until SQLite gives up waiting for the lock: only the thread may do that."""

    async def write(engine: Engine, started: asyncio.Event) -> None:
        async with AsyncSession(engine) as session:
            started.set()
            async with session.transaction():
                await session.execute("INSERT INTO t VALUES (1)")

    stops: list[float] = []
    threads = set(threading.enumerate())

    async def watch() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            stops.append(time.monotonic() - last)
            last = time.monotonic()

    async with Engine(f"sqlite:///{tmp_path}/app.db?lock_timeout=30", pool_size=2, max_overflow=0) as engine:
        async with AsyncSession(engine) as holder:
            await holder.execute("CREATE TABLE t (id INTEGER)")
            await holder.commit()
            async with holder.transaction():
                await holder.execute("INSERT INTO t VALUES (0)")
                started = asyncio.Event()
                waiting = asyncio.create_task(write(engine, started))
                await started.wait()
                await asyncio.sleep(0.1)
                watching = asyncio.create_task(watch())
                before = time.monotonic()
                for _ in range(cancellations):
                    waiting.cancel()
                    await asyncio.sleep(0.02)
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                assert time.monotonic() - before < 5
                assert max(stops) < 5
                watching.cancel()
        await asyncio.wait_for(write(engine, asyncio.Event()), 20)  # a place in the pool, and SQLite's lock
        async with AsyncSession(engine) as session:
            assert await session.exec_scalar("SELECT count(*) FROM t") == 2
    deadline = time.monotonic() + 20
    while set(threading.enumerate()) - threads:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_cancelling_twice_gives_the_connection_up_but_hangs_nobody(
    config: ConnectionConfig, connection: AiosqliteConnection
) -> None:
    holder = SQLiteAdapter().connect(config)
    holder.begin()
    task = asyncio.ensure_future(connection.begin())
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.sleep(0.02)
    task.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 0.3
    assert not connection.usable
    holder.close()


async def test_a_cancelled_connect_leaves_nothing_open(config: ConnectionConfig) -> None:
    for turns in range(8):
        task = asyncio.ensure_future(AiosqliteAdapter().connect(config))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await task).close()
    await asyncio.sleep(0.05)


async def test_a_closed_connection_says_so(config: ConnectionConfig) -> None:
    connection = await AiosqliteAdapter().connect(config)
    await connection.close()
    await connection.close()
    connection.terminate()
    assert not connection.usable
    with pytest.raises(e.ConnectionLostError, match="closed"):
        await connection.execute("SELECT 1")


async def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    config = ConnectionConfig("sqlite", database=str(tmp_path / "no" / "x.db"))
    with pytest.raises(e.DatabaseError, match=r"the folder .* does not exist"):
        await AiosqliteAdapter().connect(config)


async def test_statement_timeout(config: ConnectionConfig) -> None:
    connection = await AiosqliteAdapter().connect(config.with_options(statement_timeout=0.1))
    with pytest.raises(e.TimeoutError, match="statement_timeout"):
        await connection.execute(ENDLESS)
    await connection.close()


async def test_one_trip_to_the_thread_per_statement(
    connection: AiosqliteConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = 0
    original = aiosqlite.Connection.execute_fetchall

    def count(self: aiosqlite.Connection, *arguments: Any) -> Any:
        nonlocal trips
        trips += 1
        return original(self, *arguments)

    monkeypatch.setattr(aiosqlite.Connection, "execute_fetchall", count)
    await connection.execute("SELECT 1", (), list)
    await connection.execute("INSERT INTO t (x) VALUES ('a') RETURNING id")
    assert trips == 2
