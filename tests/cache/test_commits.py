"""Commits that fail, are interrupted, or end nobody knows how: nothing stale comes into the cache."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

import pytest

from blaze import CommitOutcomeUnknownError, Engine, MemoryCache, Session
from blaze.cache.stored import UnstorableError, freeze, thaw
from blaze.persistence import caching
from blaze.plan import CacheDelete, Commit
from tests.cache.interleave import rows_in
from tests.cache.models import Writer
from tests.persistence.twins import Database, settled


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(db: Database, clock: Clock) -> MemoryCache:
    """Give a cache that knows the one row of the database."""
    await db.save(Writer(name="a"))
    cache = MemoryCache(clock=clock)
    async with db.session(cache_backend=cache) as s:
        await s.get_one(Writer, 1)
    assert rows_in(cache)
    return cache


async def name_and_cost(db: Database, cache: MemoryCache) -> tuple[str, int]:
    async with db.session(cache_backend=cache) as s:
        return (await s.get_one(Writer, 1)).name, s.statements


def fail_at(db: Database, monkeypatch: pytest.MonkeyPatch, before: bool, error: BaseException) -> None:
    """Let every COMMIT raise: before it has taken effect, or afterwards."""
    apply = Commit.apply

    def failing(self: Commit, connection: Any) -> Any:
        async def awaited() -> None:
            if not before:
                await settled(apply(self, connection))
            raise error

        if db.asynchronous:
            return awaited()
        if not before:
            apply(self, connection)
        raise error

    monkeypatch.setattr(Commit, "apply", failing)


@pytest.mark.requirement("R34")
async def test_a_commit_of_unknown_outcome_keeps_the_row_out_until_the_hold_ends(
    db: Database, cache: MemoryCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        fail_at(db, patched, False, CommitOutcomeUnknownError("the connection was lost"))
        s = db.open(cache_backend=cache)
        (await s.get_one(Writer, 1)).name = "b"
        with pytest.raises(CommitOutcomeUnknownError):
            await s.commit()
        await s.rollback()
        await s.close()
    for _ in range(2):
        assert await name_and_cost(db, cache) == ("b", 1)
        assert not rows_in(cache)
    clock.now = caching.HOLD
    assert await name_and_cost(db, cache) == ("b", 1)
    assert await name_and_cost(db, cache) == ("b", 0)


@pytest.mark.requirement("R34")
async def test_a_commit_that_was_interrupted_before_it_took_effect_lets_go_at_the_rollback(
    db: Database, cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        fail_at(db, patched, True, KeyboardInterrupt() if not db.asynchronous else asyncio.CancelledError())
        s = db.open(cache_backend=cache)
        (await s.get_one(Writer, 1)).name = "b"
        with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
            await s.commit()
    assert cache._held
    await s.rollback()
    await s.close()
    assert not cache._held
    assert await name_and_cost(db, cache) == ("a", 1)
    assert await name_and_cost(db, cache) == ("a", 0)


async def test_a_commit_can_be_tried_again_and_lets_go_once(
    db: Database, cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = db.open(cache_backend=cache)
    (await s.get_one(Writer, 1)).name = "b"
    with monkeypatch.context() as patched:
        fail_at(db, patched, True, KeyboardInterrupt() if not db.asynchronous else asyncio.CancelledError())
        with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
            await s.commit()
    await s.commit()
    await s.close()
    assert not cache._held
    assert await name_and_cost(db, cache) == ("b", 1)


@pytest.mark.parametrize("hold", [True, False], ids=["before", "after"])
async def test_an_interrupt_while_the_cache_is_told_leaves_nothing_stale(
    db: Database, cache: MemoryCache, hold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = CacheDelete.apply

    def interrupted(self: CacheDelete, connection: Any) -> Any:
        if bool(self.hold) is hold:
            raise KeyboardInterrupt
        return apply(self, connection)

    s = db.open(cache_backend=cache)
    (await s.get_one(Writer, 1)).name = "b"
    with monkeypatch.context() as patched:
        patched.setattr(CacheDelete, "apply", interrupted)
        with pytest.raises(KeyboardInterrupt):
            await s.commit()
        await s.close()
    assert (await name_and_cost(db, cache))[0] == ("a" if hold else "b")


@pytest.mark.parametrize("event", ["before_commit", "after_commit"])
async def test_a_hook_that_fails_leaves_nothing_stale(db: Database, cache: MemoryCache, event: str) -> None:
    def fail(**_: Any) -> None:
        raise ValueError("no")

    hook = type("Hook", (), {event: staticmethod(lambda session: fail())})()
    s = db.open(cache_backend=cache, hooks=[hook])
    (await s.get_one(Writer, 1)).name = "b"
    with pytest.raises(ValueError, match="no"):
        await s.commit()
    await s.close()
    assert (await name_and_cost(db, cache))[0] == ("a" if event == "before_commit" else "b")
    assert not cache._held


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_begins_with_an_empty_cache(engine: Engine) -> None:
    cache = MemoryCache()
    cache.set_many({"a": 1})
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if not cache.get_many(["a"]) and cache.set_many({"a": 2}) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache.get_many(["a"]) == {"a": 1}


@pytest.mark.requirement("R36")
def test_a_cache_can_be_bounded_by_bytes() -> None:
    cache = MemoryCache(max_bytes=100)
    cache.set_many({"a": "x" * 40, "b": "y" * 40})
    assert cache.stats().bytes == 2 * 43
    cache.set_many({"c": "z" * 40})
    assert cache.get_many(["a", "b", "c"]) == {"b": "y" * 40, "c": "z" * 40}
    cache.set_many({"b": "short"})
    cache.set_many({"huge": "z" * 1_000})
    assert cache.stats().size == 0
    assert cache.stats().bytes == 0


@pytest.mark.parametrize("value", [object(), {1: 2}, [object()]])
def test_a_value_without_a_plain_form_is_not_cached(value: Any) -> None:
    with pytest.raises(UnstorableError):
        freeze(value)


def test_lists_and_dicts_of_drivers_come_back() -> None:
    value = [1, {"a": b"x", "b": [None, 1.5, float("inf")]}]
    assert thaw(freeze(value)) == value


@pytest.mark.requirement("R37")
def test_sessions_in_threads_never_read_back_in_time(tmp_path: Any) -> None:
    """Readers see a counter that only grows, as its writers leave it."""
    with Engine(f"sqlite:///{tmp_path / 'threads.db'}?synchronous=off", pool_size=8) as engine:
        cache = MemoryCache()
        with Session(engine) as session:
            session.create_all(Writer)
            session.add(Writer(name="0"))
            session.commit()
        done = threading.Event()
        wrong: list[Any] = []
        committed = [0]

        def read() -> None:
            while not done.is_set():
                least = committed[0]
                with Session(engine, cache_backend=cache) as session:
                    found = int(session.get_one(Writer, 1).name)
                if found < least:
                    wrong.append((found, least))

        def write(number: int) -> None:
            with Session(engine, cache_backend=cache) as session:
                session.get_one(Writer, 1).name = str(number)
                session.commit()
            committed[0] = number

        readers = [threading.Thread(target=read) for _ in range(3)]
        for thread in readers:
            thread.start()
        try:
            for number in range(1, 200):
                write(number)
        finally:
            done.set()
            for thread in readers:
                thread.join()
        assert wrong == []
        assert cache.stats().hits
