"""Several runners at once, and runs that break off half-way where DDL cannot be rolled back."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from blaze import Engine, Migration, MigrationEngine, MigrationError
from blaze.dialects.migrating import MigrationLock
from blaze.dialects.types import String
from blaze.errors import CapabilityError, ConnectionLostError, DatabaseError
from blaze.schema import AlterColumn, RunPython, TableColumn
from blaze_sqlite import SQLiteAdapter, SQLiteDialect

RUNNER = """
import sys
from blaze import Engine, Migration, MigrationEngine

def slow(number):
    return (
        f"CREATE TABLE t{number} AS WITH RECURSIVE n(x) AS"
        " (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50000) SELECT count(*) AS total FROM n"
    )

migrations = [
    Migration(f"{number:04}", [slow(number), f"INSERT INTO t{number} VALUES (0)"]) for number in range(8)
]
with Engine(sys.argv[1]) as engine:
    print(*MigrationEngine(engine).apply(migrations))
"""


@pytest.mark.requirement("R84", "R85")
def test_four_processes_at_once_apply_each_migration_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    runners = [
        subprocess.Popen(
            [sys.executable, "-c", RUNNER, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    outputs = [runner.communicate(timeout=120) for runner in runners]
    assert [runner.returncode for runner in runners] == [0] * 4, outputs
    done = sorted(name for output, _ in outputs for name in output.split())
    assert done == [f"{number:04}" for number in range(8)]
    with Engine(url) as engine, engine.connection() as connection:
        assert MigrationEngine(engine).applied() == done
        for number in range(8):
            assert connection.execute(f"SELECT count(*) FROM t{number}").rows == [(2,)]


@pytest.mark.requirement("R85")
def test_waiting_for_another_runner_ends_with_a_clear_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}?lock_timeout=0.05"
    migration = Migration("0001", ["CREATE TABLE book (id INTEGER)"])
    with Engine(url) as engine, engine.connection() as connection:
        connection.begin()
        with pytest.raises(MigrationError, match=r"'0001' was not begun: for 0.3 seconds another runner"):
            MigrationEngine(engine, lock_timeout=0.3).apply([migration])
        released = threading.Timer(0.3, connection.rollback)
        released.start()
        assert MigrationEngine(engine, lock_timeout=60).apply([migration]) == ["0001"]
        released.join()


def test_two_rollbacks_at_once_take_back_one_migration(tmp_path: Path) -> None:
    migrations = [
        Migration(f"{each}", [f"CREATE TABLE t{each} (a)"], [f"DROP TABLE t{each}"]) for each in "12"
    ]
    with Engine(f"sqlite:///{tmp_path / 'test.db'}") as engine:
        MigrationEngine(engine).apply(migrations)
        found: list[list[str]] = []
        barrier = threading.Barrier(2)

        def roll_back() -> None:
            migrating = MigrationEngine(engine, migrations)
            barrier.wait()
            found.append(migrating.rollback(to="1", confirm_destructive=True))

        threads = [threading.Thread(target=roll_back) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [[], ["2"]]
        assert MigrationEngine(engine).applied() == ["1"]


class HalfwayDialect(SQLiteDialect):
    """SQLite as if its DDL could not be rolled back, with a lock that is always free."""

    def __init__(self) -> None:
        super().__init__()
        self.features = self.features._replace(transactional_ddl=False)

    def migration_lock(self, transaction: bool) -> Optional[MigrationLock]:
        return MigrationLock("SELECT 1", "SELECT 2")

    def is_already_done(self, error: DatabaseError) -> bool:
        return "already exists" in str(error)


class Fault:
    """Breaks the connection before or after the first statement that holds a text."""

    def __init__(self) -> None:
        self.text: Optional[str] = None
        self.after = False
        self.sent: list[str] = []

    def wrap(self, connection: Any) -> Any:
        fault = self

        class Fragile(type(connection)):  # type: ignore[misc]
            __slots__ = ()

            def execute(self, sql: str, *arguments: Any) -> Any:
                hit = fault.text is not None and fault.text in sql
                if not hit or fault.after:
                    result = super().execute(sql, *arguments)
                    fault.sent.append(sql)
                if hit:
                    fault.text = None
                    self.usable = False
                    raise ConnectionLostError("somebody pulled the plug")
                return result

        connection.__class__ = Fragile
        return connection


class HalfwayAdapter(SQLiteAdapter):
    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.dialect = HalfwayDialect()
        self.fault = fault

    def connect(self, config: Any) -> Any:
        return self.fault.wrap(super().connect(config))


@pytest.fixture
def fault() -> Fault:
    return Fault()


@pytest.fixture
def engine(tmp_path: Path, fault: Fault) -> Iterator[Engine]:
    with Engine(HalfwayAdapter(fault), config=f"sqlite:///{tmp_path / 'test.db'}") as engine:
        yield engine


def add_two(run: Any) -> Any:
    yield run("INSERT INTO one VALUES (?, ?)", [2, "two"])


STEPS: list[Any] = [
    "CREATE TABLE one (a INTEGER, b VARCHAR(10))",
    "INSERT INTO one VALUES (1, 'one')",
    RunPython(add_two, rollback=lambda run: None),
    AlterColumn("one", TableColumn("b", String(20)), old=TableColumn("b", String(10), nullable=True)),
    "CREATE TABLE two (a INTEGER)",
    "CREATE INDEX ix ON two (a)",
]
PLACES = [
    "CREATE TABLE one",
    "INTO one VALUES (1",
    "INTO one VALUES (?",
    "DROP TABLE",
    "RENAME",
    "TABLE two",
    "INDEX ix",
]


def rows(engine: Engine, sql: str) -> list[Any]:
    with engine.connection() as connection:
        return connection.execute(sql).rows


@pytest.mark.requirement("R84", "R85")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", [*PLACES, 'UPDATE "blaze_migrations"', 'INSERT INTO "blaze_migrations"'])
def test_a_migration_that_broke_off_goes_on_where_it_was(
    engine: Engine, fault: Fault, place: str, after: bool
) -> None:
    first, migration = Migration("0001", ["CREATE TABLE zero (a)"]), Migration("0002", STEPS)
    MigrationEngine(engine).apply([first])
    fault.text, fault.after = place, after
    with pytest.raises((MigrationError, ConnectionLostError)):
        MigrationEngine(engine).apply([first, migration])
    assert fault.text is None
    assert MigrationEngine(engine).applied() == ["0001"]
    assert MigrationEngine(engine).apply([first, migration]) == ["0002"]
    assert rows(engine, "SELECT * FROM one ORDER BY a") == [(1, "one"), (2, "two")]
    assert rows(engine, "SELECT count(*) FROM sqlite_master WHERE name IN ('one', 'two', 'ix')") == [(3,)]
    assert [(each.state, each.steps, each.checksum) for each in MigrationEngine(engine).history()] == [
        ("applied", len(each.operations), each.checksum) for each in (first, migration)
    ]
    assert MigrationEngine(engine).apply([first, migration]) == []
    done = [sql for sql in fault.sent if sql in STEPS]
    assert sorted({*done}) == sorted(each for each in STEPS if isinstance(each, str))


@pytest.mark.requirement("R85")
def test_what_has_run_may_not_change_before_the_rest_but_the_rest_may(engine: Engine) -> None:
    bad = Migration("0001", ["CREATE TABLE one (a)", "CREATE TABLE two (", "CREATE TABLE three (a)"])
    with pytest.raises(MigrationError, match="at step 2 of 3, 1 of its 3 steps are done; mend the rest"):
        MigrationEngine(engine).apply([bad])
    (entry,) = MigrationEngine(engine).history()
    assert (entry.state, entry.steps) == ("applying failed", 1)
    with pytest.raises(MigrationError, match="broke off half-way; finish it by apply"):
        MigrationEngine(engine, [bad]).rollback()
    changed = Migration("0001", ["CREATE TABLE one (b)", "CREATE TABLE two (a)"])
    with pytest.raises(MigrationError, match="broke off after 1 steps, and these steps have been changed"):
        MigrationEngine(engine).apply([changed])
    mended = Migration("0001", ["CREATE TABLE one (a)", "CREATE TABLE two (a)"])
    assert MigrationEngine(engine).apply([mended]) == ["0001"]
    assert MigrationEngine(engine).apply([mended]) == []


def test_a_refused_step_is_not_taken_for_done(engine: Engine) -> None:
    rows(engine, "CREATE TABLE two (somebody_elses INTEGER)")
    migration = Migration("0001", ["CREATE TABLE one (a)", "CREATE TABLE two (a)"])
    for _ in range(2):
        with pytest.raises(MigrationError, match="at step 2 of 2"):
            MigrationEngine(engine).apply([migration])
    assert MigrationEngine(engine).applied() == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", ["DROP TABLE one", "INTO log", 'DELETE FROM "blaze_migrations"'])
def test_a_rollback_that_broke_off_goes_on_where_it_was(
    engine: Engine, fault: Fault, place: str, after: bool
) -> None:
    migration = Migration(
        "0001",
        ["CREATE TABLE one (a)", "CREATE TABLE log (a)"],
        rollback=[
            "INSERT INTO log VALUES (1)",
            "CREATE TABLE copy AS SELECT * FROM log",
            "DROP TABLE IF EXISTS one",
        ],
    )
    migrating = MigrationEngine(engine, [migration])
    migrating.apply()
    fault.text, fault.after = place.replace("TABLE one", "TABLE IF EXISTS one"), after
    with pytest.raises((MigrationError, ConnectionLostError)):
        migrating.rollback(confirm_destructive=True)
    if migrating.history():
        with pytest.raises(MigrationError, match="the rollback of migration '0001' broke off"):
            migrating.apply()
        assert migrating.rollback(confirm_destructive=True) == ["0001"]
    assert rows(engine, "SELECT * FROM log") == rows(engine, "SELECT * FROM copy") == [(1,)]
    assert migrating.history() == []


def test_without_a_transaction_a_lock_is_needed(tmp_path: Path) -> None:
    with Engine(f"sqlite:///{tmp_path / 'test.db'}") as engine:
        with pytest.raises(
            CapabilityError, match=r"sqlite cannot keep other runners out.*without a transaction"
        ):
            MigrationEngine(engine).apply([Migration("0001", ["VACUUM"], atomic=False)])
        assert MigrationEngine(engine).applied() == []
