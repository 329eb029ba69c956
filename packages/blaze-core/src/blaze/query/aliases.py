"""A model under another name, for self joins and correlated subqueries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from blaze.core.paths import RelationPath
from blaze.core.registry import registry
from blaze.errors import QueryError

if TYPE_CHECKING:
    from blaze.query.manager import Model

M = TypeVar("M", bound="Model")


class Alias:
    """A second place of a model's table in a query; columns and relations are its attributes."""

    def __init__(self, mapper: Any, name: str) -> None:
        self._mapper_ = mapper
        self._name_ = name
        self._source_ = mapper.source.alias(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        mapper = self._mapper_
        attribute, relation = mapper.resolve(name)
        if attribute is not None:
            found: Any = mapper.column_at(self._source_, attribute)
        else:
            found = RelationPath(mapper, (relation,), relation.extend(self._source_))
        setattr(self, name, found)
        return found

    def __repr__(self) -> str:
        return f"<alias {self._name_} of {self._mapper_.name}>"


def alias(model: type[M], name: str) -> type[M]:
    """Return a model under another name, as SQL's `AS`: for joining a table to itself.

    `boss = alias(Employee, "boss")` is used like the model: in `query(Employee.name, boss.name)`, in
    `.join(boss, on=Employee.boss_id == boss.id)`, in conditions and in correlated subqueries. Raises
    `QueryError` for anything but a model and a name.
    """
    mapper = getattr(model, "__mapper__", None) if isinstance(model, type) else None
    if mapper is None:
        raise QueryError(f"alias() takes a model, not {model!r}; a query has a method alias(name)")
    if not isinstance(name, str) or not name or "\0" in name:
        raise QueryError(f"alias({mapper.name}): {name!r} is no name")
    registry.configure(mapper)
    return Alias(mapper, name)  # type: ignore[return-value]
