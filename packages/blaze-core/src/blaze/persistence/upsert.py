"""The plan of `upsert`: insert rows, or update those that hold the same values already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.specs import UNSET
from blaze.errors import QueryError, UniqueError
from blaze.persistence import following
from blaze.persistence.batches import row_parts
from blaze.persistence.bulk import (
    ROWS,
    Progress,
    batches,
    bulk_attributes,
    by_model,
    insert_objects,
    is_left,
    send,
    set_values,
    size_of,
    take_related_keys,
    tell,
    whole,
)
from blaze.persistence.bulk_pending import apart, insert_pending
from blaze.persistence.loading import chunks, keys_condition
from blaze.persistence.statements import insert_text
from blaze.persistence.writing import writing
from blaze.plan import Execute, Plan
from blaze.sql.builders import InsertBuilder, SelectBuilder
from blaze.sql.columns import Column
from blaze.sql.functions import excluded

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase


class UpsertResult:
    """The keys of the rows that an upsert inserted and updated."""

    def __init__(self, inserted: list[Any], updated: list[Any]) -> None:
        self.inserted = inserted
        self.updated = updated

    def __repr__(self) -> str:
        return f"<upsert: {len(self.inserted)} inserted, {len(self.updated)} updated>"


def upsert(
    session: SessionBase,
    objects: Iterable[Any],
    conflict: Sequence[Any],
    update: Optional[Sequence[Any]],
    progress: Progress,
) -> Plan[UpsertResult]:
    """Insert objects, or update the rows that hold the same values in the `conflict` columns."""
    session.dialect.require("on_conflict", "ON CONFLICT")
    iterator = batches(objects)
    first = next(iterator, [])
    session.check_usable()
    written = yield from insert_pending(session, first, session.autoflush)
    plan = _upsert_all(session, first, written, iterator, conflict, update, progress, size_of(objects))
    return (yield from whole(session, plan))


def _upsert_all(
    session: SessionBase,
    batch: list[Any],
    written: set[int],
    iterator: Iterator[list[Any]],
    conflict: Sequence[Any],
    update: Optional[Sequence[Any]],
    progress: Progress,
    total: Optional[int],
) -> Plan[UpsertResult]:
    """Write batches; those `written` of the first one were pending and have just been inserted."""
    result = UpsertResult([], [])
    done = 0
    seen: dict[Mapper, set[Any]] = {}
    while batch:
        session.let_go(batch, inserted=True)
        for mapper, instances in by_model(session, batch).items():
            mapper.require_one_table("upsert()", "get_or_create(), or add_all() what a query does not find")
            target = conflict_attributes(mapper, conflict)
            take_related_keys(mapper, instances)
            known = seen.setdefault(mapper, set())
            # NULL conflicts with nothing: such rows are simply new.
            fresh = [o for o in instances if any([a.peek(o) in (None, UNSET) for a in target])]  # noqa: C419
            own = [o for o in instances if id(o) in written] if written else []
            if fresh or own:
                without = {id(o) for o in (*fresh, *own)}
                instances = [o for o in instances if id(o) not in without]
                missing = {id(o) for o in fresh}
                _note(mapper, target, [o for o in own if id(o) not in missing], known)
                result.inserted += [mapper.key(o) for o in {id(o): o for o in own}.values()]
                fresh = apart([o for o in fresh if id(o) not in written])
                if fresh:
                    with writing(session, mapper):
                        yield from insert_objects(session, mapper, fresh, True)
                result.inserted += [mapper.key(o) for o in fresh]
            for group in _groups(mapper, instances):
                yield from _upsert(session, mapper, group, target, update, result, known)
        done += len(batch)
        yield from tell(session, progress, done, total)
        batch = next(iterator, [])
        written = yield from insert_pending(session, batch, False)
    return result


def _note(mapper: Mapper, target: tuple[Any, ...], instances: list[Any], seen: set[Any]) -> list[Any]:
    """Return the conflict values of objects; raise `QueryError` for those that another one has had."""
    values = [tuple([a.peek(o) for a in target]) for o in instances]
    count = len(seen)
    seen.update(values)
    if len(seen) < count + len(values):
        raise QueryError(
            f"upsert() got two {mapper.name} objects with the same conflict values; merge them first"
        )
    return values


def _groups(mapper: Mapper, instances: list[Any]) -> list[list[Any]]:
    """Group objects by the columns that they leave to the database: each needs a statement of its own."""
    optional = [a for a in mapper.columns if a.server_generated and a.spec.generated is None]
    if not optional:
        return [instances] if instances else []
    groups: dict[Any, list[Any]] = {}
    for instance in instances:
        groups.setdefault(tuple([is_left(a, instance) for a in optional]), []).append(instance)
    return list(groups.values())


def _upsert(
    session: SessionBase,
    mapper: Mapper,
    instances: list[Any],
    target: tuple[Any, ...],
    update: Optional[Sequence[Any]],
    result: UpsertResult,
    seen: set[Any],
) -> Plan[None]:
    codec, version = session.compilation.codecs[mapper], mapper.version
    first = instances[0]
    attributes = tuple(
        a
        for a in mapper.columns
        if a.spec.generated is None and not (a.server_generated and is_left(a, first))
    )
    if version is not None:
        unversioned = [o for o in instances if version.peek(o) in (None, UNSET)]
        set_values(session, version, [(instance, 1) for instance in unversioned])
    rows = codec.taker(attributes, False)(instances)  # checked before anything is sent
    changed = (
        tuple(
            a for a in attributes if a not in target and a not in mapper.pk and a is not mapper.discriminator
        )
        if update is None
        else bulk_attributes(mapper, update)
    )
    if version is not None and changed == (version,):
        raise QueryError(
            f"upsert(update=...) names {mapper.name}.{version.name} alone, which is counted by itself: name "
            "what is to be updated, or [] for nothing"
        )
    missing = [a.name for a in changed if a not in attributes]
    if missing:
        raise QueryError(
            f"upsert(update={missing}): a {mapper.name} object leaves that to the database; give it a value"
        )
    named = [a.column for a in target]
    columns = [Column(mapper.source, column) for column in named]
    wanted = _note(mapper, target, instances, seen)
    keys = wanted if len(target) > 1 else [key[0] for key in wanted]
    pk = [Column(mapper.source, a.column) for a in mapper.pk]
    before = yield from _existing(session, mapper, columns, keys, pk)
    assignments = _assignments(mapper, changed, update)
    done = 0
    # The values of `on_update` columns follow those of the rows.
    for chunk in row_parts(session, attributes, rows, ROWS, len(assignments)):
        flat = [value for row in chunk for value in row]
        builder = InsertBuilder(mapper.table, [a.column for a in attributes], len(chunk))
        builder.plain([None] * len(flat))
        builder.on_conflict(named, assignments or None, unique=mapper.unique_columns)
        sql, tail = insert_text(session, builder, len(flat))
        command = Execute(sql, [*flat, *tail], None, True)
        # What others have inserted since `before` was read may be updated, too: it is known afterwards.
        with writing(session, mapper, before.values()):
            yield from send(session, command, instances[done : done + len(chunk)])
        done += len(chunk)
    after = yield from _existing(session, mapper, columns, keys, pk)
    if assignments and session.cache is not None:
        session.cache.journal.note_rows(mapper, after.values())
    new_keys = []
    for instance, key in zip(instances, keys):
        row_key = after.get(key)
        if row_key is None:
            names = ", ".join([a.name for a in target])
            raise UniqueError(
                f"upsert() wrote a {mapper.name} and found no row with its {names}: it met another"
                " unique key of the table, or the database changed the value"
            )
        if key not in before:
            result.inserted.append(row_key)
        elif assignments:
            result.updated.append(row_key)
        if mapper.key(instance) is None:
            new_keys.append((instance, row_key))
    if mapper.identity is not None:
        set_values(session, mapper.identity, new_keys)
    if assignments:
        written = following.all_written(mapper, assignments)
        yield from following.follow(session, mapper, written, None, after.values())


def _assignments(mapper: Mapper, changed: Sequence[Any], update: Optional[Sequence[Any]]) -> dict[Any, Any]:
    """Return what an existing row gets: the values of the new one, the next version, `on_update` values."""
    version = mapper.version
    assignments: dict[Any, Any] = {
        a.column: excluded(Column(mapper.source, a.column)) for a in changed if a is not version
    }
    if not assignments:
        return assignments
    for index in mapper.on_update_indexes:
        attribute = mapper.columns[index]
        make = attribute.spec.on_update
        if make is not None and (update is None or attribute not in changed):
            assignments[attribute.column] = make()
    if version is not None:
        assignments[version.column] = Column(mapper.source, version.column) + 1
    return assignments


def conflict_attributes(mapper: Mapper, conflict: Sequence[Any]) -> tuple[Any, ...]:
    """Return the attributes of a unique key; raise `QueryError` when the columns are not unique together."""
    if isinstance(conflict, (str, Column)):
        raise QueryError(f"give a list of conflict columns, not {conflict!r} alone")
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
