"""The databases of the tests of traps; no connection may be lost in a test."""

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
    """Give an engine on a file with the tables of the persistence tests."""
    with Engine(f"sqlite:///{tmp_path / 'test.db'}") as engine:
        create_all(engine, MODELS)
        yield engine


@pytest.fixture(params=["sync", "async"])
async def db(request: Any, engine: Engine) -> AsyncIterator[Database]:
    """Give a database with sessions of either kind."""
    yield Database(engine, request.param)
    stats = engine.pool_stats()
    await engine.adispose()
    assert stats.in_use == 0, stats


@pytest.fixture
async def awaiting(engine: Engine) -> AsyncIterator[Database]:
    """Give a database with asynchronous sessions."""
    yield Database(engine, "async")
    stats = engine.pool_stats()
    await engine.adispose()
    assert stats.in_use == 0, stats
