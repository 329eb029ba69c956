"""What every expression is and the operators it has.

The nodes that operators build are expressions themselves: they stand in `expressions.py`, which imports this
file and hands them down by `provide`. Import from there.
"""
# An Expression[None] would fit several overloads of an operator; there is none.
# mypy: disable-error-code="overload-overlap"
# pyright: reportOverlappingOverload=false

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Optional, TypeVar, Union, overload
from uuid import UUID

from blaze.dialects.types import Interval, SQLType
from blaze.errors import QueryError
from blaze.sql.selectable import Selectable
from blaze.sql.values import comparison_type, type_for

if TYPE_CHECKING:
    from blaze.sql.expressions import (
        Arithmetic,
        Between,
        Bind,
        Cast,
        Comparison,
        IsNull,
        Label,
        Literal,
        Match,
        Not,
        Ordering,
        arithmetic_operand,
        bind_for,
        combine,
        membership,
        operand,
    )

# Covariant, so that Expression[int] is an Expression[Optional[int]]; operators still take only T.
T = TypeVar("T", covariant=True)
S = TypeVar("S")

P = TypeVar("P", datetime, date, time)

# What is not None, as far as a checker can be told.
Present = Union[int, float, Decimal, str, bytes, date, time, timedelta, UUID, Enum, dict[Any, Any], list[Any]]

# The other side of an operator; with `Maybe`, NULL is possible on one side or both.
Value = Union[S, "Expression[S]"]
Maybe = Union[S, "Expression[Optional[S]]"]

Key = Any
Text = Optional[str]
Point = Union[date, time]  # of time; a datetime is a date
Exact = Union[int, Decimal]  # a decimal goes with whole numbers, and not with a float
DecimalOperand = Union[Decimal, int, "Expression[Optional[Decimal]]", "Expression[Optional[int]]", Selectable]


class Expression(Generic[T]):
    """An SQL expression whose Python value is a `T`.

    Operators build new expressions: `< <= == != >= >`, `+ - * / %`, `& | ~`. `==` and `!=` with None become
    IS NULL and IS NOT NULL. A value is checked against the expression's type at once (`QueryError`).
    """

    __slots__ = ("binds", "key", "type")

    visit: ClassVar[str]  # the compiler renders a node by its method `render_<visit>`
    parts: ClassVar[tuple[str, ...]] = ()  # the attributes that hold child expressions, or tuples of them

    key: Key
    binds: tuple[Any, ...]
    type: Optional[SQLType]

    nullable = False  # whether NULL must be reckoned with; known for columns only
    weight = 1  # the number of operands of an AND or OR
    __hash__ = object.__hash__

    @property
    def bind(self) -> Bind[Any]:
        """The leaf for a value that meets this expression."""
        return bind_for(None if self.type is None else comparison_type(self.type))

    def __bool__(self) -> NoReturn:
        raise QueryError(
            f"{self!r} has no truth value in Python: combine conditions with & | ~ (in parentheses) instead "
            "of and/or/not, and use in_() or between() instead of `in` or chained comparisons"
        )

    if not TYPE_CHECKING:  # without it a checker refuses `in` by itself

        def __contains__(self, item):
            raise QueryError(f"{self!r} holds nothing in Python: use contains() or in_() instead of `in`")

    def __repr__(self) -> str:
        return f"<expression {self.describe()}>"

    def children(self) -> Iterator[Expression[Any]]:
        """Yield the child expressions in the order of their binds; a subquery has none."""
        for part in self.parts:
            child = getattr(self, part)
            if child.__class__ is tuple:
                yield from child
            else:
                yield child

    def describe(self) -> str:
        """Name the expression for a message: the path of a column, or the kind of expression."""
        return f"this {type(self).__name__.lower()} expression"

    # Comparison. The overloads for Decimal admit int, which is exact.

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def __eq__(
            self: Expression[Optional[Decimal]], other: Optional[DecimalOperand]
        ) -> Expression[bool]: ...
        @overload
        def __eq__(self, other: Union[T, Expression[Optional[T]], Selectable, None]) -> Expression[bool]: ...
        def __eq__(self, other: Any) -> Any: ...
        @overload  # type: ignore[override]
        def __ne__(
            self: Expression[Optional[Decimal]], other: Optional[DecimalOperand]
        ) -> Expression[bool]: ...
        @overload
        def __ne__(self, other: Union[T, Expression[Optional[T]], Selectable, None]) -> Expression[bool]: ...
        def __ne__(self, other: Any) -> Any: ...
        @overload
        def __lt__(self: Expression[Optional[Decimal]], other: DecimalOperand) -> Expression[bool]: ...
        @overload
        def __lt__(self, other: Union[T, Expression[Optional[T]], Selectable]) -> Expression[bool]: ...
        def __lt__(self, other: Any) -> Any: ...
        @overload
        def __le__(self: Expression[Optional[Decimal]], other: DecimalOperand) -> Expression[bool]: ...
        @overload
        def __le__(self, other: Union[T, Expression[Optional[T]], Selectable]) -> Expression[bool]: ...
        def __le__(self, other: Any) -> Any: ...
        @overload
        def __gt__(self: Expression[Optional[Decimal]], other: DecimalOperand) -> Expression[bool]: ...
        @overload
        def __gt__(self, other: Union[T, Expression[Optional[T]], Selectable]) -> Expression[bool]: ...
        def __gt__(self, other: Any) -> Any: ...
        @overload
        def __ge__(self: Expression[Optional[Decimal]], other: DecimalOperand) -> Expression[bool]: ...
        @overload
        def __ge__(self, other: Union[T, Expression[Optional[T]], Selectable]) -> Expression[bool]: ...
        def __ge__(self, other: Any) -> Any: ...

    else:

        def __eq__(self, other):
            return Comparison("=", self, other) if other is not None else IsNull(self)

        def __ne__(self, other):
            return Comparison("<>", self, other) if other is not None else IsNull(self, True)

        def __lt__(self, other):
            return Comparison("<", self, other)

        def __le__(self, other):
            return Comparison("<=", self, other)

        def __gt__(self, other):
            return Comparison(">", self, other)

        def __ge__(self, other):
            return Comparison(">=", self, other)

    def is_(self, other: Union[T, None]) -> Expression[bool]:
        """Test for NULL, or compare with a value; unlike `==` it reads well with None, True and False."""
        return self == other

    def is_not(self, other: Union[T, None]) -> Expression[bool]:
        """Test for NOT NULL, or for being different."""
        return self != other

    @overload
    def between(
        self: Expression[Optional[Decimal]], low: DecimalOperand, high: DecimalOperand
    ) -> Expression[bool]: ...
    @overload
    def between(
        self,
        low: Union[T, Expression[Optional[T]], Selectable],
        high: Union[T, Expression[Optional[T]], Selectable],
    ) -> Expression[bool]: ...
    def between(self, low: Any, high: Any) -> Expression[bool]:
        """Test for lying between two values, both included."""
        return Between(self, operand(self, low), operand(self, high))

    def in_(self, values: Union[Iterable[Optional[T]], Selectable]) -> Expression[bool]:
        """Test for being one of the values: any iterable of any length, or a subquery. None matches NULL."""
        return membership(self, values, False)

    def not_in(self, values: Union[Iterable[Optional[T]], Selectable]) -> Expression[bool]:
        """Test for being none of the values: the same as `~in_()`. As with `!=`, NULL is neither in a list
        nor out of it; `exclude(field__in=...)` keeps such rows, and None in the list says that they go.
        """
        return membership(self, values, True)

    # Logic.

    def __and__(self: Expression[Optional[bool]], other: Expression[Optional[bool]]) -> Expression[bool]:
        return combine("AND", self, other)

    def __or__(self: Expression[Optional[bool]], other: Expression[Optional[bool]]) -> Expression[bool]:
        return combine("OR", self, other)

    def __invert__(self: Expression[Optional[bool]]) -> Expression[bool]:
        return Not(self)

    # Arithmetic and text.

    @overload
    def __add__(self: Expression[str], other: Value[str]) -> Expression[T]: ...
    @overload
    def __add__(self: Expression[Optional[str]], other: Maybe[str]) -> Expression[Optional[str]]: ...
    @overload
    def __add__(self: Expression[int], other: Value[int]) -> Expression[T]: ...
    @overload
    def __add__(self: Expression[Optional[int]], other: Maybe[int]) -> Expression[Optional[int]]: ...
    @overload
    def __add__(self: Expression[float], other: Value[float]) -> Expression[float]: ...
    @overload
    def __add__(self: Expression[Optional[float]], other: Maybe[float]) -> Expression[Optional[float]]: ...
    @overload
    def __add__(self: Expression[Exact], other: Value[Exact]) -> Expression[Decimal]: ...
    @overload
    def __add__(self: Expression[Optional[Exact]], other: Maybe[Exact]) -> Expression[Optional[Decimal]]: ...
    @overload
    def __add__(self: Expression[Point], other: Value[timedelta]) -> Expression[T]: ...
    @overload
    def __add__(self: Expression[Optional[Point]], other: Maybe[timedelta]) -> Expression[Optional[T]]: ...
    @overload
    def __add__(self: Expression[timedelta], other: Value[P]) -> Expression[P]: ...
    @overload
    def __add__(self: Expression[Optional[timedelta]], other: Maybe[P]) -> Expression[Optional[P]]: ...
    @overload
    def __add__(self: Expression[timedelta], other: Value[timedelta]) -> Expression[timedelta]: ...
    @overload
    def __add__(
        self: Expression[Optional[timedelta]], other: Maybe[timedelta]
    ) -> Expression[Optional[timedelta]]: ...
    @overload
    def __add__(self, other: Selectable) -> Expression[Any]: ...
    def __add__(self, other: Any) -> Any:
        return Arithmetic("+", self, other)

    @overload
    def __radd__(self: Expression[str], other: str) -> Expression[T]: ...
    @overload
    def __radd__(self: Expression[Optional[str]], other: str) -> Expression[Optional[str]]: ...
    @overload
    def __radd__(self: Expression[int], other: int) -> Expression[T]: ...
    @overload
    def __radd__(self: Expression[Optional[int]], other: int) -> Expression[Optional[int]]: ...
    @overload
    def __radd__(self: Expression[float], other: float) -> Expression[float]: ...
    @overload
    def __radd__(self: Expression[Optional[float]], other: float) -> Expression[Optional[float]]: ...
    @overload
    def __radd__(self: Expression[Exact], other: Exact) -> Expression[Decimal]: ...
    @overload
    def __radd__(self: Expression[Optional[Exact]], other: Exact) -> Expression[Optional[Decimal]]: ...
    @overload
    def __radd__(self: Expression[timedelta], other: P) -> Expression[P]: ...
    @overload
    def __radd__(self: Expression[Optional[timedelta]], other: P) -> Expression[Optional[P]]: ...
    @overload
    def __radd__(self: Expression[Point], other: timedelta) -> Expression[T]: ...
    @overload
    def __radd__(self: Expression[Optional[Point]], other: timedelta) -> Expression[Optional[T]]: ...
    @overload
    def __radd__(self: Expression[timedelta], other: timedelta) -> Expression[timedelta]: ...
    @overload
    def __radd__(
        self: Expression[Optional[timedelta]], other: timedelta
    ) -> Expression[Optional[timedelta]]: ...
    def __radd__(self, other: Any) -> Any:
        return Arithmetic("+", arithmetic_operand(self, other), self)

    @overload
    def __sub__(self: Expression[int], other: Value[int]) -> Expression[T]: ...
    @overload
    def __sub__(self: Expression[Optional[int]], other: Maybe[int]) -> Expression[Optional[int]]: ...
    @overload
    def __sub__(self: Expression[float], other: Value[float]) -> Expression[float]: ...
    @overload
    def __sub__(self: Expression[Optional[float]], other: Maybe[float]) -> Expression[Optional[float]]: ...
    @overload
    def __sub__(self: Expression[Exact], other: Value[Exact]) -> Expression[Decimal]: ...
    @overload
    def __sub__(self: Expression[Optional[Exact]], other: Maybe[Exact]) -> Expression[Optional[Decimal]]: ...
    @overload
    def __sub__(self: Expression[Point], other: Value[timedelta]) -> Expression[T]: ...
    @overload
    def __sub__(self: Expression[Optional[Point]], other: Maybe[timedelta]) -> Expression[Optional[T]]: ...
    @overload
    def __sub__(self: Expression[Point], other: Value[Point]) -> Expression[timedelta]: ...
    @overload
    def __sub__(
        self: Expression[Optional[Point]], other: Maybe[Point]
    ) -> Expression[Optional[timedelta]]: ...
    @overload
    def __sub__(self: Expression[timedelta], other: Value[timedelta]) -> Expression[timedelta]: ...
    @overload
    def __sub__(
        self: Expression[Optional[timedelta]], other: Maybe[timedelta]
    ) -> Expression[Optional[timedelta]]: ...
    @overload
    def __sub__(self, other: Selectable) -> Expression[Any]: ...
    def __sub__(self, other: Any) -> Any:
        return Arithmetic("-", self, other)

    @overload
    def __rsub__(self: Expression[int], other: int) -> Expression[T]: ...
    @overload
    def __rsub__(self: Expression[Optional[int]], other: int) -> Expression[Optional[int]]: ...
    @overload
    def __rsub__(self: Expression[float], other: float) -> Expression[float]: ...
    @overload
    def __rsub__(self: Expression[Optional[float]], other: float) -> Expression[Optional[float]]: ...
    @overload
    def __rsub__(self: Expression[Exact], other: Exact) -> Expression[Decimal]: ...
    @overload
    def __rsub__(self: Expression[Optional[Exact]], other: Exact) -> Expression[Optional[Decimal]]: ...
    @overload
    def __rsub__(self: Expression[timedelta], other: P) -> Expression[P]: ...
    @overload
    def __rsub__(self: Expression[Optional[timedelta]], other: P) -> Expression[Optional[P]]: ...
    @overload
    def __rsub__(self: Expression[Point], other: Point) -> Expression[timedelta]: ...
    @overload
    def __rsub__(self: Expression[Optional[Point]], other: Point) -> Expression[Optional[timedelta]]: ...
    @overload
    def __rsub__(self: Expression[timedelta], other: timedelta) -> Expression[timedelta]: ...
    @overload
    def __rsub__(
        self: Expression[Optional[timedelta]], other: timedelta
    ) -> Expression[Optional[timedelta]]: ...
    def __rsub__(self, other: Any) -> Any:
        return Arithmetic("-", arithmetic_operand(self, other), self)

    @overload
    def __mul__(self: Expression[int], other: Value[int]) -> Expression[T]: ...
    @overload
    def __mul__(self: Expression[Optional[int]], other: Maybe[int]) -> Expression[Optional[int]]: ...
    @overload
    def __mul__(self: Expression[float], other: Value[float]) -> Expression[float]: ...
    @overload
    def __mul__(self: Expression[Optional[float]], other: Maybe[float]) -> Expression[Optional[float]]: ...
    @overload
    def __mul__(self: Expression[Exact], other: Value[Exact]) -> Expression[Decimal]: ...
    @overload
    def __mul__(self: Expression[Optional[Exact]], other: Maybe[Exact]) -> Expression[Optional[Decimal]]: ...
    @overload
    def __mul__(self: Expression[timedelta], other: Value[float]) -> Expression[timedelta]: ...
    @overload
    def __mul__(
        self: Expression[Optional[timedelta]], other: Maybe[float]
    ) -> Expression[Optional[timedelta]]: ...
    @overload
    def __mul__(self: Expression[float], other: Value[timedelta]) -> Expression[timedelta]: ...
    @overload
    def __mul__(
        self: Expression[Optional[float]], other: Maybe[timedelta]
    ) -> Expression[Optional[timedelta]]: ...
    @overload
    def __mul__(self, other: Selectable) -> Expression[Any]: ...
    def __mul__(self, other: Any) -> Any:
        return Arithmetic("*", self, other)

    @overload
    def __rmul__(self: Expression[int], other: int) -> Expression[T]: ...
    @overload
    def __rmul__(self: Expression[Optional[int]], other: int) -> Expression[Optional[int]]: ...
    @overload
    def __rmul__(self: Expression[float], other: float) -> Expression[float]: ...
    @overload
    def __rmul__(self: Expression[Optional[float]], other: float) -> Expression[Optional[float]]: ...
    @overload
    def __rmul__(self: Expression[Exact], other: Exact) -> Expression[Decimal]: ...
    @overload
    def __rmul__(self: Expression[Optional[Exact]], other: Exact) -> Expression[Optional[Decimal]]: ...
    @overload
    def __rmul__(self: Expression[float], other: timedelta) -> Expression[timedelta]: ...
    @overload
    def __rmul__(self: Expression[Optional[float]], other: timedelta) -> Expression[Optional[timedelta]]: ...
    @overload
    def __rmul__(self: Expression[timedelta], other: float) -> Expression[timedelta]: ...
    @overload
    def __rmul__(self: Expression[Optional[timedelta]], other: float) -> Expression[Optional[timedelta]]: ...
    def __rmul__(self, other: Any) -> Any:
        return Arithmetic("*", arithmetic_operand(self, other), self)

    @overload
    def __truediv__(self: Expression[float], other: Value[float]) -> Expression[float]: ...
    @overload
    def __truediv__(
        self: Expression[Optional[float]], other: Maybe[float]
    ) -> Expression[Optional[float]]: ...
    @overload
    def __truediv__(self: Expression[Exact], other: Value[Exact]) -> Expression[Decimal]: ...
    @overload
    def __truediv__(
        self: Expression[Optional[Exact]], other: Maybe[Exact]
    ) -> Expression[Optional[Decimal]]: ...
    @overload
    def __truediv__(self: Expression[timedelta], other: Value[timedelta]) -> Expression[float]: ...
    @overload
    def __truediv__(
        self: Expression[Optional[timedelta]], other: Maybe[timedelta]
    ) -> Expression[Optional[float]]: ...
    @overload
    def __truediv__(self: Expression[timedelta], other: Value[float]) -> Expression[timedelta]: ...
    @overload
    def __truediv__(
        self: Expression[Optional[timedelta]], other: Maybe[float]
    ) -> Expression[Optional[timedelta]]: ...
    @overload
    def __truediv__(self, other: Selectable) -> Expression[Any]: ...
    def __truediv__(self, other: Any) -> Any:
        return Arithmetic("/", self, other)

    @overload
    def __rtruediv__(self: Expression[float], other: float) -> Expression[float]: ...
    @overload
    def __rtruediv__(self: Expression[Optional[float]], other: float) -> Expression[Optional[float]]: ...
    @overload
    def __rtruediv__(self: Expression[Exact], other: Exact) -> Expression[Decimal]: ...
    @overload
    def __rtruediv__(self: Expression[Optional[Exact]], other: Exact) -> Expression[Optional[Decimal]]: ...
    @overload
    def __rtruediv__(self: Expression[timedelta], other: timedelta) -> Expression[float]: ...
    @overload
    def __rtruediv__(
        self: Expression[Optional[timedelta]], other: timedelta
    ) -> Expression[Optional[float]]: ...
    def __rtruediv__(self, other: Any) -> Any:
        return Arithmetic("/", arithmetic_operand(self, other), self)

    @overload
    def __mod__(self: Expression[int], other: Value[int]) -> Expression[T]: ...
    @overload
    def __mod__(self: Expression[Optional[int]], other: Maybe[int]) -> Expression[Optional[int]]: ...
    @overload
    def __mod__(self: Expression[float], other: Value[float]) -> Expression[float]: ...
    @overload
    def __mod__(self: Expression[Optional[float]], other: Maybe[float]) -> Expression[Optional[float]]: ...
    @overload
    def __mod__(self: Expression[Exact], other: Value[Exact]) -> Expression[Decimal]: ...
    @overload
    def __mod__(self: Expression[Optional[Exact]], other: Maybe[Exact]) -> Expression[Optional[Decimal]]: ...
    @overload
    def __mod__(self, other: Selectable) -> Expression[Any]: ...
    def __mod__(self, other: Any) -> Any:
        return Arithmetic("%", self, other)

    def __neg__(self) -> Expression[T]:
        nothing = timedelta(0) if isinstance(self.type, Interval) else 0
        return Arithmetic("-", Literal(nothing, self.type), self)

    @overload
    def concat(self: Expression[str], *others: Value[str]) -> Expression[str]: ...
    @overload
    def concat(self: Expression[Text], *others: Maybe[str]) -> Expression[Text]: ...
    def concat(self: Expression[Any], *others: Any) -> Expression[Any]:
        """Join texts; NULL joined with anything is NULL."""
        joined: Expression[Any] = self
        for other in others:
            joined = Arithmetic("+", joined, other)
        return joined

    def like(self: Expression[Text], pattern: str) -> Expression[bool]:
        r"""Match a pattern, case-sensitively: `%` any text, `_` one character, `\` quotes the next."""
        return Match("like", self, pattern)

    def ilike(self: Expression[Text], pattern: str) -> Expression[bool]:
        """Match a pattern like `like`, whatever the case."""
        return Match("ilike", self, pattern)

    def contains(self: Expression[Text], text: Union[str, Expression[Text]]) -> Expression[bool]:
        """Test for containing a text, case-sensitively; no character of it is special."""
        return Match("contains", self, text)

    def startswith(self: Expression[Text], text: Union[str, Expression[Text]]) -> Expression[bool]:
        """Test for beginning with a text, case-sensitively; no character of it is special."""
        return Match("startswith", self, text)

    def endswith(self: Expression[Text], text: Union[str, Expression[Text]]) -> Expression[bool]:
        """Test for ending with a text, case-sensitively; no character of it is special."""
        return Match("endswith", self, text)

    def icontains(self: Expression[Text], text: Union[str, Expression[Text]]) -> Expression[bool]:
        """Test for containing a text, whatever the case."""
        return Match("icontains", self, text)

    def istartswith(self: Expression[Text], text: Union[str, Expression[Text]]) -> Expression[bool]:
        """Test for beginning with a text, whatever the case."""
        return Match("istartswith", self, text)

    def iendswith(self: Expression[Text], text: Union[str, Expression[Text]]) -> Expression[bool]:
        """Test for ending with a text, whatever the case."""
        return Match("iendswith", self, text)

    def iexact(self: Expression[Text], text: Union[str, Expression[Text]]) -> Expression[bool]:
        """Test for equality, whatever the case."""
        return Match("iexact", self, text)

    # Shape of the result.

    def asc(self) -> Ordering[T]:
        """Order ascending."""
        return Ordering(self, False)

    def desc(self) -> Ordering[T]:
        """Order descending."""
        return Ordering(self, True)

    def label(self, name: str) -> Label[T]:
        """Name the expression in the result."""
        return Label(self, name)

    @overload
    def cast(self: Expression[Present], type: builtins.type[S]) -> Expression[S]: ...
    @overload
    def cast(self, type: builtins.type[S]) -> Expression[Optional[S]]: ...
    @overload
    def cast(self, type: SQLType) -> Expression[Any]: ...
    def cast(self, type: Any) -> Expression[Any]:
        """Convert to another type in the database; give a Python class or an SQL type."""
        return Cast(self, type_for(type))


def provide(*nodes: Any) -> None:
    """Take what the operators build; a global name is the fastest that they can find."""
    globals().update({node.__name__: node for node in nodes})
