"""Streams: results in batches that are not kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from blaze.errors import QueryError
from blaze.persistence.identity_map import IdentityMap
from blaze.persistence.loading import load_includes
from blaze.plan import Plan
from blaze.query.query import Query

if TYPE_CHECKING:
    from blaze.persistence.base import SessionBase


class _Overlay(dict):  # type: ignore[type-arg]
    """The objects of one batch over those that the session holds."""

    __slots__ = ("held",)

    def __init__(self, held: dict[Any, Any]) -> None:
        super().__init__()
        self.held = held

    def get(self, key: Any, default: Any = None) -> Any:
        found = self.held.get(key)
        return found if found is not None else dict.get(self, key, default)


class _BatchIdentity(IdentityMap):
    """An identity map for one batch: it knows the session's objects and is thrown away with the batch."""

    def __init__(self, held: IdentityMap) -> None:
        super().__init__()
        self.held = held

    def __missing__(self, model: Any) -> Any:
        found = self[model] = _Overlay(self.held[model])
        return found


class Stream:
    """A compiled query ready to be read in batches."""

    def __init__(self, session: SessionBase, query: Query[Any]) -> None:
        compiled = session.compilation.query(query)
        self.session = session
        self.sql, self.params = compiled.render(query.binds)
        self.includes = compiled.includes
        self.lazy = compiled.lazy or session.lazy_of(query.root.mapper)
        self._load = compiled.load
        self._identity = session.identity

    def load(self, rows: Sequence[Any]) -> list[Any]:
        """Turn a batch of rows into results."""
        self._identity = _BatchIdentity(self.session.identity)
        return self._load(rows, self._identity, self.session, self.lazy)  # type: ignore[no-any-return]

    def include(self, items: list[Any]) -> Plan[None]:
        """Load the included relations of a batch."""
        return load_includes(self.session, items, self.includes, self.lazy, self._identity)


def prepare_stream(session: SessionBase, statement: Any) -> Plan[Stream]:
    """Flush what is pending and compile the query."""
    if not isinstance(statement, Query):
        raise QueryError(f"stream() takes a query, not {statement!r}")
    session.check_usable()
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    if session.dialect.features.begin_on_read:
        yield from session.transactions.begin()
    return Stream(session, statement)
