"""Indexes and constraints named in a model's `Meta`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

if TYPE_CHECKING:
    from blaze.sql.raw import Raw


class Index:
    """An index over attributes, in order; a relation's name stands for its key columns.

    A minus before an attribute (`"-published"`) puts the highest first; `sql("lower(title)")` is an
    expression over column names. `name` defaults to `ix_<table>_<columns>`; `where` makes it partial on
    backends that have such indexes.
    """

    def __init__(
        self,
        *attributes: Union[str, Raw[Any]],
        name: Optional[str] = None,
        unique: bool = False,
        where: Optional[str] = None,
    ) -> None:
        self.attributes = attributes
        self.name = name
        self.unique = unique
        self.where = where

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes, without their direction; none where a part of the index is an expression."""
        found = tuple(part[part.startswith("-") :] for part in self.attributes if isinstance(part, str))
        return found if len(found) == len(self.attributes) else ()

    def __repr__(self) -> str:
        return f"Index({', '.join(map(repr, self.attributes))})"


class Unique:
    """A uniqueness constraint over attributes; a relation's name stands for its key columns."""

    unique = True

    def __init__(self, *attributes: str, name: Optional[str] = None) -> None:
        self.attributes = attributes
        self.name = name

    def __repr__(self) -> str:
        return f"Unique({', '.join(map(repr, self.attributes))})"


class Check:
    """A condition in SQL that every row must satisfy."""

    unique = False

    def __init__(self, condition: str, *, name: Optional[str] = None) -> None:
        self.condition = condition
        self.name = name

    def __repr__(self) -> str:
        return f"Check({self.condition!r})"
