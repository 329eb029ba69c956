"""Threads, tasks, cancellation, parallel execution, and how code finds the current session."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from blaze import AsyncSession, Engine, Select, Session, SessionManager, create_all
from blaze.errors import NoSessionError, QueryError, SessionError, TimeoutError, UniqueError
from tests.persistence.models import Author, Book, Tag
from tests.persistence.twins import Database, names

# --- the current session


@pytest.mark.requirement("R4", "R11", "R49", "R75", "R76", "R77", "R78", "R79")
async def test_the_block_binds_the_session(db: Database) -> None:
    def seen() -> Any:
        return SessionManager.current_async() if db.asynchronous else SessionManager.current()

    def required() -> Any:
        return SessionManager.require_current_async() if db.asynchronous else SessionManager.require_current()

    assert seen() is None
    with pytest.raises(NoSessionError) as caught:
        required()
    assert isinstance(caught.value, RuntimeError)
    outer, inner = db.open().session, db.open().session
    if db.asynchronous:
        async with outer:
            assert seen() is required() is AsyncSession.current() is outer
            assert SessionManager.current() is None
            async with inner:
                assert required() is inner
            assert required() is outer
    else:
        with outer:
            assert seen() is required() is Session.current() is outer
            assert SessionManager.current_async() is None
            with pytest.raises(NoSessionError):
                SessionManager.require_current_async()
            with inner:
                assert required() is inner
            assert required() is outer
            tag = Tag(name="t")
            outer.add(tag)
            assert Tag.objects.all() == [tag]
            assert Tag.objects.first() is tag
            outer.rollback()
    assert seen() is None
    with pytest.raises(NoSessionError):
        Tag.objects.all()


def test_a_thread_does_not_see_the_session_of_another(engine: Engine) -> None:
    found: list[Any] = []
    with Session(engine) as session:
        thread = threading.Thread(target=lambda: found.append(SessionManager.current()))
        thread.start()
        thread.join()
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: found.append(context.run(SessionManager.current)))
        thread.start()
        thread.join()
        assert found == [None, session]


async def test_each_task_sees_its_own_session(awaiting: Database) -> None:
    async def task(number: int) -> bool:
        async with AsyncSession(awaiting.engine) as session:
            await asyncio.sleep(0.01 * (number % 3))
            return SessionManager.require_current_async() is session

    assert all(await asyncio.gather(*[task(i) for i in range(5)]))
    assert SessionManager.current_async() is None


# --- threads


@pytest.mark.requirement("R37")
def test_sixteen_threads_with_their_own_sessions(engine: Engine) -> None:
    def work(number: int) -> None:
        for i in range(10):
            with Session(engine) as session:
                session.add(Author(name=f"{number}-{i}", books=[Book(title=f"{number}-{i}")]))
                session.commit()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    with Session(engine) as session:
        assert session.query(Book).count() == session.query(Author).count() == 160
    assert engine.pool_stats().in_use == 0


@pytest.mark.requirement("R37")
def test_four_threads_on_one_session_lose_nothing(engine: Engine) -> None:
    with Session(engine) as session:

        def work(number: int) -> None:
            for i in range(40):
                tag = Tag(name=f"{number}-{i}")
                session.add(tag)
                if i % 5 == 0:
                    session.commit()
                elif i % 7 == 0:
                    session.flush()
                assert len(session.query(Tag).where(Tag.name == tag.name).all()) == 1

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(work, number) for number in range(4)]:
                done.result()
        session.commit()
        assert session.query(Tag).count() == 160
        assert len(session.identity[Tag]) == 160


async def test_tasks_on_one_session_wait_for_each_other(awaiting: Database) -> None:
    async with awaiting.session() as s:

        async def work(number: int) -> None:
            for i in range(15):
                tag = Tag(name=f"{number}-{i}")
                await s.add(tag)
                await s.flush()
                tag.name += "x"
                if i % 4 == 0:
                    await s.commit()
                assert tag.id is not None
                await asyncio.sleep(0)

        await asyncio.gather(*[work(number) for number in range(4)])
        await s.commit()
        assert sorted(await s.do(lambda session: session.query(Tag.name).scalars())) == sorted(
            f"{number}-{i}x" for number in range(4) for i in range(15)
        )


async def test_a_change_made_while_a_flush_waits_is_not_lost(awaiting: Database) -> None:
    await awaiting.save(*[Tag(name=f"t{i}") for i in range(300)])
    async with awaiting.session() as s:
        tags = await s.all(Tag)
        for tag in tags:
            tag.name += "a"
        fresh = [Tag(name=f"n{i}") for i in range(300)]
        book = Book(title="b", tags=[fresh[1]], meta={"n": 0})
        await s.add_all([*fresh, book])
        flush = asyncio.ensure_future(s.session.flush())
        late: list[Tag] = []
        while not flush.done():
            await asyncio.sleep(0)
            if len(late) < 200:
                late.append(Tag(name=f"late{len(late)}"))
                s.session.add(late[-1])
                tags[0].name = fresh[0].name = f"b{len(late)}"
                book.meta["n"] = len(late)
                book.tags.add(tags[len(late)])
        await flush
        await s.commit()
        rows = dict(await s.execute("SELECT id, name FROM tag"))
        assert rows[tags[0].id] == tags[0].name
        assert rows[fresh[0].id] == fresh[0].name
        assert len(late) > 3
        assert all(tag.id in rows for tag in late)
        assert await s.scalar("SELECT count(*) FROM book_tags") == len(late) + 1
        assert await s.scalar("SELECT meta FROM book") == f'{{"n":{len(late)}}}'


# --- parallel execution


@pytest.mark.requirement("R72", "R73", "R74")
async def test_parallel_exec_keeps_order_and_uses_the_pool(db: Database) -> None:
    await db.save(*[Tag(name=f"t{i}") for i in range(5)], Author(name="a"))
    async with db.session() as s:
        await s.add(Tag(name="unseen"))
        await s.flush()

        def function(session: Any) -> Any:
            return session.query(Tag.name).order_by(Tag.name).first()

        tags, count, authors, row, sql = await s.parallel_exec(
            (Select(Tag).all(), Select(Tag).count(), Select(Author), function, "SELECT 7 AS x")
        )
        assert (names(tags), count, names(authors)) == ([f"t{i}" for i in range(5)], 5, ["a"])
        assert (row.name, sql[0].x) == ("t0", 7)
        assert tags[0] not in s.session
        assert isinstance(await s.parallel_exec([Select(Tag).count()] * 12), list)
        assert await s.parallel_exec([]) == []
        with pytest.raises(QueryError, match="parallel_exec"):
            await s.parallel_exec([5])
        stats = db.engine.pool_stats()
        assert stats.in_use == 1
        await s.rollback()


async def test_an_error_in_parallel_exec_is_raised_and_loses_no_connection(db: Database) -> None:
    async with db.session() as s:

        def fails(session: Any) -> None:
            raise ValueError("boom")

        def adds(session: Any) -> None:
            session.add(Tag(name="t"))

        for _ in range(5):
            with pytest.raises(ValueError, match="boom"):
                await s.parallel_exec([Select(Tag).all(), fails, Select(Tag).all()])
        assert db.engine.pool_stats().in_use == 0
        await s.parallel_exec([adds])
        assert names(await s.all(Tag)) == ["t"]


# --- cancellation


async def test_a_cancelled_operation_leaves_no_half_transaction(awaiting: Database) -> None:
    """Cancel at ever later moments: the rows are all there or none, and the session goes on."""
    for step in range(40):
        async with AsyncSession(awaiting.engine) as session:
            before = await session.query(Tag).count()
            tags = [Tag(name=f"{step}-{i}", books=[Book(title=f"{step}-{i}")]) for i in range(5)]
            session.add_all(tags)
            task = asyncio.ensure_future(session.commit())
            for _ in range(step):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
                done = True
            except asyncio.CancelledError:
                done = False
            if not done:
                await session.rollback()
            after = await session.query(Tag).count()
            assert after - before in ((5,) if done else (0, 5))
            session.add(Tag(name="on"))
            await session.rollback()
        assert awaiting.engine.pool_stats().in_use == 0
    rows = await awaiting.rows("SELECT count(*) FROM tag UNION ALL SELECT count(*) FROM book_tags")
    assert rows[0] == rows[1]


async def test_a_cancelled_block_rolls_back(awaiting: Database) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with AsyncSession(awaiting.engine, auto_commit=True) as session:
            session.add(Tag(name="lost"))
            async with session.transaction():
                await session.flush()
                inside.set()
                await asyncio.sleep(60)

    for _ in range(3):
        inside.clear()
        task = asyncio.ensure_future(work())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert awaiting.engine.pool_stats().in_use == 0
    assert await awaiting.rows("SELECT count(*) FROM tag") == [(0,)]


async def test_a_time_out_around_a_query_leaves_the_session_usable(awaiting: Database) -> None:
    slow = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000000) SELECT max(x) FROM n"
    )
    async with awaiting.session() as s:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(s.session.execute(slow), 0.05)
        await s.rollback()
        assert await s.scalar("SELECT 1") == 1
    assert awaiting.engine.pool_stats().in_use == 0


# --- contention


async def test_a_locked_database_is_reported_and_nothing_is_lost(db: Database, tmp_path: Any) -> None:
    dsn = f"{db.engine.config.redacted()}?lock_timeout=0.05"
    engine = Engine(dsn)
    try:
        async with db.session() as holder:
            await holder.add(Tag(name="held"))
            await holder.flush()
            other = Database(engine, db.kind)
            async with other.session() as s:
                tag = Tag(name="waiting")
                await s.add(tag)
                with pytest.raises(TimeoutError) as caught:
                    await s.flush()
                assert caught.value.retryable
                assert s.new == [tag]
                await holder.commit()
                await s.commit()
        assert names([Tag(name=row[0]) for row in await db.rows("SELECT name FROM tag")]) == [
            "held",
            "waiting",
        ]
    finally:
        await engine.adispose()
        engine.dispose()


async def test_get_or_create_gives_way_to_who_was_faster(db: Database) -> None:
    async with db.session() as s:
        real = s.session.flush_plan

        def overtaken() -> Any:
            s.session.flush_plan = real
            with Session(db.engine) as other:
                other.add(Author(name="fast", email="e"))
                other.commit()
            yield from real()

        s.session.flush_plan = overtaken
        author, created = await s.get_or_create(Author, email="e", defaults={"name": "slow"})
        assert (author.name, created) == ("fast", False)
        await s.commit()
        with pytest.raises(UniqueError):
            await s.get_or_create(Author, name="new", defaults={"email": "e"})
        await s.rollback()


def test_objects_are_added_outside_of_a_loop(engine: Engine) -> None:
    """What awaits nothing needs no loop; while the task of a block runs, others get the clear error."""
    loop = asyncio.new_event_loop()
    session = AsyncSession(engine)
    block = session.transaction()

    async def enter() -> None:
        await block.__aenter__()

    async def end() -> None:
        await block.__aexit__(None, None, None)

    async def inside() -> None:
        async with session.transaction():
            with pytest.raises(SessionError, match="task"):
                await loop.run_in_executor(None, session.add, Tag(name="of a thread"))
        await session.close()

    loop.run_until_complete(enter())
    session.add(Tag(name="between"))
    loop.run_until_complete(end())
    loop.run_until_complete(inside())
    loop.close()
    with Session(engine) as after:
        assert after.query(Tag.name).scalars() == ["between"]


def test_engines_come_and_go_without_a_trace(tmp_path: Any) -> None:
    import gc
    import linecache

    def once(number: int) -> None:
        with Engine(f"sqlite:///{tmp_path / f'{number}.db'}") as engine:
            create_all(engine, [Tag, Book, Author])
            with Session(engine) as session:
                session.add(Author(name="a", books=[Book(title="b")]))
                session.commit()

    for number in range(3):
        once(number)
    gc.collect()
    before = len(linecache.cache)
    for number in range(3, 8):
        once(number)
    gc.collect()
    assert len(linecache.cache) <= before + 5
