"""How Python values are stored in MySQL and MariaDB and read back, exactly.

The drivers read columns with ``COLUMN_READERS``, the decoders do what is left: a moment gets its zone, a text
becomes a UUID.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, Optional, Union

from blaze.dialects import types as t
from blaze.errors import DataError

__all__ = ["COLUMN_READERS", "array_decoder", "array_encoder", "decoder", "encoder"]

Codec = Callable[[Any], Any]

_UTC = dt.timezone.utc
_JSON = t.Json()
_AWARE = t.DateTime(timezone=True)
_NAIVE = t.DateTime(timezone=False)
_write_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_read_json = json.JSONDecoder().decode
_PLACES = 30  # of a DECIMAL without precision


def _refuse(problem: Optional[str]) -> DataError:
    return DataError(f"the value cannot be stored: {problem}")


def encode_float(value: Any) -> float:
    """Refuse NaN and the infinities, which a DOUBLE cannot hold."""
    if not math.isfinite(value):
        raise _refuse(t.Float().check(value) or f"MySQL has no {value}")
    return float(value)


def decimal_encoder(type_: t.Numeric) -> Codec:
    """Give the encoder of a decimal column: MySQL would round what has too many places."""
    check = (t.Numeric(65, _PLACES) if type_.precision is None else type_).check

    def encode(value: Any) -> Decimal:
        problem = check(value)
        if problem:
            raise _refuse(problem)
        return value if value.__class__ is Decimal else Decimal(value)

    return encode


def encode_moment(value: dt.datetime) -> str:
    """Write an aware datetime in UTC."""
    if value.tzinfo is not _UTC:
        problem = _AWARE.check(value)
        if problem:
            raise _refuse(problem)
        value = value.astimezone(_UTC)
    return value.replace(tzinfo=None).isoformat(" ", "microseconds")


def encode_naive(value: dt.datetime) -> str:
    """Write a naive datetime."""
    if value.tzinfo is not None:
        raise _refuse(_NAIVE.check(value))
    return value.isoformat(" ", "microseconds")


def encode_time(value: dt.time) -> str:
    """Write a time of day."""
    if value.tzinfo is not None:
        raise _refuse(t.Time().check(value))
    return value.isoformat("microseconds")


def encode_date(value: dt.date) -> str:
    """Write a day; a datetime is refused rather than cut."""
    if value.__class__ is not dt.date:
        problem = t.Date().check(value)
        if problem:
            raise _refuse(problem)
    return value.isoformat()


def encode_json(value: Any) -> str:
    """Write a JSON document; what would not come back equal is refused."""
    problem = _JSON.check(value)
    if problem:
        raise _refuse(problem)
    return _write_json(value)


def decode_moment(value: dt.datetime) -> dt.datetime:
    """Give a moment its zone; it is kept in UTC."""
    return value.replace(tzinfo=_UTC)


def read_datetime(text: str) -> Union[dt.datetime, str]:
    """Read a DATETIME as the server writes it; what is no date, such as 0000-00-00, stays a text."""
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return text


def read_date(text: str) -> Union[dt.date, str]:
    """Read a DATE."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return text


def read_time(text: str) -> Union[dt.time, str]:
    """Read a TIME that is a time of day; one that is a duration stays a text."""
    try:
        return dt.time.fromisoformat(text)
    except ValueError:
        return text


# How the drivers read columns, by the types' numbers in the protocol; everything else they give as text or
# bytes.
COLUMN_READERS: dict[int, Codec] = {
    0: Decimal,
    1: int,
    2: int,
    3: int,
    4: float,
    5: float,
    7: read_datetime,
    8: int,
    9: int,
    10: read_date,
    11: read_time,
    12: read_datetime,
    13: int,
    246: Decimal,
}

_ENCODERS: dict[type, Codec] = {
    t.Float: encode_float,
    t.Date: encode_date,
    t.Time: encode_time,
    t.Interval: dt.timedelta(microseconds=1).__rfloordiv__,  # type: ignore[attr-defined]
    t.Uuid: str,
    t.Json: encode_json,
}
_DECODERS: dict[type, Codec] = {
    t.Boolean: bool,
    t.Interval: partial(dt.timedelta, 0, 0),
    t.Uuid: uuid.UUID,
    t.Json: _read_json,
}
# Items of lists are texts inside JSON.
_ITEM_DECODERS: dict[type, Codec] = {
    **_DECODERS,
    t.Numeric: Decimal,
    t.Binary: bytes.fromhex,
    t.Date: dt.date.fromisoformat,
    t.Time: dt.time.fromisoformat,
}


def encoder(type_: t.SQLType) -> Optional[Codec]:
    """Give the encoder of a type that is no array, or None when the driver takes the value as it is."""
    if isinstance(type_, t.Numeric):
        return decimal_encoder(type_)
    if isinstance(type_, t.DateTime):
        return encode_moment if type_.timezone else encode_naive
    return _ENCODERS.get(type(type_))


def decoder(type_: t.SQLType) -> Optional[Codec]:
    """Give the decoder of a type that is no array, or None when the driver gives the value as it is."""
    if isinstance(type_, t.DateTime) and type_.timezone:
        return decode_moment
    return _DECODERS.get(type(type_))


def array_encoder(item: t.SQLType, encode: Optional[Codec]) -> Codec:
    """Give the encoder of a list kept as JSON; ``encode`` is that of its items."""
    write: Optional[Codec] = encode
    if isinstance(item, t.Binary):
        write = bytes.hex
    elif isinstance(item, t.Numeric):
        write = str

    def encode_array(values: Any) -> str:
        if write is None:
            return encode_json(list(values))
        return encode_json([None if value is None else write(value) for value in values])

    return encode_array


def array_decoder(item: t.SQLType, decode: Optional[Codec]) -> Codec:
    """Give the decoder of a list kept as JSON; ``decode`` is that of its items in columns."""
    if isinstance(item, t.DateTime):
        suffix = "+00:00" if item.timezone else ""
        read: Optional[Codec] = lambda text: dt.datetime.fromisoformat(text + suffix)  # noqa: E731
    else:
        read = _ITEM_DECODERS.get(type(item), decode)
    if read is None:
        return _read_json

    def decode_array(text: str) -> list[Any]:
        return [None if value is None else read(value) for value in _read_json(text)]

    return decode_array
