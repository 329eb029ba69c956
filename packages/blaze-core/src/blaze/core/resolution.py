"""Complete mappers: key columns from their targets, tables, relations with both their sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ForwardRef, Optional

from blaze.core import relations as kinds
from blaze.core.accessors import ClassAttribute, reverse_one_property, to_many_property
from blaze.core.attributes import Attribute
from blaze.core.links import LinkBuilder
from blaze.core.mapper import ForeignKeyConstraint, Mapper
from blaze.core.relations import Relation
from blaze.core.specs import UNSET, FieldSpec, RelationSpec
from blaze.dialects.types import Integer
from blaze.errors import ModelError
from blaze.sql.source import Source
from blaze.sql.table import Table, TableColumn

if TYPE_CHECKING:
    from blaze.core.declarations import Declaration
    from blaze.core.instances import Slots
    from blaze.core.registry import Registry

ON_DELETE = ("CASCADE", "RESTRICT", "SET NULL", "SET DEFAULT", "NO ACTION")


class Resolver:
    """One pass over the models that are not complete yet.

    `run` returns the failures by mapper. Steps are idempotent, so a model that fails now (its target may be
    defined later) is tried again in the next pass.
    """

    def __init__(self, registry: Registry, pending: Sequence[tuple[Mapper, Slots]]) -> None:
        self.registry = registry
        self.pending = pending
        self.slots = dict(pending)

    def run(self) -> dict[Mapper, ModelError]:
        """Complete what can be completed."""
        failures: dict[Mapper, ModelError] = {}
        for step in (self.tabulate, self.relate_forward, self.relate_reverse):
            for mapper, _ in self.pending:
                if mapper in failures:
                    continue
                try:
                    step(mapper)
                except ModelError as error:
                    failures[mapper] = error
        for mapper, _ in self.pending:
            mapper.configured = mapper not in failures
        return failures

    # --- columns and table -----------------------------------------------------------------------

    def target_of(self, mapper: Mapper, name: str) -> Mapper:
        """Return the mapper a relation points at; raise `ModelError` when no such model exists."""
        target, _ = mapper.declarations[name].target
        model = self.registry.find(target, mapper.model.__module__, mapper.model.__qualname__, mapper.model)
        if model is None:
            text = target.__forward_arg__ if isinstance(target, ForwardRef) else target
            text = text if isinstance(text, str) else repr(text)
            raise ModelError(
                f"{mapper.where}.{name}: there is no model {text!r}{self.registry.suggest(text)}; "
                "define or import it before the models are used"
            )
        found: Mapper = model.__mapper__
        return found

    def key_attributes(self, mapper: Mapper, seen: tuple[Mapper, ...] = ()) -> tuple[Attribute, ...]:
        """Return the primary key of a mapper, making the key columns of its relations where needed."""
        if mapper.pk:
            return mapper.pk
        if mapper in seen:
            raise ModelError(f"{mapper.where}: its primary key refers to itself through foreign keys")
        found: list[Attribute] = []
        for name, declaration in mapper.declarations.items():
            if not getattr(declaration.spec, "primary_key", False):
                continue
            if isinstance(declaration.spec, FieldSpec):
                found.append(mapper.attributes[name])
            else:
                found += self.relation_attributes(mapper, name, declaration, (*seen, mapper))
        return tuple(found)

    def relation_attributes(
        self, mapper: Mapper, name: str, declaration: Declaration, seen: tuple[Mapper, ...] = ()
    ) -> list[Attribute]:
        """Return the key attributes of a foreign key, made after the primary key of its target."""
        target = self.target_of(mapper, name)
        keys = self.key_attributes(target, seen)
        slots = self.slots[mapper]
        names = [key for key, relation in slots.key_relation.items() if relation == name]
        if len(names) != len(keys):
            raise ModelError(
                f"{mapper.where}.{name}: {target.name} has {len(keys)} key columns but was unknown when "
                f"{mapper.name} was defined; define {target.name} first or declare each key with key_column()"
            )
        _, optional = declaration.target
        spec: RelationSpec = declaration.spec
        columns = [spec.column] if isinstance(spec.column, str) else list(spec.column or names)
        if len(columns) != len(names):
            raise ModelError(
                f"{mapper.where}.{name}: column= must name {len(names)} columns, not {columns!r}"
            )
        found = []
        for key, column, target_key in zip(names, columns, keys):
            attribute = mapper.attributes.get(key)
            if attribute is None:
                field = FieldSpec(primary_key=spec.primary_key, column=column, comment=spec.comment)
                attribute = Attribute(key, field, target_key.type, optional)
                attribute.slot = slots.keys[key]
                mapper.attributes[key] = attribute
            found.append(attribute)
        return found

    def tabulate(self, mapper: Mapper) -> None:
        """Give the mapper its table and put its attributes into the order of the class body."""
        if hasattr(mapper, "table"):
            return
        slots = self.slots[mapper]
        pk = self.key_attributes(mapper)
        for name in slots.relations:
            self.relation_attributes(mapper, name, mapper.declarations[name])
        mapper.attributes = {name: mapper.attributes[name] for name, _ in slots.columns}
        columns = [self.table_column(mapper, attribute, pk) for attribute in mapper.attributes.values()]
        names = [column.name for column in columns]
        for column in columns:
            if names.count(column.name) > 1:
                raise ModelError(
                    f"{mapper.where}: two fields have the column {column.name!r}; give one column="
                )
        model = mapper.model
        for attribute, column in zip(mapper.attributes.values(), columns):
            attribute.column = column
            member = model.__dict__[attribute.slot]
            attribute.get, attribute.set = member.__get__, member.__set__
            if attribute.raw_slot is not None:
                raw = model.__dict__[attribute.raw_slot]
                attribute.raw_get, attribute.raw_set = raw.__get__, raw.__set__
            mapper.missing[attribute.slot] = _missing_value(mapper, attribute)
        mapper.pk = pk
        versions = [a for a in mapper.attributes.values() if a.spec.version]
        if len(versions) > 1 or any(not isinstance(a.type, Integer) for a in versions):
            raise ModelError(f"{mapper.where}: version=True fits one integer field")
        mapper.version = versions[0] if versions else None
        mapper.identity = next((a for a in pk if a.column.identity), None)
        mapper.table = Table(
            mapper.options.table,
            columns,
            schema=mapper.options.schema,
            primary_key=[attribute.column for attribute in pk],
        )
        mapper.source = Source(mapper.table)

    def table_column(self, mapper: Mapper, attribute: Attribute, pk: tuple[Attribute, ...]) -> TableColumn:
        """Return the column of an attribute."""
        spec = attribute.spec
        key = attribute in pk
        declaration = mapper.declarations.get(attribute.name)
        identity = (
            pk == (attribute,)
            and isinstance(attribute.type, Integer)
            and declaration is not None
            and isinstance(declaration.spec, FieldSpec)
            and spec.default is UNSET
            and spec.default_factory is None
            and spec.server_default is None
            and not spec.init
        )
        relation_name = self.slots[mapper].key_relation.get(attribute.name)
        unique, index = spec.unique, spec.index
        if relation_name is not None:
            relation_spec: RelationSpec = mapper.declarations[relation_name].spec
            single = list(self.slots[mapper].key_relation.values()).count(relation_name) == 1
            unique = single and (relation_spec.unique or relation_spec.kind == kinds.ONE_TO_ONE)
            index = single and relation_spec.index and not unique and not (key and pk[0] is attribute)
        if attribute.nullable and key:
            raise ModelError(f"{mapper.where}.{attribute.name}: a primary key cannot be Optional")
        return TableColumn(
            spec.column or attribute.name,
            attribute.type,
            nullable=attribute.nullable,
            primary_key=key,
            identity=identity,
            server_default=spec.server_default,
            generated=spec.generated,
            unique=unique and pk != (attribute,),
            index=index,
            comment=spec.comment,
            check=spec.check,
            on_update=spec.on_update,
            attribute=attribute.name,
        )

    # --- relations --------------------------------------------------------------------------------

    def relate_forward(self, mapper: Mapper) -> None:
        """Make the relations whose key stands in the mapper's own table."""
        for name in self.slots[mapper].relations:
            if name in mapper.relations:
                continue
            spec: RelationSpec = mapper.declarations[name].spec
            target = self.target_of(mapper, name)
            if not hasattr(target, "table"):
                raise ModelError(
                    f"{mapper.where}.{name}: its target {target.name} cannot work; see its own error"
                )
            if spec.on_delete not in ON_DELETE:
                raise ModelError(f"{mapper.where}.{name}: on_delete must be one of {', '.join(ON_DELETE)}")
            relation = Relation(name, spec.kind, mapper, target, spec)
            keys = [key for key, owner in self.slots[mapper].key_relation.items() if owner == name]
            relation.local = tuple(mapper.attributes[key] for key in keys)
            relation.remote = target.pk
            relation.nullable = relation.local[0].nullable
            if spec.on_delete == "SET NULL" and not relation.nullable:
                raise ModelError(
                    f"{mapper.where}.{name}: on_delete='SET NULL' needs ForeignKey[Optional[...]]"
                )
            member = mapper.model.__dict__[relation.slot]
            relation.get, relation.set = member.__get__, member.__set__
            self.add_inverse(mapper, relation)
            for attribute in relation.local:
                attribute.key_of = relation
            mapper.missing[relation.slot] = _missing_relation(relation)
            mapper.relations[name] = relation
            mapper.foreign_keys.append(
                ForeignKeyConstraint(
                    tuple(a.column for a in relation.local),
                    target.table,
                    tuple(a.column for a in relation.remote),
                    spec.on_delete,
                    spec.deferrable,
                )
            )

    def add_inverse(self, mapper: Mapper, relation: Relation) -> None:
        """Give the target the other side of a foreign key, where a name for it is known."""
        target = relation.target
        kind = kinds.REVERSE_ONE_TO_ONE if relation.kind == kinds.ONE_TO_ONE else kinds.ONE_TO_MANY
        name = relation.spec.related_name or self.declared_reverse(mapper, relation)
        if name is None:
            return
        inverse = Relation(name, kind, target, mapper, relation.spec)
        inverse.local, inverse.remote = relation.remote, relation.local
        inverse.inverse, relation.inverse = relation, inverse
        self.install(mapper, relation.name, inverse)

    def declared_reverse(self, mapper: Mapper, relation: Relation) -> Optional[str]:
        """Return the one undecided `one_to_many` of the target that can only mean this foreign key."""
        rivals = [
            name for name in self.slots[mapper].relations if self.target_of(mapper, name) is relation.target
        ]
        target = relation.target
        names = [
            name
            for name, declaration in target.declarations.items()
            if getattr(declaration.spec, "kind", None) == kinds.ONE_TO_MANY
            and name not in target.relations
            and self.target_of(target, name) is mapper
        ]
        return names[0] if len(rivals) == len(names) == 1 else None

    def install(self, mapper: Mapper, origin: str, inverse: Relation) -> None:
        """Put a reverse relation on its owner, as the class body declares it or under a new property."""
        owner, name = inverse.owner, inverse.name
        declaration = owner.declarations.get(name)
        where = f"{mapper.where}.{origin}"
        if name in owner.relations:
            other = owner.relations[name]
            raise ModelError(
                f"{where}: related_name={name!r} is taken on {owner.name} by "
                f"{other.target.name}.{other.inverse.name if other.inverse else '?'}; choose another name"
            )
        if declaration is not None:
            if (
                getattr(declaration.spec, "kind", None) != inverse.kind
                or self.target_of(owner, name) is not mapper
            ):
                raise ModelError(f"{where}: related_name={name!r} is taken by the field {owner.name}.{name}")
        else:
            if hasattr(owner.model, name):
                raise ModelError(
                    f"{where}: related_name={name!r} is taken by the attribute {owner.name}.{name}"
                )
            accessor = to_many_property(name) if inverse.many else reverse_one_property(name)
            type.__setattr__(owner.model, name, accessor)
            setattr(type(owner.model), name, ClassAttribute(name))
        owner.relations[name] = inverse

    def relate_reverse(self, mapper: Mapper) -> None:
        """Make the many-to-many relations and check that every declared reverse side has a counterpart."""
        for name, declaration in mapper.declarations.items():
            kind = getattr(declaration.spec, "kind", None)
            if name in mapper.relations or kind not in (kinds.ONE_TO_MANY, kinds.MANY_TO_MANY):
                continue
            target = self.target_of(mapper, name)
            if not hasattr(target, "table"):
                raise ModelError(
                    f"{mapper.where}.{name}: its target {target.name} cannot work; see its own error"
                )
            if kind == kinds.MANY_TO_MANY:
                LinkBuilder(self, mapper, name, target).build()
            else:
                raise ModelError(
                    f"{mapper.where}.{name}: no foreign key of {target.name} leads back here; give one "
                    f"related_name={name!r}"
                )


def _missing_value(mapper: Mapper, attribute: Attribute) -> Any:
    def answer(instance: Any) -> Any:
        context = instance._ctx_
        if attribute.mutable:
            raw = attribute.peek_raw(instance)
            if raw is not UNSET:
                return context.session.thaw(instance, attribute, raw)
        if context is None or mapper.is_new(instance):
            return None
        return context.session.load_deferred(instance, attribute)

    return answer


def _missing_relation(relation: Relation) -> Any:
    def answer(instance: Any) -> Any:
        context = instance._ctx_
        if context is not None:
            for attribute in relation.local:
                if attribute.peek(instance) is UNSET:
                    getattr(instance, attribute.name)
        if relation.key_of(instance) is None:
            relation.set(instance, None)
            return None
        if context is None:
            return None
        if relation.owner.is_new(instance):
            found = context.session.resolve_known(instance, relation)
            return None if found is UNSET else found
        return context.session.load_lazily(instance, relation)

    return answer
