"""The four switches of a session in all combinations, and how blocks nest and functions run again."""

from __future__ import annotations

import asyncio
import itertools
import sys
import warnings
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from blaze import Engine
from blaze.errors import (
    DeadlockError,
    SerializationError,
    SessionError,
    TimeoutError,
    UncommittedChangesWarning,
)
from tests.persistence.models import Tag
from tests.persistence.twins import Database, Twin, names

SWITCHES = ("autocommit", "auto_commit", "auto_rollback", "atomic")


class Boom(Exception):
    pass


async def leave(db: Database, s: Twin, ending: str) -> None:
    """Use a session in its block, and leave that in one of four ways."""

    async def use() -> None:
        assert await s.all(Tag) == []
        if ending != "clean":
            await s.add(Tag(name="t"))
        if ending == "commit":
            await s.commit()
        if ending == "exception":
            raise Boom

    if db.asynchronous:
        async with s.session:
            await use()
    else:
        with s.session:
            await use()


@pytest.mark.requirement("R6", "R15", "R16", "R17", "R18", "R19")
@pytest.mark.parametrize("ending", ["clean", "pending", "exception", "commit"])
@pytest.mark.parametrize("values", list(itertools.product([False, True], repeat=4)), ids=str)
async def test_the_switches_in_all_combinations(db: Database, values: Any, ending: str) -> None:
    autocommit, auto_commit, auto_rollback, atomic = values
    s = db.open(**dict(zip(SWITCHES, values)))
    error: Any = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            await leave(db, s, ending)
        except (Boom, SessionError) as raised:
            error = type(raised)
    closed_by_add = autocommit and atomic and ending != "clean"
    assert error is (
        Boom if ending == "exception" else SessionError if closed_by_add and ending == "commit" else None
    )
    lost = ending == "pending" and not autocommit and not auto_commit
    assert [each.category for each in caught] == [UncommittedChangesWarning] * lost
    kept = ending == "commit" or (ending != "clean" and autocommit) or (ending == "pending" and auto_commit)
    assert await db.rows("SELECT name FROM tag") == [("t",)] * kept
    stays_open = ending == "exception" and not auto_rollback and not closed_by_add
    assert s.session.closed is not stays_open
    if stays_open:
        assert names(s.new) == ([] if autocommit else ["t"])
        await s.commit()
        await s.close()
        assert await db.rows("SELECT name FROM tag") == [("t",)]


# --- read-only


@pytest.mark.requirement("R10")
@pytest.mark.parametrize("ending", ["clean", "write", "error", "rollback", "flush"])
async def test_a_read_only_transaction_refuses_writes_and_leaves_no_trace(db: Database, ending: str) -> None:
    await db.save(Tag(name="t"))
    engine = Engine(db.engine.config, pool_size=1, max_overflow=0)
    single = Database(engine, db.kind)
    async with single.session() as s:
        with suppress(Boom, SessionError):
            async with s.transaction(read_only=True):
                (tag,) = await s.all(Tag)
                if ending == "write":
                    with pytest.raises(Exception, match=r"read-only|readonly"):
                        await s.execute("INSERT INTO tag (name) VALUES ('x')")
                if ending == "flush":
                    tag.name = "changed"
                    with pytest.raises(Exception, match=r"read-only|readonly"):
                        await s.flush()
                    assert s.dirty == [tag]
                    raise Boom
                if ending == "error":
                    raise Boom
                if ending == "rollback":
                    await s.rollback()
        assert tag.name == "t"
        await s.add(Tag(name="after"))
        await s.commit()
    async with single.session() as s:
        assert names(await s.all(Tag)) == ["after", "t"]
        await s.execute("DELETE FROM tag")
        await s.commit()
    await engine.adispose()


# --- nesting


@pytest.mark.requirement("R7")
async def test_blocks_nest_fifty_deep(db: Database) -> None:
    async def level(depth: int) -> None:
        async with s.transaction():
            await s.add(Tag(name=str(depth)))
            if depth < 50:
                with suppress(Boom):
                    await level(depth + 1)
            if depth == 25:
                raise Boom

    async with db.session() as s:
        await level(1)
        assert sorted(map(int, names(await s.all(Tag)))) == list(range(1, 25))
    assert await db.rows("SELECT count(*) FROM tag") == [(24,)]


# --- running again


def conflicts(times: int, error: type[Exception]) -> Any:
    """Return a function that adds a tag and changes another one, and fails the first times."""
    seen: list[Any] = []

    def work(session: Any) -> Any:
        tag = known[0]
        seen.append((tag.name, list(session.new), list(session.dirty)))
        tag.name += "x"
        session.add(Tag(name=f"try {len(seen)}"))
        if len(seen) <= times:
            raise error("conflict")
        return tag

    known: list[Any] = []
    return work, seen, known


@pytest.mark.requirement("R5", "R10")
@pytest.mark.parametrize("error", [SerializationError, DeadlockError])
async def test_a_function_that_runs_again_finds_memory_as_it_was(db: Database, error: Any) -> None:
    await db.save(Tag(name="t"))
    work, seen, known = conflicts(3, error)

    async def awaited(session: Any) -> Any:
        await session.flush() if len(seen) == 1 else None
        return work(session)

    async with db.session() as s:
        known += await s.all(Tag)
        tag = await s.run_in_transaction(awaited if db.asynchronous else work, retries=3)
        assert seen == [("t", [], [])] * 4
        assert tag.name == "tx"
    assert sorted(name for (name,) in await db.rows("SELECT name FROM tag")) == ["try 4", "tx"]
    work, seen, known = conflicts(3, error)
    async with db.session() as s:
        known += await s.all(Tag)
        with pytest.raises(error):
            await s.run_in_transaction(awaited if db.asynchronous else work, retries=2)
        assert len(seen) == 3
        assert not s.in_transaction
        assert (s.new, s.dirty, known[0].name[0]) == ([], [], "t")


@pytest.mark.requirement("R5")
async def test_what_was_pending_before_is_not_forgotten_by_a_retry(db: Database) -> None:
    """A second run would commit without it, so there is none."""
    for flushed in (False, True):
        work, seen, known = conflicts(1, SerializationError)
        await db.save(Tag(name="t"))

        async def awaited(session: Any, work: Any = work) -> Any:
            return work(session)

        async with db.session() as s:
            known += (await s.all(Tag))[:1]
            before = Tag(name="before")
            await s.add(before)
            if flushed:
                await s.flush()
            with pytest.raises(SerializationError):
                await s.run_in_transaction(awaited if db.asynchronous else work)
            assert len(seen) == 1
            assert before.id is None
            assert not s.in_transaction


@pytest.mark.requirement("R5", "R10")
async def test_a_function_runs_again_when_a_lock_was_in_its_way(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(f"{db.engine.config.redacted()}?lock_timeout=0.02")
    other = Database(engine, db.kind)
    pauses: list[int] = []
    runs = 0

    def pause_before(attempt: int) -> None:
        pauses.append(attempt)
        if len(pauses) == 2:
            holder.session.commit()

    async def pause(seconds: float) -> None:
        pauses.append(len(pauses) + 1)
        if len(pauses) == 2:
            await holder.commit()

    def work(session: Any) -> None:
        nonlocal runs
        runs += 1
        session.add(Tag(name="t"))

    async def awaited(session: Any) -> None:
        work(session)

    async with db.session() as holder, other.session() as s:
        await holder.add(Tag(name="held"))
        await holder.flush()
        with pytest.raises(TimeoutError):
            await s.run_in_transaction(awaited if db.asynchronous else work, retries=0)
        assert (pauses, runs) == ([], 0)
        if db.asynchronous:
            module = sys.modules[type(s.session).__module__]
            monkeypatch.setattr(
                module, "asyncio", SimpleNamespace(sleep=pause, current_task=asyncio.current_task)
            )
        else:
            monkeypatch.setattr(sys.modules[type(s.session).__module__], "pause_before", pause_before)
        await s.run_in_transaction(awaited if db.asynchronous else work, retries=2)
        assert (pauses, runs) == ([1, 2], 1)
        monkeypatch.undo()
    await engine.adispose()
    assert len(await db.rows("SELECT name FROM tag")) == 2


@pytest.mark.requirement("R19")
async def test_atomic_closes_though_a_hook_after_the_commit_fails(db: Database) -> None:
    class Failing:
        def after_commit(self) -> None:
            raise ZeroDivisionError

    for options in ({}, {"autocommit": True}):
        s = db.open(atomic=True, hooks=[Failing()], **options)
        with suppress(ZeroDivisionError):
            await s.add(Tag(name="Ann"))
            await s.commit()
        assert s.session.closed
        with pytest.raises(SessionError, match="closed"):
            await s.all(Tag)
    assert await db.rows("SELECT name FROM tag") == [("Ann",)] * 2
