"""Tasks and threads that are stopped in the middle of real work: all or nothing, and nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from blaze import AsyncSession, Engine, Session, sql
from tests.faults.models import Item, Part
from tests.faults.places import SLEEP, Place

# A condition that takes its time for each row.
SLEEP_SOME = {"postgresql": "pg_sleep(1) IS NOT NULL", "mysql": "sleep(1) = 0"}
COUNT = "SELECT count(*) FROM fault_item"
AWAITING = pytest.mark.parametrize(
    "server_place", [("postgresql", "async"), ("mysql", "async")], indirect=True, ids="-".join
)
BLOCKING = pytest.mark.parametrize(
    "server_place", [("postgresql", "sync"), ("mysql", "sync")], indirect=True, ids="-".join
)


async def _work(session: AsyncSession, number: int) -> None:
    async with session.transaction():
        item = Item(name=f"outer {number}")
        session.add_all([item, Part(item=item)])
        await session.flush()
        await session.query(Item).limit(2).all()
        async with session.transaction():
            session.add(Item(name=f"inner {number}"))


@AWAITING
@pytest.mark.parametrize("ending", ["rollback", "close"])
async def test_a_task_cancelled_at_any_moment(server_place: Place, ending: str) -> None:
    """Cancel later and later; what follows sees all rows of the work or none, on the same pool."""
    engine = server_place.make_engine(pool_size=2, max_overflow=0)
    stored = 0
    for number in range(50):
        session = AsyncSession(engine)
        task = asyncio.ensure_future(_work(session, number))
        if number < 35:
            for _ in range(number):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep((number - 35) * 0.0006)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await getattr(session, ending)()
        async with AsyncSession(engine) as other:
            now = int(await other.exec_scalar(COUNT))
        assert now - stored in (0, 2)
        stored = now
        if ending == "rollback":
            assert await session.exec_scalar(COUNT) == stored
        await session.close()
        assert engine.pool_stats().in_use == 0


@AWAITING
async def test_a_cancelled_statement_frees_its_connection(server_place: Place) -> None:
    """The statement does not go on in the server, and the session can be used again at once."""
    place = server_place
    async with AsyncSession(place.engine) as session:
        task = asyncio.ensure_future(session.exec_scalar(SLEEP[place.backend].format(20)))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await session.rollback()
        assert await asyncio.wait_for(session.exec_scalar("SELECT 1 + 1"), 10) == 2
    assert place.engine.pool_stats().in_use == 0


@AWAITING
async def test_a_cancelled_stream(server_place: Place) -> None:
    """The cancellation arrives, wherever the stream was; nothing is left on the connection."""
    place = server_place
    engine = place.make_engine(pool_size=1, max_overflow=0)
    async with AsyncSession(engine) as session:
        await session.bulk_insert([Item(name=f"item {n}") for n in range(500)])
        await session.commit()
        query = session.query(Item).where(sql(SLEEP_SOME[place.backend]))

        async def read(waiting: bool) -> None:
            async for _ in (query if waiting else session.query(Item)).stream(size=20):
                pass

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(read(True), 0.2)
        await session.rollback()
        assert int(await session.exec_scalar(COUNT)) == 500
        # asyncmy has to connect anew each time, and asyncio may lose a socket that is cancelled meanwhile.
        for number in range(60 if place.backend == "postgresql" else 0):
            task = asyncio.ensure_future(read(False))
            await asyncio.sleep(0)
            for _ in range(number):
                await asyncio.sleep(0.0001 * (number % 3))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await session.rollback()
        assert int(await session.exec_scalar(COUNT)) == 500
        if place.backend == "postgresql":
            assert await session.exec_scalar("SELECT count(*) FROM pg_cursors WHERE name LIKE 'blaze%'") == 0


class Interrupt:
    """Interrupt the main thread once, after a while, with what Ctrl-C raises."""

    def __init__(self) -> None:
        self.done = False

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGUSR1, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGUSR1, self._before)

    def _handle(self, *_: object) -> None:
        self.done = True
        raise KeyboardInterrupt

    def after(self, delay: float, work: Callable[[], None]) -> None:
        """Run some work and interrupt it, or what comes after it."""
        self.done = False
        main = threading.get_ident()
        timer = threading.Timer(delay, lambda: signal.pthread_kill(main, signal.SIGUSR1))
        with contextlib.suppress(KeyboardInterrupt):
            timer.start()
            work()
            while not self.done:
                time.sleep(0.001)
        timer.join()


def _store(engine: Engine, number: int) -> None:
    with Session(engine) as session, session.transaction():
        item = Item(name=f"outer {number}")
        session.add_all([item, Part(item=item)])
        session.flush()
        session.query(Item).limit(2).all()
        session.add(Item(name=f"inner {number}"))


@BLOCKING
async def test_a_thread_interrupted_at_any_moment(server_place: Place) -> None:
    engine = server_place.make_engine(pool_size=2, max_overflow=0)
    stored = 0
    with Interrupt() as interrupt:
        for number in range(25):
            interrupt.after(number * 0.0003, partial(_store, engine, number))
            with Session(engine) as session:
                now = int(session.exec_scalar(COUNT))
            assert now - stored in (0, 2)
            stored = now
            assert engine.pool_stats().in_use == 0


@BLOCKING
async def test_an_interrupted_statement_leaves_no_half_answer(server_place: Place) -> None:
    """PyMySQL stops waiting at once; libpq waits for the answer first. Both go on with right answers."""
    place = server_place
    engine = place.make_engine(pool_size=1, max_overflow=0)
    with Interrupt() as interrupt, Session(engine) as session:
        interrupt.after(0.2, lambda: session.exec_scalar(SLEEP[place.backend].format(1)))
        session.rollback()
        for n in range(5):
            assert session.exec_scalar("SELECT ? + 1", [n]) == n + 1
    assert engine.pool_stats().in_use == 0


@BLOCKING
async def test_an_interrupted_stream(server_place: Place) -> None:
    """The interrupt arrives, and closing the stream does not hide it."""
    place = server_place
    engine = place.make_engine(pool_size=1, max_overflow=0, statement_timeout=1)
    met: list[str] = []
    with Interrupt() as interrupt, Session(engine) as session:
        session.add_all([Item(name=f"item {n}") for n in range(5)])
        session.commit()

        def read() -> None:
            try:
                for _ in session.query(Item).where(sql(SLEEP_SOME[place.backend])).stream():
                    pass
            except BaseException as error:
                met.append(type(error).__name__)
                raise

        interrupt.after(0.2, read)
        session.rollback()
        assert met == ["KeyboardInterrupt"]
        assert session.exec_scalar(COUNT) == 5
    assert engine.pool_stats().in_use == 0
