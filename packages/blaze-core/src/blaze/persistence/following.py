"""After a statement that wrote past them: let the loaded objects show what is in the database."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.persistence.loading import chunks, keys_condition
from blaze.plan import Execute, Plan
from blaze.sql.builders import SelectBuilder
from blaze.sql.columns import Column

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase

Values = list[tuple["Attribute", Any, Any]]


def follow(session: SessionBase, mapper: Mapper, columns: Iterable[Any]) -> Plan[None]:
    """Read the written columns again for the unchanged objects of the session; forget what is gone.

    It costs one statement, and none when the session holds no object of the model. A rollback undoes it.
    """
    held = session.identity.get(mapper.model)
    if not held:
        return
    objects = {key: instance for key, instance in held.items() if mapper.is_clean(instance)}
    if not objects:
        return
    written = set(columns)
    attributes = [a for a in mapper.columns if a.column in written]
    codec = session.compilation.codecs[mapper]
    pk = [Column(mapper.source, a.column) for a in mapper.pk]
    outputs = [*pk, *[Column(mapper.source, a.column) for a in attributes]]
    gone = dict(objects)
    before: list[tuple[Any, Values]] = []
    for keys in chunks(session, list(objects), len(pk)):
        statement = SelectBuilder(mapper.source).columns(*outputs).where(keys_condition(pk, keys)).build()
        sql, params = session.compilation.kept(statement).render(statement.binds)
        rows = yield from session.send(Execute(sql, params, list))
        for row in rows:
            parts = tuple(codec.decode(a, value) for a, value in zip(mapper.pk, row))
            instance = gone.pop(parts[0] if len(parts) == 1 else parts, None)
            if instance is None:
                continue
            values: Values = []
            for attribute, raw in zip(attributes, row[len(pk) :]):
                old = attribute.peek(instance)
                old_raw = attribute.peek_raw(instance) if attribute.mutable else UNSET
                if old is UNSET and old_raw is UNSET:
                    continue  # deferred: it is read when it is wanted
                values.append((attribute, old, old_raw))
                if attribute.mutable and raw is not None:
                    put(mapper, instance, attribute, UNSET, raw)
                else:
                    put(mapper, instance, attribute, codec.decode(attribute, raw), UNSET)
            before.append((instance, values))
    for key in gone:
        held.pop(key, None)
    session.work.undo.append(partial(_undo, session, mapper, before, gone))


def put(mapper: Mapper, instance: Any, attribute: Attribute, value: Any, raw: Any) -> None:
    """Store a loaded value past change tracking; a relation that pointed elsewhere is forgotten."""
    relation = attribute.key_of
    if relation is not None and attribute.peek(instance) != value:
        clear_slot(mapper, instance, relation.slot)
    if attribute.mutable:
        clear_slot(mapper, instance, attribute.slot)
        clear_slot(mapper, instance, str(attribute.raw_slot))
        if raw is not UNSET:
            attribute.raw_set(instance, raw)
    if value is not UNSET:
        attribute.set(instance, value)


def _undo(
    session: SessionBase, mapper: Mapper, before: list[tuple[Any, Values]], gone: dict[Any, Any]
) -> None:
    for instance, values in before:
        for attribute, value, raw in values:
            put(mapper, instance, attribute, value, raw)
    held = session.identity[mapper.model]
    for key, instance in gone.items():
        held.setdefault(key, instance)
