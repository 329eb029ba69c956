"""How long an asynchronous connection waits for answers, at next to no cost for each statement."""

from __future__ import annotations

import asyncio
import math
import weakref
from typing import Any, Optional

__all__ = ["Patience"]


class Patience:
    """Cut a connection whose server does not answer within ``limit`` seconds (None: wait for ever).

    A timer runs for the connection, not for each statement: when it runs out it looks at the deadline of the
    statement that runs then, if any. ``busy`` says that one runs, ``over`` that the connection was cut.
    """

    __slots__ = ("__weakref__", "_deadline", "_limit", "_loop", "_timer", "_transport", "busy", "over")

    def __init__(self, transport: Any, limit: Optional[float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._limit = limit
        self._deadline = math.inf
        self._timer: Optional[asyncio.TimerHandle] = None
        self.busy = False
        self.over = False

    def begin(self) -> None:
        """Note that a statement is sent."""
        self.busy = True
        if self._limit is not None:
            self._deadline = self._loop.time() + self._limit
            if self._timer is None:
                me: Any = weakref.ref(self)
                self._timer = self._loop.call_later(self._limit, _look, me)

    def end(self) -> None:
        """Note that it was answered, or failed."""
        self.busy = False

    def stop(self) -> None:
        """Forget the connection."""
        self.busy = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Cut the connection if the deadline has passed; else look again when it does."""
        self._timer = None
        if not self.busy:
            return
        if self._loop.time() < self._deadline:
            me: Any = weakref.ref(self)
            self._timer = self._loop.call_at(self._deadline, _look, me)
        else:
            self.over = True
            self._transport.abort()


def _look(reference: weakref.ref[Patience]) -> None:
    """Look, unless the connection was dropped meanwhile."""
    patience = reference()
    if patience is not None:
        patience.look()
