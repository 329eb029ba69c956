"""PostgreSQL behind PgBouncer: the cases that ask what a stream needs of the session of the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blaze import Engine
from blaze.testing.suite.harness import *  # noqa: F403
from blaze.testing.suite.raw_sql import test_a_rollback_during_a_stream, test_a_stream_outlives_a_commit
from tests.support.servers import pgbouncer, postgres_database

__all__ = ["blaze_engine", "test_a_rollback_during_a_stream", "test_a_stream_outlives_a_commit"]


@pytest.fixture(scope="session")
def blaze_engine() -> Iterator[Engine]:
    with postgres_database() as server, pgbouncer(server, sessions=3) as dsn, Engine(dsn) as engine:
        yield engine
