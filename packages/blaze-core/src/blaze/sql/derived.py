"""Queries that stand as tables: subqueries in FROM and common table expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from blaze.errors import QueryError
from blaze.sql.columns import Column
from blaze.sql.combining import combined
from blaze.sql.expressions import Label
from blaze.sql.source import Source
from blaze.sql.table import Table, TableColumn
from blaze.sql.values import NULL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blaze.sql.expressions import Expression
    from blaze.sql.selectable import Selectable
    from blaze.sql.statements import Placed


class QueryTable(Table):
    """A table whose rows are a query's rows; its columns are the query's, all nullable.

    Its serial comes from its name: the statement's key holds the whole query, so equal names are told apart.
    """

    __slots__ = ("query",)

    def __init__(
        self, name: str, query: Selectable, kind: str, names: Optional[Iterable[str]] = None
    ) -> None:
        super().__init__(name, _columns(name, query, names))
        self.query = query
        self.serial = f"{kind}:{name}"


def _columns(name: str, query: Selectable, names: Optional[Iterable[str]]) -> list[TableColumn]:
    outputs = [placed.expression for placed in query.statement().columns]
    given = list(names) if names is not None else [output_name(each) for each in outputs]
    if len(given) != len(outputs):
        raise QueryError(f"the query {name!r} has {len(outputs)} columns, but {len(given)} names were given")
    missing = [position for position, each in enumerate(given, 1) if each is None]
    if missing:
        raise QueryError(f"column {missing[0]} of the query {name!r} has no name: give it one by label()")
    return [
        TableColumn(
            str(each),
            output.type if output.type is not None else NULL,
            nullable=True,
            attribute=output.column.attribute if isinstance(output, Column) and names is None else None,
        )
        for each, output in zip(given, outputs)
    ]


def output_name(expression: Expression[Any]) -> Optional[str]:
    """Return the name under which an expression leaves a query, None when it has none."""
    if isinstance(expression, (Label, Column)):
        return expression.name
    return None


def distinctly_named(columns: Sequence[Placed]) -> tuple[Placed, ...]:
    """Return the columns of a query, those labelled whose name another has before them."""
    seen: set[Optional[str]] = set()
    found: list[Placed] = []
    for placed in columns:
        name = output_name(placed.expression)
        if name in seen and not isinstance(placed.expression, Label):
            placed = placed._replace(expression=Label(placed.expression, f"blaze_c{len(found)}"))
        seen.add(name)
        found.append(placed)
    return tuple(found)


class Columns:
    """The columns of a derived table as attributes and items."""

    __slots__ = ("_source",)

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Column[Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Column[Any]:
        table = self._source.table
        if name not in table.by_name:
            for column in table.columns:
                if column.attribute == name:
                    return Column(self._source, column)
        return Column(self._source, table.column(name))


class Derived:
    """A subquery in FROM: `source` is its place, `c` its columns. A lateral one may use earlier tables."""

    __slots__ = ("c", "lateral", "name", "query", "source")

    def __init__(self, name: str, query: Selectable, *, lateral: bool = False) -> None:
        self.name = name
        self.query = query
        self.lateral = lateral
        self.source = Source(QueryTable(name, query, "lateral" if lateral else "query"))
        self.c = Columns(self.source)


class CTE:
    """A named query in WITH. `source` is its place, `c` its columns.

    A recursive one is built in two steps: `tree = CTE("tree", base); tree = tree.recurse(step)`, where `step`
    selects from `tree.source`. `materialized` is a hint for backends that know it.
    """

    __slots__ = ("c", "key", "materialized", "name", "query", "source", "step", "union_all")

    def __init__(
        self,
        name: str,
        query: Selectable,
        *,
        materialized: Optional[bool] = None,
        columns: Iterable[str] = (),
    ) -> None:
        self.name = name
        self.query = query
        self.materialized = materialized
        self.step: Optional[Selectable] = None
        self.union_all = True
        self.source = Source(QueryTable(name, query, "cte", tuple(columns) or None))
        self.c = Columns(self.source)
        names = tuple(column.name for column in self.source.table.columns)
        self.key: tuple[Any, ...] = (name, query.key, materialized, names)

    def recurse(self, step: Selectable, *, union_all: bool = True) -> CTE:
        """Return the CTE with a recursive part; without `union_all` duplicates are dropped, so cycles end."""
        combined("UNION", self.query.statement().columns, step.statement().columns)
        made = CTE.__new__(CTE)
        made.name, made.query, made.materialized = self.name, self.query, self.materialized
        made.source, made.c = self.source, self.c
        made.step, made.union_all = step, union_all
        made.key = (*self.key, step.key, union_all)
        return made
