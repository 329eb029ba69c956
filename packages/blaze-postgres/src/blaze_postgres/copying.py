"""The text that COPY reads from psycopg2: a line for each row, a tab between values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from blaze.dialects import types as t
from blaze_postgres.codecs import interval_text, stored

__all__ = ["copy_text"]

_PLAIN = (t.Boolean, t.Integer, t.Float, t.Numeric, t.Date, t.Time, t.DateTime, t.Uuid)
_SPECIAL = ("\\", "\t", "\n", "\r")


def copy_text(types: Sequence[t.SQLType], rows: Sequence[Sequence[Any]]) -> str:
    """Give the text of encoded rows; None becomes NULL."""
    columns = [_texts(stored(type_), values) for type_, values in zip(types, zip(*rows))]
    return "\n".join(map("\t".join, zip(*columns)))


def _texts(type_: t.SQLType, values: Sequence[Any]) -> Iterable[str]:
    """Give the texts of the values of a column."""
    if isinstance(type_, _PLAIN):
        return ["\\N" if v is None else str(v) for v in values] if None in values else map(str, values)
    if isinstance(type_, t.Binary):
        return ["\\N" if v is None else f"\\\\x{bytes(v).hex()}" for v in values]
    if isinstance(type_, t.Interval):
        return ["\\N" if v is None else interval_text(v) for v in values]
    everything = "".join([v for v in values if v is not None])  # one look at a column, not at each value
    if not any(each in everything for each in _SPECIAL):
        return ["\\N" if v is None else v for v in values]
    return ["\\N" if v is None else _escaped(v) for v in values]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
