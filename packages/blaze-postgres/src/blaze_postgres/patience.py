"""How long a blocking connection waits for answers: libpq itself would wait for ever.

One thread per process looks after all connections, and sleeps as long as none can be late. A statement costs
the reading of a clock.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
import weakref
from typing import Optional

from blaze.utils import fork

__all__ = ["Patience"]


class Patience:
    """The patience of one connection: ``limit`` seconds for each answer (None: for ever).

    ``deadline`` is set while a statement runs and infinite otherwise; ``over`` says that the connection was
    cut because it had passed.
    """

    __slots__ = ("__weakref__", "_descriptor", "deadline", "limit", "over")

    def __init__(self, descriptor: int, limit: Optional[float]) -> None:
        self._descriptor = descriptor
        self.limit = limit or math.inf
        self.deadline = math.inf
        self.over = False
        if limit:
            _watcher.add(self)

    def next_look(self, now: float) -> float:
        """Cut the connection when its deadline has passed; give the moment to look again."""
        deadline = self.deadline
        if deadline == math.inf:
            return now + self.limit
        if now < deadline:
            return deadline
        with contextlib.suppress(OSError):  # closed meanwhile
            descriptor = os.dup(self._descriptor)
            with socket.socket(fileno=descriptor) as copy:
                if self.deadline == deadline:  # the same statement still runs, so it is still the same socket
                    self.over = True
                    copy.shutdown(socket.SHUT_RDWR)
        return now + self.limit


class _Watcher:
    """The thread that looks after all connections; it ends with the last of them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._watched: weakref.WeakSet[Patience] = weakref.WeakSet()
        self._next = math.inf
        self._running = False
        fork.watch(self)

    def add(self, patience: Patience) -> None:
        """Look after a connection."""
        with self._condition:
            self._watched.add(patience)
            if not self._running:
                self._running = True
                threading.Thread(target=self._watch, name="blaze-patience", daemon=True).start()
            elif time.monotonic() + patience.limit < self._next:
                self._condition.notify()

    def _watch(self) -> None:
        with self._condition:
            while self._watched:
                now = time.monotonic()
                self._next = min((each.next_look(now) for each in list(self._watched)), default=now)
                self._condition.wait(max(self._next - time.monotonic(), 0.0))
            self._running = False

    def before_fork(self) -> None:
        """Come to rest."""
        self._condition.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._condition.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: the thread and the connections are the parent's."""
        self._condition = threading.Condition()
        self._watched = weakref.WeakSet()
        self._running = False


_watcher = _Watcher()
