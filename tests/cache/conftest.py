"""Databases and caches of the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from blaze import Engine, MemoryCache, create_all
from tests.cache.interleave import World
from tests.cache.models import MODELS
from tests.persistence.twins import Database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine on a file with the tables of the tests; locks are refused at once."""
    with Engine(f"sqlite:///{tmp_path / 'test.db'}?synchronous=off&lock_timeout=0") as engine:
        create_all(engine, MODELS)
        yield engine


@pytest.fixture(params=["sync", "async"])
async def db(request: Any, engine: Engine) -> AsyncIterator[Database]:
    """Give a database with sessions of either kind; no connection may be lost in a test."""
    yield Database(engine, request.param)
    stats = engine.pool_stats()
    await engine.adispose()
    assert stats.in_use == 0, stats


@pytest.fixture
def make_world(db: Database, tmp_path: Path) -> Callable[[], World]:
    """Give what makes a world with fresh rows and an empty cache."""
    return lambda: World(db.engine, str(tmp_path / "test.db"), db.asynchronous, MemoryCache())
