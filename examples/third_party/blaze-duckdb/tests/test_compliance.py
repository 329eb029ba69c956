"""DuckDB passes the compliance suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blaze import Engine
from blaze.testing.suite import *  # noqa: F403


@pytest.fixture(scope="session")
def blaze_engine() -> Iterator[Engine]:
    # A name makes one database of all engines of the process.
    with Engine("duckdb:///:memory:compliance?threads=1") as engine:
        yield engine
