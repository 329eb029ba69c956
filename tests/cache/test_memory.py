"""The cache in memory, and the contract that every backend keeps."""

from __future__ import annotations

import datetime
import random
import threading
from typing import Any

import pytest

from blaze.cache import CacheBackend, MemoryCache
from blaze.errors import ConfigurationError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.requirement("R36")
def test_it_is_a_backend_and_stores_finds_and_deletes() -> None:
    cache = MemoryCache()
    assert isinstance(cache, CacheBackend)
    assert cache.set_many({"a": {"id": 1}, "b": [1, None, True, 1.5]}) == 2
    assert cache.get_many(["a", "b", "c"]) == {"a": {"id": 1}, "b": [1, None, True, 1.5]}
    assert cache.delete_many(["a", "c"]) == 1
    assert cache.get_many(["a", "b"]) == {"b": [1, None, True, 1.5]}
    cache.clear()
    assert cache.get_many(["b"]) == {}
    cache.close()
    cache.close()
    assert repr(cache) == "<MemoryCache with 0 of 10000 values>"


@pytest.mark.requirement("R33")
@pytest.mark.parametrize("value", [{"a": 1, "b": None}, {"a": {"b": [1, {"c": 2}]}}, [1, [2]]])
def test_values_are_copies_on_both_sides(value: Any) -> None:
    cache = MemoryCache()
    text = repr(value)
    cache.set_many({"k": value})
    value.clear()
    found = cache.get_many(["k"])["k"]
    assert repr(found) == text
    inner = found if isinstance(found, list) else found["a"]
    if isinstance(inner, (dict, list)):
        inner.clear()
    found.clear()
    assert repr(cache.get_many(["k"])["k"]) == text


@pytest.mark.requirement("R33")
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (datetime.date(2020, 1, 1), "it holds datetime.date"),
        ({"a": {1: 2}}, "the key of a dict is int"),
        ([[float("nan")]], "nan is no JSON number"),
        ({"a": b"x"}, "it holds bytes"),
        ((1, 2), "it holds tuple"),
        (type("Text", (str,), {})("x"), "Text"),
    ],
)
def test_only_json_like_data_is_taken(value: Any, problem: str) -> None:
    cache = MemoryCache()
    with pytest.raises(TypeError, match=f"JSON-like data only, but the value of 'bad' .*{problem}"):
        cache.set_many({"good": 1, "bad": value})
    assert cache.get_many(["good"]) == {}


@pytest.mark.requirement("R36")
def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(size=2)
    cache.set_many({"a": 1, "b": 2})
    cache.get_many(["a"])
    cache.set_many({"c": 3})
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "c": 3}
    assert cache.stats().evicted == 1


@pytest.mark.requirement("R36")
def test_values_expire() -> None:
    clock = Clock()
    cache = MemoryCache(ttl=10, clock=clock)
    cache.set_many({"a": 1})
    cache.set_many({"b": 2}, ttl=100)
    clock.now = 10
    assert cache.get_many(["a", "b"]) == {"b": 2}
    assert cache.stats().expired == 1


def test_statistics() -> None:
    cache = MemoryCache(size=5)
    cache.set_many({"a": 1, "b": 2})
    cache.get_many(["a", "x"])
    cache.delete_many(["b", "y"])
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.stored, stats.deleted) == (1, 1, 2, 1)
    assert (stats.size, stats.capacity, stats.errors) == (1, 5, 0)


@pytest.mark.parametrize("arguments", [{"size": 0}, {"ttl": 0}, {"ttl": -1}])
def test_senseless_limits_are_refused(arguments: Any) -> None:
    with pytest.raises(ConfigurationError):
        MemoryCache(**arguments)


class TestNothingStaleGetsIn:
    @pytest.mark.requirement("R34")
    def test_what_was_deleted_after_the_mark_is_not_stored(self) -> None:
        cache = MemoryCache()
        mark = cache.get_many(["a", "b"]).mark  # a reader misses, and reads the rows from the database
        cache.delete_many(["a"])  # meanwhile a writer commits
        assert cache.set_many({"a": "old", "b": 1}, mark=mark) == 1
        assert cache.get_many(["a", "b"]) == {"b": 1}
        assert cache.stats().refused == 1
        assert cache.set_many({"a": "new"}, mark=cache.get_many([]).mark) == 1

    def test_clear_refuses_whatever_was_read_before(self) -> None:
        cache = MemoryCache()
        mark = cache.get_many([]).mark
        cache.clear()
        assert cache.set_many({"a": 1}, mark=mark) == 0

    def test_a_mark_older_than_the_memory_of_deletions_is_worth_nothing(self) -> None:
        cache = MemoryCache(size=3)
        mark = cache.get_many([]).mark
        cache.delete_many(["a"])
        for number in range(10):
            cache.delete_many([str(number)])
        assert len(cache._deletions) == 3
        assert cache.set_many({"a": "old", "other": 1}, mark=mark) == 0

    def test_held_keys_stay_empty_until_their_holders_let_go(self) -> None:
        cache = MemoryCache()
        cache.set_many({"a": "old"})
        cache.delete_many(["a"], hold=5, holder="first")
        cache.delete_many(["a"], hold=5, holder="second")
        cache.delete_many(["a"])  # somebody else
        assert cache.set_many({"a": "old"}) == 0
        cache.delete_many(["a"], holder="first")
        assert cache.set_many({"a": "old"}) == 0
        cache.delete_many(["a"], holder="second")
        assert cache.set_many({"a": "new"}) == 1
        assert not cache._held

    def test_a_hold_ends_by_itself(self) -> None:
        clock = Clock()
        cache = MemoryCache(size=2, clock=clock)
        cache.delete_many(["a", "b", "c"], hold=5)
        clock.now = 5
        assert cache.set_many({"a": 1}) == 1
        cache.delete_many(["x", "y", "z"], hold=5)
        assert set(cache._held) == {"x", "y", "z"}, "holds that have ended are dropped when there are many"

    def test_readers_and_writers_in_threads(self) -> None:
        cache = MemoryCache()
        database = {"k": 0}
        stale: list[tuple[int, int]] = []
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                committed = database["k"]  # what a reader may rely on from here on
                found = cache.get_many(["k"])
                if "k" in found:
                    if found["k"] < committed:
                        stale.append((found["k"], committed))
                else:
                    cache.set_many({"k": database["k"]}, mark=found.mark)

        def write() -> None:
            for number in range(1, 2000):
                cache.delete_many(["k"], hold=5, holder="w")
                database["k"] = number
                cache.delete_many(["k"], holder="w")
                if random.random() < 0.1:
                    cache.get_many(["k"])

        readers = [threading.Thread(target=read) for _ in range(3)]
        writer = threading.Thread(target=write)
        for thread in (*readers, writer):
            thread.start()
        writer.join()
        stop.set()
        for thread in readers:
            thread.join()
        assert not stale


@pytest.mark.requirement("R37")
def test_threads_break_nothing() -> None:
    cache = MemoryCache(size=50)

    def work() -> None:
        for number in range(3000):
            key = str(number % 100)
            cache.set_many({key: {"n": number}})
            cache.get_many([key, "0"])
            cache.delete_many([key])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.stats().size <= 50
    assert cache.stats().hits + cache.stats().misses == 24_000
