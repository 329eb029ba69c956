"""Many rows of one statement: in batches where the dialect has them, else row by row on the driver's side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from blaze.dialects.batches import long_positions, parts
from blaze.plan import Copy, Execute, ExecuteMany, Plan

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.persistence.base import SessionBase
    from blaze.sql.keyed import Keyed

# Fewer rows are not worth what a copy costs beside them.
COPIED = 100

Rows = Sequence[Sequence[Any]]


def write_rows(session: SessionBase, statement: Keyed, rows: Rows) -> Plan[int]:
    """Run a statement for many rows of parameters; return how many rows of the database it met (-1: unknown).

    The order in which rows are written is the database's where a batch writes them.
    """
    batch = statement.batch
    if batch is None or len(rows) == 1:
        met: int = yield from session.send(ExecuteMany(statement.sql, rows))
        return met
    if statement.copy is not None and len(rows) >= COPIED:
        copied: int = yield from session.send(Copy(statement.copy, rows))
        if copied >= 0:
            return copied
    count = 0
    for distinct in waves(rows, statement.key) if statement.key >= 0 else (rows,):
        for part in batch.parts(distinct):
            sql, params = batch.render(part)
            outcome = yield from session.send(Execute(sql, params, None, True))
            count += outcome.rowcount
    return count


def row_parts(
    session: SessionBase, attributes: Sequence[Attribute], rows: Rows, most: int, others: int = 0
) -> Iterator[Rows]:
    """Cut rows into what one INSERT may hold: `most` of them, beside so many `others` parameters."""
    features = session.dialect.features
    size = max(min(most, (features.max_bind_params - others) // max(len(attributes), 1)), 1)
    return parts(rows, long_positions(a.type for a in attributes), size, features.max_values_length)


def waves(rows: Rows, key: int) -> Iterator[Rows]:
    """Part rows that have one key into lists without such, which are written one after the other."""
    keys = [tuple(row[key:]) for row in rows]
    if len(set(keys)) == len(keys):
        yield rows
        return
    seen: dict[tuple[Any, ...], int] = {}
    found: list[list[Sequence[Any]]] = []
    for row, place in zip(rows, keys):
        number = seen[place] = seen.get(place, -1) + 1
        if number == len(found):
            found.append([])
        found[number].append(row)
    yield from found
