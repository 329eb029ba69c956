"""What the database holds of an object before a flush, and what the flush is going to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blaze.core.specs import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.persistence.identity_map import IdentityMap


def local_before(mapper: Mapper, instance: Any, relation: Relation) -> Any:
    """Return the key of a foreign key as the database has it."""
    values = tuple(value_before(mapper, instance, attribute) for attribute in relation.local)
    return values[0] if len(values) == 1 else values


def value_before(mapper: Mapper, instance: Any, attribute: Attribute) -> Any:
    """Return a column's value as the database has it."""
    old = None if mapper.is_clean(instance) else mapper.get_old(instance)
    return attribute.peek(instance) if old is None else old[mapper.columns.index(attribute)]


def text_before(mapper: Mapper, instance: Any, attribute: Attribute) -> Any:
    """Return the undecoded value of a mutable column as the database has it, `UNSET` where it is unknown."""
    raw = attribute.peek_raw(instance)
    if raw is not UNSET:
        return raw
    return UNSET if value_before(mapper, instance, attribute) is UNSET else None


def key_before(mapper: Mapper, instance: Any) -> Any:
    """Return the key that the row has in the database."""
    old = None if mapper.is_clean(instance) else mapper.get_old(instance)
    return mapper.key(instance) if old is None else key_in(mapper, old)


def key_in(mapper: Mapper, old: tuple[Any, ...]) -> Any:
    """Return the key in a snapshot."""
    values: Any = tuple(old[mapper.columns.index(attribute)] for attribute in mapper.pk)
    return values[0] if len(values) == 1 else values


def row_key(instance: Any) -> Any:
    """Return the key by which the row of an object is found now."""
    mapper = type(instance).__mapper__
    return mapper.key(instance) if type(instance)._tracked_ else key_before(mapper, instance)


def keys_before(mapper: Mapper, instances: list[Any]) -> list[Any]:
    """Return the keys that the rows have in the database, of objects of a model and those derived from it."""
    if len(mapper.pk) != 1:
        return [key_before(mapper, instance) for instance in instances]
    get = mapper.pk[0].get
    return [get(o) if type(o)._tracked_ else key_before(type(o).__mapper__, o) for o in instances]


def note(mapper: Mapper, instance: Any, values: dict[Attribute, Any]) -> None:
    """Remember what the row of an object holds; what was assigned meanwhile stays."""
    old = None if mapper.is_clean(instance) else mapper.get_old(instance)
    if old is not None:
        known = [values.get(a, UNSET) if v is UNSET else v for a, v in zip(mapper.columns, old)]
        mapper.set_old(instance, type(old)(known))
    for attribute, value in values.items():
        if attribute.peek(instance) is UNSET:
            attribute.set(instance, value)


def linked_before(identity: IdentityMap, instance: Any) -> Iterator[tuple[Relation, Any, Any]]:
    """Yield what the row of an object of a `through` model links: many-to-many relations, each with its owner
    and its member, where both are in memory.
    """
    mapper = type(instance).__mapper__
    for relation, *sides in mapper.bridges:
        owner, member = [identity[s.target.model].get(local_before(mapper, instance, s)) for s in sides]
        if owner is not None and member is not None:
            yield relation, owner, member


def coming(instance: Any, attributes: tuple[Attribute, ...]) -> tuple[Any, ...]:
    """Return the values that columns are going to be written with, as far as they are known."""
    values = []
    for attribute in attributes:
        source, instance_of = attribute, instance
        for relation in attribute.keys_of:
            related = relation.peek(instance)
            if related is not None and related is not UNSET:
                source, instance_of = relation.remote[relation.local.index(attribute)], related
        values.append(source.peek(instance_of))
    return tuple(values)
