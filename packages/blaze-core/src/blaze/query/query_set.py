"""Queries bound to a session: `QuerySet` blocks, `AsyncQuerySet` is awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Optional, Union, overload

from blaze.errors import NoResultError, QueryError
from blaze.query.compilation import query_sql
from blaze.query.entities import T0, T1, T2, T3, T4, T5, T6, T7, First, M, S
from blaze.query.query import Query, R

if TYPE_CHECKING:
    from typing_extensions import Self

    from blaze.core.parts import Part
    from blaze.dialects.dialect import Dialect
    from blaze.query.entities import (
        Left2,
        Left3,
        Left4,
        Left5,
        Left6,
        Left7,
        Left8,
        LongRow,
        Outer1,
        Outer2,
        Outer3,
        Outer4,
        Outer5,
        Outer6,
        Outer7,
        Outer8,
    )
    from blaze.query.paging import Page
    from blaze.query.query import Condition, Joinable, Path
    from blaze.query.row import Row
    from blaze.sql.expressions import Expression


class QuerySet(Query[R], Generic[R]):
    """A query bound to a `Session`; iterating it, or a terminal method, runs it."""

    __slots__ = ()

    if TYPE_CHECKING:

        def annotate(self, /, **expressions: Expression[Any]) -> QuerySet[Any]: ...
        @overload
        def include(self, /, *paths: Path) -> Self: ...
        @overload
        def include(self, *paths: Path, **parts: Part[Any]) -> QuerySet[Any]: ...
        def include(self, *paths: Path, **parts: Part[Any]) -> Any: ...
        @overload
        def left_join(self: QuerySet[M], target: Joinable, on: Optional[Condition] = None) -> QuerySet[M]: ...
        @overload
        def left_join(
            self: QuerySet[Row[T0, T1]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Left2[T0, T1]]: ...
        @overload
        def left_join(
            self: QuerySet[Row[T0, T1, T2]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Left3[T0, T1, T2]]: ...
        @overload
        def left_join(
            self: QuerySet[Row[T0, T1, T2, T3]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Left4[T0, T1, T2, T3]]: ...
        @overload
        def left_join(
            self: QuerySet[Row[T0, T1, T2, T3, T4]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Left5[T0, T1, T2, T3, T4]]: ...
        @overload
        def left_join(
            self: QuerySet[Row[T0, T1, T2, T3, T4, T5]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Left6[T0, T1, T2, T3, T4, T5]]: ...
        @overload
        def left_join(
            self: QuerySet[Row[T0, T1, T2, T3, T4, T5, T6]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Left7[T0, T1, T2, T3, T4, T5, T6]]: ...
        @overload
        def left_join(
            self: QuerySet[Row[T0, T1, T2, T3, T4, T5, T6, T7]],
            target: Joinable,
            on: Optional[Condition] = None,
        ) -> QuerySet[Left8[T0, T1, T2, T3, T4, T5, T6, T7]]: ...
        @overload
        def left_join(self, target: Joinable, on: Optional[Condition] = None) -> Self: ...
        def left_join(self, target: Joinable, on: Optional[Condition] = None) -> Any: ...
        @overload
        def right_join(
            self: QuerySet[Row[T0]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Outer1[T0]]: ...
        @overload
        def right_join(
            self: QuerySet[Row[T0, T1]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Outer2[T0, T1]]: ...
        @overload
        def right_join(
            self: QuerySet[Row[T0, T1, T2]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Outer3[T0, T1, T2]]: ...
        @overload
        def right_join(
            self: QuerySet[Row[T0, T1, T2, T3]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Outer4[T0, T1, T2, T3]]: ...
        @overload
        def right_join(
            self: QuerySet[Row[T0, T1, T2, T3, T4]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Outer5[T0, T1, T2, T3, T4]]: ...
        @overload
        def right_join(
            self: QuerySet[Row[T0, T1, T2, T3, T4, T5]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Outer6[T0, T1, T2, T3, T4, T5]]: ...
        @overload
        def right_join(
            self: QuerySet[Row[T0, T1, T2, T3, T4, T5, T6]], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[Outer7[T0, T1, T2, T3, T4, T5, T6]]: ...
        @overload
        def right_join(
            self: QuerySet[Row[T0, T1, T2, T3, T4, T5, T6, T7]],
            target: Joinable,
            on: Optional[Condition] = None,
        ) -> QuerySet[Outer8[T0, T1, T2, T3, T4, T5, T6, T7]]: ...
        @overload
        def right_join(
            self: QuerySet[LongRow], target: Joinable, on: Optional[Condition] = None
        ) -> QuerySet[LongRow]: ...
        def right_join(self, target: Joinable, on: Optional[Condition] = None) -> Any: ...

        full_join = right_join

    def all(self) -> list[R]:
        """Return all results."""
        return self.session.run_query(self, "all")  # type: ignore[no-any-return]

    def first(self) -> Optional[R]:
        """Return the first result, or None; without an order, the one with the least key."""
        return self.session.run_query(self, "first")  # type: ignore[no-any-return]

    def one(self) -> R:
        """Return the only result; raise `NoResultError` or `MultipleResultsError`."""
        return self.session.run_query(self, "one")  # type: ignore[no-any-return]

    def one_or_none(self) -> Optional[R]:
        """Return the only result or None; raise `MultipleResultsError`."""
        return self.session.run_query(self, "one_or_none")  # type: ignore[no-any-return]

    @overload
    def scalar(self: QuerySet[First[S]]) -> Optional[S]: ...
    @overload
    def scalar(self) -> Optional[R]: ...
    def scalar(self) -> Any:
        """Return the first column of the first row, or None."""
        return self.session.run_query(self, "scalar")

    @overload
    def scalars(self: QuerySet[First[S]]) -> list[S]: ...
    @overload
    def scalars(self) -> list[R]: ...
    def scalars(self) -> Any:
        """Return the first column of every row."""
        return self.session.run_query(self, "scalars")

    def count(self) -> int:
        """Return the number of rows."""
        return self.session.run_query(self, "count")  # type: ignore[no-any-return]

    def exists(self) -> bool:
        """Return whether there is a row."""
        return self.session.run_query(self, "exists")  # type: ignore[no-any-return]

    def update(self, /, **values: Any) -> int:
        """Update the selected rows in one statement, past hooks and tracking; return their number."""
        return self.session.run_query(self, "update", values)  # type: ignore[no-any-return]

    def delete(self) -> int:
        """Delete the selected rows in one statement, past hooks and tracking; return their number."""
        return self.session.run_query(self, "delete")  # type: ignore[no-any-return]

    def explain(self) -> str:
        """Return the database's plan for the query as text."""
        return self.session.run_query(self, "explain")  # type: ignore[no-any-return]

    def paginate(self, size: int, after: Optional[str] = None) -> Page[R]:
        """Return the page of `size` results that begins after a cursor, or the first page.

        The query's order is completed by the primary key. `page.next` and `page.previous` are the cursors of
        the pages beside it. Raises `QueryError` for a cursor of another query or order.
        """
        return self.session.run_query(self, "paginate", size, after)  # type: ignore[no-any-return]

    def stream(self, size: int = 1000) -> Iterator[R]:
        """Yield results while they are read, `size` rows at a time, in constant memory.

        Streamed objects are not kept in the identity map; relations to include are loaded batch by batch.
        """
        return self.session.stream(self, size=size)  # type: ignore[no-any-return]

    def to_sql(self, dialect: Optional[Dialect] = None) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL text and its parameters, for the session's engine or for another dialect."""
        return query_sql(self, self.session.dialect if dialect is None else dialect)

    def __iter__(self) -> Iterator[R]:
        return iter(self.all())

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: Union[int, slice]) -> Any:
        if isinstance(index, slice):
            return self.sliced(index)
        if not isinstance(index, int) or isinstance(index, bool):
            raise QueryError(
                f"a query is indexed by whole numbers and slices, not by a {type(index).__name__}"
            )
        if index < 0:
            raise QueryError("a query takes no negative index; order it the other way round")
        found = self.sliced(slice(index, index + 1)).all()
        if not found:
            raise NoResultError(f"{self!r} has no result number {index}")
        return found[0]


class AsyncQuerySet(Query[R], Generic[R]):
    """A query bound to an `AsyncSession`; terminal methods are awaited."""

    __slots__ = ()

    if TYPE_CHECKING:

        def annotate(self, /, **expressions: Expression[Any]) -> AsyncQuerySet[Any]: ...
        @overload
        def include(self, /, *paths: Path) -> Self: ...
        @overload
        def include(self, *paths: Path, **parts: Part[Any]) -> AsyncQuerySet[Any]: ...
        def include(self, *paths: Path, **parts: Part[Any]) -> Any: ...
        @overload
        def left_join(
            self: AsyncQuerySet[M], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[M]: ...
        @overload
        def left_join(
            self: AsyncQuerySet[Row[T0, T1]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Left2[T0, T1]]: ...
        @overload
        def left_join(
            self: AsyncQuerySet[Row[T0, T1, T2]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Left3[T0, T1, T2]]: ...
        @overload
        def left_join(
            self: AsyncQuerySet[Row[T0, T1, T2, T3]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Left4[T0, T1, T2, T3]]: ...
        @overload
        def left_join(
            self: AsyncQuerySet[Row[T0, T1, T2, T3, T4]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Left5[T0, T1, T2, T3, T4]]: ...
        @overload
        def left_join(
            self: AsyncQuerySet[Row[T0, T1, T2, T3, T4, T5]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Left6[T0, T1, T2, T3, T4, T5]]: ...
        @overload
        def left_join(
            self: AsyncQuerySet[Row[T0, T1, T2, T3, T4, T5, T6]],
            target: Joinable,
            on: Optional[Condition] = None,
        ) -> AsyncQuerySet[Left7[T0, T1, T2, T3, T4, T5, T6]]: ...
        @overload
        def left_join(
            self: AsyncQuerySet[Row[T0, T1, T2, T3, T4, T5, T6, T7]],
            target: Joinable,
            on: Optional[Condition] = None,
        ) -> AsyncQuerySet[Left8[T0, T1, T2, T3, T4, T5, T6, T7]]: ...
        @overload
        def left_join(self, target: Joinable, on: Optional[Condition] = None) -> Self: ...
        def left_join(self, target: Joinable, on: Optional[Condition] = None) -> Any: ...
        @overload
        def right_join(
            self: AsyncQuerySet[Row[T0]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Outer1[T0]]: ...
        @overload
        def right_join(
            self: AsyncQuerySet[Row[T0, T1]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Outer2[T0, T1]]: ...
        @overload
        def right_join(
            self: AsyncQuerySet[Row[T0, T1, T2]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Outer3[T0, T1, T2]]: ...
        @overload
        def right_join(
            self: AsyncQuerySet[Row[T0, T1, T2, T3]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Outer4[T0, T1, T2, T3]]: ...
        @overload
        def right_join(
            self: AsyncQuerySet[Row[T0, T1, T2, T3, T4]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Outer5[T0, T1, T2, T3, T4]]: ...
        @overload
        def right_join(
            self: AsyncQuerySet[Row[T0, T1, T2, T3, T4, T5]], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[Outer6[T0, T1, T2, T3, T4, T5]]: ...
        @overload
        def right_join(
            self: AsyncQuerySet[Row[T0, T1, T2, T3, T4, T5, T6]],
            target: Joinable,
            on: Optional[Condition] = None,
        ) -> AsyncQuerySet[Outer7[T0, T1, T2, T3, T4, T5, T6]]: ...
        @overload
        def right_join(
            self: AsyncQuerySet[Row[T0, T1, T2, T3, T4, T5, T6, T7]],
            target: Joinable,
            on: Optional[Condition] = None,
        ) -> AsyncQuerySet[Outer8[T0, T1, T2, T3, T4, T5, T6, T7]]: ...
        @overload
        def right_join(
            self: AsyncQuerySet[LongRow], target: Joinable, on: Optional[Condition] = None
        ) -> AsyncQuerySet[LongRow]: ...
        def right_join(self, target: Joinable, on: Optional[Condition] = None) -> Any: ...

        full_join = right_join

    async def all(self) -> list[R]:
        """Return all results."""
        return await self.session.run_query(self, "all")  # type: ignore[no-any-return]

    async def first(self) -> Optional[R]:
        """Return the first result, or None; without an order, the one with the least key."""
        return await self.session.run_query(self, "first")  # type: ignore[no-any-return]

    async def one(self) -> R:
        """Return the only result; raise `NoResultError` or `MultipleResultsError`."""
        return await self.session.run_query(self, "one")  # type: ignore[no-any-return]

    async def one_or_none(self) -> Optional[R]:
        """Return the only result or None; raise `MultipleResultsError`."""
        return await self.session.run_query(self, "one_or_none")  # type: ignore[no-any-return]

    @overload
    async def scalar(self: AsyncQuerySet[First[S]]) -> Optional[S]: ...
    @overload
    async def scalar(self) -> Optional[R]: ...
    async def scalar(self) -> Any:
        """Return the first column of the first row, or None."""
        return await self.session.run_query(self, "scalar")

    @overload
    async def scalars(self: AsyncQuerySet[First[S]]) -> list[S]: ...
    @overload
    async def scalars(self) -> list[R]: ...
    async def scalars(self) -> Any:
        """Return the first column of every row."""
        return await self.session.run_query(self, "scalars")

    async def count(self) -> int:
        """Return the number of rows."""
        return await self.session.run_query(self, "count")  # type: ignore[no-any-return]

    async def exists(self) -> bool:
        """Return whether there is a row."""
        return await self.session.run_query(self, "exists")  # type: ignore[no-any-return]

    async def update(self, /, **values: Any) -> int:
        """Update the selected rows in one statement, past hooks and tracking; return their number."""
        return await self.session.run_query(self, "update", values)  # type: ignore[no-any-return]

    async def delete(self) -> int:
        """Delete the selected rows in one statement, past hooks and tracking; return their number."""
        return await self.session.run_query(self, "delete")  # type: ignore[no-any-return]

    async def explain(self) -> str:
        """Return the database's plan for the query as text."""
        return await self.session.run_query(self, "explain")  # type: ignore[no-any-return]

    async def paginate(self, size: int, after: Optional[str] = None) -> Page[R]:
        """Return the page of `size` results that begins after a cursor, or the first page.

        The query's order is completed by the primary key. `page.next` and `page.previous` are the cursors of
        the pages beside it. Raises `QueryError` for a cursor of another query or order.
        """
        return await self.session.run_query(self, "paginate", size, after)  # type: ignore[no-any-return]

    def stream(self, size: int = 1000) -> AsyncIterator[R]:
        """Yield results while they are read, `size` rows at a time, in constant memory.

        Streamed objects are not kept in the identity map; relations to include are loaded batch by batch.
        """
        return self.session.stream(self, size=size)  # type: ignore[no-any-return]

    def to_sql(self, dialect: Optional[Dialect] = None) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL text and its parameters, for the session's engine or for another dialect."""
        return query_sql(self, self.session.dialect if dialect is None else dialect)

    async def __aiter__(self) -> AsyncIterator[R]:
        for item in await self.all():
            yield item

    def __getitem__(self, index: slice) -> Self:
        if not isinstance(index, slice):
            raise QueryError(
                "an asynchronous query takes slices only; await (query[3:4]).first() for one result"
            )
        return self.sliced(index)

    if TYPE_CHECKING:
        __iter__: ClassVar[None] = None
    else:

        def __iter__(self):
            raise QueryError(
                "an asynchronous query is read by `async for ... in query`, or `await query.all()` for a list"
            )
