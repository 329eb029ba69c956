"""How Python values go to DuckDB and come back, exactly."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any, Optional

from blaze.dialects import types as t
from blaze.dialects.codecs import (
    decimal_encoder,
    encode_date,
    encode_interval,
    encode_moment,
    encode_naive,
    encode_time,
    json_array_decoder,
    json_array_encoder,
    read_interval,
    read_json,
    refuse,
)
from blaze.dialects.dialect import Codec

__all__ = ["PLACES", "decoder", "encoder", "item_encoder"]

_UTC = dt.timezone.utc
_FLOAT = t.Float()
_JSON = t.Json()
_write_sorted = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True
).encode
PLACES = 10  # after the point, of a decimal without precision; DuckDB has 38 digits in all
_WIDEST = t.Numeric(38, PLACES)


def encode_int(value: int) -> int:
    """Refuse what has more than 64 bits: older drivers pass the nearest float on."""
    if not t.INT64_MIN <= value <= t.INT64_MAX:
        raise refuse(t.Integer().check(value))
    return value


def encode_float(value: Any) -> float:
    """Refuse NaN, as everywhere."""
    if value != value:
        raise refuse(_FLOAT.check(value))
    return float(value)


def encode_document(value: Any) -> str:
    """Write a JSON document with its keys in order: DuckDB compares documents as texts."""
    problem = _JSON.check(value)
    if problem:
        raise refuse(problem)
    return _write_sorted(value)


def encode_utc(value: dt.datetime) -> dt.datetime:
    """Give the moment in UTC, without its zone."""
    return encode_moment(value).replace(tzinfo=None)


def decimal(type_: t.Numeric) -> Codec:
    """Give the encoder of a decimal column; older drivers misread a number with an exponent: 1E+20."""
    encode = decimal_encoder(_WIDEST if type_.precision is None else type_)

    def encode_plain(value: Any) -> Decimal:
        number: Decimal = encode(value)
        return number if number.as_tuple()[2] <= 0 else Decimal(format(number, "f"))  # type: ignore[operator]

    return encode_plain


def decode_utc(value: dt.datetime) -> dt.datetime:
    """Give a moment its zone."""
    return value.replace(tzinfo=_UTC)


def decode_decimal(value: Any) -> Decimal:
    """Read a decimal; quotients come as floats, sums of whole numbers as int."""
    return value if value.__class__ is Decimal else Decimal(repr(value))


_ENCODERS: dict[type, Codec] = {
    t.Integer: encode_int,
    t.Float: encode_float,
    t.Date: encode_date,
    t.Time: encode_time,
    t.Interval: encode_interval,
    t.Uuid: str,
    t.Json: encode_document,
    t.Binary: bytes,
}
_DECODERS: dict[type, Codec] = {
    t.Numeric: decode_decimal,
    t.Interval: read_interval,
    t.Json: read_json,
}


def encoder(type_: t.SQLType) -> Optional[Codec]:
    """Give the encoder of a type, or None when the driver takes the value as it is."""
    if isinstance(type_, t.Numeric):
        return decimal(type_)
    if isinstance(type_, t.DateTime):
        return encode_utc if type_.timezone else encode_naive
    if isinstance(type_, t.Array):
        return json_array_encoder(type_.item)
    return _ENCODERS.get(type(type_))


def decoder(type_: t.SQLType) -> Optional[Codec]:
    """Give the decoder of a type, or None when the driver gives the value as it is."""
    if isinstance(type_, t.DateTime):
        return decode_utc if type_.timezone else None
    return json_array_decoder(type_.item) if isinstance(type_, t.Array) else _DECODERS.get(type(type_))


def item_encoder(encode: Optional[Codec]) -> Codec:
    """Give what writes an item of an IN list into JSON; everything but texts is cast from its text."""

    def write(value: Any) -> str:
        if value is not None and encode is not None:
            value = encode(value)
        return value.hex() if isinstance(value, bytes) else value if isinstance(value, str) else str(value)

    return write
