"""Refuse options of fields and relations that have no meaning, when the class is made."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from blaze.core.specs import UNSET, FieldSpec, RelationSpec
from blaze.dialects.types import Array, DateTime, Integer, Numeric, String
from blaze.errors import ModelError
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute

ON_DELETE = ("CASCADE", "RESTRICT", "SET NULL", "SET DEFAULT", "NO ACTION")

_FLAGS = ("primary_key", "unique", "index", "version", "deferred", "timezone")
_TEXTS = ("server_default", "generated", "check", "comment", "column")


def check_field(attribute: Attribute, where: str) -> None:
    """Raise `ModelError` naming model, field and cure for options that have no meaning or contradict."""
    _FieldOptions(attribute, f"{where}.{attribute.name}").check()


class _FieldOptions:
    """The options of one field."""

    def __init__(self, attribute: Attribute, place: str) -> None:
        self.attribute = attribute
        self.spec: FieldSpec = attribute.spec
        self.type = attribute.type
        self.place = place

    def refuse(self, message: str) -> NoReturn:
        raise ModelError(f"{self.place}: {message}")

    def check(self) -> None:
        spec = self.spec
        for option in _FLAGS:
            if not isinstance(getattr(spec, option), bool):
                self.refuse(f"{option}= is True or False, not {getattr(spec, option)!r}")
        for option in _TEXTS:
            value = getattr(spec, option)
            if value is not None and not isinstance(value, str):
                self.refuse(f"{option}= is a text, not {value!r}; a value for new objects is default=")
            if value is not None and not value.strip():
                self.refuse(f"{option}= is empty; leave it out")
        self.check_sizes()
        self.check_choices()
        self.check_functions()
        self.check_default()
        self.check_database()

    def check_sizes(self) -> None:
        spec, item = self.spec, self.type.item if isinstance(self.type, Array) else self.type
        text, number = isinstance(item, String), isinstance(item, Numeric)
        for option, fits, kind, least in (
            ("max_length", text, "a str", 1),
            ("precision", number, "a Decimal", 1),
            ("scale", number, "a Decimal", 0),
        ):
            value = getattr(spec, option)
            if value is None:
                continue
            if spec.type is not None:
                self.refuse(f"{option}= has no effect beside type={spec.type!r}; say it there")
            if not fits:
                self.refuse(f"{option}= is for {kind}, not for {self.type!r}; leave it out")
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                self.refuse(f"{option}= is a whole number of at least {least}, not {value!r}")
        if spec.scale is not None and spec.precision is None:
            self.refuse("scale= needs precision=, the number of all digits")
        if spec.scale is not None and spec.precision is not None and spec.scale > spec.precision:
            self.refuse(
                f"scale={spec.scale} is greater than precision={spec.precision}; precision= counts all digits"
            )
        if not spec.timezone and not isinstance(item, DateTime):
            self.refuse(f"timezone=False is for a datetime, not for {self.type!r}; leave it out")

    def check_choices(self) -> None:
        spec = self.spec
        if spec.choices is None:
            return
        if isinstance(spec.choices, str) or not isinstance(spec.choices, Iterable):
            self.refuse(f"choices= is a list of values, not {spec.choices!r}")
        found = list(spec.choices)
        members = isinstance(spec.choices, type) and issubclass(spec.choices, enum.Enum)
        if members and self.type.check(found[0] if found else None) is not None:
            found = [member.value for member in found]
        if not found:
            self.refuse("choices= is empty: no value would fit")
        for value in found:
            problem = "None is no choice; Optional allows it" if value is None else self.type.check(value)
            if problem is not None:
                self.refuse(f"choices= holds a value that the field cannot: {problem}")
        spec.choices = tuple(found)

    def check_functions(self) -> None:
        spec = self.spec
        if callable(spec.validators):
            self.refuse("validators= is a list of functions; put the one function into brackets")
        if isinstance(spec.validators, str) or not isinstance(spec.validators, Iterable):
            self.refuse(f"validators= is a list of functions, not {spec.validators!r}")
        spec.validators = tuple(spec.validators)
        for validator in spec.validators:
            if not callable(validator):
                self.refuse(f"validators= holds {validator!r}, which is no function")
        for option in ("default_factory", "on_update"):
            value = getattr(spec, option)
            if value is not None and not callable(value):
                cure = "a value is default=" if option == "default_factory" else "write a lambda"
                self.refuse(f"{option}= is a function without arguments, not {value!r}; {cure}")

    def check_default(self) -> None:
        spec, value = self.spec, self.spec.default
        if value is UNSET:
            return
        if spec.default_factory is not None:
            self.refuse("default= and default_factory= contradict each other; leave one out")
        if value is None:
            if not self.attribute.nullable:
                self.refuse(
                    "default=None needs Optional: Field[Optional[...]]; leave it out for a required value"
                )
            return
        if callable(value) and self.type.check(value) is not None:
            self.refuse(
                f"default={value!r} is a function; a function that makes the value is default_factory="
            )
        if isinstance(value, (list, dict, set, bytearray)):
            kind = type(value).__name__
            cure = kind if not value else f"lambda: {value!r}"
            self.refuse(
                f"default={value!r} would be one {kind} shared by all objects; use default_factory={cure}"
            )
        problem = self.type.check(value)
        if problem is not None:
            self.refuse(f"default= does not fit the field: {problem}")
        if spec.choices is not None and value not in spec.choices:
            self.refuse(f"default={value!r} is none of the choices {', '.join(map(repr, spec.choices))}")

    def check_database(self) -> None:
        spec = self.spec
        if spec.generated is not None:
            given = {
                "default": spec.default is not UNSET,
                "default_factory": spec.default_factory is not None,
                "server_default": spec.server_default is not None,
                "on_update": spec.on_update is not None,
                "primary_key": spec.primary_key,
                "version": spec.version,
            }
            for option in (name for name, is_given in given.items() if is_given):
                self.refuse(f"a generated column has no {option}=: the database computes it; leave one out")
        for option in ("unique", "primary_key"):
            if getattr(spec, option) and self.attribute.mutable:
                self.refuse(
                    f"{option}=True cannot compare {self.type!r}: equal documents may be written "
                    "differently; keep what must be unique in a column of its own"
                )
        if spec.version and (not isinstance(self.type, Integer) or self.attribute.nullable):
            self.refuse("version=True is for a Field[int]")
        for option in ("primary_key", "version"):
            if spec.deferred and getattr(spec, option):
                self.refuse(f"deferred=True and {option}=True contradict each other: every UPDATE needs it")
        if spec.version and spec.primary_key:
            self.refuse("version=True and primary_key=True contradict each other: a version changes")


def check_versions(attributes: Iterable[Attribute], where: str) -> None:
    """Raise `ModelError` for a second version column."""
    names = [attribute.name for attribute in attributes if attribute.spec.version]
    if len(names) > 1:
        raise ModelError(f"{where}.{names[1]}: {names[0]} has version=True already; a model has one version")


def check_relation(name: str, spec: RelationSpec, optional: bool, where: str) -> None:
    """Raise `ModelError` naming model, relation and cure for options that have no meaning."""
    place = f"{where}.{name}"
    if spec.on_delete not in ON_DELETE:
        raise ModelError(
            f"{place}: on_delete={spec.on_delete!r} is unknown"
            f"{suggest(str(spec.on_delete).upper(), ON_DELETE)}; it must be one of {', '.join(ON_DELETE)}"
        )
    for option in ("primary_key", "unique", "index", "deferrable"):
        if not isinstance(getattr(spec, option), bool):
            raise ModelError(f"{place}: {option}= is True or False, not {getattr(spec, option)!r}")
    reverse = spec.related_name
    if reverse is not None and (
        not isinstance(reverse, str)
        or not reverse.isidentifier()
        or reverse.startswith("_")
        or "__" in reverse
    ):
        raise ModelError(
            f"{place}: related_name={reverse!r} is no name of an attribute: letters, digits and single '_'"
        )
    columns = [spec.column] if spec.column is None or isinstance(spec.column, str) else spec.column
    if not isinstance(columns, (list, tuple)) or not all(
        column is None or (isinstance(column, str) and column) for column in columns
    ):
        raise ModelError(f"{place}: column= is a name, or a list of names for a composite key")
    if spec.default is not UNSET and (spec.default is not None or not optional):
        cure = "ForeignKey[Optional[...]] with default=None" if spec.default is None else "default=None"
        raise ModelError(f"{place}: the only default of a relation is None; write {cure} or leave it out")
