"""Tables and their columns, as SQL sees them: names, types and constraints, no models."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Optional, Union

from blaze.errors import QueryError
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blaze.dialects.types import SQLType

_serials = count(1)


class TableColumn:
    """One column of a table; `table` is set when a `Table` takes it in.

    `identity` says that the database generates the key, `server_default` and `generated` are SQL text,
    `check` is the text of a column constraint, `on_update` a value or SQL text kept for the layers above.
    `attribute` is the name under which results show it, the column's own name by default.
    """

    __slots__ = (
        "attribute",
        "check",
        "comment",
        "generated",
        "identity",
        "index",
        "name",
        "nullable",
        "on_update",
        "primary_key",
        "server_default",
        "table",
        "type",
        "unique",
    )

    table: Table

    def __init__(
        self,
        name: str,
        type: SQLType,
        *,
        nullable: bool = False,
        primary_key: bool = False,
        identity: bool = False,
        server_default: Optional[str] = None,
        generated: Optional[str] = None,
        unique: bool = False,
        index: bool = False,
        comment: Optional[str] = None,
        check: Optional[str] = None,
        on_update: Any = None,
        attribute: Optional[str] = None,
    ) -> None:
        self.name = name
        self.attribute = attribute if attribute is not None else name
        self.type = type
        self.nullable = nullable
        self.primary_key = primary_key
        self.identity = identity
        self.server_default = server_default
        self.generated = generated
        self.unique = unique
        self.index = index
        self.comment = comment
        self.check = check
        self.on_update = on_update

    def __repr__(self) -> str:
        table = getattr(self, "table", None)
        return f"<column {table.name}.{self.name}>" if table is not None else f"<column {self.name}>"


class Table:
    """A table or view. `serial` is unique in the process, so equal names never share a cache key.

    `primary_key` is the tuple of key columns in key order; without it, the columns marked `primary_key`.
    """

    __slots__ = ("by_name", "columns", "name", "primary_key", "schema", "serial")

    columns: tuple[TableColumn, ...]

    def __init__(
        self,
        name: str,
        columns: Sequence[TableColumn] = (),
        *,
        schema: Optional[str] = None,
        primary_key: Optional[Sequence[TableColumn]] = None,
    ) -> None:
        self.name = name
        self.schema = schema
        self.serial: Union[int, str] = next(_serials)
        self.columns = ()
        self.by_name: dict[str, TableColumn] = {}
        for column in columns:
            self.add(column)
        keys = [column for column in columns if column.primary_key]
        self.primary_key: tuple[TableColumn, ...] = tuple(keys if primary_key is None else primary_key)

    def add(self, column: TableColumn) -> TableColumn:
        """Take in a column; raise `QueryError` when the name is taken or the column has another table."""
        if column.name in self.by_name:
            raise QueryError(f"table {self.name!r} has two columns named {column.name!r}; rename one")
        if getattr(column, "table", None) is not None:
            raise QueryError(
                f"{column!r} already belongs to a table; make a column of its own for {self.name!r}"
            )
        column.table = self
        self.columns += (column,)
        self.by_name[column.name] = column
        return column

    def column(self, name: str) -> TableColumn:
        """Return the column of that name, or raise `QueryError` with the nearest names."""
        try:
            return self.by_name[name]
        except KeyError:
            raise QueryError(
                f"table {self.name!r} has no column {name!r}{suggest(name, self.by_name)}"
            ) from None

    def __repr__(self) -> str:
        name = f"{self.schema}.{self.name}" if self.schema else self.name
        return f"<table {name}>"
