"""Whose turn it is: a transaction block of a session that threads or tasks share belongs to one at a time.

The one who opens a block owns it; others wait until it ends, and get a `SessionError` when that takes longer
than the `pool_timeout` of the engine. Who has the lock of a session asks for the owner only while a block is
open, so that the rule costs one truth test otherwise.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Optional

from blaze.errors import SessionError

if TYPE_CHECKING:
    from blaze.persistence.base import SessionBase

# Seconds after which a waiter looks by itself: nobody wakes it when an owner ends without leaving its block.
LONGEST_WAIT = 0.5


def refused(who: str, waited: Optional[float] = None) -> SessionError:
    """Return the error for a thread or task that may not use the session now."""
    meanwhile = "" if waited is None else f", and has not left it within {waited:g} s"
    return SessionError(
        f"another {who} is inside of a transaction() block of this session{meanwhile}: a block belongs to "
        f"one {who} at a time; give each {who} a session of its own"
    )


class Ticket:
    """A place in the queue; one that an interrupt drops leaves the queue by itself."""

    __slots__ = ("__weakref__",)


class Queue:
    """Who waits for a block to end, first come first served."""

    __slots__ = ("_marks", "session")

    def __init__(self, session: SessionBase) -> None:
        self.session = session
        self._marks: dict[weakref.ref[Ticket], None] = {}

    def __bool__(self) -> bool:
        return bool(self._marks)

    def join(self) -> tuple[Ticket, weakref.ref[Ticket]]:
        """Return a place at the end and what `leave` takes."""
        ticket = Ticket()
        mark = weakref.ref(ticket, self.leave)
        self._marks[mark] = None
        return ticket, mark

    def leave(self, mark: weakref.ref[Ticket]) -> None:
        """Give a place up."""
        self._marks.pop(mark, None)

    def is_first(self, mark: weakref.ref[Ticket]) -> bool:
        """Whether it is the turn of this place."""
        return next(iter(self._marks), None) is mark


class ThreadQueue(Queue):
    """The threads that wait for the block of another one."""

    __slots__ = ("freed",)

    def __init__(self, session: SessionBase, lock: threading.RLock) -> None:
        super().__init__(session)
        self.freed = threading.Condition(lock)

    def wait(self) -> None:
        """Wait, with the lock held, until it is the turn of this thread; raise `SessionError` in the end."""
        levels, me = self.session.transactions.levels, threading.get_ident()
        timeout = self.session.engine.pool_timeout
        deadline = time.monotonic() + timeout
        _ticket, mark = self.join()  # lives as long as this call
        try:
            while not self.is_first(mark) or (levels and levels[0].owner != me and _runs(levels[0].owner)):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise refused("thread", timeout)
                self.freed.wait(min(remaining, LONGEST_WAIT))
        finally:
            self.leave(mark)
            self.freed.notify_all()


def _runs(thread: Any) -> bool:
    """Whether a thread has not ended."""
    return thread in sys._current_frames()
