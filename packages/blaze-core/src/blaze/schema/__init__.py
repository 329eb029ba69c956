"""From models to tables: definitions, DDL, the functions that create and drop tables, and migrations."""

from typing import TYPE_CHECKING, Any

from blaze.schema.builder import SchemaBuilder
from blaze.schema.create import (
    acreate_all,
    adrop_all,
    create_all,
    create_all_plan,
    drop_all,
    drop_all_plan,
)
from blaze.sql.table import TableColumn

# Migrations are imported on first use: a program that only works with its tables has no use for them.
if TYPE_CHECKING:
    from blaze.schema.history import AppliedMigration
    from blaze.schema.migrate import MigrationEngine
    from blaze.schema.migration import Migration
    from blaze.schema.operations import (
        AddColumn,
        AddConstraint,
        AlterColumn,
        CreateIndex,
        CreateTable,
        DropColumn,
        DropConstraint,
        DropIndex,
        DropTable,
        Operation,
        RenameColumn,
        RenameTable,
        RunPython,
        RunSQL,
    )
    from blaze.schema.tables import References, table
else:
    _LATE = {
        "AppliedMigration": "history",
        "MigrationEngine": "migrate",
        "Migration": "migration",
        "References": "tables",
        "table": "tables",
    }

    def __getattr__(name: str) -> Any:
        """Import what belongs to migrations on first use."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f"{__name__}.{_LATE.get(name, 'operations')}")
        return globals().setdefault(name, getattr(module, name))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "AddColumn",
    "AddConstraint",
    "AlterColumn",
    "AppliedMigration",
    "CreateIndex",
    "CreateTable",
    "DropColumn",
    "DropConstraint",
    "DropIndex",
    "DropTable",
    "Migration",
    "MigrationEngine",
    "Operation",
    "References",
    "RenameColumn",
    "RenameTable",
    "RunPython",
    "RunSQL",
    "SchemaBuilder",
    "TableColumn",
    "acreate_all",
    "adrop_all",
    "create_all",
    "create_all_plan",
    "drop_all",
    "drop_all_plan",
    "table",
]
