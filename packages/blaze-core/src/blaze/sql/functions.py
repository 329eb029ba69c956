"""Functions, aggregates, CASE and EXISTS."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union, overload

from blaze.dialects.types import (
    Array,
    Binary,
    Boolean,
    Date,
    DateTime,
    Float,
    Integer,
    Numeric,
    SQLType,
    String,
    Time,
    Uuid,
)
from blaze.errors import QueryError
from blaze.sql.columns import Column
from blaze.sql.expression import Present
from blaze.sql.expressions import Expression, Literal, ScalarSubquery, T, bind_for, operand
from blaze.sql.rows import RowInList
from blaze.sql.selectable import Selectable
from blaze.sql.values import (
    BOOLEAN,
    DATE,
    FLOAT,
    INTEGER,
    NUMERIC,
    STRING,
    TIMESTAMP,
    argument_type,
    type_for,
)
from blaze.sql.windows import Window, Windowed

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Sequence

    from blaze.sql.table import TableColumn

S = TypeVar("S")
Chars = TypeVar("Chars", str, Optional[str])
N = TypeVar("N", int, float, Decimal, timedelta)
Text = Expression[Optional[str]]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?\Z")
_DATE_PARTS = ("year", "month", "day", "hour", "minute", "second")


def _no_argument(given: Any) -> QueryError:
    shown = f"a {type(given).__name__}" if isinstance(given, (str, bytes)) else repr(given)
    return QueryError(
        f"{shown} is no argument of an SQL function: give a column or another expression, "
        "of a relation one of its columns, as in func.count(Author.books.id)"
    )


def _kind(expression: Expression[Any]) -> Optional[SQLType]:
    if not isinstance(expression, Expression):
        raise _no_argument(expression)
    return expression.type


def _summed(name: str, expression: Expression[Any]) -> Expression[Any]:
    """Return what an aggregate adds up; truth values count as 0 and 1."""
    kind = _kind(expression)
    if isinstance(kind, Boolean):
        return expression.cast(INTEGER)
    if isinstance(kind, (String, Date, DateTime, Time, Uuid, Binary, Array)):
        raise QueryError(f"{name}() adds up numbers, and {expression.describe()} is {kind!r}; cast() it")
    return expression


class Function(Expression[T]):
    """A call of an SQL function. An aggregate may count distinct values, filter its rows and order them."""

    __slots__ = ("aggregate", "arguments", "condition", "distinct", "name", "order")

    visit = "function"
    parts = ("arguments", "order", "condition")

    def __init__(
        self,
        name: str,
        arguments: Sequence[Expression[Any]],
        type: Optional[SQLType],
        *,
        aggregate: bool = False,
        distinct: bool = False,
        order: Sequence[Expression[Any]] = (),
        condition: Optional[Expression[Any]] = None,
    ) -> None:
        for argument in arguments:
            if not isinstance(argument, Expression):
                raise _no_argument(argument)
        self.name = name
        self.arguments = tuple(arguments)
        self.type = type
        self.aggregate = aggregate
        self.distinct = distinct
        self.order = tuple(order)
        self.condition = () if condition is None else (condition,)
        self.binds = tuple([value for child in self.children() for value in child.binds])
        self.key = (
            name,
            distinct,
            aggregate,
            len(self.arguments),
            len(self.order),
            None if type is None else bind_for(type).key,
            *[child.key for child in self.children()],
        )

    def _with(self, **changes: Any) -> Function[T]:
        options: dict[str, Any] = {
            "aggregate": self.aggregate,
            "distinct": self.distinct,
            "order": self.order,
            "condition": self.condition[0] if self.condition else None,
        }
        return Function(self.name, self.arguments, self.type, **{**options, **changes})

    def filter(self, condition: Expression[bool]) -> Function[T]:
        """Let an aggregate take only the rows that satisfy the condition."""
        return self._with(aggregate=True, condition=condition)

    def order_by(self, *expressions: Expression[Any]) -> Function[T]:
        """Let an aggregate take its rows in this order."""
        return self._with(aggregate=True, order=expressions)

    def over(
        self,
        partition_by: Union[Expression[Any], Sequence[Expression[Any]]] = (),
        order_by: Union[Expression[Any], Sequence[Expression[Any]]] = (),
        *,
        rows: Optional[tuple[Optional[int], Optional[int]]] = None,
        range: Optional[tuple[Optional[int], Optional[int]]] = None,
        groups: Optional[tuple[Optional[int], Optional[int]]] = None,
        exclude: Optional[str] = None,
    ) -> Windowed[T]:
        """Compute the function over a window of rows.

        A frame is a pair of offsets from the current row: negative before, positive after, 0 the row itself
        (with `range`: its peers), None without bound. `exclude` is `current row`, `group` or `ties`.
        """
        return Windowed(self, Window(partition_by, order_by, rows, range, groups, exclude))


class Case(Expression[T]):
    """`CASE WHEN condition THEN value ... ELSE value END`."""

    __slots__ = ("otherwise", "whens")

    visit = "case"
    parts = ("whens", "otherwise")

    def __init__(self, whens: Sequence[Expression[Any]], otherwise: Optional[Expression[Any]]) -> None:
        self.whens = tuple(whens)  # condition, value, condition, value, ...
        self.otherwise = () if otherwise is None else (otherwise,)
        values = [*self.whens[1::2], *self.otherwise]
        self.type = next((each.type for each in values if each.type is not None), None)
        self.binds = tuple([value for child in self.children() for value in child.binds])
        self.key = ("CASE", len(self.whens), *[child.key for child in self.children()])


class Exists(Expression[bool]):
    """`EXISTS (SELECT ...)`."""

    __slots__ = ("query",)

    visit = "exists"

    def __init__(self, query: Selectable) -> None:
        self.query = query
        self.type = BOOLEAN
        self.binds = query.binds
        self.key = ("EXISTS", query.key)


class RowValue(Expression[Any]):
    """`(a, b, ...)`: expressions compared as one."""

    __slots__ = ("items",)

    visit = "row_value"
    parts = ("items",)

    def __init__(self, items: Sequence[Expression[Any]]) -> None:
        self.items = tuple(items)
        self.type = None
        self.binds = tuple([value for child in self.items for value in child.binds])
        self.key = ("ROW", *[child.key for child in self.items])

    def in_(self, values: Union[Iterable[Any], Selectable]) -> Expression[bool]:
        """Test for being one of the tuples, or one of the rows of a subquery."""
        return super().in_(values) if isinstance(values, Selectable) else RowInList(self.items, values)

    def not_in(self, values: Union[Iterable[Any], Selectable]) -> Expression[bool]:
        """Test for being none of the tuples, and none of the rows of a subquery."""
        return super().not_in(values) if isinstance(values, Selectable) else ~RowInList(self.items, values)

    if not TYPE_CHECKING:

        def __eq__(self, other):
            return RowComparison("=", self.items, _row_values(other))

        def __ne__(self, other):
            return RowComparison("<>", self.items, _row_values(other))

        def __lt__(self, other):
            return RowComparison("<", self.items, _row_values(other))

        def __le__(self, other):
            return RowComparison("<=", self.items, _row_values(other))

        def __gt__(self, other):
            return RowComparison(">", self.items, _row_values(other))

        def __ge__(self, other):
            return RowComparison(">=", self.items, _row_values(other))

        __hash__ = object.__hash__


class RowComparison(Expression[bool]):
    """`(a, b) op (c, d)`; each value takes the type of its counterpart."""

    __slots__ = ("left", "op", "right")

    visit = "row_comparison"
    parts = ("left", "right")

    def __init__(self, op: str, left: Sequence[Expression[Any]], right: Sequence[Any]) -> None:
        if len(left) != len(right):
            raise QueryError(f"cannot compare rows of {len(left)} and {len(right)} values; give equally many")
        if op not in ("=", "<>", "<", "<=", ">", ">="):
            raise QueryError(f"rows are compared by = <> < <= > >=, not by {op!r}")
        self.op = op
        self.left = RowValue(left)
        self.right = RowValue([operand(one, other) for one, other in zip(left, right)])
        self.type = BOOLEAN
        self.binds = self.left.binds + self.right.binds
        self.key = (op, self.left.key, self.right.key)


class Excluded(Expression[T]):
    """The value that an INSERT could not store, inside its ON CONFLICT update."""

    __slots__ = ("column", "name")

    visit = "excluded"

    def __init__(self, name: str, column: Optional[TableColumn] = None) -> None:
        self.name = name  # of a field, where no column is given
        self.column = column
        self.type = None if column is None else column.type
        self.binds = ()
        self.key = ("excluded", name, None if column is None else column.name)


def _expression(value: Any) -> Expression[Any]:
    if isinstance(value, Expression):
        return value
    if isinstance(value, Selectable):
        return ScalarSubquery(value)
    return Literal(value)


def _argument(value: Any) -> Expression[Any]:
    """Return an argument of a function of which only the database knows what it takes."""
    if isinstance(value, Literal) and value.type == INTEGER:
        value = value.binds[0]
    return Literal(value, argument_type(value)) if value.__class__ is int else _expression(value)


@overload
def case(
    *whens: tuple[Expression[bool], Union[S, Expression[S]]], else_: None = None
) -> Case[Optional[S]]: ...
@overload
def case(*whens: tuple[Expression[bool], Expression[S]], else_: Expression[S]) -> Case[S]: ...
@overload
def case(
    *whens: tuple[Expression[bool], Union[S, Expression[S]]], else_: Union[S, Expression[S]]
) -> Case[S]: ...
def case(*whens: Any, else_: Any = None) -> Case[Any]:
    """Choose by conditions: `case((Book.price < 5, "cheap"), else_="dear")`; without `else_`, else NULL."""
    if not whens or any(not isinstance(when, tuple) or len(when) != 2 for when in whens):
        raise QueryError(f"case() takes pairs of (condition, value), at least one, not {whens!r}")
    typed = next((value for _, value in whens if isinstance(value, Expression)), None)
    flat: list[Expression[Any]] = []
    for condition, value in whens:
        flat += (_expression(condition), operand(typed, value) if typed is not None else _expression(value))
    if else_ is None:
        return Case(flat, None)
    return Case(flat, operand(flat[1], else_))


@overload
def cast(expression: Union[Present, Expression[Present]], type: builtins.type[S]) -> Expression[S]: ...
@overload
def cast(expression: Any, type: builtins.type[S]) -> Expression[Optional[S]]: ...
@overload
def cast(expression: Any, type: SQLType) -> Expression[Any]: ...
def cast(expression: Any, type: Any) -> Expression[Any]:
    """Convert to another type in the database; give a Python class or an SQL type."""
    return _expression(expression).cast(type_for(type))


def exists(query: Selectable) -> Expression[bool]:
    """Test whether a subquery has rows; it may refer to columns of the enclosing query."""
    if not isinstance(query, Selectable):
        raise QueryError(f"exists() takes a query, not {type(query).__name__}")
    return Exists(query)


def literal(value: S, type: Optional[SQLType] = None) -> Expression[S]:
    """Make an expression of a value; it is bound, never pasted into the SQL."""
    return Literal(value, type)


def excluded(column: Union[str, Column[S]]) -> Expression[S]:
    """Refer to the value that the insert could not store, in `on_conflict(update=...)`."""
    if isinstance(column, Column):
        return Excluded(column.column.name, column.column)
    return Excluded(column)


def _row_values(other: Any) -> Sequence[Any]:
    if isinstance(other, RowValue):
        return other.items
    if isinstance(other, (tuple, list)):
        return other
    raise QueryError(f"a row is compared with a {type(other).__name__}; give another row() or a tuple")


def row(*expressions: Any) -> RowValue:
    """Make a row value, to order, group or compare several expressions as one; plain values are bound."""
    if not expressions:
        raise QueryError("row() needs at least one expression")
    return RowValue([_expression(each) for each in expressions])


def compare_rows(op: str, left: Sequence[Expression[Any]], right: Sequence[Any]) -> Expression[bool]:
    """Compare rows of values in lexical order, as keyset paging does: `compare_rows(">", [a, b], [1, 2])`."""
    return RowComparison(op, left, right)


class _Functions:
    """`func.name(...)`: known functions are typed, any other name is called as it stands."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._named(name)

    def __getitem__(self, name: str) -> Any:
        """Call a function whose name has a schema: `func["app.price_of"](Book.id)`."""
        return self._named(name)

    def _named(self, name: str) -> Any:
        if not _NAME.match(name):
            raise QueryError(f"{name!r} is no name of a function: use letters, digits and _")

        def call(*arguments: Any, type: Union[builtins.type[Any], SQLType, None] = None) -> Function[Any]:
            found = None if type is None else type_for(type)
            return Function(name, [_argument(each) for each in arguments], found)

        return call

    # Aggregates.

    def count(self, expression: Optional[Expression[Any]] = None, *, distinct: bool = False) -> Function[int]:
        """Count rows, or values that are not NULL."""
        if expression is None and distinct:
            raise QueryError("count(distinct=True) needs an expression whose values are counted")
        counted: list[Expression[Any]] = [] if expression is None else [expression]
        return Function("count", counted, INTEGER, aggregate=True, distinct=distinct)

    @overload
    def sum(  # type: ignore[overload-overlap]  # Expression[None] would fit all
        self, expression: Expression[Optional[bool]], *, distinct: bool = False
    ) -> Function[Optional[int]]: ...
    @overload
    def sum(
        self, expression: Expression[Optional[N]], *, distinct: bool = False
    ) -> Function[Optional[N]]: ...
    def sum(self, expression: Expression[Any], *, distinct: bool = False) -> Function[Any]:
        """Add up values, of truth values the true ones; NULL when there is none."""
        summed = _summed("sum", expression)
        kind = NUMERIC if isinstance(summed.type, Numeric) else summed.type
        return Function("sum", (summed,), kind, aggregate=True, distinct=distinct)

    @overload
    def avg(  # type: ignore[overload-overlap]  # Expression[None] would fit both
        self, expression: Expression[Optional[Decimal]], *, distinct: bool = False
    ) -> Function[Optional[Decimal]]: ...
    @overload
    def avg(
        self, expression: Expression[Optional[float]], *, distinct: bool = False
    ) -> Function[Optional[float]]: ...
    def avg(self, expression: Expression[Any], *, distinct: bool = False) -> Function[Any]:
        """Give the mean, of truth values the share of true ones; NULL when there is no value."""
        summed = _summed("avg", expression)
        kind = summed.type
        if isinstance(kind, (Integer, Float)):
            kind = FLOAT
        elif isinstance(kind, Numeric):
            kind = NUMERIC
        return Function("avg", (summed,), kind, aggregate=True, distinct=distinct)

    def min(self, expression: Expression[Optional[S]]) -> Function[Optional[S]]:
        """Give the smallest value; NULL when there is none."""
        return Function("min", (expression,), _kind(expression), aggregate=True)

    def max(self, expression: Expression[Optional[S]]) -> Function[Optional[S]]:
        """Give the largest value; NULL when there is none."""
        return Function("max", (expression,), _kind(expression), aggregate=True)

    def string_agg(
        self, expression: Text, separator: str = ",", *, distinct: bool = False
    ) -> Function[Optional[str]]:
        """Join texts of a group; NULL when there is none."""
        joined: list[Expression[Any]] = [expression, Literal(separator, STRING)]
        return Function("string_agg", joined, STRING, aggregate=True, distinct=distinct)

    # Texts.

    def lower(self, expression: Expression[Chars]) -> Function[Chars]:
        """Turn into lower case."""
        return Function("lower", (expression,), STRING)

    def upper(self, expression: Expression[Chars]) -> Function[Chars]:
        """Turn into upper case."""
        return Function("upper", (expression,), STRING)

    @overload
    def length(self, expression: Expression[str]) -> Function[int]: ...
    @overload
    def length(self, expression: Text) -> Function[Optional[int]]: ...
    def length(self, expression: Text) -> Function[Any]:
        """Count characters."""
        return Function("length", (expression,), INTEGER)

    def trim(self, expression: Expression[Chars]) -> Function[Chars]:
        """Drop blanks at both ends."""
        return Function("trim", (expression,), STRING)

    def replace(
        self,
        expression: Expression[Chars],
        old: Union[str, Expression[Chars]],
        new: Union[str, Expression[Chars]],
    ) -> Function[Chars]:
        """Replace every occurrence of a text."""
        return Function("replace", (expression, _expression(old), _expression(new)), STRING)

    def substr(
        self, expression: Expression[Chars], start: int, length: Optional[int] = None
    ) -> Function[Chars]:
        """Cut out characters; the first is number 1."""
        places: list[Literal[int]] = [Literal(each, INTEGER) for each in (start, length) if each is not None]
        return Function("substr", (expression, *places), STRING)

    # Numbers.

    def abs(self, expression: Expression[S]) -> Function[S]:
        """Drop the sign."""
        return Function("abs", (expression,), _kind(expression))

    def round(self, expression: Expression[S], digits: int = 0) -> Function[S]:
        """Round to digits after the point."""
        places: list[Literal[int]] = [Literal(digits, INTEGER)] if digits else []
        return Function("round", (expression, *places), _kind(expression))

    # Values of any type.

    @overload
    def coalesce(
        self, expression: Expression[Optional[S]], last: Union[S, Expression[S]], /
    ) -> Function[S]: ...
    @overload
    def coalesce(
        self,
        expression: Expression[Optional[S]],
        second: Expression[Optional[S]],
        last: Union[S, Expression[S]],
        /,
    ) -> Function[S]: ...
    @overload
    def coalesce(
        self, expression: Expression[Optional[S]], *others: Union[S, Expression[Optional[S]], Expression[S]]
    ) -> Function[Optional[S]]: ...
    def coalesce(self, expression: Expression[Any], *others: Any) -> Function[Any]:
        """Give the first value that is not NULL. To type checkers it is never None where the last of two or
        three cannot be NULL.
        """
        _kind(expression)
        arguments = [operand(expression, other) for other in others]
        kind = next((each.type for each in (expression, *arguments) if each.type is not None), None)
        return Function("coalesce", (expression, *arguments), kind)

    def nullif(self, expression: Expression[S], value: Union[S, Expression[S]]) -> Function[Optional[S]]:
        """Give NULL where the expression equals the value."""
        return Function("nullif", (expression, operand(expression, value)), _kind(expression))

    def greatest(self, expression: Expression[S], *others: Union[S, Expression[S]]) -> Function[S]:
        """Give the largest of several values."""
        arguments = [operand(expression, other) for other in others]
        return Function("greatest", (expression, *arguments), _kind(expression))

    def least(self, expression: Expression[S], *others: Union[S, Expression[S]]) -> Function[S]:
        """Give the smallest of several values."""
        arguments = [operand(expression, other) for other in others]
        return Function("least", (expression, *arguments), _kind(expression))

    # Time.

    def now(self) -> Function[datetime]:
        """Give the moment, aware and in UTC."""
        return Function("now", (), TIMESTAMP)

    def current_date(self) -> Function[date]:
        """Give the day."""
        return Function("current_date", (), DATE)

    @overload
    def extract(self, part: str, expression: Expression[Union[date, time, timedelta]]) -> Function[int]: ...
    @overload
    def extract(self, part: str, expression: Expression[Any]) -> Function[Optional[int]]: ...
    def extract(self, part: str, expression: Expression[Any]) -> Function[Any]:
        """Give the year, month, day, hour, minute or second (whole) of a point in time, in UTC."""
        if part not in _DATE_PARTS:
            raise QueryError(f"there is no part {part!r} of a time; use one of {', '.join(_DATE_PARTS)}")
        if part in _DATE_PARTS[3:] and _kind(expression) == DATE:
            raise QueryError(f"{expression.describe()} is a day and has no {part}")
        return Function(f"extract_{part}", (expression,), INTEGER)

    # Windows.

    def row_number(self) -> Function[int]:
        """Number the rows of a window from 1; needs `.over()`."""
        return Function("row_number", (), INTEGER)

    def rank(self) -> Function[int]:
        """Rank with gaps; needs `.over()`."""
        return Function("rank", (), INTEGER)

    def dense_rank(self) -> Function[int]:
        """Rank without gaps; needs `.over()`."""
        return Function("dense_rank", (), INTEGER)

    def percent_rank(self) -> Function[float]:
        """Rank from 0 to 1; needs `.over()`."""
        return Function("percent_rank", (), FLOAT)

    def cume_dist(self) -> Function[float]:
        """Share of rows up to this one; needs `.over()`."""
        return Function("cume_dist", (), FLOAT)

    def ntile(self, buckets: int) -> Function[int]:
        """Divide the window into buckets; needs `.over()`."""
        return Function("ntile", (Literal(buckets, INTEGER),), INTEGER)

    def lag(self, expression: Expression[S], offset: int = 1) -> Function[Optional[S]]:
        """Look at an earlier row of the window; needs `.over()`."""
        return Function("lag", (expression, Literal(offset, INTEGER)), _kind(expression))

    def lead(self, expression: Expression[S], offset: int = 1) -> Function[Optional[S]]:
        """Look at a later row of the window; needs `.over()`."""
        return Function("lead", (expression, Literal(offset, INTEGER)), _kind(expression))

    def first_value(self, expression: Expression[S]) -> Function[S]:
        """Give the value of the frame's first row; needs `.over()`."""
        return Function("first_value", (expression,), _kind(expression))

    def last_value(self, expression: Expression[S]) -> Function[S]:
        """Give the value of the frame's last row; needs `.over()`."""
        return Function("last_value", (expression,), _kind(expression))


func = _Functions()


def is_known(name: str) -> bool:
    """Whether this is a function whose meaning is known here; others may be aggregates."""
    return hasattr(_Functions, name)
