"""A pool of blocking connections, last in first out, for many threads."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple, Optional, Union

from blaze.adapters.connection import Connection
from blaze.errors import ConfigurationError, DatabaseError, PoolTimeoutError, SessionError
from blaze.utils import fork

__all__ = ["Limits", "Pool", "PoolStats"]


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


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
        if not _is_seconds(self.timeout) or not _is_seconds(self.recycle):
            raise ConfigurationError(
                f"pool_timeout and recycle are seconds, at least 0, not {self.timeout!r} and {self.recycle!r}"
            )
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
# Seconds after which a waiter looks by itself: nobody wakes it for the place of a dropped connection.
LONGEST_WAIT = 0.5


def closed_error() -> SessionError:
    """Make the error of a caller that comes after the end."""
    return SessionError("the engine is disposed; make a new Engine")


class Place:
    """The right to one open connection, and what the pool knows of that connection.

    A pool counts the places that are alive. The place of a connection that an interrupt drops halfway dies
    with it, so that it is free again by itself.
    """

    __slots__ = ("__weakref__", "connection", "expiry", "lent", "mark", "owner")

    def __init__(self, owner: set[weakref.ref[Place]]) -> None:
        self.owner = owner
        self.connection: Callable[[], Optional[Connection]] = _no_connection
        self.expiry = 0.0  # the moment (`time.monotonic`) at which the connection is to be replaced
        self.lent: list[bool] = []  # not empty: in use; `pop` lets one of two releasing threads win
        self.mark: weakref.ref[Place] = weakref.ref(self, owner.discard)
        owner.add(self.mark)


class _Waiter:
    """A caller that waits; one that an interrupt drops is not counted any more."""

    __slots__ = ("__weakref__",)


def _no_connection() -> None:
    """Stand in for the connection of a place that has none yet."""


class Pool:
    """Hand out connections and take them back.

    With an idle connection there, acquire and release take no lock: `list.pop` and `list.append` are atomic.
    Whoever has to wait announces it before looking at the idle list a last time, and whoever gives a
    connection back looks for waiters after putting it there, so no wake-up is lost. At any moment a
    connection is in the idle list or in the hands of who acquired it, and nowhere else.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_condition",
        "_connect",
        "_idle",
        "_limits",
        "_places",
        "_size",
        "_waiters",
    )

    def __init__(self, connect: Callable[[], Connection], limits: Limits = DEFAULT_LIMITS) -> None:
        self._connect = connect
        self._limits = limits.checked()
        self._size = limits.size
        self._idle: list[Connection] = []
        self._places: set[weakref.ref[Place]] = set()  # open or being opened; added to under the condition
        self._waiters: set[weakref.ref[_Waiter]] = set()
        self._condition = threading.Condition()
        self._closed = False
        fork.watch(self)

    def acquire(self, timeout: Optional[float] = None) -> Connection:
        """Give a connection that is ready for use, or raise PoolTimeoutError.

        It waits at most ``timeout`` seconds (None: those of the pool).
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._acquire_slowly(timeout)
        place = connection.place
        if place.expiry < time.monotonic() or not connection.usable:
            self._drop(connection)
            return self._acquire_slowly(timeout)
        place.lent.append(True)
        return connection

    def release(self, connection: Connection, discard: bool = False) -> None:
        """Take a connection back: an open transaction is rolled back, an unusable or discarded connection is
        closed.
        """
        place = connection.place
        if place is None or place.owner is not self._places or not place.lent:
            self._refuse(connection)
            return
        try:
            place.lent.pop()
        except IndexError:  # another thread was faster
            self._refuse(connection)
            return
        if discard or self._closed or not self._clean(connection):
            self._drop(connection)
        elif len(self._idle) >= self._size and not self._waiters:
            self._drop(connection)  # opened in a rush that is over
        else:
            self._idle.append(connection)
            if self._waiters:
                with self._condition:
                    self._condition.notify()
            if self._closed:  # meanwhile
                self._drop_idle()

    def stats(self) -> PoolStats:
        """Count the connections now."""
        idle = len(self._idle)
        return PoolStats(self._size, max(len(self._places) - idle, 0), idle, len(self._waiters))

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
            found = self._wait(deadline, limit)
            if isinstance(found, Place):
                return self._open(found)
            if found.place.expiry >= time.monotonic() and found.usable:
                found.place.lent.append(True)
                return found
            self._drop(found)

    def _wait(self, deadline: float, limit: float) -> Union[Connection, Place]:
        """Wait for an idle connection, or for the place to open one."""
        with self._condition:
            waiter = _Waiter()
            mark = weakref.ref(waiter, self._waiters.discard)
            self._waiters.add(mark)  # announced before the first look at the idle list: see the class
            try:
                while True:
                    if self._closed:
                        raise closed_error()
                    if self._idle:
                        try:
                            return self._idle.pop()
                        except IndexError:  # another thread was faster
                            continue
                    if len(self._places) < self._limits.total:
                        return Place(self._places)
                    remaining = deadline - time.monotonic()
                    if remaining <= 0:
                        raise self._limits.exhausted(limit, len(self._waiters))
                    self._condition.wait(min(remaining, LONGEST_WAIT))
            finally:
                self._waiters.discard(mark)

    def _open(self, place: Place) -> Connection:
        """Open a connection for which there is a place."""
        try:
            connection = self._connect()
            place.expiry = self._limits.expiry()
            place.lent.append(True)
            place.connection = weakref.ref(connection)
            connection.place = place
            return connection
        except BaseException:
            self._free(place)  # the traceback keeps it alive
            raise

    def _clean(self, connection: Connection) -> bool:
        """Undo what the user left behind; say whether the connection is fit for the next one."""
        if not connection.usable:
            return False
        if not connection.needs_reset:
            return True
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
        self._free(connection.place)

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            self._drop(connection)

    def _free(self, place: Place) -> None:
        with self._condition:
            self._places.discard(place.mark)
            self._condition.notify()

    def before_fork(self) -> None:
        """Take the lock, and close what may not be open while the process forks."""
        self._condition.acquire()
        for connection in list(self._idle):
            if not connection.keep_on_fork:
                try:
                    self._idle.remove(connection)
                except ValueError:  # another thread has just taken it
                    continue
                connection.close()
                self._places.discard(connection.place.mark)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._condition.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: every connection is the parent's, and the thread that held the lock may not exist."""
        places, self._places, self._idle, self._waiters = self._places, set(), [], set()
        self._condition = threading.Condition()
        for mark in list(places):
            place = mark()
            connection = None if place is None else place.connection()
            if connection is not None:
                connection.detach()
