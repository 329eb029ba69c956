"""The blocking session."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union, overload

from blaze.errors import SessionError, UncommittedChangesWarning
from blaze.persistence import bulk, objects
from blaze.persistence.base import MISSING
from blaze.persistence.calls import Parameters, SessionCalls
from blaze.persistence.counts import row_count
from blaze.persistence.loading import load_deferred
from blaze.persistence.querying import MODES
from blaze.persistence.results import Result
from blaze.persistence.retry import call_with_session, pause_before, retryable
from blaze.persistence.statements import raw
from blaze.persistence.streaming import prepare_stream
from blaze.plan import Call, Command, run
from blaze.query.context import current_session
from blaze.query.entities import M
from blaze.schema.create import create_all_plan, drop_all_plan

if TYPE_CHECKING:
    from typing_extensions import Self

    from blaze.query.manager import Model
    from blaze.query.query import Path, Query
    from blaze.sql.columns import Column
    from blaze.sql.raw import Raw

R = TypeVar("R")
S = TypeVar("S")


class Session(SessionCalls):
    """A unit of work on a database: objects, their identity, and one transaction at a time.

    `target` is an `Engine`, a DSN, or an adapter with `connection_config=` or `dsn=`.

    - `autocommit`: commit right after each `add` and `delete`.
    - `auto_commit`: commit on a clean exit of the `with` block.
    - `auto_rollback`: roll back when the block raises; with False the session stays open for the caller to
      decide.
    - `atomic`: `commit()` also closes the session.
    - `autoflush`: queries write pending changes first. `lazy="raise"` forbids loading by attribute access.
    - `performance_threshold`: executions of one statement from one line after which a warning says N+1.
    - `slow_query_ms`: milliseconds after which a statement is logged as slow.
    - `hooks`: objects with methods named after the events of `blaze.hooks`.

    Use one session per thread; operations of one session from several threads wait for each other.
    Raises `ConfigurationError` for arguments that do not fit together.
    """

    def set_up(self) -> None:
        self._lock = threading.RLock()

    # --- driving plans ----------------------------------------------------------------------------

    def _run(self, plan: Any) -> Any:
        with self._lock:
            return run(plan, self._perform)

    def _perform(self, command: Command) -> Any:
        if command.__class__ is Call:
            command.refuse()  # pyright: ignore[reportAttributeAccessIssue]
        connection = self.connection
        if connection is None:
            connection = self.connection = self.engine.acquire()
        hooks = self.hooks
        if hooks.before_execute:
            for handler in hooks.before_execute:
                handler(session=self, statement=command.sql, params=command.params)
        started = perf_counter()
        try:
            result = command.apply(connection)
        except BaseException as error:
            self.transactions.note_failure(error, connection)
            if hooks.after_execute:
                self._executed(command, perf_counter() - started, 0, error)
            raise
        elapsed = perf_counter() - started
        if command.counted:
            self.observe(command, elapsed, result)  # type: ignore[arg-type]
        if hooks.after_execute:
            self._executed(command, elapsed, row_count(result), None)
        return result

    def _executed(self, command: Command, elapsed: float, rows: int, error: Optional[BaseException]) -> None:
        for handler in self.hooks.after_execute:
            handler(
                session=self,
                statement=command.sql,
                params=command.params,
                duration=elapsed,
                rows=rows,
                error=error,
            )

    def _release(self) -> None:
        if self.streams:
            if not self.closed:
                return  # they go on after a commit, and give the connection back at the end of the session
            for batches in list(self.streams):
                batches.close()
        connection, self.connection = self.connection, None
        if connection is not None:
            self.engine.release(connection, not connection.usable)

    def __del__(self) -> None:
        # Dropped without close(): what was not committed is rolled back, the connection goes back.
        if self.connection is not None:
            self.closed = True
            with suppress(Exception):  # the interpreter may be ending
                self._release()

    # --- the block --------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self.closed:
            raise SessionError("the session is closed; open a new one")
        self._entered.append(current_session.set(self))
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        current_session.reset(self._entered.pop())
        if self._entered or self.closed:
            return
        if error is not None:
            if self.auto_rollback:
                self._end(error)
            return
        try:
            if self.auto_commit:
                self.commit()
            else:
                lost = self.pending_summary()
                if lost is not None:
                    warnings.warn(
                        f"the session was left without commit(); rolled back: {lost}",
                        UncommittedChangesWarning,
                        stacklevel=2,
                    )
        finally:
            self.close()

    @staticmethod
    def current() -> Optional[Session]:
        """Return the session that `with session:` has bound here, None when there is none."""
        return current_session.get()

    def close(self) -> None:
        """Roll back what was not committed, give the connection back, and end the session; closing twice is
        no error.
        """
        self._end(None)

    def _end(self, error: Optional[BaseException]) -> None:
        """Close the session; `error` is what the hooks are told about a rollback."""
        if self.closed:
            return
        with self._lock:
            try:
                if self.work.pending or self.work.undo or self.transactions.begun:
                    self._run(self.transactions.rollback(error))
            finally:
                self.forget()
                self._release()
                if self.own_engine:
                    self.engine.dispose()

    # --- unit of work -----------------------------------------------------------------------------

    def add(self, instance: Model) -> None:
        """Register an object: a new one is inserted by the next flush, a loaded one is tracked anyway.

        Raises `SessionError` for an object of another open session, `ModelError` for anything but a model.
        """
        with self._lock:
            self.register(instance)
        self._autocommit()

    def add_all(self, instances: Iterable[Model]) -> None:
        """Register many objects."""
        with self._lock:
            for instance in instances:
                self.register(instance)
        self._autocommit()

    def delete(self, instance: Model) -> None:
        """Register an object for deletion by the next flush."""
        with self._lock:
            self.register_delete(instance)
        self._autocommit()

    def _autocommit(self) -> None:
        if self.autocommit and not self.transactions.levels:  # a transaction() block commits at its end
            self.commit()

    def flush(self) -> None:
        """Write pending changes without committing; generated keys are on the objects afterwards."""
        if self.work.pending:
            self._run(self.flush_plan())
        else:
            self.check_usable()

    def commit(self) -> None:
        """Flush and commit; the session goes on with a new transaction (with `atomic=True` it is closed).

        Raises `SessionError` inside a `transaction()` block, which commits by itself.
        """
        with self._lock:
            if self.transactions.levels:
                raise SessionError("commit() inside a transaction() block: the block commits at its end")
            try:
                self._run(self.transactions.commit())
            finally:
                self._release()
        if self.atomic:
            self.close()

    def rollback(self) -> None:
        """Undo everything since the last commit: rows, loaded values, new and deleted objects."""
        with self._lock:
            if self.closed:
                self.check_usable()
            try:
                self._run(self.transactions.rollback())
            finally:
                self._release()

    def begin(self, *, isolation: Optional[str] = None, read_only: bool = False) -> Transaction:
        """Begin a transaction now; `commit()`, `rollback()` or the end of its `with` block ends it."""
        self._run(self.transactions.open(isolation, read_only))
        return Transaction(self, None, False)

    def transaction(
        self, *, isolation: Optional[str] = None, read_only: bool = False, retries: int = 0
    ) -> Transaction:
        """Return a block: it commits on a clean exit and undoes exactly its own work on an error; blocks
        nest.

        `isolation` and `read_only` are for the outermost block. A block cannot be run again, so `retries` is
        for `run_in_transaction`.
        """
        if retries:
            raise SessionError(
                "a with block cannot be run again: use session.run_in_transaction(fn, retries=...)"
            )
        return Transaction(self, isolation, read_only)

    @overload
    def run_in_transaction(
        self,
        function: Callable[[], R],
        *,
        isolation: Optional[str] = None,
        read_only: bool = False,
        retries: int = 3,
    ) -> R: ...
    @overload
    def run_in_transaction(
        self,
        function: Callable[[Session], R],
        *,
        isolation: Optional[str] = None,
        read_only: bool = False,
        retries: int = 3,
    ) -> R: ...
    def run_in_transaction(
        self,
        function: Any,
        *,
        isolation: Optional[str] = None,
        read_only: bool = False,
        retries: int = 3,
    ) -> Any:
        """Call a function inside a transaction block, and again when the database reports a conflict.

        The function may take the session as its argument. Deadlocks and serialisation failures are retried
        `retries` times at most, with growing pauses; anything else is raised at once.
        """
        attempt = 0
        while True:
            try:
                with self.transaction(isolation=isolation, read_only=read_only):
                    return call_with_session(function, self)
            except Exception as error:
                attempt += 1
                if attempt > retries or self.transactions.levels or not retryable(error):
                    raise
                pause_before(attempt)

    def refresh(self, instance: Model) -> None:
        """Load an object again, dropping local changes; raise `NoResultError` when its row is gone."""
        self._run(objects.refresh_plan(self, instance))

    def merge(self, instance: M) -> M:
        """Copy an object of elsewhere into the session's own object of the same key, and return that."""
        return self._run(objects.merge_plan(self, instance))  # type: ignore[no-any-return]

    # --- reading ----------------------------------------------------------------------------------

    def get(self, model: type[M], key: Any = MISSING, /, **keys: Any) -> Optional[M]:
        """Return the object with a primary key, None when there is none; the identity map is asked first.

        A composite key is a tuple, or keywords.
        """
        found = self.identity.get(model)
        if found:
            try:
                instance = found.get(key)
            except TypeError:
                instance = None
            if instance is not None and not self.work.deleted:
                return instance  # type: ignore[no-any-return]
        return self._run(objects.get_plan(self, model, key, keys))  # type: ignore[no-any-return]

    def get_one(self, model: type[M], key: Any = MISSING, /, **keys: Any) -> M:
        """Return the object with a primary key; raise `NoResultError` when there is none."""
        return self._run(objects.get_one_plan(self, model, key, keys))  # type: ignore[no-any-return]

    def get_or_create(
        self, model: type[M], /, defaults: Optional[dict[str, Any]] = None, **keys: Any
    ) -> tuple[M, bool]:
        """Return the object with these values, created (with `defaults`) when there is none, and whether it
        was.
        """
        return self._run(objects.get_or_create_plan(self, model, defaults, keys))  # type: ignore[no-any-return]

    def run_query(self, query: Any, mode: str, *arguments: Any) -> Any:
        """Run a terminal method of a bound query."""
        return self._run(MODES[mode](self, query, *arguments))

    def execute(self, statement: Union[str, Raw[Any]], params: Optional[Parameters] = None, /) -> Result:
        """Run raw SQL with `?`, `%s` or `:name` placeholders, or a `sql("... {x}")` template."""
        return self._run(raw(self, statement, params))  # type: ignore[no-any-return]

    @overload
    def stream(self, statement: Query[S], /, size: int = 1000) -> Iterator[S]: ...
    @overload
    def stream(self, statement: Union[str, Raw[Any]], /, size: int = 1000) -> Iterator[Any]: ...
    def stream(self, statement: Any, /, size: int = 1000) -> Iterator[Any]:
        """Yield the results of a query while they are read, `size` rows at a time, in constant memory."""
        stream = self._run(prepare_stream(self, statement))
        if self.connection is None:
            self.connection = self.engine.acquire()
        batches = self.connection.stream(stream.sql, stream.params, size)
        self.streams = (*self.streams, batches)
        try:
            for rows in batches:
                with self._lock:
                    items = stream.load(rows)
                    if stream.includes:
                        self._run(stream.include(items))
                yield from items
                self.check_streaming()
        finally:
            batches.close()
            self.streams = tuple([other for other in self.streams if other is not batches])

    def load(self, instances: Union[Model, Sequence[Model]], /, *paths: Union[Column[Any], Path]) -> None:
        """Load relations or deferred columns of an object or of many, one statement each."""
        self._run(objects.load_plan(self, instances, paths))

    def load_lazily(self, instance: Any, relation: Any) -> Any:
        """Answer an attribute access to a relation that is not loaded."""
        known = self.resolve_known(instance, relation)
        if known is not relation.unset:
            return known
        if self.closed or instance._ctx_.lazy == "raise":
            raise self.refuse_lazy(instance, relation)
        self._run(objects.lazy_plan(self, instance, relation))
        return relation.peek(instance)

    def load_deferred(self, instance: Any, attribute: Any) -> Any:
        """Answer an attribute access to a column that was left out."""
        if self.closed:
            raise self.refuse_deferred(instance, attribute)
        context = instance._ctx_
        siblings = [o for o in context.members if o._ctx_ is context and attribute.peek(o) is attribute.unset]
        if not any(o is instance for o in siblings):
            siblings.append(instance)
        self._run(load_deferred(self, siblings, attribute))
        return getattr(instance, attribute.name)

    # --- many-to-many, bulk, tables -----------------------------------------------------------------

    def add_m2m(self, instance: Model, relation: Path, /, *objects: Model) -> None:
        """Link objects through a many-to-many relation, given as `Book.tags` or `"tags"`."""
        self.related(instance, relation).add(*objects)

    def remove_m2m(self, instance: Model, relation: Path, /, *objects: Model) -> None:
        """Unlink objects from a many-to-many relation."""
        self.related(instance, relation).remove(*objects)

    def clear_m2m(self, instance: Model, relation: Path, /) -> None:
        """Unlink every object from a many-to-many relation."""
        self.related(instance, relation).clear()

    def bulk_insert(
        self,
        objects: Iterable[Model],
        *,
        progress: Optional[Callable[[int], Any]] = None,
        return_keys: bool = False,
    ) -> bulk.BulkResult:
        """Insert many objects, past hooks and tracking; `progress` is told the number of rows so far."""
        return self._run(bulk.bulk_insert(self, objects, progress, return_keys))  # type: ignore[no-any-return]

    def bulk_update(
        self, objects: Iterable[Model], fields: Optional[Sequence[Union[Column[Any], str]]] = None
    ) -> int:
        """Update many objects by key: the named fields, or all; return the number of rows."""
        return self._run(bulk.bulk_update(self, objects, fields))  # type: ignore[no-any-return]

    def bulk_delete(self, model: type[Model], keys: Iterable[Any]) -> int:
        """Delete rows by key; return their number."""
        return self._run(bulk.bulk_delete(self, model, keys))  # type: ignore[no-any-return]

    def upsert(
        self,
        objects: Iterable[Model],
        conflict: Sequence[Union[Column[Any], str]],
        update: Optional[Sequence[Union[Column[Any], str]]] = None,
    ) -> bulk.UpsertResult:
        """Insert objects, or update the rows with the same values in the `conflict` columns."""
        return self._run(bulk.upsert(self, objects, conflict, update))  # type: ignore[no-any-return]

    def create_all(self, *models: type[Model]) -> None:
        """Create the tables of models that are missing."""
        self._run(self._schema(create_all_plan(self.dialect, models)))

    def drop_all(self, *models: type[Model]) -> None:
        """Drop the tables of models."""
        self._run(self._schema(drop_all_plan(self.dialect, models)))


class Transaction:
    """A transaction block of a session."""

    def __init__(self, session: Session, isolation: Optional[str], read_only: bool) -> None:
        self._session = session
        self._isolation = isolation
        self._read_only = read_only
        self._level: Any = None

    def __enter__(self) -> Session:
        self._level = self._session._run(self._session.transactions.enter(self._isolation, self._read_only))
        return self._session

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        session, level, self._level = self._session, self._level, None
        transactions = session.transactions
        plan = transactions.leave(level) if error is None else transactions.abandon(level, error)
        with session._lock:
            try:
                session._run(plan)
            finally:
                if not session.transactions.begun:
                    session._release()
