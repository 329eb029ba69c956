"""How values of PostgreSQL's own types travel: as texts through psycopg2, as its own classes by asyncpg."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Optional

from blaze.dialects import types as t
from blaze_postgres.codecs import array_text
from blaze_postgres.codecs import encoder as codec
from blaze_postgres.ranges import Range, range_text, read_range
from blaze_postgres.types import Cidr, Inet, NativeEnum, RangeType

if TYPE_CHECKING:
    from blaze_postgres.dialect import PostgresDialect

__all__ = ["create_types", "decoder", "drop_types", "encoder", "is_native", "name_of", "ranges_text"]

Codec = Callable[[Any], Any]
_NATIVE = (Inet, Cidr, RangeType)
_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d) (?P<time>\d\d:\d\d:\d\d)(?:\.(?P<part>\d+))?(?P<zone>[+-]\d\d(?::\d\d)?)?"
)


def is_native(type_: t.SQLType) -> bool:
    """Say whether a type is one of `blaze_postgres.types` that no other type stands for."""
    return isinstance(type_, _NATIVE)


def name_of(dialect: PostgresDialect, type_: t.SQLType) -> Optional[str]:
    """Give the name of a type of PostgreSQL's own; None for all others."""
    if isinstance(type_, NativeEnum):
        name = dialect.quote(type_.name)
        return name if type_.schema is None else f"{dialect.quote(type_.schema)}.{name}"
    if isinstance(type_, RangeType):
        return type_.word
    return type(type_).__name__.upper() if isinstance(type_, _NATIVE) else None


def encoder(dialect: PostgresDialect, type_: t.SQLType) -> Codec:
    """Give the encoder of a native type."""
    texts = dialect.driver == "psycopg2"
    if not isinstance(type_, RangeType):
        return str if texts else _same
    encode = dialect.encoder(type_.item) or _same
    if texts:
        return lambda value: range_text(value, lambda bound: str(encode(bound)))
    from asyncpg import Range as DriverRange

    def encode_range(value: Range[Any]) -> Any:
        if value.empty:
            return DriverRange(empty=True)
        lower, upper = [None if each is None else encode(each) for each in (value.lower, value.upper)]
        return DriverRange(lower, upper, lower_inc=value.bounds[0] == "[", upper_inc=value.bounds[1] == "]")

    return encode_range


def decoder(dialect: PostgresDialect, type_: t.SQLType) -> Codec:
    """Give the decoder of a native type."""
    texts = dialect.driver == "psycopg2"
    if not isinstance(type_, RangeType):
        own: Any = type_
        return own.read if texts else own.normal  # type: ignore[no-any-return]
    if texts:
        zoned = isinstance(type_.item, t.DateTime) and type_.item.timezone
        read = _read_zoned if zoned else _READERS[type(type_.item)]
        return lambda value: read_range(value, read)
    decode = dialect.decoder(type_.item) or _same

    def decode_range(value: Any) -> Range[Any]:
        if value.isempty:
            return Range.nothing()
        lower, upper = [None if each is None else decode(each) for each in (value.lower, value.upper)]
        start, end = "[" if value.lower_inc else "(", "]" if value.upper_inc else ")"
        bounds: Any = start + end
        return Range(lower, upper, bounds)

    return decode_range


def ranges_text(dialect: PostgresDialect, item: RangeType) -> Callable[[Any], str]:
    """Give the function from a list of ranges, as asyncpg takes it, to the text of an array."""
    write = array_text(item)
    read = decoder(dialect, item)
    bound = codec(item.item, False) or _same
    return lambda values: write(
        [None if v is None else range_text(read(v), lambda each: str(bound(each))) for v in values]
    )


def _same(value: Any) -> Any:
    return value


def read_date(text: str) -> dt.date:
    """Read a day; the ends of time are infinity."""
    return _ENDS[text].date() if text in _ENDS else dt.date.fromisoformat(text)


def read_moment(text: str) -> dt.datetime:
    """Read a moment; the ends of time are infinity, and belong to no zone."""
    if text in _ENDS:
        return _ENDS[text]
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no moment that Python can hold")
    zone = match["zone"] or ""
    zone += ":00" if len(zone) == 3 else ""
    return dt.datetime.fromisoformat(f"{match['date']} {match['time']}.{(match['part'] or '0'):0<6}{zone}")


def _read_zoned(text: str) -> dt.datetime:
    moment = read_moment(text)
    return (
        moment.replace(tzinfo=dt.timezone.utc)
        if moment.tzinfo is None
        else moment.astimezone(dt.timezone.utc)
    )


_ENDS = {"infinity": dt.datetime.max, "-infinity": dt.datetime.min}
_READERS: dict[type, Codec] = {
    t.Integer: int,
    t.Numeric: Decimal,
    t.Date: read_date,
    t.DateTime: read_moment,
}


def _enums(types: Iterable[t.SQLType]) -> list[NativeEnum]:
    found = {}
    for type_ in types:
        while isinstance(type_, t.Array):
            type_ = type_.item
        if isinstance(type_, NativeEnum):
            found[type_] = type_
    return list(found)


def create_types(dialect: PostgresDialect, types: Iterable[t.SQLType]) -> list[str]:
    """Give the statements that create the enum types that tables need, unless they are there."""
    statements = []
    for each in _enums(types):
        labels = ", ".join([dialect.literal(label) for label in each.stored_values])
        statements.append(
            f"DO $blaze$ BEGIN CREATE TYPE {name_of(dialect, each)} AS ENUM ({labels});"
            " EXCEPTION WHEN duplicate_object THEN NULL; END $blaze$"
        )
    return statements


def drop_types(dialect: PostgresDialect, types: Iterable[t.SQLType]) -> list[str]:
    """Give the statements that drop the enum types that no other table needs."""
    return [
        f"DO $blaze$ BEGIN DROP TYPE IF EXISTS {name_of(dialect, each)};"
        " EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END $blaze$"
        for each in _enums(types)
    ]
