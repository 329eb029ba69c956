"""Keys that another object takes over in a flush: whose relations that concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from blaze.core.specs import UNSET
from blaze.persistence.stored import key_before, local_before

if TYPE_CHECKING:
    from blaze.core.relations import Relation
    from blaze.persistence.unit_of_work import UnitOfWork


def displaced(changed: list[Any], leaving: list[Any]) -> Iterator[tuple[Any, Relation]]:
    """Yield the relations of changed objects to whatever takes the key of an object that leaves it.

    Their own keys do not change, or not in every column, but the database changes them with that of the
    object that leaves.
    """
    before = {}
    for instance in leaving:
        mapper = type(instance).__mapper__
        before[mapper.base, key_before(mapper, instance)] = instance
    for instance in changed:
        mapper = type(instance).__mapper__
        for relation in mapper.key_relations:
            key, related = local_before(mapper, instance, relation), relation.peek(instance)
            holder = before.get((relation.target.base, key))
            if holder is None or related is None or related is holder:
                continue
            now = relation.key_of(instance) if related is UNSET else relation.target.key(related)
            if now is not None and (related is not UNSET if now == key else len(relation.local) > 1):
                yield instance, relation


def superseded(new: Iterable[Any], deleted: dict[int, Any]) -> Iterator[tuple[Any, Relation, Any]]:
    """Yield the relations of new objects that show a deleted one, whose key another takes over, with that."""
    for instance in new:
        for relation in type(instance).__mapper__.key_relations:
            related = relation.peek(instance)
            if id(related) in deleted:
                yield instance, relation, related


def replaced(work: UnitOfWork, changed: list[Any]) -> Iterator[tuple[Any, Relation, Any]]:
    """Yield the relations of changed objects that show another object than the one in memory whose row they
    refer to, with that one: the key itself may read the same when all is written.
    """
    for instance in changed:
        mapper = type(instance).__mapper__
        for relation in mapper.key_relations:
            related = relation.peek(instance)
            if related is None or related is UNSET:
                continue
            former = work.identity[relation.target.model].get(local_before(mapper, instance, relation))
            if former is not None and former is not related:
                yield instance, relation, former
