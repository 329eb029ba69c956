"""Statements that write many rows at once, where a dialect has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Optional

from blaze.dialects import types as t

__all__ = ["Batch", "BatchColumn", "CopyTarget", "cut", "long_positions", "parts"]

Rows = Sequence[Sequence[Any]]


class BatchColumn(NamedTuple):
    """A column of a batch: its quoted name and its type."""

    name: str
    type: t.SQLType


class CopyTarget(NamedTuple):
    """Where ``copy`` of a connection puts rows: the statement, and the same in parts for drivers that ask so.

    `name` is the quoted one of the table with its schema, the others are not quoted.
    """

    sql: str
    name: str
    schema: Optional[str]
    table: str
    columns: tuple[str, ...]
    types: tuple[t.SQLType, ...]


class Batch:
    """A statement that does to many rows what another one does to one row; rows are the other's parameters.

    Keys must differ from row to row; in which order the rows are written is the database's choice. `size` is
    the most rows of one statement, `length` about the most characters of their long values together.
    """

    size = 5_000
    length = 4_000_000

    def __init__(self, columns: Sequence[BatchColumn]) -> None:
        self._long = long_positions(column.type for column in columns)

    def render(self, rows: Rows) -> tuple[str, Sequence[Any]]:
        """Give the text and the parameters of the statement for these rows."""
        raise NotImplementedError(f"{type(self).__name__}.render")

    def parts(self, rows: Rows) -> Iterator[Rows]:
        """Cut rows into what one statement may hold."""
        return parts(rows, self._long, self.size, self.length)


def long_positions(types: Iterable[t.SQLType]) -> list[int]:
    """Return which columns of a row hold values whose length matters."""
    return [position for position, type_ in enumerate(types) if _is_long(type_)]


def parts(rows: Rows, long: Sequence[int], size: int, length: int) -> Iterator[Rows]:
    """Cut rows of parameters into what one statement may hold, with the long values at these positions."""
    if long:
        lengths = [sum([len(row[n]) for n in long if row[n] is not None]) for row in rows]
        yield from cut(rows, lengths, size, length)
        return
    for start in range(0, len(rows), size):
        yield rows if len(rows) <= size else rows[start : start + size]


def cut(rows: Rows, lengths: Sequence[int], size: int, length: int) -> Iterator[Rows]:
    """Cut rows of these lengths into lists of `size` rows and about `length` together at most."""
    start = total = 0
    for number, here in enumerate(lengths):
        if number > start and (total + here > length or number - start >= size):
            yield rows[start:number]
            start, total = number, 0
        total += here
    if start < len(rows):
        yield rows[start:] if start else rows


def _is_long(type_: t.SQLType) -> bool:
    while isinstance(type_, t.Custom):
        type_ = type_.storage
    if isinstance(type_, t.String):
        return type_.length is None or type_.length > 1_000
    return isinstance(type_, (t.Binary, t.Json, t.Array))
