"""The asynchronous session."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union, overload

from blaze.errors import SessionError, UncommittedChangesWarning
from blaze.hooks.dispatch import acall
from blaze.persistence import bulk, objects
from blaze.persistence.base import MISSING
from blaze.persistence.calls import AsyncSessionCalls, Parameters
from blaze.persistence.counts import row_count
from blaze.persistence.querying import MODES
from blaze.persistence.results import Result
from blaze.persistence.retry import call_with_session, pause_length, retryable
from blaze.persistence.statements import raw
from blaze.persistence.streaming import prepare_stream
from blaze.plan import Call, Command, arun
from blaze.query.context import current_async_session
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


class AsyncSession(AsyncSessionCalls):
    """The asynchronous session: the arguments and methods of `Session`, awaited.

    `add`, `add_all` and `delete` register at once and return something to await, which only matters with
    `autocommit=True`. Nothing is loaded by attribute access: `include` what is needed, or `await
    session.load(...)`. Tasks that share a session wait for each other; a cancelled one leaves no half
    transaction.
    """

    asynchronous = True

    _lock: Optional[asyncio.Lock] = None
    _owner: Optional[asyncio.Task[Any]] = None

    # --- driving plans ----------------------------------------------------------------------------

    async def _run(self, plan: Any) -> Any:
        task = asyncio.current_task()
        if self._owner is task:  # a hook uses the session that runs it
            return await arun(plan, self._perform)
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            self._owner = task
            try:
                return await arun(plan, self._perform)
            finally:
                if self.closed:  # by another task, meanwhile
                    await self._release()
                self._owner = None

    async def _finish(self, plan: Any) -> None:
        """Run a plan that ends a transaction, then give the connection back.

        Who is cancelled while another task uses the session leaves the connection to that one.
        """
        try:
            await self._run(plan)
        finally:
            if not self._in_use() and not self.transactions.begun:
                await self._release()

    def _in_use(self) -> bool:
        """Whether another task runs something in the session."""
        return self._owner is not None and self._owner is not asyncio.current_task()

    async def _perform(self, command: Command) -> Any:
        if command.__class__ is Call:
            return await command.apply(None)
        connection = self.connection
        if connection is None:
            connection = self.connection = await self.engine.aacquire()
        hooks = self.hooks
        if hooks.before_execute:
            await acall(hooks.before_execute, session=self, statement=command.sql, params=command.params)
        started = perf_counter()
        try:
            result = await command.apply(connection)
        except BaseException as error:
            self.transactions.note_failure(error, connection)
            if hooks.after_execute:
                await self._executed(command, perf_counter() - started, 0, error)
            raise
        elapsed = perf_counter() - started
        if command.counted:
            self.observe(command, elapsed, result)  # type: ignore[arg-type]
        if hooks.after_execute:
            await self._executed(command, elapsed, row_count(result), None)
        return result

    async def _executed(
        self, command: Command, elapsed: float, rows: int, error: Optional[BaseException]
    ) -> None:
        await acall(
            self.hooks.after_execute,
            session=self,
            statement=command.sql,
            params=command.params,
            duration=elapsed,
            rows=rows,
            error=error,
        )

    async def _release(self) -> None:
        connection, streams = self.connection, self.streams
        if streams and not self.closed:
            return  # they go on after a commit, and give the connection back at the end of the session
        self.connection, self.streams = None, ()
        try:
            for batches in streams:
                await batches.aclose()
        finally:
            if connection is not None:
                await self.engine.arelease(connection, not connection.usable)

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
        current_async_session.reset(self._entered.pop())
        if self._entered or self.closed:
            return
        if error is not None:
            if self.auto_rollback:
                await self._end(error)
            return
        try:
            if self.auto_commit:
                await self.commit()
            else:
                lost = self.pending_summary()
                if lost is not None:
                    warnings.warn(
                        f"the session was left without commit(); rolled back: {lost}",
                        UncommittedChangesWarning,
                        stacklevel=2,
                    )
        finally:
            await self.close()

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
            return
        try:
            if self.work.pending or self.work.undo or self.transactions.begun:
                await self._run(self.transactions.rollback(error))
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
        self.register(instance)
        return _Registered(self)

    def add_all(self, instances: Iterable[Model]) -> Awaitable[None]:
        """Register many objects."""
        for instance in instances:
            self.register(instance)
        return _Registered(self)

    def delete(self, instance: Model) -> Awaitable[None]:
        """Register an object for deletion by the next flush."""
        self.register_delete(instance)
        return _Registered(self)

    async def flush(self) -> None:
        """Write pending changes without committing; generated keys are on the objects afterwards."""
        if self.work.pending:
            await self._run(self.flush_plan())
        else:
            self.check_usable()

    async def commit(self) -> None:
        """Flush and commit; the session goes on with a new transaction (with `atomic=True` it is closed).

        Raises `SessionError` inside a `transaction()` block, which commits by itself.
        """
        if self.transactions.levels:
            raise SessionError("commit() inside a transaction() block: the block commits at its end")
        await self._finish(self.transactions.commit())
        if self.atomic:
            await self.close()

    async def rollback(self) -> None:
        """Undo everything since the last commit: rows, loaded values, new and deleted objects."""
        if self.closed:
            self.check_usable()
        await self._finish(self.transactions.rollback())

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

        `isolation` and `read_only` are for the outermost block. A block cannot be run again, so `retries` is
        for `run_in_transaction`.
        """
        if retries:
            raise SessionError(
                "a with block cannot be run again: use session.run_in_transaction(fn, retries=...)"
            )
        return AsyncTransaction(self, isolation, read_only)

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

        The function may take the session as its argument. Deadlocks and serialisation failures are retried
        `retries` times at most, with growing pauses; anything else is raised at once.
        """
        attempt = 0
        while True:
            try:
                async with self.transaction(isolation=isolation, read_only=read_only):
                    return await call_with_session(function, self)
            except Exception as error:
                attempt += 1
                if attempt > retries or self.transactions.levels or not retryable(error):
                    raise
                await asyncio.sleep(pause_length(attempt))

    async def refresh(self, instance: Model) -> None:
        """Load an object again, dropping local changes; raise `NoResultError` when its row is gone."""
        await self._run(objects.refresh_plan(self, instance))

    async def merge(self, instance: M) -> M:
        """Copy an object of elsewhere into the session's own object of the same key, and return that."""
        return await self._run(objects.merge_plan(self, instance))  # type: ignore[no-any-return]

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
        """Return the object with these values, created (with `defaults`) when there is none, and whether it
        was.
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

    @overload
    def stream(self, statement: Query[S], /, size: int = 1000) -> AsyncIterator[S]: ...
    @overload
    def stream(self, statement: Union[str, Raw[Any]], /, size: int = 1000) -> AsyncIterator[Any]: ...
    async def stream(self, statement: Any, /, size: int = 1000) -> AsyncIterator[Any]:
        """Yield the results of a query while they are read, `size` rows at a time, in constant memory."""
        stream = await self._run(prepare_stream(self, statement))
        if self.connection is None:
            self.connection = await self.engine.aacquire()
        batches = self.connection.stream(stream.sql, stream.params, size)
        self.streams = (*self.streams, batches)
        try:
            async for rows in batches:
                items = stream.load(rows)
                if stream.includes:
                    await self._run(stream.include(items))
                for item in items:
                    yield item
                self.check_streaming()
        finally:
            self.streams = tuple([other for other in self.streams if other is not batches])
            await batches.aclose()

    async def load(
        self, instances: Union[Model, Sequence[Model]], /, *paths: Union[Column[Any], Path]
    ) -> None:
        """Load relations or deferred columns of an object or of many, one statement each."""
        await self._run(objects.load_plan(self, instances, paths))

    def load_lazily(self, instance: Any, relation: Any) -> Any:
        """Answer an attribute access to a relation that is not loaded: from what is known, without I/O."""
        known = self.resolve_known(instance, relation)
        if known is not relation.unset:
            return known
        raise self.refuse_lazy(instance, relation)

    def load_deferred(self, instance: Any, attribute: Any) -> Any:
        """Refuse an attribute access to a column that was left out."""
        raise self.refuse_deferred(instance, attribute)

    # --- many-to-many, bulk, tables -----------------------------------------------------------------

    async def add_m2m(self, instance: Model, relation: Path, /, *objects: Model) -> None:
        """Link objects through a many-to-many relation, given as `Book.tags` or `"tags"`."""
        self.related(instance, relation).add(*objects)

    async def remove_m2m(self, instance: Model, relation: Path, /, *objects: Model) -> None:
        """Unlink objects from a many-to-many relation."""
        self.related(instance, relation).remove(*objects)

    async def clear_m2m(self, instance: Model, relation: Path, /) -> None:
        """Unlink every object from a many-to-many relation."""
        self.related(instance, relation).clear()

    async def bulk_insert(
        self,
        objects: Iterable[Model],
        *,
        progress: Optional[Callable[[int], Any]] = None,
        return_keys: bool = False,
    ) -> bulk.BulkResult:
        """Insert many objects, past hooks and tracking; `progress` is told the number of rows so far."""
        return await self._run(bulk.bulk_insert(self, objects, progress, return_keys))  # type: ignore[no-any-return]

    async def bulk_update(
        self, objects: Iterable[Model], fields: Optional[Sequence[Union[Column[Any], str]]] = None
    ) -> int:
        """Update many objects by key: the named fields, or all; return the number of rows."""
        return await self._run(bulk.bulk_update(self, objects, fields))  # type: ignore[no-any-return]

    async def bulk_delete(self, model: type[Model], keys: Iterable[Any]) -> int:
        """Delete rows by key; return their number."""
        return await self._run(bulk.bulk_delete(self, model, keys))  # type: ignore[no-any-return]

    async def upsert(
        self,
        objects: Iterable[Model],
        conflict: Sequence[Union[Column[Any], str]],
        update: Optional[Sequence[Union[Column[Any], str]]] = None,
    ) -> bulk.UpsertResult:
        """Insert objects, or update the rows with the same values in the `conflict` columns."""
        return await self._run(bulk.upsert(self, objects, conflict, update))  # type: ignore[no-any-return]

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
        if self._session.autocommit and not self._session.transactions.levels:
            yield from self._session.commit().__await__()


class AsyncTransaction:
    """A transaction block of an asynchronous session."""

    def __init__(self, session: AsyncSession, isolation: Optional[str], read_only: bool) -> None:
        self._session = session
        self._isolation = isolation
        self._read_only = read_only
        self._level: Any = None

    async def __aenter__(self) -> AsyncSession:
        self._level = await self._session._run(
            self._session.transactions.enter(self._isolation, self._read_only)
        )
        return self._session

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        session, level, self._level = self._session, self._level, None
        transactions = session.transactions
        plan = transactions.leave(level) if error is None else transactions.abandon(level, error)
        await session._finish(plan)
