"""MariaDB or MySQL through PyMySQL and asyncmy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blaze import Engine
from blaze.testing.suite import *  # noqa: F403
from tests.support.servers import mysql_database


@pytest.fixture(scope="session")
def blaze_engine() -> Iterator[Engine]:
    with mysql_database() as dsn, Engine(f"{dsn}?lock_timeout=5") as engine:
        yield engine
