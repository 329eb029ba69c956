"""Migrations under faults: statements that take long, and runners that die between two statements."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest

from blaze import Engine, Migration, MigrationEngine, MigrationError
from blaze.errors import ConfigurationError, TimeoutError
from tests.faults.places import Place
from tests.faults.runner import CRASHED, MIGRATIONS
from tests.persistence.twins import settled

# Some three times as long as the limit of the engine.
SLOW = {
    "sqlite": "CREATE TABLE slow AS WITH RECURSIVE c(n) AS"
    " (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000) SELECT count(*) AS n FROM c",
    "postgresql": "CREATE TABLE slow AS SELECT 1 AS n FROM pg_sleep(0.9)",
    "mysql": "CREATE TABLE slow AS SELECT 1 AS n FROM seq_1_to_9 WHERE sleep(0.1) = 0",
}


@contextlib.contextmanager
def without(place: Place, *tables: str) -> Iterator[None]:
    """Drop what the migrations of a test have made: the database of a server is that of many tests."""
    try:
        yield
    finally:
        with Engine(place.dsn) as engine, engine.connection() as connection:
            for table in ("blaze_migrations", *tables):
                connection.execute(f"DROP TABLE IF EXISTS {table}")


async def migrate(place: Place, migrating: MigrationEngine, *migrations: Migration) -> Any:
    """Apply migrations in the way of the place."""
    return await settled((migrating.aapply if place.asynchronous else migrating.apply)(migrations))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients stop waiting soon after the server should have stopped a statement."""
    for module in ("blaze_mysql.opening", "blaze_postgres.opening"):
        monkeypatch.setattr(f"{module}._MARGIN", 0.2)


@pytest.mark.requirement("R84")
async def test_the_limit_of_statements_is_not_that_of_migrations(place: Place, impatient: None) -> None:
    engine = place.make_engine(statement_timeout=0.3)
    migration = Migration("0001", [SLOW[place.backend]])
    with without(place, "slow"):
        async with place.connection(engine):
            """The pool has a connection, with the limit, before and after."""
        assert await migrate(place, MigrationEngine(engine), migration) == ["0001"]
        async with place.connection(engine) as connection:
            assert (await settled(connection.execute("SELECT n FROM slow"))).rows
            with pytest.raises(TimeoutError, match="statement_timeout"):
                await settled(connection.execute(SLOW[place.backend].replace("TABLE slow", "TABLE slow_2")))


async def test_migrations_may_be_given_a_limit(place: Place) -> None:
    migrating = MigrationEngine(place.engine, statement_timeout=0.3)
    migration = Migration("0001", [SLOW[place.backend]])
    with without(place, "slow"):
        with pytest.raises(MigrationError, match=r"at step 1 of 1.*statement_timeout") as raised:
            await migrate(place, migrating, migration)
        assert isinstance(raised.value.__cause__, TimeoutError)
        assert await migrate(place, MigrationEngine(place.engine), migration) == ["0001"]


def test_a_limit_is_a_number_of_seconds() -> None:
    with Engine("sqlite://") as engine, pytest.raises(ConfigurationError, match="statement_timeout is a"):
        MigrationEngine(engine, statement_timeout=-1)


def run_until_it_dies(place: Place, kind: str) -> bool:
    """Start a runner in a process of its own; say whether it has died in the midst of its work."""
    command = [sys.executable, "-m", "tests.faults.runner", place.dsn, kind]
    runner = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert runner.returncode in (0, CRASHED), runner.stderr
    return runner.returncode == CRASHED


@pytest.mark.requirement("R85")
@pytest.mark.parametrize("server_place", [("mysql", "sync")], indirect=True, ids="-".join)
async def test_runners_that_die_after_each_statement_get_it_done(server_place: Place) -> None:
    place, migration = server_place, MIGRATIONS["mysql"]
    migrating = MigrationEngine(place.engine)
    with without(place, "crash_volume", "crash_book", "crash_author", "crash_gone"):
        steps, kinds = [], cycle(["sync", "async"])
        while run_until_it_dies(place, next(kinds)):
            (record,) = migrating.history()
            assert record.state == "applying"
            assert record.steps not in steps  # this runner has found out what the one before had done
            steps.append(record.steps)
        assert steps == [0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18]
        assert migrating.applied() == ["0001"]
        assert await migrate(place, migrating, migration) == []
        assert await place.rows("SELECT id, heading, size FROM crash_volume ORDER BY id") == [
            (1, "first", 0),
            (2, "second", 0),
        ]


@pytest.mark.requirement("R85")
@pytest.mark.parametrize(
    "server_place", [("postgresql", "sync"), ("postgresql", "async")], indirect=True, ids="-".join
)
async def test_what_cannot_be_told_after_a_crash_is_said(server_place: Place) -> None:
    """An index that was being made concurrently may be there and not be valid."""
    place, migration = server_place, MIGRATIONS["postgresql"]
    migrating = MigrationEngine(place.engine)
    with without(place, "crash_volume"):
        async with place.connection() as connection:
            await settled(connection.execute("CREATE TABLE crash_volume (id INTEGER)"))
            assert run_until_it_dies(place, place.kind)
            assert run_until_it_dies(place, place.kind)  # in the next step: it has found the column renamed
            for _ in range(2):
                with pytest.raises(
                    MigrationError, match="the run before broke off in this step and may have"
                ):
                    await migrate(place, migrating, migration)
            await settled(connection.execute("DROP INDEX crash_ix"))
        assert await migrate(place, migrating, migration) == ["0001"]
