"""A pool of blocking connections, last in first out, for many threads."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Optional

from blaze.adapters import fork
from blaze.adapters.connection import Connection
from blaze.errors import ConfigurationError, DatabaseError, PoolTimeoutError, SessionError

__all__ = ["Limits", "Pool", "PoolStats"]


class PoolStats(NamedTuple):
    """A pool at one moment: ``size`` is what it keeps, ``in_use`` and ``idle`` count connections, ``waiting``
    callers.
    """

    size: int
    in_use: int
    idle: int
    waiting: int


class Limits(NamedTuple):
    """The limits of a pool; ``timeout`` and ``recycle`` in seconds, ``recycle`` 0 never replaces a
    connection.
    """

    size: int = 5
    max_overflow: int = 10
    timeout: float = 5.0
    recycle: float = 3600.0

    @property
    def total(self) -> int:
        """Give the largest number of open connections."""
        return self.size + self.max_overflow

    def checked(self) -> Limits:
        """Give the limits themselves, or raise ConfigurationError when no pool can live with them."""
        if self.size.__class__ is not int or self.max_overflow.__class__ is not int:
            raise ConfigurationError(
                f"pool_size and max_overflow are whole numbers, not {self.size!r} and {self.max_overflow!r}"
            )
        if self.size < 0 or self.max_overflow < 0 or self.total < 1:
            raise ConfigurationError(
                f"a pool of pool_size {self.size} and max_overflow {self.max_overflow} holds no connection"
            )
        if not self.timeout >= 0 or not self.recycle >= 0:
            raise ConfigurationError("pool_timeout and recycle are seconds, at least 0")
        return self

    def expiry(self) -> float:
        """Give the moment (``time.monotonic``) at which a connection opened now is replaced."""
        return time.monotonic() + self.recycle if self.recycle else math.inf

    def exhausted(self, timeout: float, waiting: int) -> PoolTimeoutError:
        """Make the error of a caller that waited in vain."""
        return PoolTimeoutError(
            f"no connection became free within {timeout:g} s:"
            f" all {self.total} are in use and {waiting} callers wait;"
            " close sessions sooner (`with Session(...)`), or raise pool_size, max_overflow or pool_timeout"
        )


DEFAULT_LIMITS = Limits()


def closed_error() -> SessionError:
    """Make the error of a caller that comes after the end."""
    return SessionError("the engine is disposed; make a new Engine")


class Pool:
    """Hand out connections and take them back.

    With an idle connection there, acquire and release take no lock: `list.pop`, `list.append` and the dict
    operations are atomic. Whoever has to wait announces it before looking at the idle list a last time, and
    whoever gives a connection back looks for waiters after putting it there, so no wake-up is lost.
    """

    __slots__ = (
        "__weakref__",
        "_busy",
        "_closed",
        "_condition",
        "_connect",
        "_idle",
        "_limits",
        "_opened",
        "_size",
        "_waiting",
    )

    def __init__(self, connect: Callable[[], Connection], limits: Limits = DEFAULT_LIMITS) -> None:
        self._connect = connect
        self._limits = limits.checked()
        self._size = limits.size
        self._idle: list[tuple[Connection, float]] = []  # with the moment at which it is to be replaced
        self._busy: dict[Connection, float] = {}
        self._condition = threading.Condition()
        self._opened = 0  # open or being opened; changed under the condition only
        self._waiting = 0
        self._closed = False
        fork.watch(self)

    def acquire(self, timeout: Optional[float] = None) -> Connection:
        """Give a connection that is ready for use, or raise PoolTimeoutError.

        It waits at most ``timeout`` seconds (None: those of the pool).
        """
        try:
            connection, expiry = self._idle.pop()
        except IndexError:
            return self._acquire_slowly(timeout)
        if expiry < time.monotonic() or not connection.usable:
            self._drop(connection)
            return self._acquire_slowly(timeout)
        self._busy[connection] = expiry
        return connection

    def release(self, connection: Connection, discard: bool = False) -> None:
        """Take a connection back: an open transaction is rolled back, an unusable or discarded connection is
        closed.
        """
        expiry = self._busy.pop(connection, None)
        if expiry is None:
            self._refuse(connection)
        elif discard or self._closed or not self._clean(connection):
            self._drop(connection)
        elif len(self._idle) >= self._size and not self._waiting:
            self._drop(connection)  # opened in a rush that is over
        else:
            self._idle.append((connection, expiry))
            if self._waiting:
                with self._condition:
                    self._condition.notify()
            if self._closed:  # meanwhile
                self._drop_idle()

    def stats(self) -> PoolStats:
        """Count the connections now."""
        idle = len(self._idle)
        return PoolStats(self._size, max(self._opened - idle, 0), idle, self._waiting)

    def close(self) -> None:
        """Close idle connections now and others when they come back; later and waiting callers get a
        SessionError.
        """
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        self._drop_idle()

    def _acquire_slowly(self, timeout: Optional[float]) -> Connection:
        limit = self._limits.timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        while True:
            entry = self._wait(deadline, limit)
            if entry is None:
                return self._open()
            connection, expiry = entry
            if expiry >= time.monotonic() and connection.usable:
                self._busy[connection] = expiry
                return connection
            self._drop(connection)

    def _wait(self, deadline: float, limit: float) -> Optional[tuple[Connection, float]]:
        """Wait for an idle connection, or give None for the right to open one."""
        with self._condition:
            self._waiting += 1  # announced before the first look at the idle list: see the class
            try:
                while True:
                    if self._closed:
                        raise closed_error()
                    if self._idle:
                        try:
                            return self._idle.pop()
                        except IndexError:  # another thread was faster
                            continue
                    if self._opened < self._limits.total:
                        self._opened += 1
                        return None
                    remaining = deadline - time.monotonic()
                    if remaining <= 0:
                        raise self._limits.exhausted(limit, self._waiting)
                    self._condition.wait(remaining)
            finally:
                self._waiting -= 1

    def _open(self) -> Connection:
        """Open a connection for which room was made."""
        try:
            connection = self._connect()
        except BaseException:
            self._make_room()
            raise
        self._busy[connection] = self._limits.expiry()
        return connection

    def _clean(self, connection: Connection) -> bool:
        """Undo what the user left behind; say whether the connection is fit for the next one."""
        if connection.needs_reset:
            try:
                connection.reset()
            except DatabaseError as error:
                import logging

                log = logging.getLogger("blaze.pool")
                log.warning("a connection is closed because it could not be reset: %s", error)
                return False
        return connection.usable

    def _refuse(self, connection: Connection) -> None:
        if connection.usable:
            raise SessionError("the connection was released before, or belongs to another engine")
        # Not usable: of the parent process, or closed while it was out.

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self._make_room()

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                connection, _ = self._idle.pop()
            except IndexError:
                return
            self._drop(connection)

    def _make_room(self) -> None:
        with self._condition:
            self._opened -= 1
            self._condition.notify()

    def before_fork(self) -> None:
        """Take the lock, and close what may not be open while the process forks."""
        self._condition.acquire()
        for entry in list(self._idle):
            if not entry[0].keep_on_fork:
                try:
                    self._idle.remove(entry)
                except ValueError:  # another thread has just taken it
                    continue
                entry[0].close()
                self._opened -= 1

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._condition.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: every connection is the parent's, and the thread that held the lock may not exist."""
        inherited = [*self._busy, *(connection for connection, _ in self._idle)]
        self._busy.clear()
        self._idle.clear()
        self._condition = threading.Condition()
        self._opened = self._waiting = 0
        for connection in inherited:
            connection.detach()
