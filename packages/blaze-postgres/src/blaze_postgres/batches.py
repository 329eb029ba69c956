"""Many rows in one statement: one array for each column, unnested, so that one text serves any number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from blaze.dialects import types as t
from blaze.dialects.batches import Batch, BatchColumn, CopyTarget
from blaze_postgres.codecs import array_text, stored
from blaze_postgres.native import ranges_text
from blaze_postgres.types import RangeType

if TYPE_CHECKING:
    from blaze_postgres.dialect import PostgresDialect

__all__ = ["ArrayBatch", "copy_target", "delete_batch", "insert_batch", "update_batch", "writer_of"]

ROWS = "blaze_rows"  # the name of the unnested arrays
Writer = Callable[[Sequence[Any]], Any]


class ArrayBatch(Batch):
    """A statement whose parameters are the columns of its rows."""

    def __init__(
        self, dialect: PostgresDialect, columns: Sequence[BatchColumn], before: str, after: str
    ) -> None:
        super().__init__(columns)
        source = ", ".join(
            [f"CAST({dialect.placeholder(n)} AS {_sent(dialect, c)}[])" for n, c in enumerate(columns, 1)]
        )
        names = ", ".join([f"c{n}" for n in range(1, len(columns) + 1)])
        self.sql = f"{before} unnest({source}) AS {ROWS} ({names}){after}"
        self._writers = [writer_of(dialect, column.type) for column in columns]

    def render(self, rows: Sequence[Sequence[Any]]) -> tuple[str, Sequence[Any]]:
        return self.sql, [write(values) for write, values in zip(self._writers, zip(*rows))]


def _sent(dialect: PostgresDialect, column: BatchColumn) -> str:
    """Give the type of the items of an array of values; arrays of arrays would be unnested to the ground."""
    return "TEXT" if isinstance(stored(column.type), t.Array) else dialect.open_type(column.type)


def _read(dialect: PostgresDialect, number: int, column: BatchColumn) -> str:
    """Give the value of a row."""
    value = f"{ROWS}.c{number}"
    return (
        f"CAST({value} AS {dialect.open_type(column.type)})"
        if isinstance(stored(column.type), t.Array)
        else value
    )


def writer_of(dialect: PostgresDialect, type_: t.SQLType) -> Writer:
    """Give what makes a parameter of the encoded values of a column: of arrays, one of texts."""
    kind = stored(type_)
    texts = dialect.driver == "psycopg2"
    if not isinstance(kind, t.Array):
        return array_text(kind) if texts else list
    if texts:
        return array_text(t.String())
    item = stored(kind.item)
    text = ranges_text(dialect, item) if isinstance(item, RangeType) else array_text(item)
    return lambda values: [None if value is None else text(value) for value in values]


def insert_batch(
    dialect: PostgresDialect, table: str, columns: Sequence[BatchColumn], ending: str
) -> ArrayBatch:
    """Give the INSERT of many rows; they are numbered in the order of the arrays."""
    names = ", ".join([column.name for column in columns])
    values = ", ".join([_read(dialect, n, column) for n, column in enumerate(columns, 1)])
    return ArrayBatch(dialect, columns, f"INSERT INTO {table} ({names}) SELECT {values} FROM", ending)


def update_batch(
    dialect: PostgresDialect, table: str, columns: Sequence[BatchColumn], keys: Sequence[BatchColumn]
) -> ArrayBatch:
    """Give the UPDATE of many rows by key."""
    changes = [f"{column.name} = {_read(dialect, n, column)}" for n, column in enumerate(columns, 1)]
    after = f" WHERE {_matching(dialect, table, keys, len(columns))}"
    return ArrayBatch(dialect, (*columns, *keys), f"UPDATE {table} SET {', '.join(changes)} FROM", after)


def delete_batch(dialect: PostgresDialect, table: str, keys: Sequence[BatchColumn]) -> ArrayBatch:
    """Give the DELETE of many rows by key."""
    return ArrayBatch(
        dialect, keys, f"DELETE FROM {table} USING", f" WHERE {_matching(dialect, table, keys, 0)}"
    )


def _matching(dialect: PostgresDialect, table: str, keys: Sequence[BatchColumn], before: int) -> str:
    return " AND ".join(
        [f"{table}.{key.name} = {_read(dialect, n, key)}" for n, key in enumerate(keys, before + 1)]
    )


def copy_target(
    dialect: PostgresDialect, schema: Any, table: str, columns: Sequence[BatchColumn]
) -> CopyTarget:
    """Give where COPY puts rows."""
    name = dialect.quote(table) if schema is None else f"{dialect.quote(schema)}.{dialect.quote(table)}"
    names = ", ".join([dialect.quote(column.name) for column in columns])
    return CopyTarget(
        f"COPY {name} ({names}) FROM STDIN",
        name,
        schema,
        table,
        tuple([column.name for column in columns]),
        tuple([column.type for column in columns]),
    )
