"""Many rows in one statement: the rows stand in its text, which the drivers fill in anyway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from blaze.dialects.batches import Batch, BatchColumn

if TYPE_CHECKING:
    from blaze_mysql.dialect import MySQLDialect

__all__ = ["RowsBatch", "delete_batch", "insert_batch", "update_batch"]

ROWS = "blaze_rows"  # the name of the table of new values


class RowsBatch(Batch):
    """A statement in whose text a group of placeholders stands for each row.

    No packet may be longer than the server's `max_allowed_packet`, 16 MB at least.
    """

    size = 1_000
    length = 1_000_000

    def __init__(self, columns: Sequence[BatchColumn], before: str, row: str, after: str) -> None:
        super().__init__(columns)
        self._before, self._row, self._after = before, row, after

    def render(self, rows: Sequence[Sequence[Any]]) -> tuple[str, Sequence[Any]]:
        text = f"{self._before}{', '.join([self._row] * len(rows))}{self._after}"
        return text, [value for row in rows for value in row]


def marks(columns: Sequence[BatchColumn]) -> str:
    """Give the placeholders of a row."""
    return f"({', '.join(['%s'] * len(columns))})"


def insert_batch(table: str, columns: Sequence[BatchColumn], ending: str) -> RowsBatch:
    """Give the INSERT of many rows; they are numbered in this order."""
    names = ", ".join([column.name for column in columns])
    return RowsBatch(columns, f"INSERT INTO {table} ({names}) VALUES ", marks(columns), ending)


def update_batch(
    dialect: MySQLDialect, table: str, columns: Sequence[BatchColumn], keys: Sequence[BatchColumn]
) -> RowsBatch:
    """Give the UPDATE of many rows by key: a join with a table of the new values.

    An empty query in front of the values gives their columns names and collations.
    """
    everything = (*columns, *keys)
    heads = ", ".join([f"{column.name} AS c{n}" for n, column in enumerate(everything, 1)])
    changes = ", ".join([f"{table}.{column.name} = {ROWS}.c{n}" for n, column in enumerate(columns, 1)])
    matching = " AND ".join(
        [f"{table}.{key.name} = {ROWS}.c{n}" for n, key in enumerate(keys, len(columns) + 1)]
    )
    before = f"UPDATE {table} JOIN (SELECT {heads} FROM {table} WHERE 1 = 0 UNION ALL VALUES "
    row = marks(everything) if dialect.server.mariadb else f"ROW{marks(everything)}"
    return RowsBatch(everything, before, row, f") AS {ROWS} ON {matching} SET {changes}")


def delete_batch(table: str, keys: Sequence[BatchColumn]) -> RowsBatch:
    """Give the DELETE of many rows by key."""
    names = ", ".join([key.name for key in keys])
    if len(keys) == 1:
        return RowsBatch(keys, f"DELETE FROM {table} WHERE {names} IN (", "%s", ")")
    return RowsBatch(keys, f"DELETE FROM {table} WHERE ({names}) IN (", marks(keys), ")")
