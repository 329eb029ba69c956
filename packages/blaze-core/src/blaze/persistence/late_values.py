"""Unique values that were not loaded: read before a flush in which they may change hands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from blaze.core.specs import UNSET
from blaze.persistence.following import read_rows
from blaze.persistence.stored import key_before, value_before
from blaze.plan import Plan

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase


def read_unique(session: SessionBase, changed: list[Any], deleted: Iterable[Any]) -> Plan[None]:
    """Read the unique values that changed objects give up, and those of deleted ones, where they are unknown.

    It costs one statement for each model, and none where all is known.
    """
    groups: dict[Mapper, dict[Any, Any]] = {}
    for instance in changed:
        if instance._old_.__class__ is not tuple:  # columns were left out
            mapper = type(instance).__mapper__
            if any(value_before(mapper, instance, a) != a.peek(instance) for a in unique(mapper)):
                groups.setdefault(mapper, {})[key_before(mapper, instance)] = instance
    for instance in deleted:
        mapper = type(instance).__mapper__
        groups.setdefault(mapper, {})[key_before(mapper, instance)] = instance
    for mapper, objects in groups.items():
        places = unique(mapper)
        objects = {
            key: o
            for key, o in objects.items()
            if any(value_before(mapper, o, attribute) is UNSET for attribute in places)
        }
        if not objects:
            continue
        decode = session.compilation.codecs[mapper].decode
        rows = yield from read_rows(session, mapper, places, list(objects))
        for key, instance in objects.items():
            if key in rows:  # else the flush says that it is gone
                values = rows[key][len(mapper.pk) :]
                note(mapper, instance, {a: decode(a, value) for a, value in zip(places, values)})


def unique(mapper: Mapper) -> list[Attribute]:
    """Return the columns that take part in a unique constraint, without the key."""
    found = [mapper.columns[position] for position in sorted(mapper.unique_indexes)]
    return [attribute for attribute in found if attribute not in mapper.pk]


def note(mapper: Mapper, instance: Any, values: dict[Attribute, Any]) -> None:
    """Remember what the row of an object holds; what was assigned meanwhile stays."""
    old = None if mapper.is_clean(instance) else mapper.get_old(instance)
    if old is not None:
        known = [values.get(a, UNSET) if v is UNSET else v for a, v in zip(mapper.columns, old)]
        mapper.set_old(instance, type(old)(known))
    for attribute, value in values.items():
        if attribute.peek(instance) is UNSET:
            attribute.set(instance, value)
