"""Plans of bulk operations: many rows in few statements, past hooks and tracking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.specs import UNSET
from blaze.core.validation import explain
from blaze.errors import CapabilityError, DataError, ModelError, QueryError, SessionError
from blaze.persistence.loading import chunks, keys_condition
from blaze.persistence.unit_of_work import write_values
from blaze.plan import Execute, ExecuteMany, Plan
from blaze.sql.builders import DeleteBuilder, InsertBuilder, SelectBuilder
from blaze.sql.columns import Column
from blaze.sql.functions import excluded

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase

Progress = Optional[Callable[[int], Any]]

# Objects taken from an iterable at once: bounds the memory of a bulk operation over a generator.
BATCH = 5_000
ROWS = 500


class BulkResult(int):
    """The number of rows of a bulk operation; `keys` holds their keys where `return_keys=True` asked for
    them.
    """

    keys: Optional[list[Any]]

    def __new__(cls, count: int, keys: Optional[list[Any]] = None) -> BulkResult:
        made = super().__new__(cls, count)
        made.keys = keys
        return made


class UpsertResult:
    """The keys of the rows that an upsert inserted and updated."""

    def __init__(self, inserted: list[Any], updated: list[Any]) -> None:
        self.inserted = inserted
        self.updated = updated

    def __repr__(self) -> str:
        return f"<upsert: {len(self.inserted)} inserted, {len(self.updated)} updated>"


def batches(objects: Iterable[Any]) -> Iterator[list[Any]]:
    """Cut an iterable into lists."""
    iterator = iter(objects)
    while True:
        batch = list(islice(iterator, BATCH))
        if not batch:
            return
        yield batch


def by_model(session: SessionBase, objects: Sequence[Any]) -> dict[Mapper, list[Any]]:
    """Group objects by mapper, in the order of their tables' first appearance."""
    found: dict[Mapper, list[Any]] = {}
    mapper: Any = None
    kind: Any = None
    for instance in objects:
        if type(instance) is not kind:
            kind = type(instance)
            mapper = getattr(kind, "__mapper__", None)
            if mapper is None:
                raise ModelError(f"bulk operations take instances of models, not {kind.__name__}")
            session.mapper_of(mapper.model)
        found.setdefault(mapper, []).append(instance)
    return found


def bulk_insert(
    session: SessionBase, objects: Iterable[Any], progress: Progress, return_keys: bool
) -> Plan[BulkResult]:
    """Insert objects in batches; with `return_keys` the generated keys come back and are set on them."""
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    total = 0
    keys: Optional[list[Any]] = [] if return_keys else None
    for batch in batches(objects):
        for mapper, instances in by_model(session, batch).items():
            yield from _insert(session, mapper, instances, return_keys)
        if keys is not None:
            keys += [type(instance).__mapper__.key(instance) for instance in batch]
        total += len(batch)
        if progress is not None:
            progress(total)
    return BulkResult(total, keys)


def send(session: SessionBase, command: Any, instances: Sequence[Any]) -> Plan[Any]:
    """Send a statement made of instances; when a value does not fit, raise `ValidationError` naming its
    field.
    """
    try:
        return (yield from session.send(command))
    except DataError:
        explain(instances)
        raise


def _insert(session: SessionBase, mapper: Mapper, instances: list[Any], return_keys: bool) -> Plan[None]:
    codec = session.compilation.codecs[mapper]
    for relation in mapper.relations.values():
        if relation.owns_key:
            for instance in instances:
                related = relation.peek(instance)
                if related is not None and related is not UNSET:
                    relation.take_key(instance, related)
    if mapper.version is not None:
        for instance in instances:
            if mapper.version.peek(instance) in (None, UNSET):
                mapper.version.set(instance, 1)
    optional = [a for a in mapper.columns if a.server_generated]
    groups: dict[Any, list[Any]] = {}
    for instance in instances:
        missing = tuple(a for a in optional if a.peek(instance) in (None, UNSET)) if optional else ()
        groups.setdefault(missing, []).append(instance)
    for missing, group in groups.items():
        attributes = tuple(a for a in mapper.columns if a not in missing)
        if not return_keys or mapper.identity not in missing:
            rows = codec.taker(attributes, False)(group)
            yield from send(session, ExecuteMany(codec.insert_sql(attributes, (), 1), rows), group)
            continue
        if not session.dialect.features.returning:
            raise CapabilityError(
                f"{session.dialect.name} cannot return the keys of a bulk insert; use add_all()"
            )
        assert mapper.identity is not None
        take = codec.taker(attributes, True)
        width = len(attributes)  # a row of nothing but defaults needs a statement of its own
        size = max(min(ROWS, session.dialect.features.max_bind_params // width), 1) if width else 1
        for start in range(0, len(group), size):
            chunk = group[start : start + size]
            sql = codec.insert_sql(attributes, (mapper.identity,), len(chunk))
            rows = yield from send(session, Execute(sql, take(chunk), list, True), chunk)
            for instance, row in zip(chunk, sorted(rows)):
                mapper.identity.set(instance, row[0])


def bulk_update(session: SessionBase, objects: Iterable[Any], fields: Optional[Sequence[Any]]) -> Plan[int]:
    """Update objects by key: the named fields, or every column that is not part of the key.

    Changed objects of the session are not flushed before: what is written here counts as flushed afterwards.
    """
    total = 0
    work = session.work
    for batch in batches(objects):
        own = {id(o): o for o in batch if id(o) in work.changed} if work.changed else {}
        for identity in own:
            del work.changed[identity]
        try:
            if work.pending and session.autoflush:
                yield from session.flush_plan()
            for mapper, instances in by_model(session, batch).items():
                attributes = bulk_attributes(mapper, fields)
                total += yield from _update(session, mapper, instances, attributes)
                settle(session, mapper, instances, attributes, own)
        finally:
            work.changed.update(own)
    return total


def _update(
    session: SessionBase, mapper: Mapper, instances: list[Any], attributes: tuple[Attribute, ...]
) -> Plan[int]:
    codec = session.compilation.codecs[mapper]
    for attribute in mapper.pk:
        peek = attribute.peek
        if any(peek(instance) is None for instance in instances):
            raise SessionError(f"bulk_update() of a {mapper.name} without key; insert it first")
    rows = codec.taker((*attributes, *mapper.pk), False)(instances)
    count: int = yield from send(session, ExecuteMany(codec.update_sql(attributes, False), rows), instances)
    return max(count, 0)


def settle(
    session: SessionBase,
    mapper: Mapper,
    instances: list[Any],
    attributes: tuple[Attribute, ...],
    changed: dict[int, Any],
) -> None:
    """Make memory agree with a bulk update: written changes are not pending any more, others evicted."""
    work, codec = session.work, session.compilation.codecs[mapper]
    held = session.identity[mapper.model]
    get_key = mapper.pk[0].get if len(mapper.pk) == 1 else mapper.key
    written = [(index, a) for index, a in enumerate(mapper.columns) if a in attributes and not a.mutable]
    mutable = [a for a in attributes if a.mutable]
    positions = {index for index, _ in written}
    olds = []
    for instance in instances:
        key = get_key(instance)
        known = held.get(key)
        if known is not instance:
            if known is not None and mapper.is_clean(known):
                del held[key]
            continue
        for attribute in mutable:
            value = attribute.peek(instance)
            if value is not UNSET and value is not None:
                attribute.raw_set(instance, codec.encode(attribute, value))
        old = mapper.get_old(instance) if id(instance) in changed else None
        if old is None:
            continue
        olds.append((instance, old))
        if positions.issuperset(codec.diff(instance, old)):
            mapper.settle(instance, old)
            del changed[id(instance)]
            continue
        now = list(old)
        for index, attribute in written:
            now[index] = attribute.get(instance)
        mapper.set_old(instance, old.__class__(now))
    if olds:
        work.undo.append(partial(undo_settled, mapper, olds))


def undo_settled(mapper: Mapper, olds: list[tuple[Any, tuple[Any, ...]]]) -> None:
    """Give objects the values from before a bulk update."""
    for instance, old in olds:
        write_values(mapper, instance, old, {})


def bulk_attributes(mapper: Mapper, fields: Optional[Sequence[Any]]) -> tuple[Any, ...]:
    """Return the attributes that a bulk operation writes; raise `QueryError` for key columns and unknown
    names.
    """
    if fields is None:
        return tuple(a for a in mapper.columns if a not in mapper.pk and a.spec.generated is None)
    found: list[Any] = []
    for field in fields:
        if isinstance(field, Column):
            if field.column.table is not mapper.table:
                raise QueryError(f"{field.describe()} is no column of {mapper.name}")
            field = field.column.attribute
        name = field if isinstance(field, str) else getattr(field, "_names_", (field,))[-1]
        attribute, relation = mapper.resolve(name)
        if attribute is None:
            assert relation is not None
            if not relation.owns_key:
                raise QueryError(f"{mapper.name}.{name} has no column in this table")
            found.extend(relation.local)
            continue
        if attribute in mapper.pk:
            raise QueryError(f"{mapper.name}.{name} is part of the key and cannot be updated in bulk")
        found.append(attribute)
    return tuple(found)


def bulk_delete(session: SessionBase, model: Any, keys: Iterable[Any]) -> Plan[int]:
    """Delete rows by key."""
    mapper = session.mapper_of(model)
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    wanted = [session.checked_key(mapper, key, {}) for key in keys]
    columns = [Column(mapper.source, a.column) for a in mapper.pk]
    total = 0
    for chunk in chunks(session, wanted, len(columns)):
        statement = DeleteBuilder(mapper.source).where(keys_condition(columns, chunk)).build()
        sql, params = session.compilation.kept(statement).render(statement.binds)
        outcome = yield from session.send(Execute(sql, params, None, True))
        total += max(outcome.rowcount, 0)
    held = session.identity[mapper.model]
    for key in wanted:
        held.pop(key, None)
    return total


def upsert(
    session: SessionBase, objects: Iterable[Any], conflict: Sequence[Any], update: Optional[Sequence[Any]]
) -> Plan[UpsertResult]:
    """Insert objects, or update the rows that hold the same values in the `conflict` columns."""
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    session.dialect.require("on_conflict", "ON CONFLICT")
    result = UpsertResult([], [])
    for batch in batches(objects):
        for mapper, instances in by_model(session, batch).items():
            # Objects with and without a generated key fill different columns.
            keyed = [o for o in instances if mapper.key(o) is not None]
            keyless = [o for o in instances if mapper.key(o) is None]
            for group in filter(None, (keyed, keyless)):
                yield from _upsert(session, mapper, group, conflict, update, result)
    return result


def _upsert(
    session: SessionBase,
    mapper: Mapper,
    instances: list[Any],
    conflict: Sequence[Any],
    update: Optional[Sequence[Any]],
    result: UpsertResult,
) -> Plan[None]:
    codec = session.compilation.codecs[mapper]
    target = conflict_attributes(mapper, conflict)
    for relation in mapper.relations.values():
        if relation.owns_key:
            for instance in instances:
                related = relation.peek(instance)
                if related is not None and related is not UNSET:
                    relation.take_key(instance, related)
    # NULL conflicts with nothing: such rows are simply new.
    fresh = [o for o in instances if any(a.peek(o) in (None, UNSET) for a in target)]
    if fresh:
        yield from _insert(session, mapper, fresh, True)
        result.inserted += [mapper.key(o) for o in fresh]
        known_ids = {id(o) for o in fresh}
        instances = [o for o in instances if id(o) not in known_ids]
        if not instances:
            return
    # A generated key that the objects do not have yet is left to the database.
    without_key = mapper.identity is not None and mapper.key(instances[0]) is None
    attributes = tuple(
        a
        for a in mapper.columns
        if not (without_key and a is mapper.identity)
        and not (a.server_generated and all(a.peek(o) is UNSET for o in instances))
    )
    changed = (
        tuple(a for a in attributes if a not in target and a not in mapper.pk)
        if update is None
        else bulk_attributes(mapper, update)
    )
    columns = [Column(mapper.source, a.column) for a in target]
    wanted = [tuple(a.peek(o) for a in target) for o in instances]
    if len(set(wanted)) < len(wanted):
        raise QueryError(
            f"upsert() got two {mapper.name} objects with the same conflict values; merge them first"
        )
    keys = wanted if len(target) > 1 else [key[0] for key in wanted]
    pk = [Column(mapper.source, a.column) for a in mapper.pk]
    before = yield from _existing(session, mapper, columns, keys, pk)
    take = codec.taker(attributes, True)
    assignments = {a.column: excluded(Column(mapper.source, a.column)) for a in changed}
    size = max(min(ROWS, session.dialect.features.max_bind_params // len(attributes)), 1)
    for start in range(0, len(instances), size):
        chunk = instances[start : start + size]
        builder = InsertBuilder(mapper.table, [a.column for a in attributes], len(chunk))
        builder.plain([None] * (len(chunk) * len(attributes)))
        builder.on_conflict([a.column for a in target], assignments or None)
        sql = session.compilation.statement(builder.build()).sql
        yield from session.send(Execute(sql, take(chunk), None, True))
    after = yield from _existing(session, mapper, columns, keys, pk)
    held = session.identity[mapper.model]
    for instance, key in zip(instances, keys):
        row_key = after[key]
        if key not in before:
            result.inserted.append(row_key)
        elif assignments:
            result.updated.append(row_key)
        if without_key:
            assert mapper.identity is not None
            mapper.identity.set(instance, row_key)
        known = held.get(row_key)
        if known is not None and known is not instance and mapper.is_clean(known):
            del held[row_key]


def conflict_attributes(mapper: Mapper, conflict: Sequence[Any]) -> tuple[Any, ...]:
    """Return the attributes of a unique key; raise `QueryError` when the columns are not unique together."""
    names: list[str] = []
    for item in conflict:
        if isinstance(item, Column):
            names.append(item.column.attribute)
            continue
        name = item if isinstance(item, str) else getattr(item, "_names_", (item,))[-1]
        attribute, relation = mapper.resolve(name)
        names += [name] if attribute is not None else [a.name for a in relation.local]
    if not any(set(names) == set(unique) for unique in mapper.unique_sets()):
        raise QueryError(f"upsert(conflict={names}): these columns of {mapper.name} are not unique together")
    return tuple(mapper.attributes[name] for name in names)


def _existing(
    session: SessionBase, mapper: Mapper, columns: list[Any], keys: list[Any], pk: list[Any]
) -> Plan[dict[Any, Any]]:
    """Return the primary keys of existing rows by their conflict values."""
    codec = session.compilation.codecs[mapper]
    attributes = [*(mapper.attributes[c.column.attribute] for c in columns), *mapper.pk]
    found: dict[Any, Any] = {}
    for chunk in chunks(session, keys, len(columns)):
        statement = (
            SelectBuilder(mapper.source).columns(*columns, *pk).where(keys_condition(columns, chunk)).build()
        )
        sql, params = session.compilation.kept(statement).render(statement.binds)
        rows = yield from session.send(Execute(sql, params, list))
        for row in rows:
            values = [codec.decode(attribute, value) for attribute, value in zip(attributes, row)]
            key, row_key = tuple(values[: len(columns)]), tuple(values[len(columns) :])
            found[key[0] if len(key) == 1 else key] = row_key[0] if len(row_key) == 1 else row_key
    return found
