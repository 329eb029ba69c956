"""Databases, servers and caches of the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from blaze import Engine, create_all
from tests.cache.models import MODELS
from tests.persistence.twins import Database
from tests.support import redis as support

# Much longer than the default: the machine of the tests may be busy.
TIMEOUT = 10.0


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a Redis."""
    with support.any_server(tmp_path_factory.mktemp("redis")) as url:
        if url is None:
            pytest.skip(support.MISSING)
        yield url


@pytest.fixture
def namespace(redis_url: str) -> Iterator[str]:
    """Give a namespace of its own for the test."""
    with support.own_namespace(redis_url) as name:
        yield name


@pytest.fixture
def server(tmp_path: Path) -> Iterator[support.Server]:
    """Give a Redis that the test may stop."""
    if support.binary() is None:
        pytest.skip(support.MISSING)
    folder = tmp_path / "redis"
    folder.mkdir()
    server = support.Server(folder)
    server.start()
    yield server
    server.stop()


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
async def cache(redis_url: str, namespace: str) -> AsyncIterator[Any]:
    """Give an empty cache."""
    from tests.cache_redis.watched import WatchedCache

    cache = WatchedCache(redis_url, namespace=namespace, timeout=TIMEOUT)
    yield cache
    await cache.aio.close()
    cache.close()
