"""Put tables into an order in which foreign keys find their targets."""

from __future__ import annotations

from collections.abc import Sequence

from blaze.schema.definitions import ForeignKeyDefinition, TableDefinition
from blaze.sql.table import Table

__all__ = ["in_dependency_order", "late_foreign_keys"]


def in_dependency_order(definitions: Sequence[TableDefinition]) -> list[TableDefinition]:
    """Return the tables with the targets of foreign keys first, otherwise in the order given.

    A circle of foreign keys is cut at the table that was given first.
    """
    by_table = {definition.table: definition for definition in definitions}
    found: dict[Table, TableDefinition] = {}
    entered: set[Table] = set()

    def visit(definition: TableDefinition) -> None:
        if definition.table in entered:
            return
        entered.add(definition.table)
        for key in definition.foreign_keys:
            target = by_table.get(key.target)
            if target is not None:
                visit(target)
        found[definition.table] = definition

    for definition in definitions:
        visit(definition)
    return list(found.values())


def late_foreign_keys(
    ordered: Sequence[TableDefinition],
) -> list[tuple[TableDefinition, ForeignKeyDefinition]]:
    """Return the foreign keys that point at a later table of the sequence, each with its own table."""
    places = {definition.table: place for place, definition in enumerate(ordered)}
    return [
        (definition, key)
        for place, definition in enumerate(ordered)
        for key in definition.foreign_keys
        if places.get(key.target, place) > place
    ]
