"""Build many-to-many relations and the join table between their sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from blaze.core import relations as kinds
from blaze.core.mapper import ForeignKeyConstraint, Mapper
from blaze.core.relations import Link, Relation
from blaze.core.specs import RelationSpec
from blaze.errors import ModelError
from blaze.sql.table import Table, TableColumn

if TYPE_CHECKING:
    from blaze.core.resolution import Resolver


class LinkBuilder:
    """One many-to-many relation with its two sides; a relation declared on both sides makes one table."""

    def __init__(self, resolver: Resolver, mapper: Mapper, name: str, target: Mapper) -> None:
        self.resolver = resolver
        self.mapper = mapper
        self.name = name
        self.target = target
        self.spec: RelationSpec = mapper.declarations[name].spec

    def build(self) -> None:
        """Make both sides."""
        other_name = self.other_side()
        other_spec = self.declared_spec(other_name)
        if other_spec is not None and getattr(other_spec, "kind", None) is None:
            raise ModelError(
                f"{self.mapper.where}.{self.name}: related_name={other_name!r} is taken by the field "
                f"{self.target.name}.{other_name}; choose another name"
            )
        # Of two declared sides the lesser name counts: which model is defined first must not matter.
        here, there = (self.mapper.options.table, self.name), (self.target.options.table, other_name or "")
        turned = other_spec is not None and there < here
        table_name = "_".join(there if turned else here)
        through = self.spec.through or (other_spec.through if other_spec is not None else None)
        if through is None or (isinstance(through, str) and self.through_model(through) is None):
            own, target, table = self.join_table(through or table_name, turned)
            model = None
        else:
            model = self.through_model(through)
            if model is None:
                raise ModelError(
                    f"{self.mapper.where}.{self.name}: through={through!r} is neither model nor table"
                )
            own, target, table = self.through_columns(model)
        relation = Relation(self.name, kinds.MANY_TO_MANY, self.mapper, self.target, self.spec)
        relation.local, relation.remote = self.mapper.pk, self.target.pk
        relation.link = Link(table, own, target, model)
        if other_name is not None:
            inverse = Relation(
                other_name, kinds.MANY_TO_MANY, self.target, self.mapper, other_spec or self.spec
            )
            inverse.local, inverse.remote = self.target.pk, self.mapper.pk
            inverse.link = Link(table, target, own, model)
            relation.inverse, inverse.inverse = inverse, relation
            self.resolver.install(self.mapper, self.name, inverse)
        self.mapper.add_relation(relation)

    def other_side(self) -> Optional[str]:
        """Return the name of the reverse side: `related_name`, or the side that the target declares."""
        if self.spec.related_name is not None:
            return self.spec.related_name
        names = [
            name
            for name, declaration in self.target.declarations.items()
            if getattr(declaration.spec, "kind", None) == kinds.MANY_TO_MANY
            and (self.target is not self.mapper or name != self.name)
            and self.resolver.target_of(self.target, name) is self.mapper
            and declaration.spec.related_name in (None, self.name)
        ]
        exact = [n for n in names if self.target.declarations[n].spec.related_name == self.name]
        return next(iter(exact or names), None)

    def declared_spec(self, name: Optional[str]) -> Optional[RelationSpec]:
        """Return the target's own declaration of the other side."""
        declaration = self.target.declarations.get(name or "")
        return declaration.spec if declaration is not None else None

    def through_model(self, through: Any) -> Optional[Any]:
        """Return the model that `through=` means, None when it is the name of a table."""
        return self.resolver.registry.find(
            through, self.mapper.model.__module__, self.mapper.model.__qualname__, self.mapper.model
        )

    def join_table(
        self, name: str, turned: bool
    ) -> tuple[tuple[TableColumn, ...], tuple[TableColumn, ...], Table]:
        """Make a plain join table: both keys, together the primary key, each a cascading foreign key.

        `turned` says that it belongs to the target's side, whose key then stands first.
        """
        mapper, other = self.mapper.options, self.target.options
        prefixes = [mapper.table, other.table]
        if self.mapper is self.target:
            prefixes = [f"from_{mapper.table}", f"to_{other.table}"]
        elif mapper.table == other.table:  # in two schemas
            prefixes = [
                f"{each.schema}_{each.table}" if each.schema else each.table for each in (mapper, other)
            ]
        own = self.key_columns(self.mapper, prefixes[0])
        target = self.key_columns(self.target, prefixes[1])
        columns = [*target, *own] if turned else [*own, *target]
        schema = other.schema if turned else mapper.schema
        return own, target, Table(name, columns, schema=schema, primary_key=columns)

    @staticmethod
    def key_columns(mapper: Mapper, prefix: str) -> tuple[TableColumn, ...]:
        """Return columns that hold the primary key of a mapper."""
        single = len(mapper.pk) == 1
        return tuple(
            TableColumn(f"{prefix}_id" if single else f"{prefix}_{key.name}", key.type, primary_key=True)
            for key in mapper.pk
        )

    def through_columns(self, model: Any) -> tuple[tuple[TableColumn, ...], tuple[TableColumn, ...], Table]:
        """Return the key columns of a `through` model: its foreign keys to the two sides."""
        through: Mapper = model.__mapper__
        if not hasattr(through, "table"):
            raise ModelError(f"{self.mapper.where}.{self.name}: its through model {through.name} cannot work")
        found: list[Any] = []
        relations = [r for r in through.relations.values() if r.owns_key]
        for side in (self.mapper, self.target):
            fitting = [r for r in relations if r.target is side and r not in found]
            if not fitting or (len(fitting) > 1 and self.mapper is not self.target):
                raise ModelError(
                    f"{self.mapper.where}.{self.name}: the through model {through.name} needs exactly one "
                    f"foreign key to {side.name}, it has {len(fitting)}"
                )
            found.append(fitting[0])
        own, target = (tuple(a.column for a in relation.local) for relation in found)
        return own, target, through.table


def link_constraints(relation: Relation) -> list[ForeignKeyConstraint]:
    """Return the two foreign keys of a plain join table."""
    link = relation.link
    assert link is not None
    sides = ((link.own, relation.owner), (link.target, relation.target))
    return [
        ForeignKeyConstraint(columns, side.own_table, side.own_table.primary_key, "CASCADE", False)
        for columns, side in sides
    ]
