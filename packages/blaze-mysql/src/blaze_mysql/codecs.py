"""How Python values are stored in MySQL and MariaDB and read back, exactly.

The drivers read columns with ``COLUMN_READERS``, the decoders do what is left: a moment gets its zone, a text
becomes a UUID.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Optional, Union

from blaze.dialects import types as t
from blaze.dialects.codecs import (
    decimal_encoder,
    encode_interval,
    encode_json,
    json_array_decoder,
    json_array_encoder,
    read_interval,
    read_json,
    refuse,
)

__all__ = ["COLUMN_READERS", "decoder", "encoder"]

Codec = Callable[[Any], Any]

_UTC = dt.timezone.utc
_AWARE = t.DateTime(timezone=True)
_NAIVE = t.DateTime(timezone=False)
_WIDEST = t.Numeric(65, 30)  # a DECIMAL without precision


def encode_float(value: Any) -> float:
    """Refuse NaN and the infinities, which a DOUBLE cannot hold."""
    if not math.isfinite(value):
        raise refuse(t.Float().check(value) or f"MySQL has no {value}")
    return float(value)


def encode_moment(value: dt.datetime) -> str:
    """Write an aware datetime in UTC."""
    if value.tzinfo is not _UTC:
        problem = _AWARE.check(value)
        if problem:
            raise refuse(problem)
        value = value.astimezone(_UTC)
    return value.replace(tzinfo=None).isoformat(" ", "microseconds")


def encode_naive(value: dt.datetime) -> str:
    """Write a naive datetime."""
    if value.tzinfo is not None:
        raise refuse(_NAIVE.check(value))
    return value.isoformat(" ", "microseconds")


def encode_time(value: dt.time) -> str:
    """Write a time of day."""
    if value.tzinfo is not None:
        raise refuse(t.Time().check(value))
    return value.isoformat("microseconds")


def encode_date(value: dt.date) -> str:
    """Write a day; a datetime is refused rather than cut."""
    if value.__class__ is not dt.date:
        problem = t.Date().check(value)
        if problem:
            raise refuse(problem)
    return value.isoformat()


def decode_moment(value: Any) -> dt.datetime:
    """Give a moment its zone; it is kept in UTC."""
    if value.__class__ is str:
        value = dt.datetime.fromisoformat(value)
    return value.replace(tzinfo=_UTC)  # type: ignore[no-any-return]


def _typed(read: Callable[[str], Any]) -> Codec:
    """Make a decoder that lets dates and times through, and reads texts or raises `ValueError`.

    Texts are what the server computed as such, and what is no date or time: see `read_datetime`.
    """

    def decode(value: Any) -> Any:
        return read(value) if value.__class__ is str else value

    return decode


decode_naive = _typed(dt.datetime.fromisoformat)


def read_datetime(text: str) -> Union[dt.datetime, str]:
    """Read a DATETIME as the server writes it; what is no date, such as 0000-00-00, stays a text.

    Raw SQL gives it as it is; a typed column refuses it by its decoder, which names the row.
    """
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
    t.Interval: encode_interval,
    t.Uuid: str,
    t.Json: encode_json,
}
_DECODERS: dict[type, Codec] = {
    t.Boolean: bool,
    t.Date: _typed(dt.date.fromisoformat),
    t.Time: _typed(dt.time.fromisoformat),
    t.Interval: read_interval,
    t.Uuid: uuid.UUID,
    t.Json: read_json,
}


def encoder(type_: t.SQLType) -> Optional[Codec]:
    """Give the encoder of a type, or None when the driver takes the value as it is."""
    if isinstance(type_, t.Numeric):
        return decimal_encoder(_WIDEST if type_.precision is None else type_)
    if isinstance(type_, t.DateTime):
        return encode_moment if type_.timezone else encode_naive
    if isinstance(type_, t.Array):
        return json_array_encoder(type_.item)
    return _ENCODERS.get(type(type_))


def decoder(type_: t.SQLType) -> Optional[Codec]:
    """Give the decoder of a type, or None when the driver gives the value as it is."""
    if isinstance(type_, t.DateTime):
        return decode_moment if type_.timezone else decode_naive
    if isinstance(type_, t.Array):
        return json_array_decoder(type_.item)
    return _DECODERS.get(type(type_))
