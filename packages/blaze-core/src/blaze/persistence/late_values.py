"""Unique values that were not loaded: read before a flush in which they may change hands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from blaze.core.specs import UNSET
from blaze.dialects.types import Boolean
from blaze.persistence.loading import chunks, decoded_keys, keys_condition, read_rows
from blaze.persistence.stored import key_before, note, value_before
from blaze.plan import Execute, Plan
from blaze.sql.builders import SelectBuilder
from blaze.sql.columns import Column
from blaze.sql.raw import Raw
from blaze.sql.source import Source

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase
    from blaze.persistence.handover import Exchange


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


def read_present(session: SessionBase, exchange: Exchange) -> Plan[None]:
    """Ask which of the changed rows that come to have one value of an index with a condition meet that now.

    It costs one statement for each such index, and none without such rows.
    """
    for place, instances in exchange.rivals().items():
        mapper = type(instances[0]).__mapper__
        rows = {key_before(type(o).__mapper__, o): o for o in instances}
        for attributes, table, where in mapper.partial_indexes:
            if attributes != place:
                continue
            source = Source(table)
            pk = [Column(source, column) for column in table.primary_key]
            condition: Any = Raw((f"({where})",), Boolean())
            for chunk in chunks(session, list(rows), len(pk)):
                query = SelectBuilder(source).columns(*pk).where(keys_condition(pk, chunk)).where(condition)
                statement = query.build()
                sql, params = session.compilation.kept(statement).render(statement.binds)
                found = yield from session.send(Execute(sql, params, list))
                keys = decoded_keys(session, mapper, found)
                exchange.present.update((place, id(rows[key])) for key in keys)
