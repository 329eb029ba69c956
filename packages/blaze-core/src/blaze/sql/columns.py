"""Columns of sources: the leaves that most expressions are built from."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any, ClassVar, Union

from blaze.sql.expressions import Bind, Expression, T, bind_for
from blaze.sql.json_items import JsonItem
from blaze.sql.values import comparison_type

if TYPE_CHECKING:
    from blaze.sql.source import Source
    from blaze.sql.table import TableColumn


class Column(Expression[T]):
    """A column of a source."""

    __slots__ = ("bind", "column", "nullable", "source")  # two of them replace what the base computes

    visit = "column"

    bind: Bind[Any]

    def __init__(self: Column[Any], source: Source, column: TableColumn) -> None:
        self.source = source
        self.column = column
        self.key = intern(f"{source.key}.{column.name}")
        self.binds = ()
        self.type = column.type
        self.bind = bind_for(comparison_type(column.type))  # pyright: ignore[reportIncompatibleMethodOverride]
        self.nullable = column.nullable or (source.optional and not source.plural)

    @property
    def name(self) -> str:
        """The column's name in the database."""
        return self.column.name

    def describe(self) -> str:
        return f"{self.source.path}.{self.column.name}"

    def __getitem__(
        self: Column[Union[dict[Any, Any], list[Any], None]], step: Union[str, int]
    ) -> JsonItem[Any]:
        """Reach into a JSON column by key or position."""
        return JsonItem(self, (step,))

    __iter__: ClassVar[None] = None  # item access would otherwise make a column iterable, for ever
