"""Sessions on one cache in Redis, in many orders: nobody reads what is stale or rolled back."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.cache.interleave import World, explore
from tests.cache.models import Page, Work, Writer
from tests.cache.test_interleavings import (
    change_and_roll_back,
    change_the_key,
    clear_the_cache,
    delete_the_writer,
    none,
    raw_sql,
    reader_once,
    reading,
    update_by_query,
)
from tests.cache_redis.watched import WatchedCache
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R33", "R34")


@pytest.fixture
def make_world(db: Database, tmp_path: Path, cache: WatchedCache, namespace: str) -> Callable[[], World]:
    """Give what makes a world with fresh rows and an empty cache."""
    numbers = itertools.count()
    return lambda: World(
        db.engine,
        str(tmp_path / "test.db"),
        db.asynchronous,
        cache.sibling(f"{namespace}-{next(numbers)}"),
    )


CASES: dict[str, tuple[Any, bool]] = {
    "a reader that fills the cache": ([reader_once, raw_sql], False),
    "two reads of one row": ([reading((Writer, 1), (Writer, 2)), update_by_query], True),
    "a key that changes": ([reading((Writer, 1), (Writer, 1)), change_the_key], True),
    "a rollback": ([reading((Writer, 1), (Writer, 1)), change_and_roll_back], True),
    "what the database deletes": ([reading((Work, 1), (Page, 1)), delete_the_writer], True),
    "two writers": ([reader_once, raw_sql, update_by_query], True),
    "a clear": ([reader_once, raw_sql, clear_the_cache], True),
}


@pytest.mark.parametrize(("scripts", "warm"), CASES.values(), ids=CASES)
async def test_no_order_shows_a_stale_row(make_world: Any, scripts: Any, warm: bool) -> None:
    assert await explore(make_world, scripts, warm=warm, most=150) > 10


@pytest.mark.long
@pytest.mark.parametrize(("scripts", "warm"), CASES.values(), ids=CASES)
async def test_no_order_of_all_shows_a_stale_row(make_world: Any, scripts: Any, warm: bool) -> None:
    assert await explore(make_world, scripts, warm=warm, most=2_000) > 10


@pytest.mark.parametrize("broken", ["no hold", "no mark"])
async def test_the_interleavings_find_what_is_wrong(
    make_world: Any, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one of the measures there is an order that shows it."""
    if broken == "no hold":
        monkeypatch.setattr("blaze.persistence.caching.SessionCache.hold", none)
    else:
        requests = "blaze_cache_redis.requests.Requests.set"
        from blaze_cache_redis.requests import Requests

        inner = Requests.set
        monkeypatch.setattr(requests, lambda self, values, ttl, mark: inner(self, values, ttl, None))
    with pytest.raises(AssertionError, match="in the order"):
        await explore(make_world, [reader_once, update_by_query], warm=broken != "no mark", most=400)
