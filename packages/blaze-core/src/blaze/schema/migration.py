"""A migration: a name and what is done under it, with a checksum that tells when that changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Optional, Union

from blaze.dialects.types import Enum, SQLType
from blaze.errors import MigrationError
from blaze.schema.builder import SchemaBuilder
from blaze.schema.definitions import (
    ForeignKeyDefinition,
    IndexDefinition,
    TableDefinition,
    UniqueDefinition,
)
from blaze.schema.operations import Operation, RunSQL
from blaze.schema.steps import StatementStep, Step
from blaze.security.redaction import redact_statement
from blaze.sql.table import Table, TableColumn

__all__ = ["ZERO", "CompiledMigration", "Migration", "digest"]

ZERO = "zero"  # `rollback(to=ZERO)` takes everything back
LONGEST_NAME = 255


class Migration:
    """Named operations (or SQL texts) that are applied once, together, in this order.

    `rollback` takes them back; left out, it is made of the inverse operations where every one has one.
    `atomic=False` runs it without a transaction, for statements that cannot be in one. Raises
    `MigrationError` for names that cannot be and for what is no operation.
    """

    def __init__(
        self,
        name: str,
        operations: Sequence[Union[Operation, str]],
        rollback: Optional[Sequence[Union[Operation, str]]] = None,
        *,
        atomic: bool = True,
    ) -> None:
        if (
            not isinstance(name, str)
            or not name.strip()
            or len(name) > LONGEST_NAME
            or not name.isprintable()
        ):
            raise MigrationError(f"{name!r} is no name of a migration; write one such as '0001_initial'")
        if name == ZERO:
            raise MigrationError(f"no migration can be named {ZERO!r}: it means the state before the first")
        self.name = name
        self.operations = _operations(name, "operations", operations)
        self.rollback = None if rollback is None else _operations(name, "rollback", rollback)
        self.atomic = atomic

    def __repr__(self) -> str:
        return f"Migration({self.name!r}, {len(self.operations)} operations)"

    @property
    def checksum(self) -> str:
        """Give what tells whether the operations are the same: layout, comments and rollback do not count."""
        return digest([_canonical(each) for each in self.operations])

    def backward(self) -> Optional[list[Operation]]:
        """Return the operations that take the migration back, None where it cannot be taken back."""
        if self.rollback is not None:
            return list(self.rollback)
        inverses = [each.inverse() for each in reversed(self.operations)]
        found = [each for each in inverses if each is not None]
        return found if len(found) == len(inverses) else None


def _operations(name: str, what: str, given: Sequence[Union[Operation, str]]) -> tuple[Operation, ...]:
    if isinstance(given, (str, Operation)):
        raise MigrationError(f"migration {name!r}: {what} is a list, also with one item")
    found = []
    for each in given:
        if isinstance(each, str):
            each = RunSQL(each)
        if not isinstance(each, Operation):
            raise MigrationError(
                f"migration {name!r}: {what} holds {each!r}, which is no operation and no SQL"
            )
        found.append(each)
    return tuple(found)


class CompiledMigration(NamedTuple):
    """A migration in one direction for one dialect: its steps, and what its operations lose."""

    name: str
    checksum: str
    atomic: bool
    steps: tuple[Step, ...]
    losses: tuple[str, ...]


def compile_migration(
    migration: Migration, operations: Sequence[Operation], builder: SchemaBuilder
) -> CompiledMigration:
    """Return the steps of operations, each checked, before any of them runs."""
    steps: list[Step] = []
    losses = []
    for operation in operations:
        found = operation.steps(builder)
        steps += found
        loss = operation.loses(builder.features.lexis)
        if loss is not None:
            texts = [
                _shortened(redact_statement(step.text)) for step in found if isinstance(step, StatementStep)
            ]
            losses.append(f"{loss}: {'; '.join(texts)}" if texts else loss)
    return CompiledMigration(
        migration.name, migration.checksum, migration.atomic, tuple(steps), tuple(losses)
    )


def _shortened(text: str, most: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}..."


# Checksums


def digest(value: Any) -> str:
    """Return the SHA-256 of a value made of lists, texts, numbers and None."""
    from hashlib import sha256

    return sha256(json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """Return a value as lists of plain values, the same in every process and on every Python."""
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if isinstance(value, type):  # the Python class of a JSON document
        return value.__qualname__
    special = next((each for kind, each in _SPECIAL if isinstance(value, kind)), None)
    if special is not None:
        return [type(value).__name__, *(_canonical(each) for each in special(value))]
    if isinstance(value, tuple):
        head = [] if type(value) is tuple else [type(value).__name__]
        return [*head, *(_canonical(each) for each in value)]
    raise MigrationError(f"{value!r} cannot be part of a migration: nothing tells when it changes")


def _of_table(table: Table) -> tuple[Any, ...]:
    return table.schema, table.name


def _of_definition(definition: TableDefinition) -> tuple[Any, ...]:
    table = definition.table
    return table, table.columns, _names(table.primary_key), *definition[2:]


def _of_column(column: TableColumn) -> tuple[Any, ...]:
    # What has no effect on the table (`attribute`, `on_update`) is left out; keys are listed by the table.
    return (
        column.name,
        column.type,
        column.nullable,
        column.identity,
        column.server_default,
        column.generated,
        column.unique,
        column.index,
        column.comment,
        column.check,
    )


def _of_type(type_: SQLType) -> tuple[Any, ...]:
    if isinstance(type_, Enum):
        return type_.storage, type_.stored_values
    if type_._fields:
        return tuple(getattr(type_, name) for name in type_._fields)
    fields = getattr(type_, "__dataclass_fields__", {})
    return tuple(getattr(type_, name) for name in fields)


def _of_unique(unique: UniqueDefinition) -> tuple[Any, ...]:
    return unique.name, _names(unique.columns)


def _of_key(key: ForeignKeyDefinition) -> tuple[Any, ...]:
    target = _names(key.target_columns)
    # The usual rule counts not: the migrations of older tables, which have none, are the same still.
    rule = () if key.on_update == "CASCADE" else (key.on_update,)
    return (key.name, _names(key.columns), key.target, target, key.on_delete, key.deferrable, *rule)


def _of_index(index: IndexDefinition) -> tuple[Any, ...]:
    parts = tuple(
        (part.expression if part.column is None else part.column.name, part.column is None, part.descending)
        for part in index.parts
    )
    return index.name, parts, index.unique, index.where


def _names(columns: Sequence[TableColumn]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


_SPECIAL: tuple[tuple[type, Callable[[Any], Sequence[Any]]], ...] = (
    (Operation, lambda operation: operation.identity()),
    (TableDefinition, _of_definition),
    (Table, _of_table),
    (TableColumn, _of_column),
    (SQLType, _of_type),
    (UniqueDefinition, _of_unique),
    (ForeignKeyDefinition, _of_key),
    (IndexDefinition, _of_index),
)
