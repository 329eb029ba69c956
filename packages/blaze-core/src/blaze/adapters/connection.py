"""The protocols of one physical connection, blocking and awaited, with the same names."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Sequence
from typing import Any, Optional, Protocol, TypeVar, Union, overload

from blaze.adapters.outcome import Outcome
from blaze.dialects.batches import CopyTarget

__all__ = ["AsyncConnection", "Connection", "Consume", "Copying", "Parameters", "Row"]

R = TypeVar("R")
Row = tuple[Any, ...]
Parameters = Sequence[Any]
Consume = Callable[[Iterable[Row]], R]


class Connection(Protocol):
    """One blocking connection, used by one thread at a time.

    It never begins a transaction by itself. Driver exceptions come out as ``blaze.errors.DatabaseError`` with
    the driver's as ``__cause__``. ``usable`` turns False for good once the connection is lost or of unknown
    state. One that nobody holds any more closes itself. It can be weakly referenced.
    """

    place: Any
    """The pool's, which sets and reads it; None before."""

    @property
    def usable(self) -> bool:
        """Say whether the connection may be used again; False is for good."""
        ...

    @usable.setter
    def usable(self, value: bool) -> None: ...

    @property
    def keep_on_fork(self) -> bool:
        """Say whether it may stay open, idle, in a process that forks; the pool closes others just before."""
        ...

    @property
    def needs_reset(self) -> bool:
        """Say whether ``reset`` has anything to undo; the pool asks at every release, so it must be cheap."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Say what the driver says about an open transaction."""
        ...

    @property
    def raw(self) -> Any:
        """Give the driver's own connection, for what Blaze has no word for."""
        ...

    @overload
    def execute(self, sql: str, params: Parameters = (), consume: None = None) -> Outcome: ...
    @overload
    def execute(self, sql: str, params: Parameters, consume: Consume[R]) -> R: ...
    def execute(
        self, sql: str, params: Parameters = (), consume: Optional[Consume[R]] = None
    ) -> Union[R, Outcome]:
        """Run one statement; ``consume`` gets the rows as tuples, inside the error translation, and its
        result is given.
        """
        ...

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        """Run one statement for each row of parameters and give the number of rows changed (-1 when not
        known).
        """
        ...

    def stream(self, sql: str, params: Parameters = (), size: int = 1000) -> Generator[list[Row], None, None]:
        """Give the rows in lists of at most ``size``, in constant memory; close it to stop early."""
        ...

    def begin(self, isolation: Optional[str] = None, read_only: bool = False, immediate: bool = True) -> None:
        """Open a transaction; ``immediate`` takes the write lock at once where the database has one lock."""
        ...

    def commit(self) -> None:
        """Commit; when the connection breaks meanwhile, raise CommitOutcomeUnknownError."""
        ...

    def rollback(self) -> None:
        """Roll back; does nothing when the transaction has ended already, be it with the connection."""
        ...

    def savepoint(self, name: str) -> None:
        """Set a savepoint."""
        ...

    def rollback_to(self, name: str) -> None:
        """Roll back to a savepoint and keep it."""
        ...

    def release(self, name: str) -> None:
        """Forget a savepoint and keep what was done since."""
        ...

    def reset(self) -> None:
        """Undo what a user left behind (open transaction, settings), touching only what was used."""
        ...

    def close(self) -> None:
        """Close for good; never raises for a connection that is already broken."""
        ...

    def detach(self) -> None:
        """Forget the driver's connection without a word to the database: it belongs to the parent of a forked
        process.
        """
        ...


class Copying(Protocol):
    """What connections have beside where the dialect has the feature ``copy``; asynchronous ones await it."""

    def copy(self, target: CopyTarget, rows: Sequence[Parameters]) -> Union[int, Awaitable[int]]:
        """Load rows in bulk and give their number; -1, and nothing done, where the table takes none."""
        ...


class AsyncConnection(Protocol):
    """One connection of an event loop; the same contract as ``Connection``, awaited.

    When the task that awaits a call is cancelled, the connection is brought to a known state before the
    cancellation goes on, or ``usable`` turns False.
    """

    @property
    def usable(self) -> bool:
        """Say whether the connection may be used again; False is for good."""
        ...

    @usable.setter
    def usable(self, value: bool) -> None: ...

    @property
    def keep_on_fork(self) -> bool:
        """Say whether it may stay open, idle, in a process that forks; the pool closes others just before."""
        ...

    @property
    def needs_reset(self) -> bool:
        """Say whether ``reset`` has anything to undo; the pool asks at every release, so it must be cheap."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Say what the driver says about an open transaction."""
        ...

    @property
    def raw(self) -> Any:
        """Give the driver's own connection, for what Blaze has no word for."""
        ...

    @overload
    async def execute(self, sql: str, params: Parameters = (), consume: None = None) -> Outcome: ...
    @overload
    async def execute(self, sql: str, params: Parameters, consume: Consume[R]) -> R: ...
    async def execute(
        self, sql: str, params: Parameters = (), consume: Optional[Consume[R]] = None
    ) -> Union[R, Outcome]:
        """Run one statement; ``consume`` gets the list of rows as tuples, on the event loop's thread."""
        ...

    async def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        """Run one statement for each row of parameters and give the number of rows changed (-1 when not
        known).
        """
        ...

    def stream(self, sql: str, params: Parameters = (), size: int = 1000) -> AsyncGenerator[list[Row], None]:
        """Give the rows in lists of at most ``size``, in constant memory; ``aclose()`` the iterator to stop
        early.
        """
        ...

    async def begin(
        self, isolation: Optional[str] = None, read_only: bool = False, immediate: bool = True
    ) -> None:
        """Open a transaction; ``immediate`` takes the write lock at once where the database has one lock."""
        ...

    async def commit(self) -> None:
        """Commit; when the connection breaks meanwhile, raise CommitOutcomeUnknownError."""
        ...

    async def rollback(self) -> None:
        """Roll back; does nothing when the transaction has ended already, be it with the connection."""
        ...

    async def savepoint(self, name: str) -> None:
        """Set a savepoint."""
        ...

    async def rollback_to(self, name: str) -> None:
        """Roll back to a savepoint and keep it."""
        ...

    async def release(self, name: str) -> None:
        """Forget a savepoint and keep what was done since."""
        ...

    async def reset(self) -> None:
        """Undo what a user left behind (open transaction, settings), touching only what was used."""
        ...

    async def close(self) -> None:
        """Close for good; never raises for a connection that is already broken."""
        ...

    def terminate(self) -> None:
        """Close without waiting, for a connection of unknown state or of a loop that is gone."""
        ...

    def detach(self) -> None:
        """Forget the driver's connection without a word to the database: after a fork, or when its loop is
        gone.
        """
        ...
