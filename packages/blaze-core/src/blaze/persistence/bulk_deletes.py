"""Deleting many rows by key, past the unit of work."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from blaze.persistence import following
from blaze.persistence.bulk import Progress, batches, size_of, tell, whole
from blaze.persistence.keys import checked_key
from blaze.persistence.loading import chunks, keys_condition
from blaze.persistence.writing import writing
from blaze.plan import Execute, Plan
from blaze.sql.builders import DeleteBuilder
from blaze.sql.columns import Column

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase


def bulk_delete(session: SessionBase, model: Any, keys: Iterable[Any], progress: Progress) -> Plan[int]:
    """Delete rows by key."""
    mapper = session.mapper_of(model)
    mapper.require_table()
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    return (yield from whole(session, _bulk_delete(session, mapper, keys, progress)))


def _bulk_delete(session: SessionBase, mapper: Mapper, keys: Iterable[Any], progress: Progress) -> Plan[int]:
    done = count = 0
    total = size_of(keys)
    for batch in batches(keys):
        wanted = [checked_key(mapper, key, {}) for key in batch]
        count += yield from following.delete_keys(
            session, mapper, wanted, partial(_delete_rows, session, mapper)
        )
        done += len(batch)
        yield from tell(session, progress, done, total)
    return count


def _delete_rows(session: SessionBase, mapper: Mapper, keys: list[Any]) -> Plan[int]:
    columns = [Column(mapper.source, a.column) for a in mapper.pk]
    count = 0
    for chunk in chunks(session, keys, len(columns)):
        statement = DeleteBuilder(mapper.source).where(keys_condition(columns, chunk)).build()
        sql, params = session.compilation.kept(statement).render(statement.binds)
        with writing(session, mapper, chunk, deleting=True):
            outcome = yield from session.send(Execute(sql, params, None, True))
        count += max(outcome.rowcount, 0)
    return count
