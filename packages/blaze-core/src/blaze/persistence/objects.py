"""Plans of single objects: get, refresh, merge, get or create, and loading on demand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.specs import UNSET
from blaze.errors import ModelError, NoResultError, QueryError, SessionError, StaleDataError, UniqueError
from blaze.persistence.loading import load_deferred, load_includes, load_relation
from blaze.persistence.querying import one_or_none
from blaze.persistence.unit_of_work import restore_loaded
from blaze.plan import Execute, Plan
from blaze.query.lookups import resolve_path
from blaze.query.query import Query

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.persistence.base import SessionBase


def get_plan(session: SessionBase, model: Any, key: Any, keys: dict[str, Any]) -> Plan[Any]:
    """Return the object of a key: from the identity map, or from the database."""
    mapper = session.mapper_of(model)
    model = mapper.model  # not the class of tracked instances, which `type(instance)` gives
    key = session.checked_key(mapper, key, keys)
    found = session.identity[model].get(key)
    if found is not None:
        return None if id(found) in session.work.deleted else found
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
        found = session.identity[model].get(key)
        if found is not None:
            return found
    codec = session.compilation.codecs[mapper]
    sql, params = codec.get()
    load, identity, lazy = codec.load, session.identity, session.lazy_of(mapper)
    rows = yield from session.send(
        Execute(sql, params(key), lambda rows: load(rows, identity, session, lazy))
    )
    session.tracker.lookup(sql, model)
    if rows and session.hooks.for_model(mapper.model).on_load:
        yield from session.loaded(rows)
    return rows[0] if rows else None


def get_one_plan(session: SessionBase, model: Any, key: Any, keys: dict[str, Any]) -> Plan[Any]:
    """Return the object of a key, or raise `NoResultError`."""
    found = yield from get_plan(session, model, key, keys)
    if found is None:
        shown = keys or key
        raise NoResultError(f"there is no {model.__name__} with the key {shown!r}")
    return found


def refresh_plan(session: SessionBase, instance: Any) -> Plan[None]:
    """Load all columns again, dropping local changes and loaded relations."""
    session.check_usable()
    mapper = session.held(instance)
    if mapper.is_new(instance):
        raise SessionError(f"this {mapper.name} is not in the database yet; flush() first")
    if not mapper.is_clean(instance):
        restore_loaded(instance)
    work = session.work
    work.changed.pop(id(instance), None)
    work.deleted.pop(id(instance), None)
    work.mutables.pop(id(instance), None)
    for changed_list in list(work.collections.values()):
        if changed_list.owner is instance:
            changed_list.take_back()
            del work.collections[id(changed_list)]
    if work.pending and session.autoflush:
        yield from session.flush_plan()
    key = mapper.key(instance)
    codec = session.compilation.codecs[mapper]
    sql, params = codec.get()
    rows = yield from session.send(Execute(sql, params(key), list))
    if not rows:
        raise NoResultError(f"the row of this {mapper.name} (key {key!r}) is gone")
    if work.undo:
        raws = {mapper.columns[i]: mapper.columns[i].peek_raw(instance) for i in mapper.mutable_indexes}
        work.undo.append(work.undo_update(mapper, instance, mapper.snapshot(instance), raws))
    codec.overwrite(instance, rows[0])


def merge_plan(session: SessionBase, instance: Any) -> Plan[Any]:
    """Copy the state of an object into the session's own object of the same key, and return that."""
    if getattr(type(instance), "__mapper__", None) is None:
        raise ModelError(f"cannot merge {type(instance).__name__}: it is not an instance of a model")
    mapper = session.mapper_of(type(instance).__mapper__.model)
    key = mapper.key(instance)
    target = None
    if key is not None:
        target = yield from get_plan(session, mapper.model, key, {})
    if target is instance:
        return instance
    version = mapper.version
    if target is not None and version is not None:
        mine, theirs = version.peek(instance), version.peek(target)
        if mine not in (None, UNSET, theirs):
            raise StaleDataError(
                f"merge() of a {mapper.name} (key {key!r}) with version {mine}: the row has version "
                f"{theirs}; load it again and apply the change to that"
            )
    if target is None:
        target = object.__new__(mapper.model)
        target._ctx_ = target._old_ = target._extra_ = None
        copy_values(mapper, instance, target)
        session.register(target)
    else:
        copy_values(mapper, instance, target)
    return target


def copy_values(mapper: Mapper, source: Any, target: Any) -> None:
    """Copy every loaded column from one object to another."""
    fresh = mapper.is_new(target)
    for name, value in source.to_dict().items():
        attribute = mapper.attributes[name]
        if attribute in mapper.pk and not fresh:
            continue
        if attribute.mutable:
            value = deepcopy(value)  # the two objects must not change together
        if fresh or attribute.peek(target) is UNSET or getattr(target, name) != value:
            setattr(target, name, value)
    for relation in mapper.key_relations:
        related = relation.peek(source)
        if related is None or related is UNSET or related._ctx_ is None:
            continue
        if related._ctx_.session is getattr(target._ctx_, "session", None):
            setattr(target, relation.name, related)


def get_or_create_plan(
    session: SessionBase, model: Any, defaults: Optional[dict[str, Any]], keys: dict[str, Any]
) -> Plan[Any]:
    """Return the object with these values, creating it when there is none, and whether it was created."""
    mapper = session.mapper_of(model)
    query: Query[Any] = Query.start(session.root_of(mapper)).filter(**keys)
    found = yield from one_or_none(session, query)
    if found is not None:
        return found, False
    instance = mapper.model(**{**keys, **(defaults or {})})
    session.register(instance)
    try:
        yield from session.flush_plan()
    except UniqueError:
        session.expunge(instance)
        found = yield from one_or_none(session, query)  # somebody else may have been faster
        if found is None:
            raise
        return found, False
    return instance, True


def load_plan(session: SessionBase, instances: Any, paths: Sequence[Any]) -> Plan[None]:
    """Load relations and deferred columns of one object, or of many objects of one model."""
    session.check_usable()
    many = isinstance(instances, Iterable) and not hasattr(type(instances), "__mapper__")
    objects = list(instances) if many else [instances]
    if not objects:
        return
    mapper = session.held(objects[0])
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    relations = []
    for path in paths:
        if isinstance(path, str):
            path = resolve_path(mapper, path.replace(".", "__").split("__"))
        column = getattr(path, "column", None)
        if hasattr(path, "_steps_"):
            relations.append(path)
        elif column is not None and column.attribute in mapper.attributes:
            attribute = mapper.attributes[column.attribute]
            missing = [o for o in objects if attribute.peek(o) is UNSET]
            if missing:
                yield from load_deferred(session, missing, attribute)
        else:
            raise QueryError(f"cannot load {path!r}: give relations or columns of {mapper.name}")
    yield from load_includes(session, objects, relations, session.lazy_of(mapper))


def lazy_plan(session: SessionBase, instance: Any, relation: Relation) -> Plan[None]:
    """Load a relation for all objects of the result that an object came from."""
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    context = instance._ctx_
    siblings = [
        o
        for o in context.members
        if getattr(o, "_ctx_", None) is context and type(o).__mapper__ is relation.owner
    ]
    if not any(o is instance for o in siblings):
        siblings.append(instance)
    yield from load_relation(session, siblings, relation, context.lazy)
    owner = relation.owner
    session.tracker.lookup(f"{owner.name}.{relation.name}", owner.model, relation.name)
