"""Plans of bulk operations: many rows in few statements, past hooks and tracking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from blaze.core.instances import set_class
from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.core.validation import explain, refuse_disagreement
from blaze.errors import DataError, ModelError, QueryError, SessionError, UniqueError
from blaze.persistence import following
from blaze.persistence.batches import write_rows
from blaze.persistence.bulk_pending import left_to_insert
from blaze.persistence.inserts import given_first, rows_at_once
from blaze.persistence.keys import check_keys
from blaze.persistence.stored import text_before
from blaze.persistence.transaction import PROGRESS
from blaze.persistence.unit_of_work import write_values
from blaze.persistence.updates import stale
from blaze.persistence.writing import writing
from blaze.plan import Call, Execute, ExecuteMany, Plan, Release, RollbackTo, Savepoint
from blaze.sql.columns import Column
from blaze.utils.awaitables import is_awaitable

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase
    from blaze.persistence.unit_of_work import UnitOfWork
    from blaze.sql.keyed import Keyed

T = TypeVar("T")

# Is told how many objects are done, and how many there are (None for an iterable without a length).
Progress = Optional[Callable[[int, Optional[int]], Any]]

# A changed object's snapshot (empty for an unchanged one) and undecoded values from before a bulk update.
Before = tuple[Any, tuple[Any, ...], dict["Attribute", Any]]

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


# --- what all of them share ---------------------------------------------------------------------------


def whole(session: SessionBase, plan: Plan[T]) -> Plan[T]:
    """Run a bulk operation; when it fails nothing of it stays, neither rows nor what it put on objects."""
    transactions, work = session.transactions, session.work
    session.check_usable()
    begun, wrote = transactions.begun, transactions.wrote
    features = session.dialect.features
    guarded, joined = begun and features.savepoints, features.joined_savepoints
    if guarded:
        yield Savepoint("blaze_bulk", joined)
    mark = len(work.undo)
    try:
        result = yield from plan
    except BaseException as error:
        transactions.wrote = wrote
        work.undo_to(mark)
        yield from transactions.take_back(begun, error, "blaze_bulk")
        raise
    if guarded:
        yield Release("blaze_bulk", joined)
    return result


def tell(session: SessionBase, progress: Progress, done: int, total: Optional[int]) -> Plan[None]:
    """Tell the progress; an asynchronous session awaits an `async def` callback.

    The operation is one unit: the callback can neither commit nor roll back.
    """
    if progress is not None:
        transactions = session.transactions
        before, transactions.telling = transactions.telling, PROGRESS
        try:
            result = progress(done, total)
            if result is not None and is_awaitable(result):
                yield Call(result)
        finally:
            transactions.telling = before


def size_of(objects: Iterable[Any]) -> Optional[int]:
    """Return how many objects there are, None when only reading them would tell."""
    return len(objects) if isinstance(objects, Sized) else None


def batches(objects: Iterable[Any]) -> Iterator[list[Any]]:
    """Cut an iterable into lists."""
    if isinstance(objects, (str, bytes)) or not isinstance(objects, Iterable):
        raise QueryError(f"bulk operations take a list, not {type(objects).__name__}")
    iterator = iter(objects)
    while True:
        batch = list(islice(iterator, BATCH))
        if not batch:
            return
        yield batch


def by_model(session: SessionBase, objects: Sequence[Any]) -> dict[Mapper, list[Any]]:
    """Group objects by mapper, in the order of their tables' first appearance."""
    found: dict[Mapper, list[Any]] = {}
    kind: Any = None
    append: Any = None
    for instance in objects:
        if type(instance) is kind:
            append(instance)
            continue
        kind = type(instance)
        mapper = getattr(kind, "__mapper__", None)
        if mapper is None:
            raise ModelError(f"bulk operations take instances of models, not {kind.__name__}")
        session.mapper_of(mapper.model).require_table()
        append = found.setdefault(mapper, []).append
        append(instance)
    return found


def send(session: SessionBase, command: Any, instances: Sequence[Any]) -> Plan[Any]:
    """Send a statement made of instances; see `explained`."""
    return explained(session.send(command), instances)


def explained(plan: Plan[T], instances: Sequence[Any]) -> Plan[T]:
    """Run what writes instances; when a value does not fit, raise `ValidationError` naming its field."""
    try:
        return (yield from plan)
    except DataError:
        explain(instances)
        raise


def set_values(session: SessionBase, attribute: Attribute, pairs: Iterable[tuple[Any, Any]]) -> None:
    """Put values on objects, and take them off again when the transaction is rolled back."""
    set_value, peek = attribute.set, attribute.peek
    before = []
    for instance, value in pairs:
        before.append((instance, peek(instance)))
        set_value(instance, value)
    if before:
        session.work.undo.append(partial(undo_values, session.work, attribute, before))


def undo_values(work: UnitOfWork, attribute: Attribute, before: list[tuple[Any, Any]]) -> None:
    """Give objects the values from before."""
    for instance, value in reversed(before):  # an object may have been given twice
        target = work.now(instance)
        if target is None:
            continue
        if value is UNSET:
            clear_slot(type(target).__mapper__, target, attribute.slot)
        else:
            attribute.set(target, value)


def take_related_keys(mapper: Mapper, instances: Sequence[Any]) -> None:
    """Copy the keys of related objects into the columns of foreign keys."""
    for relation in mapper.relations.values():
        if relation.owns_key:
            for instance in instances:
                related = relation.peek(instance)
                if related is not None and related is not UNSET:
                    relation.take_key(instance, related)
                    if relation.key_of(instance) is None:
                        raise QueryError(
                            f"{mapper.name}.{relation.name} is given a {relation.target.name} that has no "
                            "key yet: bulk operations save no related objects, flush() it first"
                        )
    if mapper.sharing:
        refuse_disagreement(mapper, instances)


# --- insert -------------------------------------------------------------------------------------------


def bulk_insert(
    session: SessionBase, objects: Iterable[Any], progress: Progress, return_keys: bool
) -> Plan[BulkResult]:
    """Insert objects in batches; with `return_keys` the generated keys come back and are set on them."""
    iterator = batches(objects)
    first = next(iterator, [])
    session.check_usable()
    left = yield from left_to_insert(session, first, session.autoflush, return_keys)
    plan = _bulk_insert(session, first, left, iterator, progress, size_of(objects), return_keys)
    return (yield from whole(session, plan))


def _bulk_insert(
    session: SessionBase,
    batch: list[Any],
    left: tuple[list[Any], list[Any]],
    iterator: Iterator[list[Any]],
    progress: Progress,
    total: Optional[int],
    return_keys: bool,
) -> Plan[BulkResult]:
    done = count = 0
    keys: Optional[list[Any]] = [] if return_keys else None
    while batch:
        rows, rest = left
        session.let_go(rest, inserted=True)
        for mapper, instances in by_model(session, rest).items():
            with writing(session, mapper):
                count += yield from insert_objects(session, mapper, instances, return_keys)
        if keys is not None:
            keys += [type(instance).__mapper__.key(instance) for instance in rows]
        count += len(rows) - len(rest)
        done += len(batch)
        yield from tell(session, progress, done, total)
        batch = next(iterator, [])
        left = yield from left_to_insert(session, batch, False, return_keys)
    return BulkResult(count, keys)


def insert_objects(
    session: SessionBase, mapper: Mapper, instances: list[Any], return_keys: bool
) -> Plan[int]:
    """Insert objects of one model: one batch for each set of columns that are left to the database. Return
    how many rows there are for them: a trigger of the database may leave some out.
    """
    codec = session.compilation.codecs[mapper]
    take_related_keys(mapper, instances)
    if mapper.version is not None:
        fresh = [o for o in instances if mapper.version.peek(o) in (None, UNSET)]
        set_values(session, mapper.version, [(instance, 1) for instance in fresh])
    written = [a for a in mapper.columns if a.spec.generated is None]
    optional = [a for a in written if a.server_generated]
    groups: dict[Any, list[Any]] = {}
    for instance in instances:
        missing = tuple([a for a in optional if is_left(a, instance)]) if optional else ()
        groups.setdefault(missing, []).append(instance)
    count = 0
    for missing, group in given_first(mapper.identity, groups):
        attributes = tuple([a for a in written if a not in missing])
        if len(mapper.tables) > 1:
            yield from _insert_joined(session, mapper, group, attributes, missing)
        elif not return_keys or mapper.identity not in missing:
            rows = codec.taker(attributes, False)(group)
            met = yield from explained(write_rows(session, codec.insert_keyed(attributes), rows), group)
            count += met if met >= 0 else len(group)
            continue
        else:
            yield from _insert_returning(session, mapper, group, attributes)
        count += len(group)
    return count


def is_left(attribute: Attribute, instance: Any) -> bool:
    """Whether an object leaves a column to the database: nothing was given, or None for a generated key."""
    value = attribute.peek(instance)
    return value is UNSET or (value is None and attribute.column.identity)


def _insert_joined(
    session: SessionBase,
    mapper: Mapper,
    group: list[Any],
    attributes: tuple[Attribute, ...],
    missing: tuple[Attribute, ...],
) -> Plan[None]:
    """Insert objects into the tables of a hierarchy; the first one gives the keys of the others."""
    codec, parts = session.compilation.codecs[mapper], mapper.by_table(attributes)
    own = parts.get(mapper.table, ())
    if mapper.identity in missing:
        yield from _insert_returning(session, mapper, group, own)
    else:
        rows = codec.taker(own, False)(group)
        yield from explained(write_rows(session, codec.insert_keyed(own), rows), group)
    for table in mapper.tables[1:]:
        own = (*mapper.pk, *parts.get(table, ()))
        rows = codec.taker(own, False)(group)
        yield from explained(write_rows(session, codec.insert_keyed(own, table), rows), group)


def _insert_returning(
    session: SessionBase, mapper: Mapper, group: list[Any], attributes: tuple[Attribute, ...]
) -> Plan[None]:
    """Insert objects into the model's table and put the generated keys on them."""
    codec = session.compilation.codecs[mapper]
    features = session.dialect.features
    assert mapper.identity is not None
    returned = (mapper.identity,) if features.returning else ()
    in_turn = not features.returning and not features.consecutive_keys  # a statement tells one key
    batch = codec.insert_batch(attributes, returned) if len(group) > 1 and not in_turn else None
    if batch is not None:
        done = 0
        for part in batch.parts(codec.taker(attributes, False)(group)):
            chunk = group[done : done + len(part)]
            done += len(part)
            sql, params = batch.render(part)
            keys = yield from _new_keys(session, mapper, sql, params, chunk)
            set_values(session, mapper.identity, zip(chunk, keys))
        return
    take = codec.taker(attributes, True)
    size = 1 if in_turn else rows_at_once(features, True, len(attributes), ROWS)
    for start in range(0, len(group), size):
        chunk = group[start : start + size]
        sql = codec.insert_sql(attributes, returned, len(chunk))
        keys = yield from _new_keys(session, mapper, sql, take(chunk), chunk)
        set_values(session, mapper.identity, zip(chunk, keys))


def _new_keys(
    session: SessionBase, mapper: Mapper, sql: str, params: Any, chunk: list[Any]
) -> Plan[Sequence[int]]:
    """Insert objects and return their keys in order: those that come back, or those that must follow."""
    if session.dialect.features.returning:
        rows = yield from send(session, Execute(sql, params, list, True), chunk)
        check_keys(mapper, chunk, rows)
        return [row[0] for row in sorted(rows)]
    outcome = yield from send(session, Execute(sql, params, None, True), chunk)
    step, first = session.dialect.features.consecutive_keys, outcome.lastrowid
    return range(first, first + step * len(chunk), step) if step else [first]


# --- update -------------------------------------------------------------------------------------------


def bulk_update(
    session: SessionBase, objects: Iterable[Any], fields: Optional[Sequence[Any]], progress: Progress
) -> Plan[int]:
    """Update objects by key: the named fields, or every column that is not part of the key.

    Changed objects of the session are not flushed before: what is written here counts as flushed afterwards.
    """
    work = session.work
    total = size_of(objects)
    iterator = batches(objects)
    first = next(iterator, [])
    known = objects if isinstance(objects, (list, tuple)) else first
    session.let_go(known)
    changed = work.changed
    own = {id(o): o for o in known if id(o) in changed} if changed else {}
    # What changed in place is written here, too, and looked at again afterwards.
    watched = {id(o): o for o in known if id(o) in work.mutables} if work.mutables else {}
    try:
        for identity in own:
            del changed[identity]
        for identity in watched:
            del work.mutables[identity]
        if work.pending and session.autoflush:
            yield from session.flush_plan(False)
        rest = _batches_after(first, iterator)
        updated = yield from whole(session, _bulk_update(session, rest, fields, progress, total))
        count, written = updated
        for mapper, instances, attributes in written:
            ours, others = settle(session, mapper, instances, attributes, own)
            if ours and mapper.computed:
                computed = [a.column for a in mapper.computed]
                yield from following.follow(session, mapper, computed, None, ours)
            if others:
                columns = following.all_written(mapper, [a.column for a in attributes])
                yield from following.follow(session, mapper, columns, None, others)
    finally:
        work.changed.update(own)
        work.mutables.update(watched)
    return count


def _batches_after(first: list[Any], rest: Iterator[list[Any]]) -> Iterator[list[Any]]:
    if first:
        yield first
    yield from rest


def _bulk_update(
    session: SessionBase,
    lists: Iterator[list[Any]],
    fields: Optional[Sequence[Any]],
    progress: Progress,
    total: Optional[int],
) -> Plan[tuple[int, list[Any]]]:
    """Update batch by batch; return the number of rows, and what was written to objects of the session."""
    done = count = 0
    written = []
    for batch in lists:
        session.let_go(batch)
        for mapper, instances, attributes in _written(session, batch, fields):
            attributes += automatic(session, mapper, instances, attributes, fields)
            with writing(session, mapper, map(mapper.key, instances)):
                count += yield from _update(session, mapper, instances, attributes)
            if session.identity[mapper.model]:
                written.append((mapper, instances, attributes))
        done += len(batch)
        yield from tell(session, progress, done, total)
    return count, written


def _written(
    session: SessionBase, batch: list[Any], fields: Optional[Sequence[Any]]
) -> Iterator[tuple[Mapper, list[Any], tuple[Attribute, ...]]]:
    """Yield objects of one model and what is written of them: of new objects not what nobody has given."""
    for mapper, instances in by_model(session, batch).items():
        attributes = bulk_attributes(mapper, fields)
        optional = [a for a in attributes if a.server_generated] if fields is None else []
        if not optional:
            yield mapper, instances, attributes
            continue
        groups: dict[Any, list[Any]] = {}
        for instance in instances:
            new = mapper.is_new(instance)
            left = tuple([a for a in optional if new and a.peek(instance) is UNSET])
            groups.setdefault(left, []).append(instance)
        for left, group in groups.items():
            yield mapper, group, tuple([a for a in attributes if a not in left])


def automatic(
    session: SessionBase,
    mapper: Mapper,
    instances: list[Any],
    attributes: tuple[Attribute, ...],
    fields: Optional[Sequence[Any]],
) -> tuple[Attribute, ...]:
    """Set the columns with `on_update` that nobody named, and return those that are not written yet."""
    added = []
    for index in mapper.on_update_indexes:
        attribute = mapper.columns[index]
        make = attribute.spec.on_update
        if make is None or (fields is not None and attribute in attributes):
            continue
        set_values(session, attribute, [(instance, make()) for instance in instances])
        if attribute not in attributes:
            added.append(attribute)
    return tuple(added)


def _update(
    session: SessionBase, mapper: Mapper, instances: list[Any], attributes: tuple[Attribute, ...]
) -> Plan[int]:
    codec, version = session.compilation.codecs[mapper], mapper.version
    if None in mapper.keys(instances):
        raise SessionError(f"bulk_update() of a {mapper.name} without key; insert it first")
    take_related_keys(mapper, instances)
    olds: list[Any] = []
    if version is not None:
        attributes = (*(a for a in attributes if a is not version), version)
        olds = [_version_of(mapper, instance) for instance in instances]
        set_values(session, version, zip(instances, [old + 1 for old in olds]))
    count = 0
    for table, part in mapper.by_table(attributes).items():
        versioned = version is not None and table is mapper.table
        rows = codec.taker((*part, *mapper.pk), False)(instances)
        if versioned:
            rows = [(*row, old) for row, old in zip(rows, olds)]
        statement = codec.update_keyed(part, versioned)
        unique = any(mapper.columns.index(a) in mapper.unique_indexes for a in part)
        write = write_passing if unique and statement.batch is not None else write_rows
        count = yield from explained(write(session, statement, rows), instances)
        if versioned and count >= 0 and count != len(instances):
            raise stale("UPDATE", mapper, instances, count)
    return max(count, 0)


def write_passing(session: SessionBase, statement: Keyed, rows: list[Any]) -> Plan[int]:
    """Write rows that may take unique values over from each other: one by one where a batch cannot."""
    yield from session.transactions.begin()
    yield Savepoint("blaze_rows")
    try:
        count: int = yield from write_rows(session, statement, rows)
    except UniqueError:
        yield RollbackTo("blaze_rows")
        count = yield from session.send(ExecuteMany(statement.sql, rows))
    yield Release("blaze_rows")
    return count


def _version_of(mapper: Mapper, instance: Any) -> int:
    """Return the version that the row of an object had when it was loaded."""
    version = mapper.version
    assert version is not None
    old = None if mapper.is_clean(instance) else mapper.get_old(instance)
    found = version.peek(instance) if old is None else old[mapper.columns.index(version)]
    return found if isinstance(found, int) else 1


def settle(
    session: SessionBase,
    mapper: Mapper,
    instances: list[Any],
    attributes: tuple[Attribute, ...],
    changed: dict[int, Any],
) -> tuple[list[Any], list[Any]]:
    """Make memory agree with a bulk update: written changes are not pending any more.

    Return the keys of the session's objects among the instances, and of those whose rows were written by way
    of others.
    """
    work, codec = session.work, session.compilation.codecs[mapper]
    held = session.identity[mapper.model]
    get_key = mapper.pk[0].get if len(mapper.pk) == 1 else mapper.key
    if mapper.version is not None:
        attributes = (*attributes, mapper.version)
    written = [(index, a) for index, a in enumerate(mapper.columns) if a in attributes]
    mutable = [a for a in attributes if a.mutable]
    positions = {index for index, _ in written}
    same, clean = codec.sameness(tuple(attributes)), mapper.clean
    before: list[Before] = []
    ours, others = [], []
    for instance in instances:
        key = get_key(instance)
        known = held.get(key)
        if known is not instance:
            if known is not None:
                others.append(key)
            continue
        ours.append(key)
        old = mapper.get_old(instance) if id(instance) in changed else None
        decoded = [a for a in mutable if a.peek(instance) is not UNSET] if mutable else mutable
        if decoded or old is not None:
            if not before:
                work.undo.append(partial(undo_settled, work, mapper, before))
            before.append((instance, old or (), {a: text_before(mapper, instance, a) for a in decoded}))
        for attribute in decoded:
            raw = codec.encode(attribute, attribute.peek(instance))
            if raw is None:
                clear_slot(mapper, instance, str(attribute.raw_slot))
            else:
                attribute.raw_set(instance, raw)
        if old is None:
            continue
        if old.__class__ is tuple and same(instance, old):
            instance._old_ = None
            set_class(instance, clean)
            del changed[id(instance)]
            continue
        if positions.issuperset(codec.diff(instance, old)):
            mapper.settle(instance, old)
            del changed[id(instance)]
            continue
        now = list(old)
        for index, attribute in written:
            now[index] = None if attribute.mutable else attribute.get(instance)
        mapper.set_old(instance, old.__class__(now))
    return ours, others


def undo_settled(work: UnitOfWork, mapper: Mapper, before: list[Before]) -> None:
    """Give objects the values from before a bulk update."""
    for instance, old, raws in reversed(before):  # an object may have been given twice
        target = work.now(instance)
        if target is not None:
            write_values(mapper, target, old, raws)


def bulk_attributes(mapper: Mapper, fields: Optional[Sequence[Any]]) -> tuple[Any, ...]:
    """Return the attributes that a bulk operation writes; raise `QueryError` for key columns and unknown
    names.
    """
    if fields is None:
        return tuple(
            a
            for a in mapper.columns
            if a not in mapper.pk and a.spec.generated is None and a is not mapper.discriminator
        )
    if isinstance(fields, (str, Column)):
        raise QueryError(f"give a list of fields, not {fields!r} alone")
    found: list[Any] = []
    for field in fields:
        if isinstance(field, Column):
            if all(a.column is not field.column for a in mapper.columns):
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
        if attribute is mapper.discriminator:
            raise QueryError(f"{mapper.name}.{name} tells the classes of the rows and cannot be set")
        if attribute in mapper.pk:
            raise QueryError(f"{mapper.name}.{name} is part of the key and cannot be updated in bulk")
        if attribute.spec.generated is not None:
            raise QueryError(f"{mapper.name}.{name} is generated by the database and cannot be updated")
        found.append(attribute)
    return tuple(dict.fromkeys(found))
