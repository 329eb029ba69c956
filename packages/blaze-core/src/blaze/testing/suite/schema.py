"""Tables and migrations: made and dropped, applied once, taken back."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import (
    CapabilityError,
    Field,
    Index,
    Migration,
    MigrationEngine,
    MigrationError,
    Model,
    SchemaBuilder,
    Unique,
    field,
)
from blaze.dialects.types import Integer, String
from blaze.schema import (
    AddColumn,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropTable,
    RenameColumn,
    RenameTable,
    RunSQL,
    TableColumn,
    table,
)
from blaze.testing.suite.harness import Database, done, scenario

__all__ = [
    "test_a_failing_migration_is_recorded_as_not_applied",
    "test_create_all_adds_what_is_missing",
    "test_destructive_migrations_ask",
    "test_migrations_are_applied_once_and_taken_back",
    "test_migrations_need_a_lock",
    "test_schema_builder_gives_statements",
    "test_session_creates_and_drops",
]


class Thing(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=50, index=True)
    size: Field[Optional[int]] = field(default=None)

    class Meta:
        table = "suite_schema_thing"
        indexes = [Index("name", "size")]
        constraints = [Unique("name")]


@scenario
async def test_create_all_adds_what_is_missing(db: Database) -> None:
    await db.drop_tables(Thing)
    await db.make_tables(Thing)
    try:
        await db.save(Thing(name="a"))
        await db.make_tables(Thing)  # what is there stays
        async with db.session() as s:
            assert [thing.name for thing in await s.all(Thing)] == ["a"]
    finally:
        await db.drop_tables(Thing)
        await db.drop_tables(Thing)


@scenario
async def test_session_creates_and_drops(db: Database) -> None:
    await db.drop_tables(Thing)
    async with db.session() as s:
        await s.create_all(Thing)
        await s.add(Thing(name="a"))
        await s.commit()
        assert await done(s.query(Thing).count()) == 1
        await s.drop_all(Thing)
        await s.commit()
    await db.drop_tables(Thing)


@scenario
async def test_schema_builder_gives_statements(db: Database) -> None:
    builder = SchemaBuilder(db.dialect)
    text = builder.create_table_sql(Thing)
    assert text.startswith("CREATE TABLE")
    assert db.dialect.quote("suite_schema_thing") in text
    assert len(builder.create_sql([Thing])) >= 2
    assert builder.drop_sql([Thing])


KEY = TableColumn("id", Integer(), primary_key=True, identity=True)
GADGET = table("suite_gadget", [KEY, TableColumn("name", String(20))])


def can_migrate(db: Database) -> bool:
    """Whether the database can keep other runners out; see `Dialect.migration_lock`."""
    return db.dialect.migration_lock(db.has("transactional_ddl")) is not None


def need_migrations(db: Database) -> None:
    """Skip the case where the dialect declares no lock for migrations."""
    if not can_migrate(db):
        pytest.skip("the backend declares no lock for migrations")


class Runner:
    """A migration engine of the case's kind, with a history of its own."""

    def __init__(self, db: Database, *migrations: Migration) -> None:
        self.db = db
        self.engine = MigrationEngine(db.engine, migrations, table="suite_migrations")

    async def __call__(self, name: str, *arguments: Any, **named: Any) -> Any:
        method = getattr(self.engine, f"a{name}" if self.db.asynchronous else name)
        return await done(method(*arguments, **named))


async def clear(db: Database) -> None:
    """Drop what an earlier case has left."""
    async with db.session() as s:
        for name in ("suite_migrations", "suite_gadget", "suite_gizmo"):
            await s.execute(f"DROP TABLE IF EXISTS {db.dialect.quote(name)}")
        await s.commit()


@scenario
async def test_migrations_need_a_lock(db: Database) -> None:
    if can_migrate(db):
        return  # all other cases have it
    await clear(db)
    try:
        run = Runner(db, Migration("0001_initial", [CreateTable(GADGET)]))
        with pytest.raises(CapabilityError):
            await run("apply")
        assert await run("applied") == []
    finally:
        await clear(db)


@scenario
async def test_migrations_are_applied_once_and_taken_back(db: Database) -> None:
    need_migrations(db)
    migrations = [
        Migration("0001_initial", [CreateTable(GADGET)]),
        Migration(
            "0002_more",
            [
                AddColumn("suite_gadget", TableColumn("size", Integer(), nullable=True)),
                CreateIndex("suite_gadget", Index("name", name="ix_suite_gadget_name")),
            ],
        ),
        Migration(
            "0003_rename",
            [RenameColumn("suite_gadget", "size", "weight"), RenameTable("suite_gadget", "suite_gizmo")],
        ),
        Migration(
            "0004_data",
            [
                RunSQL(
                    "INSERT INTO suite_gizmo (name, weight) VALUES ('a', 5)",
                    "DELETE FROM suite_gizmo WHERE weight = 5",
                )
            ],
        ),
    ]
    await clear(db)
    try:
        run = Runner(db, *migrations)
        assert await run("pending") == [m.name for m in migrations]
        assert await run("apply") == [m.name for m in migrations]
        assert await run("apply") == []
        assert await run("applied") == [m.name for m in migrations]
        async with db.session() as s:
            assert await s.exec_one("SELECT name, weight FROM suite_gizmo") == ("a", 5)
        await run("rollback", to="0001_initial", confirm_destructive=True)
        assert await run("applied") == ["0001_initial"]
        async with db.session() as s:
            assert await s.exec_scalar("SELECT count(*) FROM suite_gadget") == 0
    finally:
        await clear(db)


@scenario
async def test_destructive_migrations_ask(db: Database) -> None:
    need_migrations(db)
    first = Migration("0001_initial", [CreateTable(GADGET)])
    for operation in (
        DropTable(GADGET),
        DropColumn("suite_gadget", "name"),
        RunSQL("DELETE FROM suite_gadget"),
    ):
        await clear(db)
        try:
            run = Runner(db, first, Migration("0002_drop", [operation]))
            with pytest.raises(MigrationError):
                await run("apply")
            await run("apply", confirm_destructive=True)
            assert await run("applied") == ["0001_initial", "0002_drop"]
        finally:
            await clear(db)


@scenario
async def test_a_failing_migration_is_recorded_as_not_applied(db: Database) -> None:
    need_migrations(db)
    await clear(db)
    try:
        run = Runner(
            db,
            Migration("0001_initial", [CreateTable(GADGET)]),
            Migration("0002_wrong", [RunSQL("INSERT INTO suite_gadget (no_such) VALUES (1)", "SELECT 1")]),
        )
        with pytest.raises(Exception, match="0002_wrong"):
            await run("apply")
        assert "0002_wrong" not in await run("applied")
    finally:
        await clear(db)
