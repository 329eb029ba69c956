"""The awaited form of a statement that is a transaction by itself."""

from __future__ import annotations

from typing import Any

from blaze.adapters.alone import ExecuteAlone
from blaze.adapters.settling import finish
from blaze.errors import DatabaseError

__all__ = ["AsyncExecuteAlone"]


class AsyncExecuteAlone(ExecuteAlone):
    """A statement that runs to its end, like a COMMIT, when the task that waits for it is cancelled.

    When that takes too long, the connection is given up.
    """

    __slots__ = ()

    async def apply(self, connection: Any) -> Any:
        self.check(connection)
        return await finish(self._send(connection), connection.terminate)

    async def _send(self, connection: Any) -> Any:
        try:
            self.result = await connection.execute(self.sql, self.params, self.consume)
            self.answered = True
        except DatabaseError as error:
            self.explain(error, connection)
            raise
        return self.result
