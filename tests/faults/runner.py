"""A runner of migrations that dies: python -m tests.faults.runner DSN KIND

It ends, as by a crash, as soon as the server has carried out its first DDL statement: nothing remembers that.
One that may be carried out again is let pass, or the next runner would not get further.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable
from typing import Any

from blaze import Check, Engine, Index, Migration, MigrationEngine, Unique
from blaze.dialects.types import Integer, String
from blaze.plan import Execute
from blaze.schema import (
    AddColumn,
    AddConstraint,
    AlterColumn,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropTable,
    References,
    RenameColumn,
    RenameTable,
    RunPython,
    RunSQL,
    TableColumn,
    table,
)

__all__ = ["CRASHED", "MIGRATIONS"]

CRASHED = 99
KEY = TableColumn("id", Integer(), primary_key=True)
TITLE = TableColumn("title", String(100))


def add_second(run: Any) -> Any:
    yield run("INSERT INTO crash_volume (id, heading) VALUES (?, ?)", [2, "second"])


# Each kind of operation, in an order in which none may run twice.
OPERATIONS = [
    CreateTable(table("crash_author", [KEY]), table("crash_book", [KEY, TITLE])),
    CreateTable(table("crash_gone", [KEY])),
    RunSQL("INSERT INTO crash_book (id, title) VALUES (1, 'first')"),
    AddColumn("crash_book", TableColumn("author_id", Integer(), nullable=True)),
    AddColumn("crash_book", TableColumn("size", Integer(), server_default="'0'", unique=False)),
    AddConstraint("crash_book", References("author_id", "crash_author", name="crash_fk")),
    AddConstraint("crash_book", Unique("title", name="crash_uq")),
    AddConstraint("crash_book", Check("size >= 0", name="crash_ck")),
    CreateIndex("crash_book", Index("size", name="crash_ix")),
    AlterColumn("crash_book", TableColumn("title", String(200)), old=TITLE),
    RenameColumn("crash_book", "title", "heading"),
    RenameTable("crash_book", "crash_volume"),
    RunPython(add_second),
    DropIndex("crash_volume", "crash_ix"),
    DropConstraint("crash_volume", "crash_ck"),
    DropConstraint("crash_volume", "crash_fk"),
    DropColumn("crash_volume", "author_id"),
    DropTable("crash_gone"),
]
MIGRATIONS = {
    "mysql": Migration("0001", OPERATIONS),
    "postgresql": Migration(
        "0001",
        [
            RenameColumn("crash_volume", "id", "key"),
            "CREATE INDEX CONCURRENTLY crash_ix ON crash_volume (key)",
        ],
        atomic=False,
    ),
}


def die() -> None:
    """End this process right after a DDL statement has been answered."""
    send = Execute.apply

    async def awaited(answer: Awaitable[Any]) -> Any:
        await answer
        os._exit(CRASHED)

    def apply(self: Execute, connection: Any) -> Any:
        answer = send(self, connection)
        definition = self.sql.startswith(("ALTER", "CREATE", "DROP")) and " MODIFY " not in self.sql
        if not definition or "blaze_migrations" in self.sql:
            return answer
        if asyncio.iscoroutine(answer):
            return awaited(answer)
        os._exit(CRASHED)

    Execute.apply = apply  # type: ignore[method-assign]


def main(dsn: str, kind: str) -> None:
    """Apply the migration, as far as that goes."""
    die()
    engine = Engine(dsn)
    migrating = MigrationEngine(engine, [MIGRATIONS[engine.dialect.name]])
    if kind == "async":
        asyncio.run(migrating.aapply(confirm_destructive=True))
    else:
        migrating.apply(confirm_destructive=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
