"""The base of all models and the metaclass that turns a class body into a mapped class."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Optional, TypeVar, Union

from blaze.core import inheritance
from blaze.core.accessors import (
    ClassAttribute,
    key_property,
    reverse_one_property,
    stored_property,
    to_many_property,
    to_one_property,
)
from blaze.core.declarations import Declaration, Options, fields_of_mixin, read_declarations
from blaze.core.detached import COPIED
from blaze.core.fields import field, foreign_key, key_column, many_to_many, one_to_many, one_to_one
from blaze.core.instances import Slots, Twins, initialize_late, set_class, signature_of
from blaze.core.mapper import Mapper
from blaze.core.registry import Registry, registry
from blaze.core.specs import UNSET, FieldSpec, KeyColumnSpec, RelationSpec
from blaze.core.validation import full_clean
from blaze.errors import ModelError, UnknownFieldError
from blaze.security.redaction import redactor
from blaze.utils.compat import dataclass_transform
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from blaze.core.parts import Part
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
        def where(cls: type[B], *conditions: Expression[Optional[bool]]) -> Part[B]: ...  # type: ignore[misc]
        def order_by(cls: type[B], *keys: Expression[Any]) -> Part[B]: ...  # type: ignore[misc]
        def limit(cls: type[B], count: int) -> Part[B]: ...  # type: ignore[misc]

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        if not any(isinstance(base, ModelMeta) for base in bases):
            namespace.setdefault("__slots__", SYSTEM_SLOTS)
            return type.__new__(mcls, name, bases, namespace)
        # A class made by a call, as by `types.new_class`, need not come with its place.
        namespace.setdefault("__module__", sys._getframe(1).f_globals.get("__name__", "builtins"))
        namespace.setdefault("__qualname__", name)
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
        parent = inheritance.parent_of(bases, where)
        inherited = inheritance.inherited_options(bases, parent)
        options = Options(namespace.get("Meta"), name, where, inherited)
        if options.abstract:
            namespace.setdefault("__slots__", ())
            namespace["__declarations__"] = declarations
            namespace["__options__"] = options.given
            return type.__new__(mcls, name, bases, namespace)
        return _make_concrete(mcls, name, bases, namespace, declarations, options, where, parent)

    if not TYPE_CHECKING:  # a checker would let any name pass

        @property
        def __signature__(cls):
            """What the constructor takes, for `inspect.signature` and the help of shells."""
            mapper = cls.__dict__.get("__mapper__")
            if mapper is None or cls.__init__ is not mapper.initialize:
                raise AttributeError("__signature__")
            return signature_of(mapper)

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
                mapper = ancestor.__dict__.get("__mapper__")
                found.update(
                    ancestor.__dict__.get("__declarations__", {}) if mapper is None else mapper.declarations
                )
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
    parent: Optional[Mapper],
) -> Any:
    if parent is not None:
        inheritance.check_subclass(parent, declarations, options, where)
    taken_over = {} if parent is None else parent.declarations
    for attribute in declarations:
        for base in bases if attribute not in taken_over else ():
            if isinstance(base, ModelMeta) and any(attribute in vars(part) for part in base.__mro__):
                raise ModelError(
                    f"{where}.{attribute}: shadows {base.__name__}.{attribute}; rename the field"
                )
    if not any(getattr(d.spec, "primary_key", False) for d in declarations.values()):
        if "id" in declarations:
            raise ModelError(f"{where}.id: is not the primary key; declare it with field(primary_key=True)")
        implicit = Declaration("id", int, FieldSpec(primary_key=True))
        declarations = {"id": implicit, **declarations}
    discriminator = None if parent is not None else options.discriminator
    if discriminator is not None and not inheritance.declares_discriminator(declarations, options, where):
        declarations = {**declarations, discriminator: Declaration(discriminator, str, FieldSpec())}
    value = None
    if parent is not None or discriminator is not None:
        value = inheritance.default_value(options, name, where)
    fresh = {n: d for n, d in declarations.items() if n not in taken_over}
    own = _plan_slots(
        namespace["__qualname__"], namespace["__module__"], fresh, declarations, where, discriminator
    )
    slots = own if parent is None else parent.slots.with_own(own)
    own_slots = namespace.get("__slots__", ())
    namespace["__slots__"] = (*own.names(), *((own_slots,) if isinstance(own_slots, str) else own_slots))
    for key, slot in own.keys.items():
        namespace[key] = key_property(key, slot, [name for name, keys in own.keys_of.items() if key in keys])
    for attribute, slot in own.stored.items():
        if attribute == discriminator:
            namespace[attribute] = inheritance.discriminator_property(slot, attribute)
        else:
            generated = getattr(declarations[attribute].spec, "generated", None) is not None
            namespace[attribute] = stored_property(attribute, slot, generated)
    for attribute, slot in own.relations.items():
        namespace[attribute] = to_one_property(attribute, slot)
    for attribute, declaration in fresh.items():
        kind = getattr(declaration.spec, "kind", None)
        if kind == "reverse_one_to_one":
            namespace[attribute] = reverse_one_property(attribute)
        elif kind in ("one_to_many", "many_to_many"):
            namespace[attribute] = to_many_property(attribute)
    public = dict.fromkeys([*(attribute for attribute, _ in slots.columns), *slots.relations])
    public.update(dict.fromkeys(n for n, d in declarations.items() if isinstance(d.spec, RelationSpec)))
    if parent is not None:
        public.update(dict.fromkeys(parent.relations))  # reverse sides that it was given already
    meta: Any = type(f"{name}Meta", (mcls,), {attribute: ClassAttribute(attribute) for attribute in public})
    cls: Any = type.__new__(meta, name, bases, namespace)
    mapper = Mapper(cls, declarations, options, parent)
    mapper.slots = slots
    mapper.discriminator_value = value
    type.__setattr__(cls, "__mapper__", mapper)
    mapper.get_old = cls._old_slot_.__get__
    mapper.set_old = cls._old_slot_.__set__
    mapper.set_context = cls._context_slot_.__set__
    mapper.set_class = set_class
    initialize_late(mapper)
    # In a hierarchy `super().__init__()` of a subclass must find the initializer of the object's own class.
    if (
        value is None
        and "__init__" not in namespace
        and all(
            isinstance(ancestor, ModelMeta) or "__init__" not in vars(ancestor)
            for ancestor in cls.__mro__[1:-1]
        )
    ):
        type.__setattr__(cls, "__init__", mapper.initialize)
    twins = Twins(mapper)
    mapper.clean, mapper.partial, mapper.loose = twins.clean, twins.partial, twins.loose
    mapper.snapshot = twins.snapshot
    mapper.own_rules = cls.validate is not ModelBase.validate or cls.clean is not ModelBase.clean
    inheritance.enter(mapper, parent)
    registry.add(mapper)
    return cls


def _plan_slots(
    qualname: str,
    module: str,
    fresh: dict[str, Declaration],
    declarations: dict[str, Declaration],
    where: str,
    discriminator: Optional[str],
) -> Slots:
    """Return the slots of the `fresh` declarations; `declarations` has those of a base model, too."""
    slots = Slots()
    declared_keys = {n for n, d in fresh.items() if isinstance(d.spec, KeyColumnSpec)}
    for name, declaration in fresh.items():
        spec = declaration.spec
        if isinstance(spec, FieldSpec):
            mutable = Registry.is_mutable(declaration, where)
            if mutable:
                slots.mutables.append(name)
            indirect = spec.server_default is not None or spec.generated is not None or name == discriminator
            if mutable or indirect:
                slots.stored[name] = f"_v_{name}"
                slots.columns.append((name, slots.stored[name]))
            else:
                slots.columns.append((name, name))
                slots.values.append(name)
        elif isinstance(spec, RelationSpec) and spec.kind in ("foreign_key", "one_to_one"):
            slots.relations[name] = f"_r_{name}"
            keys = registry.key_names(name, declaration, declarations, declared_keys, module, qualname)
            own_keys = slots.keys_of[name] = slots.share(keys, spec.column)
            for key in keys:
                if key not in own_keys:
                    continue
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
    _tracked_ = False  # whether objects of the class are loaded and unchanged

    # Hidden from checkers: the constructor is that of the declared fields.
    if not TYPE_CHECKING:

        def __init__(self, /, **values):
            mapper = getattr(type(self), "__mapper__", None)
            if mapper is None:
                raise ModelError(
                    f"{type(self).__name__} is abstract: only models that inherit from it have objects"
                )
            mapper.initialize(self, **values)

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
                shown.append(f"{attribute.name}={redactor.shown(attribute.guarded_name, value)}")
        return f"{mapper.name}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        mapper = type(self).__mapper__
        registry.configure(mapper)
        instance: Any = self
        stored = instance._ctx_ is COPIED or not mapper.is_new(self)
        # Relations are the state, which is copied when the object is known already: so cycles come to an end.
        relations = {}
        for name, relation in mapper.relations.items():
            shown = relation.peek(self)
            if relation.many and shown is not UNSET:
                shown = shown.portable() if shown.is_loaded or shown.has_pending else UNSET
            if shown is not UNSET:
                relations[name] = shown
        return _restore, (mapper.model, self.to_dict(), stored), relations or None

    def __setstate__(self, relations: dict[str, Any]) -> None:
        mapper = type(self).__mapper__
        for name, shown in relations.items():
            relation = mapper.relations[name]
            if relation.many:
                relation.collection(self).restore_portable(shown)
            else:
                relation.put(self, shown)

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
            raise ModelError(
                f"{mapper.name} has no many-to-many relation {name!r}{suggest(str(name), names)}"
            )
        return relation.collection(self)


type.__setattr__(ModelBase, "_context_slot_", ModelBase.__dict__["_ctx_"])
type.__setattr__(ModelBase, "_old_slot_", ModelBase.__dict__["_old_"])
type.__setattr__(ModelBase, "_extra_slot_", ModelBase.__dict__["_extra_"])


def _restore(model: Any, values: dict[str, Any], stored: bool) -> Any:
    """Rebuild an unpickled or copied instance: it belongs to no session; `stored` says that it has a row."""
    instance = object.__new__(model)
    instance._ctx_ = COPIED if stored else None
    instance._old_ = instance._extra_ = None
    mapper = model.__mapper__
    registry.configure(mapper)
    if len(values) < len(mapper.attributes):
        set_class(instance, mapper.loose)
    for name, value in values.items():
        mapper.attributes[name].set(instance, value)
    return instance
