"""LISTEN through asyncpg, on a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Optional, Union

from blaze.errors import ConnectionLostError, SessionError, TimeoutError
from blaze.utils.awaitables import is_awaitable
from blaze_postgres.notifying import PAUSES, Notification, listen_text

if TYPE_CHECKING:
    from types import TracebackType

    from blaze.engine import Engine

__all__ = ["AsyncListener"]


class AsyncListener:
    """Receive the messages of channels, as `Listener` does: in `async with`, by `async for`.

    `on_reconnect` may be an `async def`; `stop` is called on the loop of the reader.
    """

    def __init__(
        self, engine: Engine, *channels: str, on_reconnect: Optional[Callable[[], Any]] = None
    ) -> None:
        self.engine = engine
        self.channels = channels
        self.on_reconnect = on_reconnect
        self.reconnects = 0
        listen_text(engine, engine.async_dialect, channels)
        self._connection: Any = None
        self._inbox: Optional[asyncio.Queue[Union[Notification, None]]] = None

    async def __aenter__(self) -> AsyncListener:
        self._inbox, self._end = asyncio.Queue(), asyncio.Event()
        await self._connect()
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._end.set()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def __aiter__(self) -> AsyncIterator[Notification]:
        """Give messages as they come, until `stop` is called."""
        while True:
            found = await self.get()
            if found is None:
                return
            yield found

    async def get(self, timeout: Optional[float] = None) -> Optional[Notification]:
        """Give the next message; None after `timeout` seconds (None: wait as long as it takes) or `stop`."""
        inbox = self._inbox
        if inbox is None:
            raise SessionError("the listener is not open: use it in an async with block")
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while not self._end.is_set():
            left = None if deadline is None else max(deadline - loop.time(), 0)
            try:
                if inbox.empty() and self._connection is None:
                    await asyncio.wait_for(self._reconnect(), left)
                    continue
                found = await asyncio.wait_for(inbox.get(), left)
            except asyncio.TimeoutError:
                return None
            if found is not None:
                return found
        return None

    def stop(self) -> None:
        """Let the reader end; it stays ended."""
        self._end.set()
        if self._inbox is not None:
            self._inbox.put_nowait(None)

    async def _connect(self) -> None:
        connection = await self.engine.async_adapter.connect(self.engine.config)
        raw, inbox = connection.raw, self._inbox
        assert inbox is not None
        try:
            for channel in self.channels:
                await raw.add_listener(
                    channel, lambda _, pid, name, text: inbox.put_nowait(Notification(name, text, pid))
                )
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection

        def lost(_: Any) -> None:
            if self._connection is connection:
                self._connection = None
                inbox.put_nowait(None)  # wakes the reader, which connects again

        raw.add_termination_listener(lost)

    async def _reconnect(self) -> None:
        attempt = 0
        while self._connection is None and not self._end.is_set():
            with contextlib.suppress(ConnectionLostError, TimeoutError):
                await self._connect()
                self.reconnects += 1
                result = None if self.on_reconnect is None else self.on_reconnect()
                if result is not None and is_awaitable(result):
                    await result
                return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._end.wait(), PAUSES[min(attempt, len(PAUSES) - 1)])
            attempt += 1
