"""A database of its own on each server for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import mysql_database, postgres_database


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_database() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def mysql() -> Iterator[str]:
    with mysql_database() as dsn:
        yield dsn
