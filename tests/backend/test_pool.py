"""The blocking pool: nothing is lost, doubled or left over, whatever threads do."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

import pytest

from blaze.adapters.pool import Limits, Pool
from blaze.errors import ConfigurationError, DatabaseError, PoolTimeoutError, SessionError

pytestmark = pytest.mark.requirement("R110")


class Fake:
    """A connection that records what the pool does with it."""

    def __init__(self) -> None:
        self.usable = True
        self.needs_reset = False
        self.keep_on_fork = True
        self.fails = False
        self.resets = 0
        self.closed = False

    def reset(self) -> None:
        self.resets += 1
        if self.fails:
            raise DatabaseError("no")
        self.needs_reset = False

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        self.usable = False

    def detach(self) -> None:
        self.usable = False


class Maker:
    """Make connections and remember them; fails as often as told."""

    def __init__(self) -> None:
        self.made: list[Fake] = []
        self.failures = 0

    def __call__(self) -> Any:
        if self.failures:
            self.failures -= 1
            raise DatabaseError("cannot connect")
        self.made.append(Fake())
        return self.made[-1]

    @property
    def open(self) -> int:
        return sum(not fake.closed for fake in self.made)


@pytest.fixture
def maker() -> Maker:
    return Maker()


def make(maker: Maker, size: int = 2, overflow: int = 1, timeout: float = 0.05, recycle: float = 0.0) -> Pool:
    return Pool(maker, Limits(size, overflow, timeout, recycle))


def test_the_last_one_in_is_the_first_one_out(maker: Maker) -> None:
    pool = make(maker)
    one, two = pool.acquire(), pool.acquire()
    pool.release(one)
    pool.release(two)
    assert pool.acquire() is two
    assert pool.stats() == (2, 1, 1, 0)
    assert len(maker.made) == 2


def test_the_rush_is_closed_again(maker: Maker) -> None:
    pool = make(maker)
    three = [pool.acquire() for _ in range(3)]
    for connection in three:
        pool.release(connection)
    assert pool.stats() == (2, 0, 2, 0)
    assert maker.open == 2


def test_an_exhausted_pool_says_how_to_help(maker: Maker) -> None:
    pool = make(maker)
    held = [pool.acquire() for _ in range(3)]
    started = time.monotonic()
    with pytest.raises(
        PoolTimeoutError, match=r"all 3 are in use and 1 callers wait; close sessions"
    ) as caught:
        pool.acquire()
    assert 0.04 < time.monotonic() - started < 1
    assert caught.value.retryable
    with pytest.raises(PoolTimeoutError):
        pool.acquire(timeout=0)
    pool.release(held.pop())
    assert pool.acquire() is not None


def test_what_is_left_open_is_reset_and_what_is_broken_is_closed(maker: Maker) -> None:
    pool = make(maker)
    connection: Any = pool.acquire()
    connection.needs_reset = True
    pool.release(connection)
    assert connection.resets == 1
    assert pool.acquire() is connection
    connection.needs_reset = connection.fails = True
    pool.release(connection)
    assert connection.closed
    other: Any = pool.acquire()
    other.usable = False
    pool.release(other)
    assert other.closed
    third = pool.acquire()
    pool.release(third, discard=True)
    assert maker.open == 0
    assert pool.stats() == (2, 0, 0, 0)


def test_a_connection_that_dies_while_idle_is_replaced(maker: Maker) -> None:
    pool = make(maker)
    connection: Any = pool.acquire()
    pool.release(connection)
    connection.usable = False
    assert pool.acquire() is not connection
    assert connection.closed


def test_old_connections_are_replaced(maker: Maker) -> None:
    pool = make(maker, recycle=0.01)
    connection = pool.acquire()
    pool.release(connection)
    time.sleep(0.02)
    assert pool.acquire() is not connection
    assert maker.open == 1


def test_a_failed_connect_leaves_its_place(maker: Maker) -> None:
    pool = make(maker, size=1, overflow=0)
    maker.failures = 3
    for _ in range(3):
        with pytest.raises(DatabaseError, match="cannot connect"):
            pool.acquire()
    assert pool.stats() == (1, 0, 0, 0)
    assert pool.acquire() is maker.made[0]


def test_releasing_twice_is_an_error(maker: Maker) -> None:
    pool = make(maker)
    connection = pool.acquire()
    pool.release(connection)
    with pytest.raises(SessionError, match="released before"):
        pool.release(connection)
    assert pool.stats() == (2, 0, 1, 0)


def test_a_closed_pool(maker: Maker) -> None:
    pool = make(maker, size=1, overflow=0, timeout=5)
    held = pool.acquire()
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            pool.acquire()
        except SessionError as error:
            failed.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while pool.stats().waiting != 1:
        time.sleep(0.001)
    pool.close()
    thread.join(2)
    assert len(failed) == 1
    with pytest.raises(SessionError, match="disposed"):
        pool.acquire()
    pool.release(held)
    assert maker.open == 0
    pool.close()


@pytest.mark.parametrize(
    "limits", [Limits(0, 0), Limits(-1), Limits(1, -1), Limits(timeout=-1), Limits(recycle=-1)]
)
def test_impossible_limits(limits: Limits, maker: Maker) -> None:
    with pytest.raises(ConfigurationError):
        Pool(maker, limits)


def test_a_pool_that_keeps_nothing(maker: Maker) -> None:
    pool = make(maker, size=0, overflow=1)
    pool.release(pool.acquire())
    assert maker.open == 0


@pytest.mark.requirement("R37")
def test_many_threads_lose_nothing(maker: Maker) -> None:
    pool = make(maker, size=2, overflow=2, timeout=10, recycle=0.02)
    inside: set[int] = set()
    most = 0
    guard = threading.Lock()

    def work(seed: int) -> int:
        nonlocal most
        rng = random.Random(seed)
        done = 0
        for _ in range(150):
            connection: Any = pool.acquire()
            with guard:
                assert id(connection) not in inside, "two threads have the same connection"
                inside.add(id(connection))
                most = max(most, len(inside))
            if rng.random() < 0.2:
                time.sleep(0.0005)
            with guard:
                inside.discard(id(connection))
            chance = rng.random()
            if chance < 0.05:
                connection.usable = False
            connection.needs_reset = chance > 0.9
            pool.release(connection, discard=0.05 < chance < 0.1)
            done += 1
        return done

    with ThreadPoolExecutor(12) as executor:
        assert sum(executor.map(work, range(12))) == 12 * 150
    assert most <= 4
    stats = pool.stats()
    assert (stats.in_use, stats.waiting) == (0, 0)
    assert stats.idle <= 4
    pool.close()
    assert maker.open == 0
    assert all(fake.closed for fake in maker.made)


def test_a_waiter_is_woken_by_every_way_of_releasing(maker: Maker) -> None:
    for how in ("keep", "discard", "unusable"):
        pool = make(maker, size=1, overflow=0, timeout=5)
        held: Any = pool.acquire()
        got: list[Optional[Any]] = []

        def wait(pool: Pool = pool, got: list[Optional[Any]] = got) -> None:
            got.append(pool.acquire())

        thread = threading.Thread(target=wait)
        thread.start()
        while pool.stats().waiting != 1:
            time.sleep(0.001)
        held.usable = how != "unusable"
        pool.release(held, discard=how == "discard")
        thread.join(2)
        assert len(got) == 1
        assert (got[0] is held) is (how == "keep")
