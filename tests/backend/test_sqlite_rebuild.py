"""Tables that SQLite makes anew: everything in and around them stays, except what was to change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blaze import Check, Engine, Migration, MigrationEngine, MigrationError, Unique
from blaze.dialects.changes import (
    AddedColumn,
    AddedConstraint,
    AlteredColumn,
    DroppedColumn,
    DroppedConstraint,
)
from blaze.dialects.types import Integer, String
from blaze.schema import AddConstraint, AlterColumn, DropColumn, DropConstraint, TableColumn
from blaze_sqlite.rebuild import edited

HAND_MADE = """CREATE TABLE [odd table] -- by hand, (with) commas
(
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- the key
  "first, name" TEXT NOT NULL COLLATE NOCASE CONSTRAINT once UNIQUE ON CONFLICT IGNORE,
  price DECIMAL(10, 2) DEFAULT (1 + 2) CHECK (price > 0), -- last, but
  owner INT REFERENCES person (id) ON DELETE SET NULL NOT DEFERRABLE,
  total AS (price * 2) STORED,
  CONSTRAINT ck CHECK (id <> 3 AND 'a, b' <> ')'),
  FOREIGN KEY (owner, price) REFERENCES person (a, price),
  UNIQUE (price, id) -- the end
) STRICT"""


def body(change: Any) -> str:
    return edited(HAND_MADE, "odd table", '"new"', change)


def test_everything_else_stays_as_it_was_written() -> None:
    text = body(AddedConstraint("extra", 'CONSTRAINT "extra" CHECK (1)'))
    assert text.startswith('CREATE TABLE "new" (')
    assert text.endswith('CONSTRAINT "extra" CHECK (1)\n) STRICT')
    for part in (
        "id INTEGER PRIMARY KEY AUTOINCREMENT",
        '"first, name" TEXT NOT NULL COLLATE NOCASE CONSTRAINT once UNIQUE ON CONFLICT IGNORE',
        "price DECIMAL(10, 2) DEFAULT (1 + 2) CHECK (price > 0)",
        "owner INT REFERENCES person (id) ON DELETE SET NULL NOT DEFERRABLE",
        "total AS (price * 2) STORED",
        "CONSTRAINT ck CHECK (id <> 3 AND 'a, b' <> ')')",
        "UNIQUE (price, id)",
    ):
        assert part in text


def test_a_column_comes_behind_the_columns_and_before_the_constraints() -> None:
    text = body(AddedColumn("pages", '"pages" INT', True, None, False))
    assert text.index("total AS") < text.index('"pages" INT') < text.index("CONSTRAINT ck")


def test_an_altered_column_keeps_its_keys_and_checks() -> None:
    text = body(AlteredColumn("PRICE", '"price" REAL NOT NULL DEFAULT (7)'))
    assert '"price" REAL NOT NULL DEFAULT (7) CHECK (price > 0)' in text
    assert "DECIMAL" not in text
    text = body(AlteredColumn("owner", '"owner" INT NOT NULL'))
    assert '"owner" INT NOT NULL REFERENCES person (id) ON DELETE SET NULL NOT DEFERRABLE,' in text
    text = body(AlteredColumn("first, name", '"first, name" VARCHAR(10)'))
    assert '"first, name" VARCHAR(10) CONSTRAINT once UNIQUE ON CONFLICT IGNORE,' in text


def test_constraints_go_by_name_wherever_they_stand() -> None:
    assert "CONSTRAINT ck" not in body(DroppedConstraint("CK"))
    text = body(DroppedConstraint("once"))
    assert '"first, name" TEXT NOT NULL COLLATE NOCASE,' in text
    for change, message in (
        (DroppedConstraint("nothing"), "has no constraint 'nothing'"),
        (DroppedColumn("nothing"), "has no column 'nothing'"),
        (AddedColumn("Price", "price INT", True, None, False), "has a column 'Price' already"),
        (AddedConstraint("ck", "CONSTRAINT ck CHECK (1)"), "has a constraint 'ck' already"),
    ):
        with pytest.raises(MigrationError, match=message):
            body(change)


def test_a_column_goes_with_its_constraints() -> None:
    text = body(DroppedColumn("owner"))
    assert "owner" not in text
    assert "CONSTRAINT ck" in text
    assert "UNIQUE (price, id)" in text
    with pytest.raises(MigrationError, match="'a' of table 't' is part of the primary key"):
        edited("CREATE TABLE t (a INT, b INT, PRIMARY KEY (a, b))", "t", "n", DroppedColumn("a"))
    with pytest.raises(MigrationError, match="'t' is a virtual table"):
        edited("CREATE VIRTUAL TABLE t USING fts5(a)", "t", "n", DroppedColumn("a"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(f"sqlite:///{tmp_path / 'test.db'}") as engine:
        yield engine


def rows(engine: Engine, *statements: str) -> list[Any]:
    with engine.connection() as connection:
        for sql in statements:
            found = connection.execute(sql).rows
        return found


def change(engine: Engine, *operations: Any) -> list[str]:
    """Apply operations as the only migration."""
    return MigrationEngine(engine).apply([Migration("0", operations)], confirm_destructive=True)


@pytest.mark.requirement("R84", "R86")
def test_rows_keys_triggers_views_and_other_tables_survive(engine: Engine) -> None:
    rows(
        engine,
        "CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, boss REFERENCES person (id))",
        "CREATE TABLE pet (id INTEGER PRIMARY KEY, owner REFERENCES person (id) ON DELETE CASCADE)",
        "CREATE TABLE log (line TEXT)",
        "CREATE INDEX by_name ON person (name COLLATE NOCASE) WHERE name <> ''",
        "CREATE TRIGGER note AFTER UPDATE ON person BEGIN INSERT INTO log VALUES (new.name); END",
        "CREATE VIEW names AS SELECT name FROM person",
        "INSERT INTO person VALUES (1, 'Ann', NULL), (2, 'Bob', 1), (9, 'Cid', 2)",
        "DELETE FROM person WHERE id = 9",
        "INSERT INTO pet VALUES (1, 1), (2, 2)",
    )
    others = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name <> 'person'"
    before = rows(engine, f"{others} ORDER BY 2")
    change(
        engine,
        AlterColumn("person", TableColumn("name", String(30))),
        AddConstraint("person", Unique("name")),
    )
    after = rows(
        engine,
        f"{others} AND tbl_name <> 'blaze_migrations' AND name NOT LIKE 'sqlite_auto%' ORDER BY 2",
    )
    assert after == before
    assert rows(engine, "SELECT * FROM person") == [(1, "Ann", None), (2, "Bob", 1)]
    assert rows(engine, "SELECT * FROM pet") == [(1, 1), (2, 2)]
    assert rows(engine, "SELECT * FROM names") == [("Ann",), ("Bob",)]
    rows(engine, "UPDATE person SET name = 'Amy' WHERE id = 1", "INSERT INTO person (name) VALUES ('Dan')")
    assert rows(engine, "SELECT * FROM log") == [("Amy",)]
    assert rows(engine, "SELECT id FROM person WHERE name = 'Dan'") == [(10,)]  # 9 is not given again
    rows(engine, "DELETE FROM person WHERE id = 2")  # the foreign key of the other table still holds
    assert rows(engine, "SELECT * FROM pet") == [(1, 1)]
    assert rows(engine, "PRAGMA foreign_keys") == [(1,)]


def test_old_wounds_do_not_stop_a_migration_but_new_ones_do(engine: Engine) -> None:
    rows(
        engine,
        "CREATE TABLE a (id INTEGER PRIMARY KEY, x INT)",
        "CREATE TABLE b (a INT REFERENCES a (id), x INT)",
        "PRAGMA foreign_keys = OFF",
        "INSERT INTO b VALUES (7, 7)",
        "PRAGMA foreign_keys = ON",
        "INSERT INTO a VALUES (1, 1)",
        "INSERT INTO b VALUES (1, 1)",
    )
    alter = AlterColumn("a", TableColumn("x", String(5), nullable=True))
    with pytest.raises(MigrationError, match=r"1 of 'b' to 'a'\. While a table is rebuilt"):
        change(engine, alter, "DELETE FROM a WHERE id = 1")
    assert rows(engine, "SELECT count(*) FROM a") == [(1,)]
    assert change(engine, alter) == ["0"]


def test_a_connection_without_foreign_keys_stays_so(tmp_path: Path) -> None:
    with Engine(f"sqlite:///{tmp_path / 'test.db'}?foreign_keys=false") as engine:
        rows(engine, "CREATE TABLE a (x INT)")
        assert change(engine, AddConstraint("a", Check("x > 0"))) == ["0"]
        assert rows(engine, "PRAGMA foreign_keys") == [(0,)]


def test_values_may_be_converted(engine: Engine) -> None:
    rows(engine, "CREATE TABLE a (x TEXT, y AS (x || '!'))", "INSERT INTO a VALUES ('a'), ('bb')")
    change(engine, AlterColumn("a", TableColumn("x", Integer()), using="length(x)"))
    assert rows(engine, "SELECT x, y FROM a") == [(1, "1!"), (2, "2!")]


def test_an_index_goes_with_its_column(engine: Engine) -> None:
    rows(engine, "CREATE TABLE a (x TEXT, y INT, CONSTRAINT c CHECK (y > 0))", "CREATE INDEX i ON a (x, y)",
         "CREATE INDEX j ON a (x)")  # fmt: skip
    change(engine, DropColumn("a", "y"), )  # fmt: skip
    assert rows(engine, "SELECT name FROM sqlite_master WHERE tbl_name = 'a' ORDER BY 1") == [("a",), ("j",)]
    missing = Migration("1", [DropConstraint("b", "c")])
    with pytest.raises(MigrationError, match="there is no table 'b'"):
        MigrationEngine(engine, table="other").apply([missing], confirm_destructive=True)


@pytest.mark.parametrize("place", range(0, 26, 2))
async def test_cancelling_leaves_no_half_migration_and_no_lock(tmp_path: Path, place: int) -> None:
    engine = Engine(f"sqlite:///{tmp_path / 'test.db'}")
    rows(engine, "CREATE TABLE a (x INT)", "INSERT INTO a VALUES (1)")
    migrations = [
        Migration("1", [AddConstraint("a", Check("x > 0")), "INSERT INTO a VALUES (2)"]),
        Migration("2", ["INSERT INTO a VALUES (3)"]),
    ]
    task = asyncio.ensure_future(MigrationEngine(engine).aapply(migrations))
    for _ in range(place):
        await asyncio.sleep(0.001)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    applied = MigrationEngine(engine).applied()
    assert rows(engine, "SELECT count(*) FROM a") == [(1 + len(applied),)]
    assert engine.pool_stats().in_use == 0
    assert await MigrationEngine(engine).aapply(migrations) == ["1", "2"][len(applied) :]
    assert rows(engine, "SELECT * FROM a") == [(1,), (2,), (3,)]
    assert "CHECK" in rows(engine, "SELECT sql FROM sqlite_master WHERE name = 'a'")[0][0]
    await engine.adispose()
