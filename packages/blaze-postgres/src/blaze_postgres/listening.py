"""LISTEN through psycopg2, on a connection of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Optional

import psycopg2

from blaze.errors import ConnectionLostError, SessionError, TimeoutError
from blaze_postgres.notifying import PAUSES, Notification, listen_text

if TYPE_CHECKING:
    from types import TracebackType

    from blaze.engine import Engine

__all__ = ["Listener"]


class Listener:
    """Receive the messages of channels: `with Listener(engine, "orders") as listener: for note in listener`.

    The connection is the listener's own, beside the pool. When it is lost, the listener connects again, as
    often as needed, and calls `on_reconnect` without arguments: what was sent meanwhile is lost, so look into
    the tables there. `reconnects` counts that. One thread reads; any thread may `stop`.

    Raises `CapabilityError` on other databases, `ConfigurationError` behind a pooler in transaction mode.
    """

    def __init__(
        self, engine: Engine, *channels: str, on_reconnect: Optional[Callable[[], object]] = None
    ) -> None:
        self.engine = engine
        self.channels = channels
        self.on_reconnect = on_reconnect
        self.reconnects = 0
        self._listen = listen_text(engine, engine.dialect, channels)
        self._connection: Any = None
        self._stopped = False
        self._wake: tuple[int, int] = (-1, -1)

    def __enter__(self) -> Listener:
        self._connect()
        self._wake = os.pipe()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._stopped = True
        self._drop()
        wake, self._wake = self._wake, (-1, -1)
        for end in wake:
            os.close(end)

    def __iter__(self) -> Iterator[Notification]:
        """Give messages as they come, until `stop` is called."""
        while True:
            found = self.get()
            if found is None:
                return
            yield found

    def get(self, timeout: Optional[float] = None) -> Optional[Notification]:
        """Give the next message; None after `timeout` seconds (None: wait as long as it takes) or `stop`."""
        if self._wake[0] < 0:
            raise SessionError("the listener is not open: use it in a with block")
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._stopped:
            try:
                if self._connection is not None:
                    waiting = self._connection.raw.notifies
                    if waiting:
                        found = waiting.pop(0)
                        return Notification(found.channel, found.payload, found.pid)
                    if not self._wait(self._connection.raw.fileno(), deadline):
                        return None
                    self._connection.raw.poll()
                    continue
            except psycopg2.Error:  # the connection is gone
                self._drop()
            if not self._reconnect(deadline):
                return None
        return None

    def stop(self) -> None:
        """Let the reader end, from any thread; it stays ended."""
        self._stopped = True
        if self._wake[1] >= 0:
            os.write(self._wake[1], b"\0")

    def _connect(self) -> None:
        connection = self.engine.adapter.connect(self.engine.config)
        try:
            connection.execute(self._listen)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _reconnect(self, deadline: Optional[float]) -> bool:
        """Connect again; False where time is up or the reader is to end first."""
        for attempt in itertools.count():
            with contextlib.suppress(ConnectionLostError, TimeoutError):
                self._connect()
                self.reconnects += 1
                if self.on_reconnect is not None:
                    self.on_reconnect()
                return True
            pause = time.monotonic() + PAUSES[min(attempt, len(PAUSES) - 1)]
            if deadline is not None and deadline <= pause:
                self._wait(None, deadline)
                return False
            self._wait(None, pause)
            if self._stopped:
                return False
        return False

    def _wait(self, connection: Optional[int], deadline: Optional[float]) -> bool:
        """Wait until something comes in or `stop` is called; False when time is up."""
        poll = select.poll()
        poll.register(self._wake[0], select.POLLIN)
        if connection is not None:
            poll.register(connection, select.POLLIN)
        left = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
        return bool(poll.poll(left))
