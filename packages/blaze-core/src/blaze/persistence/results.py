"""What `exec` and `execute` give back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from typing import Any, Callable, Generic, Optional, overload

from blaze.errors import CapabilityError, MultipleResultsError, NoResultError
from blaze.query.entities import AnyRow, First, S
from blaze.query.query import R


class QueryResult(Generic[R]):
    """The results of a statement: objects, rows, or raw rows.

    A negative `rowcount` means that the backend does not tell how many rows a conflict has left alone.
    """

    __slots__ = ("_items", "_rowcount")

    def __init__(self, items: Sequence[R], rowcount: Optional[int] = None) -> None:
        self._items = items if isinstance(items, list) else list(items)
        self._rowcount = len(self._items) if rowcount is None else rowcount

    @property
    def rowcount(self) -> int:
        """The number of rows that the statement touched; `CapabilityError` where the backend cannot tell."""
        if self._rowcount < 0:
            raise CapabilityError(
                'the backend does not tell how many rows on_conflict(do="nothing") has inserted'
                " (dialect.features.conflict_rows): upsert(objects, conflict=[...], update=[]) tells"
                " which, by its .inserted"
            )
        return self._rowcount

    def all(self) -> list[R]:
        """Return all results."""
        return self._items

    def first(self) -> Optional[R]:
        """Return the first result, or None."""
        return self._items[0] if self._items else None

    def one(self) -> R:
        """Return the only result; raise `NoResultError` or `MultipleResultsError`."""
        found = self.one_or_none()
        if found is None:
            raise NoResultError("the statement gave no result; use first() where that is expected")
        return found

    def one_or_none(self) -> Optional[R]:
        """Return the only result or None; raise `MultipleResultsError`."""
        if len(self._items) > 1:
            raise MultipleResultsError(f"the statement gave {len(self._items)} results; use first() or all()")
        return self.first()

    @overload
    def scalars(self: QueryResult[First[S]]) -> list[S]: ...
    @overload
    def scalars(self) -> list[R]: ...
    def scalars(self) -> Any:
        """Return the first column of every row, or the objects."""
        return [item[0] if isinstance(item, tuple) else item for item in self._items]

    @overload
    def scalar(self: QueryResult[First[S]]) -> Optional[S]: ...
    @overload
    def scalar(self) -> Optional[R]: ...
    def scalar(self) -> Any:
        """Return the first column of the first row (or the first object), None when there is none."""
        return self.scalars()[0] if self._items else None

    def __iter__(self) -> Iterator[R]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._items)} results, rowcount {self._rowcount}>"


class Result(QueryResult[AnyRow]):
    """The result of raw SQL: rows are tuples whose column names are attributes."""

    __slots__ = ()


class AsyncQueryResult(Generic[R]):
    """The results of an asynchronous statement, which runs once, at the first `await`.

    `result = await session.exec(q); await result.all()` and `await session.exec(q).all()` both work.
    """

    __slots__ = ("_result", "_run")

    def __init__(self, run: Callable[[], Any]) -> None:
        self._run = run
        self._result: Optional[QueryResult[R]] = None

    async def _fetched(self) -> QueryResult[R]:
        if self._result is None:
            result: QueryResult[R] = await self._run()
            self._result = result
        return self._result

    async def _awaited(self) -> AsyncQueryResult[R]:
        await self._fetched()
        return self

    def __await__(self) -> Generator[Any, None, AsyncQueryResult[R]]:
        return self._awaited().__await__()

    @property
    def rowcount(self) -> int:
        """The number of rows that the statement touched; known once it was awaited."""
        if self._result is None:
            raise NoResultError("rowcount is known after the statement has run: await it first")
        return self._result.rowcount

    async def all(self) -> list[R]:
        """Return all results."""
        return (await self._fetched()).all()

    async def first(self) -> Optional[R]:
        """Return the first result, or None."""
        return (await self._fetched()).first()

    async def one(self) -> R:
        """Return the only result; raise `NoResultError` or `MultipleResultsError`."""
        return (await self._fetched()).one()

    async def one_or_none(self) -> Optional[R]:
        """Return the only result or None; raise `MultipleResultsError`."""
        return (await self._fetched()).one_or_none()

    @overload
    async def scalars(self: AsyncQueryResult[First[S]]) -> list[S]: ...
    @overload
    async def scalars(self) -> list[R]: ...
    async def scalars(self) -> Any:
        """Return the first column of every row, or the objects."""
        return (await self._fetched()).scalars()

    @overload
    async def scalar(self: AsyncQueryResult[First[S]]) -> Optional[S]: ...
    @overload
    async def scalar(self) -> Optional[R]: ...
    async def scalar(self) -> Any:
        """Return the first column of the first row, None when there is none."""
        return (await self._fetched()).scalar()

    async def __aiter__(self) -> AsyncIterator[R]:
        for item in await self._fetched():
            yield item
