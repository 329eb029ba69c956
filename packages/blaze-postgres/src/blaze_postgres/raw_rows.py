"""Rows of raw SQL: values of the types that Blaze has classes for are of these through either driver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from blaze.dialects import types as t
from blaze_postgres.types import (
    Cidr,
    DateRange,
    Inet,
    Int4Range,
    Int8Range,
    NumRange,
    TsRange,
    TstzRange,
)

if TYPE_CHECKING:
    from blaze_postgres.dialect import PostgresDialect

__all__ = ["raw_rows"]

# The numbers that PostgreSQL gives to the types whose values the drivers give each in its own way, and to
# their arrays.
_NUMBERS: tuple[tuple[int, int, t.SQLType], ...] = (
    (2950, 2951, t.Uuid()),
    (869, 1041, Inet()),
    (650, 651, Cidr()),
    (3904, 3905, Int4Range()),
    (3926, 3927, Int8Range()),
    (3906, 3907, NumRange()),
    (3912, 3913, DateRange()),
    (3908, 3909, TsRange()),
    (3910, 3911, TstzRange()),
)
_TYPES: dict[int, t.SQLType] = {}
for _one, _many, _type in _NUMBERS:
    _TYPES[_one], _TYPES[_many] = _type, t.Array(_type)


def raw_rows(
    dialect: PostgresDialect, numbers: Sequence[int], rows: Iterable[Sequence[Any]]
) -> list[tuple[Any, ...]]:
    """Give rows as tuples; `numbers` are those of the types of their columns."""
    found = {place: dialect.decoder(_TYPES[n]) for place, n in enumerate(numbers) if n in _TYPES}
    readers = [(place, read) for place, read in found.items() if read is not None]
    if not readers:
        return list(map(tuple, rows))
    made = []
    for row in rows:
        values = list(row)
        for place, read in readers:
            if values[place] is not None:
                values[place] = read(values[place])
        made.append(tuple(values))
    return made
