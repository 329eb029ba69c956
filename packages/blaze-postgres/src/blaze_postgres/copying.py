"""The text that COPY reads from psycopg2: a line for each row, a tab between values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from blaze.dialects import types as t
from blaze_postgres.codecs import interval_text, stored

__all__ = ["copy_text"]

Writer = Callable[[Any], str]
_PLAIN = (t.Boolean, t.Integer, t.Float, t.Numeric, t.Date, t.Time, t.DateTime, t.Uuid)


def copy_text(types: Sequence[t.SQLType], rows: Sequence[Sequence[Any]]) -> str:
    """Give the text of encoded rows; None becomes NULL."""
    columns = []
    for type_, values in zip(types, zip(*rows)):
        write = _writer(stored(type_))
        columns.append(["\\N" if value is None else write(value) for value in values])
    return "\n".join(map("\t".join, zip(*columns)))


def _writer(type_: t.SQLType) -> Writer:
    if isinstance(type_, _PLAIN):
        return str
    if isinstance(type_, t.Binary):
        return lambda value: f"\\\\x{bytes(value).hex()}"
    return interval_text if isinstance(type_, t.Interval) else _escaped


def _escaped(value: Any) -> str:
    text = str(value)
    if text.isalnum():
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
