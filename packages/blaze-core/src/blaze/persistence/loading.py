"""Load relations for many objects at once: includes, lazy access, deferred columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Optional, cast

from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.errors import NotLoadedError
from blaze.persistence.stored import local_before, note, row_key
from blaze.persistence.unflushed import show_links, show_members
from blaze.plan import Execute, Plan
from blaze.query.query import Query
from blaze.query.root import root_of
from blaze.sql.builders import SelectBuilder
from blaze.sql.columns import Column
from blaze.sql.functions import func
from blaze.sql.rows import RowInList
from blaze.sql.source import Source

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.parts import Part
    from blaze.core.paths import RelationPath
    from blaze.core.relations import Relation
    from blaze.persistence.base import SessionBase
    from blaze.persistence.identity_map import IdentityMap


def load_includes(
    session: SessionBase,
    parents: Sequence[Any],
    paths: Iterable[RelationPath],
    lazy: Any,
    identity: Optional[IdentityMap] = None,
    whole: bool = False,
) -> Plan[None]:
    """Load the relations of all paths, each step once for all objects it concerns.

    `identity` is where objects are found and kept, the session's own identity map when it is not given.
    `whole` says that the parents are all rows of their table.
    """
    tree: dict[Any, Any] = {}
    for path in paths:
        node = tree
        for step in path._steps_:
            node = node.setdefault(step, {})
    if identity is None:
        identity = session.identity
    yield from _load_tree(session, parents, tree, lazy, identity, whole)


def _load_tree(
    session: SessionBase,
    parents: Sequence[Any],
    tree: dict[Any, Any],
    lazy: Any,
    identity: IdentityMap,
    whole: bool,
) -> Plan[None]:
    for relation, below in tree.items():
        yield from load_relation(session, parents, relation, lazy, identity, whole)
        if below:
            children = _related(parents, relation)
            yield from _load_tree(session, children, below, lazy, identity, whole and reaches_all(relation))


def reaches_all(relation: Relation) -> bool:
    """Whether a reverse relation of all rows of its table leads to all rows of the other one."""
    inverse = relation.inverse
    if relation.owns_key or relation.link is not None or inverse is None:
        return False
    return not inverse.nullable and relation.target.parent is None and inverse.owner is relation.target


def _related(parents: Sequence[Any], relation: Relation) -> list[Any]:
    """Return the loaded objects that a relation of any of the parents leads to, each once."""
    children = {}
    for parent in parents:
        found = relation.peek(parent)
        if found is None or found is UNSET:
            continue
        for child in found.peek() if relation.many else (found,):
            children[id(child)] = child
    return list(children.values())


def load_parts(
    session: SessionBase,
    parents: Sequence[Any],
    parts: Mapping[str, Part[Any]],
    lazy: Any,
    identity: Optional[IdentityMap] = None,
) -> Plan[None]:
    """Load parts of to-many relations, by one statement each, and show them as tuples under their names."""
    if identity is None:
        identity = session.identity
    for name, part in parts.items():
        owners = parents
        for relation in part.path._steps_[:-1]:
            yield from load_relation(session, owners, relation, lazy, identity)
            owners = _related(owners, relation)
        yield from _load_part(session, name, part, owners, lazy, identity)


def _load_part(
    session: SessionBase, name: str, part: Part[Any], owners: Sequence[Any], lazy: Any, identity: IdentityMap
) -> Plan[None]:
    relation = part.path._relation_
    mapper = relation.owner
    by_key = {row_key(owner): owner for owner in owners}
    found: dict[Any, list[Any]] = {key: [] for key in by_key}
    for keys in chunks(session, list(by_key), len(relation.local)) if part.count != 0 else ():
        query = part_query(session, part, keys)
        compiled = session.compilation.query(query)
        sql, params = compiled.render(query.binds)

        def consume(rows: Any, load: Callable[..., Any] = compiled.load) -> Any:
            return load(rows, identity, session, lazy)

        rows = yield from session.send(Execute(sql, params, consume))
        for item, *key in rows:
            found[key[0] if len(key) == 1 else tuple(key)].append(item)
    for key, owner in by_key.items():
        mapper.extra(owner)[name] = tuple(found[key])
        mapper.loosen(owner)
    below = list({id(item): item for items in found.values() for item in items}.values())
    if below and (part.below or part.parts):
        query = Query.start(session.root_of(relation.target)).include(*part.below, **part.parts)
        yield from load_clauses(session, query, below, lazy, identity)


def load_clauses(
    session: SessionBase,
    query: Query[Any],
    items: Sequence[Any],
    lazy: Any,
    identity: Optional[IdentityMap] = None,
) -> Plan[None]:
    """Load everything that a query includes for objects that it gave."""
    for kind, clause in query.clauses():
        if kind == "include":
            yield from load_includes(session, items, clause, lazy, identity)
        elif kind == "part":
            yield from load_parts(session, items, clause, lazy, identity)


def part_query(session: SessionBase, part: Part[Any], keys: Sequence[Any]) -> Query[Any]:
    """Return the query of a part: rows of an object and the key of its owner."""
    relation, target = part.path._relation_, part.path._target_
    link = relation.link
    owner: list[Column[Any]]
    if link is None:
        owner = [target.column_at(target.source, attribute) for attribute in relation.remote]
        joined = None
    else:
        pairs = tuple((key.column, column) for key, column in zip(target.pk, link.target))
        joined = Source(link.table, parent=target.source, on=pairs, many=True, name=f"{relation.name}*")
        owner = [Column(joined, column) for column in link.own]

    def chosen(query: Query[Any]) -> Query[Any]:
        if joined is not None:
            query = query.extended("join", ("inner", joined, None), ("inner", joined.key))
        return query.where(keys_condition(owner, keys), *part.conditions)

    if part.count is None:
        query: Query[Any] = chosen(Query.start(root_of((target.model, *owner))))
        return query.order_by(*part.order) if part.order else query
    session.dialect.require("window_functions", "window functions, which limit() for each owner needs")
    own = [Column(target.source, attribute.column) for attribute in target.pk]
    place = func.row_number().over(partition_by=owner, order_by=part.order or own)
    labels = [column.label(f"k{n}") for n, column in enumerate(own)]
    owners = [column.label(f"o{n}") for n, column in enumerate(owner)]
    numbered = chosen(Query.start(root_of((*labels, *owners, place.label("place"))))).alias("part")
    columns = numbered.c
    on = None
    for n, column in enumerate(own):
        same = columns[f"k{n}"] == column
        on = same if on is None else on & same
    query = Query.start(root_of((target.model, *[columns[f"o{n}"] for n in range(len(owner))])))
    return (
        query.join(cast(Any, numbered), on=on)
        .where(columns["place"] <= part.count)
        .order_by(columns["place"])
    )


def load_relation(
    session: SessionBase,
    parents: Sequence[Any],
    relation: Relation,
    lazy: Any = None,
    identity: Optional[IdentityMap] = None,
    whole: bool = False,
) -> Plan[None]:
    """Load one relation of all these objects that do not know it yet, by one statement.

    When the objects are the `whole` table, the rows that belong to them need not be named.
    """
    if identity is None:
        identity = session.identity
    if relation.owner.parent is not None:
        parents = [parent for parent in parents if isinstance(parent, relation.owner.model)]
    if relation.owns_key:
        yield from _read_keys(session, parents, relation)
        yield from _load_to_one(session, parents, relation, lazy, identity)
    elif relation.link is not None:
        yield from _load_linked(session, parents, relation, lazy, identity, whole)
    else:
        whole = whole and reaches_all(relation)
        yield from _load_reverse(session, parents, relation, lazy, identity, whole)


def _read_keys(session: SessionBase, parents: Sequence[Any], relation: Relation) -> Plan[None]:
    """Read the key of a relation for the objects that were loaded without it."""
    kinds: set[Any] = set(map(type, parents))
    if not any(issubclass(kind, kind.__mapper__.loose) for kind in kinds):
        return  # only objects of these classes can lack a value
    for attribute in relation.local:
        lacking = [o for o in parents if relation.peek(o) is UNSET and attribute.peek(o) is UNSET]
        if lacking:
            yield from load_deferred(session, lacking, attribute)


def _load_to_one(
    session: SessionBase, parents: Sequence[Any], relation: Relation, lazy: Any, identity: IdentityMap
) -> Plan[None]:
    objects = identity[relation.target.model]
    expected: Any = object if relation.target.parent is None else relation.target.model
    wanted: dict[Any, list[Any]] = {}
    peek, put, key_of = relation.peek, relation.set, relation.key_of
    for parent in parents:
        if peek(parent) is not UNSET:
            continue
        key = key_of(parent)
        if key is None:
            put(parent, None)
            continue
        known = objects.get(key)
        if known is not None:
            put(parent, known if isinstance(known, expected) else None)
        elif key in wanted:
            wanted[key].append(parent)
        else:
            wanted[key] = [parent]
    if not wanted:
        return
    cache = session.cache
    if cache is None or relation.remote != relation.target.pk:
        yield from fetch_by(session, relation, relation.remote, list(wanted), lazy, identity)
    else:
        codec = session.compilation.codecs[relation.target]
        select = partial(_select_rows, session, relation, lazy, identity)
        rows = yield from cache.read(codec, list(wanted), select)
        codec.load(rows, identity, session, lazy)
    for key, waiting in wanted.items():
        found = objects.get(key)
        for parent in waiting:
            put(parent, found)


def _select_rows(
    session: SessionBase, relation: Relation, lazy: Any, identity: IdentityMap, keys: list[Any]
) -> Plan[list[Any]]:
    """Return the rows of primary keys as the driver gives them."""
    return (
        yield from fetch_by(
            session, relation, relation.remote, keys, lazy, identity, lambda rows, *_: list(rows)
        )
    )


def _unloaded(session: SessionBase, parents: Sequence[Any], relation: Relation) -> dict[Any, Any]:
    owner_key = relation.owner.key
    changed = session.work.changed
    singles = session.work.singles
    found = {}
    for parent in parents:
        known = relation.peek(parent)
        if (
            known is UNSET
            or (relation.many and not known.is_loaded)
            or (singles and not relation.many and session.was_unread(parent, relation))
        ):
            key = row_key(parent) if changed else owner_key(parent)
            if key is not None:
                found[key] = parent
    return found


def _load_reverse(
    session: SessionBase,
    parents: Sequence[Any],
    relation: Relation,
    lazy: Any,
    identity: IdentityMap,
    whole: bool,
) -> Plan[None]:
    owners = _unloaded(session, parents, relation)
    if not owners:
        return
    inverse = relation.inverse
    assert inverse is not None
    buckets: dict[Any, list[Any]] = {key: [] for key in owners}
    load = session.compilation.codecs[relation.target].child_loader(inverse)

    def collect(rows: Any, identity: Any, session: Any, lazy: Any) -> Any:
        return load(rows, identity, session, lazy, owners, buckets)

    keys = None if whole and len(owners) == len(parents) else list(owners)
    yield from fetch_by(session, relation, relation.remote, keys, lazy, identity, collect)
    put = relation.put
    note_loaded(session, relation, owners)
    if relation.many:
        for key, owner in owners.items():
            put(owner, buckets[key])
    else:
        singles = session.work.singles
        for key, owner in owners.items():
            found = buckets[key]
            if len(found) > 1:  # changed objects stand where they point now: of these the row of one is here
                found = [o for o in found if local_before(type(o).__mapper__, o, inverse) == key] or found
            put(owner, found[0] if found else None)
            singles.pop((id(owner), relation.name), None)
    if session.work.pending:
        show_members(session.work, relation, owners)


def _load_linked(
    session: SessionBase,
    parents: Sequence[Any],
    relation: Relation,
    lazy: Any,
    identity: IdentityMap,
    whole: bool,
) -> Plan[None]:
    owners = _unloaded(session, parents, relation)
    if not owners:
        return
    load = session.compilation.codecs[relation.target].keyed_loader(relation.owner.pk)
    buckets: dict[Any, list[Any]] = {}
    found: list[Any] = [None]
    if not whole or len(owners) < len(parents):
        found = chunks(session, list(owners), len(relation.local))
    for keys in found:
        statement = _linked_statement(session, relation, keys)
        compiled = session.compilation.kept(statement)
        sql, params = compiled.render(statement.binds)
        buckets.update(
            (yield from session.send(Execute(sql, params, lambda rows: load(rows, identity, session, lazy))))
        )
    put = relation.put
    note_loaded(session, relation, owners)
    for key, owner in owners.items():
        put(owner, buckets.get(key, []))
    if session.work.collections:
        show_links(session.work, relation, owners.values())


def note_loaded(session: SessionBase, relation: Relation, owners: dict[Any, Any]) -> None:
    """After uncommitted writes: what is loaded now shows them, so a rollback unloads it again."""
    kept = _kept(session, relation.owner, owners) if session.work.undo else None
    if kept:
        session.work.undo.append(partial(_unload, relation, kept))


def _kept(session: SessionBase, mapper: Mapper, instances: dict[Any, Any]) -> list[Any]:
    """Return the objects, given by the keys of their rows, that the session keeps: not those of a stream."""
    held = session.identity[mapper.model]
    return [instance for key, instance in instances.items() if held.get(key) is instance]


def _unload(relation: Relation, owners: list[Any]) -> None:
    for owner in owners:
        relation.unload(owner)


def _linked_statement(session: SessionBase, relation: Relation, keys: Optional[list[Any]]) -> Any:
    link = relation.link
    assert link is not None
    target = relation.target
    middle = Source(link.table, name="link")
    source = Source(
        target.table,
        parent=middle,
        on=tuple((column, key.column) for column, key in zip(link.target, target.pk)),
        name="target",
        only=target.source.only,
    )
    codec = session.compilation.codecs[target]
    own = [Column(middle, column) for column in link.own]
    builder = SelectBuilder(middle).columns(*[target.column_at(source, a) for a in codec.attributes], *own)
    builder.join(source)
    return (builder if keys is None else builder.where(keys_condition(own, keys))).build()


def keys_condition(columns: Sequence[Column[Any]], keys: Sequence[Any]) -> Any:
    """Return the condition that the columns hold one of the keys."""
    return columns[0].in_(keys) if len(columns) == 1 else RowInList(columns, keys)


def chunks(session: SessionBase, keys: list[Any], width: int) -> list[list[Any]]:
    """Cut keys into lists that one statement can take; where a list is one parameter, that is all of them."""
    features = session.dialect.features
    if features.array_param != "expand":
        return [keys] if keys else []
    size = max(features.max_bind_params // width, 1)
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def decoded_keys(session: SessionBase, mapper: Mapper, rows: Iterable[Any]) -> Iterator[Any]:
    """Yield the keys that rows begin with, as the identity map has them."""
    decode = session.compilation.codecs[mapper].decode
    if len(mapper.pk) == 1:
        (only,) = mapper.pk
        return (decode(only, row[0]) for row in rows)
    return (tuple([decode(a, value) for a, value in zip(mapper.pk, row)]) for row in rows)


def read_rows(
    session: SessionBase, mapper: Mapper, attributes: Sequence[Attribute], keys: list[Any]
) -> Plan[dict[Any, Any]]:
    """Return the rows of these keys that are there: key columns, then the attributes."""
    pk = [Column(mapper.source, a.column) for a in mapper.pk]
    outputs = [*pk, *[mapper.column_at(mapper.source, a) for a in attributes]]
    found: dict[Any, Any] = {}
    for chunk in chunks(session, keys, len(pk)):
        statement = SelectBuilder(mapper.source).columns(*outputs).where(keys_condition(pk, chunk)).build()
        sql, params = session.compilation.kept(statement).render(statement.binds)
        rows = yield from session.send(Execute(sql, params, list))
        found.update(zip(decoded_keys(session, mapper, rows), rows))
    return found


def fetch_by(
    session: SessionBase,
    relation: Relation,
    attributes: Sequence[Attribute],
    keys: Optional[list[Any]],
    lazy: Any,
    identity: IdentityMap,
    collect: Any = None,
) -> Plan[list[Any]]:
    """Return the target objects whose attributes hold one of the keys, or all; `collect` may replace the
    loader.
    """
    target = relation.target
    columns = [target.column_at(target.source, attribute) for attribute in attributes]
    found: list[Any] = []
    parts: Sequence[Any] = (None,) if keys is None else chunks(session, keys, len(columns))
    for part in parts:
        query: Query[Any] = Query.start(session.root_of(target))
        if part is not None:
            query = query.where(keys_condition(columns, part))
        compiled = session.compilation.query(query)
        sql, params = compiled.render(query.binds)

        def consume(rows: Any, load: Callable[..., Any] = collect or compiled.load) -> Any:
            return load(rows, identity, session, lazy)

        found += yield from session.send(Execute(sql, params, consume))
    return found


def load_deferred(session: SessionBase, instances: Sequence[Any], attribute: Attribute) -> Plan[None]:
    """Read one column that was left out, for all these objects at once."""
    mapper = attribute.owner
    instances = [instance for instance in instances if isinstance(instance, mapper.model)]
    by_key = {row_key(instance): instance for instance in instances}
    codec = session.compilation.codecs[mapper]
    columns = [Column(mapper.source, a.column) for a in mapper.pk]
    for keys in chunks(session, list(by_key), len(columns)):
        builder = SelectBuilder(mapper.source).columns(*columns, mapper.column_at(mapper.source, attribute))
        statement = builder.where(keys_condition(columns, keys)).build()
        sql, params = session.compilation.kept(statement).render(statement.binds)
        rows = yield from session.send(Execute(sql, params, list))
        for row in rows:
            parts = tuple(codec.decode(a, value) for a, value in zip(mapper.pk, row))
            instance = by_key[parts[0] if len(parts) == 1 else parts]
            if attribute.peek(instance) is not UNSET:
                continue
            if attribute.mutable and row[-1] is not None:
                attribute.raw_set(instance, row[-1])
            else:
                note(type(instance).__mapper__, instance, {attribute: codec.decode(attribute, row[-1])})
    kept = _kept(session, mapper, by_key) if session.work.undo else None
    if kept:  # a rollback unloads what was read after writes that are not committed
        session.work.undo.append(partial(unload_deferred, attribute, kept))
    for instance in instances:
        if attribute.peek(instance) is UNSET and not (
            attribute.mutable and attribute.peek_raw(instance) is not UNSET
        ):
            raise NotLoadedError(f"{mapper.name}.{attribute.name} cannot be loaded: the row is gone")


def unload_deferred(attribute: Attribute, instances: Sequence[Any]) -> None:
    """Take a column off unchanged objects that was read after writes which are rolled back, and what was
    loaded by it.
    """
    for instance in instances:
        mapper = type(instance).__mapper__
        if mapper.is_clean(instance):
            clear_slot(mapper, instance, attribute.slot)
            if attribute.raw_slot is not None:
                clear_slot(mapper, instance, attribute.raw_slot)
            for relation in attribute.keys_of:
                clear_slot(mapper, instance, relation.slot)
