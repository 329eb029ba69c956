"""After a statement that wrote past them: let the loaded objects show what is in the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.inheritance import family_attributes
from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.persistence.deletes import RULES, Deleter
from blaze.persistence.key_changes import follow_statement
from blaze.persistence.linked_lists import goes_with, linking_lists, read_lists
from blaze.persistence.loading import chunks, decoded_keys, keys_condition, read_rows
from blaze.persistence.referred import refuse_referred
from blaze.persistence.unit_of_work import restore_loaded
from blaze.persistence.writing import changing
from blaze.plan import Execute, Plan
from blaze.query.build import among_keys, automatic, changed_table
from blaze.query.dml import Delete
from blaze.sql.builders import SelectBuilder, UpdateBuilder
from blaze.sql.columns import Column
from blaze.sql.expressions import Expression
from blaze.sql.source import Source

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.persistence.base import SessionBase
    from blaze.persistence.unit_of_work import UnitOfWork
    from blaze.query.query import Query

Values = list[tuple["Attribute", Any, Any]]

# The most loaded objects that are read again by key; where there are more, the statement tells the rows it
# met, so that a loop of statements over many loaded objects costs by rows met and not by objects held.
FEW = 20


class Met:
    """The rows that a writing statement tells of: how many they were, and those that are wanted."""

    __slots__ = ("rowcount", "rows")

    def __init__(self, rowcount: int, rows: list[tuple[Any, Any]]) -> None:
        self.rowcount = rowcount
        self.rows = rows


def update(
    session: SessionBase, mapper: Mapper, builder: Any, columns: dict[Any, Any], query: Query[Any]
) -> Plan[int]:
    """Send an UPDATE of these columns to their values, and return its number of rows; the unchanged objects
    follow it. `query` selects the rows.
    """
    held = session.identity.of(mapper)
    written = all_written(mapper, columns)
    if (
        not held
        or len(held) <= FEW
        or not session.dialect.features.update_returning
        or not written.isdisjoint(mapper.table.primary_key)
        or any(column.table is not mapper.table for column in written)
    ):
        moving = not written.isdisjoint(mapper.table.primary_key)
        keys: dict[Any, Any] = {}
        with changing(session, mapper, columns):
            if moving and (held or _referring(session, mapper)):
                keys = yield from _new_keys(session, mapper, columns, query)
            count = yield from _send(session, builder)
        if count and moving:
            follow_statement(session.work, mapper, keys)
            held = session.identity.of(mapper)
        if count and held:
            yield from follow(session, mapper, written)
        if count and moving:
            for child in _referring(session, mapper):
                yield from _follow_keys(session, child, child.family_key_relations)
        return count
    attributes = [a for a in mapper.columns if a.column in written]
    with changing(session, mapper, columns):
        met: Met = yield from _send_returning(session, mapper, builder, attributes, held)
    _take_over(session, mapper, attributes, ((o, row) for o, row in met.rows if mapper.is_clean(o)))
    return met.rowcount


def _new_keys(
    session: SessionBase, mapper: Mapper, changes: dict[Any, Any], query: Query[Any]
) -> Plan[dict[Any, Any]]:
    """Return which keys an UPDATE is going to give to the rows of a query, by those that they have."""
    source = mapper.source
    pk = [Column(source, a.column) for a in mapper.pk]
    wanted = [changes.get(a.column, column) for a, column in zip(mapper.pk, pk)]
    computed = [value for value in wanted if isinstance(value, Expression)]
    select = SelectBuilder(source).columns(*pk, *computed).where(among_keys(mapper.table, query))
    if session.dialect.features.for_update:
        select.for_update()
    statement = select.build()
    sql, params = session.compilation.statement(statement).render(statement.binds)
    rows = yield from session.send(Execute(sql, params, list, True))
    decode = session.compilation.codecs[mapper].decode
    found = {}
    for key, row in zip(decoded_keys(session, mapper, rows), rows):
        left = iter(row[len(pk) :])
        new = [decode(a, next(left)) if isinstance(v, Expression) else v for a, v in zip(mapper.pk, wanted)]
        found[key] = tuple(new) if len(new) > 1 else new[0]
    return found


def update_joined(
    session: SessionBase, mapper: Mapper, query: Query[Any], changes: dict[Any, Any]
) -> Plan[int]:
    """Update columns of one joined table, and what that sets in others: the version, `on_update` values.

    The keys are read first, and their rows locked where the backend has row locks: the first UPDATE may
    change what the conditions of the second ask for.
    """
    changed = changed_table(mapper, changes)
    places = {table: Source(table) for table in mapper.tables}
    parts: dict[Any, dict[Any, Any]] = {table: {} for table in mapper.tables}
    for column, value in automatic(mapper, changes, places.__getitem__).items():
        parts[column.table][column] = value
    parts[changed].update(changes)
    source = places[mapper.table]
    pk = [Column(source, c) for c in source.table.primary_key]
    select = SelectBuilder(source).columns(*pk).where(among_keys(mapper.table, query))
    if session.dialect.features.for_update:
        select.for_update()
    statement = select.build()
    sql, params = session.compilation.statement(statement).render(statement.binds)
    count = 0
    with changing(session, mapper, changes):
        rows = yield from session.send(Execute(sql, params, list, True))
        keys = list(decoded_keys(session, mapper, rows))
        for chunk in chunks(session, keys, 2 * len(pk)):  # half of the parameters are left to the values
            for table, values in parts.items():
                if not values:
                    continue
                own = [Column(places[table], c) for c in table.primary_key]
                builder = UpdateBuilder(places[table]).where(keys_condition(own, chunk))
                for column, value in values.items():
                    builder.set(column, value)
                found = yield from _send(session, builder)
                count += found if table is changed else 0
    if count:
        yield from follow(session, mapper, all_written(mapper, changes))
    return count


def all_written(mapper: Mapper, columns: Iterable[Any]) -> set[Any]:
    """Return what an UPDATE of these columns changes: the version and `on_update` columns, too, and what the
    database computes.
    """
    written = {*columns, *[a.column for a in mapper.computed]}
    written.update([mapper.columns[index].column for index in mapper.on_update_indexes])
    if mapper.version is not None:
        written.add(mapper.version.column)
    return written


def delete(session: SessionBase, mapper: Mapper, builder: Any) -> Plan[int]:
    """Send a DELETE and return its number of rows; unchanged objects that went with it are forgotten.

    So are those whose rows the database deleted after them (ON DELETE CASCADE), and the others lose their
    keys (SET NULL).
    """
    identity = session.identity
    held = identity.of(mapper)
    near, far = _dependents(session, mapper)
    lists = linking_lists(session, mapper)
    total = len(held) + sum(len(identity[each.model]) for each in near)
    if not total and not far and not lists:
        return (yield from _send(session, builder))
    deleter = Deleter(session)
    if total <= FEW or not session.dialect.features.delete_returning:
        count = yield from _send(session, builder)
        if not count:
            return count
        gone = yield from _missing(session, mapper, [o for o in held.values() if mapper.is_clean(o)])
        keys = {mapper.key(instance) for instance in gone}
        far += [each for each in near if each not in far]  # rows of no loaded object may have gone, too
    else:
        met: Met = yield from _send_returning(session, mapper, builder, (), held, bool(near))
        count = met.rowcount
        if not count:
            return count
        gone = [o for o, _ in met.rows if o is not None and mapper.is_clean(o)]
        keys = set(decoded_keys(session, mapper, (row for _, row in met.rows))) if near else set()
    yield from _forget(session, mapper, deleter, gone, keys, far)
    if lists and not (mapper.bridges and count == len(gone)):
        yield from read_lists(session, lists)
    return count


def after(session: SessionBase, statement: Any) -> Plan[None]:
    """Let the loaded objects show what a writing statement in WITH has done."""
    mapper: Mapper = statement.mapper
    changes: Iterable[Any] = getattr(statement, "changes", ())
    yield from follow(session, mapper, all_written(mapper, changes))
    if isinstance(statement, Delete):
        near, far = _dependents(session, mapper)
        yield from _forget(session, mapper, Deleter(session), [], set(), list({*near, *far}))
        yield from read_lists(session, linking_lists(session, mapper))


def delete_keys(
    session: SessionBase, mapper: Mapper, keys: list[Any], deleting: Callable[[list[Any]], Plan[int]]
) -> Plan[int]:
    """Run what deletes rows by their keys, and forget the objects that went with them, as `delete` does."""
    held = session.identity.of(mapper)
    near, far = _dependents(session, mapper)
    lists = linking_lists(session, mapper)
    count = yield from deleting(keys)
    if not session.dialect.features.foreign_keys:
        yield from refuse_referred(session, {mapper.base: keys})
    gone = [held[key] for key in dict.fromkeys(keys) if key in held] if held else []
    if not gone and not near and not far and not lists:
        return count
    known = set(keys)
    if count != len(known):  # who knows which of them had a row
        far += [each for each in near if each not in far]
        known = {mapper.key(o) for o in gone}
    for instance in gone:
        if not mapper.is_clean(instance):
            restore_loaded(instance)
    yield from _forget(session, mapper, Deleter(session), gone, known, far)
    if lists and not (mapper.bridges and count == len(gone)):
        yield from read_lists(session, lists)
    return count


def _forget(
    session: SessionBase, mapper: Mapper, deleter: Deleter, gone: list[Any], keys: set[Any], far: list[Mapper]
) -> Plan[None]:
    """Forget deleted objects, do to others what the rules say of deleted keys, and read again those of `far`
    models.
    """
    deleter.forget(gone)
    if keys:
        deleter.cascade({mapper: keys})
    deleter.leave_lists()
    for child in far:
        yield from _follow_rules(session, child, deleter)


def _dependents(session: SessionBase, mapper: Mapper) -> tuple[list[Mapper], list[Mapper]]:
    """Return which loaded models' rows may change after a deleted row: next to it, and by way of others."""
    near, far = [], []
    for model, objects in session.identity.items():
        if not objects:
            continue
        child = model.__mapper__
        targets = [r.target for r in child.family_key_relations if r.on_delete in RULES]
        if any(target.base is mapper.base for target in targets):
            near.append(child)
        if any(goes_with(target, mapper) for target in targets):
            far.append(child)
    return near, far


def _referring(session: SessionBase, mapper: Mapper) -> list[Mapper]:
    """Return the loaded models that refer to a model: rules on update may have written to their rows."""
    mappers = [model.__mapper__ for model, objects in session.identity.items() if objects]
    return [m for m in mappers if any(r.target.base is mapper.base for r in m.family_key_relations)]


def _follow_rules(session: SessionBase, child: Mapper, deleter: Deleter) -> Plan[None]:
    """Read again, of the loaded objects of a model, what follows deleted rows."""
    relations = [r for r in child.family_key_relations if r.on_delete in RULES]
    yield from _follow_keys(session, child, relations, deleter)


def _follow_keys(
    session: SessionBase, child: Mapper, relations: Iterable[Relation], deleter: Optional[Deleter] = None
) -> Plan[None]:
    """Read again, of the loaded objects of a model, whether they are there and where they point."""
    keys = [a for r in relations for a in r.local]
    yield from follow(session, child, [a.column for a in keys if a not in child.pk], deleter)


def _missing(session: SessionBase, mapper: Mapper, instances: Sequence[Any]) -> Plan[list[Any]]:
    """Return those of the objects whose rows are gone."""
    found = yield from read_rows(session, mapper, (), [mapper.key(o) for o in instances])
    return [o for o in instances if mapper.key(o) not in found]


def _send(session: SessionBase, builder: Any) -> Plan[int]:
    statement = builder.build()
    sql, params = session.compilation.kept(statement).render(statement.binds)
    outcome = yield from session.send(Execute(sql, params, None, True))
    count: int = outcome.rowcount
    return max(count, 0)


def _send_returning(
    session: SessionBase,
    mapper: Mapper,
    builder: Any,
    attributes: Sequence[Attribute],
    held: dict[Any, Any],
    every: bool = False,
) -> Plan[Met]:
    """Send a statement that gives back keys and columns; keep the rows of loaded objects, or `every` row."""
    builder.returning(*[Column(mapper.source, a.column) for a in (*mapper.pk, *attributes)])
    statement = builder.build()
    sql, params = session.compilation.kept(statement).render(statement.binds)
    get = held.get

    def consume(rows: Iterable[Any]) -> Met:
        listed = list(rows)
        found = zip(map(get, decoded_keys(session, mapper, listed)), listed)
        return Met(len(listed), [pair for pair in found if every or pair[0] is not None])

    return (yield from session.send(Execute(sql, params, consume, True)))  # type: ignore[no-any-return]


def follow(
    session: SessionBase,
    mapper: Mapper,
    columns: Iterable[Any],
    deleter: Optional[Deleter] = None,
    keys: Optional[Iterable[Any]] = None,
) -> Plan[None]:
    """Read the written columns again for the unchanged objects of the session, or for those of the given
    keys; forget what is gone.

    It costs one statement, and none when the session holds no such object. A rollback undoes it.
    """
    held = session.identity.of(mapper)
    if held and keys is not None:
        held = {key: held[key] for key in keys if key in held}
    deleted = session.work.deleted
    objects = {key: o for key, o in held.items() if mapper.is_clean(o) and id(o) not in deleted}
    if not objects:
        return
    written = set(columns)
    attributes = [a for a in family_attributes(mapper) if a.column in written]
    found = yield from read_rows(session, mapper, attributes, list(objects))
    _take_over(
        session, mapper, attributes, ((objects[key], row) for key, row in found.items() if key in objects)
    )
    gone = [o for key, o in objects.items() if key not in found]
    if not gone:
        return
    deleter = deleter or Deleter(session)
    deleter.forget(gone)
    deleter.leave_lists()


def _take_over(
    session: SessionBase, mapper: Mapper, attributes: Sequence[Attribute], pairs: Iterable[tuple[Any, Any]]
) -> None:
    """Store the columns of rows (behind their keys) in loaded objects; a rollback undoes it."""
    codec = session.compilation.codecs[mapper]
    width = len(mapper.pk)
    before: list[tuple[Any, Values]] = []
    for instance, row in pairs if attributes else ():
        values: Values = []
        if not before:
            session.work.undo.append(partial(_undo, session.work, before, mapper))
        before.append((instance, values))  # before anything is stored: an interrupt may come
        for attribute, raw in zip(attributes, row[width:]):
            old = attribute.peek(instance)
            old_raw = attribute.peek_raw(instance) if attribute.mutable else UNSET
            if old is UNSET and old_raw is UNSET:
                continue  # deferred: it is read when it is wanted
            values.append((attribute, old if old_raw is UNSET else UNSET, old_raw))
            if attribute.mutable and raw is not None:
                put(mapper, instance, attribute, UNSET, raw)
            else:
                put(mapper, instance, attribute, codec.decode(attribute, raw), UNSET)


def put(mapper: Mapper, instance: Any, attribute: Attribute, value: Any, raw: Any) -> None:
    """Store a loaded value past change tracking; a relation that pointed elsewhere is forgotten."""
    if attribute.keys_of and attribute.peek(instance) != value:
        for relation in attribute.keys_of:
            clear_slot(mapper, instance, relation.slot)
    if attribute.mutable:
        clear_slot(mapper, instance, attribute.slot)
        clear_slot(mapper, instance, str(attribute.raw_slot))
        if raw is not UNSET:
            attribute.raw_set(instance, raw)
    if value is not UNSET:
        attribute.set(instance, value)


def _undo(work: UnitOfWork, before: list[tuple[Any, Values]], mapper: Mapper) -> None:
    for instance, values in before:
        target = work.now(instance)
        for attribute, value, raw in values if target is not None else ():
            put(mapper, target, attribute, value, raw)
