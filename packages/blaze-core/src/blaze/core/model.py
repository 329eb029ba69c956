"""The base of all models and the metaclass that turns a class body into a mapped class."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Optional, TypeVar, Union

from blaze.core.accessors import (
    ClassAttribute,
    key_property,
    stored_property,
    to_many_property,
    to_one_property,
)
from blaze.core.declarations import Declaration, Options, fields_of_mixin, read_declarations
from blaze.core.fields import field, foreign_key, key_column, many_to_many, one_to_many, one_to_one
from blaze.core.instances import Slots, Twins, generate_initialize, generate_snapshot, set_class
from blaze.core.mapper import Mapper
from blaze.core.registry import Registry, registry
from blaze.core.specs import UNSET, FieldSpec, KeyColumnSpec, RelationSpec
from blaze.core.validation import full_clean
from blaze.errors import ModelError, UnknownFieldError
from blaze.utils.compat import dataclass_transform
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from blaze.sql.expressions import Expression
    from blaze.sql.selectable import Selectable

B = TypeVar("B", bound="ModelBase")

if TYPE_CHECKING:
    _Members = Union[Iterable[Optional[B]], Selectable]

# The load context and session, the snapshot of a changed object, and what is no field: annotations and the
# like.
SYSTEM_SLOTS = ("_ctx_", "_old_", "_extra_", "__weakref__")


@dataclass_transform(
    kw_only_default=True,
    eq_default=False,
    field_specifiers=(field, key_column, foreign_key, one_to_one, one_to_many, many_to_many),
)
class ModelMeta(type):
    """Builds models.

    A concrete model gets slots for its columns, a mapper, two tracking twins and a metaclass of its own whose
    data descriptors answer class access (`Book.title`): they go before the slots of the class, so instances
    keep the speed of plain slots while the class gives column expressions.
    """

    if TYPE_CHECKING:
        # To a checker a relation on the class (`Book.author`) is the target's class; this is what a path can
        # do.
        def __eq__(cls: type[B], other: Optional[B]) -> Expression[bool]: ...  # type: ignore[misc, override]
        def __ne__(cls: type[B], other: Optional[B]) -> Expression[bool]: ...  # type: ignore[misc, override]
        def __hash__(cls) -> int: ...
        def is_(cls: type[B], other: Optional[B]) -> Expression[bool]: ...  # type: ignore[misc]
        def is_not(cls: type[B], other: Optional[B]) -> Expression[bool]: ...  # type: ignore[misc]
        def in_(cls: type[B], objects: _Members[B]) -> Expression[bool]: ...  # type: ignore[misc]
        def not_in(cls: type[B], objects: _Members[B]) -> Expression[bool]: ...  # type: ignore[misc]

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        if not any(isinstance(base, ModelMeta) for base in bases):
            namespace.setdefault("__slots__", SYSTEM_SLOTS)
            return type.__new__(mcls, name, bases, namespace)
        module = sys.modules.get(namespace["__module__"])
        where = f"{namespace['__module__']}.{namespace['__qualname__']}"
        own = read_declarations(
            namespace.get("__annotations__", {}),
            namespace,
            {**sys._getframe(1).f_locals, **{k: v for k, v in namespace.items() if not k.startswith("__")}},
            vars(module) if module is not None else {},
            where,
        )
        declarations = _inherited(bases)
        declarations.update(own)
        for attribute in own:
            namespace.pop(attribute, None)
        options = Options(namespace.get("Meta"), name, where)
        if options.abstract:
            namespace.setdefault("__slots__", ())
            namespace["__declarations__"] = declarations
            return type.__new__(mcls, name, bases, namespace)
        return _make_concrete(mcls, name, bases, namespace, declarations, options, where)

    if not TYPE_CHECKING:  # a checker would let any name pass

        def __getattr__(cls, name):
            if name.startswith("_"):
                raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
            mapper = cls.__dict__.get("__mapper__")
            known = [] if mapper is None else [*mapper.declarations, *mapper.relations]
            raise UnknownFieldError(f"{cls.__name__} has no field or relation {name!r}{suggest(name, known)}")


def _inherited(bases: tuple[type, ...]) -> dict[str, Declaration]:
    found: dict[str, Declaration] = {}
    for base in reversed(bases):
        for ancestor in reversed(base.__mro__):
            if isinstance(ancestor, ModelMeta):
                found.update(ancestor.__dict__.get("__declarations__", {}))
            elif ancestor is not object:
                found.update(fields_of_mixin(ancestor))
    return found


def _make_concrete(
    mcls: type,
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, Any],
    declarations: dict[str, Declaration],
    options: Options,
    where: str,
) -> Any:
    for base in bases:
        if getattr(base, "__mapper__", None) is not None:
            raise ModelError(
                f"{where}: inherits from the concrete model {base.__name__}; give {base.__name__} "
                "`class Meta: abstract = True`, or relate the two by a foreign key"
            )
    for attribute in declarations:
        for base in bases:
            if hasattr(base, attribute) and isinstance(base, ModelMeta):
                raise ModelError(
                    f"{where}.{attribute}: shadows {base.__name__}.{attribute}; rename the field"
                )
    if not any(getattr(d.spec, "primary_key", False) for d in declarations.values()):
        if "id" in declarations:
            raise ModelError(f"{where}.id: is not the primary key; declare it with field(primary_key=True)")
        implicit = Declaration("id", int, FieldSpec(primary_key=True))
        declarations = {"id": implicit, **declarations}
    slots = _plan_slots(namespace["__qualname__"], namespace["__module__"], declarations, where)
    own_slots = namespace.get("__slots__", ())
    namespace["__slots__"] = (*slots.names(), *((own_slots,) if isinstance(own_slots, str) else own_slots))
    for key, slot in slots.keys.items():
        relation = slots.key_relation[key]
        namespace[key] = key_property(slot, slots.relations[relation], relation)
    for attribute, slot in slots.stored.items():
        namespace[attribute] = stored_property(slot)
    for attribute, slot in slots.relations.items():
        namespace[attribute] = to_one_property(attribute, slot)
    for attribute, declaration in declarations.items():
        if getattr(declaration.spec, "kind", None) in ("one_to_many", "many_to_many"):
            namespace[attribute] = to_many_property(attribute)
    public = [*(attribute for attribute, _ in slots.columns), *slots.relations]
    public += [n for n, d in declarations.items() if isinstance(d.spec, RelationSpec) and n not in public]
    meta: Any = type(f"{name}Meta", (mcls,), {attribute: ClassAttribute(attribute) for attribute in public})
    cls: Any = type.__new__(meta, name, bases, namespace)
    mapper = Mapper(cls, declarations, options)
    type.__setattr__(cls, "__mapper__", mapper)
    set_old = cls._old_slot_.__set__
    mapper.get_old = cls._old_slot_.__get__
    mapper.set_old = set_old
    mapper.set_context = cls._context_slot_.__set__
    mapper.set_class = set_class
    complete, partial = generate_snapshot(mapper, slots)
    mapper.initialize = generate_initialize(mapper, slots)
    if "__init__" not in namespace and all(
        isinstance(ancestor, ModelMeta) or "__init__" not in vars(ancestor) for ancestor in cls.__mro__[1:-1]
    ):
        type.__setattr__(cls, "__init__", mapper.initialize)
    twins = Twins(cls, complete, partial, set_old)
    mapper.clean, mapper.partial, mapper.loose = twins.clean, twins.partial, twins.loose

    def snapshot(instance: Any) -> Any:
        return complete(instance) if type(instance) is mapper.clean else partial(instance)

    mapper.snapshot = snapshot
    mapper.own_rules = cls.validate is not ModelBase.validate or cls.clean is not ModelBase.clean
    registry.add(mapper, slots)
    return cls


def _plan_slots(qualname: str, module: str, declarations: dict[str, Declaration], where: str) -> Slots:
    slots = Slots()
    declared_keys = {n for n, d in declarations.items() if isinstance(d.spec, KeyColumnSpec)}
    for name, declaration in declarations.items():
        spec = declaration.spec
        if isinstance(spec, FieldSpec):
            mutable = Registry.is_mutable(declaration, where)
            if mutable:
                slots.mutables.append(name)
            if mutable or spec.server_default is not None or spec.generated is not None:
                slots.stored[name] = f"_v_{name}"
                slots.columns.append((name, slots.stored[name]))
            else:
                slots.columns.append((name, name))
                slots.values.append(name)
        elif isinstance(spec, RelationSpec) and spec.kind in ("foreign_key", "one_to_one"):
            slots.relations[name] = f"_r_{name}"
            keys = registry.key_names(name, declaration, declarations, declared_keys, module, qualname)
            for key in keys:
                if key in declarations and key not in declared_keys:
                    raise ModelError(
                        f"{where}.{key}: is the key column of the relation {name!r}; "
                        "declare it with key_column()"
                    )
                slots.columns.append((key, f"_k_{key}"))
                slots.keys[key] = f"_k_{key}"
                slots.key_relation[key] = name
    for key in declared_keys:
        if key not in slots.keys:
            names = ", ".join(repr(found) for found in slots.keys) or "none"
            raise ModelError(
                f"{where}.{key}: key_column() fits no foreign key of this model{suggest(key, slots.keys)}; "
                f"its key columns: {names}"
            )
    return slots


class ModelBase(metaclass=ModelMeta):
    """What every instance of a model can do without a session."""

    __slots__ = SYSTEM_SLOTS

    __mapper__: ClassVar[Mapper]

    # Hidden from checkers: the constructor is that of the declared fields.
    if not TYPE_CHECKING:

        def __init__(self, **values):
            type(self).__mapper__.initialize(self, **values)

        @property
        def __dict__(self):
            """What has no slot of its own; `functools.cached_property` and `vars` find it here."""
            return type(self).__mapper__.extra(self)

    def __repr__(self) -> str:
        mapper = type(self).__mapper__
        registry.configure(mapper)
        shown = []
        for attribute in mapper.attributes.values():
            value = attribute.peek(self)
            if value is not UNSET:
                shown.append(f"{attribute.name}={value!r}")
        return f"{mapper.name}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        mapper = type(self).__mapper__
        registry.configure(mapper)
        return _restore, (mapper.model, self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the loaded column values by attribute name; nothing is loaded for it."""
        mapper = type(self).__mapper__
        registry.configure(mapper)
        values = {}
        for attribute in mapper.attributes.values():
            value = attribute.peek(self)
            if value is UNSET and attribute.mutable and attribute.peek_raw(self) is not UNSET:
                value = getattr(self, attribute.name)
            if value is not UNSET:
                values[attribute.name] = value
        return values

    def clean(self) -> None:
        """Check conditions over several fields; override it and raise `ValidationError`."""

    def validate(self) -> None:
        """Check the instance's own rules before a save; override it and raise `ValidationError`."""

    def full_clean(self) -> None:
        """Run every check that a save runs: types, lengths, choices, validators, `validate()`, `clean()`.

        Raises `ValidationError` with all messages at once.
        """
        mapper = type(self).__mapper__
        registry.configure(mapper)
        full_clean(mapper, self)

    def m2m_add(self, name: str, *objects: ModelBase) -> None:
        """Link objects through the many-to-many relation `name`; linking twice is no error."""
        self._many(name).add(*objects)

    def m2m_remove(self, name: str, *objects: ModelBase) -> None:
        """Unlink objects from the many-to-many relation `name`."""
        self._many(name).remove(*objects)

    def m2m_clear(self, name: str) -> None:
        """Unlink every object from the many-to-many relation `name`."""
        self._many(name).clear()

    def _many(self, name: str) -> Any:
        mapper = type(self).__mapper__
        registry.configure(mapper)
        relation = mapper.relations.get(name)
        if relation is None or relation.link is None:
            names = [n for n, r in mapper.relations.items() if r.link is not None]
            raise ModelError(f"{mapper.name} has no many-to-many relation {name!r}{suggest(name, names)}")
        return relation.collection(self)


type.__setattr__(ModelBase, "_context_slot_", ModelBase.__dict__["_ctx_"])
type.__setattr__(ModelBase, "_old_slot_", ModelBase.__dict__["_old_"])
type.__setattr__(ModelBase, "_extra_slot_", ModelBase.__dict__["_extra_"])


def _restore(model: Any, values: dict[str, Any]) -> Any:
    """Rebuild an unpickled or copied instance: it belongs to no session."""
    instance = object.__new__(model)
    instance._ctx_ = instance._old_ = instance._extra_ = None
    mapper = model.__mapper__
    registry.configure(mapper)
    for name, value in values.items():
        mapper.attributes[name].set(instance, value)
    return instance
