"""The awaited form of a statement that is a transaction by itself."""

from __future__ import annotations

import asyncio
from typing import Any

from blaze.adapters.alone import ExecuteAlone
from blaze.errors import DatabaseError

__all__ = ["AsyncExecuteAlone"]

_SETTLE_SECONDS = 1.0  # how long it may go on once its task has been cancelled


class AsyncExecuteAlone(ExecuteAlone):
    """A statement that runs to its end, like a COMMIT, when the task that waits for it is cancelled.

    When that takes too long, the connection is given up.
    """

    __slots__ = ()

    async def apply(self, connection: Any) -> Any:
        self.check(connection)
        running = asyncio.ensure_future(self._send(connection))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_look_at)
            try:
                done, _ = await asyncio.wait({running}, timeout=_SETTLE_SECONDS)
            except asyncio.CancelledError:
                done = set()
            if not done:
                connection.terminate()
            raise

    async def _send(self, connection: Any) -> Any:
        try:
            self.result = await connection.execute(self.sql, self.params, self.consume)
            self.answered = True
        except DatabaseError as error:
            self.explain(error, connection)
            raise
        return self.result


def _look_at(task: asyncio.Future[Any]) -> None:
    """Take note of the outcome, so that asyncio does not report it as forgotten."""
    if not task.cancelled():
        task.exception()
