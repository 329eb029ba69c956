"""One connection of aiosqlite: the sqlite3 connection of ``connection.py`` in a thread of its own.

aiosqlite's own ``execute`` and ``fetchall`` cost one trip to the thread each. Here one trip carries a whole
job: the driver's connection is of a class whose ``execute`` runs a job, so that aiosqlite's public
``execute_fetchall`` takes it across.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, cast

import aiosqlite

from blaze.adapters.config import ConnectionConfig
from blaze.adapters.settling import SETTLE_SECONDS, look_at
from blaze.adapters.threaded import ThreadedConnection
from blaze.errors import ConnectionLostError, DatabaseError
from blaze_sqlite.connection import SQLiteConnection
from blaze_sqlite.dialect import SQLiteDialect
from blaze_sqlite.errors import DRIVER_ERRORS, translate
from blaze_sqlite.opening import ClosingConnection, connect_arguments, open_error, set_up

__all__ = ["AiosqliteConnection", "connect"]


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
        opening.add_done_callback(look_at)
        await asyncio.wait({opening}, timeout=SETTLE_SECONDS)
        _stop(connection)
        raise
    if failures:
        await connection.close()
        raise open_error(failures[0], config) from failures[0]
    return AiosqliteConnection(opened[0], connection)


async def _open(connection: aiosqlite.Connection) -> None:
    await connection


class AiosqliteConnection(ThreadedConnection):
    """Run statements of a sqlite3 connection in the thread of aiosqlite, one trip per statement."""

    __slots__ = ()

    driver_errors = DRIVER_ERRORS
    read_all = staticmethod(sqlite3.Cursor.fetchall)

    def interrupt(self) -> None:
        cast(SQLiteConnection, self.blocking).interrupt()

    def translate(self, error: BaseException, sql: str) -> DatabaseError:
        return translate(error, sql)

    @property
    def keep_on_fork(self) -> bool:
        return self.blocking.keep_on_fork

    @property
    def raw(self) -> Any:
        return self._thread

    async def close(self) -> None:
        connection, self._thread = self._thread, None
        if connection is None:
            return
        try:
            await connection.execute_fetchall("", _Job(self.blocking.close, ()))
            await connection.close()
        except asyncio.CancelledError:
            _stop(connection)
            raise
        finally:
            self._settled = False

    def terminate(self) -> None:
        connection, self._thread = self._thread, None
        self._settled = False
        if connection is None:
            return
        if self._running:
            self.interrupt()
        else:
            self.blocking.close()
        _stop(connection)

    async def _run(self, call: Callable[..., Any], *arguments: Any, interrupt: bool = True) -> Any:
        connection = self._thread
        if connection is None:
            raise ConnectionLostError("the connection is closed; open a new session")
        job = _Job(call, arguments)
        barrier = None
        self._running += 1
        try:
            return await connection.execute_fetchall("", job)
        except asyncio.CancelledError:
            job.cancelled = True
            barrier = asyncio.ensure_future(_pass_through(connection))
            barrier.add_done_callback(look_at)
            await self._settle(barrier, interrupt)
            if interrupt and self._settled:
                cast(SQLiteConnection, self.blocking).end_streams()
            raise
        except ValueError as error:  # aiosqlite's own: everything of SQLite's is translated by the call
            self._settled = False
            raise ConnectionLostError("the connection is closed; open a new session") from error
        finally:
            if barrier is None or barrier.done():  # else the thread waits, for a lock of the file perhaps
                self._running -= 1


async def _pass_through(connection: aiosqlite.Connection) -> None:
    """Return when the thread has done everything that was queued before."""
    await connection.execute_fetchall("", cast(Any, _Job(_nothing, ())))


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
