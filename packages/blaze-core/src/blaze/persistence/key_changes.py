"""Primary keys that change: the database takes referring rows along (ON UPDATE CASCADE), memory follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.specs import UNSET
from blaze.persistence.handover import by_mapper
from blaze.persistence.stored import key_before, key_in, keys_before, local_before, value_before
from blaze.persistence.unit_of_work import UnitOfWork, leave

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.persistence.meanwhile import Meanwhile
    from blaze.persistence.updates import UpdatedGroup

CURE = (
    "; a primary key changed, and rows that refer to it can follow only where their foreign key says "
    "ON UPDATE CASCADE, as create_all() writes it: a table from before needs DropConstraint and AddConstraint"
)


def moving(changed: list[Any]) -> dict[int, Any]:
    """Return the changed objects, by identity, whose primary key is not that of their row."""
    found: dict[int, Any] = {}
    for mapper, group in by_mapper(changed).items() if changed else ():
        get_old: Any = mapper.get_old
        for attribute in mapper.pk:
            get, position = attribute.get, mapper.columns.index(attribute)
            found.update((id(o), o) for o in group if get(o) != get_old(o)[position])
    return found


def meant(moving: dict[int, Any], instances: list[Any]) -> Iterator[tuple[Any, Relation]]:
    """Point objects at those whose keys change where they were given the new key as a value, and yield these
    relations: their rows follow.
    """
    coming = {(type(o).__mapper__.base, type(o).__mapper__.key(o)): o for o in moving.values()}
    for instance in instances:
        mapper = type(instance).__mapper__
        for relation in mapper.key_relations:
            key = relation.key_of(instance)
            target = coming.get((relation.target.base, key))
            if target is None or relation.peek(instance) is not UNSET:
                continue
            if mapper.is_new(instance) or local_before(mapper, instance, relation) != key:
                relation.set(instance, target)
                yield instance, relation


# The keys that a statement gave to rows by those that they had before, of each hierarchy.
Moved = dict[tuple["Mapper", Any], Any]


class KeyMoves:
    """What the statements of a flush made of keys, one after the other: it tells where a row is now.

    Where the database takes along what refers to a changed key (`cascading`), rows have other keys than those
    that are known of their objects.
    """

    def __init__(self, cascading: bool) -> None:
        self.cascading = cascading
        self.stages: list[Moved] = []

    def __bool__(self) -> bool:
        return bool(self.stages)

    def note(self, mapper: Mapper, before: list[Any], after: Iterable[Any]) -> None:
        """Note the keys that rows had before a statement and have after it."""
        self.stages.append({(mapper.base, old): new for old, new in zip(before, after)})

    def keys(self, mapper: Mapper, instances: list[Any]) -> list[Any]:
        """Return the keys that rows have now, of objects that had rows before the flush."""
        if not self.stages:
            return keys_before(mapper, instances)
        return [self.key(type(instance).__mapper__, instance) for instance in instances]

    def key(self, mapper: Mapper, instance: Any) -> Any:
        """Return the key that the row of an object has now."""
        if not self.stages:
            return key_before(mapper, instance)
        values = {attribute: value_before(mapper, instance, attribute) for attribute in mapper.pk}
        relations = [r for r in mapper.key_relations if not values.keys().isdisjoint(r.local)]
        for attribute in [a for relation in relations for a in relation.local]:
            values.setdefault(attribute, value_before(mapper, instance, attribute))
        for moved in self.stages:
            now = moved.get((mapper.base, _joined(values, mapper.pk)))
            if now is not None:
                values.update(zip(mapper.pk, now if len(mapper.pk) > 1 else (now,)))
                continue
            held = dict(values)
            for relation in relations if self.cascading else ():
                _take_along(values, relation, _joined(held, relation.local), moved)
        return _joined(values, mapper.pk)


def _joined(values: dict[Attribute, Any], attributes: Sequence[Attribute]) -> Any:
    """Return the values of some columns as a key."""
    found = tuple([values[attribute] for attribute in attributes])
    return found if len(attributes) > 1 else found[0]


def _key_moved(mapper: Mapper, key: Any, moved: Moved) -> Any:
    """Return what became of a key, of which there may be no object."""
    if (mapper.base, key) in moved:
        return moved[mapper.base, key]
    parts: Any = key if isinstance(key, tuple) else (key,)
    values = dict(zip(mapper.pk, parts))
    for relation in mapper.key_relations:
        if all(attribute in values for attribute in relation.local):
            held = [parts[mapper.pk.index(attribute)] for attribute in relation.local]
            own = tuple(held) if len(held) > 1 else held[0]
            if relation.target.base is not mapper.base or own != key:  # else it refers to itself
                _take_along(values, relation, own, moved)
    found = list(values.values())
    return tuple(found) if len(found) > 1 else found[0]


def _take_along(values: dict[Attribute, Any], relation: Relation, key: Any, moved: Moved) -> None:
    now = _key_moved(relation.target, key, moved)
    if now != key:
        for attribute, value in zip(relation.local, now if len(relation.local) > 1 else (now,)):
            if attribute in values:
                values[attribute] = value


def follow_statement(work: UnitOfWork, mapper: Mapper, keys: dict[Any, Any]) -> None:
    """Give unchanged objects, and those that refer to them, the keys that a statement gave to their rows."""
    objects = work.identity[mapper.model]
    moved = [(objects[old], old, new) for old, new in keys.items() if old in objects]
    moved = [(o, old, new) for o, old, new in moved if old != new and type(o).__mapper__.is_clean(o)]
    for instance, _, _ in moved:
        own = type(instance).__mapper__
        work.undo.append(work.undo_update(own, instance))
    for instance, old, _ in moved:
        leave(objects, old, instance)
    for instance, _, new in moved:
        for attribute, value in zip(mapper.pk, new if len(mapper.pk) > 1 else (new,)):
            attribute.set(instance, value)
        objects[new] = instance
    _follow(work, [(mapper.base, keys)], None)


def follow(work: UnitOfWork, groups: list[UpdatedGroup], meanwhile: Meanwhile) -> None:
    """Give loaded objects that refer to a changed key the new one; what refers to them follows, too."""
    queue: list[tuple[Mapper, dict[Any, Any]]] = []
    for group in groups:
        if group.moved:
            mapper = group.mapper
            before = [key_in(mapper, old) for old in group.olds]
            queue.append((mapper.base, dict(zip(before, mapper.keys(group.instances)))))
    _follow(work, queue, meanwhile)


def _follow(
    work: UnitOfWork, queue: list[tuple[Mapper, dict[Any, Any]]], meanwhile: Optional[Meanwhile]
) -> None:
    # All is found before anything is written: keys may be swapped.
    while queue:
        hits = [hit for base, keys in queue for hit in referring(work, base, keys)]
        if meanwhile is None:
            hits = [hit for hit in hits if type(hit[1]).__mapper__.is_clean(hit[1])]
        queue = []
        renamed: list[tuple[Mapper, Any, Any]] = []
        for relation, instance, key in hits:
            mapper = type(instance).__mapper__
            work.undo.append(work.undo_update(mapper, instance))
            if any(attribute in mapper.pk for attribute in relation.local):
                renamed.append((mapper, instance, mapper.key(instance)))
            for attribute, value in zip(relation.local, key if len(relation.local) > 1 else (key,)):
                attribute.set(instance, value)
            if meanwhile is not None:
                meanwhile.completed(instance, relation)
        changes: dict[Mapper, dict[Any, Any]] = {}
        for mapper, instance, before in renamed:
            leave(work.identity[mapper.model], before, instance)
        for mapper, instance, before in renamed:
            now = mapper.key(instance)
            work.identity[mapper.model][now] = instance
            changes.setdefault(mapper.base, {})[before] = now
        queue += changes.items()


def referring(work: UnitOfWork, base: Mapper, keys: dict[Any, Any]) -> list[tuple[Relation, Any, Any]]:
    """Return the loaded objects that hold one of these former keys, each with its relation and new key."""
    found = []
    for model, objects in work.identity.items():
        for relation in model.__mapper__.family_key_relations if objects else ():
            if relation.target.base is not base:
                continue
            for instance in objects.values():
                held = relation.key_of(instance)
                if held is None:
                    continue
                related = relation.peek(instance)
                known = related is not None and related is not UNSET
                key = relation.target.key(related) if known else keys.get(held, held)
                if key is not None and key != held:
                    found.append((relation, instance, key))
    return found
