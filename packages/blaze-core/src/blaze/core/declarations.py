"""Read a model's class body into declarations and options."""

from __future__ import annotations

import sys
from keyword import iskeyword
from types import BuiltinFunctionType
from typing import Any, Optional, get_args, get_origin

from blaze.core.annotations import evaluate, evaluate_argument, is_class_variable, split_optional
from blaze.core.constraints import Check, Index, Unique
from blaze.core.fields import Field
from blaze.core.relation_types import ForeignKey, ManyToMany, OneToMany, OneToOne
from blaze.core.specs import FieldSpec, KeyColumnSpec, RelationSpec
from blaze.errors import ModelError
from blaze.utils.naming import snake_case, suggest

_RELATION_KINDS: dict[Any, str] = {
    ForeignKey: "foreign_key",
    OneToOne: "one_to_one",
    OneToMany: "one_to_many",
    ManyToMany: "many_to_many",
}
_SPECIFIERS = {
    "foreign_key": "foreign_key()",
    "one_to_one": "one_to_one()",
    "one_to_many": "one_to_many()",
    "many_to_many": "many_to_many()",
    "reverse_one_to_one": "one_to_one(reverse=True)",
}
_OPTIONS = (
    "table", "schema", "abstract", "indexes", "constraints", "lazy", "view", "comment",
    "discriminator", "discriminator_value", "joined",
)  # fmt: skip


class Declaration:
    """One annotated attribute of a class body: its name, its annotation's argument and its options."""

    __slots__ = ("annotation", "name", "spec")

    def __init__(self, name: str, annotation: Any, spec: Any) -> None:
        self.name = name
        self.annotation = annotation
        self.spec = spec

    @property
    def target(self) -> tuple[Any, bool]:
        """For a relation: the target (a class, a name or a forward reference), and whether it is optional."""
        annotation, optional = split_optional(self.annotation)
        return (self.spec.to if self.spec.to is not None else annotation), optional


class Options:
    """What `class Meta` says (`given`), and for the rest what its bases say (`inherited`)."""

    def __init__(self, meta: Optional[type], model_name: str, where: str, inherited: dict[str, Any]) -> None:
        own = {} if meta is None else {k: v for k, v in vars(meta).items() if not k.startswith("__")}
        for name in own:
            if name not in _OPTIONS:
                raise ModelError(f"{where}.Meta: unknown option {name!r}{suggest(name, _OPTIONS)}")
        self.given = given = {**inherited, **own}
        self.abstract: bool = given.get("abstract", False)
        self.table: str = given.get("table", snake_case(model_name))
        self.schema: Optional[str] = given.get("schema")
        self.indexes: list[Index] = list(given.get("indexes", ()))
        self.constraints: list[Any] = list(given.get("constraints", ()))
        self.lazy: Optional[str] = given.get("lazy")
        self.view: bool = given.get("view", False)
        self.comment: Optional[str] = given.get("comment")
        self.discriminator: Optional[str] = given.get("discriminator")
        self.joined: bool = given.get("joined", "table" in given)
        if not isinstance(self.table, str) or not self.table:
            raise ModelError(f"{where}.Meta.table must be a non-empty string, not {self.table!r}")
        for name in ("schema", "comment"):
            if not (given.get(name) is None or (isinstance(given[name], str) and given[name])):
                raise ModelError(f"{where}.Meta.{name} must be a non-empty string, not {given[name]!r}")
        for name in ("abstract", "view"):
            if not isinstance(given.get(name, False), bool):
                raise ModelError(f"{where}.Meta.{name} is True or False, not {given[name]!r}")
        if self.lazy not in (None, "batch", "raise"):
            raise ModelError(f"{where}.Meta.lazy must be 'batch' or 'raise', not {self.lazy!r}")
        for index in self.indexes:
            if not isinstance(index, Index):
                raise ModelError(f"{where}.Meta.indexes holds {index!r}; write Index('a', 'b')")
        for constraint in self.constraints:
            if not isinstance(constraint, (Check, Unique)):
                raise ModelError(
                    f"{where}.Meta.constraints holds {constraint!r}; write Check('...') or Unique('a')"
                )


def read_declarations(
    annotations: dict[str, Any],
    values: dict[str, Any],
    local: dict[str, Any],
    module: dict[str, Any],
    where: str,
) -> dict[str, Declaration]:
    """Return the declarations of one class body in order.

    Raises `ModelError` naming model and attribute for a value without annotation, a specifier that does not
    fit its annotation, or a plain annotation.
    """
    found: dict[str, Declaration] = {}
    for name, raw in annotations.items():
        if name.startswith("__"):
            continue
        place = f"{where}.{name}"
        annotation = evaluate(raw, local, module, place)
        if is_class_variable(annotation):
            continue
        origin = get_origin(annotation) or annotation
        value = values.get(name)
        if origin is Field:
            argument = evaluate_argument(_argument(annotation, place), local, module, place)
            found[name] = _field(name, argument, value, name in values, place)
        elif origin in _RELATION_KINDS:
            found[name] = _relation(name, annotation, _RELATION_KINDS[origin], value, place)
        else:
            raise ModelError(
                f"{place}: annotate a column with Field[...] and anything else with ClassVar[...]"
            )
        _check_name(name, place)
    for name, value in values.items():
        if isinstance(value, (FieldSpec, KeyColumnSpec, RelationSpec)) and name not in found:
            raise ModelError(f"{where}.{name}: has no annotation; write {name}: Field[...] = field(...)")
    return found


def _argument(annotation: Any, place: str) -> Any:
    arguments = get_args(annotation)
    if len(arguments) != 1:
        raise ModelError(f"{place}: the annotation needs one type in brackets, as in Field[int]")
    return arguments[0]


def _field(name: str, argument: Any, value: Any, given: bool, place: str) -> Declaration:
    if not given:
        value = FieldSpec()
    elif isinstance(value, RelationSpec):
        raise ModelError(f"{place}: {value.kind}() needs a relation annotation such as ForeignKey[...]")
    elif isinstance(value, BuiltinFunctionType) or hasattr(type(value), "__get__"):
        raise ModelError(f"{place}: the field and a method have the same name; rename one")
    elif not isinstance(value, (FieldSpec, KeyColumnSpec)):
        value = FieldSpec(default=value)
    return Declaration(name, argument, value)


def _relation(name: str, annotation: Any, kind: str, value: Any, place: str) -> Declaration:
    if value is None:
        value = RelationSpec(kind)
    reverse = isinstance(value, RelationSpec) and value.kind == "reverse_one_to_one"
    if not isinstance(value, RelationSpec) or value.kind != (f"reverse_{kind}" if reverse else kind):
        raise ModelError(f"{place}: this annotation goes with {_SPECIFIERS[kind]}")
    declared = Declaration(name, _argument(annotation, place), value)
    if reverse and not declared.target[1]:
        raise ModelError(f"{place}: the other side may be missing; annotate it OneToOne[Optional[...]]")
    return declared


def _check_name(name: str, place: str) -> None:
    if not name.isidentifier() or iskeyword(name):
        raise ModelError(f"{place}: a field's name must be a Python name that is no keyword, not {name!r}")
    if name.startswith("_") or "__" in name or (name.endswith("_") and name.rstrip("_") == ""):
        raise ModelError(f"{place}: names must not start with '_' nor contain '__', which separates lookups")


def fields_of_mixin(base: type) -> dict[str, Declaration]:
    """Return the declarations of a plain class used as a mixin."""
    annotations = base.__dict__.get("__annotations__", {})  # noqa: RUF063 - its own only, unevaluated
    wanted = {
        name: value
        for name, value in annotations.items()
        if isinstance(base.__dict__.get(name), (FieldSpec, KeyColumnSpec, RelationSpec))
    }
    module = sys.modules.get(base.__module__)
    return read_declarations(
        wanted,
        dict(base.__dict__),
        {},
        vars(module) if module else {},
        f"{base.__module__}.{base.__qualname__}",
    )
