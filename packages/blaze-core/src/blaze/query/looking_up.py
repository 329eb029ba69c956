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
    root = query.root.source
    by_source: dict[Any, set[str]] = {}
    for kind, clause in query.clauses():
        for comparison in _equalities(clause) if kind == "where" else ():
            by_source.setdefault(comparison.left.source.key, set()).add(comparison.left.column.attribute)
    for relation in mapper.relations.values() if by_source.keys() - {root.key} else ():
        if relation.link is not None and relation.inverse is not None:
            compared = by_source.get(relation.extend(root).key)
            if compared and compared.issuperset(a.name for a in relation.target.pk):
                return relation.target.model, relation.inverse.name
    names = by_source.get(root.key)
    if names is None:
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
