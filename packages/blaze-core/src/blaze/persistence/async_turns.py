"""Whose turn it is among the tasks that share an asynchronous session; see `turns`.

Tasks that are started inside of a block inherit its context and take part in it; a block that one of them
opens is its own again.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Optional

from blaze.errors import SessionError
from blaze.persistence.turns import LONGEST_WAIT, Queue, refused

if TYPE_CHECKING:
    from blaze.persistence.async_session import AsyncSession
    from blaze.persistence.base import SessionBase
    from blaze.persistence.transaction import Level

# The innermost block around this task, of whichever session.
current_block: ContextVar[Optional[Level]] = ContextVar("blaze_current_block", default=None)


# The hook that this task runs, or was started by.
current_hook: ContextVar[Optional[HookRun]] = ContextVar("blaze_current_hook", default=None)


class HookRun:
    """An asynchronous hook while it runs: the tasks that it starts share the turn of the session with it.

    The hook may wait for them, so they cannot wait for the end of its operation; they go one by one.
    """

    __slots__ = ("_lock", "active", "session")

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.active = True
        self._lock: Optional[asyncio.Lock] = None

    @property
    def lock(self) -> asyncio.Lock:
        """Held by whoever runs something in the session."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    async def wait_for(self, answer: Any) -> Any:
        """Await what the hook has returned, then what its tasks are in the middle of."""
        token = current_hook.set(self)
        try:
            return await answer
        finally:
            current_hook.reset(token)
            self.active = False  # whoever comes now waits for a turn of its own
            if self._lock is not None and self._lock.locked():
                async with self._lock:
                    pass


def running_hook(session: AsyncSession) -> Optional[HookRun]:
    """Return the hook of a session that this task takes part in."""
    run = current_hook.get()
    return run if run is not None and run.active and run.session is session else None


class TaskQueue(Queue):
    """The tasks that wait for the block of another one."""

    __slots__ = ("_asleep",)

    def __init__(self, session: SessionBase) -> None:
        super().__init__(session)
        self._asleep: set[asyncio.Future[None]] = set()

    async def wait(self, lock: asyncio.Lock) -> None:
        """Wait until it is the turn of this task, return with the lock; raise `SessionError` in the end."""
        loop = asyncio.get_running_loop()
        timeout = self.session.engine.pool_timeout
        deadline = loop.time() + timeout
        _ticket, mark = self.join()
        try:
            while True:
                await lock.acquire()
                if self.is_first(mark) and not is_barred(self.session):
                    return
                lock.release()
                remaining = deadline - loop.time()
                if remaining <= 0:
                    raise refused("task", timeout)
                freed = loop.create_future()
                self._asleep.add(freed)
                try:
                    await asyncio.wait({freed}, timeout=min(remaining, LONGEST_WAIT))
                finally:
                    self._asleep.discard(freed)
        finally:
            self.leave(mark)
            self.wake()

    def wake(self) -> None:
        """Let all look whether it is their turn."""
        for freed in self._asleep:
            if not freed.done():
                freed.set_result(None)


class Turn:
    """A task's turn to use a session for several steps; it may have it already.

    With `anyway` it passes by the open blocks of others, and a cancellation waits until it has ended.
    """

    __slots__ = ("_anyway", "_cancelled", "_own", "_session")

    def __init__(self, session: AsyncSession, anyway: bool = False) -> None:
        self._session = session
        self._anyway = anyway
        self._cancelled: Optional[asyncio.CancelledError] = None

    async def __aenter__(self) -> None:
        session, task = self._session, asyncio.current_task()
        self._own = session._owner is not task
        if not self._own:
            return
        if not self._anyway:
            await session._take_turn(task)
            return
        if session._lock is None:
            session._lock = asyncio.Lock()
        while session._owner is not task:
            try:
                await session._lock.acquire()
                session._owner = task
            except asyncio.CancelledError as error:
                self._cancelled = error

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if self._own:
            await self._session._end_turn(False)
        if self._cancelled is not None and error is None:
            raise self._cancelled


def this_task() -> Optional[asyncio.Task[Any]]:
    """Return the task that runs this; None for code outside of a loop, which may `add` objects as well."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def is_barred(session: SessionBase) -> bool:
    """Whether the innermost open block of an asynchronous session is one that this task is not inside of."""
    levels = session.transactions.levels
    if not levels:
        return False
    innermost = levels[-1]
    if innermost.owner.done() or innermost.owner is this_task():
        return False
    block = current_block.get()
    while block is not None and block is not innermost:
        block = block.outer
    return block is None


def check_block(session: SessionBase) -> None:
    """Raise `SessionError` in a task that runs in a block which somebody else has rolled back meanwhile."""
    block = current_block.get()
    while block is not None and block.session is not session:
        block = block.outer
    if block is not None and block.undone_by is not None and block.undone_by is not this_task():
        raise SessionError(
            "the transaction() block in which this task was started was rolled back by another task; "
            "wait for the tasks of a block inside of it"
        )
