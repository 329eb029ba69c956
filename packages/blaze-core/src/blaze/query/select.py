"""`Select`: a query that is bound to no session, a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Optional, overload

from blaze.errors import QueryError
from blaze.query.compilation import query_sql
from blaze.query.entities import T0, T1, T2, T3, T4, T5, T6, T7, Entity, First, M, S
from blaze.query.query import Query, R
from blaze.query.root import root_of
from blaze.query.terminal import Plan

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


class Select(Query[R], Generic[R]):
    """An unbound query for a model or for columns.

    Give it to `session.exec`, use it as a subquery, or make a plan of it by a terminal method (`all()`,
    `count()`, ...), which `parallel_exec` runs.
    """

    __slots__ = ()

    @overload
    def __init__(self: Select[M], model: type[M], /) -> None: ...
    @overload
    def __init__(self: Select[Row[T0]], e0: Expression[T0], /) -> None: ...
    @overload
    def __init__(self: Select[Row[T0, T1]], e0: Entity[T0], e1: Entity[T1], /) -> None: ...
    @overload
    def __init__(
        self: Select[Row[T0, T1, T2]], e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], /
    ) -> None: ...
    @overload
    def __init__(
        self: Select[Row[T0, T1, T2, T3]], e0: Entity[T0], e1: Entity[T1], e2: Entity[T2], e3: Entity[T3], /
    ) -> None: ...
    @overload
    def __init__(
        self: Select[Row[T0, T1, T2, T3, T4]],
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: Select[Row[T0, T1, T2, T3, T4, T5]],
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: Select[Row[T0, T1, T2, T3, T4, T5, T6]],
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        e6: Entity[T6],
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: Select[Row[T0, T1, T2, T3, T4, T5, T6, T7]],
        e0: Entity[T0],
        e1: Entity[T1],
        e2: Entity[T2],
        e3: Entity[T3],
        e4: Entity[T4],
        e5: Entity[T5],
        e6: Entity[T6],
        e7: Entity[T7],
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: Select[LongRow],
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
    ) -> None: ...
    def __init__(self, *entities: Any) -> None:
        root = root_of(entities)
        self.root = root
        self.parent = None
        self.kind = ""
        self.clause = None
        self.key = root.key
        self.binds = root.binds
        self.session = None

    def all(self) -> Plan[list[R]]:
        """Plan for the list of all results."""
        return Plan(self, "all")

    def first(self) -> Plan[Optional[R]]:
        """Plan for the first result, or None."""
        return Plan(self, "first")

    def one(self) -> Plan[R]:
        """Plan for the only result."""
        return Plan(self, "one")

    def one_or_none(self) -> Plan[Optional[R]]:
        """Plan for the only result, or None."""
        return Plan(self, "one_or_none")

    @overload
    def scalar(self: Select[First[S]]) -> Plan[Optional[S]]: ...
    @overload
    def scalar(self) -> Plan[Optional[R]]: ...
    def scalar(self) -> Any:
        """Plan for the first column of the first row, or None."""
        return Plan(self, "scalar")

    @overload
    def scalars(self: Select[First[S]]) -> Plan[list[S]]: ...
    @overload
    def scalars(self) -> Plan[list[R]]: ...
    def scalars(self) -> Any:
        """Plan for the first column of every row."""
        return Plan(self, "scalars")

    def count(self) -> Plan[int]:
        """Plan for the number of rows."""
        return Plan(self, "count")

    def exists(self) -> Plan[bool]:
        """Plan for whether there is a row."""
        return Plan(self, "exists")

    def update(self, /, **values: Any) -> Plan[int]:
        """Plan for an UPDATE of the selected rows; its result is their number."""
        return Plan(self, "update", (values,))

    def delete(self) -> Plan[int]:
        """Plan for a DELETE of the selected rows; its result is their number."""
        return Plan(self, "delete")

    def __getitem__(self, index: slice) -> Self:
        if not isinstance(index, slice):
            raise QueryError("an unbound query takes slices only; bind it to a session to read one result")
        return self.sliced(index)

    def paginate(self, size: int, after: Optional[str] = None) -> Plan[Page[R]]:
        """Plan for one page; see `QuerySet.paginate`."""
        return Plan(self, "paginate", (size, after))

    def to_sql(self, dialect: Optional[Dialect] = None) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL text for a dialect and its parameters."""
        if dialect is None:
            raise QueryError("an unbound query needs a dialect: to_sql(engine.dialect)")
        return query_sql(self, dialect)

    if TYPE_CHECKING:

        def annotate(self, /, **expressions: Expression[Any]) -> Select[Any]: ...
        @overload
        def include(self, /, *paths: Path) -> Self: ...
        @overload
        def include(self, *paths: Path, **parts: Part[Any]) -> Select[Any]: ...
        def include(self, *paths: Path, **parts: Part[Any]) -> Any: ...
        @overload
        def left_join(self: Select[M], target: Joinable, on: Optional[Condition] = None) -> Select[M]: ...
        @overload
        def left_join(
            self: Select[Row[T0, T1]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Left2[T0, T1]]: ...
        @overload
        def left_join(
            self: Select[Row[T0, T1, T2]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Left3[T0, T1, T2]]: ...
        @overload
        def left_join(
            self: Select[Row[T0, T1, T2, T3]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Left4[T0, T1, T2, T3]]: ...
        @overload
        def left_join(
            self: Select[Row[T0, T1, T2, T3, T4]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Left5[T0, T1, T2, T3, T4]]: ...
        @overload
        def left_join(
            self: Select[Row[T0, T1, T2, T3, T4, T5]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Left6[T0, T1, T2, T3, T4, T5]]: ...
        @overload
        def left_join(
            self: Select[Row[T0, T1, T2, T3, T4, T5, T6]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Left7[T0, T1, T2, T3, T4, T5, T6]]: ...
        @overload
        def left_join(
            self: Select[Row[T0, T1, T2, T3, T4, T5, T6, T7]],
            target: Joinable,
            on: Optional[Condition] = None,
        ) -> Select[Left8[T0, T1, T2, T3, T4, T5, T6, T7]]: ...
        @overload
        def left_join(self, target: Joinable, on: Optional[Condition] = None) -> Self: ...
        def left_join(self, target: Joinable, on: Optional[Condition] = None) -> Any: ...
        @overload
        def right_join(
            self: Select[Row[T0]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Outer1[T0]]: ...
        @overload
        def right_join(
            self: Select[Row[T0, T1]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Outer2[T0, T1]]: ...
        @overload
        def right_join(
            self: Select[Row[T0, T1, T2]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Outer3[T0, T1, T2]]: ...
        @overload
        def right_join(
            self: Select[Row[T0, T1, T2, T3]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Outer4[T0, T1, T2, T3]]: ...
        @overload
        def right_join(
            self: Select[Row[T0, T1, T2, T3, T4]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Outer5[T0, T1, T2, T3, T4]]: ...
        @overload
        def right_join(
            self: Select[Row[T0, T1, T2, T3, T4, T5]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Outer6[T0, T1, T2, T3, T4, T5]]: ...
        @overload
        def right_join(
            self: Select[Row[T0, T1, T2, T3, T4, T5, T6]], target: Joinable, on: Optional[Condition] = None
        ) -> Select[Outer7[T0, T1, T2, T3, T4, T5, T6]]: ...
        @overload
        def right_join(
            self: Select[Row[T0, T1, T2, T3, T4, T5, T6, T7]],
            target: Joinable,
            on: Optional[Condition] = None,
        ) -> Select[Outer8[T0, T1, T2, T3, T4, T5, T6, T7]]: ...
        @overload
        def right_join(
            self: Select[LongRow], target: Joinable, on: Optional[Condition] = None
        ) -> Select[LongRow]: ...
        def right_join(self, target: Joinable, on: Optional[Condition] = None) -> Any: ...

        full_join = right_join

    __iter__: ClassVar[None] = None
