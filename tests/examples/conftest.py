"""The examples run on every database that Blaze brings a backend for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import mysql_database, postgres_database


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database_url(request: Any, tmp_path: Path) -> Iterator[str]:
    """Give the DSN of an empty database that belongs to this test alone."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    with (postgres_database if request.param == "postgresql" else mysql_database)() as dsn:
        yield dsn
