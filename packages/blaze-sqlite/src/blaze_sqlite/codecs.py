"""How Python values are stored in SQLite and read back, exactly.

Every function takes one value that is not None. Those without a check of their own are C-level callables.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Optional

from blaze.dialects import types as t
from blaze.dialects.checked import Checked
from blaze.dialects.codecs import (
    encode_interval,
    json_array_decoder,
    json_array_encoder,
    read_interval,
    read_json,
    refuse,
    write_json,
)
from blaze.errors import DataError

__all__ = ["decoder", "encoder"]

Codec = Callable[[Any], Any]

_UTC = dt.timezone.utc
_JSON = t.Json()
_PLAIN = frozenset({str, int, bool, type(None)})


def encode_float(value: Any) -> Any:
    """Refuse NaN, which SQLite would store as NULL without a word; an int becomes a float."""
    if value != value:
        raise refuse(t.Float().check(value))
    return value if value.__class__ is float else float(value)


def decimal_encoder(type_: t.Numeric) -> Codec:
    """Give the encoder of a decimal column; it refuses what does not fit, because SQLite would not."""
    check = type_.check
    scale = type_.scale or 0
    longest = None if type_.precision is None else type_.precision - scale

    def encode(value: Any) -> str:
        text = str(value)
        if value.__class__ is not Decimal or "E" in text or "N" in text or "I" in text:
            problem = check(value)
            if problem:
                raise refuse(problem)
            return format(Decimal(value), "f")
        if longest is not None:
            point = text.find(".")
            whole, fraction = (point, len(text) - point - 1) if point >= 0 else (len(text), 0)
            if whole > longest or fraction > scale:  # perhaps only a sign, a lone 0 or zeros at the end
                problem = check(value)
                if problem:
                    raise refuse(problem)
        return text

    return encode


def decode_decimal(value: Any) -> Decimal:
    """Read a decimal; numbers of foreign tables come as int or float and are read as they print."""
    return Decimal(value) if value.__class__ is str else Decimal(repr(value))


def encode_moment(value: dt.datetime) -> str:
    """Write an aware datetime in UTC, always with six digits, so that texts sort as moments do."""
    if value.tzinfo is not _UTC:
        problem = _AWARE.check(value)
        if problem:
            raise refuse(problem)
        value = value.astimezone(_UTC)
    return value.isoformat(" ", "microseconds")


def encode_naive(value: dt.datetime) -> str:
    """Write a naive datetime, always with six digits."""
    if value.tzinfo is not None:
        raise refuse(_NAIVE.check(value))
    return value.isoformat(" ", "microseconds")


def in_utc(moment: dt.datetime) -> dt.datetime:
    """Give a moment that something else has written in UTC, which CURRENT_TIMESTAMP means without a zone."""
    return moment.replace(tzinfo=_UTC) if moment.tzinfo is None else moment.astimezone(_UTC)


def refuse_zone(moment: dt.datetime) -> Any:
    """Refuse a moment with a zone where naive ones are kept."""
    raise DataError("the text has a zone, and the column holds naive values (timezone=False)")


def encode_time(value: dt.time) -> str:
    """Write a time of day, always with six digits."""
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


def encode_json(value: Any) -> str:
    """Write a JSON document compactly; what would not come back equal is refused."""
    if value.__class__ is dict:
        # A flat document of plain values needs no walk: half the cost of a small one.
        for key, item in value.items():
            if key.__class__ is not str or item.__class__ not in _PLAIN:
                break
        else:
            return write_json(value)
    problem = _JSON.check(value)
    if problem:
        raise refuse(problem)
    return write_json(value)


_AWARE = t.DateTime(timezone=True)
_NAIVE = t.DateTime(timezone=False)

read_moment = Checked(dt.datetime.fromisoformat, "tzinfo", _UTC, in_utc)
read_naive = Checked(dt.datetime.fromisoformat, "tzinfo", None, refuse_zone)

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
    t.Numeric: decode_decimal,
    t.Date: dt.date.fromisoformat,
    t.Time: dt.time.fromisoformat,
    t.Interval: read_interval,
    t.Uuid: uuid.UUID,
    t.Json: read_json,
}


def encoder(type_: t.SQLType) -> Optional[Codec]:
    """Give the encoder of a type, or None when sqlite3 takes the value as it is."""
    if isinstance(type_, t.Numeric):
        return decimal_encoder(type_)
    if isinstance(type_, t.DateTime):
        return encode_moment if type_.timezone else encode_naive
    if isinstance(type_, t.Array):
        return json_array_encoder(type_.item)
    return _ENCODERS.get(type(type_))


def decoder(type_: t.SQLType) -> Optional[Codec]:
    """Give the decoder of a type, or None when sqlite3 gives the value as it is."""
    if isinstance(type_, t.Array):
        return json_array_decoder(type_.item)
    if isinstance(type_, t.DateTime):
        return read_moment if type_.timezone else read_naive
    return _DECODERS.get(type(type_))
