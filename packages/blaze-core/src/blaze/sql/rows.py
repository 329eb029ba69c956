"""Lists of row values: `(a, b) IN ((1, 2), (3, 4))`, as composite keys need it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from blaze.errors import QueryError
from blaze.sql.expressions import Expression, bind_for, mismatch
from blaze.sql.values import BOOLEAN, STRING


class RowInList(Expression[bool]):
    """Several expressions equal one of many tuples. The whole list is one bind, whatever its length."""

    __slots__ = ("items", "types")

    visit = "row_in_list"
    parts = ("items",)

    def __init__(self, items: Sequence[Expression[Any]], rows: Iterable[Sequence[Any]]) -> None:
        self.items = tuple(items)
        listed = tuple([tuple(row) for row in rows])
        width = len(self.items)
        leaves = [item.bind if item.type is not None else bind_for(STRING) for item in self.items]
        for row in listed:
            if len(row) != width:
                raise QueryError(f"a row of {len(row)} values for {width} columns; give equally many")
            for item, leaf, value in zip(self.items, leaves, row):
                refused = "None is no key" if value is None else leaf.refusal(value)
                if refused is not None:
                    raise mismatch(item, value, refused)
        self.types = tuple([leaf.type for leaf in leaves])
        self.type = BOOLEAN
        self.binds = (*[bind for item in self.items for bind in item.binds], listed)
        self.key = ("ROWIN", *[item.key for item in self.items])
