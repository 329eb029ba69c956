"""SQLite through sqlite3 and aiosqlite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blaze import Engine
from blaze.testing.suite import *  # noqa: F403


@pytest.fixture(scope="session")
def blaze_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = tmp_path_factory.mktemp("compliance") / "suite.db"
    with Engine(f"sqlite:///{path}") as engine:
        yield engine
