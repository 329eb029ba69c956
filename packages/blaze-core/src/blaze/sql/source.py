"""A table as it stands in FROM: the root of a statement, a place reached by a relation, or an alias."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from blaze.sql.table import Table, TableColumn

    Pairs = tuple[tuple[TableColumn, TableColumn], ...]


class Criterion:
    """The rows of one model of several in a table: those whose column holds one of the values.

    Models that are defined later add their values; once a statement was written with them it is `sealed`.
    """

    __slots__ = ("column", "name", "sealed", "values")

    column: TableColumn

    def __init__(self, name: str, values: list[Any]) -> None:
        self.name = name
        self.values = values
        self.sealed = False


class Source:
    """A place that columns are read from.

    A root has no parent. A source with a parent joins itself by `on`, pairs of (column of the parent, own
    column); `outer` says that a parent may lack a row here, `many` that it may have several. A relation
    through a join table is two chained sources, the first of them `many`. `key` is an interned string that
    tells this place apart from every other one; equal paths from equal roots have equal keys. With `only`,
    just the rows of that criterion stand here.
    """

    __slots__ = (
        "alias_name",
        "key",
        "many",
        "name",
        "on",
        "only",
        "optional",
        "outer",
        "parent",
        "plural",
        "root",
        "table",
    )

    def __init__(
        self,
        table: Table,
        parent: Optional[Source] = None,
        on: Pairs = (),
        outer: bool = False,
        many: bool = False,
        name: Optional[str] = None,
        *,
        alias_name: Optional[str] = None,
        only: Optional[Criterion] = None,
    ) -> None:
        self.table = table
        self.only = only
        self.parent = parent
        self.on = on
        self.outer = outer
        self.many = many
        self.name = name if name is not None else table.name
        self.alias_name = alias_name
        # Whether several rows may belong to one row of the root.
        self.plural: bool = many or (parent is not None and parent.plural)
        # Whether a row of the root may have no row here.
        self.optional: bool = outer or (parent is not None and parent.optional)
        self.key: str
        self.root: Source = self if parent is None else parent.root
        kind = "" if only is None else f"#{only.name}"
        if parent is not None:
            self.key = intern(f"{parent.key}/{self.name}:{table.serial}{kind}")
        elif alias_name is not None:
            self.key = intern(f"{table.serial}{kind}@{alias_name}")
        else:
            self.key = intern(f"{table.serial}{kind}")

    def alias(self, name: str) -> Source:
        """Return a root of its own for the same table, for self joins and correlated subqueries."""
        return Source(self.table, name=name, alias_name=name, only=self.only)

    @property
    def is_part(self) -> bool:
        """Whether this is another table of a row of the root, as joined inheritance has it."""
        parent = self.parent
        if parent is None or parent.parent is not None or parent.alias_name is not None:
            return False
        return self.table is not parent.table and not self.many and self.name == self.table.name

    @property
    def path(self) -> str:
        """The place in words, for messages: `book.author.publisher`."""
        own = self.alias_name or self.name
        if self.parent is None:
            return own
        # A step through a join table is two sources, `tags*` and `tags`: one word for the user.
        return self.parent.path if self.parent.name.endswith("*") else f"{self.parent.path}.{own.rstrip('*')}"

    def __repr__(self) -> str:
        return f"<source {self.path}>"
