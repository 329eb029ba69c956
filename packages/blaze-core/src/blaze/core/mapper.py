"""The mapper: everything the house knows about one model."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.attributes import Attribute
from blaze.core.constraints import Unique
from blaze.core.specs import UNSET
from blaze.errors import CapabilityError, ModelError, QueryError, UnknownFieldError
from blaze.security.redaction import redactor
from blaze.sql.columns import Column
from blaze.sql.source import Source
from blaze.sql.tokens import tokenize
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blaze.core.constraints import Index
    from blaze.core.declarations import Declaration, Options
    from blaze.core.instances import Slots
    from blaze.core.registry import Registry
    from blaze.core.relations import Relation
    from blaze.sql.source import Criterion
    from blaze.sql.table import Table, TableColumn


class ForeignKeyConstraint:
    """A foreign key of a table: own columns, the table and columns they point at, and the rule on delete."""

    __slots__ = ("columns", "deferrable", "on_delete", "target", "target_columns")

    def __init__(
        self,
        columns: tuple[Any, ...],
        target: Table,
        target_columns: tuple[Any, ...],
        on_delete: str,
        deferrable: bool,
    ) -> None:
        self.columns = columns
        self.target = target
        self.target_columns = target_columns
        self.on_delete = on_delete
        self.deferrable = deferrable


class Mapper:
    """Metadata of one model; filled in two steps, by the class body and by the registry.

    `clean` is the twin class of loaded, unchanged instances and `partial` the one of instances loaded
    without some columns: both only differ from the model in `__setattr__`, which notes the first change.
    """

    def __init__(
        self,
        model: type,
        declarations: dict[str, Declaration],
        options: Options,
        parent: Optional[Mapper] = None,
    ) -> None:
        self.model: Any = model
        self.parent = parent
        self.base: Mapper = self if parent is None else parent.base
        self.subclasses: list[Mapper] = []
        self.criterion: Optional[Criterion] = None  # in a hierarchy: the rows of this model
        self.discriminator: Optional[Attribute] = None
        self.discriminator_value: Any = None
        self.slots: Slots
        self.name: str = model.__name__
        self.declarations = declarations
        self.options = options
        self.attributes: dict[str, Attribute] = {}
        self.relations: dict[str, Relation] = {}
        self.pk: tuple[Attribute, ...] = ()
        self.identity: Optional[Attribute] = None
        self.version: Optional[Attribute] = None
        self.foreign_keys: list[ForeignKeyConstraint] = []
        self.configured = False
        self.own_rules = False  # whether the model overrides validate() or clean()
        self.registry: Registry
        self.root: Any = None  # the shared start of queries for whole objects
        self.clean: Any = None
        self.partial: Any = None
        self.loose: Any = None
        self.table: Table  # where a row of the model begins: that of the base
        self.own_table: Table  # where the columns stand that the model declares
        self.source: Source
        # Answers of `__getattr__` for empty slots, by attribute name.
        self.missing: dict[str, Callable[[Any], Any]] = {}
        # Generated when the class is made or configured.
        self.initialize: Callable[..., None]
        self.snapshot: Callable[[Any], tuple[Any, ...]]
        self.get_old: Callable[[Any], Optional[tuple[Any, ...]]]
        self.set_old: Callable[[Any, Any], None]
        self.set_context: Callable[[Any, Any], None]
        self.set_class: Callable[[Any, type], None]

    def __repr__(self) -> str:
        return f"<mapper {self.name}>"

    @property
    def where(self) -> str:
        """The model's full name, for messages."""
        return f"{self.model.__module__}.{self.model.__qualname__}"

    @property
    def table_owner(self) -> Mapper:
        """The model that the own table is made for: the nearest with a table of its own."""
        return self if self.parent is None or self.options.joined else self.parent.table_owner

    @property
    def lineage(self) -> list[Mapper]:
        """The model and the concrete models that it derives from, the base of all first."""
        found: list[Mapper] = [] if self.parent is None else self.parent.lineage
        return [*found, self]

    def family(self) -> list[Mapper]:
        """Return the model and all that derive from it, each after its parent."""
        found: list[Mapper] = [self]
        for subclass in self.subclasses:
            found += subclass.family()
        return found

    def add_relation(self, relation: Relation) -> None:
        """Take in a relation, for the models derived from this one as well."""
        for mapper in self.family():
            mapper.relations[relation.name] = relation
            mapper.__dict__.pop("key_relations", None)

    @cached_property
    def columns(self) -> tuple[Attribute, ...]:
        """All column attributes in order, as a snapshot holds their values."""
        return tuple(self.attributes.values())

    @cached_property
    def mutable_indexes(self) -> tuple[int, ...]:
        """The positions of the columns whose values change in place."""
        return tuple(index for index, attribute in enumerate(self.columns) if attribute.mutable)

    @cached_property
    def filled(self) -> tuple[Attribute, ...]:
        """The columns besides a generated key that the database fills when nothing is given."""
        return tuple(a for a in self.columns if a.server_generated and a is not self.identity)

    @cached_property
    def computed(self) -> tuple[Attribute, ...]:
        """The columns that the database computes from others."""
        return tuple(a for a in self.columns if a.spec.generated is not None)

    @cached_property
    def written(self) -> tuple[Attribute, ...]:
        """The columns of an INSERT that leaves the generated key to the database."""
        return tuple(a for a in self.columns if a is not self.identity and a.spec.generated is None)

    @cached_property
    def key_relations(self) -> list[Relation]:
        """The relations whose key stands in this table."""
        return [relation for relation in self.relations.values() if relation.owns_key]

    @cached_property
    def sharing(self) -> list[Relation]:
        """The relations that share a key column with another one."""
        return [relation for relation in self.key_relations if relation.sharing]

    @property
    def family_key_relations(self) -> list[Relation]:
        """The relations with a key of this model and of those derived from it."""
        if not self.subclasses:
            return self.key_relations
        return list(dict.fromkeys(r for mapper in self.family() for r in mapper.key_relations))

    @cached_property
    def on_update_indexes(self) -> tuple[int, ...]:
        """The positions of the columns that every update sets by a function."""
        return tuple(i for i, attribute in enumerate(self.columns) if attribute.spec.on_update is not None)

    @property
    def version_column(self) -> Optional[TableColumn]:
        """The column of the optimistic lock."""
        return None if self.version is None else self.version.column

    @property
    def indexes(self) -> list[Index]:
        """The indexes of `Meta.indexes`."""
        return self.options.indexes

    @property
    def constraints(self) -> list[Any]:
        """The `Check` and `Unique` constraints of `Meta.constraints`."""
        return self.options.constraints

    def require_table(self) -> None:
        """Raise `ModelError` for a view, whose rows are not written."""
        if self.options.view:
            raise ModelError(f"{self.name} is a view and read-only; write to the tables it reads")

    def require_one_table(self, what: str, instead: str) -> None:
        """Raise `CapabilityError` for a model whose rows stand in several tables."""
        if len(self.tables) > 1:
            names = ", ".join(table.name for table in self.tables)
            raise CapabilityError(
                f"{what} is for one table, and a {self.name} stands in {names}: use {instead}"
            )

    # --- the state of an instance -------------------------------------------------------------

    def is_clean(self, instance: Any) -> bool:
        """Whether the instance is loaded and was not changed since."""
        return type(instance)._tracked_  # type: ignore[no-any-return]

    def is_new(self, instance: Any) -> bool:
        """Whether the instance has no row yet, as far as this process knows."""
        return not type(instance)._tracked_ and self.get_old(instance) is None

    def extra(self, instance: Any) -> dict[str, Any]:
        """Return the instance's dictionary for what has no slot of its own; make it when missing."""
        found = instance._extra_
        if found is None:
            found = {}
            self.set_extra(instance, found)
        return found  # type: ignore[no-any-return]

    def set_extra(self, instance: Any, value: Optional[dict[str, Any]]) -> None:
        """Replace the dictionary for what has no slot; no change is tracked."""
        self.model._extra_slot_.__set__(instance, value)

    def key(self, instance: Any) -> Any:
        """Return the primary key: one value, or a tuple for a composite key; None when a part is missing."""
        pk = self.pk
        if len(pk) == 1:
            value = pk[0].peek(instance)
            return None if value is UNSET else value
        values = tuple(attribute.peek(instance) for attribute in pk)
        return None if any(value is None or value is UNSET for value in values) else values

    def shown_key(self, key: Any) -> str:
        """Return a key as messages show it: without the parts whose names are sensitive."""
        if len(self.pk) == 1 or key is None:
            return redactor.shown(self.pk[0].guarded_name, key)
        return f"({', '.join(redactor.shown(a.guarded_name, value) for a, value in zip(self.pk, key))})"

    def keys(self, instances: Iterable[Any]) -> list[Any]:
        """Return the primary keys of objects that have rows."""
        return list(map(self.pk[0].get if len(self.pk) == 1 else self.key, instances))

    def make_clean(self, instance: Any, context: Any) -> None:
        """Mark an instance as being what the database holds."""
        if self.is_clean(instance):
            self.set_context(instance, context)
            return
        instance._old_ = None
        instance._ctx_ = context
        complete = type(instance) is self.model and self.is_complete(instance)
        self.set_class(instance, self.clean if complete else self.partial)

    @cached_property
    def bridges(self) -> tuple[tuple[Relation, Relation, Relation], ...]:
        """For a `through` model: every many-to-many relation it makes, with its keys to both sides."""
        found = []
        for near in self.key_relations:
            for relation in near.target.relations.values():
                if relation.link is None or relation.link.model is not self.model:
                    continue
                own = tuple(attribute.column for attribute in near.local)
                if own != relation.link.own:
                    continue
                for far in self.key_relations:
                    if tuple(attribute.column for attribute in far.local) == relation.link.target:
                        found.append((relation, near, far))
        return tuple(found)

    def settle(self, instance: Any, old: tuple[Any, ...]) -> None:
        """Mark a changed instance, whose snapshot this was, as being what the database holds."""
        instance._old_ = None
        self.set_class(instance, self.clean if old.__class__ is tuple else self.partial)

    def is_complete(self, instance: Any) -> bool:
        """Whether no column is waiting to be loaded."""
        return all(
            attribute.peek(instance) is not UNSET
            or (attribute.mutable and attribute.peek_raw(instance) is not UNSET)
            for attribute in self.attributes.values()
        )

    def make_changed(self, instance: Any) -> None:
        """Remember the loaded values of a clean instance and let it be written to freely."""
        if self.is_clean(instance):
            self.set_old(instance, self.snapshot(instance))
            self.set_class(instance, self.model if type(instance) is self.clean else self.loose)

    @staticmethod
    def loosen(instance: Any) -> None:
        """Let an instance show values that no column has (`annotate`)."""
        kind = type(instance)
        mapper = kind.__mapper__
        if kind is mapper.clean:
            mapper.set_class(instance, mapper.partial)
        elif kind is mapper.model:
            mapper.set_class(instance, mapper.loose)

    def make_new(self, instance: Any) -> None:
        """Make an instance transient: no row, no session."""
        self.set_class(instance, self.model)
        instance._old_ = None
        instance._ctx_ = None

    # --- names ----------------------------------------------------------------------------------

    def column(self, name: str) -> Column[Any]:
        """Return the column expression of an attribute at the root of a query."""
        return self.column_at(self.source, self.attributes[name])

    def column_at(self, source: Source, attribute: Attribute) -> Column[Any]:
        """Return an attribute's column for a place of the model in a query."""
        column = attribute.column
        return Column(source if column.table is source.table else self.part(source, column.table), column)

    def part(self, source: Source, table: Table) -> Source:
        """Return the place of another table of the hierarchy beside a place of the model in a query.

        It has a row for each one that is of this model, and may have none for others.
        """
        pairs = tuple(zip(source.table.primary_key, table.primary_key))
        return Source(table, parent=source, on=pairs, outer=table not in self.tables)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables that hold a row of the model, that of the base first; one without joined inheritance."""
        return tuple(dict.fromkeys(mapper.own_table for mapper in self.lineage))

    def by_table(self, attributes: Iterable[Attribute]) -> dict[Table, tuple[Attribute, ...]]:
        """Group attributes by the table that their column stands in."""
        found: dict[Table, tuple[Attribute, ...]] = {}
        for attribute in attributes:
            table = attribute.column.table
            found[table] = (*found.get(table, ()), attribute)
        return found

    def resolve(self, name: str) -> tuple[Optional[Attribute], Any]:
        """Return the attribute of that name, or None and the relation; raise `UnknownFieldError` with the
        nearest names.
        """
        attribute = self.attributes.get(name)
        if attribute is not None:
            return attribute, None
        relation = self.relations.get(name)
        if relation is not None:
            return None, relation
        raise UnknownFieldError(self.unknown(name))

    def attribute_of(self, column: TableColumn) -> Attribute:
        """Return the attribute of a column; raise `QueryError` naming both models for another model's."""
        attribute = self.attributes.get(column.attribute)
        if attribute is not None and attribute.column is column:
            return attribute
        owners = (
            each.__mapper__.name
            for each in self.registry
            if any(getattr(a, "column", None) is column for a in each.__mapper__.attributes.values())
        )
        owner = next(owners, column.table.name)
        raise QueryError(f"{owner}.{column.attribute} is a column of {owner}, not of {self.name}")

    def unknown(self, name: str) -> str:
        """Say that the model has no such field or relation, with the nearest names."""
        names = [*self.attributes, *self.relations]
        return f"{self.name} has no field or relation {name!r}{suggest(str(name), names)}"

    def columns_of(self, names: tuple[str, ...], what: str) -> list[Any]:
        """Return the table columns that names of attributes and relations stand for.

        Raises `ModelError` naming the model and `what` for an unknown name.
        """
        found: list[Any] = []
        for name in names:
            relation = self.relations.get(name)
            if name in self.attributes:
                found.append(self.attributes[name].column)
            elif relation is not None and relation.owns_key:
                found.extend(attribute.column for attribute in relation.local)
            else:
                raise ModelError(f"{self.where}: {what}: {self.unknown(name)}")
        return found

    def unique_sets(self, partial: bool = False) -> list[tuple[str, ...]]:
        """Return the attribute names of everything unique, the primary key first.

        Unique indexes with a condition are in it when `partial` says so: they hold for some rows only.
        """
        found = [tuple(attribute.name for attribute in self.pk)]
        found += [(a.name,) for a in self.attributes.values() if a.column.unique]
        found += [tuple(a.name for a in r.local) for r in self.key_relations if r.unique and len(r.local) > 1]
        for mapper in self.lineage:
            for each in mapper.constraints:
                if isinstance(each, Unique):
                    found.append(self.attributes_of(each.attributes, repr(each)))
            for index in mapper.indexes:
                if index.unique and index.names and (partial or index.where is None):
                    found.append(self.attributes_of(index.names, repr(index)))
        return list(dict.fromkeys(found))

    @cached_property
    def unique_columns(self) -> tuple[tuple[TableColumn, ...], ...]:
        """The table columns of everything unique; none for an index over expressions."""
        found = [tuple(self.attributes[name].column for name in names) for names in self.unique_sets(True)]
        indexes = (index for mapper in self.lineage for index in mapper.indexes)
        return (*found, *[() for index in indexes if index.unique and not index.names])

    def attributes_of(self, names: tuple[str, ...], what: str) -> tuple[str, ...]:
        """Return the names of the columns that names of attributes and relations stand for."""
        by_column = {attribute.column: attribute.name for attribute in self.attributes.values()}
        return tuple(by_column[column] for column in self.columns_of(names, what))

    @cached_property
    def unique_places(self) -> tuple[tuple[tuple[Attribute, ...], tuple[int, ...], bool], ...]:
        """The columns of everything unique, their positions in a snapshot, whether it holds for all rows.

        For a generated column stand those that it is computed from: where they are the same, it is, too.
        """
        strict = {self.inputs(names) for names in self.unique_sets()}
        return tuple(
            (place, tuple(self.columns.index(attribute) for attribute in place), place in strict)
            for place in dict.fromkeys(map(self.inputs, self.unique_sets(partial=True)))
            if place and not any(attribute.mutable for attribute in place)
        )

    def inputs(self, names: Iterable[str]) -> tuple[Attribute, ...]:
        """Return the columns of these names, with what generated ones are computed from in their place."""
        found = [self.attributes[name] for name in names]
        for attribute in found:  # grows while it is gone through
            if attribute.spec.generated is not None:
                words = {token.text.strip('"`').lower() for token in tokenize(attribute.spec.generated)}
                found += [a for a in self.columns if a.column.name.lower() in words and a not in found]
        return tuple(attribute for attribute in found if attribute.spec.generated is None)

    @cached_property
    def partial_indexes(self) -> tuple[tuple[tuple[Attribute, ...], Table, str], ...]:
        """The columns, the table and the condition of the indexes that are unique for some rows only."""
        return tuple(
            (
                tuple(self.attributes[name] for name in self.attributes_of(index.names, repr(index))),
                mapper.own_table,
                index.where,
            )
            for mapper in self.lineage
            for index in mapper.indexes
            if index.unique and index.names and index.where is not None
        )

    @cached_property
    def passing_indexes(self) -> frozenset[int]:
        """The positions of the columns that decide who holds a unique value, or is in a partial index."""
        conditions = " ".join(where for _, _, where in self.partial_indexes).lower()
        named = (n for n, a in enumerate(self.columns) if conditions and a.column.name.lower() in conditions)
        return self.unique_indexes.union(named)

    @cached_property
    def unique_indexes(self) -> frozenset[int]:
        """The positions of all columns that take part in a unique constraint."""
        return frozenset(position for _, positions, _ in self.unique_places for position in positions)
