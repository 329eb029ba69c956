"""Objects that a rollback has emptied, because raw writes, or what the database did by its rules on delete
and update, may show in them: they are read again, all at once.

They wait in `work.expired`, outside of the identity map, until the session does anything at all; so one row
stays one object, and no statement is sent for objects that nobody wants any more.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from blaze.core.context import LoadContext
from blaze.core.registry import registry
from blaze.core.specs import UNSET
from blaze.errors import StaleDataError
from blaze.persistence.detached import RolledBack
from blaze.persistence.loading import read_rows
from blaze.plan import Plan

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase

R = TypeVar("R")


def rules_write(session: SessionBase, gone: Iterable[Any], moved: Iterable[Any]) -> bool:
    """Whether the database may have changed foreign keys of rows, as some objects were deleted, and others
    got another primary key: what is loaded from then on shows it.
    """
    bases = {type(instance).__mapper__.base for instance in moved}
    queue = list({type(instance).__mapper__.base for instance in gone})
    if not session.dialect.features.foreign_keys or not (bases or queue):
        return False
    mappers = [model.__mapper__ for model in registry if model.__mapper__.configured]
    relations = [each for mapper in mappers for each in mapper.key_relations]
    if any(relation.target.base in bases for relation in relations):
        return True
    for base in queue:  # it grows by what goes with deleted rows
        rules = [(r.on_delete, r.owner.base) for r in relations if r.target.base is base]
        if any(rule in ("SET NULL", "SET DEFAULT") for rule, _ in rules):
            return True
        queue += {owner for rule, owner in rules if rule == "CASCADE" and owner not in queue}
    return False


def revived(session: SessionBase, plan: Generator[Any, Any, R]) -> Generator[Any, Any, R]:
    """Read the expired objects again before a plan runs."""
    try:
        yield from revive(session)
    except BaseException:
        plan.close()
        raise
    return (yield from plan)


def revive(session: SessionBase) -> Plan[None]:
    """Read all expired objects again, by one statement for each model; those without a row leave the session.

    Raises `StaleDataError` when one without a row was changed or deleted meanwhile.
    """
    work = session.work
    groups: dict[Mapper, dict[Any, Any]] = {}
    for (_, key), instance in work.expired.items():
        groups.setdefault(type(instance).__mapper__, {})[key] = instance
    for mapper, objects in groups.items():
        attributes = [a for a in mapper.columns if not a.spec.deferred and a not in mapper.pk]
        rows = yield from read_rows(session, mapper, attributes, list(objects))
        held = session.identity[mapper.model]
        context = LoadContext(session, list(objects.values()))
        for key, instance in objects.items():
            place = mapper.base.model, key
            row = rows.get(key)
            if row is not None:
                fill(session, mapper, instance, attributes, row[len(mapper.pk) :])
                mapper.set_context(instance, context)
                held[key] = instance
            elif id(instance) in work.changed or id(instance) in work.deleted:
                raise StaleDataError(
                    f"the row of a {mapper.name} (key {mapper.shown_key(key)}) that is to be written went "
                    "with a rollback; rollback() again, or expunge() it"
                )
            else:
                mapper.set_context(instance, LoadContext(RolledBack()))
            del work.expired[place]


def fill(
    session: SessionBase, mapper: Mapper, instance: Any, attributes: Sequence[Attribute], row: Sequence[Any]
) -> None:
    """Store a row in an empty object; what was assigned to it since stays, as a change of what was read."""
    codec = session.compilation.codecs[mapper]
    old = None if mapper.is_clean(instance) else mapper.get_old(instance)
    values: list[Any] = list(old or ())
    for attribute, value in zip(attributes, row):
        if attribute.peek(instance) is UNSET:
            codec.store(instance, attribute, value)
        elif attribute.mutable and value is not None:
            attribute.raw_set(instance, value)
        if old is not None:
            loaded = None if attribute.mutable else codec.decode(attribute, value)
            values[mapper.columns.index(attribute)] = loaded
    if old is not None:
        mapper.set_old(instance, type(old)(values))
