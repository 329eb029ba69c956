"""Threads and tasks on one session, on one engine and on a small pool; what a forked child may use."""

# ruff: noqa: PT012 - what raises here are blocks

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from blaze import AsyncSession, Engine, Select, Session, create_all
from blaze.errors import PoolTimeoutError, SessionError, UncommittedChangesWarning
from tests.persistence.models import MODELS, Account, Author, Book, Tag
from tests.persistence.twins import Database

THREADED = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


class Boom(Exception):
    pass


def together(number: int, work: Callable[[int], Any]) -> list[Any]:
    """Run work in threads at the same time; raise what the first of them raises."""
    gate = threading.Barrier(number)

    def one(which: int) -> Any:
        gate.wait()
        return work(which)

    with ThreadPoolExecutor(number) as pool:
        return [done.result() for done in [pool.submit(one, which) for which in range(number)]]


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine whose callers wait for a fifth of a second only."""
    with Engine(f"sqlite:///{tmp_path / 'hasty.db'}", pool_timeout=0.2) as engine:
        create_all(engine, MODELS)
        yield engine


class Holder:
    """A thread that opens a block on a session, adds a tag in it, and leaves it when it is told to."""

    def __init__(self, session: Session, fails: bool = False) -> None:
        self.session = session
        self.fails = fails
        self.inside, self.may_leave = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        assert self.inside.wait(5)

    def run(self) -> None:
        try:
            with self.session.transaction():
                self.session.add(Tag(name="held"))
                self.session.flush()
                self.inside.set()
                assert self.may_leave.wait(20)
                if self.fails:
                    raise Boom
        except Boom:
            pass

    def leave(self) -> None:
        self.may_leave.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


# --- a block belongs to one thread at a time

OPERATIONS: list[Callable[[Session], Any]] = [
    lambda s: s.add(Tag(name="t")),
    lambda s: s.add_all([Tag(name="t")]),
    lambda s: s.delete(s.identity[Tag][1]),
    lambda s: s.expunge(s.identity[Tag][1]),
    lambda s: s.flush(),
    lambda s: s.commit(),
    lambda s: s.rollback(),
    lambda s: s.close(),
    lambda s: s.begin(),
    lambda s: s.transaction().__enter__(),
    lambda s: s.run_in_transaction(lambda: None),
    lambda s: s.query(Tag).all(),
    lambda s: s.get(Tag, 99),
    lambda s: s.execute("SELECT 1"),
    lambda s: next(s.stream(Select(Tag))),
    lambda s: s.refresh(s.identity[Tag][1]),
    lambda s: s.bulk_insert([Tag(name="t")]),
    lambda s: s.merge(Tag(name="t")),
]


@pytest.mark.requirement("R37")
@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_another_thread_gets_a_clear_error_when_a_block_does_not_end(hasty: Engine, number: int) -> None:
    with Session(hasty) as session:
        session.add(Tag(name="first"))
        session.commit()
        tag = session.get_one(Tag, 1)
        tag.name = "changed"  # so that a flush has something to do
        holder = Holder(session)
        with pytest.raises(SessionError, match="one thread at a time"):
            tag.name = "late"
            OPERATIONS[number](session)
        holder.leave()
        OPERATIONS[number](session)
        if not session.closed:
            session.rollback()
    with Session(hasty) as session:
        assert [name for (name,) in session.execute("SELECT name FROM tag WHERE id < 3").all()] == [
            "late",
            "held",
        ]
    assert hasty.pool_stats().in_use == 0


@pytest.mark.requirement("R37")
@pytest.mark.parametrize("fails", [False, True])
def test_another_thread_waits_for_the_end_of_a_block(engine: Engine, fails: bool) -> None:
    with Session(engine) as session:
        holder = Holder(session, fails)
        threading.Timer(0.1, holder.may_leave.set).start()
        session.add(Tag(name="after"))
        assert not session.transactions.levels
        session.commit()
        holder.leave()
        names = [tag.name for tag in session.query(Tag).order_by(Tag.id)]
        assert names == (["after"] if fails else ["held", "after"])
    assert engine.pool_stats().in_use == 0


def test_a_block_of_another_thread_is_no_savepoint_of_the_open_one(engine: Engine) -> None:
    """What the first rolls back is its own work only, and what the second commits is."""
    with Session(engine) as session:
        holder = Holder(session, fails=True)

        def second() -> None:
            with session.transaction():
                session.add(Tag(name="second"))

        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        holder.leave()
        thread.join()
        assert [tag.name for tag in session.query(Tag)] == ["second"]


def test_a_thread_that_ended_in_its_block_leaves_it_to_the_next(hasty: Engine) -> None:
    with Session(hasty) as session:

        def half() -> None:
            session.transaction().__enter__()
            session.add(Tag(name="half"))
            session.flush()

        thread = threading.Thread(target=half)
        thread.start()
        thread.join()
        session.rollback()
        assert session.query(Tag).count() == 0
        with session.transaction():
            session.add(Tag(name="whole"))
        assert session.query(Tag).count() == 1
    assert hasty.pool_stats().in_use == 0


def test_a_block_can_be_left_by_another_thread_than_entered(engine: Engine) -> None:
    """As by frameworks that run the two halves of a generator in a pool of threads."""
    with Session(engine) as session:
        block = session.transaction()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(block.__enter__).result()
            pool.submit(session.add, Tag(name="t")).result()
            block.__exit__(None, None, None)
        assert session.query(Tag).count() == 1


def test_a_session_can_be_left_in_another_context_than_entered(engine: Engine) -> None:
    """As by frameworks that run the two halves of a generator in copies of a context."""
    session = Session(engine)
    contextvars.copy_context().run(session.__enter__)
    session.add(Tag(name="t"))
    session.flush()
    with pytest.warns(UncommittedChangesWarning):
        contextvars.copy_context().run(session.__exit__, None, None, None)
    assert session.closed
    assert engine.pool_stats().in_use == 0


async def test_an_async_session_can_be_left_in_another_task_than_entered(awaiting: Database) -> None:
    session = AsyncSession(awaiting.engine)
    await asyncio.ensure_future(session.__aenter__())
    await session.query(Tag).all()
    await asyncio.ensure_future(session.__aexit__(None, None, None))
    assert session.closed
    assert awaiting.engine.pool_stats().in_use == 0


def test_hooks_of_a_block_use_its_session_while_others_wait(engine: Engine) -> None:
    class Hooks:
        def before_save(self, instance: Any, session: Session) -> None:
            session.execute("SELECT 1")

        def after_commit(self, session: Session) -> None:
            with session.transaction():
                session.execute("SELECT 2")

    with Session(engine, hooks=[Hooks()]) as session:

        def work(number: int) -> None:
            for i in range(10):
                with session.transaction():
                    session.add(Tag(name=f"{number}-{i}"))

        together(4, work)
        assert session.query(Tag).count() == 40


@pytest.mark.requirement("R37")
def test_four_threads_on_one_session_mix_everything(engine: Engine) -> None:
    """Blocks that succeed or fail, nested ones, single calls: the totals are those of each thread alone."""
    with Session(engine) as session:
        accounts = [Account(owner=str(number)) for number in range(4)]
        session.add_all(accounts)
        session.commit()

        def add(name: str) -> None:
            session.add(Author(name=name, books=[Book(title=name)]))

        def work(number: int) -> int:
            kept = 0
            mine = session.get_one(Account, accounts[number].id)
            for i in range(30):
                try:
                    with session.transaction():
                        add(f"{number}-{i}")
                        mine.balance += 1
                        try:
                            with session.transaction():
                                add(f"{number}-{i}-inner")
                                mine.balance += 100
                                if i % 2:
                                    raise Boom
                        except Boom:
                            pass
                        before = session.query(Book).where(Book.title.startswith(f"{number}-{i}")).count()
                        assert before == 2 - i % 2
                        if i % 3 == 0:
                            raise Boom
                    kept += before
                except Boom:
                    pass
                with session.transaction():
                    session.add(Tag(name=f"{number}-{i}"))
                if i % 4 == 0:
                    session.commit()
                assert session.get(Account, mine.id) is mine
                assert session.query(Tag).where(Tag.name == f"{number}-{i}").count() == 1
            return kept

        kept = together(4, work)
        session.commit()
        assert session.query(Tag).count() == 120
        assert session.query(Book).count() == session.query(Author).count() == sum(kept)
        expected = sum((1 if i % 2 else 101) for i in range(30) if i % 3)
        assert [account.balance for account in accounts] == [expected] * 4
    with Session(engine) as session:
        assert session.query(Account.balance).scalars() == [expected] * 4
    assert engine.pool_stats().in_use == 0


def test_who_waits_comes_before_who_opens_one_block_after_the_other(engine: Engine) -> None:
    with Session(engine) as session:
        order: list[str] = []
        inside = threading.Event()

        def eager() -> None:
            with session.transaction():
                inside.set()
                while not session._queue:
                    time.sleep(0.001)
            with session.transaction():
                order.append("eager")

        thread = threading.Thread(target=eager)
        thread.start()
        inside.wait()
        with session.transaction():
            order.append("patient")
        thread.join()
        assert order == ["patient", "eager"]


@pytest.mark.requirement("R37")
def test_streams_and_lazy_loads_of_several_threads(engine: Engine) -> None:
    with Session(engine) as session:
        session.add_all([Author(name=f"a{i}", books=[Book(title=f"b{i}")]) for i in range(200)])
        session.commit()
        assert engine.pool_stats().in_use == 0

        def work(number: int) -> int:
            total = sum(1 for _ in session.stream(Select(Author), size=7))
            with session.transaction():
                assert sum(len(author.books) for author in session.query(Author).limit(50)) == 50
            return total + sum(1 for _ in session.stream(Select(Book.title), size=7))

        assert together(4, work) == [400] * 4
    assert engine.pool_stats().in_use == 0


# --- engines and pools


@pytest.mark.requirement("R110")
def test_sixteen_threads_on_one_engine_count_right(tmp_path: Path) -> None:
    with Engine(f"sqlite:///{tmp_path / 'sixteen.db'}?lock_timeout=30", pool_timeout=60) as engine:
        create_all(engine, MODELS)
        with Session(engine) as session:
            session.add(Account(owner="all"))
            session.commit()

        def work(number: int) -> None:
            for i in range(20):
                with Session(engine) as session, session.transaction():
                    session.get_one(Account, 1).balance += 1
                    session.add(Tag(name=f"{number}-{i}"))

        together(16, work)
        with Session(engine) as session:
            assert session.get_one(Account, 1).balance == session.query(Tag).count() == 320
        assert engine.pool_stats().in_use == 0


@pytest.mark.requirement("R110")
def test_fifty_threads_share_three_connections(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path / 'fifty.db'}?lock_timeout=30"
    with Engine(dsn, pool_size=3, max_overflow=0, pool_timeout=60) as engine:
        create_all(engine, MODELS)
        most = []

        def work(number: int) -> list[Any]:
            with Session(engine) as session:
                session.add(Tag(name=str(number)))
                session.commit()
            with Session(engine) as session:
                found = session.query(Tag.name).where(Tag.name == str(number)).scalars()
                most.append(engine.pool_stats().in_use)
            return list(found)

        assert together(50, work) == [[str(number)] for number in range(50)]
        assert max(most) <= 3
        stats = engine.pool_stats()
        assert (stats.in_use, stats.waiting) == (0, 0)
        held = [engine.acquire() for _ in range(3)]
        with pytest.raises(PoolTimeoutError):
            engine.acquire(0)
        for connection in held:
            engine.release(connection)


# --- forks


def in_child(work: Callable[[], Any]) -> str:
    """Run work in a forked child; return what it returned or raised."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:  # pragma: no cover - another process
        try:
            said = repr(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with open(reading) as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said


if hasattr(os, "fork"):

    @THREADED
    def test_four_children_ask_three_hundred_times_each(engine: Engine) -> None:
        with Session(engine) as session:
            session.add_all([Tag(name=f"t{i}") for i in range(300)])
            session.commit()
            session.query(Tag).first()

        def ask(number: int) -> int:
            right = 0
            for i in range(300):
                with Session(engine) as own:
                    right += own.query(Tag.name).where(Tag.id == i + 1).scalar() == f"t{i}"
            with Session(engine) as own:
                own.add(Author(name=f"child {number}"))
                own.commit()
            return right

        def child(number: int) -> str:
            return in_child(lambda: ask(number))

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(child, range(4))) == ["300"] * 4
        assert ask(9) == 300
        with Session(engine) as session:
            assert session.query(Author).count() == 5
        assert engine.pool_stats().in_use == 0

    def test_a_child_cannot_use_an_open_session_of_its_parent(engine: Engine) -> None:
        with Session(engine) as session:
            session.add_all([Tag(name=f"t{i}") for i in range(50)])
            session.flush()
            stream = session.stream(Select(Tag), size=5)
            next(stream)
            author = Author(name="a")
            session.add(author)
            for use in (
                lambda: session.query(Tag).count(),
                lambda: list(stream),
                session.flush,
                session.commit,
            ):
                said = in_child(use)
                assert "parent" in said, said
                assert said.split(":")[0] in ("SessionError", "DatabaseError", "ConnectionLostError"), said
            assert in_child(lambda: Session(engine).query(Author).count()) == "0"
            assert in_child(session.close) == "None"
            assert len(list(stream)) == 49
            session.commit()
            assert session.query(Tag).count() == 50
        with Session(engine) as session:
            assert session.query(Author).count() == 1
        assert engine.pool_stats().in_use == 0

    def test_a_session_that_is_at_rest_works_in_a_child(engine: Engine) -> None:
        with Session(engine) as session:
            session.add(Tag(name="t"))
            session.commit()
            tag = session.get_one(Tag, 1)
            session.commit()
            assert in_child(lambda: session.query(Tag).one() is tag) == "True"
            assert session.query(Tag).one() is tag


# --- tasks


class TaskHolder:
    """A task that opens a block on a session, adds a tag in it, and leaves it when it is told to."""

    def __init__(self, session: AsyncSession, fails: bool = False) -> None:
        self.session = session
        self.fails = fails
        self.inside, self.may_leave = asyncio.Event(), asyncio.Event()
        self.task = asyncio.ensure_future(self.run())

    async def run(self) -> None:
        try:
            async with self.session.transaction():
                await self.session.add(Tag(name="held"))
                await self.session.flush()
                self.inside.set()
                await self.may_leave.wait()
                if self.fails:
                    raise Boom
        except Boom:
            pass

    async def leave(self) -> None:
        self.may_leave.set()
        await self.task


async def _enter(session: AsyncSession) -> None:
    await session.transaction().__aenter__()


ASYNC_OPERATIONS: list[Callable[[AsyncSession], Any]] = [
    lambda s: s.commit(),
    lambda s: s.rollback(),
    lambda s: s.close(),
    lambda s: s.begin(),
    _enter,
    lambda s: s.run_in_transaction(lambda: asyncio.sleep(0)),
    lambda s: s.query(Tag).all(),
    lambda s: s.get(Tag, 99),
    lambda s: s.stream(Select(Tag)).__anext__(),
    lambda s: s.bulk_insert([Tag(name="t")]),
    lambda s: s.merge(Tag(name="t")),
]


@pytest.mark.requirement("R37")
@pytest.mark.parametrize("number", range(len(ASYNC_OPERATIONS)))
async def test_another_task_gets_a_clear_error_when_a_block_does_not_end(hasty: Engine, number: int) -> None:
    session = AsyncSession(hasty)
    holder = TaskHolder(session)
    await holder.inside.wait()
    with pytest.raises(SessionError, match="one task at a time"):
        await ASYNC_OPERATIONS[number](session)
    for refused in (session.add, session.delete):
        with pytest.raises(SessionError, match="one task at a time"):
            await refused(Tag(name="refused"))
    with pytest.raises(SessionError, match="one task at a time"):
        await session.add_all([Tag(name="refused")])
    await holder.leave()
    await ASYNC_OPERATIONS[number](session)
    await session.close()
    async with AsyncSession(hasty) as other:
        assert "held" in await other.query(Tag.name).scalars()
        assert await other.query(Tag).where(Tag.name == "refused").count() == 0
    assert hasty.pool_stats().in_use == 0
    await hasty.adispose()


@pytest.mark.parametrize("fails", [False, True])
async def test_another_task_waits_for_the_end_of_a_block(awaiting: Database, fails: bool) -> None:
    async with AsyncSession(awaiting.engine) as session:
        holder = TaskHolder(session, fails)
        await holder.inside.wait()
        asyncio.get_running_loop().call_later(0.05, holder.may_leave.set)
        async with session.transaction():
            assert len(session.transactions.levels) == 1
            await session.add(Tag(name="after"))
        await holder.leave()
        names = await session.query(Tag.name).order_by(Tag.id).scalars()
        assert names == (["after"] if fails else ["held", "after"])


async def test_the_task_that_waits_comes_first(awaiting: Database) -> None:
    async with AsyncSession(awaiting.engine) as session:
        order: list[str] = []
        inside = asyncio.Event()

        async def eager() -> None:
            async with session.transaction():
                inside.set()
                while not session._queue:
                    await asyncio.sleep(0.001)
            async with session.transaction():
                order.append("eager")

        task = asyncio.ensure_future(eager())
        await inside.wait()
        async with session.transaction():
            order.append("patient")
        await task
        assert order == ["patient", "eager"]


async def test_tasks_that_a_block_starts_take_part_in_it(awaiting: Database) -> None:
    async with AsyncSession(awaiting.engine) as session:

        async def child(number: int) -> None:
            session.add(Tag(name=f"t{number}"))
            await session.flush()
            try:
                async with session.transaction():  # its own: the others wait
                    session.add(Tag(name=f"inner{number}"))
                    await session.flush()
                    await asyncio.sleep(0.01)
                    assert await session.query(Tag).where(Tag.name == f"inner{number}").count() == 1
                    if number % 2:
                        raise Boom
            except Boom:
                pass

        with pytest.raises(Boom):
            async with session.transaction():
                await asyncio.gather(*[child(number) for number in range(6)])
                raise Boom
        assert await session.query(Tag).count() == 0
        async with session.transaction():
            await asyncio.gather(*[child(number) for number in range(6)])
            await asyncio.wait_for(session.query(Tag).count(), 5)
        assert await session.query(Tag).count() == 9


async def test_a_block_does_not_end_before_the_blocks_of_its_tasks(hasty: Engine) -> None:
    async with AsyncSession(hasty) as session:
        holder: Optional[TaskHolder] = None
        with pytest.raises(SessionError, match="one task at a time"):
            async with session.transaction():
                session.add(Tag(name="outer"))
                holder = TaskHolder(session)
                await holder.inside.wait()
        assert holder is not None
        with pytest.raises(SessionError, match=r"rolled back by another task|ended inside its block"):
            await holder.leave()
        assert await session.query(Tag).count() == 0
    assert hasty.pool_stats().in_use == 0
    await hasty.adispose()


async def test_a_task_of_a_block_that_failed_cannot_go_on_outside_of_it(awaiting: Database) -> None:
    async with AsyncSession(awaiting.engine) as session:
        ended = asyncio.Event()

        async def late() -> None:
            await ended.wait()
            session.add(Tag(name="late"))

        async def fails() -> None:
            raise Boom

        with pytest.raises(Boom):
            async with session.transaction():
                task = asyncio.ensure_future(late())
                await asyncio.gather(task, fails())
        ended.set()
        with pytest.raises(SessionError, match="rolled back by another task"):
            await task
        await session.commit()
        assert await session.query(Tag).count() == 0


async def test_a_task_that_ended_in_its_block_leaves_it_to_the_next(hasty: Engine) -> None:
    """So does the fixture of a test run that enters a block in one task and leaves it in another."""
    async with AsyncSession(hasty) as session:
        block = session.transaction()

        async def enter() -> None:
            await block.__aenter__()

        await asyncio.ensure_future(enter())
        await session.add(Tag(name="t"))
        assert await session.query(Tag).count() == 1
        await asyncio.ensure_future(block.__aexit__(None, None, None))
        assert await session.query(Tag).count() == 1
        await session.rollback()
        assert await session.query(Tag).count() == 1
    await hasty.adispose()


@pytest.mark.requirement("R37")
async def test_tasks_on_one_session_mix_everything(awaiting: Database) -> None:
    async with AsyncSession(awaiting.engine) as session:
        accounts = [Account(owner=str(number)) for number in range(5)]
        await session.add_all(accounts)
        await session.commit()

        async def work(number: int) -> int:
            kept = 0
            mine = await session.get_one(Account, accounts[number].id)
            for i in range(12):
                try:
                    async with session.transaction():
                        session.add(Author(name=f"{number}-{i}", books=[Book(title=f"{number}-{i}")]))
                        mine.balance += 1
                        await asyncio.sleep(0)
                        try:
                            async with session.transaction():
                                session.add(Author(name="inner", books=[Book(title=f"{number}-{i}-inner")]))
                                mine.balance += 100
                                if i % 2:
                                    raise Boom
                        except Boom:
                            pass
                        found = (
                            await session.query(Book).where(Book.title.startswith(f"{number}-{i}")).count()
                        )
                        assert found == 2 - i % 2
                        if i % 3 == 0:
                            raise Boom
                    kept += found
                except Boom:
                    pass
                assert await session.get(Account, mine.id) is mine
                async with session.transaction():
                    await session.add(Tag(name=f"{number}-{i}"))
                if i % 4 == 0:
                    await session.commit()
                assert await session.query(Tag).where(Tag.name == f"{number}-{i}").count() == 1
            return kept

        kept = await asyncio.gather(*[work(number) for number in range(5)])
        assert await session.query(Tag).count() == 60
        assert await session.query(Book).count() == await session.query(Author).count() == sum(kept)
        expected = sum((1 if i % 2 else 101) for i in range(12) if i % 3)
        assert [account.balance for account in accounts] == [expected] * 5
        assert await session.query(Account.balance).scalars() == [expected] * 5


async def test_streams_of_several_tasks_share_one_connection(awaiting: Database) -> None:
    await awaiting.save(*[Tag(name=f"t{i}") for i in range(100)])
    async with AsyncSession(awaiting.engine) as session:

        async def read() -> int:
            return len([tag async for tag in session.stream(Select(Tag), size=7)])

        assert await asyncio.gather(*[read() for _ in range(4)]) == [100] * 4
        assert awaiting.engine.pool_stats().in_use == 1
