"""Cancellation at every await: nothing open, nothing lost, rows and objects agree, a retry works."""

# ruff: noqa: B023, PT012 - the functions of a loop live as long as its turn; what raises here are loops

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any, Optional

import pytest

from blaze import AsyncSession, Engine, Select, Session, create_all
from blaze.errors import PoolTimeoutError
from tests.persistence.models import MODELS, Author, Book, Profile, Tag

TITLES = [f"b{i}" for i in range(6)]


class CancelledAt:
    """Runs a coroutine and raises CancelledError in it at the await with a number, counted from 1.

    `late` lets what is awaited end first: the cancellation then comes when the database has done its work.
    """

    def __init__(self, work: Awaitable[Any], number: int, late: bool) -> None:
        self.work = work
        self.left = number
        self.late = late

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self.work.__await__()
        resume: Any = inner.send
        value: Any = None
        while True:
            try:
                awaited = resume(value)
            except StopIteration as end:
                return end.value
            self.left -= 1
            resume, value = inner.send, None
            if not self.left and not self.late:
                resume, value = inner.throw, asyncio.CancelledError()
                if awaited is not None:  # as a task does it: what it waits for is cancelled with it
                    awaited._asyncio_future_blocking = False
                    awaited.cancel()
                continue
            try:
                value = yield awaited
            except BaseException as error:
                resume, value = inner.throw, error
            if not self.left and self.late:
                resume, value = inner.throw, asyncio.CancelledError()


async def cancelled(work: Awaitable[Any], number: int, late: bool) -> Optional[bool]:
    """Say whether the work was cancelled; None when it had fewer awaits than the number."""
    cancelling = CancelledAt(work, number, late)

    async def run() -> None:
        await cancelling

    try:
        await asyncio.ensure_future(run())
    except asyncio.CancelledError:
        return True
    return False if cancelling.left <= 0 else None


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Engine]:
    """Give an engine with a pool of two, and nothing lost in the end."""
    engine = Engine(f"sqlite:///{tmp_path / 'small.db'}", pool_size=2, max_overflow=0, pool_timeout=5)
    create_all(engine, MODELS)
    yield engine
    await engine.adispose()
    assert engine.pool_stats().in_use == 0


async def assert_whole(engine: Engine) -> None:
    """Nothing is in use, and the pool gives its full size of connections without a transaction."""
    for _ in range(200):
        if not engine.pool_stats().in_use:
            break
        await asyncio.sleep(0.005)  # what is closed is closed in the background
    stats = engine.pool_stats()
    assert (stats.in_use, stats.waiting) == (0, 0), stats
    both = [await engine.aacquire(1) for _ in range(2)]
    with pytest.raises(PoolTimeoutError):
        await engine.aacquire(0)
    for connection in both:
        assert not connection.in_transaction
        await connection.begin()
        await connection.rollback()
        await engine.arelease(connection)


Act = Callable[[AsyncSession, "Facts"], Awaitable[Any]]


class Facts:
    """What an act has made: the objects that a commit or a flush is about, and whether it came to its end."""

    def __init__(self) -> None:
        self.author = Author(
            name="new", profile=Profile(text="p"), books=[Book(title="n", tags=[Tag(name="n")])]
        )
        self.done = 0


async def act_get(session: AsyncSession, facts: Facts) -> None:
    assert (await session.get_one(Author, 1)).name == "a"


async def act_flush(session: AsyncSession, facts: Facts) -> None:
    session.add(facts.author)
    await session.flush()


async def act_commit(session: AsyncSession, facts: Facts) -> None:
    session.add(facts.author)
    await session.commit()


async def act_nested(session: AsyncSession, facts: Facts) -> None:
    async with session.transaction():
        (await session.get_one(Author, 1)).email = "outer"
        try:
            async with session.transaction():
                session.add(Tag(name="lost"))
                await session.flush()
                raise ValueError
        except ValueError:
            pass
        async with session.transaction():
            session.add(facts.author)


async def act_parallel(session: AsyncSession, facts: Facts) -> None:
    found = await session.parallel_exec([Select(Author).all(), Select(Book).count(), "SELECT 7"])
    assert found[1] == len(TITLES)


async def act_stream(session: AsyncSession, facts: Facts) -> None:
    titles = [book.title async for book in session.stream(Select(Book).order_by(Book.id), size=2)]
    assert titles == TITLES


async def act_retry(session: AsyncSession, facts: Facts) -> None:
    async def function() -> None:
        session.add(facts.author)
        await session.flush()

    await session.run_in_transaction(function)


async def act_close(session: AsyncSession, facts: Facts) -> None:
    session.add(facts.author)
    await session.flush()
    await session.close()


ACTS: dict[str, tuple[Act, bool]] = {  # and whether it commits
    "get": (act_get, False),
    "flush": (act_flush, False),
    "commit": (act_commit, True),
    "nested blocks": (act_nested, True),
    "parallel_exec": (act_parallel, False),
    "stream": (act_stream, False),
    "run_in_transaction": (act_retry, True),
    "close": (act_close, False),
}


def rows(engine: Engine) -> tuple[int, ...]:
    with Session(engine) as session:
        return tuple(
            session.exec_scalar(f"SELECT count(*) FROM {table}")  # type: ignore[misc]
            for table in (
                "author WHERE name = 'new'",
                "profile",
                "book WHERE title = 'n'",
                "book_tags",
                "tag",
            )
        )


@pytest.mark.requirement("R22", "R110")
@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
@pytest.mark.parametrize("then", ["again", "rollback", "close"])
@pytest.mark.parametrize("name", list(ACTS))
async def test_a_cancellation_at_every_await_loses_nothing(
    small: Engine, name: str, then: str, late: bool
) -> None:
    act, commits = ACTS[name]
    with Session(small) as session:
        session.add(Author(name="a", books=[Book(title=title) for title in TITLES]))
        session.commit()
    number, ended = 0, False
    while not ended:
        number += 1
        session_, facts = AsyncSession(small), Facts()
        was = await cancelled(act(session_, facts), number, late)
        ended = was is None
        where = f"{name}, cancelled at await {number}, then {then}"
        saved = rows(small)
        assert saved in ((0,) * 5, (1,) * 5), where
        assert not session_.transactions.levels, where
        if (was is False and commits) or ended:
            assert saved == ((1,) * 5 if commits else (0,) * 5), where
        if then == "rollback" and not session_.closed:
            await session_.rollback()
        if saved[0] and not session_.closed:
            assert facts.author.id is not None, where
            assert facts.author.books[0].tags[0].id is not None, where
            assert not session_.new, where
        if then != "close" and not saved[0] and not session_.closed:
            if then == "rollback" and name != "get":
                assert facts.author.id is None, where
            await act(session_, facts)
            assert rows(small) == ((1,) * 5 if commits else (0,) * 5), where
        await session_.close()
        await assert_whole(small)
        with Session(small) as cleaning:
            for table in (
                "book_tags",
                "profile",
                "book WHERE title = 'n'",
                "author WHERE name = 'new'",
                "tag",
            ):
                cleaning.execute(f"DELETE FROM {table}")
            cleaning.execute("UPDATE author SET email = NULL")
            cleaning.commit()
    assert number > 1


@pytest.mark.requirement("R110")
@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
async def test_who_is_cancelled_in_a_waiting_pool_passes_the_connection_on(small: Engine, late: bool) -> None:
    number, was = 0, True
    while was is not None:
        number += 1
        held = [await small.aacquire() for _ in range(2)]

        async def wait() -> None:
            connection = await small.aacquire(2)
            await small.arelease(connection)

        others = [asyncio.ensure_future(wait()) for _ in range(3)]
        await asyncio.sleep(0)
        task = asyncio.ensure_future(cancelled(wait(), number, late))
        await asyncio.sleep(0.002)
        for connection in held:
            await small.arelease(connection)
        was = await task
        await asyncio.gather(*others)
        await assert_whole(small)
    assert number > 1


@pytest.mark.requirement("R37")
@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
async def test_who_is_cancelled_while_another_task_has_the_session_harms_nobody(
    small: Engine, late: bool
) -> None:
    """Cancel a block at every await, of which some wait for the block of another task."""
    number, was = 0, True
    while was is not None:
        number += 1
        session = AsyncSession(small)
        inside, leave = asyncio.Event(), asyncio.Event()

        async def first() -> None:
            async with session.transaction():
                session.add(Tag(name="first"))
                await session.flush()
                inside.set()
                await leave.wait()
                assert await session.query(Tag).count() == 1

        async def second() -> None:
            async with session.transaction():
                session.add(Tag(name="second"))
                await session.flush()

        holder = asyncio.ensure_future(first())
        await inside.wait()
        waiter = asyncio.ensure_future(cancelled(second(), number, late))
        await asyncio.sleep(0.002)
        leave.set()
        was = await waiter
        await holder
        assert not session.transactions.levels
        found = await session.query(Tag.name).order_by(Tag.id).scalars()
        assert found in (["first"], ["first", "second"])  # cancelled in a commit, it may have taken effect
        assert was or len(found) == 2
        await session.rollback()
        await second()
        await session.close()
        await assert_whole(small)
        with Session(small) as cleaning:
            cleaning.execute("DELETE FROM tag")
            cleaning.commit()
    assert number > 4


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_interrupt_while_a_stream_is_read_loses_nothing(small: Engine, kind: str, at: int) -> None:
    """Raised by the reader: the stream ends, and the session goes on."""
    with Session(small) as session:
        session.add_all([Book(title=title) for title in TITLES])
        session.commit()
    read: list[str] = []

    def note(book: Book) -> None:
        read.append(book.title)
        if len(read) == at:
            raise KeyboardInterrupt

    if kind == "sync":
        with Session(small) as session:
            with pytest.raises(KeyboardInterrupt):
                for book in session.stream(Select(Book).order_by(Book.id), size=2):
                    note(book)
            assert session.query(Book).count() == len(TITLES)
            session.add(Tag(name="t"))
            session.commit()
    else:
        async with AsyncSession(small) as awaited:
            stream = awaited.stream(Select(Book).order_by(Book.id), size=2)
            with pytest.raises(KeyboardInterrupt):
                async for book in stream:
                    note(book)
            await stream.aclose()  # type: ignore[attr-defined]
            assert await awaited.query(Book).count() == len(TITLES)
            awaited.add(Tag(name="t"))
            await awaited.commit()
    assert read == TITLES[:at]
    assert rows(small)[-1] == 1
    await assert_whole(small)
