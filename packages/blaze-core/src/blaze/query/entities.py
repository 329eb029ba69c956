"""The types of what a query selects: shared by `Select`, `session.query` and `returning`.

Each of the three has overloads for one model, for one column, and for rows of up to eight columns and models;
a longer row is a row of `Any`. They cannot be written once, since no checker takes a class with its parameter
left open as a type argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Tuple, TypeVar, Union  # noqa: UP035 - tuple[Unpack] needs Python 3.11

from blaze.query.row import Row
from blaze.sql.expressions import Expression
from blaze.utils.compat import Unpack

if TYPE_CHECKING:
    from blaze.query.manager import Model

M = TypeVar("M", bound="Model")
S = TypeVar("S")
T0 = TypeVar("T0")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")
T7 = TypeVar("T7")

# A column or a model (and a relation, which to a checker is the target's model).
Entity = Union[Expression[S], type[S]]

# The rows of raw SQL.
AnyRow = Row[Unpack[Tuple[Any, ...]]]  # noqa: UP006

# Rows that are too long for the overloads.
LongRow = Row[Any, Any, Any, Any, Any, Any, Any, Any, Any, Unpack[Tuple[Any, ...]]]  # noqa: UP006

# A row taken apart by its tuple base, so that `S` is its first column: what scalar() and scalars() give.
First = Tuple[S, Unpack[Tuple[Any, ...]]]  # noqa: UP006

# The rows of a left join. The first entity is the root, whose rows are kept; anything else may be missing.
Left2 = Row[T0, Optional[T1]]
Left3 = Row[T0, Optional[T1], Optional[T2]]
Left4 = Row[T0, Optional[T1], Optional[T2], Optional[T3]]
Left5 = Row[T0, Optional[T1], Optional[T2], Optional[T3], Optional[T4]]
Left6 = Row[T0, Optional[T1], Optional[T2], Optional[T3], Optional[T4], Optional[T5]]
Left7 = Row[
    T0,
    Optional[T1],
    Optional[T2],
    Optional[T3],
    Optional[T4],
    Optional[T5],
    Optional[T6],
]
Left8 = Row[
    T0,
    Optional[T1],
    Optional[T2],
    Optional[T3],
    Optional[T4],
    Optional[T5],
    Optional[T6],
    Optional[T7],
]

# The rows of a right or full join: the root may be missing too. No checker knows whose column an entity is,
# so it cannot tell those of a right join's target, which are there, from the others.
Outer1 = Row[Optional[T0]]
Outer2 = Row[Optional[T0], Optional[T1]]
Outer3 = Row[Optional[T0], Optional[T1], Optional[T2]]
Outer4 = Row[Optional[T0], Optional[T1], Optional[T2], Optional[T3]]
Outer5 = Row[Optional[T0], Optional[T1], Optional[T2], Optional[T3], Optional[T4]]
Outer6 = Row[Optional[T0], Optional[T1], Optional[T2], Optional[T3], Optional[T4], Optional[T5]]
Outer7 = Row[Optional[T0], Optional[T1], Optional[T2], Optional[T3], Optional[T4], Optional[T5], Optional[T6]]
Outer8 = Row[
    Optional[T0],
    Optional[T1],
    Optional[T2],
    Optional[T3],
    Optional[T4],
    Optional[T5],
    Optional[T6],
    Optional[T7],
]
