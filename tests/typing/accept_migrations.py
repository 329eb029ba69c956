"""Migrations as people write them."""

from __future__ import annotations

from typing import Any

from blaze import (
    Check,
    Engine,
    Field,
    Index,
    Migration,
    MigrationEngine,
    Model,
    SchemaBuilder,
    Unique,
    field,
    sql,
)
from blaze.dialects.types import Integer, String
from blaze.schema import (
    AddColumn,
    AddConstraint,
    AlterColumn,
    AppliedMigration,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropTable,
    References,
    RunPython,
    RunSQL,
    TableColumn,
    table,
)


class Note(Model):
    id: Field[int] = field(primary_key=True)
    text: Field[str]

    class Meta:
        indexes = [Index("-id", sql("lower(text)"))]


def fill(run: Any) -> Any:
    for row in (yield run("SELECT id FROM note")).rows:
        yield run("DELETE FROM note WHERE id = :id", {"id": row[0]})


title = TableColumn("title", String(20))
book = table(
    "book",
    [TableColumn("id", Integer(), primary_key=True, identity=True), title],
    constraints=[Unique("title"), Check("title <> ''"), References("id", "note", on_delete="CASCADE")],
    indexes=[Index("title")],
)


def migrate(engine: Engine) -> list[str]:
    first = Migration("0001_initial", operations=[CreateTable(Note, book)], rollback=["DROP TABLE note"])
    second = Migration(
        "0002",
        [
            AddColumn("book", TableColumn("pages", Integer(), nullable=True)),
            AlterColumn("book", TableColumn("title", String()), old=title),
            AddConstraint("book", Check("pages > 0")),
            CreateIndex("book", Index("pages", unique=True)),
            RunSQL("SELECT 1", rollback="SELECT 2"),
            RunPython(fill, rollback=lambda run: None),
            DropColumn("book", "pages"),
            DropTable("book", Note),
        ],
    )
    third = Migration("0003", operations=[*SchemaBuilder(engine.dialect).create_sql(Note)])
    migrating = MigrationEngine(engine, [first], lock_timeout=5)
    history: list[AppliedMigration] = migrating.history()
    names: list[str] = migrating.apply([first, second, third], confirm_destructive=True)
    return names + migrating.rollback(to=history[0].name) + migrating.applied() + migrating.pending()


async def amigrate(engine: Engine) -> list[str]:
    migrating = MigrationEngine(engine)
    names: list[str] = await migrating.aapply([Migration("1", ["SELECT 1"])])
    return names + await migrating.arollback() + await migrating.aapplied()
