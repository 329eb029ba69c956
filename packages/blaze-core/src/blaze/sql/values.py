"""Python values as SQL sees them: which column type a value has, and which values a type can meet."""

from __future__ import annotations

import enum
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Optional, Union
from uuid import UUID

from blaze.dialects.types import (
    Array,
    Binary,
    Boolean,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    Integer32,
    Interval,
    Json,
    Null,
    Numeric,
    SQLType,
    String,
    Time,
    Uuid,
)
from blaze.errors import QueryError
from blaze.utils.parameters import NamedParameters

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect

_PLAIN = frozenset({str, int, bool, bytes, type(None)})  # classes that no type stores in another form

BOOLEAN = Boolean()
INTEGER = Integer()
INTEGER_32 = Integer32()
FLOAT = Float()
NUMERIC = Numeric()
STRING = String()
BINARY = Binary()
DATE = Date()
TIME = Time()
INTERVAL = Interval()
UUID_TYPE = Uuid()
JSON = Json()
NULL = Null()
TIMESTAMP = DateTime(True)
NAIVE_TIMESTAMP = DateTime(False)

# Exact classes in the order of use; subclasses are found by `issubclass` below.
_BY_CLASS: dict[type, SQLType] = {
    str: STRING,
    int: INTEGER,
    bool: BOOLEAN,
    float: FLOAT,
    Decimal: NUMERIC,
    bytes: BINARY,
    datetime: TIMESTAMP,
    date: DATE,
    time: TIME,
    timedelta: INTERVAL,
    UUID: UUID_TYPE,
    dict: JSON,
    list: JSON,
    type(None): NULL,
}

# Values of exactly these classes always fit the comparison; every other value takes the slow road.
_FAST: dict[type, frozenset[type]] = {
    String: frozenset({str}),
    Boolean: frozenset({bool}),
    Binary: frozenset({bytes}),
    Date: frozenset({date}),
    Interval: frozenset({timedelta}),
    Uuid: frozenset({UUID}),
    Numeric: frozenset({int}),
}
_NOTHING: frozenset[type] = frozenset()

LARGEST = 2**63 - 1
SMALLEST = -(2**63)


def type_of(value: Any) -> SQLType:
    """Return the SQL type of a Python value; raise `QueryError` for a value that no type holds."""
    cls = value.__class__
    if cls is datetime:
        return TIMESTAMP if value.tzinfo is not None else NAIVE_TIMESTAMP
    return type_for(cls)


def argument_type(value: Any) -> Optional[SQLType]:
    """Return the type of a value as the argument of any function: a whole number is as short as it may be."""
    if value.__class__ is int:
        return INTEGER_32 if -(2**31) <= value < 2**31 else INTEGER
    return None if value is None else type_of(value)


def type_for(wanted: Union[type, SQLType]) -> SQLType:
    """Return the SQL type of a Python class; a type passes through. Raise `QueryError` when there is none."""
    if isinstance(wanted, SQLType):
        return wanted
    found = _BY_CLASS.get(wanted)
    if found is not None:
        return found
    if isinstance(wanted, type):
        if issubclass(wanted, SQLType):
            return wanted()
        if issubclass(wanted, enum.Enum):
            return Enum(wanted)
        for cls, candidate in _BY_CLASS.items():
            if issubclass(wanted, cls):
                return candidate
    name = getattr(wanted, "__name__", repr(wanted))
    raise QueryError(
        f"a value of type {name} cannot be sent to the database; use bool, int, float, Decimal, str, bytes, "
        "date, time, datetime, timedelta, UUID, an Enum, dict or list, or literal(value, type)"
    )


def fast_classes(type: SQLType) -> frozenset[type]:
    """Return the classes whose values need no further test before they are compared with this type."""
    if isinstance(type, Enum):
        return frozenset({type.python_type})
    return _FAST.get(type.__class__, _NOTHING)


def comparison_type(type: SQLType) -> SQLType:
    """Return the type of values that meet this type in a comparison: without limits on length and digits."""
    if type.__class__ is String:
        return STRING
    return NUMERIC if type.__class__ is Numeric else type


def objection(type: SQLType, value: Any) -> Optional[str]:
    """Return why a value cannot be compared with this type, None when it can.

    Milder than `type.check`: a text longer or a decimal finer than the column just matches nothing.
    """
    cls = type.__class__
    if cls is Numeric:
        if value.__class__ is Decimal:
            return None if value.is_finite() else "it is not a finite number"
    elif cls is String and isinstance(value, str):
        return None
    return type.check(value)


_POINTS = (DateTime, Date, Time)
_KINDS: tuple[tuple[str, tuple[type[SQLType], ...]], ...] = (
    ("number", (Integer, Float, Numeric)),
    ("truth", (Boolean,)),
    ("text", (String,)),
    ("point", _POINTS),
    ("duration", (Interval,)),
)
_MEANINGFUL = {
    ("number", "number"): "+-*/%",
    ("text", "text"): "+",
    ("point", "point"): "-",
    ("point", "duration"): "+-",
    ("duration", "point"): "+",
    ("duration", "duration"): "+-/",
    ("duration", "number"): "*/",
    ("number", "duration"): "*",
}


def has_meaning(op: str, left: Optional[SQLType], right: Optional[SQLType]) -> bool:
    """Tell whether `left op right` means anything; types of no known kind, such as JSON, may do all."""
    if isinstance(left, (Numeric, Float)) and isinstance(right, (Numeric, Float)):
        return isinstance(left, Numeric) is isinstance(right, Numeric)
    kinds = [name for side in (left, right) for name, types in _KINDS if isinstance(side, types)]
    return len(kinds) < 2 or op in _MEANINGFUL.get((kinds[0], kinds[1]), "")


# What columns take of other types as it is.
_WIDER = {Float: Integer, Numeric: Integer}


def is_storable(column: SQLType, value: Optional[SQLType]) -> bool:
    """Tell whether a column takes what an expression of this type gives, without a cast.

    Types that are not plain ones, such as JSON, enums and those of users, may hold anything.
    """
    kinds = (Boolean, Integer, Float, Numeric, String, Date, Time, DateTime, Interval, Binary, Uuid)
    wanted, given = column.__class__, value.__class__
    if wanted not in kinds or given not in kinds or wanted is given:
        return True
    return _WIDER.get(wanted) is given


def is_alike(left: Optional[SQLType], right: Optional[SQLType]) -> bool:
    """Tell whether values of both types are read in one way, as a column of a set operation has to be.

    NULL and what has no known type go with all. A whole number is no decimal or float here: databases make
    one of them of both, and SQLite leaves them what they are.
    """
    if left is None or right is None or left == right or NULL in (left, right):
        return True
    if isinstance(left, Array) and isinstance(right, Array):
        return is_alike(left.item, right.item)
    if isinstance(left, Json) and isinstance(right, Json):
        return left.root is None or right.root is None
    return left.__class__ is right.__class__ and isinstance(left, (String, Numeric))


def arithmetic_type(op: str, left: Optional[SQLType], right: Optional[SQLType]) -> Optional[SQLType]:
    """Return the type of `left op right`; None counts as the other side's type."""
    if left is None or right is None:
        return left or right
    if isinstance(left, _POINTS) or isinstance(right, _POINTS):
        if isinstance(left, _POINTS) and isinstance(right, _POINTS):
            return INTERVAL
        return left if isinstance(left, _POINTS) else right
    if isinstance(left, Interval) or isinstance(right, Interval):
        both = isinstance(left, Interval) and isinstance(right, Interval)
        return FLOAT if both and op == "/" else INTERVAL
    if isinstance(left, Float) or isinstance(right, Float):
        return FLOAT
    if isinstance(left, Numeric) or isinstance(right, Numeric):
        return NUMERIC
    if isinstance(left, Integer) and isinstance(right, Integer):
        return FLOAT if op == "/" else INTEGER
    return STRING if isinstance(left, String) else left


def encoded(values: tuple[Any, ...], dialect: Dialect) -> tuple[Any, ...]:
    """Return the parameters of raw SQL as the columns of their types store them.

    Raises `QueryError` for a value that no type holds, `DataError` for one that cannot be stored.
    """
    if all(value.__class__ in _PLAIN for value in values):
        return values
    found = [_encoded(value, dialect) for value in values]
    return NamedParameters(found, values.names) if isinstance(values, NamedParameters) else tuple(found)


def _encoded(value: Any, dialect: Dialect) -> Any:
    if value.__class__ in _PLAIN:
        return value
    if isinstance(value, (list, tuple)) and dialect.features.array_param != "json_each":
        items = [_encoded(item, dialect) for item in value]
        return items if isinstance(value, list) else tuple(items)
    encoder = dialect.encoder(type_of(value))
    return value if encoder is None else encoder(value)
