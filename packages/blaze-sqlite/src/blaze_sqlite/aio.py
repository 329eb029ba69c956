"""One connection of aiosqlite: the sqlite3 connection of ``connection.py`` in a thread of its own.

aiosqlite's own ``execute`` and ``fetchall`` cost one trip to the thread each. Here one trip carries a whole
job: the driver's connection is of a class whose ``execute`` runs a job, so that aiosqlite's public
``execute_fetchall`` takes it across.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Optional, Union, cast, overload

import aiosqlite

from blaze.adapters.config import ConnectionConfig
from blaze.adapters.connection import Consume, Parameters, R, Row
from blaze.adapters.outcome import Outcome
from blaze.errors import ConnectionLostError
from blaze_sqlite.connection import SQLiteConnection
from blaze_sqlite.dialect import SQLiteDialect
from blaze_sqlite.errors import DRIVER_ERRORS, translate
from blaze_sqlite.opening import ClosingConnection, connect_arguments, open_error, set_up

__all__ = ["AiosqliteConnection", "connect"]

_READ_ALL = sqlite3.Cursor.fetchall
_SETTLE_SECONDS = 1.0  # how long a cancelled statement may take to stop before its connection is given up
_detached: list[Any] = []  # connections of a parent process, kept from being finalised here


class _Job:
    """A call that crosses to the thread; one that is cancelled before it began does not run."""

    __slots__ = ("arguments", "call", "cancelled", "result")

    def __init__(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.call = call
        self.arguments = arguments
        self.cancelled = False
        self.result: Any = None

    def fetchall(self) -> Any:
        """Give the result; aiosqlite takes this object for a cursor."""
        return self.result


class _Raw(ClosingConnection):
    """A driver connection whose ``execute`` also runs jobs."""

    def execute(self, sql: Any, parameters: Any = ()) -> Any:
        if not isinstance(parameters, _Job):
            return super().execute(sql, parameters)
        if not parameters.cancelled:
            parameters.result = parameters.call(*parameters.arguments)
        return parameters


async def connect(config: ConnectionConfig, dialect: SQLiteDialect) -> AiosqliteConnection:
    """Open a connection in a thread of its own; an error or a cancellation meanwhile leaves nothing open."""
    arguments = connect_arguments(config)
    opened: list[SQLiteConnection] = []
    failures: list[sqlite3.Error] = []

    def make(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        # aiosqlite leaves its thread alone when this raises, so a failure is kept and told when the thread
        # has ended.
        raw = None
        try:
            raw = _Raw(*args, **kwargs)
            opened.append(set_up(raw, config, dialect))
        except sqlite3.Error as error:
            if raw is not None:
                raw.close()
            failures.append(error)
            return _Raw(":memory:", check_same_thread=False)
        return raw

    connection = aiosqlite.connect(arguments.pop("database"), factory=make, **arguments)
    # A connection that nobody closes must not keep the interpreter from ending.
    thread: Any = getattr(connection, "_thread", connection)
    thread.daemon = True
    opening = asyncio.ensure_future(_open(connection))
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_look_at)
        await asyncio.wait({opening}, timeout=_SETTLE_SECONDS)
        _stop(connection)
        raise
    if failures:
        await connection.close()
        raise open_error(failures[0], config) from failures[0]
    return AiosqliteConnection(connection, opened[0])


async def _open(connection: aiosqlite.Connection) -> None:
    await connection


class AiosqliteConnection:
    """Run statements of a sqlite3 connection in the thread of aiosqlite, one trip per statement.

    A cancelled statement is interrupted and waited for; when it does not stop in time, ``usable`` turns
    False.
    """

    __slots__ = ("__weakref__", "_aio", "_running", "_settled", "_sync")

    def __init__(self, connection: aiosqlite.Connection, sync: SQLiteConnection) -> None:
        self._aio: Optional[aiosqlite.Connection] = connection
        self._sync = sync
        self._running = 0  # jobs in the thread, or on their way
        self._settled = True

    @property
    def usable(self) -> bool:
        return self._settled and self._sync.usable

    @usable.setter
    def usable(self, value: bool) -> None:
        self._sync.usable = value

    @property
    def keep_on_fork(self) -> bool:
        return self._sync.keep_on_fork

    @property
    def raw(self) -> Any:
        return self._aio

    @property
    def in_transaction(self) -> bool:
        return self._sync.in_transaction

    @property
    def needs_reset(self) -> bool:
        return self._sync.needs_reset

    @overload
    async def execute(self, sql: str, params: Parameters = (), consume: None = None) -> Outcome: ...
    @overload
    async def execute(self, sql: str, params: Parameters, consume: Consume[R]) -> R: ...
    async def execute(
        self, sql: str, params: Parameters = (), consume: Optional[Consume[R]] = None
    ) -> Union[R, Outcome]:
        if consume is None:
            return cast(Outcome, await self._run(self._sync.execute, sql, params))
        rows = await self._run(self._sync.execute, sql, params, _READ_ALL)
        try:
            return consume(rows)
        except DRIVER_ERRORS as error:
            raise translate(error, sql) from error

    async def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        return cast(int, await self._run(self._sync.execute_many, sql, rows))

    async def stream(
        self, sql: str, params: Parameters = (), size: int = 1000
    ) -> AsyncGenerator[list[Row], None]:
        stream = self._sync.stream(sql, params, size)
        try:
            while True:
                rows = await self._run(next, stream, None)
                if rows is None:
                    return
                yield rows
        finally:
            if self.usable:
                await self._run(stream.close)

    async def begin(
        self, isolation: Optional[str] = None, read_only: bool = False, immediate: bool = True
    ) -> None:
        await self._run(self._sync.begin, isolation, read_only, immediate)

    async def commit(self) -> None:
        await self._run(self._sync.commit, interrupt=False)

    async def rollback(self) -> None:
        await self._run(self._sync.rollback, interrupt=False)

    async def savepoint(self, name: str) -> None:
        await self._run(self._sync.savepoint, name)

    async def rollback_to(self, name: str) -> None:
        await self._run(self._sync.rollback_to, name, interrupt=False)

    async def release(self, name: str) -> None:
        await self._run(self._sync.release, name, interrupt=False)

    async def reset(self) -> None:
        if self._sync.needs_reset:
            await self.rollback()

    async def close(self) -> None:
        connection, self._aio = self._aio, None
        if connection is None:
            return
        try:
            await connection.execute_fetchall("", cast(Any, _Job(self._sync.close, ())))
            await connection.close()
        except asyncio.CancelledError:
            _stop(connection)
            raise
        finally:
            self._settled = False

    def terminate(self) -> None:
        """Close without waiting: at once when idle, else when the statement in the thread has stopped."""
        connection, self._aio = self._aio, None
        self._settled = False
        if connection is None:
            return
        if self._running:
            self._sync.interrupt()
        else:
            self._sync.close()
        _stop(connection)

    def detach(self) -> None:
        self._settled = False
        _detached.append(self._aio)
        self._aio = None
        self._sync.detach()

    async def _run(self, call: Callable[..., Any], *arguments: Any, interrupt: bool = True) -> Any:
        """Run a call in the thread; on cancellation bring the connection to a known state first."""
        connection = self._aio
        if connection is None:
            raise ConnectionLostError("the connection is closed; open a new session")
        job = _Job(call, arguments)
        self._running += 1
        try:
            return await connection.execute_fetchall("", cast(Any, job))
        except asyncio.CancelledError:
            await self._settle(connection, job, interrupt)
            raise
        except ValueError as error:  # aiosqlite's own: everything of SQLite's is translated by the call
            self._settled = False
            raise ConnectionLostError("the connection is closed; open a new session") from error
        finally:
            self._running -= 1

    async def _settle(self, connection: aiosqlite.Connection, job: _Job, interrupt: bool) -> None:
        """Wait until the thread has left a cancelled job; give the connection up when that takes too long."""
        job.cancelled = True
        self._settled = False
        barrier = asyncio.ensure_future(_pass_through(connection))
        barrier.add_done_callback(_look_at)
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not barrier.done() and time.monotonic() < deadline:
            if interrupt:  # again and again: it does nothing before the statement has begun to run
                self._sync.interrupt()
            await asyncio.wait({barrier}, timeout=0.02)
        self._settled = barrier.done()


async def _pass_through(connection: aiosqlite.Connection) -> None:
    """Return when the thread has done everything that was queued before."""
    await connection.execute_fetchall("", cast(Any, _Job(_nothing, ())))


def _look_at(task: asyncio.Task[None]) -> None:
    """Take note of the outcome, so that asyncio does not report it as forgotten."""
    if not task.cancelled():
        task.exception()


def _nothing() -> None:
    """Do nothing, in the thread."""


def _stop(connection: aiosqlite.Connection) -> None:
    """Tell the thread of a connection to close and end.

    aiosqlite asks for the event loop, to report to it, and makes one where there is none; in a thread it
    finds none.
    """
    stopper = threading.Thread(target=connection.stop)
    stopper.start()
    stopper.join()
