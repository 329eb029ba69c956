"""Transactions that meet: deadlocks, serialisation failures, locks; what is lost, and what is run again."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Callable

import pytest

from blaze import (
    AsyncSession,
    ConnectionLostError,
    DeadlockError,
    Engine,
    SerializationError,
    Session,
    SessionError,
    TimeoutError,
)
from tests.faults.models import Item
from tests.faults.places import Place
from tests.faults.proxy import Proxy

SIZES = "SELECT name, size FROM fault_item ORDER BY name"


def bump(name: str) -> str:
    """Give the SQL text that changes one row."""
    return f"UPDATE fault_item SET size = size + 1 WHERE name = '{name}'"


async def _two(place: Place, first: Any, second: Any) -> None:
    """Run two functions at the same time: threads with blocking sessions, or tasks."""
    if place.asynchronous:
        await asyncio.gather(first(), second())
        return
    errors: list[BaseException] = []

    def run(function: Any) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join, 30)
    if errors:
        raise errors[0]


def _meeting(place: Place, engine: Engine, calls: dict[str, int], after: Callable[[str], str]) -> list[Any]:
    """Make two workers that lock one row each, wait for each other once, and then want the other's."""
    barrier = threading.Barrier(2, timeout=20)
    here = {"a": asyncio.Event(), "b": asyncio.Event()}

    def make(own: str, other: str) -> Any:
        def work(session: Any) -> None:
            calls[own] += 1
            session.execute(bump(own))
            if calls[own] == 1:
                barrier.wait()
            session.execute(after(other))

        async def awork(session: Any) -> None:
            calls[own] += 1
            await session.execute(bump(own))
            here[own].set()
            await asyncio.wait_for(here[other].wait(), 20)
            await session.execute(after(other))

        def run() -> None:
            with Session(engine) as session:
                session.run_in_transaction(work)

        async def arun() -> None:
            async with AsyncSession(engine) as session:
                await session.run_in_transaction(awork)

        return arun if place.asynchronous else run

    return [make("a", "b"), make("b", "a")]


@pytest.mark.requirement("R7")
async def test_a_deadlock_is_run_again(server_place: Place) -> None:
    """The victim's function runs a second time; both have done their work once."""
    place = server_place
    await place.save(Item(name="a"), Item(name="b"))
    calls = {"a": 0, "b": 0}
    await _two(place, *_meeting(place, place.engine, calls, bump))
    assert sorted(calls.values()) == [1, 2]
    assert await place.rows(SIZES) == [("a", 2), ("b", 2)]


async def test_the_victim_of_a_deadlock_commits_nothing(server_place: Place) -> None:
    """The server has rolled back all of it: what follows must not be committed statement by statement."""
    place = server_place
    await place.save(Item(name="a"), Item(name="b"))
    seen: list[DeadlockError] = []
    barrier = threading.Barrier(2, timeout=20)
    here = {"a": asyncio.Event(), "b": asyncio.Event()}

    def check(error: DeadlockError) -> None:
        assert error.retryable
        assert error.code in ("40P01", "1213")
        assert isinstance(error.__cause__, Exception)
        seen.append(error)

    def work(own: str, other: str) -> None:
        with Session(place.engine) as session:
            session.execute(bump(own))
            barrier.wait()
            try:
                session.execute(bump(other))
            except DeadlockError as error:
                check(error)
                for _ in range(2):
                    with pytest.raises(Exception):  # noqa: B017, PT011 - PostgreSQL's, or the session's
                        session.execute(f"INSERT INTO fault_item (name, size) VALUES ('stray {own}', 1)")
                session.rollback()
                session.add(Item(name="after"))
            session.commit()

    async def awork(own: str, other: str) -> None:
        async with AsyncSession(place.engine) as session:
            await session.execute(bump(own))
            here[own].set()
            await asyncio.wait_for(here[other].wait(), 20)
            try:
                await session.execute(bump(other))
            except DeadlockError as error:
                check(error)
                for _ in range(2):
                    with pytest.raises(Exception):  # noqa: B017, PT011
                        await session.execute(
                            f"INSERT INTO fault_item (name, size) VALUES ('stray {own}', 1)"
                        )
                await session.rollback()
                session.add(Item(name="after"))
            await session.commit()

    run: Any = awork if place.asynchronous else work
    await _two(place, lambda: run("a", "b"), lambda: run("b", "a"))
    assert len(seen) == 1
    assert await place.rows(SIZES) == [("a", 1), ("after", 0), ("b", 1)]


@pytest.mark.parametrize("server_place", [("mysql", "sync"), ("mysql", "async")], indirect=True, ids="-".join)
async def test_the_transaction_of_a_victim_is_lost_on_mariadb(server_place: Place) -> None:
    """MariaDB rolls back all of it, PostgreSQL waits for ROLLBACK: here the session knows."""
    place = server_place
    await place.save(Item(name="a"), Item(name="b"))
    async with place.session() as one, place.session() as two:
        await one.execute(bump("a"))
        await two.execute(bump("b"))
        waiting: Any = None
        if place.asynchronous:
            waiting = asyncio.ensure_future(one.execute(bump("b")))
        else:
            waiting = asyncio.ensure_future(asyncio.to_thread(one.session.execute, bump("b")))
        await _waits(place)
        lost = None
        try:
            await two.execute(bump("a"))
        except DeadlockError:
            lost = two
        try:
            await waiting
        except DeadlockError:
            lost = one
        assert lost is not None
        assert not lost.session.connection.in_transaction
        with pytest.raises(SessionError, match=r"the transaction is lost .*rollback\(\)"):
            await lost.execute(bump("a"))
        with pytest.raises(SessionError, match=r"the transaction is lost .*rollback\(\)"):
            await lost.commit()
        await lost.rollback()
        for each in (one, two):
            await each.rollback()
    assert await place.rows(SIZES) == [("a", 0), ("b", 0)]


async def _waits(place: Place) -> None:
    """Wait until a connection of this database waits for a lock."""
    with Engine(place.dsn, pool_size=1) as engine, engine.connection() as connection:
        for _ in range(100):
            rows = connection.execute(
                "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
            ).rows
            if rows[0][0]:
                return
            await asyncio.sleep(0.15)  # MariaDB refreshes that table when it was not read for 0.1 s


@pytest.mark.parametrize(
    "place",
    [("sqlite", "sync"), ("sqlite", "async"), ("postgresql", "sync"), ("postgresql", "async")],
    indirect=True,
    ids="-".join,
)
async def test_a_lock_that_is_not_free_in_time(place: Place) -> None:
    """It is waited for as long as lock_timeout says, and the work may be tried again; MariaDB: see below."""
    await place.save(Item(name="a"))
    engine = place.make_engine(lock_timeout=0.2)
    async with place.session() as holder, place.through(engine).session() as waiter:
        await holder.execute(bump("a"))
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match="lock") as raised:
            await waiter.execute(bump("a"))
        assert 0.1 < time.monotonic() - begun < 10
        assert raised.value.retryable
        assert raised.value.code in ("55P03", "SQLITE_BUSY")
        await waiter.rollback()
        await holder.rollback()
        await waiter.execute(bump("a"))
        await waiter.commit()
    assert await place.rows(SIZES) == [("a", 1)]


async def test_a_lock_time_out_in_a_block_keeps_the_rest(server_place: Place) -> None:
    place = server_place
    await place.save(Item(name="a"), Item(name="b"))
    engine = place.make_engine(lock_timeout=0.2)
    async with place.session() as holder, place.through(engine).session() as waiter:
        await holder.execute(bump("a"))
        async with waiter.transaction():
            await waiter.execute(bump("b"))
            with pytest.raises(TimeoutError) as raised:  # noqa: PT012
                async with waiter.transaction():
                    await waiter.execute(bump("b"))
                    await waiter.execute(bump("a"))
            assert raised.value.retryable
            assert raised.value.code in ("55P03", "1205")
            await waiter.execute("INSERT INTO fault_item (name, size) VALUES ('c', 0)")
        await holder.rollback()
    assert await place.rows(SIZES) == [("a", 0), ("b", 1), ("c", 0)]


@pytest.mark.parametrize("server_place", [("mysql", "sync"), ("mysql", "async")], indirect=True, ids="-".join)
async def test_1205_undoes_one_statement_only(server_place: Place) -> None:
    """Without a block, too: what was done before is neither lost nor committed."""
    place = server_place
    await place.save(Item(name="a"), Item(name="b"))
    engine = place.make_engine(lock_timeout=0.2)
    async with place.session() as holder, place.through(engine).session() as waiter:
        await holder.execute(bump("a"))
        await waiter.execute(bump("b"))
        with pytest.raises(TimeoutError, match="a lock was not available within lock_timeout"):
            await waiter.execute(bump("a"))
        assert waiter.session.connection.in_transaction
        assert await place.rows(SIZES) == [("a", 0), ("b", 0)]
        await holder.rollback()
        await waiter.execute(bump("a"))
        await waiter.commit()
    assert await place.rows(SIZES) == [("a", 1), ("b", 1)]


def _swapped(code: int) -> tuple[bytes, bytes]:
    """Make a ROLLBACK for MariaDB, and an error as the answer to something else: what a cluster does."""
    request, answer = b"\x03ROLLBACK", b"\xff" + code.to_bytes(2, "little") + b"#40001refused by the cluster"
    return bytes([len(request), 0, 0, 0]) + request, bytes([len(answer), 0, 0, 1]) + answer


@pytest.mark.parametrize("server_place", [("mysql", "sync"), ("mysql", "async")], indirect=True, ids="-".join)
async def test_a_commit_that_the_cluster_refuses_is_run_again(server_place: Place) -> None:
    """Galera reports a conflict with another node as a deadlock, at COMMIT."""
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
            await session.scalar("SELECT 1")
            proxy.lose, proxy.swap = b"COMMIT", _swapped(1213)
            await session.run_in_transaction(awork if place.asynchronous else work)
            proxy.lose = b"COMMIT"
            await session.begin()
            await session.add(Item(name="by hand"))
            with pytest.raises(DeadlockError):
                await session.commit()
            with pytest.raises(SessionError, match=r"rollback\(\)"):
                await session.scalar("SELECT 1")
            await session.rollback()
            assert await session.scalar("SELECT count(*) FROM fault_item") == 1
        assert proxy.lost == 2
        await engine.adispose()
    assert calls == [1, 1]
    assert await place.rows(SIZES) == [("item 2", 0)]


@pytest.mark.parametrize("server_place", [("mysql", "sync"), ("mysql", "async")], indirect=True, ids="-".join)
async def test_a_node_without_quorum_is_left(server_place: Place) -> None:
    """Galera answers with 1047 on a connection that lives: it is given up all the same."""
    place = server_place
    with Proxy(*place.address) as proxy:
        engine = place.make_engine(proxy.port)
        async with place.through(engine).session() as session:
            first = await place.identity(session)
            proxy.lose, proxy.swap = b"SELECT 7", _swapped(1047)
            with pytest.raises(ConnectionLostError, match="not ready") as raised:
                await session.scalar("SELECT 7")
            assert raised.value.retryable
            await session.rollback()
            assert await place.identity(session) != first
        await engine.adispose()


@pytest.mark.requirement("R10")
@pytest.mark.parametrize(
    "server_place", [("postgresql", "sync"), ("postgresql", "async")], indirect=True, ids="-".join
)
async def test_a_serialization_failure_is_run_again(server_place: Place) -> None:
    """Each reads what the other writes: only one order is serialisable."""
    place = server_place
    await place.save(Item(name="a"), Item(name="b"))
    calls: list[int] = []

    def work(session: Any) -> None:
        calls.append(1)
        total = sum(session.query(Item.size).scalars())
        if len(calls) == 1:
            with Session(place.engine) as other, other.transaction(isolation="SERIALIZABLE"):
                assert other.query(Item).count() == 2
                other.execute(bump("b"))
                session.execute(f"UPDATE fault_item SET size = {total} + 5 WHERE name = 'a'")
        else:
            session.execute(f"UPDATE fault_item SET size = {total} + 5 WHERE name = 'a'")

    async def awork(session: Any) -> None:
        calls.append(1)
        total = sum(await session.query(Item.size).scalars())
        text = f"UPDATE fault_item SET size = {total} + 5 WHERE name = 'a'"
        if len(calls) == 1:
            async with AsyncSession(place.engine) as other, other.transaction(isolation="SERIALIZABLE"):
                assert await other.query(Item).count() == 2
                await other.execute(bump("b"))
                await session.execute(text)
        else:
            await session.execute(text)

    async with place.session() as session:
        await session.run_in_transaction(awork if place.asynchronous else work, isolation="SERIALIZABLE")
    assert len(calls) == 2
    assert await place.rows(SIZES) == [("a", 6), ("b", 1)]


@pytest.mark.requirement("R10")
@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize(
    "server_place", [("postgresql", "sync"), ("postgresql", "async")], indirect=True, ids="-".join
)
async def test_a_second_run_writes_from_what_others_have_written(server_place: Place, isolation: str) -> None:
    place = server_place
    await place.save(Item(name="a"))
    calls: list[int] = []

    def write() -> None:
        calls.append(1)
        if len(calls) == 1:
            with Session(place.engine) as other:
                other.execute("UPDATE fault_item SET size = size + 10")
                other.commit()

    def work(session: Any) -> None:
        item = session.query(Item).one()
        write()
        item.size += 1

    async def awork(session: Any) -> None:
        item = await session.query(Item).one()
        write()
        item.size += 1

    async with place.session() as session:
        await session.run_in_transaction(awork if place.asynchronous else work, isolation=isolation)
    assert len(calls) == 2
    assert await place.rows(SIZES) == [("a", 11)]


async def test_a_failing_function_is_not_run_again(place: Place) -> None:
    calls: list[int] = []

    def work(session: Any) -> None:
        calls.append(1)
        session.add(Item(name="a"))
        raise ZeroDivisionError

    async def awork(session: Any) -> None:
        work(session)

    async with place.session() as session:
        with pytest.raises(ZeroDivisionError):
            await session.run_in_transaction(awork if place.asynchronous else work)
        assert calls == [1]
        assert await session.all(Item) == []


async def test_retries_end(place: Place) -> None:
    calls: list[int] = []

    def work(session: Any) -> None:
        calls.append(1)
        raise SerializationError("again and again")

    async def awork(session: Any) -> None:
        work(session)

    async with place.session() as session:
        with pytest.raises(SerializationError):
            await session.run_in_transaction(awork if place.asynchronous else work, retries=2)
        assert calls == [1, 1, 1]
        assert await session.all(Item) == []


@pytest.mark.parametrize(
    "server_place", [("postgresql", "sync"), ("postgresql", "async")], indirect=True, ids="-".join
)
async def test_a_table_altered_since_its_statement_was_prepared(server_place: Place) -> None:
    """Outside of a transaction nobody sees it; inside, the transaction can be run again."""
    place = server_place
    table, text = "fault_altered", "SELECT * FROM fault_altered"
    async with place.session() as session, place.session() as other:
        await other.execute(f"CREATE TABLE {table} (a INT)")
        await other.commit()
        try:
            for _ in range(2):
                assert list(await session.execute(text)) == []
            await other.execute(f"ALTER TABLE {table} ADD b INT")
            await other.commit()
            assert list(await session.execute(text)) == []
            await session.begin()
            await session.scalar("SELECT 1")
            await other.execute(f"ALTER TABLE {table} ADD c INT")
            await other.commit()
            if place.asynchronous:
                with pytest.raises(SerializationError, match="altered since"):
                    await session.execute(text)
                await session.rollback()
            assert list(await session.execute(text)) == []
            await session.rollback()
        finally:
            await other.execute(f"DROP TABLE {table}")
            await other.commit()
