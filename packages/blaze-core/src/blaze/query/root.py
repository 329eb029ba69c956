"""What a query selects: one model, or a row of columns and models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from blaze.core.paths import RelationPath
from blaze.core.registry import registry
from blaze.errors import QueryError
from blaze.sql.columns import Column
from blaze.sql.expressions import Expression, Label
from blaze.sql.walk import first_source

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.sql.source import Source


class Root:
    """The start of a query.

    `mapper` is set when whole objects of one model are selected; otherwise `items` holds the columns and
    mappers of a row. Roots of one model are made once, so its queries share their first key.
    """

    __slots__ = ("binds", "items", "key", "mapper", "source")

    def __init__(self, mapper: Optional[Mapper], items: tuple[Any, ...], source: Source) -> None:
        self.mapper = mapper
        self.items = items
        self.source = source
        if mapper is not None:
            self.key: Any = ("model", mapper.table.serial)
            self.binds: tuple[Any, ...] = ()
        else:
            keys = [
                ("entity", i.table.serial) if not isinstance(i, Expression) else (i.key, label_of(i))
                for i in items
            ]
            self.key = ("row", *keys)
            self.binds = tuple(b for i in items if isinstance(i, Expression) for b in i.binds)

    @property
    def labels(self) -> tuple[Optional[str], ...]:
        """The names of the columns of a row; None for an expression without label."""
        return tuple(label_of(item) for item in self.items)


def label_of(item: Any) -> Optional[str]:
    """Return the name of a column of the result."""
    if isinstance(item, Label):
        return item.name
    if isinstance(item, Column):
        return item.column.attribute
    if isinstance(item, Expression):
        return None
    name: str = item.name
    return name


def root_of(entities: tuple[Any, ...]) -> Root:
    """Return the root for what `query(...)` was given.

    Raises `QueryError` for anything that is neither model nor column, and when no table can be told.
    """
    if len(entities) == 1:
        mapper = getattr(entities[0], "__mapper__", None) if isinstance(entities[0], type) else None
        if mapper is not None:
            found = mapper.root
            if found is None:
                registry.configure(mapper)
                found = mapper.root = Root(mapper, (), mapper.source)
            return found  # type: ignore[no-any-return]
    if not entities:
        raise QueryError("a query needs something to select: a model, or columns")
    items: list[Any] = []
    for entity in entities:
        if isinstance(entity, Expression):
            items.append(entity)
        elif isinstance(entity, RelationPath):
            raise QueryError(f"{entity!r} is a relation; select its columns, or include() it")
        elif isinstance(entity, type) and getattr(entity, "__mapper__", None) is not None:
            registry.configure(entity.__mapper__)
            items.append(entity.__mapper__)
        else:
            raise QueryError(f"cannot select {entity!r}: give a model or a column such as Book.title")
    source = None
    for item in items:
        source = first_source(item) if isinstance(item, Expression) else item.source
        if source is not None:
            break
    if source is None:
        raise QueryError(
            "no table can be told from what is selected; name a column, as in func.count(Book.id)"
        )
    return Root(None, tuple(items), source)
