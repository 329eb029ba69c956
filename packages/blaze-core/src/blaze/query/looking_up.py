"""Recognise the queries that make a loop slow: for one object by its key, or for what belongs to one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Optional

from blaze.sql.columns import Column
from blaze.sql.expressions import Bind, Comparison, Logical

if TYPE_CHECKING:
    from blaze.query.query import Query


def looked_up(query: Query[Any]) -> Optional[tuple[Any, Optional[str]]]:
    """Return what a query looks up by equality, None when it finds rows in another way.

    (Author, "books") stands for the books of one author, (Book, None) for one book by a unique key. Asked
    once for each shape of a query.
    """
    mapper = query.root.mapper
    if mapper is None:
        return None
    names = {
        comparison.left.column.attribute
        for kind, clause in query.clauses()
        if kind == "where"
        for comparison in _equalities(clause)
        if comparison.left.source.key == query.root.source.key
    }
    if not names:
        return None
    if any(names.issuperset(unique) for unique in mapper.unique_sets()):
        return mapper.model, None
    for relation in mapper.relations.values():
        if relation.owns_key and names.issuperset(a.name for a in relation.local):
            inverse = relation.inverse
            return (relation.target.model, inverse.name) if inverse is not None else (mapper.model, None)
    return None


def paths_to(model: Any) -> list[str]:
    """Return the to-one relations of other models that lead to a model, as they are written."""
    return [
        f"{relation.target.name}.{relation.inverse.name}"
        for relation in model.__mapper__.relations.values()
        if relation.inverse is not None and relation.inverse.owns_key
    ]


def _equalities(condition: Any) -> Iterator[Any]:
    """Yield the comparisons `column = value` that all have to hold."""
    if isinstance(condition, (tuple, list)):
        for each in condition:
            yield from _equalities(each)
    elif isinstance(condition, Logical) and condition.op == "AND":
        yield from _equalities(condition.left)
        yield from _equalities(condition.right)
    elif (
        isinstance(condition, Comparison)
        and condition.op == "="
        and isinstance(condition.left, Column)
        and isinstance(condition.right, Bind)
    ):
        yield condition
