"""Connections and servers that go away in the middle: nothing is half done, and nothing stays broken."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from blaze import (
    CommitOutcomeUnknownError,
    ConnectionLostError,
    DatabaseError,
    SessionError,
    TimeoutError,
)
from blaze_sqlite import opening
from tests.faults.models import Item
from tests.faults.own import OwnServer
from tests.faults.places import SLEEP, Place
from tests.faults.proxy import Proxy

COUNT = "SELECT count(*) FROM fault_item"


async def _query(session: Any) -> None:
    await session.scalar(COUNT)


async def _flush(session: Any) -> None:
    await session.add(Item(name="later"))
    await session.flush()


async def _bulk(session: Any) -> None:
    await session.bulk_insert([Item(name=f"n{n}") for n in range(3)])


async def _stream(session: Any) -> None:
    stream = session.session.query(Item.name).stream()
    if session.session.asynchronous:
        async for _ in stream:
            pass
    else:
        for _ in stream:
            pass


@pytest.mark.requirement("R22")
@pytest.mark.parametrize("step", [_query, _flush, _bulk, _stream], ids=lambda step: step.__name__.strip("_"))
async def test_a_connection_killed_in_a_transaction(server_place: Place, step: Any) -> None:
    place = server_place
    await place.save(Item(name="kept", size=1))
    async with place.session() as session:
        kept = (await session.all(Item))[0]
        kept.size = 2
        lost = Item(name="lost")
        await session.add(lost)
        await session.begin()
        await session.flush()
        await place.kill(await place.identity(session))
        with pytest.raises(ConnectionLostError) as raised:
            await step(session)
        assert raised.value.retryable
        assert step is _stream or isinstance(raised.value.__cause__, Exception)
        for attempt in (_query, _flush, _commit):
            with pytest.raises(SessionError, match=r"the transaction is lost .*rollback\(\)"):
                await attempt(session)
        await session.rollback()
        assert (kept.size, lost.id) == (1, None)
        assert await session.scalar(COUNT) == 1
        await session.add(lost)
        await session.commit()
    assert await place.rows("SELECT name, size FROM fault_item ORDER BY name") == [("kept", 1), ("lost", 0)]


async def _commit(session: Any) -> None:
    await session.commit()


async def test_the_error_of_a_block_is_the_first_one(server_place: Place) -> None:
    """What fails while a block is undone on a dead connection does not hide why."""
    place = server_place
    async with place.session() as session:
        with pytest.raises(ConnectionLostError):  # noqa: PT012
            async with session.transaction():
                await session.add(Item(name="outer"))
                async with session.transaction():
                    await session.add(Item(name="inner"))
                    await session.flush()
                    await place.kill(await place.identity(session))
                    await session.scalar(COUNT)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with session.transaction():
                await session.add(Item(name="again"))
                await session.flush()
                await place.kill(await place.identity(session))
                1 / 0  # noqa: B018
        assert await session.scalar(COUNT) == 0
    assert place.engine.pool_stats().in_use == 0


async def test_a_statement_killed_while_it_runs(server_place: Place) -> None:
    place = server_place
    async with place.session() as session:
        await session.begin()
        number = await place.identity(session)
        killer = threading.Timer(0.3, lambda: asyncio.run(place.kill(number)))
        killer.start()
        begun = time.monotonic()
        with pytest.raises(ConnectionLostError):
            await session.scalar(SLEEP[place.backend].format(20))
        assert time.monotonic() - begun < 10
        killer.join()
        await session.rollback()
        assert await session.scalar(COUNT) == 0


@asynccontextmanager
async def _units(place: Place, engine: Any) -> AsyncIterator[list[int]]:
    """Fill a pool with four idle connections, let harm be done, then do eight units of work."""
    connections = [await place.acquire(engine) for _ in range(4)]
    for connection in connections:
        await place.release(connection, engine)
    assert engine.pool_stats().idle == 4
    failed: list[int] = []
    yield failed
    for n in range(8):
        try:
            async with place.through(engine).session() as session:
                assert await session.scalar("SELECT 1 + 1") == 2
        except DatabaseError:
            failed.append(n)


async def test_a_pool_survives_a_restart(own_place: tuple[Place, OwnServer]) -> None:
    place, server = own_place
    engine = place.make_engine()
    async with _units(place, engine) as failed:
        server.kill()
        server.start()
    assert len(failed) <= 1
    assert engine.pool_stats().in_use == 0


async def test_a_pool_survives_connections_cut_without_a_word(server_place: Place) -> None:
    place = server_place
    with Proxy(*place.address) as proxy:
        engine = place.make_engine(proxy.port)
        async with _units(place, engine) as failed:
            proxy.cut()
        assert len(failed) <= 1
        await engine.adispose()


async def test_a_server_that_is_down_and_comes_back(own_place: tuple[Place, OwnServer]) -> None:
    place, server = own_place
    engine = place.make_engine()
    async with place.through(engine).session() as session:
        await session.begin()
        assert await session.scalar("SELECT 1") == 1
        server.kill()
        try:
            with pytest.raises(ConnectionLostError):  # noqa: PT012
                for _ in range(500):  # PostgreSQL's processes notice the end of their parent one by one
                    await session.scalar("SELECT 1")
                    await asyncio.sleep(0.01)
            await session.rollback()
            with pytest.raises(ConnectionLostError, match="no server listens there"):
                await session.scalar("SELECT 1")
        finally:
            server.start()
        assert await session.scalar("SELECT 1") == 1
    assert engine.pool_stats().in_use == 0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients stop waiting soon after the server should have stopped a statement."""
    for module in ("blaze_mysql.opening", "blaze_postgres.opening"):
        monkeypatch.setattr(f"{module}._MARGIN", 0.2)


@pytest.mark.parametrize("step", ["query", "commit"])
async def test_a_server_that_falls_silent(server_place: Place, impatient: None, step: str) -> None:
    """The connection stays open and no answer ever comes: the client gives up by itself."""
    place = server_place
    with Proxy(*place.address) as proxy:
        engine = place.make_engine(proxy.port, statement_timeout=0.3)
        async with place.through(engine).session() as session:
            await session.add(Item(name="lost"))
            await session.flush()
            proxy.silent = True
            begun = time.monotonic()
            if step == "query":
                with pytest.raises(TimeoutError, match="did not answer within statement_timeout"):
                    await session.scalar(COUNT)
            else:
                with pytest.raises(CommitOutcomeUnknownError):
                    await session.commit()
            assert time.monotonic() - begun < 8
            proxy.silent = False
            await session.rollback()
            assert await session.scalar(COUNT) == 0
        await engine.adispose()


async def test_time_limits_are_set_by_default(server_place: Place) -> None:
    place = server_place
    text = {
        "postgresql": "SELECT current_setting('statement_timeout')",
        "mysql": "SELECT CAST(@@max_statement_time AS INT)",
    }[place.backend]
    async with place.session() as session:
        assert str(await session.scalar(text)) in ("30s", "30")


ENDLESS = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
    "postgresql": "SELECT pg_sleep(20)",
    "mysql": "SELECT count(*) FROM seq_1_to_100000 a, seq_1_to_100000 b",
}


async def test_a_statement_that_takes_too_long(place: Place) -> None:
    engine = place.make_engine(statement_timeout=0.5)
    async with place.through(engine).session() as session:
        await session.add(Item(name="lost"))
        await session.flush()
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match="statement_timeout") as raised:
            await session.scalar(ENDLESS[place.backend])
        assert time.monotonic() - begun < 8
        assert not raised.value.retryable
        await session.rollback()
        assert await session.scalar(COUNT) == 0


@pytest.mark.parametrize("place", [("sqlite", "sync"), ("sqlite", "async")], indirect=True, ids="-".join)
async def test_sqlite_has_a_time_limit_by_default(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opening.STATEMENT_TIMEOUT == 30.0
    monkeypatch.setattr(opening, "STATEMENT_TIMEOUT", 0.3)
    async with place.session() as session:
        with pytest.raises(TimeoutError, match=r"statement_timeout \(0.3 s\)"):
            await session.scalar(ENDLESS["sqlite"])
        await session.rollback()
        assert await session.scalar(COUNT) == 0
