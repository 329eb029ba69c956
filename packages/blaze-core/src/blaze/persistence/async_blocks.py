"""Transaction blocks of an asynchronous session."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.persistence.async_turns import Turn, current_block
from blaze.persistence.retry import only_functions_again

if TYPE_CHECKING:
    from blaze.persistence.async_session import AsyncSession


class AsyncTransaction:
    """A transaction block of an asynchronous session.

    It belongs to the task that enters it and to those that are started inside; others wait for its end.
    """

    def __init__(
        self, session: AsyncSession, isolation: Optional[str], read_only: bool, retries: int = 0
    ) -> None:
        self._session = session
        self._isolation = isolation
        self._read_only = read_only
        self._retries = retries
        self._level: Any = None
        self._outer: Any = None

    async def __call__(self, function: Callable[..., Any]) -> Any:
        """Await a function in the block, again after a conflict: see `AsyncSession.run_in_transaction`."""
        return await self._session.run_in_transaction(
            function, isolation=self._isolation, read_only=self._read_only, retries=self._retries
        )

    async def __aenter__(self) -> AsyncSession:
        if self._retries:
            raise only_functions_again()
        session = self._session
        plan = session.transactions.enter(self._isolation, self._read_only)
        self._level = level = await session._run(plan, entering=True)
        level.outer = current_block.get()
        self._outer = current_block.set(level)
        return session

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        session, level, self._level = self._session, self._level, None
        transactions = session.transactions
        level.owner = asyncio.current_task()  # whoever leaves the block takes it over
        try:
            if error is None:
                await session._run(transactions.leave(level), last=True)
        except BaseException as failure:  # cancelled, or a task that was started inside is in a block still
            error = failure
            raise
        finally:
            if level in transactions.levels or transactions.has_remainder(level):
                async with Turn(session, anyway=True):
                    await session._run(transactions.abandon(level, error), last=True)
            with suppress(ValueError):  # left in another context than entered, which knows nothing of it
                current_block.reset(self._outer)
