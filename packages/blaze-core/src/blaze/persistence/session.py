"""The blocking session."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union, overload

from blaze.errors import SessionError, UncommittedChangesWarning
from blaze.hooks.dispatch import call
from blaze.persistence import merging, objects, refreshing
from blaze.persistence.base import never_entered
from blaze.persistence.blocks import Transaction
from blaze.persistence.bulk_calls import BulkCalls
from blaze.persistence.caching import invalidate_plan
from blaze.persistence.calls import Parameters
from blaze.persistence.counts import execution
from blaze.persistence.expiring import revive, revived
from blaze.persistence.keys import MISSING
from blaze.persistence.loading import load_deferred
from blaze.persistence.querying import MODES
from blaze.persistence.results import Result
from blaze.persistence.retry import call_with_session, check_retries, pause_before, retryable
from blaze.persistence.statements import raw
from blaze.persistence.streaming import prepare_stream
from blaze.persistence.turns import ThreadQueue
from blaze.plan import Command, run
from blaze.query.context import current_session
from blaze.query.entities import M
from blaze.schema.create import create_all_plan, drop_all_plan

if TYPE_CHECKING:
    from typing_extensions import Self

    from blaze.hooks.table import Calls
    from blaze.query.manager import Model
    from blaze.query.query import Path, Query
    from blaze.sql.columns import Column
    from blaze.sql.raw import Raw

R = TypeVar("R")
S = TypeVar("S")


class Session(BulkCalls):
    """A unit of work on a database: objects, their identity, and one transaction at a time.

    `target` is an `Engine`, a DSN, or an adapter with `connection_config=` or `dsn=`.

    - `autocommit`: commit right after each `add` and `delete`.
    - `auto_commit`: commit on a clean exit of the `with` block.
    - `auto_rollback`: roll back when the block raises; with False the session stays open for the caller to
      decide.
    - `atomic`: `commit()` also closes the session.
    - `autoflush`: queries write pending changes first. `lazy="raise"` forbids loading by attribute access.
    - `cache_backend`: a second-level cache such as `MemoryCache()`, shared by many sessions, or the URL of
      one; look-ups by key ask it before the database.
    - `performance_threshold`: executions of one statement from one line after which a warning says N+1.
    - `slow_query_ms`: milliseconds after which a statement is logged as slow.
    - `hooks`: objects with methods named after the events of `blaze.hooks`.

    Use one session per thread. Operations of one session from several threads wait for each other, and for
    the end of a `transaction()` block of another thread: at most the `pool_timeout` of the engine.
    Raises `ConfigurationError` for arguments that do not fit together.
    """

    _queue: Optional[ThreadQueue] = None

    def set_up(self) -> None:
        self._lock = threading.RLock()

    # --- driving plans ----------------------------------------------------------------------------

    def _run(self, plan: Any) -> Any:
        with self._lock:
            if self.transactions.levels:
                self._give_way()
            try:
                return run(plan if not self.work.expired else revived(self, plan), self._perform)
            except BaseException:
                self._drop_dead()
                raise

    def _run_last(self, plan: Any) -> Any:
        """Run a plan that ends a transaction, then give the connection back unless it is open still."""
        with self._lock:
            try:
                return run(plan, self._perform)
            finally:
                if self._queue is not None:
                    self._queue.freed.notify_all()
                if not self.transactions.active:
                    self._release()

    def caller(self) -> int:
        """Return who runs this: the number of the thread."""
        return threading.get_ident()

    def _give_way(self) -> None:
        """With the lock held and a transaction block open: wait until it is not that of another thread."""
        if self.transactions.levels[0].owner != threading.get_ident():
            if self._queue is None:
                self._queue = ThreadQueue(self, self._lock)
            self._queue.wait()

    def _drop_dead(self) -> None:
        """Give a lost connection back, so that the next statement gets another."""
        connection = self.connection
        if connection is not None and not connection.usable and not self.transactions.active:
            self._release()

    def _perform(self, command: Command) -> Any:
        if not command.connected:
            return command.answer()
        connection = self.connection
        if connection is None:
            connection = self.connection = self.engine.acquire()
        if not command.counted:
            return self._control(command, connection)
        hooks = self.hooks
        if hooks.before_execute and not self.telling:
            self._tell(hooks.before_execute, statement=command.sql, params=command.params)
        started = perf_counter()
        try:
            result = command.apply(connection)
        except BaseException as error:
            elapsed = perf_counter() - started
            self.transactions.note_failure(error, connection)
            self.observe_failure(command, elapsed, error)
            if hooks.after_execute and not self.telling:
                self._tell(hooks.after_execute, **execution(command, elapsed, None, error))
            raise
        elapsed = perf_counter() - started
        rows = self.observe(command, elapsed, result)
        if hooks.after_execute and not self.telling:
            self._tell(hooks.after_execute, **execution(command, elapsed, rows, None))
        return result

    def _control(self, command: Command, connection: Any) -> Any:
        """Send what controls the transaction: no hook and no statistics stand in its way."""
        try:
            return command.apply(connection)
        except BaseException as error:
            self.transactions.note_failure(error, connection)
            raise

    def _tell(self, handlers: Calls, **arguments: Any) -> None:
        """Call the handlers of a statement; what they send themselves does not call them again."""
        self.telling = True
        try:
            call(handlers, session=self, **arguments)
        finally:
            self.telling = False

    def _release(self) -> None:
        if self.streams:
            if not self.closed:
                return  # they go on after a commit, and give the connection back at the end of the session
            for batches in list(self.streams):
                batches.close()
        if self.altered and self.keeps_connection:
            return
        connection, self.connection = self.connection, None
        if connection is not None:
            altered, self.altered = self.altered, False
            self.engine.release(connection, altered)  # which closes one that is not usable

    def __del__(self) -> None:
        # Dropped without close(): what was not committed is rolled back. The connection may be garbage, too.
        if self.connection is not None:
            self.closed = True
            with suppress(Exception):  # the interpreter may be ending
                self.discard_connection()
                self._release()

    # --- the block --------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self.closed:
            raise SessionError("the session is closed; open a new one")
        entered = self._entered
        try:
            entered.append(current_session.set(self))
            return self
        except BaseException:  # interrupted: nobody will leave the block
            if entered:
                current_session.reset(entered.pop())
            raise

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if not self._entered:
            raise never_entered()
        token = self._entered.pop()
        try:  # noqa: SIM105 - `suppress` costs a tenth of an empty session
            current_session.reset(token)
        except ValueError:  # left in another context than entered, which knows nothing of it
            pass
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
                if lost is None:
                    self.work.mutables.clear()  # unchanged, all of them: there is nothing to take back
                else:
                    warnings.warn(
                        f"the session was left without commit(); rolled back: {lost}",
                        UncommittedChangesWarning,
                        stacklevel=2,
                    )
        except BaseException as failure:
            self._end(failure)
            raise
        self._end(None)

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
        """Close the session; `error` is what the hooks are told about a rollback.

        An interrupt may come between any two steps: calling it again does the rest.
        """
        with self._lock:
            if self.transactions.levels:
                self._give_way()
            if self.flushing or self.telling or self.transactions.telling:
                self.transactions.check_may_end("close()")
            try:
                self.work.expired.clear()
                if not self.closed and (self.work.pending or self.work.undo or self.transactions.begun):
                    self._run(self.transactions.rollback(error, closing=True))
            finally:
                self.forget()
                if self.connection is not None:
                    self._release()
                if self._queue is not None:
                    self._queue.freed.notify_all()
                if self.own_engine:
                    self.engine.dispose()

    # --- unit of work -----------------------------------------------------------------------------

    def add(self, instance: Model) -> None:
        """Register an object: a new one is inserted by the next flush, a loaded one is tracked anyway.

        Raises `SessionError` for an object of another open session, `ModelError` for anything but a model.
        """
        with self._lock:
            if self.transactions.levels:
                self._give_way()
            self.register(instance)
            if self.autocommit:
                self._autocommit()

    def add_all(self, instances: Iterable[Model]) -> None:
        """Register many objects."""
        with self._lock:
            if self.transactions.levels:
                self._give_way()
            for instance in objects.listed("add_all", instances):
                self.register(instance)
            if self.autocommit:
                self._autocommit()

    def delete(self, instance: Model) -> None:
        """Register an object for deletion by the next flush."""
        with self._lock:
            if self.transactions.levels:
                self._give_way()
            self.register_delete(instance)
            if self.autocommit:
                self._autocommit()

    def expunge(self, instance: Model) -> None:
        """Take an object out of the session: it stays readable and is no longer tracked."""
        with self._lock:
            if self.transactions.levels:
                self._give_way()
            super().expunge(instance)

    def _autocommit(self) -> None:
        if self.transactions.may_commit:
            commits = self.transactions.commits
            try:
                self._run_last(self.transactions.complete())
            finally:
                if self.atomic and self.transactions.commits > commits:
                    self.close()

    def flush(self) -> None:
        """Write pending changes without committing; generated keys are on the objects afterwards."""
        if self.work.pending:
            self._run(self.flush_plan())
        else:
            self.check_usable()

    def commit(self) -> None:
        """Flush and commit; the session goes on with a new transaction (with `atomic=True` it is closed).

        When the flush fails, everything stays pending and can be mended and committed again. When the
        database refuses the COMMIT itself, `rollback()` is needed first, unless only a lock was in the way.
        Raises `SessionError` inside a `transaction()` block, which commits by itself.
        """
        commits = self.transactions.commits
        try:
            with self._lock:
                if self.transactions.levels:
                    self._give_way()
                self._run_last(self.transactions.commit(by_hand=True))
        finally:
            if self.atomic and self.transactions.commits > commits:
                self.close()

    def rollback(self) -> None:
        """Undo everything since the last commit: rows, loaded values, new and deleted objects."""
        with self._lock:
            if self.transactions.levels:
                self._give_way()
            if self.closed:
                self.check_usable()
            self._run_last(self.transactions.rollback())

    def begin(self, *, isolation: Optional[str] = None, read_only: bool = False) -> Transaction:
        """Begin a transaction now; `commit()`, `rollback()` or the end of its `with` block ends it."""
        self._run(self.transactions.open(isolation, read_only))
        return Transaction(self, None, False)

    def transaction(
        self, *, isolation: Optional[str] = None, read_only: bool = False, retries: int = 0
    ) -> Transaction:
        """Return a block: it commits on a clean exit and undoes exactly its own work on an error; blocks
        nest.

        `isolation` and `read_only` are for the outermost block. A `with` block cannot be run again, so with
        `retries` the block is called with a function: `session.transaction(retries=3)(function)`.
        """
        check_retries(retries)
        return Transaction(self, isolation, read_only, retries)

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

        The function may take the session as its argument. Deadlocks, serialisation failures and lock
        time-outs are retried `retries` times at most, with growing pauses; anything else is raised at once,
        and so is everything when the session had unsaved changes before, which a second run would leave out.
        """
        check_retries(retries)
        attempt = 0
        if not self._run(self.transactions.may_repeat()):
            retries = 0
        while True:
            try:
                with self.transaction(isolation=isolation, read_only=read_only):
                    return call_with_session(function, self)
            except Exception as error:
                attempt += 1
                if attempt > retries or not retryable(error):
                    raise
                pause_before(attempt)

    def refresh(self, instance: Model, *attributes: Any) -> None:
        """Load an object again, dropping its changes and forgetting its loaded relations.

        - `attributes`: columns or relations, or their names, of which alone that is done; relations are
          loaded.

        Raises `NoResultError` when the row is gone, `SessionError` for an object that the session does not
        hold or that is not in the database yet, `QueryError` for what is no attribute of the model.
        """
        self._run(refreshing.refresh_plan(self, instance, attributes))

    def invalidate(self, target: Union[type[Model], Model], /, *keys: Any) -> None:
        """Forget rows that somebody has changed past the session: an object's, those of keys, or all of a
        model.

        They leave the second-level cache at once. Unchanged objects of them are read again, in one statement;
        those whose rows are gone leave the session, changed ones keep their changes. Raises `QueryError` for
        a key that does not fit the model.
        """
        self._run(invalidate_plan(self, target, keys))

    def merge(self, instance: M) -> M:
        """Copy an object of elsewhere into the session's own object of the same key, and return that.

        The objects that its loaded relations show are merged with it; an object without a row is copied as a
        new one. Raises `StaleDataError` when the row has another version than the object.
        """
        return self._run(merging.merge_plan(self, instance))  # type: ignore[no-any-return]

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
        """Return the object with these values, created (with `defaults`, functions among which are called)
        when there is none, and whether it was.
        """
        return self._run(objects.get_or_create_plan(self, model, defaults, keys))  # type: ignore[no-any-return]

    def run_query(self, query: Any, mode: str, *arguments: Any) -> Any:
        """Run a terminal method of a bound query."""
        return self._run(MODES[mode](self, query, *arguments))

    def execute(self, statement: Union[str, Raw[Any]], params: Optional[Parameters] = None, /) -> Result:
        """Run raw SQL with `?`, `%s` or `:name` placeholders, or a `sql("... {x}")` template."""
        return self._run(raw(self, statement, params))  # type: ignore[no-any-return]

    def stream(self, statement: Query[S], /, size: int = 1000) -> Iterator[S]:
        """Yield the results of a query while they are read, `size` rows at a time, in constant memory.

        Statistics, logs and `after_execute` hear of it when it has ended or was closed. Raises `QueryError`
        for anything but a query, `SessionError` when the session is closed meanwhile.
        """
        hooks = self.hooks
        with self._lock:
            stream = self._run(prepare_stream(self, statement, size))
            if hooks.before_execute and not self.telling:
                self._tell(hooks.before_execute, statement=stream.sql, params=stream.params)
            connection = self.connection
            if connection is None:
                connection = self.connection = self.engine.acquire()
            batches = connection.stream(stream.sql, stream.params, size)
            self.streams = (*self.streams, batches)
        try:
            while True:
                with self._lock:
                    if self.transactions.levels:
                        self._give_way()
                    self.check_streaming(connection)
                    with stream.timing(connection):
                        rows = next(batches, None)
                    if rows is None:
                        break
                    items = stream.load(rows)
                    if stream.follows:
                        self._run(stream.follow(items))
                yield from items
        finally:
            with self._lock:
                batches.close()
                self.streams = tuple([other for other in self.streams if other is not batches])
                ended = stream.ended()
                if hooks.after_execute and not self.telling:
                    self._tell(hooks.after_execute, **ended)

    def load(self, instances: Union[Model, Sequence[Model]], /, *paths: Union[Column[Any], Path]) -> None:
        """Load relations or deferred columns of an object or of many, one statement each."""
        self._run(objects.load_plan(self, instances, paths))

    def load_lazily(self, instance: Any, relation: Any, flush: bool = True) -> Any:
        """Answer an attribute access to a relation that is not loaded; assignments `flush` nothing before."""
        known = self.resolve_known(instance, relation)
        if known is not relation.unset:
            return known
        if self.closed or self.lazy_of(instance) == "raise":
            raise self.refuse_lazy(instance, relation)
        self._run(objects.lazy_plan(self, instance, relation, flush and self.autoflush))
        return relation.peek(instance)

    def load_deferred(self, instance: Any, attribute: Any) -> Any:
        """Answer an attribute access to a column that was left out."""
        if self.closed or self.lazy_of(instance) == "raise":
            raise self.refuse_deferred(instance, attribute)
        if self.work.is_expired(instance):
            self._run(revive(self))
            return getattr(instance, attribute.name)
        context = instance._ctx_
        siblings = [o for o in context.members if o._ctx_ is context and attribute.peek(o) is attribute.unset]
        if not any(o is instance for o in siblings):
            siblings.append(instance)
        self._run(load_deferred(self, siblings, attribute))
        return getattr(instance, attribute.name)

    # --- many-to-many, tables -----------------------------------------------------------------

    def add_m2m(self, instance: Model, relation: Path, /, *objects: Model) -> None:
        """Link objects through a many-to-many relation, given as `Book.tags` or `"tags"`."""
        self.related(instance, relation).add(*objects)

    def remove_m2m(self, instance: Model, relation: Path, /, *objects: Model) -> None:
        """Unlink objects from a many-to-many relation."""
        self.related(instance, relation).remove(*objects)

    def clear_m2m(self, instance: Model, relation: Path, /) -> None:
        """Unlink every object from a many-to-many relation."""
        self.related(instance, relation).clear()

    def create_all(self, *models: type[Model]) -> None:
        """Create the tables of models that are missing."""
        self._run(self._schema(create_all_plan(self.dialect, models)))

    def drop_all(self, *models: type[Model]) -> None:
        """Drop the tables of models."""
        self._run(self._schema(drop_all_plan(self.dialect, models)))
