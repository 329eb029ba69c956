"""A commit of one new object is one statement where trips are dear; faults are told as those of a COMMIT."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from blaze import AsyncSession, CommitOutcomeUnknownError, Engine, Session, SessionError, UniqueError
from tests.faults.models import Item, Part
from tests.faults.places import Place
from tests.faults.proxy import Proxy
from tests.faults.test_cancelled import BLOCKING, COUNT, Interrupt

AWAITING_EVERYWHERE = pytest.mark.parametrize(
    "place",
    [(backend, "async") for backend in ("sqlite", "postgresql", "mysql")],
    indirect=True,
    ids="-".join,
)


@pytest.mark.requirement("R5")
async def test_one_new_object_is_one_round_trip(server_place: Place) -> None:
    with Proxy(*server_place.address) as proxy:
        engine = server_place.make_engine(proxy.port)
        async with server_place.through(engine).session() as session:
            await session.add(Item(name="first"))  # opens the connection, and prepares the statement
            await session.commit()
            before = proxy.requests
            item = Item(name="second")
            await session.add(item)
            await session.commit()
            assert proxy.requests == before + 1
            assert item.id > 0
            assert not session.session.in_transaction
            # Two objects are a transaction.
            session.session.add_all([Item(name="third"), Item(name="fourth", note="other")])
            before = proxy.requests
            await session.commit()
            assert proxy.requests > before + 1
            # And so is what has begun already.
            await session.begin()
            await session.add(Item(name="fifth"))
            await session.rollback()
            assert await session.scalar(COUNT) == 4
        await engine.adispose()


@pytest.mark.parametrize("place", [("sqlite", "async")], indirect=True, ids="-".join)
async def test_one_new_object_is_one_trip_to_the_thread(place: Place) -> None:
    seen: list[str] = []
    async with AsyncSession(place.engine) as session:
        assert await session.exec_scalar(COUNT) == 0
        await session.connection.raw.set_trace_callback(seen.append)
        session.add(Item(name="alone"))
        await session.commit()
        assert [text.split()[0] for text in seen] == ["INSERT"]
        session.add_all([Item(name="two"), Item(name="three")])
        await session.commit()
        assert [text.split()[0] for text in seen[1:]] == ["BEGIN", "INSERT", "COMMIT"]


async def test_a_refused_object_stays_pending(place: Place) -> None:
    async with place.session() as session:
        await session.add(Item(name="taken"))
        await session.commit()
        item = Item(name="taken")
        await session.add(item)
        with pytest.raises(UniqueError) as raised:
            await session.commit()
        assert raised.value.columns == ("name",)
        assert session.session.new == [item]
        item.name = "free"
        await session.commit()
        assert (item.id > 0, session.session.new) == (True, [])
        await session.rollback()  # there is nothing left to take back
        assert item.id > 0
        assert await session.scalar(COUNT) == 2


async def test_an_unknown_outcome_is_not_sent_again(server_place: Place) -> None:
    """Neither a second commit() nor the end of the block repeats it; rollback() makes the object new."""
    with Proxy(*server_place.address) as proxy:
        engine = server_place.make_engine(proxy.port)
        async with server_place.through(engine).session() as session:
            assert await session.scalar(COUNT) == 0
            item = Item(name="once")
            await session.add(item)
            proxy.lose, proxy.answered = b"once", True
            with pytest.raises(CommitOutcomeUnknownError, match="broke during INSERT"):
                await session.commit()
            with pytest.raises(SessionError, match="rollback"):
                await session.commit()
            await session.rollback()
            assert session.session.new == []
            assert item.id is None
            item.name = "twice"
            await session.add(item)
            await session.commit()
        assert sorted(await server_place.rows("SELECT name FROM fault_item")) == [("once",), ("twice",)]
        await engine.adispose()


async def test_a_relation_to_another_new_object_is_a_transaction(server_place: Place) -> None:
    async with server_place.session() as session:
        await session.add(Part(item=Item(name="whole")))
        await session.commit()
        await session.add(Part(item_id=999_999))
        with pytest.raises(Exception, match="referenced row"):
            await session.commit()
        await session.rollback()
        assert await session.scalar("SELECT count(*) FROM fault_part") == 1


@AWAITING_EVERYWHERE
async def test_a_commit_cancelled_at_any_moment(place: Place) -> None:
    """Memory agrees with the database: what was stored is saved, what was not can be added again."""
    engine = place.make_engine(pool_size=2, max_overflow=0)
    outcomes = set()
    for number in range(60):
        name = f"item {number}"
        async with AsyncSession(engine) as session:
            await session.exec_scalar("SELECT 1")
            item = Item(name=name)
            session.add(item)
            task = asyncio.ensure_future(session.commit())
            for _ in range(number % 12):
                await asyncio.sleep(0)
            if number > 30:
                await asyncio.sleep((number - 30) * 0.0002)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            async with AsyncSession(engine) as other:
                stored = await other.query(Item).where(Item.name == name).exists()
            assert (item not in session.new) == stored
            outcomes.add(stored)
            await session.rollback()
        assert engine.pool_stats().in_use == 0
    assert outcomes == {True, False}


@AWAITING_EVERYWHERE
async def test_a_cancelled_commit_that_waits_for_a_lock_is_given_up(place: Place) -> None:
    """After a second nobody waits on; what became of it is not known, so the session asks for rollback()."""
    threads = set(threading.enumerate())
    async with AsyncSession(place.engine) as holder, AsyncSession(place.engine) as session:
        assert await session.exec_scalar(COUNT) == 0  # its connection is open
        await holder.begin()
        await session.rollback()
        holder.add(Item(name="held"))
        await holder.flush()
        item = Item(name="held")
        session.add(item)
        task = asyncio.ensure_future(session.commit())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
        with pytest.raises(SessionError, match="rollback"):
            await session.commit()
        await session.rollback()
        assert session.new == []
        await holder.commit()
        assert await session.exec_scalar(COUNT) == 1
    await place.engine.adispose()
    while set(threading.enumerate()) - threads:  # who waited for the lock reports to this event loop
        await asyncio.sleep(0.01)


@BLOCKING
def test_a_commit_interrupted_at_any_moment(server_place: Place) -> None:
    engine: Engine = server_place.make_engine(pool_size=2, max_overflow=0)
    with Interrupt() as interrupt:
        for number in range(40):
            item = Item(name=f"item {number}")
            session = Session(engine)

            def work(session: Session = session, item: Item = item) -> None:
                session.add(item)
                session.commit()

            interrupt.after(number * 0.0001, work)
            uncertain = session.transactions.broken is not None
            fresh: Any = item in session.new or not item._ctx_
            session.rollback()
            with Session(engine) as other:
                stored = other.query(Item).where(Item.name == item.name).exists()
            if not uncertain:
                assert fresh != stored
            session.close()
            assert engine.pool_stats().in_use == 0
