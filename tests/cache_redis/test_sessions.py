"""What sessions do with a cache in Redis."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
from typing import Any

import pytest

from blaze import AsyncSession, ConfigurationError, Engine, Session, plugins
from blaze.cache import AsyncCacheBackend, CacheBackend
from blaze_cache_redis.values import decode, encode
from tests.cache.models import Label, Page, Work, Writer
from tests.cache.test_sessions import CHANGES, fill, known
from tests.cache_redis.conftest import TIMEOUT
from tests.cache_redis.watched import AsyncRedisCache, RedisCache, WatchedCache
from tests.persistence.twins import Database
from tests.support import loops
from tests.support import redis as support


@pytest.fixture
async def filled(db: Database, cache: WatchedCache) -> WatchedCache:
    """Give a cache that knows all rows."""
    await db.save(*[Writer(name=name) for name in "ab"], *[Label(name=name) for name in "xy"])
    async with db.session() as s:
        a, b = await s.get(Writer, 1), await s.get(Writer, 2)
        work = Work(name="w", writer=a, editor=b)
        work.labels.add(await s.get(Label, 1))
        await s.add_all([work, Work(name="v", writer=b), Page(name="p", work=work)])
        await s.commit()
    await fill(db, cache)  # type: ignore[arg-type]
    return cache


@pytest.mark.requirement("R33", "R36")
async def test_a_second_session_reads_no_row_again(db: Database, filled: WatchedCache) -> None:
    async with db.session(cache_backend=filled) as s:
        work = await s.get_one(Work, 1)
        assert (await s.read(work, "writer")).name == "a"
        assert s.statements == 0
    asked = filled.asked
    async with db.session(cache_backend=filled) as s:
        await s.do(lambda s: s.query(Work).prefetch_related("writer", "editor").all())
    assert filled.asked == asked + 1, "one round trip for all writers, the editors among them"


@pytest.mark.requirement("R34", "R54", "R70")
@pytest.mark.parametrize(
    ("change", "gone"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES]
)
async def test_what_commits_leaves_the_cache_and_what_is_rolled_back_stays(
    db: Database, filled: WatchedCache, change: Any, gone: set[tuple[str, str]]
) -> None:
    all_rows = known(filled)  # type: ignore[arg-type]
    for outcome, left in (("rollback", all_rows), ("commit", all_rows - gone)):
        async with db.session(cache_backend=filled) as s:
            result = change(s)
            if hasattr(result, "__await__"):
                await result
            await s.flush()
            await getattr(s, outcome)()
        assert known(filled) == left  # type: ignore[arg-type]
    async with db.session(cache_backend=filled) as through, db.session() as plain:
        for model in (Writer, Work, Page, Label):
            for key in (1, 2, 5):
                seen, expected = await through.get(model, key), await plain.get(model, key)
                assert (seen and seen.name) == (expected and expected.name)


@pytest.mark.requirement("R35")
async def test_whoever_knows_better_says_so(db: Database, filled: WatchedCache) -> None:
    async with db.session() as s:
        await s.execute("UPDATE cached_writer SET name = 'late' WHERE id = 1")
        await s.commit()
    async with db.session(cache_backend=filled) as s:
        assert (await s.get_one(Writer, 1)).name == "a"
        await s.invalidate(Writer, 1)
        assert (await s.get_one(Writer, 1)).name == "late"


@pytest.mark.requirement("R36")
async def test_one_commit_is_two_round_trips_however_many_rows(db: Database, filled: WatchedCache) -> None:
    async with db.session() as s:
        await s.add_all([Label(name=f"l{n}") for n in range(500)])
        await s.commit()
    async with db.session(cache_backend=filled) as s:
        for label in await s.all(Label):
            label.name += "!"
        asked = filled.asked
        await s.commit()
        assert filled.asked == asked + 2


@pytest.mark.requirement("R36")
def test_it_is_a_backend_of_both_kinds() -> None:
    cache = RedisCache()
    assert isinstance(cache, CacheBackend)
    assert isinstance(cache.aio, AsyncCacheBackend)
    assert cache.aio.blocking is cache.blocking is cache
    alone = AsyncRedisCache()
    assert alone.blocking.aio is alone
    with Engine("sqlite://") as engine:
        with pytest.raises(ConfigurationError, match="asynchronous: use AsyncSession"):
            Session(engine, cache_backend=alone)
        assert Session(engine, cache_backend=cache).cache.backend is cache  # type: ignore[union-attr]
        assert AsyncSession(engine, cache_backend=cache).cache.backend is cache.aio  # type: ignore[union-attr]


def test_the_entry_point_makes_a_cache() -> None:
    try:
        make = plugins.load("blaze.caches", "redis")
    except ConfigurationError as error:
        pytest.skip(f"blaze-cache-redis IS NOT INSTALLED: {error}")
    assert make is RedisCache


@pytest.mark.requirement("R36")
def test_namespaces_share_nothing(redis_url: str, namespace: str) -> None:
    one, other = (RedisCache(redis_url, namespace=f"{namespace}{n}", timeout=TIMEOUT) for n in "ab")
    for number, cache in enumerate((one, other)):
        cache.set_many({"k": number})
    assert [cache.get_many(["k"]) for cache in (one, other)] == [{"k": 0}, {"k": 1}]
    one.clear()
    assert [cache.get_many(["k"]) for cache in (one, other)] == [{}, {"k": 1}]
    one.close()
    other.close()


async def test_a_socket_of_the_file_system_and_the_number_of_a_database(tmp_path: Any) -> None:
    if support.binary() is None:
        pytest.skip(support.MISSING)
    path = tmp_path / "redis.sock"
    server = support.Server(tmp_path, "--unixsocket", str(path))
    server.start()
    try:
        cache = RedisCache(f"unix://{path}?db=3", timeout=TIMEOUT)
        assert cache.set_many({"a": 1}) == 1
        assert await cache.aio.get_many(["a"]) == {"a": 1}
        with support.client(server.url) as found:
            assert list(found.info("keyspace")) == ["db3"]
        await cache.aio.close()
        cache.close()
    finally:
        server.stop()


@pytest.mark.parametrize(
    "value",
    [2**80, -(2**80), 2**63, 1.5, "\ud800", "ü\0", None, True, [], {}, {"a": [{"b": [1, None, "x"]}]}, ""],
)
def test_values_come_back_as_they_were(cache: WatchedCache, value: Any) -> None:
    cache.set_many({"\ud800 {}:*?\n": value})
    assert cache.get_many(["\ud800 {}:*?\n"]) == {"\ud800 {}:*?\n": value}
    assert type(cache.get_many(["\ud800 {}:*?\n"])["\ud800 {}:*?\n"]) is type(value)


@pytest.mark.parametrize("damaged", [b"", b"\x01", b"\x01\xc1", b"\x02{", b"\x07x", b"\x80\x04K\x01."])
def test_a_damaged_value_is_none(cache: WatchedCache, redis_url: str, damaged: bytes) -> None:
    cache.set_many({"a": 1, "b": 2})
    with support.client(redis_url) as found:
        (name,) = found.keys(f"{{{cache._settings.namespace}}}*:a")
        found.set(name, damaged)
    assert cache.get_many(["a", "b"]) == {"b": 2}
    assert cache.stats().errors == 0


@pytest.mark.requirement("R36")
@pytest.mark.parametrize(
    "change",
    [
        {"name": None}, {"name": 5}, {"name": "c"}, {"id": {}}, {"id": 2}, {"id": ["list", 1]}, {"#": 7},
        {"name": ["date", 5]}, {"name": ["nonsense", {}]},
    ],
    ids=str,
)  # fmt: skip
async def test_a_value_that_was_not_stored_so_is_replaced(
    db: Database, filled: WatchedCache, redis_url: str, change: dict[str, Any]
) -> None:
    with support.client(redis_url) as found:
        (name,) = found.keys(f"{{{filled._settings.namespace}}}*writer|1")
        value = {**decode(found.get(name)), **change}
        found.set(name, encode("k", value))
    for statements in (1, 0):
        async with db.session(cache_backend=filled) as s:
            writer = await s.get_one(Writer, 1)
            assert (writer.id, writer.name) == (1, "a")
            assert s.statements == statements


def test_no_value_lives_for_ever(cache: WatchedCache, redis_url: str) -> None:
    cache.set_many({"default": 1})
    cache.set_many({"long": 1}, 1e9)
    with support.client(redis_url) as found:
        lives = {
            name.rpartition(b":")[2]: found.ttl(name)
            for name in found.scan_iter(f"{{{cache._settings.namespace}}}*", count=1_000)
        }
    assert 290 < lives[b"default"] <= 300
    assert 0 < lives[b"long"] <= 30 * 86_400
    assert 0 < lives[b"state"] <= 30 * 86_400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("postgres://localhost",), "no URL of Redis"),
        (("redis://:geheim@localhost:port",), r"no URL of Redis|'redis://:\*\*\*@"),
        ((5,), "is given a URL"),
        (("redis://localhost?decode_responses=True",), "does not take"),
        (("redis://localhost/0?max_connections=5",), "does not take.*max_connections"),
        (("redis://:geheim@localhost/3?foo=1",), "does not take.*foo"),
        (("redis://:geheim@localhost/zzz",), r"the database of a Redis is a number"),
        (("redis://localhost/1/2",), "the database of a Redis is a number"),
        (("redis://localhost?db=-1",), "the database of a Redis is a number"),
        (("redis://localhost?db=x",), "no URL of Redis.*db"),
        (("rediss://:geheim@localhost?ssl_cert_reqs=bogus",), "options that cannot be: .*bogus"),
        (("redis://localhost?ssl_cert_reqs=none",), "options that cannot be: .*ssl_cert_reqs"),
        (("rediss://localhost?ssl_validate_ocsp=1",), "options that cannot be: .*ssl_validate_ocsp"),
        (("redis://localhost", {"namespace": "a{b"}), "without braces"),
        (("redis://localhost", {"namespace": ""}), "without braces"),
        (("redis://localhost", {"ttl": 0}), "above 0"),
        (("redis://localhost", {"timeout": -1}), "above 0"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(arguments: Any, message: str) -> None:
    url, *options = arguments
    with pytest.raises(ConfigurationError, match=message) as caught:
        RedisCache(url, **(options[0] if options else {}))
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:pw@localhost:1/3?client_name=a&socket_keepalive=yes&health_check_interval=5",
        "rediss://localhost/3/?ssl_cert_reqs=none&ssl_check_hostname=no",
        "unix:///run/redis.sock?db=3",
    ],
)
def test_what_may_be_right_is_taken(url: str) -> None:
    assert RedisCache(url)._settings._options["db"] == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_its_own_connections(cache: WatchedCache) -> None:
    cache.set_many({"a": 1})

    async def ask() -> Any:
        return dict(await cache.aio.get_many(["a"]))

    async def fork_and_ask() -> int:
        assert await ask() == {"a": 1}
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            try:
                found = [dict(cache.get_many(["a"])) for _ in range(50)]
                cache.set_many({"b": 2})
                os._exit(0 if found == [{"a": 1}] * 50 else 1)
            finally:
                os._exit(2)
        for _ in range(50):
            assert cache.get_many(["a"]) == await ask() == {"a": 1}
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert await ask() == {"a": 1}
        await cache.aio.close()
        return code

    assert loops.run(fork_and_ask()) == 0
    assert cache.get_many(["b"]) == {"b": 2}


def test_threads_share_a_cache(cache: WatchedCache) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def use(number: int) -> bool:
        keys = [f"{number}-{n}" for n in range(5)]
        for turn in range(20):
            cache.set_many(dict.fromkeys(keys, turn))
            if dict(cache.get_many(keys)) != dict.fromkeys(keys, turn):
                return False
        return cache.delete_many(keys) == 5

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(16)))
    assert cache.stats().stored == 16 * 20 * 5
    assert 1 <= len(cache._idle) <= 8


def test_loops_one_after_the_other_share_a_cache(redis_url: str, namespace: str) -> None:
    cache = AsyncRedisCache(redis_url, namespace=namespace, timeout=TIMEOUT)

    async def use() -> int:
        stored = await cache.set_many({"a": 1})
        found = await asyncio.gather(*[cache.get_many(["a"]) for _ in range(40)])
        assert found == [{"a": 1}] * 40
        await cache.close()
        return stored

    assert [loops.run(use()) for _ in range(3)] == [1, 1, 1]


async def test_a_cancelled_call_leaves_no_answer_to_the_next_one(cache: WatchedCache) -> None:
    aio = cache.aio
    await aio.set_many({"a": 1, "b": 2})
    for turns in range(12):
        call = asyncio.ensure_future(aio.get_many(["a"]))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert await aio.get_many(["b"]) == {"b": 2}


def test_a_cache_is_not_pickled(cache: WatchedCache) -> None:
    for form in (cache, cache.aio):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(form)


def test_another_layout_sees_no_value(cache: WatchedCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version of the layout is part of every name in Redis."""
    cache.set_many({"a": 1})
    monkeypatch.setattr("blaze_cache_redis.requests.FORMAT", 2)
    newer = cache.sibling(cache._settings.namespace)
    assert newer.get_many(["a"]) == {}
    newer.set_many({"a": 2})
    assert cache.get_many(["a"]) == {"a": 1}
