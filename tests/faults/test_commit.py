"""A COMMIT whose answer is lost may have been done or not: it says so, and nobody repeats it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from blaze import CommitOutcomeUnknownError, ConnectionLostError, SessionError, UniqueError
from tests.faults.models import Item
from tests.faults.places import Place
from tests.faults.proxy import Proxy

COUNT = "SELECT count(*) FROM fault_item"


async def _commit(session: Any) -> None:
    await session.begin()
    await session.add(Item(name="once"))
    await session.commit()


async def _alone(session: Any) -> None:
    await session.add(Item(name="once"))
    await session.commit()


async def _block(session: Any) -> None:
    async with session.transaction():
        await session.add(Item(name="once"))


async def _autocommit(session: Any) -> None:
    session.session.autocommit = True
    try:
        await session.add(Item(name="once"))
    finally:
        session.session.autocommit = False


@pytest.mark.requirement("R5")
@pytest.mark.parametrize("answered", [False, True], ids=["unseen", "unanswered"])
@pytest.mark.parametrize(
    "way", [_commit, _alone, _block, _autocommit], ids=lambda way: way.__name__.strip("_")
)
async def test_a_lost_answer_leaves_the_outcome_unknown(
    server_place: Place, way: Any, answered: bool
) -> None:
    place = server_place
    with Proxy(*place.address) as proxy:
        engine = place.make_engine(proxy.port)
        database = place.through(engine)
        async with database.session() as session:
            assert await session.scalar(COUNT) == 0
            single = way in (_alone, _autocommit)  # one statement, which commits by itself
            proxy.lose, proxy.answered = b"once" if single else b"COMMIT", answered
            with pytest.raises(
                CommitOutcomeUnknownError, match="may or may not have been committed"
            ) as raised:
                await way(session)
            assert not raised.value.retryable
            assert isinstance(raised.value.__cause__, Exception)
            assert proxy.lost == 1
            if way in (_commit, _alone):  # the others have rolled back themselves
                with pytest.raises(SessionError, match="rollback"):
                    await session.scalar(COUNT)
            await session.rollback()
            assert await session.scalar(COUNT) == int(answered)
            await session.add(Item(name="next"))
            await session.commit()
        assert await place.rows(COUNT) == [(1 + answered,)]
        stats = engine.pool_stats()
        assert (stats.in_use, stats.idle) == (0, 1)
        await engine.adispose()


async def test_an_unknown_outcome_is_never_run_again(server_place: Place) -> None:
    place = server_place
    calls: list[int] = []

    def work(session: Any) -> None:
        calls.append(1)
        session.add(Item(name=f"once {len(calls)}"))

    async def awork(session: Any) -> None:
        work(session)

    with Proxy(*place.address) as proxy:
        engine = place.make_engine(proxy.port)
        async with place.through(engine).session() as session:
            await session.scalar(COUNT)
            proxy.lose, proxy.answered = b"COMMIT", True
            with pytest.raises(CommitOutcomeUnknownError):
                await session.run_in_transaction(awork if place.asynchronous else work)
        await engine.adispose()
    assert calls == [1]
    assert await place.rows(COUNT) == [(1,)]


async def test_what_is_lost_before_the_commit_is_run_again(server_place: Place) -> None:
    place = server_place
    calls: list[int] = []

    def work(session: Any) -> None:
        calls.append(1)
        session.add(Item(name=f"item {len(calls)}"))

    async def awork(session: Any) -> None:
        work(session)

    with Proxy(*place.address) as proxy:
        engine = place.make_engine(proxy.port)
        async with place.through(engine).session() as session:
            await session.scalar(COUNT)
            proxy.lose, proxy.answered = b"INSERT", True
            await session.run_in_transaction(awork if place.asynchronous else work)
        await engine.adispose()
    assert calls == [1, 1]
    assert await place.rows("SELECT name FROM fault_item") == [("item 2",)]


async def test_a_connection_that_ended_before_the_commit_has_committed_nothing(server_place: Place) -> None:
    """Nothing was sent, so the outcome is known: work can be run again."""
    place = server_place
    async with place.session() as session:
        await session.add(Item(name="lost"))
        await session.flush()
        await place.kill(await place.identity(session))
        await _until_noticed(session.session.connection)
        with pytest.raises(ConnectionLostError, match="before COMMIT was sent") as raised:
            await session.commit()
        assert raised.value.retryable
        await session.rollback()
        assert await session.scalar(COUNT) == 0


async def _until_noticed(connection: Any) -> None:
    """Wait until the news of the end has come in."""
    for _ in range(500):
        if not connection.usable:
            return
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "server_place", [("postgresql", "sync"), ("postgresql", "async")], indirect=True, ids="-".join
)
async def test_a_commit_that_the_server_refuses_is_known(server_place: Place) -> None:
    """An answer that says no is no unknown outcome; PostgreSQL alone checks constraints at COMMIT."""
    place = server_place
    async with place.session() as session:
        await session.execute("CREATE TEMPORARY TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        await session.commit()
        await session.begin()
        await session.execute("INSERT INTO late VALUES (1), (1)")
        with pytest.raises(UniqueError):
            await session.commit()
        await session.rollback()
        assert await session.scalar("SELECT count(*) FROM late") == 0
