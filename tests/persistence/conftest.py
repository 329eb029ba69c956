"""The databases of the persistence tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from blaze import Engine, create_all
from tests.persistence.models import MODELS
from tests.persistence.twins import Database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine on a file with the tables of the tests."""
    with Engine(f"sqlite:///{tmp_path / 'test.db'}") as engine:
        create_all(engine, MODELS)
        yield engine


async def database(engine: Engine, kind: str) -> AsyncIterator[Database]:
    """Give a database; no connection may be lost in a test."""
    yield Database(engine, kind)
    stats = engine.pool_stats()
    await engine.adispose()
    assert stats.in_use == 0, stats


@pytest.fixture(params=["sync", "async"])
async def db(request: Any, engine: Engine) -> AsyncIterator[Database]:
    """Give a database with sessions of either kind."""
    async for found in database(engine, request.param):
        yield found


@pytest.fixture
async def blocking(engine: Engine) -> AsyncIterator[Database]:
    """Give a database with blocking sessions."""
    async for found in database(engine, "sync"):
        yield found


@pytest.fixture
async def awaiting(engine: Engine) -> AsyncIterator[Database]:
    """Give a database with asynchronous sessions."""
    async for found in database(engine, "async"):
        yield found
