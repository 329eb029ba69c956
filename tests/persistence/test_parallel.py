"""`parallel_exec`: what it runs, in which order, how errors end it, and the connections it uses."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from blaze import (
    AsyncSession,
    Delete,
    Engine,
    Insert,
    QueryError,
    Select,
    Session,
    SessionError,
    TimeoutError,
    Update,
    create_all,
    sql,
)
from tests.persistence.models import MODELS, Tag
from tests.persistence.twins import Database, Twin, settled


def opened(engine: Engine, asynchronous: bool) -> Twin:
    return Twin(AsyncSession(engine) if asynchronous else Session(engine))


async def ended(twin: Twin, engine: Engine) -> None:
    await twin.close()
    await engine.adispose()
    engine.dispose()


@pytest.mark.requirement("R72", "R73", "R74")
async def test_it_runs_plans_statements_and_functions_in_order(db: Database) -> None:
    await db.save(*[Tag(name=f"t{i}") for i in range(4)])
    async with db.session() as s:
        tags, count, names, text, raw = await s.parallel_exec(
            [
                Select(Tag).order_by(Tag.id).all(),
                Select(Tag).count(),
                Select(Tag.name).order_by(Tag.id),
                "SELECT count(*) AS n FROM tag",
                sql("SELECT {x} AS x", x=5),
            ]
        )
        assert [tag.name for tag in tags] == ["t0", "t1", "t2", "t3"]
        assert (count, [row.name for row in names], text[0].n, raw[0].x) == (
            4,
            ["t0", "t1", "t2", "t3"],
            4,
            5,
        )
        assert s.session.connection is None, "nothing went over the session's own connection"
        assert s.statements == 5
        assert not s.session.in_transaction
    for statement, left in (
        (Insert(Tag).values(name="new"), 5),
        (Update(Tag).set(name="x").where(Tag.id == 1), 5),
        (Delete(Tag).where(Tag.name == "x"), 4),
    ):
        async with db.session() as s:
            assert await s.parallel_exec((statement,)) == ([],)
            assert await settled(s.session.query(Tag).count()) == left


@pytest.mark.parametrize("tasks", [5, None, "SELECT 1", Select(Tag), [5], [Tag], [None], [Tag(name="x")]])
async def test_what_is_no_task_is_refused(db: Database, tasks: Any) -> None:
    async with db.session() as s:
        with pytest.raises(QueryError, match="parallel_exec"):
            await s.parallel_exec(tasks)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_more_tasks_than_connections_wait_for_each_other(tmp_path: Path, asynchronous: bool) -> None:
    engine = Engine(f"sqlite:///{tmp_path}/p.db", pool_size=2, max_overflow=1, pool_timeout=0.05)
    create_all(engine, MODELS)
    most = 0

    def blocking(session: Session) -> int:
        nonlocal most
        session.query(Tag).count()
        most = max(most, engine.pool_stats().in_use)
        time.sleep(0.02)
        return 1

    async def awaiting(session: AsyncSession) -> int:
        nonlocal most
        await session.query(Tag).count()
        most = max(most, engine.pool_stats().in_use)
        await asyncio.sleep(0.02)
        return 1

    twin = opened(engine, asynchronous)
    await twin.add(Tag(name="held"))
    await twin.flush()
    task = awaiting if asynchronous else blocking
    assert await twin.parallel_exec([task] * 30) == [1] * 30
    assert most <= 3
    await twin.rollback()
    assert engine.pool_stats().in_use == 0
    await ended(twin, engine)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_the_only_connection_cannot_be_waited_for(tmp_path: Path, asynchronous: bool) -> None:
    engine = Engine(f"sqlite:///{tmp_path}/p.db", pool_size=1, max_overflow=0)
    create_all(engine, MODELS)
    twin = opened(engine, asynchronous)
    await twin.add(Tag(name="x"))
    await twin.flush()
    with pytest.raises(SessionError, match=r"parallel_exec\(\) needs a connection.*pool_size"):
        await twin.parallel_exec([Select(Tag).count()])
    await twin.commit()
    assert await twin.parallel_exec([Select(Tag).count()] * 3) == [1, 1, 1]
    await ended(twin, engine)


def test_an_error_keeps_other_tasks_from_starting(tmp_path: Path) -> None:
    with Engine(f"sqlite:///{tmp_path}/p.db", pool_size=2, max_overflow=0) as engine:
        create_all(engine, MODELS)
        started: list[int] = []
        gate = threading.Event()

        def waits(session: Session) -> None:
            started.append(0)
            gate.wait(5)
            session.add(Tag(name="late"))

        def fails(session: Session) -> None:
            session.add(Tag(name="undone"))
            session.flush()
            gate.set()
            raise ValueError("first")

        def never(session: Session) -> None:
            started.append(1)
            time.sleep(0.01)

        with Session(engine) as session:
            with pytest.raises(ValueError, match="first"):
                session.parallel_exec([waits, fails, *[never] * 200])
            assert len(started) < 200
            assert engine.pool_stats().in_use == 0
            assert [tag.name for tag in session.query(Tag).all()] == ["late"], "what ran was awaited"


async def test_an_error_cancels_the_other_asynchronous_tasks(awaiting: Database) -> None:
    cancelled: list[int] = []

    async def waits(session: AsyncSession) -> None:
        try:
            await session.query(Tag).count()
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def fails(session: AsyncSession) -> None:
        await session.query(Tag).count()
        await asyncio.sleep(0.01)
        raise ValueError("boom")

    async with awaiting.session() as s:
        for _ in range(3):
            with pytest.raises(ValueError, match="boom"):
                await s.parallel_exec([waits, fails, waits])
        assert awaiting.engine.pool_stats().in_use == 0
        assert len(cancelled) == 6
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(s.session.parallel_exec([waits, waits]), 0.05)
        assert awaiting.engine.pool_stats().in_use == 0
        assert await s.parallel_exec([Select(Tag).count()]) == [0]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_database_in_memory_is_one_for_all_tasks(asynchronous: bool) -> None:
    engine = Engine("sqlite://?lock_timeout=0.1")
    twin = opened(engine, asynchronous)
    await twin.create_all(Tag)
    await twin.add(Tag(name="x"))
    await twin.flush()
    with pytest.raises(TimeoutError, match="same in-memory database; end that transaction first"):
        await twin.parallel_exec([Select(Tag).count()])
    await twin.commit()
    assert await twin.parallel_exec([Select(Tag).count()] * 5) == [1] * 5
    await ended(twin, engine)
