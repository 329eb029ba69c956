"""Complete mappers: key columns from their targets, tables, relations with both their sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ForwardRef, Optional

from blaze.core import relations as kinds
from blaze.core.accessors import ClassAttribute, reverse_one_property, to_many_property
from blaze.core.attributes import Attribute
from blaze.core.detached import COPIED, DETACHED
from blaze.core.links import LinkBuilder
from blaze.core.mapper import ForeignKeyConstraint, Mapper
from blaze.core.relations import Relation
from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET, FieldSpec, RelationSpec
from blaze.dialects.types import Enum, Integer, String
from blaze.errors import ModelError, NotLoadedError
from blaze.sql.source import Source
from blaze.sql.table import Table, TableColumn

if TYPE_CHECKING:
    from blaze.core.declarations import Declaration
    from blaze.core.registry import Registry


class Resolver:
    """One pass over the models that are not complete yet.

    `run` returns the failures by mapper. Steps are idempotent, so a model that fails now (its target may be
    defined later) is tried again in the next pass.
    """

    def __init__(self, registry: Registry, pending: Sequence[Mapper]) -> None:
        self.registry = registry
        self.pending = pending

    def run(self) -> dict[Mapper, ModelError]:
        """Complete what can be completed."""
        failures: dict[Mapper, ModelError] = {}
        for step in (self.tabulate, self.relate_forward, self.relate_reverse):
            for mapper in self.pending:
                if mapper in failures:
                    continue
                if mapper.parent in failures:
                    failures[mapper] = failures[mapper.parent]
                    continue
                try:
                    step(mapper)
                except ModelError as error:
                    failures[mapper] = error
        for mapper in self.pending:
            mapper.configured = mapper not in failures
        return failures

    # --- columns and table -----------------------------------------------------------------------

    def target_of(self, mapper: Mapper, name: str) -> Mapper:
        """Return the mapper a relation points at; raise `ModelError` when no such model exists."""
        while mapper.parent is not None and name in mapper.parent.declarations:
            mapper = mapper.parent  # names mean what they mean where they are declared
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
        if mapper.parent is not None:
            return self.key_attributes(mapper.parent, seen)
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
        return tuple(dict.fromkeys(found))

    def relation_attributes(
        self, mapper: Mapper, name: str, declaration: Declaration, seen: tuple[Mapper, ...] = ()
    ) -> list[Attribute]:
        """Return the key attributes of a foreign key, made after the primary key of its target."""
        target = self.target_of(mapper, name)
        keys = self.key_attributes(target, seen)
        slots = mapper.slots
        names = slots.keys_of[name]
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
                attribute.owner = mapper
                mapper.attributes[key] = attribute
            elif slots.key_relation.get(key) != name:
                if attribute.type != target_key.type:
                    raise ModelError(
                        f"{mapper.where}.{name}: shares the column {column!r} with "
                        f"{slots.key_relation[key]!r}, whose key is {attribute.type!r} and not "
                        f"{target_key.type!r}; give one column="
                    )
                attribute.nullable = attribute.nullable and optional
            found.append(attribute)
        return found

    def tabulate(self, mapper: Mapper) -> None:
        """Give the mapper its table and put its attributes into the order of the class body."""
        if hasattr(mapper, "table"):
            return
        slots, parent = mapper.slots, mapper.parent
        pk = self.key_attributes(mapper)
        if parent is not None:
            mapper.attributes = {**parent.attributes, **mapper.attributes}
        for name in slots.relations:
            if parent is None or name not in parent.declarations:
                self.relation_attributes(mapper, name, mapper.declarations[name])
        mapper.attributes = {name: mapper.attributes[name] for name, _ in slots.columns}
        own = [attribute for attribute in mapper.attributes.values() if attribute.owner is mapper]
        columns = [self.table_column(mapper, attribute, pk) for attribute in own]
        # Some databases tell upper from lower case in the names of columns, others do not.
        names = [column.name.lower() for column in columns]
        for column in columns:
            if names.count(column.name.lower()) > 1:
                raise ModelError(
                    f"{mapper.where}: two fields have the column {column.name!r}; give one column="
                )
        if parent is not None:
            self.check_shared(mapper, columns)
        self.check_discriminator(mapper)
        model = mapper.model
        for attribute, column in zip(own, columns):
            attribute.column = column
            member = model.__dict__[attribute.slot]
            attribute.get, attribute.set = member.__get__, member.__set__
            if attribute.raw_slot is not None:
                raw = model.__dict__[attribute.raw_slot]
                attribute.raw_get, attribute.raw_set = raw.__get__, raw.__set__
            mapper.missing[attribute.slot] = _missing_value(mapper, attribute)
        mapper.pk = pk
        mapper.version = next((a for a in mapper.attributes.values() if a.spec.version), None)
        mapper.identity = next((a for a in pk if a.column.identity), None)
        if mapper.criterion is not None:
            assert mapper.discriminator is not None
            mapper.criterion.column = mapper.discriminator.column
        if parent is None:
            mapper.table = Table(
                mapper.options.table,
                columns,
                schema=mapper.options.schema,
                primary_key=[attribute.column for attribute in pk],
            )
            mapper.own_table = mapper.table
        else:
            mapper.table = parent.table
            if mapper.options.joined:
                mapper.own_table = self.joined_table(mapper, columns)
            else:
                mapper.own_table = parent.own_table
                for column in columns:
                    parent.own_table.add(column)
        mapper.source = Source(mapper.table, only=None if parent is None else mapper.criterion)

    @staticmethod
    def joined_table(mapper: Mapper, columns: Sequence[TableColumn]) -> Table:
        """Return the table of a joined model: its columns, and the key, which refers to the parent's."""
        assert mapper.parent is not None
        above = mapper.parent.own_table
        keys = [
            TableColumn(key.name, key.type, primary_key=True, attribute=key.attribute)
            for key in above.primary_key
        ]
        options = mapper.options
        table = Table(options.table, [*keys, *columns], schema=options.schema, primary_key=keys)
        mapper.foreign_keys.append(
            ForeignKeyConstraint(table.primary_key, above, above.primary_key, "CASCADE", False)
        )
        return table

    @staticmethod
    def check_shared(mapper: Mapper, columns: Sequence[TableColumn]) -> None:
        """Refuse columns of a subclass whose name another model of the table has."""
        assert mapper.parent is not None
        shared = mapper.parent.own_table
        for column in columns:
            other = shared.by_name.get(column.name)
            if other is not None and (other.primary_key or not mapper.options.joined):
                owner = next(
                    (m for m in mapper.base.family() for a in m.attributes.values() if a.column is other),
                    mapper.base,
                )
                raise ModelError(
                    f"{mapper.where}.{column.attribute}: {owner.name} has the column {column.name!r} in the "
                    f"same table; declare the field on {mapper.base.name}, or give one column="
                )

    @staticmethod
    def check_discriminator(mapper: Mapper) -> None:
        """Find the discriminator; refuse a value that its type cannot hold."""
        name = mapper.base.options.discriminator
        if name is None:
            return
        mapper.discriminator = attribute = mapper.base.attributes[name]
        problem = attribute.type.check(mapper.discriminator_value)
        if (
            problem is not None
            or attribute.nullable
            or not isinstance(attribute.type, (Integer, String, Enum))
        ):
            raise ModelError(
                f"{mapper.where}.Meta.discriminator_value: {mapper.discriminator_value!r} does not fit the "
                f"field {name!r}: {problem or 'it must be a text, an integer or an enum, and not Optional'}"
            )

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
        relation_name = mapper.slots.key_relation.get(attribute.name)
        unique, index = spec.unique, spec.index
        if relation_name is not None:
            keys_of = mapper.slots.keys_of
            relation_name = next(
                (n for n, keys in keys_of.items() if keys == [attribute.name]), relation_name
            )
            relation_spec: RelationSpec = mapper.declarations[relation_name].spec
            single = len(keys_of[relation_name]) == 1
            unique = single and (relation_spec.unique or relation_spec.kind == kinds.ONE_TO_ONE)
            index = single and relation_spec.index and not unique and not (key and pk[0] is attribute)
        if attribute.nullable and key:
            raise ModelError(f"{mapper.where}.{attribute.name}: a primary key cannot be Optional")
        return TableColumn(
            spec.column or attribute.name,
            attribute.type,
            nullable=attribute.nullable
            or mapper.table_owner is not mapper,  # other models' rows have no value
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
        if mapper.parent is not None:
            mapper.relations = {**mapper.parent.relations, **mapper.relations}
            mapper.missing = {**mapper.parent.missing, **mapper.missing}
        for name in mapper.slots.relations:
            if name in mapper.relations:
                continue
            spec: RelationSpec = mapper.declarations[name].spec
            target = self.target_of(mapper, name)
            if not hasattr(target, "table"):
                raise ModelError(
                    f"{mapper.where}.{name}: its target {target.name} cannot work; see its own error"
                )
            relation = Relation(name, spec.kind, mapper, target, spec)
            keys_of = mapper.slots.keys_of
            relation.local = tuple(mapper.attributes[key] for key in keys_of[name])
            relation.remote = target.pk
            shared = {key for other, keys in keys_of.items() if other != name for key in keys}
            relation.own = tuple(a for a in relation.local if a.name not in shared) or relation.local
            relation.nullable = all(a.nullable for a in relation.own)
            self.check_on_delete(mapper, relation)
            member = mapper.model.__dict__[relation.slot]
            relation.get, relation.set = member.__get__, member.__set__
            self.add_inverse(mapper, relation)
            for attribute in relation.local:
                attribute.keys_of += (relation,)
                attribute.key_of = attribute.keys_of[0]
            mapper.missing[relation.slot] = _missing_relation(relation)
            mapper.add_relation(relation)
            mapper.foreign_keys.append(
                ForeignKeyConstraint(
                    tuple(a.column for a in relation.local),
                    target.own_table,
                    target.own_table.primary_key,
                    spec.on_delete,
                    spec.deferrable,
                )
            )
        for relation in mapper.relations.values():
            if relation.owns_key and relation.owner is mapper:
                others = dict.fromkeys(r for attribute in relation.local for r in attribute.keys_of)
                relation.sharing = tuple(other for other in others if other is not relation)

    @staticmethod
    def check_on_delete(mapper: Mapper, relation: Relation) -> None:
        """Refuse what the database could not do, or only by half, when the target of a key goes."""
        rule, place = relation.on_delete, f"{mapper.where}.{relation.name}"
        if rule == "SET NULL" and not relation.nullable:
            raise ModelError(f"{place}: on_delete='SET NULL' needs ForeignKey[Optional[...]]")
        if rule == "SET DEFAULT" and not relation.nullable:
            raise ModelError(
                f"{place}: on_delete='SET DEFAULT' needs ForeignKey[Optional[...]]: the default of a key "
                "column is NULL"
            )
        if rule in ("SET NULL", "SET DEFAULT") and len(relation.own) < len(relation.local):
            raise ModelError(
                f"{place}: on_delete={rule!r} would empty the column that it shares with another relation; "
                "use 'CASCADE', 'RESTRICT' or 'NO ACTION'"
            )
        if rule == "CASCADE" and mapper.own_table is not mapper.base.own_table:
            base = mapper.base
            raise ModelError(
                f"{place}: on_delete='CASCADE' would delete the row of table {mapper.own_table.name!r} and "
                f"leave that of {base.own_table.name!r}, half an object; declare the key in {base.name}, or "
                "take on_delete='RESTRICT' and delete the objects before their target"
            )

    def add_inverse(self, mapper: Mapper, relation: Relation) -> None:
        """Give the target the other side of a foreign key, where a name for it is known."""
        target = relation.target
        kind = kinds.REVERSE_ONE_TO_ONE if relation.kind == kinds.ONE_TO_ONE else kinds.ONE_TO_MANY
        name = relation.spec.related_name or self.declared_reverse(mapper, relation, kind)
        if name is None:
            return
        inverse = Relation(name, kind, target, mapper, relation.spec)
        inverse.local, inverse.remote = relation.remote, relation.local
        inverse.inverse, relation.inverse = relation, inverse
        self.install(mapper, relation.name, inverse)

    def declared_reverse(self, mapper: Mapper, relation: Relation, kind: str) -> Optional[str]:
        """Return the one undecided reverse side of the target that can only mean this foreign key."""
        rivals = [name for name in mapper.slots.relations if self.target_of(mapper, name) is relation.target]
        target = relation.target
        names = [
            name
            for name, declaration in target.declarations.items()
            if getattr(declaration.spec, "kind", None) == kind
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
            for other_mapper in owner.family():
                if name in other_mapper.declarations or hasattr(other_mapper.model, name):
                    raise ModelError(
                        f"{where}: related_name={name!r} is taken by the attribute {other_mapper.name}.{name}"
                    )
            accessor = to_many_property(name) if inverse.many else reverse_one_property(name)
            type.__setattr__(owner.model, name, accessor)
            for other_mapper in owner.family():
                setattr(type(other_mapper.model), name, ClassAttribute(name))
        owner.add_relation(inverse)

    def relate_reverse(self, mapper: Mapper) -> None:
        """Make the many-to-many relations and check that every declared reverse side has a counterpart."""
        for name, declaration in mapper.declarations.items():
            kind = getattr(declaration.spec, "kind", None)
            if name in mapper.relations or kind not in kinds.DECLARED_LATE:
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
                    f"{mapper.where}.{name}: no {kinds.KEY_OF[kind]} of {target.name} leads back here; "
                    f"give one related_name={name!r}"
                )


def _missing_value(mapper: Mapper, attribute: Attribute) -> Any:
    def answer(instance: Any) -> Any:
        context = instance._ctx_
        if attribute.mutable:
            raw = attribute.peek_raw(instance)
            if raw is not UNSET:
                return context.session.thaw(instance, attribute, raw)
        if context is None or (context is not COPIED and mapper.is_new(instance)):
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
            # The key of another relation may come with the next flush; `is_given` asks what a new one holds.
            if not relation.sharing and not relation.owner.is_new(instance):
                relation.set(instance, None)
            return None
        session = DETACHED if context is None else context.session
        found = session.load_lazily(instance, relation)
        if found is None and relation.owner.is_new(instance):
            clear_slot(relation.owner, instance, relation.slot)
            raise NotLoadedError(
                f"{relation.owner.name}.{relation.name} is not loaded: the database has no "
                f"{relation.target.name} with the key {relation.key_of(instance)!r} yet; flush() that first, "
                f"or set {relation.name} instead of its key"
            )
        return found

    return answer
