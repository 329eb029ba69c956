"""Plans of single objects: get, get or create, and loading on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.detached import DETACHED
from blaze.core.specs import UNSET
from blaze.errors import ModelError, NoResultError, QueryError, UniqueError
from blaze.persistence.keys import checked_key
from blaze.persistence.loading import load_deferred, load_includes, load_relation
from blaze.persistence.querying import one_or_none
from blaze.plan import Execute, Plan
from blaze.query.lookups import resolve_path
from blaze.query.query import Query

if TYPE_CHECKING:
    from blaze.core.codec import ModelCodec
    from blaze.core.relations import Relation
    from blaze.persistence.base import SessionBase


def get_plan(
    session: SessionBase, model: Any, key: Any, keys: dict[str, Any], watched: bool = True
) -> Plan[Any]:
    """Return the object of a key: from the identity map, or from the database.

    `watched` says that a loop of these is worth a warning.
    """
    mapper = session.mapper_of(model)
    model = mapper.model  # not the class of tracked instances, which `type(instance)` gives
    key = checked_key(mapper, key, keys)
    found = session.identity[model].get(key)
    if found is not None:
        return None if id(found) in session.work.deleted or not isinstance(found, model) else found
    if session.work.pending and session.autoflush:
        yield from session.flush_plan(False)
        found = session.identity[model].get(key)
        if found is not None:
            return found if isinstance(found, model) else None
    codec = session.compilation.codecs[mapper]
    sql, params = codec.get()
    before = session.known_before()
    load, identity = codec.load, session.identity
    if session.cache is None:
        rows = yield from session.send(
            Execute(sql, params(key), lambda rows: load(rows, identity, session, None))
        )
        if watched:
            session.tracker.lookup(sql, model)
    else:
        look = partial(look_up if watched else select_row, session, codec)
        found = yield from session.cache.read(codec, [key], look)
        rows = load(found, identity, session, None)
    if before is not None:
        yield from session.loaded_since(before)
    return rows[0] if rows else None


def look_up(session: SessionBase, codec: ModelCodec, keys: Sequence[Any]) -> Plan[list[Any]]:
    """Return the row of a key that was not in the cache."""
    rows = yield from select_row(session, codec, keys)
    session.tracker.lookup(codec.get()[0], codec.mapper.model)
    return rows


def select_row(session: SessionBase, codec: ModelCodec, keys: Sequence[Any]) -> Plan[list[Any]]:
    """Return the row of a key as the driver gives it, in a list."""
    sql, params = codec.get()
    rows: list[Any] = yield from session.send(Execute(sql, params(keys[0]), list))
    return rows


def get_one_plan(session: SessionBase, model: Any, key: Any, keys: dict[str, Any]) -> Plan[Any]:
    """Return the object of a key, or raise `NoResultError`."""
    found = yield from get_plan(session, model, key, keys)
    if found is None:
        mapper = session.mapper_of(model)
        shown = mapper.shown_key(checked_key(mapper, key, keys))
        raise NoResultError(f"there is no {model.__name__} with the key {shown}")
    return found


def listed(what: str, instances: Any) -> Iterable[Any]:
    """Return what a method for many objects was given; raise `ModelError` for anything but several."""
    if not isinstance(instances, Iterable):
        raise ModelError(f"{what}() takes a list of objects, not {type(instances).__name__}; add() takes one")
    return instances


def get_or_create_plan(
    session: SessionBase, model: Any, defaults: Optional[dict[str, Any]], keys: dict[str, Any]
) -> Plan[Any]:
    """Return the object with these values, creating it when there is none, and whether it was created."""
    mapper = session.mapper_of(model)
    if defaults is not None and not isinstance(defaults, Mapping):
        raise QueryError(
            f"get_or_create(defaults=...) takes a dict of fields and values, not {type(defaults).__name__}"
        )
    query: Query[Any] = Query.start(session.root_of(mapper)).filter(**keys)
    if mapper.model.__init__ is mapper.initialize:  # a constructor of the model's own may take other names
        for name in defaults or ():
            mapper.resolve(name)  # refuses an unknown one even where the row is there
    found = yield from one_or_none(session, query, watched=False)  # a loop of these writes
    if found is not None:
        return found, False
    made = {name: value() if callable(value) else value for name, value in (defaults or {}).items()}
    instance = mapper.model(**{**keys, **made})
    session.register(instance)
    try:
        yield from session.flush_plan()
    except BaseException as error:
        if instance in session:
            session.expunge(instance)
        if not isinstance(error, UniqueError):
            raise
        found = yield from one_or_none(session, query, watched=False)  # somebody else may have been faster
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
    mappers: dict[Any, Any] = {getattr(type(each), "__mapper__", None): each for each in objects}
    for found, each in mappers.items():
        if found is None or found.base is not mapper.base:
            raise QueryError(
                f"cannot load for a {type(each).__name__} beside a {mapper.name}: give objects of one model"
            )
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    relations = []
    for path in paths:
        if isinstance(path, str):
            path = resolve_path(mapper, path.replace(".", "__").split("__"))
        column = getattr(path, "column", None)
        steps = getattr(path, "_steps_", ())
        if steps and any(m.relations.get(steps[0].name) is steps[0] for m in mappers):
            relations.append(path)
        elif column is not None and not steps:
            attribute = mapper.attribute_of(column)
            missing = [o for o in objects if attribute.peek(o) is UNSET]
            if missing:
                yield from load_deferred(session, missing, attribute)
        else:
            raise QueryError(f"cannot load {path!r}: give relations or columns of {mapper.name}")
    before = session.known_before()
    alone = objects[0] if len(objects) == 1 else None
    awaited = [path for path in relations if alone is not None and not is_loaded(path._steps_[0], alone)]
    yield from load_includes(session, objects, relations, None)
    for path in awaited:
        step = path._steps_[0]
        session.tracker.lookup(f"load {step.owner.name}.{step.name}", step.owner.model, step.name)
    if before is not None:
        yield from session.loaded_since(before)


def is_loaded(relation: Relation, instance: Any) -> bool:
    """Whether reading a relation of an object needs no statement."""
    found = relation.known(instance)
    if found is UNSET:
        return relation.owns_key and relation.key_of(instance) is None
    return found is None or not relation.many or found.is_loaded


def lazy_plan(session: SessionBase, instance: Any, relation: Relation, flush: bool) -> Plan[None]:
    """Load a relation for all objects of the result that an object came from, after a `flush`."""
    if session.work.pending and flush and not relation.owner.is_new(instance):
        yield from session.flush_plan()
        if instance not in session:  # the flush has deleted it
            if relation.owns_key:
                DETACHED.load_lazily(instance, relation)
            relation.put(instance, [] if relation.many else None)
            return
    context = instance._ctx_
    siblings = [
        o
        for o in context.members
        if getattr(o, "_ctx_", None) is context and isinstance(o, relation.owner.model)
    ]
    if not any(o is instance for o in siblings):
        siblings.append(instance)
    before = session.known_before()
    yield from load_relation(session, siblings, relation, context.lazy)
    owner = relation.owner
    session.tracker.lookup(f"{owner.name}.{relation.name}", owner.model, relation.name)
    if before is not None:
        yield from session.loaded_since(before)
