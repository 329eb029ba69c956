"""Load an object again: all of it, or some columns and relations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.errors import NoResultError, QueryError, SessionError
from blaze.persistence.dropped import Dropped
from blaze.persistence.expiring import revive
from blaze.persistence.following import follow, put
from blaze.persistence.loading import keys_condition, load_includes
from blaze.persistence.objects import select_row
from blaze.persistence.stored import key_before
from blaze.persistence.unit_of_work import restore_loaded
from blaze.plan import Execute, Plan
from blaze.query.lookups import resolve_path
from blaze.sql.builders import SelectBuilder
from blaze.sql.columns import Column

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.base import SessionBase
    from blaze.persistence.unit_of_work import UnitOfWork


def refresh_plan(session: SessionBase, instance: Any, paths: Sequence[Any] = ()) -> Plan[None]:
    """Load an object again and drop its local changes: all columns that were loaded before, forgetting its
    loaded relations, or only the given columns and relations. A failure leaves it as it was.
    """
    session.check_usable()
    mapper = session.held(instance)
    if mapper.is_new(instance):
        raise SessionError(f"this {mapper.name} is not in the database yet; flush() first")
    if paths:
        yield from _refresh_some(session, mapper, instance, paths)
        return
    lists = [found for found in session.work.collections.values() if found.owner is instance]
    dropped = Dropped(session, mapper, instance, mapper.columns, lists)
    try:
        yield from _refresh_all(session, mapper, instance, lists)
    except BaseException:
        dropped.put_back()
        raise


def _refresh_all(
    session: SessionBase, mapper: Mapper, instance: Any, lists: Sequence[RelatedList[Any]]
) -> Plan[None]:
    """Load all that was loaded before again; `lists` are those of the object that have changed."""
    known = _known(mapper, instance, mapper.key_relations)
    if not mapper.is_clean(instance):
        restore_loaded(instance)
    work = session.work
    session.transactions.epoch += 1
    work.changed.pop(id(instance), None)
    work.deleted.pop(id(instance), None)
    work.mutables.pop(id(instance), None)
    for changed_list in lists:
        changed_list.take_back()
        del work.collections[id(changed_list)]
    known = _show(mapper, instance, known)
    if work.pending and session.autoflush:
        yield from session.flush_plan()
    codec = session.compilation.codecs[mapper]
    late = [a for a in mapper.columns if a not in codec.attributes and is_loaded(instance, a)]
    key = mapper.key(instance)
    select = partial(select_row, session, codec)
    rows: Sequence[Any]
    if session.cache is None:
        rows = yield from select([key])
    else:
        rows = yield from session.cache.read(codec, [key], select, fresh=True)
    if not rows:
        raise gone(mapper, key)
    more = (yield from _row(session, mapper, instance, late)) if late else ()
    _note_undo(work, mapper, instance, mapper.columns)
    codec.overwrite(instance, rows[0])
    for attribute, value in zip(late, more):
        codec.store(instance, attribute, value)
    _show(mapper, instance, known)


def _refresh_some(session: SessionBase, mapper: Mapper, instance: Any, paths: Sequence[Any]) -> Plan[None]:
    """Load some columns and relations again; everything else, and its changes, stays."""
    attributes: list[Attribute] = []
    relations = []
    for path in paths:
        if isinstance(path, str):
            path = resolve_path(mapper, path.replace(".", "__").split("__"))
        column = getattr(path, "column", None)
        steps: tuple[Relation, ...] = getattr(path, "_steps_", ())
        if len(steps) == 1 and mapper.relations.get(steps[0].name) is steps[0]:
            relations.append(path)
            attributes += steps[0].local if steps[0].owns_key else ()
        elif not steps and column is not None:
            attributes.append(mapper.attribute_of(column))
        else:
            raise QueryError(f"cannot refresh {path!r}: give columns or relations of {mapper.name}")
    held = [path._steps_[0].peek(instance) for path in relations if path._steps_[0].many]
    lists = [found for found in held if found is not UNSET and id(found) in session.work.collections]
    dropped = Dropped(session, mapper, instance, attributes, lists)
    try:
        yield from _refresh_these(session, mapper, instance, attributes, relations)
    except BaseException:
        dropped.put_back()
        raise


def _refresh_these(
    session: SessionBase,
    mapper: Mapper,
    instance: Any,
    attributes: Sequence[Attribute],
    relations: Sequence[Any],
) -> Plan[None]:
    """Load columns, and relations given as paths."""
    work, codec = session.work, session.compilation.codecs[mapper]
    moving = [relation for relation in mapper.key_relations if any(a in attributes for a in relation.local)]
    known = _known(mapper, instance, moving)
    session.transactions.epoch += 1
    _drop_changes(mapper, instance, attributes)
    known = _show(mapper, instance, known)
    for path in relations:
        found = path._steps_[0].peek(instance)
        if path._steps_[0].many and found is not UNSET:
            found.take_back()
            work.collections.pop(id(found), None)
    if work.pending and session.autoflush:
        yield from session.flush_plan()
    if attributes:
        row = yield from _row(session, mapper, instance, attributes)
        _note_undo(work, mapper, instance, attributes)
        for attribute, value in zip(attributes, row):
            codec.store(instance, attribute, value)
        _settle(mapper, instance, attributes)
    for relation in moving:
        clear_slot(mapper, instance, relation.slot)
    _show(mapper, instance, known)
    for path in relations:
        if not path._steps_[0].owns_key and instance._extra_:
            instance._extra_.pop(path._names_[0], None)
    if relations:
        yield from load_includes(session, [instance], relations, None)


def read_again(session: SessionBase, mapper: Mapper, keys: Sequence[Any]) -> Plan[None]:
    """Read the loaded columns again for the unchanged objects of a model, or for those of the given keys;
    forget those without a row.

    What a rollback takes back are writes of this transaction: where it has none, what was read stays.
    """
    work = session.work
    if work.mutables:
        work.sweep(session.compilation.codecs)
    unwritten = not work.undo
    held = session.identity.of(mapper)
    groups: dict[Mapper, dict[Any, Any]] = {}
    for key in keys or list(held):
        instance = held.get(key)
        if instance is not None:
            groups.setdefault(type(instance).__mapper__, {})[key] = instance
    for own, objects in groups.items():
        wanted = [
            attribute.column
            for attribute in own.columns
            if attribute not in own.pk and any(is_loaded(o, attribute) for o in objects.values())
        ]
        yield from follow(session, own, wanted, None, objects)
    if unwritten:
        work.undo.clear()


def read_anew(session: SessionBase, doubtful: Sequence[Any]) -> Plan[None]:
    """Read all unchanged objects again; the doubtful ones are emptied, so that their lists are, too."""
    work, identity = session.work, session.identity
    for instance in doubtful:
        mapper = type(instance).__mapper__
        key = mapper.key(instance)
        if identity[mapper.model].get(key) is instance:
            work.forgotten[mapper.base.model, key] = instance
    work.expire()
    for model in list(identity):
        yield from read_again(session, model.__mapper__, ())
    yield from revive(session)


def is_loaded(instance: Any, attribute: Attribute) -> bool:
    """Whether an object holds a value of a column, decoded or not."""
    return attribute.peek(instance) is not UNSET or (
        attribute.mutable and attribute.peek_raw(instance) is not UNSET
    )


def gone(mapper: Mapper, key: Any) -> NoResultError:
    """Return the error for a row that is not there any more."""
    return NoResultError(f"the row of this {mapper.name} (key {mapper.shown_key(key)}) is gone")


def _row(
    session: SessionBase, mapper: Mapper, instance: Any, attributes: Sequence[Attribute]
) -> Plan[Sequence[Any]]:
    """Read columns of the row of an object; raise `NoResultError` when it is gone."""
    key = mapper.key(instance) if mapper.is_clean(instance) else key_before(mapper, instance)
    columns = [Column(mapper.source, a.column) for a in mapper.pk]
    wanted = [mapper.column_at(mapper.source, a) for a in attributes]
    statement = SelectBuilder(mapper.source).columns(*wanted).where(keys_condition(columns, [key])).build()
    sql, params = session.compilation.kept(statement).render(statement.binds)
    rows = yield from session.send(Execute(sql, params, list))
    if not rows:
        raise gone(mapper, key)
    return rows[0]  # type: ignore[no-any-return]


def _drop_changes(mapper: Mapper, instance: Any, attributes: Sequence[Attribute]) -> None:
    """Give columns of a changed object the values that they were loaded with."""
    old = None if mapper.is_clean(instance) else mapper.get_old(instance)
    for attribute in attributes:
        if attribute.mutable:
            raw = attribute.peek_raw(instance)
            put(mapper, instance, attribute, None if raw is UNSET else UNSET, raw)
        elif old is not None:
            value = old[mapper.columns.index(attribute)]
            if value is UNSET:
                clear_slot(mapper, instance, attribute.slot)
            put(mapper, instance, attribute, value, UNSET)


def _settle(mapper: Mapper, instance: Any, attributes: Sequence[Attribute]) -> None:
    """Let the snapshot of an object that is still changed hold what was read."""
    old = None if mapper.is_clean(instance) else mapper.get_old(instance)
    if old is None:
        return
    values = list(old)
    for attribute in attributes:
        values[mapper.columns.index(attribute)] = None if attribute.mutable else attribute.peek(instance)
    mapper.set_old(instance, type(old)(values))


def _note_undo(work: UnitOfWork, mapper: Mapper, instance: Any, attributes: Sequence[Attribute]) -> None:
    """Have a rollback of what this transaction wrote give the object the values from before the reading."""
    if not work.undo:
        return
    before = [
        (a, a.peek(instance), a.peek_raw(instance) if a.mutable else UNSET)
        for a in attributes
        if is_loaded(instance, a)
    ]

    def undo() -> None:
        target = work.now(instance)
        for attribute, value, raw in before if target is not None else ():
            put(mapper, target, attribute, UNSET if raw is not UNSET else value, raw)

    work.undo.append(undo)


def _known(mapper: Mapper, instance: Any, relations: Sequence[Relation]) -> dict[Relation, Any]:
    """Return the objects in memory that to-one relations with a reverse side point at."""
    return {relation: relation.known(instance) for relation in relations if relation.inverse is not None}


def _show(mapper: Mapper, instance: Any, before: dict[Relation, Any]) -> dict[Relation, Any]:
    """Move an object on the loaded reverse sides from where it was to where it belongs now."""
    now = _known(mapper, instance, list(before))
    for relation, previous in before.items():
        inverse, other = relation.inverse, now[relation]
        if other is previous or inverse is None:
            continue
        inverse.forget_member(previous, instance)
        if other is None or other is UNSET:
            continue
        if inverse.many:
            inverse.note_member(other, instance)
        elif inverse.name in (other._extra_ or ()):
            inverse.show(other, instance)
    return now
