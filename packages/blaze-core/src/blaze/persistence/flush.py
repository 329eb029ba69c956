"""The flush: writes the unit of work in batches, in the order of the tables' graph."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from blaze.core.context import LoadContext
from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.persistence.deletes import Deleter, key_before
from blaze.persistence.flush_order import sort_mappers
from blaze.persistence.inserts import InsertedGroup, Inserter
from blaze.persistence.unit_of_work import restore_loaded, write_values
from blaze.persistence.updates import UpdatedGroup, Updater
from blaze.plan import Execute, ExecuteMany, Plan, fire

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.hooks.table import ModelHooks
    from blaze.persistence.base import SessionBase


class Flush:
    """One flush: statements first, memory last, so that a failure leaves the objects as they were."""

    def __init__(self, session: SessionBase) -> None:
        self.session = session
        self.work = session.work
        self.codecs = session.compilation.codecs
        self.inserter = Inserter(session)
        self.updater = Updater(session, self.inserter)
        self.deleter = Deleter(session)
        self.model_hooks: dict[Any, ModelHooks] = {}

    def run(self) -> Plan[None]:
        """Write everything that is pending."""
        work = self.work
        deleted = dict(work.deleted)
        try:
            new = yield from self.prepare(deleted)
            changed = [o for identity, o in work.changed.items() if identity not in deleted]
            gone: dict[Mapper, list[Any]] = {}
            for instance in deleted.values():
                gone.setdefault(type(instance).__mapper__, []).append(instance)
            order = sort_mappers([*new, *gone])
            for mapper in order:
                if mapper in new:
                    yield from self.inserter.insert_all(mapper, new[mapper])
            yield from self.updater.update_all(changed)
            yield from self.write_links(deleted)
            for mapper in reversed(order):
                yield from self.deleter.delete_all(mapper, gone.get(mapper, []))
        except BaseException:
            self.inserter.take_back()
            self.updater.take_back()
            raise
        saved = self.saved()
        self.finish(deleted)
        yield from self.report(saved, list(deleted.values()))

    # --- what takes part --------------------------------------------------------------------------

    def prepare(self, deleted: dict[int, Any]) -> Plan[dict[Mapper, list[Any]]]:
        """Find new objects through relations, run the hooks before, and group the new objects by mapper."""
        work, session = self.work, self.session
        self.cascade()
        done: set[int] = set()
        while work.new or work.changed:
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
        queue = deque(o for o in (*work.new.values(), *work.changed.values()) if type(o).__mapper__.relations)
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
                    if id(related) not in seen and type(related).__mapper__.is_new(related):
                        queue.append(related)

    # --- many-to-many -----------------------------------------------------------------------------

    def write_links(self, deleted: dict[int, Any]) -> Plan[None]:
        """Write the pending links of many-to-many relations: removals first, then additions."""
        session = self.session
        removed: dict[Any, dict[Any, None]] = {}
        added: dict[Any, dict[Any, None]] = {}
        for changed_list in self.work.collections.values():
            relation, owner = changed_list.relation, changed_list.owner
            link = relation.link
            if link is None or id(owner) in deleted:
                continue
            own = self.codecs[relation.owner].key_params(relation.owner.key(owner))
            if changed_list.cleared:
                yield from session.send(Execute(session.link_sql(link, "clear"), own, None, True))
            target = self.codecs[relation.target]
            for register, found in ((changed_list.removed, removed), (changed_list.added, added)):
                for member in register.values():
                    key = relation.target.key(member)
                    if key is not None and id(member) not in deleted:
                        found.setdefault(link, {})[(*own, *target.key_params(key))] = None
        for link, pairs in removed.items():
            yield from session.send(ExecuteMany(session.link_sql(link, "remove"), list(pairs)))
        for link, pairs in added.items():
            yield from session.send(ExecuteMany(session.link_sql(link, "add"), list(pairs)))

    # --- memory -----------------------------------------------------------------------------------

    def finish(self, deleted: dict[int, Any]) -> None:
        """Make memory agree with what was written, and log how to undo it."""
        work = self.work
        for group in self.inserter.groups:
            self.finish_insert(group)
        for updated in self.updater.groups:
            self.finish_update(updated)
        for identity, instance in work.changed.items():
            if identity not in deleted:
                mapper = type(instance).__mapper__
                mapper.settle(instance, mapper.get_old(instance))
        for changed_list in work.collections.values():
            saved = changed_list.flushed(id(changed_list.owner) in work.new)
            work.undo.append(partial(changed_list.restore, saved))
        for instance in deleted.values():
            mapper = type(instance).__mapper__
            if not mapper.is_clean(instance):
                restore_loaded(instance)
            key = mapper.key(instance)
            work.identity[mapper.model].pop(key, None)
            work.undo.append(work.undo_delete(mapper, instance, key, instance._ctx_))
            mapper.make_new(instance)
            work.mutables.pop(id(instance), None)
        if deleted:
            self.deleter.follow(list(deleted.values()))
        work.new.clear()
        work.changed.clear()
        work.collections.clear()
        for identity in deleted:
            work.deleted.pop(identity, None)

    def finish_insert(self, group: InsertedGroup) -> None:
        """Make inserted objects clean members of the identity map.

        A value that changes in place is from now on what was written: reading it decodes a copy of its own.
        """
        work, mapper, instances = self.work, group.mapper, group.instances
        for attribute, raws in group.raws.items():
            for instance, raw in zip(instances, raws):
                if raw is not None:
                    attribute.raw_set(instance, raw)
                    clear_slot(mapper, instance, attribute.slot)
        context = LoadContext(self.session, instances, self.session.lazy_of(mapper))
        found = work.identity[mapper.model]
        if group.complete:
            clean = mapper.clean
            for instance in instances:
                instance._old_ = None
                instance._ctx_ = context
                instance.__class__ = clean
        else:
            for instance in instances:
                mapper.make_clean(instance, context)
        if len(mapper.pk) == 1:
            get = mapper.pk[0].get
            for instance in instances:
                found[get(instance)] = instance
        else:
            for instance in instances:
                found[mapper.key(instance)] = instance
        work.undo.append(partial(undo_inserts, work.identity, group))

    def finish_update(self, group: UpdatedGroup) -> None:
        """Note what the database holds now for updated objects."""
        work, mapper = self.work, group.mapper
        objects = work.identity[mapper.model]
        for attribute in group.mutable:
            for instance in group.instances:
                self.freeze(mapper, instance, attribute)
        if group.moved:
            for instance in group.instances:
                objects.pop(key_before(mapper, instance), None)
        if len(mapper.pk) == 1:
            get = mapper.pk[0].get
            for instance in group.instances:
                objects[get(instance)] = instance
        else:
            for instance in group.instances:
                objects[mapper.key(instance)] = instance
        work.undo.append(partial(undo_updates, objects, group))

    def freeze(self, mapper: Mapper, instance: Any, attribute: Any) -> None:
        """Remember what the database now holds for a value that may change in place."""
        value = attribute.peek(instance)
        if value is None:
            clear_slot(mapper, instance, str(attribute.raw_slot))
        elif value is not UNSET:
            attribute.raw_set(instance, self.codecs[mapper].encode(attribute, value))
            self.work.mutables[id(instance)] = instance

    # --- hooks after ------------------------------------------------------------------------------

    def saved(self) -> list[tuple[Any, bool]]:
        """Return the written objects that have hooks, and whether they were created."""
        found = [
            (instance, True)
            for group in self.inserter.groups
            if self.hooks_of(group.instances[0]).after_save
            for instance in group.instances
        ]
        return found + [
            (instance, False)
            for updated in self.updater.groups
            if self.hooks_of(updated.instances[0]).after_save
            for instance in updated.instances
        ]

    def report(self, saved: list[tuple[Any, bool]], deleted: list[Any]) -> Plan[None]:
        """Run the hooks after."""
        session = self.session
        for instance, created in saved:
            yield from fire(
                self.hooks_of(instance).after_save, session=session, instance=instance, created=created
            )
        for instance in deleted:
            own = self.hooks_of(instance)
            if own.after_delete:
                yield from fire(own.after_delete, session=session, instance=instance)


def undo_inserts(identity: Any, group: InsertedGroup) -> None:
    """Make inserted objects new again; generated keys go, decoded values come back."""
    mapper = group.mapper
    objects = identity[mapper.model]
    for instance in group.instances:
        objects.pop(mapper.key(instance), None)
        for attribute in group.raws:
            if attribute.peek(instance) is UNSET:
                attribute.set(instance, getattr(instance, attribute.name))
            clear_slot(mapper, instance, str(attribute.raw_slot))
        mapper.make_new(instance)
        if group.generated:
            mapper.pk[0].set(instance, None)


def undo_updates(objects: dict[Any, Any], group: UpdatedGroup) -> None:
    """Give updated objects their former values."""
    mapper = group.mapper
    for position, instance in enumerate(group.instances):
        moved_from = mapper.key(instance)
        write_values(mapper, instance, group.olds[position], group.raws[position] if group.raws else {})
        if group.moved:
            objects.pop(moved_from, None)
            objects[mapper.key(instance)] = instance
