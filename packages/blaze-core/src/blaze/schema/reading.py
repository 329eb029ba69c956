"""Read table definitions from models: names for everything, join tables, and what cannot be created."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Optional

from blaze.core.constraints import Check, Index, Unique
from blaze.core.links import link_constraints
from blaze.core.mapper import ForeignKeyConstraint, Mapper
from blaze.core.registry import registry
from blaze.core.relations import Relation
from blaze.errors import ModelError, QueryError
from blaze.schema.definitions import (
    CheckDefinition,
    Columns,
    ForeignKeyDefinition,
    IndexDefinition,
    IndexPart,
    TableDefinition,
    UniqueDefinition,
    check_name,
    index_name,
    index_parts,
)
from blaze.sql.table import Table, TableColumn
from blaze.utils.naming import constraint_name

__all__ = ["define_join_table", "define_table", "define_tables", "mappers_of"]


def mappers_of(models: Any) -> list[Mapper]:
    """Return the mappers of one model or several, each once; views are left out.

    Raises `ModelError` for a model that cannot work and for what is no model.
    """
    given: Iterable[Any] = (models,) if isinstance(models, type) else models
    found = registry.configure_all(given)
    return [mapper for mapper in dict.fromkeys(found) if not mapper.options.view]


def tables_of(mappers: Sequence[Mapper]) -> list[Mapper]:
    """Return the mappers whose tables hold the rows of these, each once; complete with all its subclasses."""
    found = list(dict.fromkeys(above.table_owner for mapper in mappers for above in mapper.lineage))
    registry.configure_all(member.model for mapper in found for member in mapper.family())
    return found


def define_tables(models: Any, *, reached: bool = False) -> list[TableDefinition]:
    """Return the tables of the models and the join tables of their many-to-many relations, each once.

    A join table belongs to the models that declare the relation; with `reached`, for dropping, to both its
    sides. Raises `ModelError` when two tables, or two indexes, would have the same name.
    """
    mappers = mappers_of(models)
    found = [_Reader(mapper).read() for mapper in tables_of(mappers)]
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
    """Return the table of a configured mapper, with the columns of the models that share it."""
    tables_of([mapper])
    return _Reader(mapper.table_owner).read()


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
        indexes=(_plain_index(table, second),),
    )


class _Reader:
    """The keys, checks and indexes of one model's table, and the names that they have."""

    def __init__(self, mapper: Mapper) -> None:
        self.mapper = mapper
        self.members = [member for member in mapper.family() if member.table_owner is mapper]
        self.table: Table = mapper.own_table
        self.primary_key = self.table.primary_key

    def read(self) -> TableDefinition:
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

    def composite_relations(self) -> Iterator[Relation]:
        """Iterate over the foreign keys of several columns, whose options no single column can carry."""
        relations = dict.fromkeys(r for mapper in self.members for r in mapper.relations.values())
        for relation in relations:
            own = relation.owns_key and relation.owner.own_table is self.table
            if own and len(relation.local) > 1:
                yield relation

    def uniques(self) -> tuple[UniqueDefinition, ...]:
        names: dict[Columns, Optional[str]] = {}
        for column in self.table.columns:
            if column.unique:
                names[(column,)] = None
        for relation in self.composite_relations():
            columns = tuple(attribute.column for attribute in relation.local)
            if relation.unique and columns != self.primary_key:
                names[columns] = None
        for mapper, constraint in self.declared("constraints"):
            if isinstance(constraint, Unique):
                columns = self.columns(mapper, constraint.attributes, constraint)
                names[columns] = constraint.name or names.get(columns)
        return tuple(
            UniqueDefinition(name or _automatic("uq", self.table, columns), columns)
            for columns, name in names.items()
        )

    def checks(self) -> Iterator[CheckDefinition]:
        for column in self.table.columns:
            if column.check is not None:
                yield CheckDefinition(_automatic("ck", self.table, (column,)), column.check)
        for mapper, constraint in self.declared("constraints"):
            if isinstance(constraint, Check):
                if not isinstance(constraint.condition, str) or not constraint.condition.strip():
                    raise ModelError(f"{mapper.where}: Meta.constraints: {constraint!r} is no condition")
                name = constraint.name or check_name(self.table.name, constraint.condition)
                yield CheckDefinition(name, constraint.condition)

    def foreign_keys(self) -> Iterator[ForeignKeyDefinition]:
        relations = [r for mapper in self.members for r in mapper.relations.values()]
        views = {relation.target.own_table for relation in relations if relation.target.options.view}
        for _, constraint in self.declared("foreign_keys"):
            if constraint.target not in views:
                yield _foreign_key(self.table, constraint)

    def indexes(self, covered: set[Columns]) -> tuple[IndexDefinition, ...]:
        """Return the indexes; those of fields are left out where a key or constraint has one already."""
        wanted: list[Columns] = [(column,) for column in self.table.columns if column.index]
        for relation in self.composite_relations():
            columns = tuple(attribute.column for attribute in relation.local)
            if relation.spec.index and columns != self.primary_key[: len(columns)]:
                wanted.append(columns)
        found = [_plain_index(self.table, columns) for columns in wanted if columns not in covered]
        for mapper, index in self.declared("indexes"):
            parts = self.index_parts(mapper, index)
            name = index.name or index_name(self.table.name, parts)
            definition = IndexDefinition(name, parts, index.unique, index.where)
            if definition not in found:
                found.append(definition)
        return tuple(found)

    def declared(self, kind: str) -> Iterator[tuple[Mapper, Any]]:
        """Iterate over what the models of the table declare, each with its model."""
        for mapper in self.members:
            for item in getattr(mapper, kind):
                yield mapper, item

    def index_parts(self, mapper: Mapper, index: Index) -> tuple[IndexPart, ...]:
        try:
            parts = index_parts(index.attributes, lambda name: self.columns(mapper, [name], index))
        except QueryError as error:
            raise ModelError(f"{mapper.where}: {index!r}: {error}") from error
        if not parts:
            raise ModelError(f"{mapper.where}: {index!r} names no field")
        return parts

    @staticmethod
    def columns(mapper: Mapper, attributes: Sequence[str], what: Any) -> Columns:
        columns = tuple(mapper.columns_of(tuple(attributes), repr(what)))
        if not columns:
            raise ModelError(f"{mapper.where}: {what!r} names no field")
        if any(column.table is not mapper.own_table for column in columns):
            raise ModelError(
                f"{mapper.where}: {what!r} names fields of {mapper.base.name}, whose table is another one"
            )
        return columns


def _plain_index(table: Table, columns: Sequence[TableColumn]) -> IndexDefinition:
    parts = tuple(IndexPart(column) for column in columns)
    return IndexDefinition(index_name(table.name, parts), parts)


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
