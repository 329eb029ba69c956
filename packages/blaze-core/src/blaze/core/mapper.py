"""The mapper: everything the house knows about one model."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.attributes import Attribute
from blaze.core.specs import UNSET
from blaze.errors import ModelError, UnknownFieldError
from blaze.sql.columns import Column
from blaze.sql.source import Source
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from blaze.core.constraints import Index
    from blaze.core.declarations import Declaration, Options
    from blaze.core.registry import Registry
    from blaze.core.relations import Relation
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

    def __init__(self, model: type, declarations: dict[str, Declaration], options: Options) -> None:
        self.model: Any = model
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
        self.table: Table
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
    def written(self) -> tuple[Attribute, ...]:
        """The columns of an INSERT that leaves the generated key to the database."""
        return tuple(a for a in self.columns if a is not self.identity and a.spec.generated is None)

    @property
    def key_relations(self) -> list[Relation]:
        """The relations whose key stands in this table."""
        return [relation for relation in self.relations.values() if relation.owns_key]

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

    # --- the state of an instance -------------------------------------------------------------

    def is_clean(self, instance: Any) -> bool:
        """Whether the instance is loaded and was not changed since."""
        kind = type(instance)
        return kind is self.clean or kind is self.partial

    def is_new(self, instance: Any) -> bool:
        """Whether the instance has no row yet, as far as this process knows."""
        kind = type(instance)
        return (kind is self.model or kind is self.loose) and self.get_old(instance) is None

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

    def loosen(self, instance: Any) -> None:
        """Let an instance show values that no column has (`annotate`)."""
        kind = type(instance)
        if kind is self.clean:
            self.set_class(instance, self.partial)
        elif kind is self.model:
            self.set_class(instance, self.loose)

    def make_new(self, instance: Any) -> None:
        """Make an instance transient: no row, no session."""
        self.set_class(instance, self.model)
        instance._old_ = None
        instance._ctx_ = None

    # --- names ----------------------------------------------------------------------------------

    def column(self, name: str) -> Column[Any]:
        """Return the column expression of an attribute at the root of a query."""
        return Column(self.source, self.attributes[name].column)

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

    def unique_sets(self) -> list[tuple[str, ...]]:
        """Return the attribute names of every unique constraint, the primary key first."""
        found = [tuple(attribute.name for attribute in self.pk)]
        by_column = {attribute.column: attribute.name for attribute in self.attributes.values()}
        found += [(a.name,) for a in self.attributes.values() if a.column.unique]
        for constraint in self.constraints:
            if not hasattr(constraint, "condition"):
                columns = self.columns_of(constraint.attributes, repr(constraint))
                found.append(tuple(by_column[column] for column in columns))
        return found
