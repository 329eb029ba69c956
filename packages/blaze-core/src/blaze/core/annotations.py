"""Read the annotations of a model's class body."""

from __future__ import annotations

import builtins
import enum
import sys
import types
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar, ForwardRef, Optional, Union, get_args, get_origin
from uuid import UUID

from blaze.core.specs import FieldSpec
from blaze.dialects import types as sql_types
from blaze.dialects.types import SQLType
from blaze.errors import ModelError

_UnionTypes: tuple[Any, ...] = (Union, types.UnionType) if sys.version_info >= (3, 10) else (Union,)


class _Names(dict):  # type: ignore[type-arg]
    """Names for evaluating an annotation; an unknown name becomes a forward reference."""

    def __init__(self, local: dict[str, Any], module: dict[str, Any]) -> None:
        super().__init__(local)
        self.module = module

    def __missing__(self, name: str) -> Any:
        if name in self.module:
            return self.module[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        return ForwardRef(name)


def evaluate(annotation: Any, local: dict[str, Any], module: dict[str, Any], where: str) -> Any:
    """Evaluate an annotation that may be text; names not defined yet stay forward references.

    Raises `ModelError` naming `where` when the text cannot be evaluated on this Python.
    """
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, {}, _Names(local, module))  # _Names answers for every name
    except Exception as error:
        hint = "; write Optional[X] instead of X | None on Python 3.9" if "|" in annotation else ""
        raise ModelError(f"{where}: cannot read the annotation {annotation!r}: {error}{hint}") from error


def evaluate_argument(argument: Any, local: dict[str, Any], module: dict[str, Any], where: str) -> Any:
    """Evaluate what stands in the brackets of an annotation, which may be text, and so may the members of a
    union.
    """
    argument = evaluate(argument, local, module, where)
    if get_origin(argument) not in _UnionTypes:
        return argument
    return Union[tuple([evaluate(member, local, module, where) for member in get_args(argument)])]


def is_class_variable(annotation: Any) -> bool:
    """Whether an evaluated annotation is `ClassVar`."""
    return annotation is ClassVar or get_origin(annotation) is ClassVar


def split_optional(annotation: Any) -> tuple[Any, bool]:
    """Return the annotation without `None`, and whether `None` was in it."""
    if get_origin(annotation) in _UnionTypes:
        members = get_args(annotation)
        rest = [member for member in members if member is not type(None)]
        if len(rest) < len(members):
            if len(rest) == 1:
                return rest[0], True
            return Union[tuple(rest)], True
    return annotation, False


def _scalar(annotation: Any, spec: FieldSpec) -> Optional[SQLType]:
    """Return the SQL type of a plain Python class, None when there is none."""
    if not isinstance(annotation, type):
        return None
    if issubclass(annotation, enum.Enum):
        return sql_types.Enum(annotation)
    if annotation is datetime:
        return sql_types.DateTime(spec.timezone)
    if annotation is Decimal:
        return sql_types.Numeric(spec.precision, spec.scale)
    if annotation is str:
        return sql_types.String(spec.max_length)
    simple: dict[type, type[SQLType]] = {
        bool: sql_types.Boolean,
        int: sql_types.Integer,
        float: sql_types.Float,
        bytes: sql_types.Binary,
        date: sql_types.Date,
        time: sql_types.Time,
        timedelta: sql_types.Interval,
        UUID: sql_types.Uuid,
    }
    made = simple.get(annotation)
    return made() if made is not None else None


def _made(given: Any) -> Optional[SQLType]:
    """Return the type that a type, its class or a function makes; None for anything else."""
    made = given() if callable(given) else given
    return made if isinstance(made, SQLType) else None


def sql_type_of(annotation: Any, spec: FieldSpec, where: str) -> SQLType:
    """Choose the column type for a Python type (without `Optional`).

    Types of plugins are found by their name in `field(type="...")`, or by their Python type.

    Raises `ModelError` naming `where` for a type that has no column type, `ConfigurationError` and
    `PluginError` for a plugin that is not there or broken.
    """
    if spec.type is not None:
        given = spec.type
        if isinstance(given, str):
            from blaze import plugins  # most programs have no types of plugins

            given = plugins.load("blaze.types", given)
        made = _made(given)
        if made is not None:
            return made
        raise ModelError(
            f"{where}: type={spec.type!r} is not a column type; use one of blaze.dialects.types, or the name "
            "of an installed one"
        )
    if isinstance(annotation, ForwardRef):
        raise ModelError(
            f"{where}: {annotation.__forward_arg__} is not known where the model is defined; define or "
            "import it before, and not under TYPE_CHECKING"
        )
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum) and not annotation.__members__:
        raise ModelError(f"{where}: the enum {annotation.__name__} has no members; give it at least one")
    scalar = _scalar(annotation, spec)
    if scalar is not None:
        return scalar
    origin = get_origin(annotation) or annotation
    if origin is Any:
        return sql_types.Json()
    if isinstance(origin, type):
        if issubclass(origin, list):
            items = get_args(annotation)
            item = _scalar(split_optional(items[0])[0], spec) if items else None
            return sql_types.Array(item) if item is not None else sql_types.Json("list")
        if issubclass(origin, dict):
            return sql_types.Json("dict")
    from blaze import plugins

    found, errors = plugins.registry.load_all("blaze.types")
    for plugin in found.values():
        made = _made(plugin)
        if made is not None and made.python_type is annotation:
            return made
    broken = "".join(f"; {error}" for error in errors.values())
    raise ModelError(
        f"{where}: no column type for {annotation!r}; use bool, int, float, Decimal, str, bytes, date, time, "
        f"datetime, timedelta, UUID, an Enum, dict or list, or give field(type=...){broken}"
    )
