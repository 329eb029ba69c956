"""Tables written out by hand, for migrations: names and types, independent of what models become later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional, Union

from blaze.core.constraints import Check, Index, Unique
from blaze.dialects.types import Null
from blaze.errors import MigrationError, QueryError
from blaze.schema.definitions import (
    CheckDefinition,
    ConstraintDefinition,
    ForeignKeyDefinition,
    IndexDefinition,
    TableDefinition,
    UniqueDefinition,
    check_name,
    index_name,
    index_parts,
)
from blaze.sql.table import Table, TableColumn
from blaze.utils.naming import constraint_name

__all__ = [
    "Constraint",
    "References",
    "constraint_definition",
    "copy_column",
    "index_definition",
    "named_table",
    "own_constraints",
    "table",
]

ON_DELETE = ("CASCADE", "RESTRICT", "SET NULL", "SET DEFAULT", "NO ACTION")


class References(NamedTuple):
    """A foreign key by names: `columns` of the table point at `target_columns` of `target`.

    One column may be given as a text. `schema` is that of the target. With `on_update="CASCADE"`, as models
    have it, the rows follow when the key that they point at changes; `"NO ACTION"` forbids that.
    """

    columns: Union[str, Sequence[str]]
    target: str
    target_columns: Union[str, Sequence[str]] = "id"
    on_delete: str = "NO ACTION"
    deferrable: bool = False
    schema: Optional[str] = None
    name: Optional[str] = None
    on_update: str = "CASCADE"


Constraint = Union[Unique, Check, References]


def table(
    name: str,
    columns: Sequence[TableColumn],
    *,
    constraints: Sequence[Constraint] = (),
    indexes: Sequence[Index] = (),
    schema: Optional[str] = None,
    comment: Optional[str] = None,
) -> TableDefinition:
    """Describe a table for `CreateTable` and `DropTable`; constraints and indexes name columns.

    Of a column, `primary_key`, `unique`, `index` and `check` count, too. Raises `MigrationError` for what is
    no column, constraint or index, and for names of columns that the table does not have.
    """
    where = f"table {name!r}"
    for column in columns:
        if not isinstance(column, TableColumn):
            raise MigrationError(f"{where}: {column!r} is no column; write TableColumn('name', Integer())")
    # A column belongs to one table only, and may be given to several operations.
    made = Table(name, [copy_column(column) for column in columns], schema=schema)
    found = [*own_constraints(made), *(constraint_definition(made, each) for each in constraints)]
    wanted = [Index(column.name) for column in made.columns if column.index]
    return TableDefinition(
        made,
        where,
        tuple(each for each in found if isinstance(each, UniqueDefinition)),
        tuple(each for each in found if isinstance(each, CheckDefinition)),
        tuple(each for each in found if isinstance(each, ForeignKeyDefinition)),
        tuple(index_definition(made, each) for each in [*wanted, *indexes]),
        comment,
    )


def named_table(name: str, schema: Optional[str] = None) -> TableDefinition:
    """Return a table of which only the name is known."""
    return TableDefinition(Table(name, schema=schema), f"table {name!r}")


def copy_column(column: TableColumn) -> TableColumn:
    """Return an equal column without a table."""
    return TableColumn(
        column.name,
        column.type,
        nullable=column.nullable,
        primary_key=column.primary_key,
        identity=column.identity,
        server_default=column.server_default,
        generated=column.generated,
        unique=column.unique,
        index=column.index,
        comment=column.comment,
        check=column.check,
    )


def own_constraints(table: Table) -> list[ConstraintDefinition]:
    """Return the constraints that the columns of a table carry themselves."""
    found: list[ConstraintDefinition] = []
    for column in table.columns:
        if column.unique:
            found.append(constraint_definition(table, Unique(column.name)))
        if column.check is not None:
            found.append(CheckDefinition(constraint_name("ck", table.name, [column.name]), column.check))
    return found


def constraint_definition(table: Table, constraint: Constraint) -> ConstraintDefinition:
    """Return the constraint over the columns of a table; `MigrationError` for what is none."""
    if isinstance(constraint, Unique):
        columns = _columns(table, constraint.attributes)
        name = constraint.name or constraint_name("uq", table.name, constraint.attributes)
        return UniqueDefinition(name, columns)
    if isinstance(constraint, Check):
        name = constraint.name or check_name(table.name, constraint.condition)
        return CheckDefinition(name, constraint.condition)
    if not isinstance(constraint, References):
        raise MigrationError(
            f"table {table.name!r}: {constraint!r} is no constraint; write Unique('a'), Check('a > 0')"
            " or References('a', 'other')"
        )
    if constraint.on_delete not in ON_DELETE:
        raise MigrationError(
            f"table {table.name!r}: on_delete={constraint.on_delete!r} is none of {', '.join(ON_DELETE)}"
        )
    if constraint.on_update not in ON_DELETE:
        raise MigrationError(
            f"table {table.name!r}: on_update={constraint.on_update!r} is none of {', '.join(ON_DELETE)}"
        )
    names, targets = _names(constraint.columns), _names(constraint.target_columns)
    if len(names) != len(targets):
        raise MigrationError(
            f"table {table.name!r}: {len(names)} columns cannot point at {len(targets)} of"
            f" {constraint.target!r}"
        )
    target = Table(constraint.target, schema=constraint.schema)
    return ForeignKeyDefinition(
        constraint.name or constraint_name("fk", table.name, names),
        _columns(table, names),
        target,
        _columns(target, targets),
        constraint.on_delete,
        constraint.deferrable,
        constraint.on_update,
    )


def index_definition(table: Table, index: Index) -> IndexDefinition:
    """Return an index over the columns of a table; `MigrationError` for what is none."""
    if not isinstance(index, Index):
        raise MigrationError(f"table {table.name!r}: {index!r} is no index; write Index('a', 'b')")
    try:
        parts = index_parts(index.attributes, lambda name: _columns(table, [name]))
    except QueryError as error:
        raise MigrationError(f"table {table.name!r}: {error}") from error
    if not parts:
        raise MigrationError(f"table {table.name!r}: an index names no column")
    return IndexDefinition(index.name or index_name(table.name, parts), parts, index.unique, index.where)


def _names(given: Union[str, Sequence[str]]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _columns(table: Table, names: Sequence[str]) -> tuple[TableColumn, ...]:
    if not names:
        raise MigrationError(f"table {table.name!r}: a constraint or index names no column")
    if not table.columns:  # only the name of the table is known
        return tuple(TableColumn(name, Null()) for name in names)
    try:
        return tuple(table.column(name) for name in names)
    except QueryError as error:
        raise MigrationError(str(error)) from error
