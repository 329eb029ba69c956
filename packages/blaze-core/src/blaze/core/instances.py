"""Generate what every instance of a model needs: the constructor, the snapshot and the tracking twins."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from blaze.core.accessors import refuse_delete, refuse_generated
from blaze.core.codegen import make_function
from blaze.core.inheritance import given_discriminator
from blaze.core.slots import slot_member
from blaze.core.specs import UNSET, PartialSnapshot
from blaze.errors import UnknownFieldError
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList

set_class: Any = object.__dict__["__class__"].__set__


class Slots:
    """The storage slots of a model, decided when its class is made.

    `values` are plain columns, `keys` the key columns of relations (name to hidden slot), `mutables` the
    columns whose undecoded value waits in a slot of its own, `relations` the hidden slots of relations that
    own their key. `stored` are columns behind a property: a value may have to be decoded or fetched first.
    """

    def __init__(self) -> None:
        self.columns: list[tuple[str, str]] = []  # (attribute, slot) of every column in order
        self.values: list[str] = []
        self.mutables: list[str] = []
        self.stored: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.key_relation: dict[str, str] = {}  # the relation that each key column was made for
        self.keys_of: dict[str, list[str]] = {}  # the key columns of each relation, shared ones among them
        self.relations: dict[str, str] = {}
        # By column: the first key that stands in it, and of how many its relation has.
        self.held: dict[str, tuple[str, int]] = {}

    def share(self, keys: list[str], column: Any) -> list[str]:
        """Return the key columns of the next relation, given its own and what `column=` says: where a
        composite key names the column of a relation before it, both have that one.
        """
        columns = [column] if isinstance(column, str) else keys if column is None else column
        if not isinstance(columns, (list, tuple)) or len(columns) != len(keys):
            return list(keys)  # the error comes when the target is known
        found = []
        for key, name in zip(keys, columns):
            held, width = self.held.setdefault(name.lower(), (key, len(keys)))
            found.append(held if max(width, len(keys)) > 1 else key)
        return found

    def with_own(self, own: Slots) -> Slots:
        """Return these slots of a base model and those that a subclass adds."""
        found = Slots()
        for part in (self, own):
            found.columns += part.columns
            found.values += part.values
            found.mutables += part.mutables
            found.stored.update(part.stored)
            found.keys.update(part.keys)
            found.key_relation.update(part.key_relation)
            found.keys_of.update(part.keys_of)
            found.relations.update(part.relations)
        return found

    def names(self) -> tuple[str, ...]:
        """Return every slot name."""
        raw = [f"_raw_{name}" for name in self.mutables]
        return (*self.values, *self.stored.values(), *self.keys.values(), *raw, *self.relations.values())


def refuse_unknown(mapper: Mapper, unknown: dict[str, Any]) -> None:
    """Raise for keyword arguments of a constructor that name no attribute and no relation."""
    mapper.registry.configure(mapper)
    name = next((name for name in unknown if name not in mapper.relations), None)
    if name is None:
        return
    names = [*mapper.attributes, *mapper.relations] or list(mapper.declarations)
    raise UnknownFieldError(f"{mapper.name}() got an unknown field {name!r}{suggest(name, names)}")


def refuse_positional(mapper: Mapper, values: tuple[Any, ...]) -> None:
    """Raise for arguments of a constructor without a name."""
    names = [name for name, declaration in mapper.declarations.items() if declaration.spec.init is not False]
    example = next(
        (name for name in names if not getattr(mapper.declarations[name].spec, "primary_key", False)),
        names[0],
    )
    raise TypeError(
        f"{mapper.name}() takes its {len(values)} positional values by name, as in "
        f"{mapper.name}({example}=...); its fields: {', '.join(names)}"
    )


def fill(listed: RelatedList[Any], objects: Any) -> None:
    """Add what a constructor was given to the empty list of a new object."""
    listed.require_iterable(objects)
    listed.add(*objects)
    listed.given = True


def relate(instance: Any, related: dict[str, Any]) -> None:
    """Set the reverse sides of relations that a constructor was given."""
    for name, value in related.items():
        setattr(instance, name, value)


def unrelate(mapper: Mapper, instance: Any) -> None:
    """Take an object whose constructor failed out of the lists of what it was related to."""
    for relation in mapper.relations.values():
        found = relation.peek(instance)
        if relation.inverse is not None and found is not UNSET:
            for other in list(found.peek()) if relation.many else (found,):
                relation.inverse.forget_member(other, instance)
            if relation.owns_key:
                relation.set(instance, None)


def inner_prefix(given: Iterable[str]) -> str:
    """Return what the names inside of generated source begin with, so that none is one of those given."""
    prefix = "_in_"
    taken = tuple(given)
    while any(name.startswith(prefix) for name in taken):
        prefix = f"_{prefix}"
    return prefix


def generate_initialize(mapper: Mapper, slots: Slots) -> Any:
    """Generate `initialize(self, *, ...)`: plain stores in the order of the columns, defaults filled in.

    Its parameters are the fields' names, whatever these are; all other names start with `inner_prefix`.
    """
    p = inner_prefix([*(name for name, _ in slots.columns), *mapper.declarations])
    me, unset, model = f"{p}self", f"{p}UNSET", f"{p}mapper"
    names: dict[str, Any] = {
        unset: UNSET,
        f"{p}refuse": refuse_unknown,
        f"{p}refuse_positional": refuse_positional,
        f"{p}fill": fill,
        f"{p}relate": relate,
        f"{p}unrelate": unrelate,
        model: mapper,
    }
    parameters: list[str] = []
    body = [
        f"    if {p}positional:",
        f"        {p}refuse_positional({model}, {p}positional)",
        f"    if {p}unknown:",
        f"        {p}refuse({model}, {p}unknown)",
        f"    {me}._ctx_ = None",
        f"    {me}._old_ = None",
        f"    {me}._extra_ = None",
    ]
    late: list[str] = []
    keys_given = [key for keys in slots.keys_of.values() for key in keys]
    for name, slot in slots.columns:
        if name in slots.keys:
            parameters.append(f"{name}={unset}")
            body.append(f"    {me}.{slot} = None if {name} is {unset} else {name}")
            continue
        spec = mapper.declarations[name].spec
        if name == mapper.base.options.discriminator:
            names[f"{p}given_discriminator"] = given_discriminator
            parameters.append(f"{name}={unset}")
            body.append(f"    {me}.{slot} = {p}given_discriminator({model}, {name})")
        elif spec.default_factory is not None:
            names[f"{p}make_{name}"] = spec.default_factory
            parameters.append(f"{name}={unset}")
            body.append(f"    {me}.{slot} = {p}make_{name}() if {name} is {unset} else {name}")
        elif spec.default is not UNSET:
            names[f"{p}default_{name}"] = spec.default
            parameters.append(f"{name}={p}default_{name}")
            body.append(f"    {me}.{slot} = {name}")
        elif spec.generated is not None:
            names[f"{p}refuse_generated"] = refuse_generated
            parameters.append(f"{name}={unset}")
            body.append(f"    if {name} is not {unset}:")
            body.append(f"        raise {p}refuse_generated({model}, {name!r})")
        elif spec.server_default is not None:
            parameters.append(f"{name}={unset}")
            body.append(f"    if {name} is not {unset}:")
            body.append(f"        {me}.{slot} = {name}")
        else:
            parameters.append(f"{name}=None")
            body.append(f"    {me}.{slot} = {name}")
    for name, declaration in mapper.declarations.items():
        kind = getattr(declaration.spec, "kind", None)
        if kind is None:
            continue
        parameters.append(f"{name}={unset}")
        late.append(f"    if {name} is not {unset}:")
        if name in slots.relations:
            without = " and ".join(f"{key} is {unset}" for key in slots.keys_of[name])
            late.append(f"        {me}.{name} = {name}")
            if any(keys_given.count(key) == 1 for key in slots.keys_of[name]):  # else others may give its key
                late.append(f"    elif {without}:")
                late.append(f"        {me}.{slots.relations[name]} = None")
        elif kind == "reverse_one_to_one":
            late.append(f"        {me}.{name} = {name}")
        else:
            late.append(f"        {p}fill({me}.{name}, {name})")
    late += [f"    if {p}unknown:", f"        {p}relate({me}, {p}unknown)"]
    if len(late) > 2:
        late = [f"    {line}" for line in late]
        late = [
            "    try:",
            *late,
            "    except BaseException:",
            f"        {p}unrelate({model}, {me})",
            "        raise",
        ]
    signature = ", ".join([me, "/", f"*{p}positional", *parameters])
    source = "\n".join([f"def initialize({signature}, **{p}unknown):", *body, *late, ""])
    return make_function("initialize", source, names)


def initialize_late(mapper: Mapper) -> None:
    """Let the first object made, or the first look at the signature, generate the model's initializer."""

    def initialize(self: Any, /, *positional: Any, **values: Any) -> None:
        replace_initializer(mapper)
        mapper.initialize(self, *positional, **values)

    mapper.initialize = initialize


def replace_initializer(mapper: Mapper) -> None:
    """Put the generated initializer in the place of the first one, which makes it."""
    first, mapper.initialize = mapper.initialize, generate_initialize(mapper, mapper.slots)
    if vars(mapper.model).get("__init__") is first:
        type.__setattr__(mapper.model, "__init__", mapper.initialize)


def signature_of(mapper: Mapper) -> Any:
    """Return the signature of a model's constructor."""
    from inspect import Parameter, signature

    replace_initializer(mapper)
    found = signature(mapper.initialize)
    keywords = [p for p in found.parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    return found.replace(parameters=keywords)


def generate_snapshot(mapper: Mapper, careful: bool) -> Any:
    """Generate `snapshot(self)` for complete instances, or for partial ones, where a slot may be empty.

    A snapshot is the tuple of all column values; mutable ones are left out (None where they were loaded),
    since they are compared with their undecoded value.
    """
    values: list[str] = []
    names: dict[str, Any] = {"PartialSnapshot": PartialSnapshot}
    for name, slot in mapper.slots.columns:
        if name in mapper.slots.mutables and not careful:
            values.append("None")
        elif name in mapper.slots.mutables:
            members = slot_member(mapper.model, slot), slot_member(mapper.model, f"_raw_{name}")
            names[f"peek_{name}"] = _peek_loaded(*map(_peek, members))
            values.append(f"peek_{name}(self)")
        elif careful:
            names[f"peek_{name}"] = _peek(slot_member(mapper.model, slot))
            values.append(f"peek_{name}(self)")
        else:
            values.append(f"self.{slot}")
    found = f"({', '.join(values)},)"
    if careful:
        found = f"PartialSnapshot({found})"
    return make_function("snapshot", f"def snapshot(self):\n    return {found}\n", names)


def _peek(member: Any) -> Any:
    get = member.__get__

    def peek(instance: Any) -> Any:
        try:
            return get(instance)
        except AttributeError:
            return UNSET

    return peek


def _peek_loaded(peek: Any, peek_raw: Any) -> Any:
    def peek_loaded(instance: Any) -> Any:
        return UNSET if peek(instance) is UNSET and peek_raw(instance) is UNSET else None

    return peek_loaded


class Twins:
    """The subclasses that stand in for a model, told apart only by `type()`.

    `clean` is the class of loaded, unchanged instances and `partial` of those with columns left out or values
    added (`annotate`): their first attribute write starts the tracking. After it an instance is of the
    model's own class, or of `loose` where values may be missing. Only `partial` and `loose` have a
    `__getattr__`, since that slows every attribute read (5 ns to 24 ns on Python 3.11).

    What takes the snapshots is generated at the first change: compiling for models that are only read would
    be a sixth of the time that declaring them takes.
    """

    def __init__(self, mapper: Mapper) -> None:
        model = mapper.model
        self.mapper = mapper
        self.loose = _subclass(model, model, {"__getattr__": _missing_attribute})
        self.clean = _subclass(model, model, _tracking(self, model, False))
        self.partial = _subclass(self.loose, model, _tracking(self, self.loose, True))

    @cached_property
    def of_complete(self) -> Any:
        """Takes the snapshot of an instance of `clean`."""
        return generate_snapshot(self.mapper, False)

    @cached_property
    def of_partial(self) -> Any:
        """Takes the snapshot of an instance of `partial`."""
        return generate_snapshot(self.mapper, True)

    def snapshot(self, instance: Any) -> Any:
        """Return the values of an unchanged instance."""
        return (self.of_complete if type(instance) is self.clean else self.of_partial)(instance)


def _tracking(twins: Twins, free: Any, careful: bool) -> dict[str, Any]:
    set_old = twins.mapper.set_old
    snapshot: Any = None

    def __setattr__(self: Any, name: str, value: Any) -> None:
        nonlocal snapshot
        if snapshot is None:
            snapshot = twins.of_partial if careful else twins.of_complete
        set_old(self, snapshot(self))
        self._ctx_.session.object_changed(self)  # first: what is interrupted later is looked at all the same
        set_class(self, free)
        setattr(self, name, value)

    # The model itself has none: with a `__delattr__` in Python every store into a slot takes 100 ns, not 5.
    def __delattr__(self: Any, name: str) -> None:
        mapper = type(self).__mapper__
        if name in mapper.attributes or name in mapper.relations:
            raise refuse_delete(mapper, name)
        object.__delattr__(self, name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def _missing_attribute(self: Any, name: str) -> Any:
    mapper = type(self).__mapper__
    answer = mapper.missing.get(name)
    if answer is not None:
        return answer(self)
    extra = self._extra_
    if extra is not None and name in extra:
        return extra[name]
    known = [*mapper.attributes, *mapper.relations, *(extra or ())]
    raise UnknownFieldError(f"{mapper.name} has no attribute {name!r}{suggest(name, known)}")


def _subclass(base: Any, model: Any, names: dict[str, Any]) -> Any:
    # `type(loaded)(...)` makes a new object. A `__new__` would double the time of making each loaded one.
    def __init__(self: Any, *arguments: Any, **values: Any) -> None:
        set_class(self, model)
        model.__init__(self, *arguments, **values)

    return type.__new__(
        type(model),
        model.__name__,
        (base,),
        {
            "__slots__": (),
            "__init__": __init__,
            "__class__": property(lambda self: model),
            "__module__": model.__module__,
            "__qualname__": model.__qualname__,
            "__doc__": model.__doc__,
            "_tracked_": "__setattr__" in names,
            **names,
        },
    )
