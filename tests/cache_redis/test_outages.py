"""Redis down, slow, full, or answering rubbish: little time is lost, once, and the database answers."""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis.exceptions import AuthenticationError, RedisError, TimeoutError

from blaze.cache.guard import guard_of
from tests.cache.interleave import rows_in
from tests.cache.models import Writer
from tests.cache_redis.watched import RedisCache, WatchedCache
from tests.persistence.twins import Database, settled
from tests.support.redis import Server, client

pytestmark = pytest.mark.requirement("R33", "R36")
# Seconds that fifty look-ups may take although the cache is away: generous, for machines that are busy. At
# one time-out for each it would be five times as long.
BOUND = 5.0
TIMEOUT = 0.5


async def name_and_cost(db: Database, cache: Any) -> tuple[str, int]:
    async with db.session(cache_backend=cache) as s:
        return (await s.get_one(Writer, 1)).name, s.statements


async def rename(db: Database, cache: Any, name: str) -> None:
    async with db.session(cache_backend=cache) as s:
        (await s.get_one(Writer, 1)).name = name
        await s.commit()


async def close(cache: Any) -> None:
    await cache.aio.close()
    cache.close()


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


async def check_that_only_the_first_call_asks(db: Database, cache: WatchedCache, name: str) -> None:
    """The cache is away: fifty look-ups and ten commits, one question."""
    asked, start = cache.asked, time.monotonic()
    for _ in range(50):
        assert await name_and_cost(db, cache) == (name, 1)
    assert time.monotonic() - start < BOUND
    assert cache.asked == asked + 1
    for number in range(10):
        await rename(db, cache, f"{name}{number}")
        assert await name_and_cost(db, cache) == (f"{name}{number}", 1)
    assert cache.asked == asked + 1


@pytest.fixture
async def cache(db: Database, server: Server) -> Any:
    """Give a cache in a Redis of its own, which knows the one row of the database."""
    await db.save(Writer(name="a"))
    cache = WatchedCache(server.url, timeout=TIMEOUT)
    for _ in range(2):
        await name_and_cost(db, cache)
    assert rows_in(cache)
    yield cache
    await close(cache)


async def test_a_server_that_is_stopped_and_started_again(
    db: Database, cache: WatchedCache, server: Server, caplog: Any
) -> None:
    with caplog.at_level(logging.INFO, "blaze.cache"):
        server.stop()
        await check_that_only_the_first_call_asks(db, cache, "a")
        server.start()
        wait_until(lambda: not guard_of(cache).is_resting())
    assert await name_and_cost(db, cache) == ("a9", 1)
    assert await name_and_cost(db, cache) == ("a9", 0)
    records = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in records] == ["ERROR", "INFO"]
    assert records[0][1].startswith("the cache failed to look rows up")
    assert records[1][1] == "the cache answers again"


async def test_what_an_older_run_of_the_server_has_saved_is_not_read(
    db: Database, cache: WatchedCache, server: Server
) -> None:
    """It comes back as it was, without the deletions since, to a process that saw nothing of it."""
    with client(server.url) as found:
        found.save()
    await rename(db, cache, "b")
    assert await name_and_cost(db, cache) == ("b", 1)
    server.stop()
    server.start()
    other = WatchedCache(server.url, timeout=TIMEOUT)
    with client(server.url) as found:
        assert found.exists("{blaze}:1:state")
        assert list(found.scan_iter("*cached_writer|1"))
    assert await name_and_cost(db, other) == ("b", 1)
    assert await name_and_cost(db, other) == ("b", 0)
    await close(other)


async def test_a_connection_that_the_server_has_closed_is_replaced(
    db: Database, cache: WatchedCache, server: Server
) -> None:
    with client(server.url) as found:
        found.client_kill_filter(_type="normal", skipme=True)
    assert await name_and_cost(db, cache) == ("a", 0)
    assert guard_of(cache).errors == cache.stats().errors == 0


async def test_a_server_that_hangs_and_goes_on(db: Database, cache: WatchedCache, server: Server) -> None:
    other = WatchedCache(server.url, timeout=30.0)  # of a process that notices nothing
    assert await name_and_cost(db, other) == ("a", 0)
    server.pause()
    try:
        await check_that_only_the_first_call_asks(db, cache, "a")
    finally:
        server.go_on()
    wait_until(lambda: not guard_of(cache).is_resting())
    assert not guard_of(cache).lost
    assert await name_and_cost(db, other) == ("a9", 1), "what could not be dropped was cleared"
    assert await name_and_cost(db, cache) == ("a9", 0)
    await close(other)


async def test_a_failure_between_hold_and_release_shows_nobody_an_old_row(
    db: Database, cache: WatchedCache, server: Server
) -> None:
    other = WatchedCache(server.url, timeout=30.0)
    s = db.open(cache_backend=cache)
    (await s.get_one(Writer, 1)).name = "b"
    await s.flush()
    server.pause()
    await s.commit()
    await s.close()
    server.go_on()
    wait_until(lambda: not guard_of(cache).is_resting())
    for _ in range(3):
        assert (await name_and_cost(db, other))[0] == (await name_and_cost(db, cache))[0] == "b"
    await close(other)


async def test_a_server_that_is_full_stores_nothing_and_drops_all_the_same(
    db: Database, cache: WatchedCache, server: Server, caplog: Any
) -> None:
    await db.save(*[Writer(name=f"w{n}") for n in range(40)])
    with client(server.url) as found:
        found.set("ballast", b"x" * 1_000_000)
        found.config_set("maxmemory-policy", "noeviction")
        found.config_set("maxmemory", 1_000_000)
        with caplog.at_level(logging.ERROR, "blaze.cache"):
            start = time.monotonic()
            for key in range(2, 42):
                for _ in range(2):
                    async with db.session(cache_backend=cache) as s:
                        assert (await s.get_one(Writer, key)).name == f"w{key - 2}"
                        assert s.statements == 1
            assert time.monotonic() - start < 2 * BOUND
        assert await name_and_cost(db, cache) == ("a", 0), "what is there is read"
        await rename(db, cache, "b")
        for _ in range(2):
            assert await name_and_cost(db, cache) == ("b", 1), "and dropped when it changes"
        assert not guard_of(cache).lost
        assert [record.getMessage()[:21] for record in caplog.records] == ["Redis has no room to "]
        cache.clear()
        assert cache.stats().errors < 30, "it is not asked to store for a second after it has refused"
        found.delete("ballast")
        found.config_set("maxmemory", 0)
    time.sleep(1.0)
    assert await name_and_cost(db, cache) == ("b", 1)
    assert await name_and_cost(db, cache) == ("b", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_finds_out_by_itself_that_the_cache_is_back(server: Server) -> None:
    cache = RedisCache(server.url, timeout=TIMEOUT)
    guard = guard_of(cache)
    server.stop()
    with pytest.raises(RedisError) as caught:
        cache.get_many(["a"])
    guard.failed("look rows up", caught.value)
    assert guard.is_resting()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        while guard.is_resting():
            time.sleep(0.02)
        os._exit(0 if cache.set_many({"a": 1}) == 1 else 1)
    server.start()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    wait_until(lambda: not guard.is_resting())
    assert cache.get_many(["a"]) == {"a": 1}
    cache.close()


@contextmanager
def talker(answer: Any) -> Iterator[str]:
    """Give the URL of a server that reads nothing and writes what `answer` gives, until the end."""
    server = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()
    threads = []

    def serve() -> None:
        while not done.is_set():
            try:
                client, _ = server.accept()
            except OSError:
                return
            thread = threading.Thread(target=talk, args=(client,))
            thread.start()
            threads.append(thread)

    def talk(client: socket.socket) -> None:
        with client:
            for piece in answer():
                try:
                    client.sendall(piece)
                except OSError:
                    return
                if done.is_set():
                    return
            done.wait(20)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}"
    finally:
        done.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for thread in threads:
            thread.join()


def slowly(data: bytes) -> Iterator[bytes]:
    for byte in data:
        time.sleep(0.01)
        yield bytes([byte])


INFO = b"$48\r\nrun_id:0123456789012345678901234567890123456789\n\r\n"
NOISE = random.Random(1).randbytes(5_000)
RUBBISH: dict[str, Any] = {
    "nothing": list,
    "HTTP": lambda: [b"HTTP/1.1 400 Bad Request\r\n\r\n<html>" * 50],
    "pong to everything": lambda: [b"+PONG\r\n" * 100],
    "nil to everything": lambda: [b"$-1\r\n" * 100],
    "zero to everything": lambda: [b":0\r\n" * 100],
    "noise": lambda: [NOISE],
    "lines of noise": lambda: [NOISE.replace(b"\0", b"\r\n$")],
    "a huge array": lambda: [b"*5000000\r\n", *[b":1\r\n" * 100] * 50],
    "a huge text": lambda: [b"$1000000000\r\n", *[b"x" * 1000] * 50],
    "one byte after the other": lambda: slowly(INFO + b"*2\r\n$3\r\nabc\r\n*0\r\n" * 1_000),
    "a wrong shape": lambda: [INFO, b"*2\r\n$3\r\nabc\r\n$3\r\nabc\r\n" * 50],
    "too few values": lambda: [INFO, b"*2\r\n$3\r\nabc\r\n*0\r\n" * 50],
    "wrong values": lambda: [INFO, b"*2\r\n$3\r\nabc\r\n*2\r\n$1\r\nx\r\n:5\r\n" * 50],
    "errors": lambda: [INFO, b"-ERR no\r\n" * 50],
}


@pytest.mark.parametrize("answer", RUBBISH.values(), ids=RUBBISH)
async def test_a_server_that_talks_rubbish(db: Database, answer: Any) -> None:
    await db.save(Writer(name="a"))
    with talker(answer) as url:
        cache = WatchedCache(url, timeout=TIMEOUT)
        start = time.monotonic()
        asked = cache.asked
        for _ in range(50):
            assert await name_and_cost(db, cache) == ("a", 1)
        assert time.monotonic() - start < BOUND
        # What answers a look-up by chance fails at storing; each time the next try comes later.
        assert cache.asked <= asked + 10  # of 50; a slow machine gives the probe more time
        assert guard_of(cache).is_resting()
        await rename(db, cache, "b")
        assert await name_and_cost(db, cache) == ("b", 1)
        await close(cache)


async def test_a_name_that_takes_long_to_resolve(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await db.save(Writer(name="a"))
    inner = socket.getaddrinfo

    def slow(host: Any, *arguments: Any, **options: Any) -> Any:
        time.sleep(3.0)
        return inner("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    cache = WatchedCache("redis://somewhere.invalid", timeout=TIMEOUT)
    start = time.monotonic()
    for _ in range(50):
        assert await name_and_cost(db, cache) == ("a", 1)
    assert time.monotonic() - start < BOUND
    assert cache.asked == 1


def test_a_call_ends_in_time_although_something_comes_all_the_time() -> None:
    def answer() -> Iterator[bytes]:
        yield INFO
        yield from slowly(b"*2\r\n$3\r\nabc\r\n*1\r\n$1000\r\n" + b"x" * 1_000)

    with talker(answer) as url:
        cache = RedisCache(url, timeout=0.5)
        start = time.monotonic()
        with pytest.raises(TimeoutError, match="Timeout reading"):
            cache.get_many(["a"])
        assert time.monotonic() - start < 3.0
        cache.close()


# --- the password -------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["", "someone"])
async def test_a_wrong_password_is_shown_nowhere(
    db: Database, server: Server, user: str, caplog: Any
) -> None:
    server.stop()
    server.start(password="right")
    url = server.url.replace("//", f"//{user}:geheim@")
    cache = RedisCache(url, timeout=10.0)
    assert "geheim" not in repr(cache) + repr(cache.aio) + repr(vars(cache)) + repr(vars(cache._settings))
    await db.save(Writer(name="a"))
    with caplog.at_level(logging.DEBUG):
        assert await name_and_cost(db, cache) == ("a", 1)
    assert "AuthenticationError" in caplog.text
    assert "geheim" not in caplog.text
    form: Any = cache.aio if db.asynchronous else cache
    with pytest.raises(AuthenticationError) as caught:
        await settled(form.get_many(["a"]))
    assert caught.value.__context__ is caught.value.__cause__ is None
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)][1:]  # without this one
    assert any(frame.f_code.co_name == "get_many" for frame in frames)
    assert "geheim" not in "".join(f"{frame.f_locals} {frame.f_code.co_name}" for frame in frames)
    assert "geheim" not in "".join(traceback.format_exception_only(type(caught.value), caught.value))
    await close(cache)


async def test_the_right_password_opens(db: Database, server: Server) -> None:
    server.stop()
    server.start(password="right")
    await db.save(Writer(name="a"))
    cache = WatchedCache(server.url.replace("//", "//:right@"), timeout=10.0)
    assert [await name_and_cost(db, cache) for _ in range(2)] == [("a", 1), ("a", 0)]
    await close(cache)
