"""Read table definitions from models: names for everything, join tables, and what cannot be created."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Optional

from blaze.core.constraints import Check, Unique
from blaze.core.links import link_constraints
from blaze.core.mapper import ForeignKeyConstraint, Mapper
from blaze.core.registry import registry
from blaze.core.relations import ONE_TO_ONE, Relation
from blaze.errors import ModelError
from blaze.schema.definitions import (
    CheckDefinition,
    Columns,
    ForeignKeyDefinition,
    IndexDefinition,
    TableDefinition,
    UniqueDefinition,
)
from blaze.sql.table import Table, TableColumn
from blaze.utils.naming import constraint_name

__all__ = ["define_join_table", "define_table", "define_tables", "mappers_of"]


def mappers_of(models: Any) -> list[Mapper]:
    """Return the mappers of one model or several, each once; views are left out.

    Raises `ModelError` for a model that cannot work and for what is no model.
    """
    given: Iterable[Any] = (models,) if isinstance(models, type) else models
    return [mapper for mapper in dict.fromkeys(registry.configure_all(given)) if not mapper.options.view]


def define_tables(models: Any, *, reached: bool = False) -> list[TableDefinition]:
    """Return the tables of the models and the join tables of their many-to-many relations, each once.

    A join table belongs to the models that declare the relation; with `reached`, for dropping, to both its
    sides. Raises `ModelError` when two tables, or two indexes, would have the same name.
    """
    mappers = mappers_of(models)
    found = [define_table(mapper) for mapper in mappers]
    joined: dict[Table, TableDefinition] = {}
    for relation in _reached(mappers) if reached else _declared(mappers):
        link = relation.link
        if link is not None and link.model is None and link.table not in joined:
            joined[link.table] = define_join_table(relation)
    found += joined.values()
    if reached:
        return list({(each.table.schema, each.table.name): each for each in found}.values())
    _refuse_equal_names(found)
    return found


def _declared(mappers: Sequence[Mapper]) -> Iterator[Relation]:
    """Iterate over the relations that the models themselves declare."""
    for mapper in mappers:
        for name, relation in mapper.relations.items():
            if name in mapper.declarations:
                yield relation


def _reached(mappers: Sequence[Mapper]) -> Iterator[Relation]:
    """Iterate over the relations from and to the models; not every one has a name on both sides."""
    for model in registry:
        for relation in model.__mapper__.relations.values():
            if relation.owner in mappers or relation.target in mappers:
                yield relation


def define_table(mapper: Mapper) -> TableDefinition:
    """Return the table of a configured mapper."""
    return _Reader(mapper).read()


def define_join_table(relation: Relation) -> TableDefinition:
    """Return the table between the sides of a many-to-many relation that has no `through` model.

    Its primary key serves lookups from one side; the other side gets an index.
    """
    link = relation.link
    assert link is not None
    table = link.table
    second = link.own if table.columns[0] in link.target else link.target
    views = {side.table for side in (relation.owner, relation.target) if side.options.view}
    constraints = sorted(
        (constraint for constraint in link_constraints(relation) if constraint.target not in views),
        key=lambda constraint: table.columns.index(constraint.columns[0]),
    )
    return TableDefinition(
        table,
        f"{relation.owner.where}.{relation.name}",
        foreign_keys=tuple(_foreign_key(table, constraint) for constraint in constraints),
        indexes=(IndexDefinition(_automatic("ix", table, second), second),),
    )


class _Reader:
    """The keys, checks and indexes of one model's table, and the names that they have."""

    def __init__(self, mapper: Mapper) -> None:
        self.mapper = mapper
        self.table: Table = mapper.table
        self.primary_key = self.table.primary_key

    def read(self) -> TableDefinition:
        for column in self.table.columns:
            self.check_column(column)
        uniques = self.uniques()
        checks = tuple(self.checks())
        foreign_keys = tuple(self.foreign_keys())
        indexes = self.indexes({unique.columns for unique in uniques} | {self.primary_key})
        names = [each.name for group in (uniques, checks, foreign_keys, indexes) for each in group]
        for name in names:
            if names.count(name) > 1:
                raise ModelError(
                    f"{self.mapper.where}: two constraints or indexes are named {name!r}; give one a name="
                )
        return TableDefinition(
            self.table,
            self.mapper.where,
            uniques,
            checks,
            foreign_keys,
            indexes,
            self.mapper.options.comment,
        )

    def check_column(self, column: TableColumn) -> None:
        """Refuse options of a field that no database could make sense of."""
        place = f"{self.mapper.where}.{column.attribute}"
        for option in ("server_default", "generated", "check", "comment"):
            value = getattr(column, option)
            if value is not None and not isinstance(value, str):
                raise ModelError(
                    f"{place}: {option}= is a text, not {value!r}; a value for new objects is default="
                )
        if column.generated is not None and column.server_default is not None:
            raise ModelError(f"{place}: a generated column has no server_default; leave one out")

    def composite_relations(self) -> Iterator[Relation]:
        """Iterate over the foreign keys of several columns, whose options no single column can carry."""
        for relation in self.mapper.relations.values():
            if relation.owns_key and len(relation.local) > 1:
                yield relation

    def uniques(self) -> tuple[UniqueDefinition, ...]:
        names: dict[Columns, Optional[str]] = {}
        for column in self.table.columns:
            if column.unique:
                names[(column,)] = None
        for relation in self.composite_relations():
            columns = tuple(attribute.column for attribute in relation.local)
            if (relation.kind == ONE_TO_ONE or relation.spec.unique) and columns != self.primary_key:
                names[columns] = None
        for constraint in self.mapper.constraints:
            if isinstance(constraint, Unique):
                columns = self.columns(constraint.attributes, constraint)
                names[columns] = constraint.name or names.get(columns)
        return tuple(
            UniqueDefinition(name or _automatic("uq", self.table, columns), columns)
            for columns, name in names.items()
        )

    def checks(self) -> Iterator[CheckDefinition]:
        for column in self.table.columns:
            if column.check is not None:
                yield CheckDefinition(_automatic("ck", self.table, (column,)), column.check)
        for constraint in self.mapper.constraints:
            if isinstance(constraint, Check):
                if not isinstance(constraint.condition, str) or not constraint.condition.strip():
                    raise ModelError(f"{self.mapper.where}: Meta.constraints: {constraint!r} is no condition")
                words = re.findall(r"\w+", constraint.condition)
                name = constraint.name or constraint_name("ck", self.table.name, words)
                yield CheckDefinition(name, constraint.condition)

    def foreign_keys(self) -> Iterator[ForeignKeyDefinition]:
        views = {r.target.table for r in self.mapper.relations.values() if r.target.options.view}
        for constraint in self.mapper.foreign_keys:
            if constraint.target not in views:
                yield _foreign_key(self.table, constraint)

    def indexes(self, covered: set[Columns]) -> tuple[IndexDefinition, ...]:
        """Return the indexes; those of fields are left out where a key or constraint has one already."""
        wanted: list[Columns] = [(column,) for column in self.table.columns if column.index]
        for relation in self.composite_relations():
            columns = tuple(attribute.column for attribute in relation.local)
            if relation.spec.index and columns != self.primary_key[: len(columns)]:
                wanted.append(columns)
        found = [
            IndexDefinition(_automatic("ix", self.table, columns), columns)
            for columns in wanted
            if columns not in covered
        ]
        for index in self.mapper.indexes:
            columns = self.columns(index.attributes, index)
            name = index.name or _automatic("ix", self.table, columns)
            definition = IndexDefinition(name, columns, index.unique, index.where)
            if definition not in found:
                found.append(definition)
        return tuple(found)

    def columns(self, attributes: Sequence[str], what: Any) -> Columns:
        columns = tuple(self.mapper.columns_of(tuple(attributes), repr(what)))
        if not columns:
            raise ModelError(f"{self.mapper.where}: {what!r} names no field")
        return columns


def _automatic(kind: str, table: Table, columns: Columns) -> str:
    return constraint_name(kind, table.name, [column.name for column in columns])


def _foreign_key(table: Table, constraint: ForeignKeyConstraint) -> ForeignKeyDefinition:
    return ForeignKeyDefinition(
        _automatic("fk", table, constraint.columns),
        constraint.columns,
        constraint.target,
        constraint.target_columns,
        constraint.on_delete,
        constraint.deferrable,
    )


def _refuse_equal_names(definitions: Sequence[TableDefinition]) -> None:
    """Refuse names that a database would take for the same: IF NOT EXISTS would skip the second silently.

    Tables, indexes and the constraints that are indexes inside share one set of names, without case.
    """
    taken: dict[tuple[Optional[str], str], tuple[str, str]] = {}
    for definition in definitions:
        names = [("table", definition.table.name)]
        names.append(("primary key", definition.primary_key_name))
        names += [("constraint", unique.name) for unique in definition.uniques]
        names += [("index", index.name) for index in definition.indexes]
        for what, name in names:
            key = (definition.table.schema, name.lower())
            if key in taken:
                other, where = taken[key]
                cure = "Meta.table or through=" if what == "table" == other else "name="
                raise ModelError(
                    f"{definition.where}: its {what} {name!r} has the name of the {other} of {where};"
                    f" give one of them another name by {cure}"
                )
            taken[key] = (what, definition.where)
