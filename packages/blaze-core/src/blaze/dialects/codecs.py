"""Conversions that many backends share: each refuses what its type cannot hold exactly.

Every function takes one value that is not None. Lists without a type of the database are kept as JSON.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, Optional

from blaze.dialects import types as t
from blaze.errors import DataError

__all__ = [
    "decimal_encoder",
    "encode_date",
    "encode_interval",
    "encode_json",
    "encode_moment",
    "encode_naive",
    "encode_time",
    "json_array_decoder",
    "json_array_encoder",
    "read_interval",
    "read_json",
    "refuse",
    "rooted",
    "write_json",
]

Codec = Callable[[Any], Any]

_UTC = dt.timezone.utc
_JSON, _AWARE, _NAIVE, _TIME, _DATE = t.Json(), t.DateTime(True), t.DateTime(False), t.Time(), t.Date()

# Without a check: what goes in has been looked at.
write_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
read_json = json.JSONDecoder().decode
encode_interval: Codec = dt.timedelta(microseconds=1).__rfloordiv__  # type: ignore[attr-defined]
read_interval = partial(dt.timedelta, 0, 0)


def refuse(problem: Optional[str]) -> DataError:
    """Make the error of a value that a column cannot hold."""
    return DataError(f"the value does not fit: {problem}")


def decimal_encoder(type_: t.Numeric) -> Codec:
    """Give the encoder of a decimal column, for databases that would round what has too many places."""
    check = type_.check
    least, whole = -t.MOST_DECIMAL_PLACES, t.MOST_WHOLE_DIGITS
    if type_.precision is not None:
        least, whole = -(type_.scale or 0), type_.precision - (type_.scale or 0)

    def encode(value: Any) -> Decimal:
        if value.__class__ is Decimal:
            _, digits, exponent = value.as_tuple()
            # Most values pass here, in a third of the time of the check.
            if exponent.__class__ is int and least <= exponent <= 0 and len(digits) + exponent <= whole:
                return value
        problem = check(value)
        if problem:
            raise refuse(problem)
        return value if value.__class__ is Decimal else Decimal(value)

    return encode


def encode_moment(value: dt.datetime) -> dt.datetime:
    """Give an aware datetime in UTC."""
    if value.tzinfo is not _UTC:
        problem = _AWARE.check(value)
        if problem:
            raise refuse(problem)
        return value.astimezone(_UTC)
    return value


def encode_naive(value: dt.datetime) -> dt.datetime:
    """Refuse an aware datetime for a naive column."""
    if value.tzinfo is not None:
        raise refuse(_NAIVE.check(value))
    return value


def encode_time(value: dt.time) -> dt.time:
    """Refuse a time with a zone, which a database would cut off."""
    if value.tzinfo is not None:
        raise refuse(_TIME.check(value))
    return value


def encode_date(value: dt.date) -> dt.date:
    """Refuse a datetime, which a database would cut to its day."""
    if value.__class__ is not dt.date:
        problem = _DATE.check(value)
        if problem:
            raise refuse(problem)
    return value


def encode_json(value: Any) -> str:
    """Write a JSON document compactly; what would not come back equal is refused."""
    problem = _JSON.check(value)
    if problem:
        raise refuse(problem)
    return write_json(value)


def _decimal_text(value: Any) -> str:
    return format(decimal_encoder(t.Numeric())(value), "f")


# How the items of a list stand in its JSON, and how they are read.
_ITEMS: dict[t.SQLType, tuple[Codec, Codec]] = {
    t.Binary(): (lambda value: bytes(value).hex(), bytes.fromhex),
    t.Date(): (lambda value: encode_date(value).isoformat(), dt.date.fromisoformat),
    t.Time(): (lambda value: encode_time(value).isoformat("microseconds"), dt.time.fromisoformat),
    _AWARE: (lambda value: encode_moment(value).isoformat(" ", "microseconds"), dt.datetime.fromisoformat),
    _NAIVE: (lambda value: encode_naive(value).isoformat(" ", "microseconds"), dt.datetime.fromisoformat),
    t.Interval(): (encode_interval, read_interval),
    t.Uuid(): (str, uuid.UUID),
}


def _item(item: t.SQLType) -> tuple[Optional[Codec], Optional[Codec]]:
    if isinstance(item, t.Numeric):
        return _decimal_text, Decimal
    if isinstance(item, t.Array):
        return partial(_write_items, _item(item.item)[0]), partial(_read_items, _item(item.item)[1])
    if isinstance(item, t.Custom):
        write, read = _item(item.storage)
        into, out = item.to_storage(), item.from_storage()
        return (
            into if write is None else lambda value: write(into(value)),
            out if read is None else lambda value: out(read(value)),
        )
    return _ITEMS.get(item, (None, None))


def _write_items(write: Optional[Codec], values: Any) -> list[Any]:
    return list(values) if write is None else [None if each is None else write(each) for each in values]


def rooted(read: Optional[Codec], kind: type) -> Codec:
    """Give the decoder of a document that must be a dict, or a list: others may have written another."""

    def decode(stored: Any) -> Any:
        value = stored if read is None else read(stored)
        if value.__class__ is not kind and value is not None:
            raise DataError(f"the database holds a JSON {type(value).__name__}, not a {kind.__name__}")
        return value

    return decode


def _read_items(read: Optional[Codec], items: list[Any]) -> list[Any]:
    return items if read is None else [None if each is None else read(each) for each in items]


def json_array_encoder(item: t.SQLType) -> Codec:
    """Give the encoder of a list that is kept as JSON."""
    write = _item(item)[0]
    return lambda values: encode_json(_write_items(write, values))


def json_array_decoder(item: t.SQLType) -> Codec:
    """Give the decoder of a list that is kept as JSON."""
    read = _item(item)[1]
    whole = rooted(read_json, list)
    if read is None:
        return whole

    def decode(text: Any) -> Any:
        items = whole(text)  # None for JSON's null, as of every document
        return None if items is None else _read_items(read, items)

    return decode
