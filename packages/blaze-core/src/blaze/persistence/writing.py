"""Telling the cache exactly what a block of writing statements changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase
    from blaze.persistence.caching import SessionCache


@contextmanager
def writing(
    session: SessionBase, mapper: Mapper, keys: Iterable[Any] = (), deleting: bool = False
) -> Iterator[None]:
    """Let the writing statements of the block count as changing these rows and no others.

    Without it, and outside of a flush, all rows count of all tables that a statement names.
    """
    cache = session.cache
    if cache is None:
        yield
        return
    cache.journal.note_rows(mapper, keys)
    if deleting:
        cache.journal.note_dependents([mapper])
    with _exactly(cache):
        yield


@contextmanager
def changing(
    session: SessionBase, mapper: Mapper, columns: Iterable[Any], deleting: bool = False
) -> Iterator[None]:
    """Let the writing statements of the block count as changing these columns, in any row of the model, or
    as `deleting` rows.

    Rows of other tables follow when a column is one that foreign keys name: by rules on update that the
    database may have, and because a changed key may stand for another row.
    """
    cache = session.cache
    if cache is None:
        yield
        return
    cache.journal.note_model(mapper)
    if deleting:
        cache.journal.note_dependents([mapper])
    elif any(column in column.table.primary_key for column in columns):
        cache.journal.note_dependents([mapper], moved=True)
    with _exactly(cache):
        yield


@contextmanager
def _exactly(cache: SessionCache) -> Iterator[None]:
    before, cache.exact = cache.exact, True
    try:
        yield
    finally:
        cache.exact = before
