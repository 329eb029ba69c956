"""Put tables into an order in which foreign keys find their targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from blaze.schema.definitions import ForeignKeyDefinition, TableDefinition
from blaze.sql.table import Table

__all__ = ["in_dependency_order", "late_foreign_keys", "refers_to_itself"]

_Name = tuple[Optional[str], str]


def _name(table: Table) -> _Name:
    """Return what tells tables apart; the target of a key may be another object than its definition's."""
    return table.schema, table.name


def in_dependency_order(definitions: Sequence[TableDefinition]) -> list[TableDefinition]:
    """Return the tables with the targets of foreign keys first, otherwise in the order given.

    A circle of foreign keys is cut at the table that was given first.
    """
    by_name = {_name(definition.table): definition for definition in definitions}
    found: dict[_Name, TableDefinition] = {}
    entered: set[_Name] = set()

    def visit(definition: TableDefinition) -> None:
        name = _name(definition.table)
        if name in entered:
            return
        entered.add(name)
        for key in definition.foreign_keys:
            target = by_name.get(_name(key.target))
            if target is not None:
                visit(target)
        found[name] = definition

    for definition in definitions:
        visit(definition)
    return list(found.values())


def late_foreign_keys(
    ordered: Sequence[TableDefinition],
) -> list[tuple[TableDefinition, ForeignKeyDefinition]]:
    """Return the foreign keys that point at a later table of the sequence, each with its own table."""
    places = {_name(definition.table): place for place, definition in enumerate(ordered)}
    return [
        (definition, key)
        for place, definition in enumerate(ordered)
        for key in definition.foreign_keys
        if places.get(_name(key.target), place) > place
    ]


def refers_to_itself(definition: TableDefinition) -> bool:
    """Say whether a foreign key of the table points at the table itself."""
    return any(_name(key.target) == _name(definition.table) for key in definition.foreign_keys)
