"""Inheritance of models: what a subclass of a concrete model takes over, and who belongs to a hierarchy."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.accessors import mapped_property
from blaze.core.specs import UNSET, FieldSpec
from blaze.errors import ModelError, ValidationError
from blaze.security.redaction import redactor
from blaze.sql.source import Criterion
from blaze.utils.naming import snake_case

if TYPE_CHECKING:
    from blaze.core.declarations import Declaration, Options
    from blaze.core.mapper import Mapper

# What is written into statements as a literal.
_TEXT = re.compile(r"[\w .:/+-]+")

# The options of Meta that a subclass takes over where it does not set them.
INHERITED = ("schema", "indexes", "constraints", "lazy")


def parent_of(bases: tuple[type, ...], where: str) -> Optional[Mapper]:
    """Return the mapper of the concrete model that a class derives from, None without one.

    Raises `ModelError` for one without discriminator. Two of them cannot be: their metaclasses conflict.
    """
    found: list[Mapper] = [base.__mapper__ for base in bases if hasattr(base, "__mapper__")]
    if not found:
        return None
    parent = max(found, key=lambda mapper: len(mapper.lineage))
    if parent.base.options.discriminator is None:
        name = parent.base.name
        raise ModelError(
            f"{where}: inherits from the concrete model {name}; give {name} "
            '`class Meta: discriminator = "kind"` to keep several models in its table, or '
            "`class Meta: abstract = True` to give only its fields away"
        )
    return parent


def inherited_options(bases: tuple[type, ...], parent: Optional[Mapper]) -> dict[str, Any]:
    """Return what abstract bases, and the concrete one, say in Meta for their subclasses."""
    found: dict[str, Any] = {}
    known = () if parent is None else parent.model.__mro__
    for base in reversed(bases):
        for ancestor in reversed(base.__mro__):
            if ancestor not in known:
                given = ancestor.__dict__.get("__options__", {})
                found.update((name, given[name]) for name in INHERITED if name in given)
    if parent is not None:
        found = {"schema": parent.options.schema, "lazy": parent.options.lazy, **found}
    return found


def check_subclass(
    parent: Mapper, declarations: dict[str, Declaration], options: Options, where: str
) -> None:
    """Refuse what a subclass of a concrete model cannot say, with a `ModelError`."""
    for name, declaration in declarations.items():
        known = parent.declarations.get(name)
        if known is not None and known is not declaration:
            raise ModelError(f"{where}.{name}: is a field of {parent.name} already; rename it")
        if known is None and getattr(declaration.spec, "primary_key", False):
            raise ModelError(f"{where}.{name}: the primary key is that of {parent.base.name}; leave it out")
    if options.discriminator is not None:
        raise ModelError(f"{where}.Meta.discriminator: is that of {parent.base.name}; leave it out")
    if not options.joined and "table" in options.given:
        raise ModelError(f"{where}.Meta: joined = False means the table of {parent.name}; leave out table")


def declares_discriminator(declarations: dict[str, Declaration], options: Options, where: str) -> bool:
    """Whether the field that tells the classes of a hierarchy apart is declared; refuse what is none."""
    name = options.discriminator
    if not isinstance(name, str) or not name.isidentifier():
        raise ModelError(f"{where}.Meta.discriminator: names a field, not {name!r}")
    declared = declarations.get(name)
    if declared is None:
        return False
    if not isinstance(declared.spec, FieldSpec) or declared.spec.generated or declared.spec.primary_key:
        raise ModelError(f"{where}.Meta.discriminator: {name!r} is no plain field")
    return True


def default_value(options: Options, name: str, where: str) -> Any:
    """Return the discriminator value of a class: what Meta says, or its name in snake case."""
    value = options.given.get("discriminator_value", snake_case(name))
    if isinstance(value, enum.Enum) or value.__class__ is int:
        return value
    if not isinstance(value, str) or not _TEXT.fullmatch(value):
        raise ModelError(
            f"{where}.Meta.discriminator_value: give a number, an enum member or a text of letters, digits, "
            f"blanks and - _ . : / +, not {value!r}"
        )
    return value


def enter(mapper: Mapper, parent: Optional[Mapper]) -> None:
    """Take a new class into its hierarchy; raise `ModelError` when that cannot be."""
    options = mapper.options
    if parent is None and options.discriminator is None:
        if "discriminator_value" in options.given:
            raise ModelError(f"{mapper.where}.Meta.discriminator_value: needs a discriminator")
        return
    value = mapper.discriminator_value
    if parent is None:
        mapper.criterion = Criterion(mapper.name, [value])
        return
    for other in parent.base.family():
        if other.discriminator_value == value:
            raise ModelError(
                f"{mapper.where}: {other.name} has the discriminator value {value!r} already; give one of "
                "them another Meta.discriminator_value"
            )
    for ancestor in parent.lineage:
        assert ancestor.criterion is not None
        if ancestor.criterion.sealed:
            raise ModelError(
                f"{mapper.where}: {ancestor.name} has been queried already; define (import) all its "
                "subclasses before its first use"
            )
    for ancestor in parent.lineage:
        assert ancestor.criterion is not None
        ancestor.criterion.values.append(value)
    mapper.criterion = Criterion(mapper.name, [value])
    parent.subclasses.append(mapper)


def unknown_value(base: Mapper, value: Any) -> ModelError:
    """Return the error for a row whose discriminator names no class."""
    known = ", ".join(repr(mapper.discriminator_value) for mapper in base.family())
    return ModelError(
        f"a row of {base.where} has the discriminator {base.base.options.discriminator}="
        f"{redactor.shown(str(base.base.options.discriminator), value)}, which "
        f"is that of no model; known are {known}. Define or import the model that has it"
    )


def discriminator_property(slot: str, name: str) -> property:
    """Return the property of a discriminator: it keeps the value of the object's class."""

    def write(instance: Any, value: Any) -> None:
        mapper = type(instance).__mapper__
        if value != mapper.discriminator_value:
            raise ValidationError({name: [fixed(mapper)]}, model=mapper.model)
        setattr(instance, slot, value)

    return mapped_property(name, attrgetter(slot), write)


def fixed(mapper: Mapper) -> str:
    """Say that a discriminator has one value."""
    return f"is always {mapper.discriminator_value!r} for a {mapper.name}; make an object of the other class"


def given_discriminator(mapper: Mapper, value: Any) -> Any:
    """Return the discriminator that a constructor stores; raise `ValidationError` for another class's."""
    if value is not UNSET and value != mapper.discriminator_value:
        raise ValidationError({str(mapper.base.options.discriminator): [fixed(mapper)]}, model=mapper.model)
    return mapper.discriminator_value


def family_attributes(mapper: Mapper) -> Iterable[Any]:
    """Yield the attributes of a model and of all models derived from it, each once."""
    seen: dict[Any, None] = {}
    for member in mapper.family():
        seen.update(dict.fromkeys(member.columns))
    return seen
