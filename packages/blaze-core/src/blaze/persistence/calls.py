"""The methods of sessions whose results have the types of their arguments: `query`, `exec`, `parallel_exec`.

They stand apart from the sessions because their overloads are long.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, Union, overload

from blaze.persistence.base import SessionBase
from blaze.persistence.parallel import run_parallel, run_parallel_async
from blaze.persistence.results import AsyncQueryResult, QueryResult
from blaze.persistence.statements import run_statement
from blaze.query.entities import T0, T1, T2, T3, T4, T5, T6, T7, Entity, First, M, S
from blaze.query.query import R
from blaze.query.query_set import AsyncQuerySet, QuerySet
from blaze.query.root import root_of
from blaze.query.terminal import Plan, Task

if TYPE_CHECKING:
    from blaze.query.dml import Returning
    from blaze.query.entities import LongRow
    from blaze.query.query import Query
    from blaze.query.row import Row
    from blaze.sql.expressions import Expression
    from blaze.sql.raw import Raw

Parameters = Union[Sequence[Any], Mapping[str, Any]]

# What parallel_exec takes: statements, plans, and functions, which may take the task's own session.
Work = Union[Task[S], Callable[[], S], Callable[[Any], S]]
AsyncWork = Union[Task[S], Callable[[], Awaitable[S]], Callable[[Any], Awaitable[S]]]


class SessionCalls(SessionBase):
    """The typed calls of a `Session`."""

    def _run(self, plan: Any) -> Any:
        raise NotImplementedError

    @overload
    def query(self, model: type[M], /) -> QuerySet[M]: ...
    @overload
    def query(self, e0: Expression[T0], /) -> QuerySet[Row[T0]]: ...
    @overload
    def query(self, e0: Entity[T0], e1: Entity[T1], /) -> QuerySet[Row[T0, T1]]: ...
    @overload
    def query(self, e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], /) -> QuerySet[Row[T0, T1, T2]]: ...
    @overload
    def query(
        self, e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], e3: Entity[T3], /
    ) -> QuerySet[Row[T0, T1, T2, T3]]: ...
    @overload
    def query(
        self, e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], e3: Entity[T3], e4: Entity[T4], /
    ) -> QuerySet[Row[T0, T1, T2, T3, T4]]: ...
    @overload
    def query(
        self,
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        /,
    ) -> QuerySet[Row[T0, T1, T2, T3, T4, T5]]: ...
    @overload
    def query(
        self,
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        e6: Entity[T6],
        /,
    ) -> QuerySet[Row[T0, T1, T2, T3, T4, T5, T6]]: ...
    @overload
    def query(
        self,
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        e6: Entity[T6],
        e7: Entity[T7],
        /,
    ) -> QuerySet[Row[T0, T1, T2, T3, T4, T5, T6, T7]]: ...
    @overload
    def query(
        self,
        e0: Entity[Any],
        e1: Entity[Any],
        e2: Entity[Any],
        e3: Entity[Any],
        e4: Entity[Any],
        e5: Entity[Any],
        e6: Entity[Any],
        e7: Entity[Any],
        e8: Entity[Any],
        /,
        *more: Entity[Any],
    ) -> QuerySet[LongRow]: ...
    def query(self, *entities: Any) -> Any:
        """Start a query for objects of a model, or for rows of columns and models.

        Raises `QueryError` for anything else, and when no table can be told from what is selected.
        """
        return QuerySet.start(root_of(entities), self)

    @overload
    def exec(self, statement: Union[Query[R], Returning[R]], /) -> QueryResult[R]: ...
    @overload
    def exec(
        self, statement: Union[str, Raw[Any], Plan[Any]], params: Optional[Parameters] = None, /
    ) -> QueryResult[Any]: ...
    def exec(self, statement: Any, params: Any = None, /) -> Any:
        """Run a Select, Insert, Update, Delete, or SQL text, and return its results."""
        return self._run(run_statement(self, statement, params))

    @overload
    def exec_one(self, statement: Union[Query[R], Returning[R]], /) -> Optional[R]: ...
    @overload
    def exec_one(
        self, statement: Union[str, Raw[Any], Plan[Any]], params: Optional[Parameters] = None, /
    ) -> Any: ...
    def exec_one(self, statement: Any, params: Any = None, /) -> Any:
        """Run a statement and return its first result, or None."""
        return self.exec(statement, params).first()

    @overload
    def exec_scalar(self, statement: Union[Query[First[S]], Returning[First[S]]], /) -> Optional[S]: ...
    @overload
    def exec_scalar(
        self,
        statement: Union[str, Raw[Any], Query[Any], Returning[Any], Plan[Any]],
        params: Optional[Parameters] = None,
        /,
    ) -> Any: ...
    def exec_scalar(self, statement: Any, params: Any = None, /) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        return self.exec(statement, params).scalar()

    @overload
    def parallel_exec(self, tasks: tuple[Work[T0]]) -> tuple[T0]: ...
    @overload
    def parallel_exec(self, tasks: tuple[Work[T0], Work[T1]]) -> tuple[T0, T1]: ...
    @overload
    def parallel_exec(self, tasks: tuple[Work[T0], Work[T1], Work[T2]]) -> tuple[T0, T1, T2]: ...
    @overload
    def parallel_exec(
        self, tasks: tuple[Work[T0], Work[T1], Work[T2], Work[T3]]
    ) -> tuple[T0, T1, T2, T3]: ...
    @overload
    def parallel_exec(
        self, tasks: tuple[Work[T0], Work[T1], Work[T2], Work[T3], Work[T4]]
    ) -> tuple[T0, T1, T2, T3, T4]: ...
    @overload
    def parallel_exec(
        self, tasks: tuple[Work[T0], Work[T1], Work[T2], Work[T3], Work[T4], Work[T5]]
    ) -> tuple[T0, T1, T2, T3, T4, T5]: ...
    @overload
    def parallel_exec(
        self, tasks: tuple[Work[T0], Work[T1], Work[T2], Work[T3], Work[T4], Work[T5], Work[T6]]
    ) -> tuple[T0, T1, T2, T3, T4, T5, T6]: ...
    @overload
    def parallel_exec(
        self, tasks: tuple[Work[T0], Work[T1], Work[T2], Work[T3], Work[T4], Work[T5], Work[T6], Work[T7]]
    ) -> tuple[T0, T1, T2, T3, T4, T5, T6, T7]: ...
    @overload
    def parallel_exec(self, tasks: tuple[Any, ...]) -> tuple[Any, ...]: ...
    @overload
    def parallel_exec(self, tasks: list[Plan[S]]) -> list[S]: ...
    @overload
    def parallel_exec(self, tasks: list[Any]) -> list[Any]: ...
    def parallel_exec(self, tasks: Any) -> Any:
        """Run plans, statements or functions at the same time, each on a connection of the pool.

        They do not see this session's open transaction. Results come in the order of the tasks: a tuple of up
        to eight tasks gives a tuple of their types, a list of plans of one type gives a list of that, any
        other list a list of `Any`.
        """
        return run_parallel(self, tasks)


class AsyncSessionCalls(SessionBase):
    """The typed calls of an `AsyncSession`."""

    async def _run(self, plan: Any) -> Any:
        raise NotImplementedError

    @overload
    def query(self, model: type[M], /) -> AsyncQuerySet[M]: ...
    @overload
    def query(self, e0: Expression[T0], /) -> AsyncQuerySet[Row[T0]]: ...
    @overload
    def query(self, e0: Entity[T0], e1: Entity[T1], /) -> AsyncQuerySet[Row[T0, T1]]: ...
    @overload
    def query(self, e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], /) -> AsyncQuerySet[Row[T0, T1, T2]]: ...
    @overload
    def query(
        self, e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], e3: Entity[T3], /
    ) -> AsyncQuerySet[Row[T0, T1, T2, T3]]: ...
    @overload
    def query(
        self, e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], e3: Entity[T3], e4: Entity[T4], /
    ) -> AsyncQuerySet[Row[T0, T1, T2, T3, T4]]: ...
    @overload
    def query(
        self,
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        /,
    ) -> AsyncQuerySet[Row[T0, T1, T2, T3, T4, T5]]: ...
    @overload
    def query(
        self,
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        e6: Entity[T6],
        /,
    ) -> AsyncQuerySet[Row[T0, T1, T2, T3, T4, T5, T6]]: ...
    @overload
    def query(
        self,
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        e6: Entity[T6],
        e7: Entity[T7],
        /,
    ) -> AsyncQuerySet[Row[T0, T1, T2, T3, T4, T5, T6, T7]]: ...
    @overload
    def query(
        self,
        e0: Entity[Any],
        e1: Entity[Any],
        e2: Entity[Any],
        e3: Entity[Any],
        e4: Entity[Any],
        e5: Entity[Any],
        e6: Entity[Any],
        e7: Entity[Any],
        e8: Entity[Any],
        /,
        *more: Entity[Any],
    ) -> AsyncQuerySet[LongRow]: ...
    def query(self, *entities: Any) -> Any:
        """Start a query for objects of a model, or for rows of columns and models.

        Raises `QueryError` for anything else, and when no table can be told from what is selected.
        """
        return AsyncQuerySet.start(root_of(entities), self)

    @overload
    def exec(self, statement: Union[Query[R], Returning[R]], /) -> AsyncQueryResult[R]: ...
    @overload
    def exec(
        self, statement: Union[str, Raw[Any], Plan[Any]], params: Optional[Parameters] = None, /
    ) -> AsyncQueryResult[Any]: ...
    def exec(self, statement: Any, params: Any = None, /) -> Any:
        """Run a Select, Insert, Update, Delete, or SQL text: await the result, or its `all()` and such."""
        return AsyncQueryResult(lambda: self._run(run_statement(self, statement, params)))

    @overload
    async def exec_one(self, statement: Union[Query[R], Returning[R]], /) -> Optional[R]: ...
    @overload
    async def exec_one(
        self, statement: Union[str, Raw[Any], Plan[Any]], params: Optional[Parameters] = None, /
    ) -> Any: ...
    async def exec_one(self, statement: Any, params: Any = None, /) -> Any:
        """Run a statement and return its first result, or None."""
        return await self.exec(statement, params).first()

    @overload
    async def exec_scalar(self, statement: Union[Query[First[S]], Returning[First[S]]], /) -> Optional[S]: ...
    @overload
    async def exec_scalar(
        self,
        statement: Union[str, Raw[Any], Query[Any], Returning[Any], Plan[Any]],
        params: Optional[Parameters] = None,
        /,
    ) -> Any: ...
    async def exec_scalar(self, statement: Any, params: Any = None, /) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        return await self.exec(statement, params).scalar()

    @overload
    async def parallel_exec(self, tasks: tuple[AsyncWork[T0]]) -> tuple[T0]: ...
    @overload
    async def parallel_exec(self, tasks: tuple[AsyncWork[T0], AsyncWork[T1]]) -> tuple[T0, T1]: ...
    @overload
    async def parallel_exec(
        self, tasks: tuple[AsyncWork[T0], AsyncWork[T1], AsyncWork[T2]]
    ) -> tuple[T0, T1, T2]: ...
    @overload
    async def parallel_exec(
        self, tasks: tuple[AsyncWork[T0], AsyncWork[T1], AsyncWork[T2], AsyncWork[T3]]
    ) -> tuple[T0, T1, T2, T3]: ...
    @overload
    async def parallel_exec(
        self, tasks: tuple[AsyncWork[T0], AsyncWork[T1], AsyncWork[T2], AsyncWork[T3], AsyncWork[T4]]
    ) -> tuple[T0, T1, T2, T3, T4]: ...
    @overload
    async def parallel_exec(
        self,
        tasks: tuple[
            AsyncWork[T0], AsyncWork[T1], AsyncWork[T2], AsyncWork[T3], AsyncWork[T4], AsyncWork[T5]
        ],
    ) -> tuple[T0, T1, T2, T3, T4, T5]: ...
    @overload
    async def parallel_exec(
        self,
        tasks: tuple[
            AsyncWork[T0],
            AsyncWork[T1],
            AsyncWork[T2],
            AsyncWork[T3],
            AsyncWork[T4],
            AsyncWork[T5],
            AsyncWork[T6],
        ],
    ) -> tuple[T0, T1, T2, T3, T4, T5, T6]: ...
    @overload
    async def parallel_exec(
        self,
        tasks: tuple[
            AsyncWork[T0],
            AsyncWork[T1],
            AsyncWork[T2],
            AsyncWork[T3],
            AsyncWork[T4],
            AsyncWork[T5],
            AsyncWork[T6],
            AsyncWork[T7],
        ],
    ) -> tuple[T0, T1, T2, T3, T4, T5, T6, T7]: ...
    @overload
    async def parallel_exec(self, tasks: tuple[Any, ...]) -> tuple[Any, ...]: ...
    @overload
    async def parallel_exec(self, tasks: list[Plan[S]]) -> list[S]: ...
    @overload
    async def parallel_exec(self, tasks: list[Any]) -> list[Any]: ...
    async def parallel_exec(self, tasks: Any) -> Any:
        """Run plans, statements or functions at the same time, each on a connection of the pool.

        They do not see this session's open transaction. Results come in the order of the tasks: a tuple of up
        to eight tasks gives a tuple of their types, a list of plans of one type gives a list of that, any
        other list a list of `Any`.
        """
        return await run_parallel_async(self, tasks)
