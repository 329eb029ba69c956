"""Generate what every instance of a model needs: the constructor, the snapshot and the tracking twins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blaze.core.codegen import make_function
from blaze.core.specs import UNSET, PartialSnapshot
from blaze.errors import UnknownFieldError
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper

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
        self.key_relation: dict[str, str] = {}
        self.relations: dict[str, str] = {}

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


def relate(instance: Any, related: dict[str, Any]) -> None:
    """Set the reverse sides of relations that a constructor was given."""
    for name, value in related.items():
        setattr(instance, name, value)


def generate_initialize(mapper: Mapper, slots: Slots) -> Any:
    """Generate `initialize(self, *, ...)`: plain stores in the order of the columns, defaults filled in."""
    names: dict[str, Any] = {"UNSET": UNSET, "refuse": refuse_unknown, "relate": relate, "mapper": mapper}
    parameters: list[str] = []
    body = [
        "    if unknown:",
        "        refuse(mapper, unknown)",
        "    self._ctx_ = None",
        "    self._old_ = None",
    ]
    body.append("    self._extra_ = None")
    late: list[str] = []
    for name, slot in slots.columns:
        if name in slots.keys:
            parameters.append(f"{name}=UNSET")
            body.append(f"    self.{slot} = None if {name} is UNSET else {name}")
            continue
        spec = mapper.declarations[name].spec
        if spec.default_factory is not None:
            names[f"make_{name}"] = spec.default_factory
            parameters.append(f"{name}=UNSET")
            body.append(f"    self.{slot} = make_{name}() if {name} is UNSET else {name}")
        elif spec.default is not UNSET:
            names[f"default_{name}"] = spec.default
            parameters.append(f"{name}=default_{name}")
            body.append(f"    self.{slot} = {name}")
        elif spec.server_default is not None or spec.generated is not None:
            parameters.append(f"{name}=UNSET")
            body.append(f"    if {name} is not UNSET:")
            body.append(f"        self.{slot} = {name}")
        else:
            parameters.append(f"{name}=None")
            body.append(f"    self.{slot} = {name}")
    keys_of: dict[str, list[str]] = {}
    for key, relation in slots.key_relation.items():
        keys_of.setdefault(relation, []).append(key)
    for name, declaration in mapper.declarations.items():
        kind = getattr(declaration.spec, "kind", None)
        if kind is None:
            continue
        parameters.append(f"{name}=UNSET")
        if name in slots.relations:
            unset = " and ".join(f"{key} is UNSET" for key in keys_of[name])
            late.append(f"    if {name} is not UNSET:")
            late.append(f"        self.{name} = {name}")
            late.append(f"    elif {unset}:")
            late.append(f"        self.{slots.relations[name]} = None")
        else:
            late.append(f"    if {name} is not UNSET:")
            late.append(f"        self.{name}.add(*{name})")
    late += ["    if unknown:", "        relate(self, unknown)"]
    signature = ", ".join(["self", "*", *parameters]) if parameters else "self"
    source = "\n".join([f"def initialize({signature}, **unknown):", *body, *late, ""])
    return make_function("initialize", source, names)


def generate_snapshot(mapper: Mapper, slots: Slots) -> tuple[Any, Any]:
    """Generate `snapshot(self)` for complete instances, and for partial ones, where a slot may be empty.

    A snapshot is the tuple of all column values; mutable ones are left out (None), since they are compared
    with their undecoded value.
    """
    plain: list[str] = []
    careful: list[str] = []
    names: dict[str, Any] = {"PartialSnapshot": PartialSnapshot}
    for name, slot in slots.columns:
        if name in slots.mutables:
            plain.append("None")
            careful.append("None")
            continue
        names[f"peek_{name}"] = _peek(mapper.model.__dict__[slot])
        plain.append(f"self.{slot}")
        careful.append(f"peek_{name}(self)")
    complete = make_function("snapshot", f"def snapshot(self):\n    return ({', '.join(plain)},)\n", {})
    partial = make_function(
        "snapshot", f"def snapshot(self):\n    return PartialSnapshot(({', '.join(careful)},))\n", names
    )
    return complete, partial


def _peek(member: Any) -> Any:
    get = member.__get__

    def peek(instance: Any) -> Any:
        try:
            return get(instance)
        except AttributeError:
            return UNSET

    return peek


class Twins:
    """The subclasses that stand in for a model, told apart only by `type()`.

    `clean` is the class of loaded, unchanged instances and `partial` of those with columns left out or values
    added (`annotate`): their first attribute write starts the tracking. After it an instance is of the
    model's own class, or of `loose` where values may be missing. Only `partial` and `loose` have a
    `__getattr__`, since that slows every attribute read (5 ns to 24 ns on Python 3.11).
    """

    def __init__(self, model: Any, complete: Any, careful: Any, set_old: Any) -> None:
        self.loose = _subclass(model, model, {"__getattr__": _missing_attribute})
        self.clean = _subclass(model, model, _tracking(model, complete, set_old))
        self.partial = _subclass(self.loose, model, _tracking(self.loose, careful, set_old))


def _tracking(free: Any, snapshot: Any, set_old: Any) -> dict[str, Any]:
    def __setattr__(self: Any, name: str, value: Any) -> None:
        set_old(self, snapshot(self))
        set_class(self, free)
        self._ctx_.session.object_changed(self)
        setattr(self, name, value)

    def __delattr__(self: Any, name: str) -> None:
        raise AttributeError(f"cannot delete {name!r} of a {free.__name__}; set it to None")

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
    return type.__new__(
        type(model),
        model.__name__,
        (base,),
        {
            "__slots__": (),
            "__class__": property(lambda self: model),
            "__module__": model.__module__,
            "__qualname__": model.__qualname__,
            "__doc__": model.__doc__,
            **names,
        },
    )
