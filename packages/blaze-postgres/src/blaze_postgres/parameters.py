"""What raw SQL says about the type of each of its parameters.

psycopg2 writes values into the text, where each shows what it is; asyncpg sends them apart, and has the
server guess their types from what stands beside them: a 5.5 beside a whole number would be cut to 5.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Optional

from blaze.dialects import types as t
from blaze.sql.tokens import tokenize
from blaze.sql.values import type_of
from blaze_postgres.codecs import stored

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect

__all__ = ["parameter_forms", "reading_texts"]

PLAIN = "{}"
# Texts and documents are left to the server: they may stand for a value of any type.
_BY_CLASS: dict[type, str] = {
    str: "",
    bool: "bool",
    float: "float8",
    Decimal: "numeric",
    bytes: "bytea",
    dt.date: "date",
    dt.time: "time",
    dt.timedelta: "interval",
    uuid.UUID: "uuid",
}
_BY_TYPE: dict[type, str] = {
    t.Boolean: "bool",
    t.Integer: "int8",
    t.Float: "float8",
    t.Numeric: "numeric",
    t.Binary: "bytea",
    t.Date: "date",
    t.Time: "time",
    t.Interval: "interval",
    t.Uuid: "uuid",
}
# Of numbers in one list, the type that holds them all.
_NUMBERS = ("int4", "int8", "numeric", "float8")

# Types whose values are texts.
_TEXTS = frozenset({"text", "varchar", "bpchar", "name"})

# What the text of psycopg2 does not show: it writes floats as decimals, round decimals as whole numbers, and
# items that are UUIDs as texts.
_UNCLEAR = frozenset({"float8", "numeric", "float8[]", "numeric[]", "uuid[]"})


def parameter_forms(values: Sequence[Any], texts: bool) -> tuple[str, ...]:
    """Give how each parameter is written, `{}` being its placeholder; `texts` says that psycopg2 writes them.

    asyncpg gets no parameter for None, but NULL: nothing would tell the type of one that stands alone.
    """
    if not texts:
        return tuple(["NULL" if value is None else _form(_name(value)) for value in values])
    names = [_name(value) for value in values]
    return tuple([_form(name) if name in _UNCLEAR else PLAIN for name in names])


def reading_texts(sql: str, types: Sequence[Any], params: Sequence[Any], dialect: Dialect) -> Optional[str]:
    """Return a statement that has the server read the texts that stand for values of other types, as it does
    for psycopg2; `types` are those that the server has guessed. None where there are no such texts.
    """
    casts: dict[str, str] = {}
    for number, (kind, value) in enumerate(zip(types, params), 1):
        if isinstance(value, str) and kind.name not in _TEXTS:
            name = f"{dialect.quote(kind.schema)}.{dialect.quote(kind.name)}"
            casts[str(number)] = f"CAST(CAST(${number} AS TEXT) AS {name})"
    parts: list[str] = []
    last = 0
    tokens = tokenize(sql, dialect.features.lexis)
    for mark, digits in zip(tokens, tokens[1:]):
        if mark.text == "$" and digits.start == mark.start + 1 and digits.text in casts:
            parts += (sql[last : mark.start], casts[digits.text])
            last = digits.start + len(digits.text)
    return "".join([*parts, sql[last:]]) if parts else None


def _form(name: str) -> str:
    return f"({{}}::{name})" if name else PLAIN


def _name(value: Any) -> str:
    """Name the type of a value as a cast does; "" where the server is to see it."""
    cls = value.__class__
    if cls is int:
        if -(2**31) <= value < 2**31:
            return "int4"
        return "int8" if -(2**63) <= value < 2**63 else "numeric"
    if isinstance(value, dt.datetime):
        return "timestamp" if value.tzinfo is None else "timestamptz"
    if isinstance(value, (list, tuple)):
        return _list_name(value)
    found = _BY_CLASS.get(cls)
    if found is None:
        found = "" if value is None else _BY_TYPE.get(stored(type_of(value)).__class__, "")
    return found


def _list_name(values: Sequence[Any]) -> str:
    names = set()
    for item in _leaves(values):
        names.add("text" if item.__class__ is str else _name(item))
    if len(names) > 1 and names.issubset(_NUMBERS):
        names = {max(names, key=_NUMBERS.index)}
    name = names.pop() if len(names) == 1 else ""
    return f"{name}[]" if name else ""


def _leaves(values: Sequence[Any]) -> Iterator[Any]:
    for item in values:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        elif item is not None:
            yield item
