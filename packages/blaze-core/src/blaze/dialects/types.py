"""Portable SQL types: small immutable values that say which Python values fit.

A column's type is one of these. How a database spells and stores it is the dialect's business.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import uuid
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Optional

from blaze.errors import DataError
from blaze.utils.value import Value

__all__ = [
    "INT64_MAX",
    "INT64_MIN",
    "Array",
    "Binary",
    "Boolean",
    "Custom",
    "Date",
    "DateTime",
    "Enum",
    "Float",
    "Integer",
    "Integer32",
    "Interval",
    "Json",
    "Null",
    "Numeric",
    "SQLType",
    "String",
    "Time",
    "Uuid",
]

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
# What PostgreSQL's numeric holds: without a bound, 1E+1000000000 would be written out in a billion digits.
MOST_WHOLE_DIGITS = 131_072
MOST_DECIMAL_PLACES = 16_383
_MICROSECOND = dt.timedelta(microseconds=1)
_SHOWN = 40


class SQLType(Value):
    """Base of the portable types; instances are immutable, compare by value and can be keys of a dict.

    ``python_type`` is what reading gives, ``accepts`` what ``isinstance`` lets through when writing;
    ``check`` is exact.
    """

    python_type: type = object
    accepts: tuple[type, ...] = (object,)

    def check(self, value: Any) -> Optional[str]:
        """Say why ``value`` (never None) cannot be stored exactly in this type, or give None when it can."""
        return None if isinstance(value, self.accepts) else self._mismatch(value)

    def normal(self, value: Any) -> Any:
        """Give a value that fits as reading it back will: what was saved is then what the object shows."""
        return value

    def _mismatch(self, value: Any) -> str:
        return f"{_show(value)} is a {type(value).__name__}, not a {self.python_type.__name__}"


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


class Null(SQLType):
    """The type of NULL."""

    python_type = type(None)
    accepts = (type(None),)


class Boolean(SQLType):
    """True or False."""

    python_type = bool
    accepts = (bool,)


class Integer(SQLType):
    """A whole number of 64 bits."""

    python_type = int
    accepts = (int,)

    def check(self, value: Any) -> Optional[str]:
        if not isinstance(value, int):
            return self._mismatch(value)
        if not INT64_MIN <= value <= INT64_MAX:
            return f"{_show(value)} does not fit into 64 bits"
        return None

    def normal(self, value: Any) -> int:
        return int(value)


class Integer32(Integer):
    """A whole number of 32 bits: of arguments, since some functions take no longer ones, and of no column."""


class Float(SQLType):
    """A binary floating-point number of 64 bits; infinities fit, NaN does not."""

    python_type = float
    accepts = (float, int)

    def check(self, value: Any) -> Optional[str]:
        if not isinstance(value, (float, int)):
            return self._mismatch(value)
        if isinstance(value, int):
            if abs(value) > 2**53 and not _is_exact_float(value):
                return f"{_show(value)} cannot be held exactly by a float"
            return None
        return "NaN is not a number that can be stored" if math.isnan(value) else None

    def normal(self, value: Any) -> float:
        return float(value)


def _is_exact_float(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


class Numeric(SQLType):
    """A decimal number: ``precision`` digits in all, ``scale`` after the point; None means unlimited."""

    precision: Optional[int]
    scale: Optional[int]

    python_type = decimal.Decimal
    accepts = (decimal.Decimal, int)
    _fields = ("precision", "scale")

    def __init__(self, precision: Optional[int] = None, scale: Optional[int] = None) -> None:
        self._set(precision=precision, scale=scale)

    def check(self, value: Any) -> Optional[str]:
        if isinstance(value, bool) or not isinstance(value, (decimal.Decimal, int)):
            return self._mismatch(value)
        number = value if isinstance(value, decimal.Decimal) else decimal.Decimal(value)
        if not number.is_finite():
            return f"{number} is not a finite number"
        _, digits, exponent = number.as_tuple()
        assert isinstance(exponent, int)
        if exponent < -MOST_DECIMAL_PLACES:
            return f"{_show(number)} has more than {MOST_DECIMAL_PLACES} digits after the point"
        if number.adjusted() >= MOST_WHOLE_DIGITS:
            return f"{_show(number)} has more than {MOST_WHOLE_DIGITS} digits before the point"
        if self.precision is None:
            return None
        scale = self.scale or 0
        if exponent < -scale and any(digits[exponent + scale :]):
            return f"{number} has more than {scale} digits after the point"
        if number and number.adjusted() >= self.precision - scale:
            return f"{number} has more than {self.precision - scale} digits before the point"
        return None

    def normal(self, value: Any) -> decimal.Decimal:
        return value if isinstance(value, decimal.Decimal) else decimal.Decimal(value)


class String(SQLType):
    """A text of at most ``length`` characters; None means any length."""

    length: Optional[int]

    python_type = str
    accepts = (str,)
    _fields = ("length",)

    def __init__(self, length: Optional[int] = None) -> None:
        self._set(length=length)

    def check(self, value: Any) -> Optional[str]:
        if not isinstance(value, str):
            return self._mismatch(value)
        if self.length is not None and len(value) > self.length:
            return f"{_show(value)} has {len(value)} characters, more than {self.length}"
        return _check_text(value)

    def normal(self, value: Any) -> str:
        return str.__str__(value)


def _check_text(value: str) -> Optional[str]:
    if value.isascii():
        return None
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return f"{_show(value)} holds half a surrogate pair and is not valid Unicode"
    return None


class Binary(SQLType):
    """Bytes."""

    python_type = bytes
    accepts = (bytes, bytearray, memoryview)

    def normal(self, value: Any) -> bytes:
        return bytes(value)


class Date(SQLType):
    """A day without a time."""

    python_type = dt.date
    accepts = (dt.date,)

    def check(self, value: Any) -> Optional[str]:
        if isinstance(value, dt.datetime):
            return f"{value!r} is a datetime, not a date; use .date()"
        return None if isinstance(value, dt.date) else self._mismatch(value)


class Time(SQLType):
    """A time of day without a time zone, to the microsecond."""

    python_type = dt.time
    accepts = (dt.time,)

    def check(self, value: Any) -> Optional[str]:
        if not isinstance(value, dt.time):
            return self._mismatch(value)
        return (
            None
            if value.tzinfo is None
            else f"{value!r} has a time zone; a time of day is stored without one"
        )


class DateTime(SQLType):
    """A moment to the microsecond: aware and kept in UTC, or naive when ``timezone`` is False."""

    timezone: bool

    python_type = dt.datetime
    accepts = (dt.datetime,)
    _fields = ("timezone",)

    def __init__(self, timezone: bool = True) -> None:
        self._set(timezone=timezone)

    def check(self, value: Any) -> Optional[str]:
        if not isinstance(value, dt.datetime):
            return self._mismatch(value)
        aware = value.utcoffset() is not None
        if self.timezone and not aware:
            return f"{value!r} is naive; give it a time zone, for example datetime.now(timezone.utc)"
        if not self.timezone and aware:
            return f"{value!r} is aware, and the column holds naive values (timezone=False)"
        if aware:
            try:
                value.astimezone(dt.timezone.utc)
            except OverflowError:
                return f"{value!r} is outside the years 1 to 9999 in UTC"
        return None

    def normal(self, value: Any) -> dt.datetime:
        moment: dt.datetime = value
        return moment.astimezone(dt.timezone.utc) if self.timezone else moment


class Interval(SQLType):
    """A length of time to the microsecond."""

    python_type = dt.timedelta
    accepts = (dt.timedelta,)

    def check(self, value: Any) -> Optional[str]:
        if not isinstance(value, dt.timedelta):
            return self._mismatch(value)
        if not INT64_MIN <= value // _MICROSECOND <= INT64_MAX:
            return f"{value!r} does not fit into 64 bits of microseconds"
        return None


class Uuid(SQLType):
    """A UUID."""

    python_type = uuid.UUID
    accepts = (uuid.UUID,)


class Json(SQLType):
    """A JSON document: dict, list, str, int, float, bool or None inside; what JSON cannot hold exactly is
    refused.

    ``root`` is "dict" or "list" where the whole document must be one; None lets any be.
    """

    root: Optional[str]

    python_type = dict
    accepts = (dict, list, str, int, float, bool)
    _fields = ("root",)

    def __init__(self, root: Optional[str] = None) -> None:
        if root is None:
            self._set(root=root)
        else:
            kind = {"dict": dict, "list": list}[root]
            self._set(root=root, python_type=kind, accepts=(kind,))

    def check(self, value: Any) -> Optional[str]:
        if self.root is not None and not isinstance(value, self.accepts):
            return self._mismatch(value)
        return _check_json(value, "", 0)


def _check_json(value: Any, path: str, depth: int) -> Optional[str]:
    where = f" at {path}" if path else ""
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return None
    if depth > 500:
        return f"the JSON document is nested too deeply, or holds itself, at {path[:40]}..."
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        problem = _check_text(value)
        return f"{problem}{where}" if problem else None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value!r}{where} is not a number that JSON can hold"
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"the key {_show(key)}{where} is a {type(key).__name__}; JSON keys are str"
            problem = _check_json(item, f"{path}.{key}" if path else key, depth + 1)
            if problem:
                return problem
        return None
    if isinstance(value, list):
        for index, item in enumerate(value):
            problem = _check_json(item, f"{path}[{index}]", depth + 1)
            if problem:
                return problem
        return None
    return f"{_show(value)}{where} is a {kind.__name__}, which JSON cannot hold; store its text or number"


class Array(SQLType):
    """A list of values of one type; native where the database has arrays, JSON elsewhere."""

    item: SQLType

    python_type = list
    accepts = (list, tuple)
    _fields = ("item",)

    def __init__(self, item: SQLType) -> None:
        self._set(item=item)

    def check(self, value: Any) -> Optional[str]:
        if not isinstance(value, (list, tuple)):
            return self._mismatch(value)
        for index, item in enumerate(value):
            problem = None if item is None else self.item.check(item)
            if problem:
                return f"item {index}: {problem}"
        return None

    def normal(self, value: Any) -> list[Any]:
        items = [item if item is None else self.item.normal(item) for item in value]
        if not isinstance(value, list):
            return items
        if any(one is not other for one, other in zip(items, value)):
            value[:] = items  # others may hold the list
        return value


class Custom(SQLType):
    """Base of types made of another: ``storage`` is the portable type underneath.

    A plugin subclasses it, as a frozen dataclass when it has parameters; both converters get no None and must
    be plain fast callables.
    """

    storage: SQLType = String()

    def to_storage(self) -> Callable[[Any], Any]:
        """Give the function from the Python value to a value of ``storage``."""
        raise NotImplementedError(f"{type(self).__name__}.to_storage")

    def from_storage(self) -> Callable[[Any], Any]:
        """Give the function from a value of ``storage`` back to the Python value."""
        raise NotImplementedError(f"{type(self).__name__}.from_storage")


class _Members(dict[Any, enum.Enum]):
    """From stored values to members; an unknown value is an error that names it and the enum."""

    def __init__(self, enum_class: type[enum.Enum], by_name: bool) -> None:
        super().__init__(
            (name if by_name else member.value, member) for name, member in enum_class.__members__.items()
        )
        self.enum_class = enum_class

    def __missing__(self, key: Any) -> enum.Enum:
        raise DataError(f"the database holds {_show(key)}, which is no member of {self.enum_class.__name__}")


class Enum(Custom):
    """A member of ``enum_class``, stored as its value when all values are str or all are int, else as its
    name.
    """

    enum_class: type[enum.Enum]
    by_name: bool

    _fields: tuple[str, ...] = ("enum_class",)

    def __init__(self, enum_class: type[enum.Enum]) -> None:
        values = [member.value for member in enum_class.__members__.values()]
        if not values:
            raise TypeError(f"{enum_class.__name__} has no members")
        texts = all(isinstance(value, str) for value in values)
        numbers = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
        by_name = not texts and not numbers
        stored = list(enum_class.__members__) if by_name else [str(value) for value in values]
        self._set(
            enum_class=enum_class,
            storage=Integer() if numbers else String(max(map(len, stored))),
            by_name=by_name,
            python_type=enum_class,
            accepts=(enum_class,),
        )

    @property
    def stored_values(self) -> tuple[Any, ...]:
        """Give what the database may hold, in the order of declaration (for CHECK constraints and native
        enums).
        """
        members = self.enum_class.__members__
        return tuple(members) if self.by_name else tuple(member.value for member in members.values())

    def to_storage(self) -> Callable[[Any], Any]:
        return attrgetter("_name_" if self.by_name else "_value_")

    def from_storage(self) -> Callable[[Any], Any]:
        if issubclass(self.enum_class, enum.Flag):
            return self.enum_class
        return _Members(self.enum_class, self.by_name).__getitem__
