"""What a table is made of, as values: named keys, checks and indexes over columns; no SQL, no models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Optional, Union

from blaze.errors import QueryError
from blaze.sql.raw import Raw
from blaze.sql.table import Table, TableColumn
from blaze.utils.naming import constraint_name

__all__ = [
    "CheckDefinition",
    "Columns",
    "ConstraintDefinition",
    "ForeignKeyDefinition",
    "IndexDefinition",
    "IndexPart",
    "TableDefinition",
    "UniqueDefinition",
    "check_name",
    "index_name",
    "index_parts",
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


class IndexPart(NamedTuple):
    """A column, or else an expression in SQL, by which an index sorts."""

    column: Optional[TableColumn]
    expression: str = ""
    descending: bool = False

    @property
    def words(self) -> str:
        """Give the part of an automatic name."""
        name = "_".join(re.findall(r"\w+", self.expression)) if self.column is None else self.column.name
        return f"{name}_desc" if self.descending else name


class IndexDefinition(NamedTuple):
    """An index; `where` is the condition of a partial one."""

    name: str
    parts: tuple[IndexPart, ...]
    unique: bool = False
    where: Optional[str] = None


class ForeignKeyDefinition(NamedTuple):
    """A foreign key; `target_columns` are in the order of `columns`.

    Where the key of its target changes, the rows that refer to it follow, unless `on_update` says otherwise.
    """

    name: str
    columns: Columns
    target: Table
    target_columns: Columns
    on_delete: str = "NO ACTION"
    deferrable: bool = False
    on_update: str = "CASCADE"


ConstraintDefinition = Union[UniqueDefinition, CheckDefinition, ForeignKeyDefinition]


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


def check_name(table: str, condition: str) -> str:
    """Return the name of a CHECK constraint to which nobody gave one."""
    return constraint_name("ck", table, re.findall(r"\w+", condition))


def index_name(table: str, parts: Sequence[IndexPart]) -> str:
    """Return the name of an index to which nobody gave one."""
    return constraint_name("ix", table, [part.words for part in parts])


def index_parts(
    items: Sequence[Union[str, Raw[Any]]], columns_of: Callable[[str], Sequence[TableColumn]]
) -> tuple[IndexPart, ...]:
    """Return what an `Index` sorts by; `QueryError` for an expression that holds values."""
    found: list[IndexPart] = []
    for item in items:
        if isinstance(item, Raw):
            if item.binds or not all(isinstance(piece, str) for piece in item.pieces):
                raise QueryError("the expression of an index holds values; write them into its text")
            found.append(IndexPart(None, "".join(map(str, item.pieces))))
            continue
        descending = item.startswith("-")
        found += [IndexPart(column, "", descending) for column in columns_of(item[descending:])]
    return tuple(found)
