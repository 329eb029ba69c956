"""DuckDB passes the compliance suite."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator

import pytest

from blaze import Engine
from blaze.testing.suite import *  # noqa: F403


@pytest.fixture(scope="session")
def blaze_engine() -> Iterator[Engine]:
    # A name makes one database of all engines of the process.
    with Engine("duckdb:///:memory:compliance?threads=1") as engine:
        yield engine


@pytest.fixture(scope="module", autouse=True)
def quick_drivers() -> Iterator[None]:
    """Say once that these are missing: before 1.5 DuckDB's driver looks for them at every value it binds."""
    absent = [name for name in ("numpy", "pandas") if importlib.util.find_spec(name) is None]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    yield
    for name in absent:
        del sys.modules[name]
