"""Keyset paging: pages that begin after a row, told by the values it is ordered by.

A page costs the same however far it is, and rows that come or go elsewhere do not shift it. The order of the
query is completed by the primary key, so that it is total; the cursor holds the values of one row in that
order.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar
from uuid import UUID
from zlib import crc32

from blaze.errors import QueryError
from blaze.query.row import row_class
from blaze.sql.columns import Column
from blaze.sql.expressions import Expression, IsNull, Label, Logical, Ordering
from blaze.sql.functions import compare_rows
from blaze.sql.walk import has_window

if TYPE_CHECKING:
    from blaze.query.query import Query

R = TypeVar("R", covariant=True)

_PREFIX = "_page_"
_UNPAGED = ("cut", "distinct", "group_by", "grouping", "having", "compound")


class Page(Generic[R]):
    """The `items` of one page, and the cursors of the pages beside it; None where there is no such page.

    Give a cursor to `paginate(size, after=cursor)` of the same query in the same order. Cursors are opaque
    text.
    """

    __slots__ = ("items", "next", "previous")

    def __init__(self, items: list[R], next: Optional[str], previous: Optional[str]) -> None:
        self.items = items
        self.next = next
        self.previous = previous

    def __iter__(self) -> Any:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"<page of {len(self.items)} items>"


class SortKey:
    """One key of the order, with the place of its NULLs settled."""

    __slots__ = ("descending", "expression", "nullable", "nulls_first")

    def __init__(self, given: Expression[Any], optional: bool = False) -> None:
        ordering = given if isinstance(given, Ordering) else given.asc()
        inner: Any = ordering.expression
        while isinstance(inner, Label):
            inner = inner.expression
        self.expression: Expression[Any] = inner
        self.descending = ordering.descending
        nulls = ordering.nulls
        self.nullable = optional or not isinstance(inner, Column) or inner.nullable
        # Where the query does not say, NULL counts as less than every value.
        self.nulls_first = nulls == "FIRST" if nulls is not None else not self.descending

    def order(self, backwards: bool) -> Expression[Any]:
        """Return the ORDER BY item."""
        found: Ordering[Any] = Ordering(self.expression, self.descending != backwards)
        if not self.nullable:
            return found
        return found.nulls_first() if self.nulls_first != backwards else found.nulls_last()

    def beyond(self, value: Any, backwards: bool) -> Optional[Expression[bool]]:
        """Return the condition for rows that come strictly later; None when there can be none."""
        nulls_first = self.nulls_first != backwards
        if value is None:
            return IsNull(self.expression, True) if nulls_first else None
        descending = self.descending != backwards
        later: Expression[bool] = self.expression < value if descending else self.expression > value
        return Logical("OR", later, IsNull(self.expression)) if self.nullable and not nulls_first else later

    def same(self, value: Any) -> Expression[bool]:
        """Return the condition for rows with this value."""
        return IsNull(self.expression) if value is None else self.expression == value


class Paging:
    """How a query is paged: its sort keys and what a cursor must fit.

    `row_values` says that the database compares rows as `(a, b) > (1, 2)`.
    """

    def __init__(self, query: Query[Any], size: int, row_values: bool) -> None:
        if size.__class__ is not int or size < 1:
            raise QueryError(f"paginate() takes a size from 1 on, not {size!r}")
        for kind in _UNPAGED:
            if query.has(kind):
                name = "limit(), offset() or a slice" if kind == "cut" else f"{kind}()"
                raise QueryError(f"paginate() does not go together with {name}")
        self.size = size
        self.row_values = row_values
        self.base = query
        given = [clause for kind, clause in query.clauses() if kind == "order_by"]
        outer = any(kind == "join" and clause[0] != "inner" for kind, clause in query.clauses())
        root = query.root.source.key
        self.keys = [
            SortKey(each, outer and any(source != root for source in _sources(each)))
            for group in given
            for each in group
        ]
        for key in self.keys:
            if has_window(key.expression):
                raise QueryError(
                    f"paginate() does not go together with an order by {key.expression.describe()}: a page "
                    "begins by a condition, which cannot hold a window function"
                )
        known = {key.expression.key for key in self.keys}
        self.keys += [SortKey(c) for c in _unique_columns(query) if c.key not in known]
        shape = [(k.expression.describe(), str(k.expression.type), k.descending) for k in self.keys]
        self.check = crc32(repr(shape).encode())

    def query(self, after: Optional[str]) -> tuple[Query[Any], bool]:
        """Return the query of one row more than the page, and whether it runs backwards."""
        query = self.base.without("order_by")
        backwards = False
        if after is not None:
            backwards, values = self._read(after)
            query = query.where(self._beyond(values, backwards))
        query = query.order_by(*[key.order(backwards) for key in self.keys])
        labels = [key.expression.label(f"{_PREFIX}{n}") for n, key in enumerate(self.keys)]
        return query.computed(labels).limit(self.size + 1), backwards

    def page(self, found: list[Any], after: Optional[str], backwards: bool) -> Page[Any]:
        """Return the page that rows of `query()` make."""
        more = len(found) > self.size
        rows = found[: self.size]
        if backwards:
            rows.reverse()
        values = [self._values(row) for row in rows]
        items = [self._stripped(row) for row in rows]
        if not rows:
            if after is None or backwards:
                return Page(items, None, None)
            return Page(items, None, self._cursor(self._read(after)[1], True))
        follows = more or backwards if not backwards else True
        precedes = more if backwards else after is not None
        return Page(
            items,
            self._cursor(values[-1], False) if follows else None,
            self._cursor(values[0], True) if precedes else None,
        )

    def _values(self, row: Any) -> list[Any]:
        if self.base.root.mapper is None:
            return list(row[-len(self.keys) :])
        extra = row._extra_
        return [extra.pop(f"{_PREFIX}{n}") for n in range(len(self.keys))]

    def _stripped(self, row: Any) -> Any:
        if self.base.root.mapper is not None:
            return row
        width = len(row) - len(self.keys)
        return tuple.__new__(row_class(row._labels_[:width]), row[:width])

    def _beyond(self, values: Sequence[Any], backwards: bool) -> Expression[bool]:
        keys = self.keys
        one_way = len({key.descending for key in keys}) == 1
        if self.row_values and one_way and not any(key.nullable for key in keys):
            op = "<" if keys[0].descending != backwards else ">"
            return compare_rows(op, [key.expression for key in keys], values)
        found: Optional[Expression[bool]] = None
        for key, value in zip(reversed(keys), reversed(values)):
            beyond, same = key.beyond(value, backwards), key.same(value)
            rest = None if found is None else Logical("AND", same, found)
            if beyond is None:
                found = rest
            else:
                found = beyond if rest is None else Logical("OR", beyond, rest)
        assert found is not None  # the last key is never NULL
        return found

    def _cursor(self, values: Sequence[Any], backwards: bool) -> str:
        data = [self.check, int(backwards), *[_packed(value) for value in values]]
        raw = json.dumps(data, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(_sum(raw) + raw).decode().rstrip("=")

    def _read(self, cursor: str) -> tuple[bool, list[Any]]:
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            if _sum(raw[4:]) != raw[:4]:
                raise ValueError("cut off, or changed on the way")
            check, backwards, *packed = json.loads(raw[4:])
            values = [_unpacked(value, key) for value, key in zip(packed, self.keys)]
            fits = check == self.check and backwards in (0, 1) and len(packed) == len(self.keys)
        except _BROKEN:
            raise QueryError(
                f"{cursor!r} is no cursor: give one that a page of this query had as next or previous"
            ) from None
        if not fits:
            raise QueryError("the cursor belongs to another query or another order; begin at the first page")
        return bool(backwards), values


def _sources(key: Expression[Any]) -> list[Any]:
    """Return the keys of the source of a sort key that is a column; others may be NULL anyhow."""
    while isinstance(key, (Ordering, Label)):
        key = key.expression
    return [key.source.key] if isinstance(key, Column) else []


_BROKEN = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    InvalidOperation,
    RecursionError,
    binascii.Error,
)


def _sum(raw: bytes) -> bytes:
    """Return the four bytes that tell a cursor from a text that was cut off or changed by accident."""
    return crc32(raw).to_bytes(4, "big")


def _unique_columns(query: Query[Any]) -> list[Column[Any]]:
    """Return the columns that tell any two rows of the query apart."""
    found = query.root.key_columns
    if query.root.source.table.primary_key == ():
        raise QueryError("paginate() needs a primary key, which tells rows apart")
    for kind, clause in query.clauses():
        if kind == "join" and (clause[1].plural or clause[1].parent is None):
            if query.root.mapper is not None:
                raise QueryError(
                    f"paginate(): joined to {clause[1].path}, an object may come several times; put the "
                    "condition into where(), which needs no join"
                )
            nullable = clause[0] != "inner"
            for column in clause[1].table.primary_key:
                key: Column[Any] = Column(clause[1], column)
                key.nullable = nullable
                found.append(key)
    return found


_WRITERS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    Decimal: ("n", str),
    datetime: ("t", datetime.isoformat),
    date: ("d", date.isoformat),
    time: ("h", time.isoformat),
    timedelta: ("i", lambda value: [value.days, value.seconds, value.microseconds]),
    UUID: ("u", str),
    bytes: ("b", bytes.hex),
    float: ("f", float.hex),
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "n": Decimal,
    "t": datetime.fromisoformat,
    "d": date.fromisoformat,
    "h": time.fromisoformat,
    "i": lambda parts: timedelta(*parts),
    "u": UUID,
    "b": bytes.fromhex,
    "f": float.fromhex,
}


def _packed(value: Any) -> Any:
    """Return a value as JSON: texts, integers, truth values and None stand for themselves."""
    if isinstance(value, Enum):
        return ["e", value.name]
    cls = type(value)
    if value is None or cls is str or cls is int or cls is bool:
        return value
    for known, (tag, write) in _WRITERS.items():
        if cls is known:
            return [tag, write(value)]
    raise QueryError(f"cannot page by values of type {cls.__name__}: order by another column")


def _unpacked(value: Any, key: SortKey) -> Any:
    if not isinstance(value, list):
        return value
    tag, text = value
    if tag == "e":
        return key.expression.type.python_type[text]  # type: ignore[union-attr,index]
    return _READERS[tag](text)
