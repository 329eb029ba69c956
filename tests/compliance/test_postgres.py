"""PostgreSQL through psycopg2 and asyncpg."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blaze import Engine
from blaze.testing.suite import *  # noqa: F403
from tests.support.servers import postgres_database


@pytest.fixture(scope="session")
def blaze_engine() -> Iterator[Engine]:
    with postgres_database() as dsn, Engine(f"{dsn}?lock_timeout=5") as engine:
        yield engine
