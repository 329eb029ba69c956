"""What a query selects: one model, or a row of columns and models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from blaze.core.paths import RelationPath
from blaze.core.registry import registry
from blaze.errors import QueryError
from blaze.query.aliases import Alias
from blaze.sql.columns import Column
from blaze.sql.derived import CTE, Derived, QueryTable
from blaze.sql.expressions import Expression, Label, ScalarSubquery
from blaze.sql.selectable import Selectable
from blaze.sql.walk import first_source, root_sources, too_deep

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.sql.source import Source


class Root:
    """The start of a query.

    `mapper` is set when whole objects of one model are selected; otherwise `items` holds the columns and
    entities of a row. Roots of one model are made once, so its queries share their first key. `item_binds`
    are the values of the items; `binds` has the values of a subquery in FROM before them.
    """

    __slots__ = ("_entity", "binds", "item_binds", "items", "key", "mapper", "source")

    def __init__(
        self, mapper: Optional[Mapper], items: tuple[Any, ...], source: Source, entity: Any = None
    ) -> None:
        self.mapper = mapper
        self.items = items
        self.source = source
        self._entity = entity
        if mapper is not None:
            self.key: Any = ("model", source.key)
            self.binds: tuple[Any, ...] = ()
            self.item_binds = self.binds
            return
        keys = [
            (i.key, label_of(i)) if isinstance(i, Expression) else ("entity", i.source.key) for i in items
        ]
        self.key = ("row", source.key, *keys)
        self.item_binds = tuple(b for i in items if isinstance(i, Expression) for b in i.binds)
        self.binds = self.item_binds
        query = derived_query(source)
        if query is not None:
            self.key += (query.key,)
            self.binds = query.binds + self.binds

    @property
    def entity(self) -> Any:
        """The model, or its alias, whose attributes names of fields mean; None for a table without model."""
        if self._entity is None:
            if self.mapper is not None:
                self._entity = self.mapper.model
            else:
                table = self.source.table
                for model in registry:
                    mapper = model.__mapper__
                    if getattr(mapper, "table", None) is table and mapper.source.only is self.source.only:
                        alias = self.source.alias_name
                        self._entity = model if alias is None else Alias(mapper, alias)
        return self._entity

    @property
    def places(self) -> set[Any]:
        """The keys of the places in FROM at which what is selected begins; only one comes by itself."""
        found = {self.source.root.key}
        for item in self.items:
            roots = root_sources(item) if isinstance(item, Expression) else (item.source.root,)
            found.update([root.key for root in roots])
        return found

    @property
    def key_columns(self) -> list[Column[Any]]:
        """The primary key as columns of the root."""
        return [Column(self.source, column) for column in self.source.table.primary_key]

    @property
    def labels(self) -> tuple[Optional[str], ...]:
        """The names of the columns of a row; None for an expression without label."""
        return tuple(label_of(item) for item in self.items)


class Entity(NamedTuple):
    """A model as one part of a row, at its place in FROM."""

    mapper: Mapper
    source: Source
    name: str


def derived_query(source: Source) -> Optional[Selectable]:
    """Return the query that stands at a place of FROM, None for a table or a common table expression."""
    table = source.table
    if isinstance(table, QueryTable) and not str(table.serial).startswith("cte:"):
        return table.query
    return None


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
        if isinstance(entities[0], Alias):
            alias = entities[0]
            return Root(alias._mapper_, (), alias._source_, alias)
    if not entities:
        raise QueryError("a query needs something to select: a model, or columns")
    items: list[Any] = []
    for entity in entities:
        if isinstance(entity, Expression):
            items.append(entity)
        elif isinstance(entity, Selectable):
            items.append(ScalarSubquery(entity))
        elif isinstance(entity, RelationPath):
            raise QueryError(f"{entity!r} is a relation; select its columns, or include() it")
        elif isinstance(entity, type) and getattr(entity, "__mapper__", None) is not None:
            mapper = entity.__mapper__  # type: ignore[attr-defined]
            registry.configure(mapper)
            items.append(Entity(mapper, mapper.source, mapper.name))
        elif isinstance(entity, Alias):
            items.append(Entity(entity._mapper_, entity._source_, entity._name_))
        elif isinstance(entity, (CTE, Derived)):
            raise QueryError(f"select columns of {entity.name!r}, as in {entity.name}.c.id, not the whole")
        else:
            raise QueryError(f"cannot select {entity!r}: give a model or a column such as Book.title")
    source = None
    try:
        for item in items:
            source = first_source(item) if isinstance(item, Expression) else item.source
            if source is not None:
                break
    except RecursionError:
        raise too_deep() from None
    if source is None:
        raise QueryError(
            "no table can be told from what is selected; name a column, as in func.count(Book.id)"
        )
    return Root(None, tuple(items), source)
