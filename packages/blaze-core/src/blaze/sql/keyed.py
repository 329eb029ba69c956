"""Statements on single rows by key, whose parameters the caller takes from instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

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


def update_by_key(
    dialect: Dialect,
    table: Table,
    columns: Sequence[TableColumn],
    keys: Sequence[TableColumn],
    version: Optional[TableColumn] = None,
) -> str:
    """Return `UPDATE ... SET columns WHERE keys [AND version]`, parameters in that order."""
    position = 0
    parts = []
    for column in columns:
        position += 1
        parts.append(f"{dialect.quote(column.name)} = {dialect.placeholder(position)}")
    where = _where(dialect, [*keys, *([version] if version is not None else [])], position)
    return f"UPDATE {table_name(dialect, table)} SET {', '.join(parts)} WHERE {where}"


def delete_by_key(
    dialect: Dialect, table: Table, keys: Sequence[TableColumn], version: Optional[TableColumn] = None
) -> str:
    """Return `DELETE ... WHERE keys [AND version]`, parameters in that order."""
    where = _where(dialect, [*keys, *([version] if version is not None else [])], 0)
    return f"DELETE FROM {table_name(dialect, table)} WHERE {where}"


def _where(dialect: Dialect, columns: Sequence[TableColumn], position: int) -> str:
    return " AND ".join(
        f"{dialect.quote(column.name)} = {dialect.placeholder(position + number)}"
        for number, column in enumerate(columns, 1)
    )


def insert_ignoring(dialect: Dialect, table: Table, columns: Sequence[TableColumn]) -> str:
    """Return the INSERT of one row that does nothing where the row is there already."""
    names = [dialect.quote(column.name) for column in columns]
    marks = ", ".join(dialect.placeholder(number) for number in range(1, len(columns) + 1))
    target = table_name(dialect, table)
    ending = dialect.ignore_conflicts(names)
    return f"INSERT INTO {target} ({', '.join(names)}) VALUES ({marks}){ending}"
