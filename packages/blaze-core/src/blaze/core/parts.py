"""A part of a to-many relation: `Author.books.where(...).order_by(...).limit(3)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar

from blaze.errors import QueryError
from blaze.sql.expressions import Expression
from blaze.sql.walk import columns_of

if TYPE_CHECKING:
    from blaze.core.paths import RelationPath

M = TypeVar("M", covariant=True)

# What begins a part on a path, unless the target has a field of that name.
BEGINNINGS = ("where", "order_by", "limit")


class Part(Generic[M]):
    """Some of the objects of a to-many relation, in an order and up to a number for each owner; a value.

    `query.include(cheap=Author.books.where(Book.price < 20).limit(3))` loads it for all authors by one
    statement and shows it as the tuple `author.cheap`. It never stands for the relation itself:
    `author.books` is the whole list and stays what it was. Conditions and order start at the target (`Book`).
    """

    __slots__ = ("below", "conditions", "count", "order", "parts", "path")

    def __init__(self, path: RelationPath) -> None:
        relation = path._relation_
        if not relation.many:
            raise QueryError(
                f"{path!r} leads to one object: there is no part of it to choose; include it as a whole"
            )
        self.path = path
        self.conditions: tuple[Any, ...] = ()
        self.order: tuple[Any, ...] = ()
        self.count: Optional[int] = None
        self.below: tuple[Any, ...] = ()
        self.parts: dict[str, Part[Any]] = {}

    def _copy(self) -> Part[M]:
        made: Part[M] = object.__new__(Part)
        for name in Part.__slots__:
            setattr(made, name, getattr(self, name))
        return made

    def where(self, *conditions: Expression[Optional[bool]]) -> Part[M]:
        """Keep to the objects for which every expression is true."""
        for condition in conditions:
            self._check("where", condition)
        made = self._copy()
        made.conditions += conditions
        return made

    def order_by(self, *keys: Expression[Any]) -> Part[M]:
        """Order the objects of each owner; later calls add keys."""
        for key in keys:
            self._check("order_by", key)
        made = self._copy()
        made.order += keys
        return made

    def limit(self, count: int) -> Part[M]:
        """Take at most so many objects for each owner, the first of the order."""
        if count.__class__ is not int or count < 0:
            raise QueryError(f"limit() takes a whole number from 0 on, not {count!r}")
        made = self._copy()
        made.count = count
        return made

    def include(self, /, *paths: Any, **parts: Part[Any]) -> Part[M]:
        """Load relations of the chosen objects too, as `query.include` does."""
        made = self._copy()
        made.below += paths
        made.parts = {**self.parts, **parts}
        return made

    def _check(self, what: str, expression: Any) -> None:
        target = self.path._target_
        if not isinstance(expression, Expression):
            raise QueryError(f"{what}() takes expressions of {target.name}, not {expression!r}")
        column = next(columns_of(expression), None)
        if column is None:
            return
        root = column.source.root
        if root.table is not target.source.table or root.alias_name is not None:  # models may share a table
            raise QueryError(
                f"{what}() of {self.path!r} starts at {target.name}, as in {target.name}."
                f"{target.pk[0].name}; {column.describe()} starts elsewhere"
            )

    def __repr__(self) -> str:
        return f"<part of {self.path!r}>"
