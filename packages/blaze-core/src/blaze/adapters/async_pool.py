"""A pool of connections for one event loop: last in first out, and first come first served when waiting."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Optional

from blaze.adapters.connection import AsyncConnection
from blaze.adapters.pool import DEFAULT_LIMITS, Limits, PoolStats, closed_error
from blaze.errors import DatabaseError, SessionError
from blaze.utils import fork

__all__ = ["AsyncPool"]

_log = logging.getLogger("blaze.pool")


class AsyncPool:
    """Hand out connections and take them back, all on one event loop.

    A freed connection goes straight to the one who waits longest; a freed place, to open a new one, does too.
    Whoever is cancelled meanwhile passes on what was given, so nothing is lost. Cleaning and closing run in
    tasks of their own, which a cancellation of the releasing task does not stop.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[AsyncConnection]], limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._connect = connect
        self._limits = limits.checked()
        # Each with the moment at which it is to be replaced.
        self._idle: list[tuple[AsyncConnection, float]] = []
        self._busy: dict[AsyncConnection, float] = {}
        self._opened = 0  # open, being opened, being cleaned or promised to a waiter
        # A waiter gets a connection, or None: a place to open one, already counted in _opened.
        self._waiters: deque[asyncio.Future[Optional[AsyncConnection]]] = deque()
        self._tasks: set[asyncio.Future[None]] = set()
        self._closed = False
        fork.watch(self)

    async def acquire(self, timeout: Optional[float] = None) -> AsyncConnection:
        """Give a connection that is ready for use, or raise PoolTimeoutError.

        It waits at most ``timeout`` seconds (None: those of the pool).
        """
        while self._idle:
            connection, expiry = self._idle.pop()
            if expiry >= time.monotonic() and connection.usable:
                self._busy[connection] = expiry
                return connection
            self._drop(connection)
        if self._closed:
            raise closed_error()
        if self._opened >= self._limits.total:
            given = await self._wait(self._limits.timeout if timeout is None else timeout)
            if given is not None:
                return given
        else:
            self._opened += 1
        return await self._open()

    async def release(self, connection: AsyncConnection, discard: bool = False) -> None:
        """Take a connection back: an open transaction is rolled back, an unusable or discarded connection is
        closed.
        """
        expiry = self._busy.pop(connection, None)
        if expiry is None:
            if connection.usable:
                raise SessionError("the connection was released before, or belongs to another engine")
        elif discard or self._closed or not connection.usable:
            self._drop(connection)
        elif connection.needs_reset:
            await asyncio.shield(self._start(self._clean(connection, expiry)))
        else:
            self._put(connection, expiry)

    def lends(self, connection: AsyncConnection) -> bool:
        """Say whether this connection of the pool is in use."""
        return connection in self._busy

    def abandon(self, connection: AsyncConnection) -> None:
        """Close a connection in use that nobody is going to give back, without waiting."""
        if self._busy.pop(connection, None) is not None:
            connection.terminate()
            self._make_room()

    def stats(self) -> PoolStats:
        """Count the connections now."""
        idle = len(self._idle)
        waiting = sum(not waiter.done() for waiter in self._waiters)
        return PoolStats(self._limits.size, max(self._opened - idle, 0), idle, waiting)

    async def close(self) -> None:
        """Close idle connections and wait for it; those in use are closed when they come back."""
        self._shut()
        while self._idle:
            self._drop(self._idle.pop()[0])
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def terminate(self) -> None:
        """Close everything without waiting, for a loop that is gone or going."""
        self._shut()
        connections = [*self._busy, *(connection for connection, _ in self._idle)]
        self._busy.clear()
        self._idle.clear()
        self._opened = 0
        for connection in connections:
            connection.terminate()

    async def _open(self) -> AsyncConnection:
        """Open a connection for which room was made."""
        try:
            connection = await self._connect()
        except BaseException:
            self._make_room()
            raise
        self._busy[connection] = self._limits.expiry()
        return connection

    async def _wait(self, timeout: float) -> Optional[AsyncConnection]:
        waiter: asyncio.Future[Optional[AsyncConnection]] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await asyncio.wait({waiter}, timeout=timeout)
        except asyncio.CancelledError:
            self._forsake(waiter)
            raise
        if waiter.done():
            return waiter.result()
        waiting = self.stats().waiting
        self._forsake(waiter)
        raise self._limits.exhausted(timeout, waiting)

    def _forsake(self, waiter: asyncio.Future[Optional[AsyncConnection]]) -> None:
        """Stop waiting, and pass on what has been given in the last moment."""
        if not waiter.done():
            waiter.cancel()
            self._waiters.remove(waiter)
        elif waiter.exception() is None:
            connection = waiter.result()
            if connection is None:
                self._make_room()
            else:
                self._put(connection, self._busy.pop(connection))

    def _next_waiter(self) -> Optional[asyncio.Future[Optional[AsyncConnection]]]:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _put(self, connection: AsyncConnection, expiry: float) -> None:
        """Give a clean connection to a waiter, keep it, or close it when the rush is over."""
        waiter = None if self._closed else self._next_waiter()
        if waiter is not None:
            self._busy[connection] = expiry
            waiter.set_result(connection)
        elif self._closed or len(self._idle) >= self._limits.size:
            self._drop(connection)
        else:
            self._idle.append((connection, expiry))

    async def _clean(self, connection: AsyncConnection, expiry: float) -> None:
        try:
            await connection.reset()
        except DatabaseError as error:
            _log.warning("a connection is closed because it could not be reset: %s", error)
            self._drop(connection)
        except BaseException:
            connection.terminate()
            self._make_room()
            raise
        else:
            if connection.usable:
                self._put(connection, expiry)
            else:
                self._drop(connection)

    def _drop(self, connection: AsyncConnection) -> None:
        """Close a connection in the background and give its place away."""
        if connection.usable:
            self._start(connection.close())
        else:
            connection.terminate()
        self._make_room()

    def _make_room(self) -> None:
        waiter = None if self._closed else self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)
        else:
            self._opened -= 1

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _shut(self) -> None:
        self._closed = True
        waiter = self._next_waiter()
        while waiter is not None:
            waiter.set_exception(closed_error())
            waiter = self._next_waiter()

    def before_fork(self) -> None:
        """Close what may not be open while the process forks."""
        for entry in list(self._idle):
            if not entry[0].keep_on_fork:
                self._idle.remove(entry)
                entry[0].terminate()
                self._opened -= 1

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Begin anew: every connection is the parent's, and so is every task."""
        inherited = [*self._busy, *(connection for connection, _ in self._idle)]
        self._busy.clear()
        self._idle.clear()
        self._waiters.clear()
        self._tasks.clear()
        self._opened = 0
        for connection in inherited:
            connection.detach()
