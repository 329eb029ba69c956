"""What a table is made of, as values: named keys, checks and indexes over columns; no SQL, no models."""

from __future__ import annotations

from typing import NamedTuple, Optional

from blaze.sql.table import Table, TableColumn
from blaze.utils.naming import constraint_name

__all__ = [
    "CheckDefinition",
    "Columns",
    "ForeignKeyDefinition",
    "IndexDefinition",
    "TableDefinition",
    "UniqueDefinition",
]

Columns = tuple[TableColumn, ...]


class UniqueDefinition(NamedTuple):
    """A uniqueness constraint."""

    name: str
    columns: Columns


class CheckDefinition(NamedTuple):
    """A condition in SQL that every row must satisfy."""

    name: str
    condition: str


class IndexDefinition(NamedTuple):
    """An index; `where` is the condition of a partial one."""

    name: str
    columns: Columns
    unique: bool = False
    where: Optional[str] = None


class ForeignKeyDefinition(NamedTuple):
    """A foreign key; `target_columns` are in the order of `columns`."""

    name: str
    columns: Columns
    target: Table
    target_columns: Columns
    on_delete: str = "NO ACTION"
    deferrable: bool = False


class TableDefinition(NamedTuple):
    """One table with everything that is declared with it.

    `where` says for messages where it is declared: the full name of a model, or of a many-to-many relation.
    """

    table: Table
    where: str
    uniques: tuple[UniqueDefinition, ...] = ()
    checks: tuple[CheckDefinition, ...] = ()
    foreign_keys: tuple[ForeignKeyDefinition, ...] = ()
    indexes: tuple[IndexDefinition, ...] = ()
    comment: Optional[str] = None

    @property
    def primary_key_name(self) -> str:
        """Give the name of the primary key constraint."""
        return constraint_name("pk", self.table.name)
