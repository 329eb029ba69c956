"""The flush: writes the unit of work in batches, in the order of the tables' graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from blaze.core.context import LoadContext
from blaze.core.specs import UNSET
from blaze.errors import ModelError, SessionError, StaleDataError
from blaze.persistence.flush_order import sort_mappers
from blaze.persistence.unit_of_work import restore_loaded
from blaze.plan import Execute, ExecuteMany, Plan, fire

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.hooks.table import ModelHooks
    from blaze.persistence.base import SessionBase

# Rows of one multi-row INSERT: more does not pay, and few sizes mean few statement texts.
CHUNK = 500


class Flush:
    """One flush: statements first, memory last, so that a failure leaves the objects as they were."""

    def __init__(self, session: SessionBase) -> None:
        self.session = session
        self.work = session.work
        self.codecs = session.compilation.codecs
        self.features = session.dialect.features
        self.inserted: list[tuple[Mapper, list[Any], bool, bool]] = []
        self.updated: list[tuple[Mapper, Any, dict[Attribute, Any]]] = []
        self.postponed: list[tuple[Any, Relation]] = []
        self.keys_given: list[tuple[Attribute, Any]] = []
        self.saved: list[tuple[Any, bool]] = []
        self.model_hooks: dict[Any, ModelHooks] = {}

    def run(self) -> Plan[None]:
        """Write everything that is pending."""
        work = self.work
        deleted = dict(work.deleted)
        try:
            new = yield from self.prepare(deleted)
            order = sort_mappers(
                [
                    *new,
                    *(type(o).__mapper__ for o in work.changed.values()),
                    *(type(o).__mapper__ for o in deleted.values()),
                ]
            )
            for mapper in order:
                if mapper in new:
                    yield from self.insert_all(mapper, new[mapper])
            yield from self.update_all(order, deleted)
            yield from self.write_links(deleted)
            for mapper in reversed(order):
                yield from self.delete_all(
                    mapper, [o for o in deleted.values() if type(o).__mapper__ is mapper]
                )
        except BaseException:
            for attribute, instance in self.keys_given:
                attribute.set(instance, None)
            raise
        self.finish(deleted)
        yield from self.report(deleted)

    # --- what takes part --------------------------------------------------------------------------

    def prepare(self, deleted: dict[int, Any]) -> Plan[dict[Mapper, list[Any]]]:
        """Find new objects through relations, run the hooks before, and group the new objects by mapper."""
        work, session = self.work, self.session
        self.cascade()
        done: set[int] = set()
        while True:
            waiting = [
                (o, created)
                for register, created in ((work.new, True), (work.changed, False))
                for o in register.values()
                if self.hooks_of(o).any and id(o) not in done and id(o) not in deleted
            ]
            if not waiting:
                break
            for instance, created in waiting:
                done.add(id(instance))
                own = self.hooks_of(instance)
                arguments = {"session": session, "instance": instance, "created": created}
                if own.before_validate:
                    yield from fire(own.before_validate, **arguments)
                if own.after_validate:
                    instance.full_clean()
                    yield from fire(own.after_validate, **arguments)
                if own.before_save:
                    yield from fire(own.before_save, **arguments)
            self.cascade()
        for instance in list(deleted.values()):
            own = self.hooks_of(instance)
            if own.before_delete:
                yield from fire(own.before_delete, session=session, instance=instance)
        new: dict[Mapper, list[Any]] = {}
        for identity, instance in work.new.items():
            if identity not in deleted:
                new.setdefault(type(instance).__mapper__, []).append(instance)
        return new

    def hooks_of(self, instance: Any) -> ModelHooks:
        """Return the handlers for an object's model."""
        model = type(instance).__mapper__.model
        found = self.model_hooks.get(model)
        if found is None:
            found = self.model_hooks[model] = self.session.hooks.for_model(model)
        return found

    def cascade(self) -> None:
        """Add the new objects that new, changed and relisted objects refer to."""
        work = self.work
        queue = deque([*work.new.values(), *work.changed.values()])
        for changed_list in work.collections.values():
            queue += changed_list.peek()
        seen = set()
        while queue:
            instance = queue.popleft()
            if id(instance) in seen:
                continue
            seen.add(id(instance))
            mapper = type(instance).__mapper__
            self.session.adopt(instance)
            for relation in mapper.relations.values():
                loaded = relation.peek(instance)
                if loaded is None or loaded is UNSET:
                    continue
                for related in loaded.peek() if relation.many else (loaded,):
                    if type(related).__mapper__.is_new(related) and id(related) not in seen:
                        queue.append(related)

    # --- inserts ----------------------------------------------------------------------------------

    def insert_all(self, mapper: Mapper, instances: list[Any]) -> Plan[None]:
        """Insert the new objects of one model: in one batch, or level by level along self-references."""
        own = [r for r in mapper.relations.values() if r.owns_key and r.target is mapper]
        left = instances
        while left:
            ready = left
            if own:
                waiting = {id(o) for o in left}
                ready = [
                    o for o in left if not any(id(r.peek(o)) in waiting and r.peek(o) is not o for r in own)
                ] or left
            self.take_keys(mapper, ready)
            yield from self.insert(mapper, ready)
            if ready is left:
                return
            done = {id(o) for o in ready}
            left = [o for o in left if id(o) not in done]

    def take_keys(self, mapper: Mapper, instances: Iterable[Any]) -> None:
        """Copy the keys of related objects; a key that is not known yet is completed by an update later."""
        for relation in mapper.relations.values():
            if not relation.owns_key:
                continue
            peek, target = relation.peek, relation.target
            for instance in instances:
                related = peek(instance)
                if related is None or related is UNSET:
                    continue
                if target.key(related) is not None:
                    relation.take_key(instance, related)
                    continue
                if not relation.nullable:
                    raise SessionError(
                        f"{mapper.name}.{relation.name}: the {target.name} it needs is inserted after it; the objects "
                        "need each other in a circle and the key is NOT NULL. Make one of the keys Optional"
                    )
                relation.take_key(instance, None)
                self.postponed.append((instance, relation))

    def insert(self, mapper: Mapper, instances: list[Any]) -> Plan[None]:
        """Insert objects of one model in as few statements as the backend allows."""
        identity = mapper.identity
        version = mapper.version
        if version is not None:
            for instance in instances:
                if version.peek(instance) in (None, UNSET):
                    version.set(instance, 1)
        optional = [a for a in mapper.columns if a.server_generated and a is not identity]
        if identity is None and not optional:
            yield from self.insert_group(mapper, mapper.columns, (), instances)
            return
        groups: dict[Any, list[Any]] = {}
        for instance in instances:
            missing = tuple(a for a in optional if a.peek(instance) is UNSET)
            if identity is not None and identity.get(instance) is None:
                missing = (identity, *missing)
            groups.setdefault(missing, []).append(instance)
        for missing, group in groups.items():
            attributes = tuple(a for a in mapper.columns if a not in missing and a.spec.generated is None)
            yield from self.insert_group(mapper, attributes, missing, group)

    def insert_group(
        self,
        mapper: Mapper,
        attributes: tuple[Attribute, ...],
        returned: tuple[Attribute, ...],
        instances: list[Any],
    ) -> Plan[None]:
        """Insert objects that give the same columns; `returned` are those the database fills in."""
        codec = self.codecs[mapper]
        session = self.session
        generated = mapper.identity is not None and mapper.identity in returned
        if returned and not self.features.returning:
            yield from self.insert_singly(mapper, attributes, returned, instances)
        else:
            take = codec.taker(attributes, True)
            width = max(len(attributes), 1)
            size = max(min(CHUNK, self.features.max_bind_params // width), 1)
            for start in range(0, len(instances), size):
                chunk = instances[start : start + size] if len(instances) > size else instances
                sql = codec.insert_sql(attributes, returned, len(chunk))
                command = Execute(sql, take(chunk), list if returned else None, True)
                rows = yield from session.send(command)
                if returned:
                    self.take_returned(mapper, returned, chunk, rows)
        complete = len(returned) == 0 or self.features.returning
        self.inserted.append((mapper, instances, generated, complete))

    def take_returned(
        self, mapper: Mapper, returned: tuple[Attribute, ...], instances: list[Any], rows: list[Any]
    ) -> None:
        """Store what the database filled in; keys ascend in the order of the rows of the statement."""
        if len(rows) != len(instances):
            raise SessionError(f"INSERT of {len(instances)} {mapper.name} objects returned {len(rows)} rows")
        identity = mapper.identity
        if identity is not None and returned[0] is identity:
            rows.sort()
            given = self.keys_given
            if len(returned) == 1:
                set_key = identity.set
                for instance, row in zip(instances, rows):
                    set_key(instance, row[0])
                    given.append((identity, instance))
                return
        elif len(instances) > 1 and len(rows) > 1:
            raise ModelError(
                f"{mapper.where}: rows with server defaults but no generated key are inserted singly"
            )
        codec = self.codecs[mapper]
        for instance, row in zip(instances, rows):
            for attribute, value in zip(returned, row):
                if attribute.mutable:
                    attribute.raw_set(instance, value)
                else:
                    attribute.set(instance, codec.decode(attribute, value))
                if attribute is identity:
                    self.keys_given.append((attribute, instance))

    def insert_singly(
        self,
        mapper: Mapper,
        attributes: tuple[Attribute, ...],
        returned: tuple[Attribute, ...],
        instances: list[Any],
    ) -> Plan[None]:
        """Insert one by one, for backends without RETURNING: the driver tells the generated key."""
        codec = self.codecs[mapper]
        take = codec.taker(attributes, True)
        sql = codec.insert_sql(attributes, (), 1)
        for instance in instances:
            outcome = yield from self.session.send(Execute(sql, take([instance]), None, True))
            if mapper.identity is not None and mapper.identity in returned:
                mapper.identity.set(instance, outcome.lastrowid)
                self.keys_given.append((mapper.identity, instance))

    # --- updates ----------------------------------------------------------------------------------

    def update_all(self, order: list[Mapper], deleted: dict[int, Any]) -> Plan[None]:
        """Update changed objects, grouped by model and changed columns."""
        work = self.work
        for instance in work.mutables.values():
            mapper = type(instance).__mapper__
            codec = self.codecs[mapper]
            if mapper.is_clean(instance) and any(
                codec.mutable_changed(instance, i) for i in mapper.mutable_indexes
            ):
                mapper.make_changed(instance)
                work.changed[id(instance)] = instance
        postponed: dict[int, list[Relation]] = {}
        for instance, relation in self.postponed:
            relation.take_key(instance, relation.peek(instance))
            postponed.setdefault(id(instance), []).append(relation)
        groups: dict[tuple[Mapper, tuple[Attribute, ...]], list[Any]] = {}
        changed = [o for identity, o in work.changed.items() if identity not in deleted]
        by_mapper: dict[Mapper, list[Any]] = {}
        for instance in changed:
            by_mapper.setdefault(type(instance).__mapper__, []).append(instance)
        for mapper, instances in by_mapper.items():
            self.take_keys(mapper, instances)
            codec = self.codecs[mapper]
            columns = mapper.columns
            for instance in instances:
                old = mapper.get_old(instance)
                assert old is not None
                indexes = codec.diff(instance, old)
                if not indexes:
                    continue
                for attribute in columns:
                    if attribute.spec.on_update is not None and columns.index(attribute) not in indexes:
                        attribute.set(instance, attribute.spec.on_update())
                        indexes.append(columns.index(attribute))
                attributes = tuple(columns[index] for index in sorted(indexes))
                groups.setdefault((mapper, attributes), []).append(instance)
        for (mapper, attributes), instances in groups.items():
            yield from self.update(mapper, attributes, instances)
        for instance, relation in self.postponed:
            mapper = type(instance).__mapper__
            codec = self.codecs[mapper]
            values = [codec.encode(a, a.peek(instance)) for a in relation.local]
            sql = codec.update_sql(relation.local, False)
            yield from self.session.send(
                Execute(sql, [*values, *codec.key_params(mapper.key(instance))], None, True)
            )

    def update(self, mapper: Mapper, attributes: tuple[Attribute, ...], instances: list[Any]) -> Plan[None]:
        """Update objects of one model whose same columns changed."""
        codec = self.codecs[mapper]
        for attribute in attributes:
            if attribute.spec.generated is not None:
                raise ModelError(
                    f"{mapper.where}.{attribute.name}: is generated by the database and cannot be set"
                )
        version = mapper.version
        raws: dict[int, dict[Attribute, Any]] = {}
        mutable = [a for a in attributes if a.mutable]
        for instance in instances:
            raws[id(instance)] = {a: a.peek_raw(instance) for a in mutable}
        written = attributes
        if version is not None:
            written = (*(a for a in attributes if a is not version), version)
            for instance in instances:
                old = mapper.get_old(instance)
                assert old is not None
                version.set(instance, old[mapper.columns.index(version)] + 1)
        rows = codec.taker(written, False)(instances)
        keys = [mapper.columns.index(a) for a in mapper.pk]
        if version is not None:
            keys.append(mapper.columns.index(version))
        encoders = [self.session.dialect.encoder(mapper.columns[index].type) for index in keys]
        params = []
        for instance, row in zip(instances, rows):
            old = mapper.get_old(instance)
            assert old is not None
            params.append(
                (*row, *[v if e is None else e(v) for v, e in zip([old[i] for i in keys], encoders)])
            )
        try:
            count = yield from self.session.send(ExecuteMany(codec.update_sql(written), params))
            if count != len(instances) and count >= 0:
                raise self.stale("UPDATE", mapper, instances, count)
        except BaseException:
            if version is not None:
                for instance in instances:
                    old = mapper.get_old(instance)
                    assert old is not None
                    version.set(instance, old[mapper.columns.index(version)])
            raise
        for instance in instances:
            self.updated.append((mapper, instance, raws[id(instance)]))

    def stale(self, what: str, mapper: Mapper, instances: list[Any], count: int) -> StaleDataError:
        """Return the error for rows that were no longer there."""
        keys = [mapper.key(instance) for instance in instances[:5]]
        more = ", ..." if len(instances) > 5 else ""
        return StaleDataError(
            f"{what} of {len(instances)} {mapper.name} (key {', '.join(map(repr, keys))}{more}) met {count} rows: "
            "somebody else changed or deleted them; rollback(), refresh() and try again"
        )

    # --- many-to-many -----------------------------------------------------------------------------

    def write_links(self, deleted: dict[int, Any]) -> Plan[None]:
        """Write the pending links of many-to-many relations: removals first, then additions."""
        removed: dict[Any, dict[Any, None]] = {}
        added: dict[Any, dict[Any, None]] = {}
        for changed_list in self.work.collections.values():
            relation = changed_list.relation
            if relation.link is None:
                continue
            owner = changed_list.owner
            if id(owner) in deleted:
                continue
            link = relation.link
            own = self.codecs[relation.owner].key_params(relation.owner.key(owner))
            if changed_list.cleared:
                yield from self.session.send(Execute(self.session.link_sql(link, "clear"), own, None, True))
            target = self.codecs[relation.target]
            for register, found in ((changed_list.removed, removed), (changed_list.added, added)):
                for member in register.values():
                    key = relation.target.key(member)
                    if key is not None:
                        found.setdefault(link, {})[(*own, *target.key_params(key))] = None
        for link, pairs in removed.items():
            yield from self.session.send(ExecuteMany(self.session.link_sql(link, "remove"), list(pairs)))
        for link, pairs in added.items():
            yield from self.session.send(ExecuteMany(self.session.link_sql(link, "add"), list(pairs)))

    # --- deletes ----------------------------------------------------------------------------------

    def delete_all(self, mapper: Mapper, instances: list[Any]) -> Plan[None]:
        """Delete the rows of objects of one model."""
        if not instances:
            return
        codec = self.codecs[mapper]
        for relation in mapper.relations.values():
            # A plain join table belongs to the relation: its rows go with either side.
            if relation.link is not None and relation.link.model is None:
                keys = [codec.key_params(self.key_before(mapper, o)) for o in instances]
                yield from self.session.send(ExecuteMany(self.session.link_sql(relation.link, "clear"), keys))
        params = []
        for instance in instances:
            row = codec.key_params(self.key_before(mapper, instance))
            if mapper.version is not None:
                row = (*row, self.value_before(mapper, instance, mapper.version))
            params.append(row)
        count = yield from self.session.send(ExecuteMany(codec.delete_sql, params))
        if count != len(instances) and count >= 0:
            raise self.stale("DELETE", mapper, instances, count)

    def key_before(self, mapper: Mapper, instance: Any) -> Any:
        """Return the key that the row has in the database."""
        values = tuple(self.value_before(mapper, instance, attribute) for attribute in mapper.pk)
        return values if len(values) > 1 else values[0]

    def value_before(self, mapper: Mapper, instance: Any, attribute: Attribute) -> Any:
        """Return a column's value as the database has it."""
        old = None if mapper.is_clean(instance) else mapper.get_old(instance)
        return attribute.peek(instance) if old is None else old[mapper.columns.index(attribute)]

    # --- memory -----------------------------------------------------------------------------------

    def finish(self, deleted: dict[int, Any]) -> None:
        """Make memory agree with what was written, and log how to undo it."""
        session, work = self.session, self.work
        for mapper, instances, generated, complete in self.inserted:
            context = LoadContext(session, instances, session.lazy_of(mapper))
            found = work.identity[mapper.model]
            clean = mapper.clean if complete else None
            codec = self.codecs[mapper]
            for instance in instances:
                key = mapper.key(instance)
                for index in mapper.mutable_indexes:
                    self.freeze(codec, instance, mapper.columns[index])
                if clean is not None:
                    instance._old_ = None
                    instance._ctx_ = context
                    instance.__class__ = clean
                else:
                    mapper.make_clean(instance, context)
                found[key] = instance
                work.undo.append(partial(undo_insert, work.identity, mapper, instance, key, generated))
                if mapper.mutable_indexes:
                    work.mutables[id(instance)] = instance
        for mapper, instance, raws in self.updated:
            old = mapper.get_old(instance)
            assert old is not None
            codec = self.codecs[mapper]
            for attribute in raws:
                self.freeze(codec, instance, attribute)
            work.undo.append(work.undo_update(mapper, instance, old, raws))
            objects = work.identity[mapper.model]
            key, before = mapper.key(instance), self.key_before(mapper, instance)
            if key != before:
                objects.pop(before, None)
                objects[key] = instance
        for instance in work.changed.values():
            if id(instance) not in deleted:
                mapper = type(instance).__mapper__
                mapper.make_clean(instance, instance._ctx_)
        for changed_list in work.collections.values():
            work.undo.append(partial(changed_list.restore, changed_list.flushed()))
        for instance in deleted.values():
            mapper = type(instance).__mapper__
            key = self.key_before(mapper, instance)
            context = instance._ctx_
            if not mapper.is_clean(instance):
                restore_loaded(instance)
            work.identity[mapper.model].pop(key, None)
            work.undo.append(work.undo_delete(mapper, instance, key, context))
            mapper.make_new(instance)
            work.mutables.pop(id(instance), None)
        if deleted:
            self.follow_deletes(deleted)
        self.saved = [
            (o, True) for _, group, _, _ in self.inserted if self.hooks_of(group[0]).any for o in group
        ]
        self.saved += [(instance, False) for _, instance, _ in self.updated]
        work.new.clear()
        work.changed.clear()
        work.collections.clear()
        for identity in deleted:
            work.deleted.pop(identity, None)

    @staticmethod
    def freeze(codec: Any, instance: Any, attribute: Attribute) -> None:
        """Remember what the database now holds for a value that may change in place."""
        value = attribute.peek(instance)
        if value is None:
            member = type(instance).__mapper__.model.__dict__[attribute.raw_slot]
            if attribute.peek_raw(instance) is not UNSET:
                member.__delete__(instance)
        elif value is not UNSET:
            attribute.raw_set(instance, codec.encode(attribute, value))

    def follow_deletes(self, deleted: dict[int, Any]) -> None:
        """Do to the loaded objects what the database did to their rows by its rules on delete."""
        work = self.work
        queue: list[tuple[Mapper, set[Any]]] = []
        gone: dict[Mapper, set[Any]] = {}
        for instance in deleted.values():
            mapper = type(instance).__mapper__
            gone.setdefault(mapper, set()).add(mapper.key(instance))
        queue = list(gone.items())
        while queue:
            mapper, keys = queue.pop()
            for relation in mapper.relations.values():
                inverse = relation.inverse
                if (
                    inverse is None
                    or not inverse.owns_key
                    or inverse.on_delete not in ("CASCADE", "SET NULL")
                ):
                    continue
                child = inverse.owner
                hit = [o for o in list(work.identity[child.model].values()) if inverse.key_of(o) in keys]
                if inverse.on_delete == "CASCADE":
                    for instance in hit:
                        key = child.key(instance)
                        work.undo.append(work.undo_delete(child, instance, key, instance._ctx_))
                        work.identity[child.model].pop(key, None)
                        work.changed.pop(id(instance), None)
                        child.make_new(instance)
                    if hit:
                        queue.append((child, {child.key(o) for o in hit}))
                else:
                    for instance in hit:
                        old = child.snapshot(instance)
                        work.undo.append(work.undo_update(child, instance, old, {}))
                        inverse.take_key(instance, None)
                        inverse.set(instance, None)

    def report(self, deleted: dict[int, Any]) -> Plan[None]:
        """Run the hooks after."""
        session = self.session
        for instance, created in self.saved:
            own = self.hooks_of(instance)
            if own.after_save:
                yield from fire(own.after_save, session=session, instance=instance, created=created)
        for instance in deleted.values():
            own = self.hooks_of(instance)
            if own.after_delete:
                yield from fire(own.after_delete, session=session, instance=instance)


def undo_insert(identity: Any, mapper: Mapper, instance: Any, key: Any, generated: bool) -> None:
    """Make an inserted object new again."""
    identity[mapper.model].pop(key, None)
    mapper.make_new(instance)
    if generated:
        mapper.pk[0].set(instance, None)
