"""How Python values go to PostgreSQL and come back, exactly, through either driver.

psycopg2 writes values into the text of a statement, so most things travel as they are and arrays and
documents as texts of unknown type, which the server reads as the type of their column. asyncpg knows the
type of each parameter and wants its Python value.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Optional

from blaze.dialects import codecs
from blaze.dialects import types as t
from blaze.dialects.codecs import (
    decimal_encoder,
    encode_date,
    encode_moment,
    encode_naive,
    encode_time,
    read_json,
    refuse,
)

__all__ = [
    "InfiniteDate",
    "InfiniteMoment",
    "NegativeZero",
    "array_decoder",
    "array_encoder",
    "array_text",
    "decoder",
    "encoder",
    "interval_text",
    "stored",
]

Codec = Callable[[Any], Any]

_UTC = dt.timezone.utc
_FLOAT = t.Float()
_MOMENTS = (dt.datetime.min.replace(tzinfo=_UTC), dt.datetime.max.replace(tzinfo=_UTC))
_MAYBE_EXPONENT = re.compile(r"[0-9]e[+-]?[0-9]")
# A JSON text, or a number with an exponent outside of texts.
_EXPONENT = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?e[+-]?[0-9]+')


def encode_text(value: str) -> str:
    """Refuse the NUL character, which no text of PostgreSQL can hold."""
    if "\x00" in value:
        raise refuse("PostgreSQL cannot hold the character NUL (0) in a text; use bytes")
    return value


def encode_float(value: Any) -> float:
    """Refuse NaN, as everywhere."""
    if value != value:
        raise refuse(_FLOAT.check(value))
    return float(value)


class NegativeZero(float):
    """-0.0 for psycopg2, which would write it as a decimal: those have no sign of zero."""


_NEGATIVE_ZERO = NegativeZero(-0.0)


def encode_float_for_text(value: Any) -> float:
    """Refuse NaN, as everywhere; keep the sign of zero."""
    if value:
        return encode_float(value)
    return _NEGATIVE_ZERO if math.copysign(1.0, value) < 0 else 0.0


def encode_json(value: Any) -> str:
    """Write a JSON document; JSONB keeps numbers as decimals, so floats are written with their point."""
    text = codecs.encode_json(value)
    if _MAYBE_EXPONENT.search(text):
        text = _EXPONENT.sub(_without_exponent, text)
    if "\\u0000" in text and re.search(r"(?<!\\)(?:\\\\)*\\u0000", text):
        raise refuse("PostgreSQL cannot hold the character NUL (0) in a JSON document")
    return text


def _without_exponent(match: re.Match[str]) -> str:
    text = match[0]
    if text[0] == '"':
        return text
    plain = format(Decimal(text), "f")
    return plain if "." in plain else f"{plain}.0"


class InfiniteMoment(dt.datetime):
    """The first or the last moment for psycopg2, which writes it as asyncpg does, and as both read it."""

    def __str__(self) -> str:
        return "infinity" if self.year == 9999 else "-infinity"


class InfiniteDate(dt.date):
    """The first or the last day, likewise."""

    def __str__(self) -> str:
        return "infinity" if self.year == 9999 else "-infinity"


def encode_moment_for_text(value: dt.datetime) -> dt.datetime:
    """Give an aware datetime in UTC, the ends of time as infinity."""
    value = encode_moment(value)
    if 1 < value.year < 9999:
        return value
    return InfiniteMoment.combine(value, value.timetz()) if value in _MOMENTS else value


def encode_naive_for_text(value: dt.datetime) -> dt.datetime:
    """Refuse an aware datetime, give the ends of time as infinity."""
    value = encode_naive(value)
    if 1 < value.year < 9999:
        return value
    return (
        InfiniteMoment.combine(value, value.time()) if value in (dt.datetime.min, dt.datetime.max) else value
    )


def encode_date_for_text(value: dt.date) -> dt.date:
    """Refuse a datetime, give the ends of time as infinity."""
    value = encode_date(value)
    if value in (dt.date.min, dt.date.max):
        return InfiniteDate(value.year, value.month, value.day)
    return value


def decode_moment(value: dt.datetime) -> dt.datetime:
    """Give a moment in UTC, whatever time zone the connection has got."""
    return value if value.tzinfo is _UTC else value.astimezone(_UTC)


def zoned(value: dt.datetime) -> dt.datetime:
    """Give the first and the last moment a zone: asyncpg takes them for infinity, and gives naive ones."""
    return value if value.tzinfo is not None else value.replace(tzinfo=_UTC)


_ENCODERS: dict[type, Codec] = {
    t.String: encode_text,
    t.Float: encode_float,
    t.Date: encode_date,
    t.Time: encode_time,
    t.Json: encode_json,
}


def encoder(type_: t.SQLType, native: bool) -> Optional[Codec]:
    """Give the encoder of a type that is no array, None when the driver takes the value as it is."""
    if isinstance(type_, t.Numeric):
        return decimal_encoder(type_)
    if isinstance(type_, t.DateTime):
        if native:
            return encode_moment if type_.timezone else encode_naive
        return encode_moment_for_text if type_.timezone else encode_naive_for_text
    if isinstance(type_, t.Date) and not native:
        return encode_date_for_text
    if isinstance(type_, t.Uuid) and not native:
        return str
    if isinstance(type_, t.Float) and not native:
        return encode_float_for_text
    return _ENCODERS.get(type(type_))


def decoder(type_: t.SQLType, native: bool) -> Optional[Codec]:
    """Give the decoder of a type that is no array, None when the driver gives the value as it is."""
    if isinstance(type_, t.Json):
        return read_json
    if isinstance(type_, t.DateTime) and type_.timezone:
        return zoned if native else decode_moment
    if native:
        return _uuid_of if isinstance(type_, t.Uuid) else None
    if isinstance(type_, t.Uuid):
        return uuid.UUID
    return None


def _uuid_of(value: uuid.UUID) -> uuid.UUID:
    """Give a plain UUID for asyncpg's own subclass of it."""
    return uuid.UUID(int=value.int)


class _ArrayText(str):
    """The text of an array, which remembers its items: what was written is decoded like what was read."""

    items: list[Any]

    def __new__(cls, text: str, items: list[Any]) -> _ArrayText:
        made = super().__new__(cls, text)
        made.items = items
        return made


def array_encoder(item: t.SQLType, encode: Optional[Codec], native: bool) -> Codec:
    """Give the encoder of a list: a list of encoded items, or the text of an array for psycopg2."""
    write = array_text(item)

    def encode_native(values: Any) -> list[Any]:
        if encode is None:
            return list(values)
        return [None if value is None else encode(value) for value in values]

    def encode_text_array(values: Any) -> str:
        items = encode_native(values)
        return _ArrayText(write(items), items)

    return encode_native if native else encode_text_array


def array_text(item: t.SQLType) -> Callable[[Sequence[Any]], str]:
    """Give the function from encoded items to the text of their array."""
    item = stored(item)
    if isinstance(item, t.Integer):
        return _numbers_text
    write = _item_text(item)
    if isinstance(item, (t.String, t.Json)):
        return lambda values: _texts_text(values, write)
    return lambda values: "{" + ",".join(["NULL" if v is None else write(v) for v in values]) + "}"


def _numbers_text(values: Sequence[Any]) -> str:
    texts = ["NULL" if v is None else str(v) for v in values] if None in values else map(str, values)
    return "{" + ",".join(texts) + "}"


def _texts_text(values: Sequence[Any], write: Callable[[str], str]) -> str:
    if values and None not in values:
        joined = '","'.join(values)  # one look at all of them, not at each
        if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
            return '{"' + joined + '"}'
    return "{" + ",".join(["NULL" if v is None else write(v) for v in values]) + "}"


def stored(type_: t.SQLType) -> t.SQLType:
    """Give the type that a custom one is stored as."""
    while isinstance(type_, t.Custom):
        type_ = type_.storage
    return type_


def interval_text(value: dt.timedelta) -> str:
    """Give a duration as PostgreSQL reads it, exactly."""
    return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"


def _item_text(item: t.SQLType) -> Callable[[Any], str]:
    if isinstance(item, t.Binary):
        return lambda value: f'"\\\\x{bytes(value).hex()}"'
    if isinstance(item, t.Interval):
        return lambda value: f'"{interval_text(value)}"'
    if isinstance(item, t.Array):
        inner = array_text(item.item)
        return lambda value: value if value.__class__ is _ArrayText else inner(value)
    return lambda value: '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}]+)', re.DOTALL)


def read_array(text: str) -> list[Optional[str]]:
    """Read the text of an array without arrays in it."""
    return [
        (None if plain == "NULL" else plain) if plain else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        for quoted, plain in _ITEM.findall(text)
    ]


def array_decoder(decode: Optional[Codec]) -> Codec:
    """Give the decoder of a list."""
    read = decode

    def decode_array(values: Any) -> list[Any]:
        if values.__class__ is _ArrayText:
            values = values.items
        elif isinstance(values, str):  # of a type that the driver does not know
            values = read_array(values)
        if read is None:
            return list(values)
        return [None if value is None else read(value) for value in values]

    return decode_array
