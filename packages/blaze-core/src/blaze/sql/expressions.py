"""Expressions: immutable trees with a hashable key (the shape) and a tuple of values (the binds).

`key` determines the SQL text for a dialect and never contains a value. `binds` holds the values in traversal
order: a combined expression concatenates its children's. `type` is the type of the result, None when unknown.
Building an expression is on the hot path of every query: nodes are slotted and do nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from sys import intern
from typing import Any, Optional
from uuid import UUID

from blaze.dialects.types import Float, Integer, Numeric, SQLType, String
from blaze.errors import QueryError
from blaze.security.redaction import redactor
from blaze.sql.expression import Expression as Expression
from blaze.sql.expression import T as T
from blaze.sql.expression import provide
from blaze.sql.selectable import Selectable
from blaze.sql.values import (
    BOOLEAN,
    LARGEST,
    SMALLEST,
    STRING,
    arithmetic_type,
    fast_classes,
    has_meaning,
    objection,
    type_of,
)


class Bind(Expression[T]):
    """The place of one value of a known type. It is structure only: the value sits in the parent's binds."""

    __slots__ = ("fast", "integer")

    visit = "bind"

    def __init__(self, type: Optional[SQLType], key: str) -> None:
        self.key = key
        self.binds = ()
        self.type = type
        self.fast = fast_classes(type) if type is not None else frozenset()
        self.integer = type.__class__ is Integer

    @property
    def bind(self) -> Bind[Any]:
        return self

    def refusal(self, value: Any) -> Optional[str]:
        """Return why the value cannot stand here, None when it can."""
        return objection(self.type, value) if self.type is not None else None


_binds: dict[Optional[SQLType], Bind[Any]] = {None: Bind(None, "?")}


def bind_for(type: Optional[SQLType]) -> Bind[Any]:
    """Return the one leaf for values of a type; its key is an interned string that stands for the type."""
    found = _binds.get(type)
    if found is None:
        found = _binds.setdefault(type, Bind(type, intern(f"?{len(_binds)}{type.__class__.__name__}")))
    return found


class Literal(Expression[T]):
    """A value on its own, bound like any other."""

    __slots__ = ()

    visit = "bind"

    def __init__(self, value: Any, type: Optional[SQLType] = None) -> None:
        if type is None:
            type = type_of(value)
        elif value is not None:
            refused = objection(type, value)
            if refused is not None:
                raise QueryError(f"cannot use {value!r} as {type!r}: {refused}")
        self.key = bind_for(type).key
        self.binds = (value,)
        self.type = type


def operand(left: Expression[Any], other: Any) -> Expression[Any]:
    """Turn the other side of an operator into an expression: a value takes the type of the left side."""
    if isinstance(other, Expression):
        return other
    if isinstance(other, Selectable):
        return ScalarSubquery(other)
    leaf = left.bind
    if leaf.type is None:
        return Literal(other)
    if other is not None:
        refused = leaf.refusal(other)
        if refused is not None:
            raise mismatch(left, other, refused)
    literal: Literal[Any] = Literal.__new__(Literal)
    literal.key = leaf.key
    literal.binds = (other,)
    literal.type = leaf.type
    return literal


def mismatch(left: Expression[Any], value: Any, refused: str) -> QueryError:
    place = left.describe()
    if redactor.is_sensitive(place):
        refused = "it does not fit, and is not shown here"
    return QueryError(f"cannot compare {place} ({left.type!r}) with a {type(value).__name__}: {refused}")


class Comparison(Expression[bool]):
    """`left op right`; a plain value on the right becomes a bind of the left side's type."""

    __slots__ = ("left", "op", "right")

    visit = "comparison"
    parts = ("left", "right")

    def __init__(self, op: str, left: Expression[Any], other: Any) -> None:
        self.op = op
        self.left = left
        self.type = BOOLEAN
        self.right: Expression[Any]
        leaf = left.bind
        if other.__class__ in leaf.fast or (
            other.__class__ is int and leaf.integer and SMALLEST <= other <= LARGEST
        ):
            refused = None
        elif other is None:
            raise QueryError(
                f"cannot compare {left.describe()} with None by {op}: test for NULL by is_(None)"
            )
        elif leaf.type is None or isinstance(other, (Expression, Selectable)):
            right = self.right = operand(left, other)
            self.binds = left.binds + right.binds
            self.key = (op, left.key, right.key)
            return
        else:
            refused = objection(leaf.type, other) if leaf.__class__ is Bind else leaf.refusal(other)
        if refused is not None:
            raise mismatch(left, other, refused)
        self.right = leaf
        self.binds = (*left.binds, other) if left.binds else (other,)
        self.key = (op, left.key, leaf.key)


class Logical(Expression[bool]):
    """`left AND right` or `left OR right`."""

    __slots__ = ("left", "op", "right", "weight")

    visit = "logical"
    parts = ("left", "right")

    def __init__(self, op: str, left: Expression[Any], right: Expression[Any]) -> None:
        if not isinstance(right, Expression):
            raise QueryError(
                f"{right!r} is not a condition: put parentheses around comparisons joined by & or |, "
                "as in (Book.price < 20) & (Book.pages > 100)"
            )
        self.op = op
        self.left = left
        self.right = right
        self.type = BOOLEAN
        self.weight = left.weight + right.weight
        self.binds = left.binds + right.binds
        self.key = (op, left.key, right.key)


# From this many operands on, chains become trees: Python and the databases limit how deep things nest.
_LONG = 64


def combine(op: str, left: Any, right: Any) -> Logical:
    """Join two conditions; a long chain, built by appending or prepending, becomes a balanced tree."""
    if left.weight >= _LONG or getattr(right, "weight", 1) >= _LONG:
        while _joins(op, left) and left.right.weight <= right.weight:
            left, right = left.left, Logical(op, left.right, right)
        while _joins(op, right) and right.left.weight <= left.weight:
            left, right = Logical(op, left, right.left), right.right
    return Logical(op, left, right)


def _joins(op: str, expression: Any) -> bool:
    return isinstance(expression, Logical) and expression.op == op and expression.weight >= _LONG


class Not(Expression[bool]):
    """`NOT expression`."""

    __slots__ = ("expression",)

    visit = "not_"
    parts = ("expression",)

    def __init__(self, expression: Expression[Any]) -> None:
        self.expression = expression
        self.type = BOOLEAN
        self.binds = expression.binds
        self.key = ("NOT", expression.key)


class IsTrue(Expression[bool]):
    """`expression IS TRUE`: false, too, where the expression is NULL."""

    __slots__ = ("expression",)

    visit = "is_true"
    parts = ("expression",)

    def __init__(self, expression: Expression[Any]) -> None:
        self.expression = expression
        self.type = BOOLEAN
        self.binds = expression.binds
        self.key = ("TRUE", expression.key)


class IsNull(Expression[bool]):
    """`expression IS NULL` or `IS NOT NULL`."""

    __slots__ = ("expression", "negated")

    visit = "is_null"
    parts = ("expression",)

    def __init__(self, expression: Expression[Any], negated: bool = False) -> None:
        self.expression = expression
        self.negated = negated
        self.type = BOOLEAN
        self.binds = expression.binds
        self.key = ("NOTNULL" if negated else "ISNULL", expression.key)


class Between(Expression[bool]):
    """`expression BETWEEN low AND high`."""

    __slots__ = ("expression", "high", "low")

    visit = "between"
    parts = ("expression", "low", "high")

    def __init__(self, expression: Expression[Any], low: Expression[Any], high: Expression[Any]) -> None:
        self.expression = expression
        self.low = low
        self.high = high
        self.type = BOOLEAN
        self.binds = expression.binds + low.binds + high.binds
        self.key = ("BETWEEN", expression.key, low.key, high.key)


class InList(Expression[bool]):
    """`expression IN (values)`. The whole list is one bind, so the text does not depend on its length."""

    __slots__ = ("expression", "item", "negated")

    visit = "in_list"
    parts = ("expression",)

    def __init__(
        self, expression: Expression[Any], item: SQLType, values: tuple[Any, ...], negated: bool
    ) -> None:
        self.expression = expression
        self.item = item
        self.negated = negated
        self.type = BOOLEAN
        self.binds = (*expression.binds, values)
        self.key = ("NOTIN" if negated else "IN", expression.key, bind_for(item).key)


class InQuery(Expression[bool]):
    """`expression IN (SELECT ...)`."""

    __slots__ = ("expression", "negated", "query")

    visit = "in_query"
    parts = ("expression",)

    def __init__(self, expression: Expression[Any], query: Selectable, negated: bool) -> None:
        self.expression = expression
        self.query = query
        self.negated = negated
        self.type = BOOLEAN
        self.binds = expression.binds + query.binds
        self.key = ("NOTINQ" if negated else "INQ", expression.key, query.key)


def membership(left: Expression[Any], values: Any, negated: bool) -> Expression[bool]:
    """Build IN: None leaves the list and becomes IS NULL, as a Python reader expects."""
    if isinstance(values, Selectable):
        return InQuery(left, values.as_operand(), negated)
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise QueryError(
            f"in_() of {left.describe()} takes a list of values or a subquery, not {type(values).__name__}"
        )
    listed = tuple(values)
    classes = set(map(type, listed))
    with_null = type(None) in classes
    if with_null:
        listed = tuple([value for value in listed if value is not None])
        classes.discard(type(None))
    leaf = left.bind
    if leaf.type is None:
        leaf = bind_for(type_of(listed[0])) if listed else bind_for(STRING)
    small = leaf.integer and classes == {int} and min(listed) >= SMALLEST and max(listed) <= LARGEST
    if not small and not classes <= leaf.fast:
        for value in listed:
            refused = leaf.refusal(value)
            if refused is not None:
                raise mismatch(left, value, refused)
    assert leaf.type is not None
    found: Expression[bool] = InList(left, leaf.type, listed, negated)
    if not with_null:
        return found
    return Logical("AND", found, IsNull(left, True)) if negated else Logical("OR", found, IsNull(left))


class Match(Expression[bool]):
    """A text test: like, contains, startswith, endswith, iexact and their forms for any case."""

    __slots__ = ("kind", "left", "right")

    visit = "match"
    parts = ("left", "right")

    def __init__(self, kind: str, left: Expression[Any], other: Any) -> None:
        if other.__class__ is str:
            self.right: Expression[Any] = bind_for(STRING)
            self.binds = (*left.binds, other)
        elif isinstance(other, (Expression, Selectable)) and not kind.endswith("like"):
            self.right = operand(left, other)
            self.binds = left.binds + self.right.binds
        elif isinstance(other, str):
            self.right = bind_for(STRING)
            self.binds = (*left.binds, str.__str__(other))
        else:
            raise QueryError(f"{kind}() of {left.describe()} takes a text, not {type(other).__name__}")
        if left.type is not None and not isinstance(left.type, String):
            raise QueryError(
                f"{kind}() needs a text, {left.describe()} is {left.type!r}: compare the text of cast(str)"
            )
        self.kind = kind
        self.left = left
        self.type = BOOLEAN
        self.key = (kind, left.key, self.right.key)


class Arithmetic(Expression[T]):
    """`left op right` for numbers, times and texts (`+` joins texts)."""

    __slots__ = ("left", "op", "right")

    visit = "arithmetic"
    parts = ("left", "right")

    def __init__(self, op: str, left: Expression[Any], other: Any) -> None:
        right = other if isinstance(other, Expression) else arithmetic_operand(left, other)
        if not has_meaning(op, left.type, right.type):
            if {Numeric, Float} == {left.type.__class__, right.type.__class__}:
                raise QueryError(
                    f"cannot calculate {left.describe()} {op} {right.describe()}: one is a decimal, which is "
                    "exact, the other a float; give a Decimal, or cast() one of the two"
                )
            raise QueryError(
                f"cannot calculate {left.describe()} {op} {right.describe()}:"
                f" {left.type!r} {op} {right.type!r} has no meaning; cast() one of the two"
            )
        self.op = op
        self.left = left
        self.right = right
        self.type = arithmetic_type(op, left.type, right.type)
        self.binds = left.binds + right.binds
        self.key = (op, left.key, right.key)


def arithmetic_operand(left: Expression[Any], other: Any) -> Expression[Any]:
    if isinstance(other, Selectable):
        return ScalarSubquery(other)
    if other is None:
        raise QueryError(f"cannot calculate with {left.describe()} and None: the result would be NULL")
    if isinstance(other, (list, tuple, dict, set, bytes, UUID)):
        raise QueryError(f"cannot calculate with {left.describe()} and a {type(other).__name__}")
    # A duration added to a point in time, and a number of another kind, keep their own type.
    if left.type is not None and isinstance(other, left.type.accepts) and not isinstance(other, timedelta):
        return operand(left, other)
    return Literal(other)


class Cast(Expression[T]):
    """`CAST(expression AS type)`."""

    __slots__ = ("expression",)

    visit = "cast"
    parts = ("expression",)

    def __init__(self, expression: Expression[Any], type: SQLType) -> None:
        self.expression = expression
        self.type = type
        self.binds = expression.binds
        self.key = ("CAST", expression.key, bind_for(type).key)


class Label(Expression[T]):
    """An expression with a name in the result."""

    __slots__ = ("expression", "name")

    visit = "label"
    parts = ("expression",)

    def __init__(self, expression: Expression[Any], name: str) -> None:
        if not isinstance(name, str) or not name or "\0" in name:
            raise QueryError(f"{name!r} is no label: give a text that is not empty")
        self.expression = expression
        self.name = name
        self.type = expression.type
        self.binds = expression.binds
        self.key = ("AS", expression.key, name)


class Ordering(Expression[T]):
    """An expression with a direction, and optionally the place of NULLs."""

    __slots__ = ("descending", "expression", "nulls")

    visit = "ordering"
    parts = ("expression",)

    def __init__(self, expression: Expression[Any], descending: bool, nulls: Optional[str] = None) -> None:
        self.expression = expression
        self.descending = descending
        self.nulls = nulls
        self.type = expression.type
        self.binds = expression.binds
        self.key = ("DESC" if descending else "ASC", expression.key, nulls)

    def nulls_first(self) -> Ordering[T]:
        """Put NULLs before every value."""
        return Ordering(self.expression, self.descending, "FIRST")

    def nulls_last(self) -> Ordering[T]:
        """Put NULLs after every value."""
        return Ordering(self.expression, self.descending, "LAST")


class ScalarSubquery(Expression[T]):
    """A subquery that gives one value."""

    __slots__ = ("query",)

    visit = "scalar_subquery"

    def __init__(self, query: Selectable, type: Optional[SQLType] = None) -> None:
        query = query.as_operand()
        columns = query.statement().columns
        if len(columns) != 1:
            raise QueryError(f"a query that stands for one value selects one column, not {len(columns)}")
        self.query = query
        self.type = type if type is not None else columns[0].expression.type
        self.binds = query.binds
        self.key = ("SELECT", query.key)


provide(
    Arithmetic,
    Between,
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
