"""The pool on real servers: what it keeps, what it costs, what it gives up, and what a fork does to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from blaze import (
    AsyncSession,
    Engine,
    PoolTimeoutError,
    Select,
    Session,
)
from tests.faults.models import Item
from tests.faults.places import IDENTITY, Place
from tests.faults.proxy import Proxy

ROOT = Path(__file__).parents[2]
COUNT = "SELECT count(*) FROM fault_item"


async def _until(condition: Any) -> None:
    """Wait for what other threads or the server do."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_one_engine_serves_both_kinds_of_sessions(server_place: Place) -> None:
    engine = server_place.engine
    with Session(engine) as session:
        session.add(Item(name="blocking"))
        session.commit()
    async with AsyncSession(engine) as awaiting:
        awaiting.add(Item(name="awaited"))
        await awaiting.commit()
        assert await awaiting.query(Item).count() == 2
    assert (engine.pool_stats().in_use, engine.pool_stats().idle) == (0, 2)


async def test_the_pool_keeps_its_size_and_opens_more_in_a_rush(server_place: Place) -> None:
    place = server_place
    with Proxy(*place.address) as proxy:
        engine = place.make_engine(proxy.port, pool_size=2, max_overflow=1, pool_timeout=0.2)
        held = [await place.acquire(engine) for _ in range(3)]
        assert len({await place.identity(each) for each in held}) == 3
        assert engine.pool_stats() == (2, 3, 0, 0)
        with pytest.raises(PoolTimeoutError, match="all 3 are in use"):
            await place.acquire(engine)
        for each in held:
            await place.release(each, engine)
        assert engine.pool_stats() == (2, 0, 2, 0)
        await _until(lambda: proxy.open == 2)
        await engine.adispose()
        await _until(lambda: proxy.open == 0)


async def test_old_connections_are_replaced(server_place: Place) -> None:
    place = server_place
    for recycle, same in ((0.05, False), (0, True)):
        engine = place.make_engine(recycle=recycle)
        async with place.connection(engine) as connection:
            first = await place.identity(connection)
        await asyncio.sleep(0.1)
        async with place.connection(engine) as connection:
            assert (await place.identity(connection) == first) is same
        assert engine.pool_stats().in_use == 0


async def test_a_healthy_pool_costs_no_round_trip(server_place: Place) -> None:
    """Nothing is asked at acquire, nothing is reset at release that was not used."""
    place = server_place
    with Proxy(*place.address) as proxy:
        engine = place.make_engine(proxy.port)
        database = place.through(engine)
        for _ in range(2):  # what is asked once per engine or connection is asked now
            async with database.session() as session:
                await session.scalar(COUNT)
                await session.add(Item(name=f"x{proxy.requests}"))
                await session.commit()

        opened = proxy.connections

        async def requests(work: Any) -> int:
            before = proxy.requests
            await work()
            await asyncio.sleep(0.05)
            return proxy.requests - before

        async def lend() -> None:
            for _ in range(10):
                async with place.connection(engine):
                    pass

        async def read() -> None:
            for _ in range(10):
                async with database.session() as session:
                    await session.scalar(COUNT)

        async def leave() -> None:
            connection = await place.acquire(engine)
            await _done(connection.begin())
            await _done(connection.execute(COUNT))
            before = proxy.requests
            await place.release(connection, engine)
            await asyncio.sleep(0.05)
            assert proxy.requests - before == 1  # the ROLLBACK

        assert await requests(lend) == 0
        assert await requests(read) == 10
        await leave()
        assert engine.pool_stats() == (5, 0, 1, 0)
        assert proxy.connections == opened
        await engine.adispose()


async def _done(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


async def test_a_dead_connection_is_replaced_before_it_is_lent(server_place: Place) -> None:
    place = server_place
    async with place.connection() as connection:
        first = await place.identity(connection)
    await place.kill(first)
    await _until(lambda: not connection.usable)
    async with place.connection() as connection:
        assert await place.identity(connection) != first
    stats = place.engine.pool_stats()
    assert (stats.in_use, stats.idle) == (0, 1)


@pytest.mark.parametrize(
    "server_place", [("postgresql", "async"), ("mysql", "async")], indirect=True, ids="-".join
)
async def test_cancelled_waiters_and_openers_leak_nothing(server_place: Place) -> None:
    place = server_place
    with Proxy(*place.address) as proxy:
        engine = place.make_engine(proxy.port, pool_size=1, max_overflow=0)
        proxy.silent = True
        opening = [asyncio.ensure_future(engine.aacquire()) for _ in range(3)]
        await _until(lambda: proxy.open == 1 and engine.pool_stats().waiting == 2)
        for each in opening:
            each.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        assert engine.pool_stats() == (1, 0, 0, 0)
        await _until(lambda: proxy.open == 0)
        proxy.silent = False
        async with engine.aconnection():
            waiting = [asyncio.ensure_future(engine.aacquire()) for _ in range(3)]
            await _until(lambda: engine.pool_stats().waiting == 3)
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        assert engine.pool_stats() == (1, 0, 1, 0)
        slow = {"postgresql": "SELECT pg_sleep(20)", "mysql": "SELECT sleep(20)"}[place.backend]
        running = asyncio.ensure_future(_scalar(engine, slow))
        await _until(lambda: engine.pool_stats().in_use == 1)
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await _scalar(engine, "SELECT 1 + 1") == 2
        assert engine.pool_stats().in_use == 0
        await engine.adispose()
        await _until(lambda: proxy.open == 0)


async def _scalar(engine: Engine, text: str) -> Any:
    async with AsyncSession(engine) as session:
        return await session.exec_scalar(text)


@pytest.mark.parametrize(
    "server_place", [("postgresql", "sync"), ("mysql", "sync")], indirect=True, ids="-".join
)
async def test_a_waiting_thread_gets_what_another_gives_back(server_place: Place) -> None:
    place = server_place
    engine = place.make_engine(pool_size=1, max_overflow=0, pool_timeout=20)
    held = engine.acquire()
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(engine.acquire()))
    thread.start()
    await _until(lambda: engine.pool_stats().waiting == 1)
    engine.release(held)
    thread.join(20)
    assert got == [held]
    engine.release(held)


@pytest.mark.requirement("R72", "R73")
async def test_parallel_exec_runs_on_connections_of_the_pool(server_place: Place) -> None:
    place = server_place
    text = IDENTITY[place.backend]

    barrier = threading.Barrier(4, timeout=20)
    arrived: list[int] = []

    def task(session: Any) -> int:
        found = int(session.exec_scalar(text))
        barrier.wait()
        return found

    async def atask(session: Any) -> int:
        found = int(await session.exec_scalar(text))
        arrived.append(found)
        await _until(lambda: len(arrived) == 4)
        return found

    async with place.session() as session:
        await session.add(Item(name="uncommitted"))
        await session.flush()
        own = await place.identity(session)
        results = await session.parallel_exec(
            [*[atask if place.asynchronous else task] * 4, Select(Item).count()]
        )
        assert len({own, *results[:4]}) == 5
        assert results[4] == 0  # the transaction of the session is its own
        assert await place.identity(session) == own
        await session.rollback()
    assert place.engine.pool_stats().in_use == 0


FORK = """
engine = Engine(sys.argv[1])
busy = Session(engine); busy.add(Item(name="parent")); busy.flush()
with Session(engine) as session: session.exec_scalar("SELECT 1")
children = []
for n in range(4):
    pid = os.fork()
    if not pid:
        try:
            for i in range(75):
                with Session(engine) as session:
                    assert session.exec_scalar("SELECT ? * 2", [n * 100 + i]) == (n * 100 + i) * 2
            try:
                busy.exec_scalar("SELECT 1")
            except BlazeError:
                pass
            else:
                raise AssertionError("the child uses the parent's connection")
            async def work():
                async with AsyncSession(engine) as session:
                    session.add(Item(name=f"child {n}"))
                    await session.commit()
                await engine.adispose()
            asyncio.run(work())
        except BaseException as error:
            print(repr(error), flush=True); os._exit(1)
        sys.exit(0) if n % 2 else os._exit(0)
    children.append(pid)
codes = [os.waitpid(pid, 0)[1] for pid in children]
assert codes == [0] * 4, codes
assert busy.exec_scalar("SELECT count(*) FROM fault_item") == 5
busy.commit(); busy.close()
with Session(engine) as session: assert session.query(Item).count() == 5
engine.dispose()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NO FORK ON THIS SYSTEM")
@pytest.mark.parametrize(
    "server_place", [("postgresql", "sync"), ("mysql", "sync")], indirect=True, ids="-".join
)
async def test_a_forked_child_uses_connections_of_its_own(server_place: Place) -> None:
    head = "import asyncio, os, sys\nfrom blaze import *\nfrom tests.faults.models import *\n"
    process = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", head + FORK, server_place.dsn],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
