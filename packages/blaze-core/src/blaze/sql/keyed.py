"""Statements on single rows by key, whose parameters the caller takes from instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from blaze.dialects.batches import Batch, BatchColumn, CopyTarget
from blaze.sql.expressions import Literal, bind_for

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect
    from blaze.dialects.types import SQLType
    from blaze.sql.expressions import Expression
    from blaze.sql.table import Table, TableColumn


def placeholder(type: SQLType) -> Expression[Any]:
    """Return the place of a value of this type that is given only when the statement runs."""
    literal: Literal[Any] = Literal.__new__(Literal)
    literal.key = bind_for(type).key
    literal.binds = (None,)
    literal.type = type
    return literal


def table_name(dialect: Dialect, table: Table) -> str:
    """Return the quoted name of a table with its schema."""
    name = dialect.quote(table.name)
    return f"{dialect.quote(table.schema)}.{name}" if table.schema else name


class Keyed(NamedTuple):
    """A statement on one row, and what writes many rows at once where the dialect has it.

    The key begins at the place `key` of its parameters; below 0 there is none.
    """

    sql: str
    batch: Optional[Batch] = None
    key: int = -1
    copy: Optional[CopyTarget] = None


def batch_columns(dialect: Dialect, columns: Sequence[TableColumn]) -> list[BatchColumn]:
    """Return columns as the batches of a dialect take them."""
    return [BatchColumn(beside_marks(dialect, dialect.quote(c.name)), c.type) for c in columns]


def beside_marks(dialect: Dialect, text: str) -> str:
    """Return SQL as it stands beside placeholders: where these are `%s`, a plain percent sign is doubled."""
    return text.replace("%", "%%") if dialect.paramstyle == "format" else text


def update_by_key(
    dialect: Dialect,
    table: Table,
    columns: Sequence[TableColumn],
    keys: Sequence[TableColumn],
    version: Optional[TableColumn] = None,
) -> Keyed:
    """Return `UPDATE ... SET columns WHERE keys [AND version]`, parameters in that order."""
    position = 0
    parts = []
    for column in columns:
        position += 1
        name = beside_marks(dialect, dialect.quote(column.name))
        parts.append(f"{name} = {dialect.placeholder(position)}")
    keys = [*keys, *([version] if version is not None else [])]
    where = _where(dialect, keys, position)
    name = beside_marks(dialect, table_name(dialect, table))
    batch = dialect.update_batch(name, batch_columns(dialect, columns), batch_columns(dialect, keys))
    return Keyed(f"UPDATE {name} SET {', '.join(parts)} WHERE {where}", batch, position)


def delete_by_key(
    dialect: Dialect, table: Table, keys: Sequence[TableColumn], version: Optional[TableColumn] = None
) -> Keyed:
    """Return `DELETE ... WHERE keys [AND version]`, parameters in that order."""
    keys = [*keys, *([version] if version is not None else [])]
    where = _where(dialect, keys, 0)
    name = beside_marks(dialect, table_name(dialect, table))
    batch = dialect.delete_batch(name, batch_columns(dialect, keys))
    return Keyed(f"DELETE FROM {name} WHERE {where}", batch, 0)


def _where(dialect: Dialect, columns: Sequence[TableColumn], position: int) -> str:
    return " AND ".join(
        f"{beside_marks(dialect, dialect.quote(column.name))} = {dialect.placeholder(position + number)}"
        for number, column in enumerate(columns, 1)
    )


def insert_ignoring(dialect: Dialect, table: Table, columns: Sequence[TableColumn]) -> Keyed:
    """Return the INSERT of one row that does nothing where the row is there already."""
    names = [beside_marks(dialect, dialect.quote(column.name)) for column in columns]
    marks = ", ".join(dialect.placeholder(number) for number in range(1, len(columns) + 1))
    target = beside_marks(dialect, table_name(dialect, table))
    ending = dialect.ignore_conflicts(names)
    batch = dialect.insert_batch(target, batch_columns(dialect, columns), ending)
    return Keyed(f"INSERT INTO {target} ({', '.join(names)}) VALUES ({marks}){ending}", batch)
