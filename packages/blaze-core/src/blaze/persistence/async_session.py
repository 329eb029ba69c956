"""The asynchronous session."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union, overload

from blaze.adapters.async_alone import AsyncExecuteAlone
from blaze.errors import SessionError, UncommittedChangesWarning
from blaze.hooks.dispatch import acall
from blaze.persistence import merging, objects, refreshing
from blaze.persistence.async_blocks import AsyncTransaction
from blaze.persistence.async_turns import HookRun, TaskQueue, Turn, check_block, is_barred, running_hook
from blaze.persistence.base import never_entered
from blaze.persistence.bulk_calls import AsyncBulkCalls
from blaze.persistence.caching import invalidate_plan
from blaze.persistence.calls import Parameters
from blaze.persistence.counts import execution
from blaze.persistence.expiring import revived
from blaze.persistence.keys import MISSING
from blaze.persistence.querying import MODES
from blaze.persistence.results import Result
from blaze.persistence.retry import await_with_session, check_retries, pause_length, retryable
from blaze.persistence.statements import raw
from blaze.persistence.streaming import prepare_stream
from blaze.persistence.turns import refused
from blaze.plan import Command, arun
from blaze.query.context import current_async_session
from blaze.query.entities import M
from blaze.schema.create import create_all_plan, drop_all_plan
from blaze.utils.awaitables import is_awaitable

if TYPE_CHECKING:
    from typing_extensions import Self

    from blaze.hooks.table import Calls
    from blaze.query.manager import Model
    from blaze.query.query import Path, Query
    from blaze.sql.columns import Column
    from blaze.sql.raw import Raw

R = TypeVar("R")
S = TypeVar("S")


class AsyncSession(AsyncBulkCalls):
    """The asynchronous session: the arguments and methods of `Session`, awaited.

    `add`, `add_all` and `delete` register at once and return something to await, which only matters with
    `autocommit=True`: it commits, and what nobody awaited is committed by the next awaited call, or by the
    end of the block. Nothing is loaded by attribute access: `include` what is needed, or `await
    session.load(...)`. Use one session per task. Operations of tasks that share one wait for each other, and
    for the end of a `transaction()` block of another task: at most the `pool_timeout` of the engine; `add`
    and `delete` cannot wait and raise `SessionError`. Tasks that are started inside of a block take part in
    it. A cancelled task leaves no half transaction.
    """

    asynchronous = True
    lone_command = AsyncExecuteAlone

    _lock: Optional[asyncio.Lock] = None
    _queue: Optional[TaskQueue] = None
    _owner: Optional[asyncio.Task[Any]] = None
    _commit_due = False  # autocommit: something was registered, and nobody has awaited that yet

    # --- driving plans ----------------------------------------------------------------------------

    async def _run(self, plan: Any, last: bool = False, entering: bool = False) -> Any:
        """Run a plan; the `last` of a transaction gives the connection back unless it is open still."""
        if self.work.expired and not last:
            plan = revived(self, plan)
        task = asyncio.current_task()
        run = running_hook(self)
        if run is not None or self._owner is task:  # a hook uses the session that runs it
            try:
                if run is None:
                    return await arun(plan, self._perform)
                async with run.lock:
                    return await arun(plan, self._perform)
            finally:
                if last and not self.transactions.active:
                    await self._release()
        await self._take_turn(task, entering)
        try:
            if self._commit_due and self.transactions.may_commit:
                await self._commit_registered()
            return await arun(plan, self._perform)
        finally:
            await self._end_turn(last)

    def caller(self) -> Any:
        """Return who runs this: the task."""
        return asyncio.current_task()

    async def _take_turn(self, task: Any, entering: bool = False) -> None:
        """Wait until no other task uses the session and none is inside of a block; then it is this task's.

        Raises `SessionError` when a block does not end in time.
        """
        check_block(self)
        if running_hook(self) is not None:
            raise SessionError(
                "a task that a hook has started opens a stream of the session that runs the hook: "
                "open it in the hook itself, or give the task a session of its own"
            )
        lock = self._lock
        if lock is None:
            lock = self._lock = asyncio.Lock()
        if entering and self._queue and not self.transactions.levels:  # who waits comes first
            await self._queue.wait(lock)
        else:
            await lock.acquire()
            if self.transactions.levels and is_barred(self):
                lock.release()
                if self._queue is None:
                    self._queue = TaskQueue(self)
                await self._queue.wait(lock)
        self._owner = task

    async def _end_turn(self, last: bool) -> None:
        """Let others in, after giving back a connection that is not needed or cannot be used any more.

        So it is when another task has closed the session meanwhile: that one left the connection to us.
        """
        try:
            connection, active = self.connection, self.transactions.active
            if self.closed or (connection is not None and not active and (last or not connection.usable)):
                await self._release()
        finally:
            self._owner = None
            self._lock.release()  # type: ignore[union-attr] # there is one since the turn began
            if self._queue is not None:
                self._queue.wake()

    def expunge(self, instance: Any) -> None:
        """Take an object out of the session: it stays readable and is no longer tracked.

        Raises `SessionError` while another task's flush is writing, which may be about this object.
        """
        if self.flushing and self._in_use():
            raise SessionError("another task is flushing the session: await that before expunge()")
        super().expunge(instance)

    def _check_turn(self) -> None:
        """Raise `SessionError` where a task would have to wait for the block of another one."""
        check_block(self)
        if self.transactions.levels and is_barred(self):
            raise refused("task")

    def _in_use(self) -> bool:
        """Whether another task runs something in the session."""
        return self._owner is not None and self._owner is not asyncio.current_task()

    async def _perform(self, command: Command) -> Any:
        if not command.connected:
            answer = command.apply(None)
            return (await HookRun(self).wait_for(answer)) if is_awaitable(answer) else answer
        connection = self.connection
        if connection is None:
            connection = self.connection = await self.engine.aacquire()
        if not command.counted:
            return await self._control(command, connection)
        hooks = self.hooks
        if hooks.before_execute and not self.telling:
            await self._tell(hooks.before_execute, statement=command.sql, params=command.params)
        started = perf_counter()
        try:
            result = await command.apply(connection)
        except BaseException as error:
            elapsed = perf_counter() - started
            self.transactions.note_failure(error, connection)
            self.observe_failure(command, elapsed, error)
            if hooks.after_execute and not self.telling:
                await self._tell(hooks.after_execute, **execution(command, elapsed, None, error))
            raise
        elapsed = perf_counter() - started
        rows = self.observe(command, elapsed, result)
        if hooks.after_execute and not self.telling:
            await self._tell(hooks.after_execute, **execution(command, elapsed, rows, None))
        return result

    async def _control(self, command: Command, connection: Any) -> Any:
        """Send what controls the transaction: no hook and no statistics stand in its way."""
        try:
            return await command.apply(connection)
        except BaseException as error:
            self.transactions.note_failure(error, connection)
            raise

    async def _tell(self, handlers: Calls, **arguments: Any) -> None:
        """Call the handlers of a statement; what they send themselves does not call them again."""
        self.telling = True
        try:
            await HookRun(self).wait_for(acall(handlers, session=self, **arguments))
        finally:
            self.telling = False

    async def _release(self) -> None:
        connection, streams = self.connection, self.streams
        if streams and not self.closed:
            return  # they go on after a commit, and give the connection back at the end of the session
        if self.altered and self.keeps_connection:
            return
        self.connection, self.streams = None, ()
        try:
            for batches in streams:
                await batches.aclose()
        finally:
            if connection is not None:
                altered, self.altered = self.altered, False
                await self.engine.arelease(connection, altered)

    def __del__(self) -> None:
        # Dropped without close(): nobody can wait for a rollback, so the connection is closed.
        if self.connection is not None:
            with suppress(Exception):  # the interpreter may be ending
                self.engine.abandon(self.connection)

    # --- the block --------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self.closed:
            raise SessionError("the session is closed; open a new one")
        self._entered.append(current_async_session.set(self))
        return self

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if not self._entered:
            raise never_entered()
        token = self._entered.pop()
        with suppress(ValueError):  # left in another context than entered, which knows nothing of it
            current_async_session.reset(token)
        if self._entered or self.closed:
            return
        if error is not None:
            if self.auto_rollback:
                await self._end(error)
            return
        try:
            if self.auto_commit:
                await self.commit()
            elif self._commit_due:
                await self._autocommit()
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
            await self._end(failure)
            raise
        await self._end(None)

    @staticmethod
    def current() -> Optional[AsyncSession]:
        """Return the session that `async with session:` has bound here, None when there is none."""
        return current_async_session.get()

    async def close(self) -> None:
        """Roll back what was not committed, give the connection back, and end the session; closing twice is
        no error.
        """
        await self._end(None)

    async def _end(self, error: Optional[BaseException]) -> None:
        """Close the session; `error` is what the hooks are told about a rollback."""
        if self.closed:
            return None
        self._commit_due = False
        if not self._in_use():
            self.transactions.check_may_end("close()")
        if self.transactions.levels and is_barred(self):
            async with Turn(self):  # or the error that the session cannot be closed now
                return await self._end(error)
        try:
            self.work.expired.clear()
            if self.work.pending or self.work.undo or self.transactions.begun:
                await self._run(self.transactions.rollback(error, closing=True))
        finally:
            self.forget()
            if not self._in_use():
                await self._release()
            if self.own_engine:
                await self.engine.adispose()

    # --- unit of work -----------------------------------------------------------------------------

    def add(self, instance: Model) -> Awaitable[None]:
        """Register an object: a new one is inserted by the next flush, a loaded one is tracked anyway.

        Raises `SessionError` for an object of another open session, `ModelError` for anything but a model.
        """
        self._check_turn()
        self.register(instance)
        return self._registered()

    def add_all(self, instances: Iterable[Model]) -> Awaitable[None]:
        """Register many objects."""
        self._check_turn()
        for instance in objects.listed("add_all", instances):
            self.register(instance)
        return self._registered()

    def delete(self, instance: Model) -> Awaitable[None]:
        """Register an object for deletion by the next flush."""
        self._check_turn()
        self.register_delete(instance)
        return self._registered()

    def _registered(self) -> _Registered:
        """Note that a commit is due with `autocommit=True`: now, or before whatever is awaited next."""
        if self.autocommit and self.transactions.may_commit:
            self._commit_due = True
        return _Registered(self)

    async def _commit_registered(self) -> None:
        """Do the commit that is due, inside of the operation that comes next."""
        self._commit_due = False
        commits = self.transactions.commits
        try:
            await arun(self.transactions.complete(), self._perform)
        finally:
            if self.atomic and self.transactions.commits > commits:
                await self.close()

    async def _autocommit(self) -> None:
        self._commit_due = False
        commits = self.transactions.commits
        try:
            await self._run(self.transactions.complete(), last=True)
        finally:
            if self.atomic and self.transactions.commits > commits:
                await self.close()

    async def flush(self) -> None:
        """Write pending changes without committing; generated keys are on the objects afterwards."""
        if self.work.pending:
            await self._run(self.flush_plan())
        else:
            self.check_usable()

    async def commit(self) -> None:
        """Flush and commit; the session goes on with a new transaction (with `atomic=True` it is closed).

        When the flush fails, everything stays pending and can be mended and committed again. When the
        database refuses the COMMIT itself, `rollback()` is needed first, unless only a lock was in the way.
        Raises `SessionError` inside a `transaction()` block, which commits by itself.
        """
        self._commit_due = False
        commits = self.transactions.commits
        try:
            await self._run(self.transactions.commit(by_hand=True), last=True)
        finally:
            if self.atomic and self.transactions.commits > commits:
                await self.close()

    async def rollback(self) -> None:
        """Undo everything since the last commit: rows, loaded values, new and deleted objects."""
        if self.closed:
            self.check_usable()
        self._commit_due = False
        await self._run(self.transactions.rollback(), last=True)

    async def begin(self, *, isolation: Optional[str] = None, read_only: bool = False) -> AsyncTransaction:
        """Begin a transaction now; `commit()` or `rollback()` ends it, or `async with await session.begin():`
        its block.
        """
        await self._run(self.transactions.open(isolation, read_only))
        return AsyncTransaction(self, None, False)

    def transaction(
        self, *, isolation: Optional[str] = None, read_only: bool = False, retries: int = 0
    ) -> AsyncTransaction:
        """Return a block: it commits on a clean exit and undoes exactly its own work on an error; blocks
        nest.

        `isolation` and `read_only` are for the outermost block. A `with` block cannot be run again, so with
        `retries` the block is called with a function: `session.transaction(retries=3)(function)`.
        """
        check_retries(retries)
        return AsyncTransaction(self, isolation, read_only, retries)

    @overload
    async def run_in_transaction(
        self,
        function: Callable[[], Awaitable[R]],
        *,
        isolation: Optional[str] = None,
        read_only: bool = False,
        retries: int = 3,
    ) -> R: ...
    @overload
    async def run_in_transaction(
        self,
        function: Callable[[AsyncSession], Awaitable[R]],
        *,
        isolation: Optional[str] = None,
        read_only: bool = False,
        retries: int = 3,
    ) -> R: ...
    async def run_in_transaction(
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
        if not await self._run(self.transactions.may_repeat()):
            retries = 0
        while True:
            try:
                async with self.transaction(isolation=isolation, read_only=read_only):
                    return await await_with_session(function, self)
            except Exception as error:
                attempt += 1
                if attempt > retries or not retryable(error):
                    raise
                await asyncio.sleep(pause_length(attempt))

    async def refresh(self, instance: Model, *attributes: Any) -> None:
        """Load an object again, dropping its changes and forgetting its loaded relations.

        - `attributes`: columns or relations, or their names, of which alone that is done; relations are
          loaded.

        Raises `NoResultError` when the row is gone, `SessionError` for an object that the session does not
        hold or that is not in the database yet, `QueryError` for what is no attribute of the model.
        """
        await self._run(refreshing.refresh_plan(self, instance, attributes))

    async def invalidate(self, target: Union[type[Model], Model], /, *keys: Any) -> None:
        """Forget rows that somebody has changed past the session: an object's, those of keys, or all of a
        model.

        They leave the second-level cache at once. Unchanged objects of them are read again, in one statement.
        """
        await self._run(invalidate_plan(self, target, keys))

    async def merge(self, instance: M) -> M:
        """Copy an object of elsewhere into the session's own object of the same key, and return that.

        The objects that its loaded relations show are merged with it; an object without a row is copied as a
        new one. Raises `StaleDataError` when the row has another version than the object.
        """
        return await self._run(merging.merge_plan(self, instance))  # type: ignore[no-any-return]

    # --- reading ----------------------------------------------------------------------------------

    async def get(self, model: type[M], key: Any = MISSING, /, **keys: Any) -> Optional[M]:
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
        return await self._run(objects.get_plan(self, model, key, keys))  # type: ignore[no-any-return]

    async def get_one(self, model: type[M], key: Any = MISSING, /, **keys: Any) -> M:
        """Return the object with a primary key; raise `NoResultError` when there is none."""
        return await self._run(objects.get_one_plan(self, model, key, keys))  # type: ignore[no-any-return]

    async def get_or_create(
        self, model: type[M], /, defaults: Optional[dict[str, Any]] = None, **keys: Any
    ) -> tuple[M, bool]:
        """Return the object with these values, created (with `defaults`, functions among which are called)
        when there is none, and whether it was.
        """
        return await self._run(objects.get_or_create_plan(self, model, defaults, keys))  # type: ignore[no-any-return]

    async def run_query(self, query: Any, mode: str, *arguments: Any) -> Any:
        """Run a terminal method of a bound query."""
        return await self._run(MODES[mode](self, query, *arguments))

    async def execute(
        self, statement: Union[str, Raw[Any]], params: Optional[Parameters] = None, /
    ) -> Result:
        """Run raw SQL with `?`, `%s` or `:name` placeholders, or a `sql("... {x}")` template."""
        return await self._run(raw(self, statement, params))  # type: ignore[no-any-return]

    async def stream(self, statement: Query[S], /, size: int = 1000) -> AsyncIterator[S]:
        """Yield the results of a query while they are read, `size` rows at a time, in constant memory.

        Statistics, logs and `after_execute` hear of it when it has ended or was closed. Raises `QueryError`
        for anything but a query, `SessionError` when the session is closed meanwhile.
        """
        hooks = self.hooks
        async with Turn(self):
            stream = await self._run(prepare_stream(self, statement, size))
            if hooks.before_execute and not self.telling:
                await self._tell(hooks.before_execute, statement=stream.sql, params=stream.params)
            connection = self.connection
            if connection is None:
                connection = self.connection = await self.engine.aacquire()
            batches = connection.stream(stream.sql, stream.params, size)
            self.streams = (*self.streams, batches)
        try:
            while True:
                async with Turn(self):
                    self.check_streaming(connection)
                    with stream.timing(connection):
                        try:
                            rows = await batches.__anext__()
                        except StopAsyncIteration:
                            break
                    items = stream.load(rows)
                    if stream.follows:
                        await self._run(stream.follow(items))
                for item in items:
                    yield item
        finally:
            async with Turn(self, anyway=True):
                others = tuple([other for other in self.streams if other is not batches])
                if len(others) < len(self.streams):  # else the end of the session is closing it
                    self.streams = others
                    await batches.aclose()
                ended = stream.ended()
                if hooks.after_execute and not self.telling:
                    await self._tell(hooks.after_execute, **ended)

    async def load(
        self, instances: Union[Model, Sequence[Model]], /, *paths: Union[Column[Any], Path]
    ) -> None:
        """Load relations or deferred columns of an object or of many, one statement each."""
        await self._run(objects.load_plan(self, instances, paths))

    def load_lazily(self, instance: Any, relation: Any, flush: bool = True) -> Any:
        """Answer an attribute access to a relation that is not loaded: from what is known, without I/O."""
        known = self.resolve_known(instance, relation)
        if known is not relation.unset:
            return known
        raise self.refuse_lazy(instance, relation)

    def load_deferred(self, instance: Any, attribute: Any) -> Any:
        """Refuse an attribute access to a column that was left out."""
        raise self.refuse_deferred(instance, attribute)

    # --- many-to-many, tables -----------------------------------------------------------------

    async def add_m2m(self, instance: Model, relation: Path, /, *objects: Model) -> None:
        """Link objects through a many-to-many relation, given as `Book.tags` or `"tags"`."""
        self.related(instance, relation).add(*objects)

    async def remove_m2m(self, instance: Model, relation: Path, /, *objects: Model) -> None:
        """Unlink objects from a many-to-many relation."""
        self.related(instance, relation).remove(*objects)

    async def clear_m2m(self, instance: Model, relation: Path, /) -> None:
        """Unlink every object from a many-to-many relation."""
        self.related(instance, relation).clear()

    async def create_all(self, *models: type[Model]) -> None:
        """Create the tables of models that are missing."""
        await self._run(self._schema(create_all_plan(self.dialect, models)))

    async def drop_all(self, *models: type[Model]) -> None:
        """Drop the tables of models."""
        await self._run(self._schema(drop_all_plan(self.dialect, models)))


class _Registered:
    """What `add` and `delete` return: awaiting it commits in a session with `autocommit=True`."""

    __slots__ = ("_session",)

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def __await__(self) -> Generator[Any, None, None]:
        session = self._session
        if session.autocommit and session.transactions.may_commit:
            yield from session._autocommit().__await__()
