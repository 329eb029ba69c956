"""Count the statements of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Optional, Union

if TYPE_CHECKING:
    from blaze.persistence.async_session import AsyncSession
    from blaze.persistence.session import Session


class StatementCount:
    """How many statements the session has executed in the block, transaction control apart."""

    def __init__(self, session: Union[Session, AsyncSession]) -> None:
        self._session = session
        self._start: int = session.query_stats().total
        self._end: Optional[int] = None

    def stop(self) -> None:
        """Count no further."""
        self._end = self._session.query_stats().total

    @property
    def total(self) -> int:
        """The number of statements so far."""
        end: int = self._session.query_stats().total if self._end is None else self._end
        return end - self._start

    def __int__(self) -> int:
        return self.total

    def __eq__(self, other: object) -> bool:
        return self.total == other

    def __hash__(self) -> int:
        raise TypeError("a statement count changes and cannot be a key; use its total")

    def __repr__(self) -> str:
        return f"<{self.total} statements>"


@contextmanager
def count_statements(session: Union[Session, AsyncSession]) -> Iterator[StatementCount]:
    """Count the statements of a session in a block: `with count_statements(session) as n: ...; n == 2`."""
    count = StatementCount(session)
    try:
        yield count
    finally:
        count.stop()
