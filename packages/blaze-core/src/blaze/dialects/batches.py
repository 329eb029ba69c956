"""Statements that write many rows at once, where a dialect has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Optional

from blaze.dialects import types as t

__all__ = ["Batch", "BatchColumn", "CopyTarget"]

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
        self._long = [position for position, column in enumerate(columns) if _is_long(column.type)]

    def render(self, rows: Rows) -> tuple[str, Sequence[Any]]:
        """Give the text and the parameters of the statement for these rows."""
        raise NotImplementedError(f"{type(self).__name__}.render")

    def parts(self, rows: Rows) -> Iterator[Rows]:
        """Cut rows into what one statement may hold."""
        if not self._long:
            for start in range(0, len(rows), self.size):
                yield rows if len(rows) <= self.size else rows[start : start + self.size]
            return
        start = length = 0
        for number, row in enumerate(rows):
            here = sum([len(row[position]) for position in self._long if row[position] is not None])
            if number > start and (length + here > self.length or number - start >= self.size):
                yield rows[start:number]
                start, length = number, 0
            length += here
        if start < len(rows):
            yield rows[start:] if start else rows


def _is_long(type_: t.SQLType) -> bool:
    while isinstance(type_, t.Custom):
        type_ = type_.storage
    if isinstance(type_, t.String):
        return type_.length is None or type_.length > 1_000
    return isinstance(type_, (t.Binary, t.Json, t.Array))
