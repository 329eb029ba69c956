"""Streams: results in batches that are not kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Optional

from blaze.errors import QueryError
from blaze.persistence.counts import execution
from blaze.persistence.identity_map import IdentityMap
from blaze.persistence.loading import load_clauses
from blaze.plan import Execute, Plan
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
        base = model.__mapper__.base.model
        if base is not model:
            return self[base]
        found = self[model] = _Overlay(self.held[model])
        return found


class Stream:
    """A compiled query ready to be read in batches."""

    sql: str
    params: Sequence[Any]

    def __init__(self, session: SessionBase, query: Query[Any]) -> None:
        compiled = session.compilation.query(query)
        self.session = session
        self.sql, self.params = compiled.render(query.binds)
        self.query = query
        self.includes = bool(compiled.includes or compiled.portions)
        self.hooked = session.known_before() is not None
        self.follows = self.includes or self.hooked  # whether there is anything to do for a batch
        self.seconds = 0.0  # spent in the database
        self.rows = 0
        self.error: Optional[BaseException] = None
        self.lazy = compiled.lazy
        self._load = compiled.load
        self._identity = session.identity
        self._items: list[Any] = []

    def load(self, rows: Sequence[Any]) -> list[Any]:
        """Turn a batch of rows into results."""
        self.rows += len(rows)
        self._let_go()
        self._identity = _BatchIdentity(self.session.identity)
        self._items = self._load(rows, self._identity, self.session, self.lazy)
        return self._items

    def _let_go(self) -> None:
        """Let the objects of a batch forget each other, so that each is freed with its last reference."""
        session = self.session
        made = [objects.values() for objects in self._identity.values()] if self._items else []
        for instances in made if session.work.mutables else ():
            session.work.sweep_among(instances, session.compilation.codecs)
        for objects in (self._items, *made):
            for each in objects:
                context = getattr(each, "_ctx_", None)
                if context is not None and context.members:
                    context.members = ()
        self._items = []

    def follow(self, items: list[Any]) -> Plan[None]:
        """Load the included relations of a batch and run the `on_load` hooks of the objects it made."""
        if self.includes:
            yield from load_clauses(self.session, self.query, items, self.lazy, self._identity)
        if self.hooked:
            for objects in list(self._identity.values()):
                yield from self.session.loaded(list(objects.values()))

    @contextmanager
    def timing(self, connection: Any) -> Iterator[None]:
        """Take the time of one batch; note an error."""
        started = perf_counter()
        try:
            yield
        except BaseException as error:
            self.error = error
            self.session.transactions.note_failure(error, connection)
            raise
        finally:
            self.seconds += perf_counter() - started

    def ended(self) -> dict[str, Any]:
        """Note the statement in statistics and logs; return what `after_execute` is told."""
        self._let_go()
        command = Execute(self.sql, self.params)
        rows: Optional[int] = None
        if self.error is None:
            rows = self.session.observe(command, self.seconds, self.rows)
        else:
            self.session.observe_failure(command, self.seconds, self.error)
        return execution(command, self.seconds, rows, self.error)


def prepare_stream(session: SessionBase, statement: Any, size: Any) -> Plan[Stream]:
    """Flush what is pending and compile the query."""
    if size.__class__ is not int or size < 1:
        raise QueryError(f"stream() takes a size from 1 on, not {size!r}")
    if not isinstance(statement, Query):
        raise QueryError(f"stream() takes a query, not {statement!r}")
    session.check_usable()
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    features = session.dialect.features
    if features.begin_on_read or features.stream_in_transaction:
        yield from session.transactions.begin()
    return Stream(session, statement)
