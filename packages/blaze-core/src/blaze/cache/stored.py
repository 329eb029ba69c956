"""Values as a driver gives them, in the form of JSON-like data, and exactly back."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from base64 import b64decode, b64encode
from decimal import Decimal
from typing import Any, Callable

__all__ = ["UnstorableError", "freeze", "thaw"]

_PLAIN = frozenset({str, int, bool, type(None)})
_MICROSECOND = dt.timedelta(microseconds=1)


class UnstorableError(TypeError):
    """A value has no JSON-like form; its row is not cached."""


def freeze(value: Any) -> Any:
    """Return a value of a row as JSON-like data: plain values as they are, others as `[kind, data]`.

    Raises `UnstorableError` for a class that is not known here.
    """
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else ["float", repr(value)]
    if kind is list:
        return ["list", [freeze(item) for item in value]]
    if kind is dict:
        if all(key.__class__ is str for key in value):
            return ["dict", {key: freeze(item) for key, item in value.items()}]
        raise UnstorableError("a dict with keys that are not str")
    # Drivers have subclasses of some, such as that of asyncpg for UUID: equal values come back.
    if isinstance(value, (bytes, bytearray, memoryview)):
        return ["bytes", b64encode(value).decode("ascii")]
    if isinstance(value, Decimal):
        return ["decimal", str(value)]
    if isinstance(value, dt.datetime):
        return ["datetime", value.isoformat()]
    if isinstance(value, dt.date):
        return ["date", value.isoformat()]
    if isinstance(value, dt.time):
        return ["time", value.isoformat()]
    if isinstance(value, dt.timedelta):
        return ["interval", value // _MICROSECOND]
    if isinstance(value, uuid.UUID):
        return ["uuid", value.hex]
    raise UnstorableError(f"{kind.__module__}.{kind.__qualname__}")


def thaw(value: Any) -> Any:
    """Return the value that `freeze` took; KeyError or ValueError for what it cannot have made."""
    if value.__class__ is not list:
        return value
    kind, data = value
    return _THAW[kind](data)


_THAW: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "list": lambda items: [thaw(item) for item in items],
    "dict": lambda items: {key: thaw(item) for key, item in items.items()},
    "bytes": b64decode,
    "decimal": Decimal,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "interval": lambda microseconds: dt.timedelta(microseconds=microseconds),
    "uuid": lambda text: uuid.UUID(hex=text),
}
