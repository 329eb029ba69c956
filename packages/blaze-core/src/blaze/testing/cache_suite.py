"""The contract of cache backends as tests: subclass `CacheSuite` in a test module and give it a backend.

    class TestRedisCache(CacheSuite):
        def make(self) -> RedisCache:
            return RedisCache("redis://localhost/15")

It must be empty. An asynchronous backend is tested as it is. Times are short: a hold of `hold` seconds must
have ended after `hold` and a quarter of a second.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Callable

from blaze.cache.backend import AsyncCacheBackend, CacheBackend, CacheStats, Hits
from blaze.utils.awaitables import is_awaitable

__all__ = ["CacheSuite"]


class CacheSuite:
    """Tests that every cache backend passes."""

    hold = 0.1

    def make(self) -> Any:
        """Return an empty backend of its own for one test."""
        raise NotImplementedError("return a backend")

    def play(self, scenario: Callable[[Any], Any]) -> None:
        """Run a scenario with a backend whose calls are all awaited, and close it."""

        async def run() -> None:
            backend = self.make()
            try:
                await scenario(_Awaited(backend))
            finally:
                closed = backend.close()
                if is_awaitable(closed):
                    await closed

        loop = asyncio.new_event_loop()  # `asyncio.run` would take the loop of the test runner away
        try:
            loop.run_until_complete(run())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def test_it_has_the_methods(self) -> None:
        backend = self.make()
        assert isinstance(backend, (CacheBackend, AsyncCacheBackend))

        async def twice(awaited: Any) -> None:
            await awaited.close()
            await awaited.close()

        self.play(twice)

    def test_it_stores_finds_deletes_and_clears(self) -> None:
        async def scenario(cache: Any) -> None:
            values = {"a": {"id": 1, "none": None}, "b": [1, True, 1.5, "ü\0'"], "c|d:e": "text"}
            assert await cache.set_many(values) == 3
            found = await cache.get_many([*values, "x"])
            assert isinstance(found, Hits)
            assert found == values
            assert await cache.delete_many(["a", "x"]) == 1
            assert await cache.get_many(["a"]) == {}
            await cache.clear()
            assert await cache.get_many(list(values)) == {}
            assert await cache.set_many({}) == 0
            assert await cache.get_many([]) == {}

        self.play(scenario)

    def test_values_are_copies(self) -> None:
        async def scenario(cache: Any) -> None:
            value = {"list": [1, {"a": 1}]}
            await cache.set_many({"k": value})
            value["list"].clear()
            found = await cache.get_many(["k"])
            found["k"]["list"].append(2)
            assert await cache.get_many(["k"]) == {"k": {"list": [1, {"a": 1}]}}

        self.play(scenario)

    def test_only_json_like_values_are_taken(self) -> None:
        async def scenario(cache: Any) -> None:
            for value in (b"bytes", {1: 2}, (1, 2), float("nan"), object()):
                try:
                    await cache.set_many({"good": 1, "bad": value})
                except TypeError:
                    assert await cache.get_many(["good"]) == {}
                else:
                    raise AssertionError(f"{value!r} was taken")

        self.play(scenario)

    def test_values_expire(self) -> None:
        async def scenario(cache: Any) -> None:
            await cache.set_many({"a": 1}, 0.05)
            await cache.set_many({"b": 1}, 3600.0)
            time.sleep(0.2)
            assert await cache.get_many(["a", "b"]) == {"b": 1}

        self.play(scenario)

    def test_what_was_deleted_after_the_mark_is_not_stored(self) -> None:
        async def scenario(cache: Any) -> None:
            mark = (await cache.get_many(["a", "b"])).mark
            await cache.delete_many(["a"])
            assert await cache.set_many({"a": "old", "b": 1}, None, mark) == 1
            assert await cache.get_many(["a", "b"]) == {"b": 1}
            mark = (await cache.get_many(["a"])).mark
            assert await cache.set_many({"a": "new"}, None, mark) == 1

        self.play(scenario)

    def test_clear_makes_older_marks_worthless(self) -> None:
        async def scenario(cache: Any) -> None:
            mark = (await cache.get_many(["a"])).mark
            await cache.clear()
            assert await cache.set_many({"a": "old"}, None, mark) == 0
            assert await cache.get_many(["a"]) == {}

        self.play(scenario)

    def test_many_deletions_let_no_old_mark_through(self) -> None:
        async def scenario(cache: Any) -> None:
            mark = (await cache.get_many(["a"])).mark
            await cache.delete_many(["a"])
            for start in range(0, 30_000, 1_000):
                await cache.delete_many([str(number) for number in range(start, start + 1_000)])
            assert await cache.set_many({"a": "old"}, None, mark) == 0

        self.play(scenario)

    def test_held_keys_stay_empty_until_all_their_holders_let_go(self) -> None:
        async def scenario(cache: Any) -> None:
            await cache.set_many({"a": "old"})
            for holder in ("first", "second"):
                await cache.delete_many(["a"], 60.0, holder)
            await cache.delete_many(["a"])  # somebody else
            for holder in ("first", "second"):
                mark = (await cache.get_many(["a"])).mark
                assert await cache.set_many({"a": "old"}, None, mark) == 0
                assert await cache.set_many({"a": "old"}) == 0
                await cache.delete_many(["a"], 0.0, holder)
                assert await cache.set_many({"a": "old"}, None, mark) == 0, "the end of a hold is a deletion"
            assert await cache.set_many({"a": "new"}) == 1

        self.play(scenario)

    def test_holds_outlive_clear_and_end_by_themselves(self) -> None:
        async def scenario(cache: Any) -> None:
            await cache.delete_many(["a"], self.hold, "writer")
            await cache.clear()
            mark = (await cache.get_many(["a"])).mark
            assert await cache.set_many({"a": 1}, None, mark) == 0
            time.sleep(self.hold + 0.25)
            assert await cache.set_many({"a": 1}, None, (await cache.get_many(["a"])).mark) == 1

        self.play(scenario)

    def test_a_hold_that_ends_by_itself_is_a_deletion_for_those_who_read_meanwhile(self) -> None:
        async def scenario(cache: Any) -> None:
            await cache.delete_many(["a"], self.hold, "a writer that dies")
            mark = (await cache.get_many(["a"])).mark
            time.sleep(self.hold + 0.25)
            assert await cache.set_many({"a": "old"}, None, mark) == 0
            assert await cache.set_many({"a": "new"}, None, (await cache.get_many(["a"])).mark) == 1

        self.play(scenario)

    def test_it_counts(self) -> None:
        async def scenario(cache: Any) -> None:
            before = await cache.stats()
            await cache.set_many({"a": 1, "b": 2, "#c": 3})
            await cache.get_many(["a", "x", "#c", "#d"])
            await cache.delete_many(["b"])
            stats = await cache.stats()
            assert isinstance(stats, CacheStats)
            assert stats.hits - before.hits == 1, "keys that begin with # are not counted"
            assert stats.misses - before.misses == 1
            assert stats.stored - before.stored == 3
            assert stats.deleted - before.deleted == 1
            assert stats.errors == before.errors

        self.play(scenario)


class _Awaited:
    """A backend of either kind, awaited."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._backend, name)

        async def call(*arguments: Any) -> Any:
            result = member(*arguments)
            return (await result) if is_awaitable(result) else result

        return call
