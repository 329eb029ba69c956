"""An asynchronous connection over a blocking one: for databases whose driver knows no event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, ClassVar, Optional, TypeVar, Union, cast, overload

from blaze.adapters.connection import Connection, Consume, Parameters, R, Row
from blaze.adapters.outcome import Outcome
from blaze.errors import ConnectionLostError, DatabaseError

__all__ = ["ThreadedConnection"]

Self = TypeVar("Self", bound="ThreadedConnection")
_SETTLE_SECONDS = 1.0  # how long a cancelled statement may take to stop before its connection is given up
_detached: list[Any] = []  # threads of a parent process, kept from being finalised here


class _Worker:
    """A thread that makes one call after the other.

    An executor of the standard library would do, but for its locks, which it holds while a process forks.
    """

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=_work, args=(self._calls,), name="blaze-connection", daemon=True).start()

    def __del__(self) -> None:
        self.stop()

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Make a call after those before."""
        future: Future[Any] = Future()
        self._calls.put((future, call, arguments))
        return future

    def stop(self) -> None:
        """End the thread after the calls that it has been given."""
        self._calls.put(None)


def _work(calls: SimpleQueue[Any]) -> None:
    while True:
        job = calls.get()
        if job is None:
            return
        future, call, arguments = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call(*arguments))
            except BaseException as error:
                future.set_exception(error)
        del job, future, call, arguments  # nothing of a call lives until the next one comes


class ThreadedConnection:
    """Run the calls of a blocking connection in a thread of its own, one trip to the thread per call.

    A backend subclasses it and overrides `interrupt` and `translate`; `await Subclass.open(connect)` makes
    one. A cancelled call is interrupted and waited for; when it does not stop in time, ``usable`` turns
    False. Where the driver brings a thread of its own, `_run`, `close` and `terminate` are overridden, too.
    """

    __slots__ = ("__weakref__", "_running", "_settled", "_thread", "blocking")

    driver_errors: tuple[type[BaseException], ...] = ()
    read_all: ClassVar[Any] = list  # makes, in the thread, rows that may leave it

    def __init__(self, blocking: Connection, thread: Any) -> None:
        self.blocking = blocking
        self._thread: Any = thread  # None when closed
        self._running = 0  # calls in the thread, or on their way
        self._settled = True

    @classmethod
    async def open(cls: type[Self], connect: Callable[[], Connection]) -> Self:
        """Open a blocking connection in a new thread; after an error or a cancellation nothing stays open."""
        thread = _Worker()
        opening = thread.submit(connect)
        try:
            return cls(await asyncio.wrap_future(opening), thread)
        except BaseException:
            opening.add_done_callback(_close_late)
            thread.stop()
            raise

    def interrupt(self) -> None:
        """Stop the statement that runs in the thread; called from outside of it, perhaps several times."""

    def translate(self, error: BaseException, sql: str) -> DatabaseError:
        """Give the error of Blaze for one of `driver_errors` that came while rows were read."""
        raise NotImplementedError

    @property
    def usable(self) -> bool:
        return self._settled and self.blocking.usable

    @usable.setter
    def usable(self, value: bool) -> None:
        self.blocking.usable = value

    @property
    def keep_on_fork(self) -> bool:
        return False

    @property
    def needs_reset(self) -> bool:
        return self.blocking.needs_reset

    @property
    def in_transaction(self) -> bool:
        return self.blocking.in_transaction

    @property
    def raw(self) -> Any:
        return self.blocking.raw

    @overload
    async def execute(self, sql: str, params: Parameters = (), consume: None = None) -> Outcome: ...
    @overload
    async def execute(self, sql: str, params: Parameters, consume: Consume[R]) -> R: ...
    async def execute(
        self, sql: str, params: Parameters = (), consume: Optional[Consume[R]] = None
    ) -> Union[R, Outcome]:
        if consume is None:
            return cast(Outcome, await self._run(self.blocking.execute, sql, params))
        rows = await self._run(self.blocking.execute, sql, params, self.read_all)
        try:
            return consume(rows)
        except self.driver_errors as error:
            raise self.translate(error, sql) from error

    async def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        return cast(int, await self._run(self.blocking.execute_many, sql, rows))

    async def stream(
        self, sql: str, params: Parameters = (), size: int = 1000
    ) -> AsyncGenerator[list[Row], None]:
        stream = self.blocking.stream(sql, params, size)
        try:
            while True:
                rows = await self._run(next, stream, None)
                if rows is None:
                    return
                yield rows
        finally:
            if self.usable:
                await self._run(stream.close)

    async def begin(
        self, isolation: Optional[str] = None, read_only: bool = False, immediate: bool = True
    ) -> None:
        await self._run(self.blocking.begin, isolation, read_only, immediate)

    async def commit(self) -> None:
        await self._run(self.blocking.commit, interrupt=False)

    async def rollback(self) -> None:
        await self._run(self.blocking.rollback, interrupt=False)

    async def savepoint(self, name: str) -> None:
        await self._run(self.blocking.savepoint, name)

    async def rollback_to(self, name: str) -> None:
        await self._run(self.blocking.rollback_to, name, interrupt=False)

    async def release(self, name: str) -> None:
        await self._run(self.blocking.release, name, interrupt=False)

    async def reset(self) -> None:
        await self._run(self.blocking.reset, interrupt=False)

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        self._settled = False
        if thread is not None:
            closing = thread.submit(self.blocking.close)
            thread.stop()
            await asyncio.wrap_future(closing)

    def terminate(self) -> None:
        """Close without waiting: at once when idle, else in the thread, when its statement has stopped.

        A driver's `close` waits for the statement that runs, and with it the whole event loop would.
        """
        thread, self._thread = self._thread, None
        self._settled = False
        if thread is None:
            return
        if self._running:
            self.interrupt()
            thread.submit(self.blocking.close)
        else:
            self.blocking.close()
        thread.stop()

    def detach(self) -> None:
        self._settled = False
        _detached.append(self._thread)
        self._thread = None
        self.blocking.detach()

    async def _run(self, call: Callable[..., Any], *arguments: Any, interrupt: bool = True) -> Any:
        """Run a call in the thread; on cancellation bring the connection to a known state first."""
        if self._thread is None:
            raise ConnectionLostError("the connection is closed; open a new session")
        running = self._thread.submit(call, *arguments)
        self._running += 1
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if not running.cancelled():  # it has begun
                await self._settle(running, interrupt)
            raise
        finally:
            if running.done():  # else the thread is still in the call, and nobody but it may close
                self._running -= 1

    async def _settle(self, running: Union[Future[Any], asyncio.Future[Any]], interrupt: bool) -> None:
        """Wait until the thread has left a cancelled call; give the connection up if that takes too long."""
        self._settled = False
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not running.done() and time.monotonic() < deadline:
            if interrupt:  # again and again: it does nothing before the statement has begun to run
                self.interrupt()
            await asyncio.sleep(0.01)
        self._settled = running.done()


def _close_late(opening: Future[Connection]) -> None:
    """Close a connection that nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
