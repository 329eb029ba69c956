"""The flush: writes the unit of work in batches, in the order of the tables' graph."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from blaze.core.context import LoadContext
from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.core.validation import explain
from blaze.errors import DataError
from blaze.persistence.deletes import Deleter, bridge, key_before
from blaze.persistence.flush_order import sort_mappers
from blaze.persistence.inserts import InsertedGroup, Inserter, take_off
from blaze.persistence.pending import Pending
from blaze.persistence.unit_of_work import UnitOfWork, put_back_singles, restore_loaded, write_values
from blaze.persistence.updates import UpdatedGroup, Updater
from blaze.plan import ExecuteMany, Plan, fire

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.hooks.table import ModelHooks
    from blaze.persistence.base import SessionBase


class Flush:
    """One flush: statements first, memory last, so that a failure leaves the objects as they were."""

    def __init__(self, session: SessionBase) -> None:
        self.session = session
        self.work = session.work
        self.codecs = session.compilation.codecs
        self.inserter = Inserter(session)
        self.meanwhile = self.inserter.meanwhile
        self.updater = Updater(session, self.inserter)
        self.deleter = Deleter(session)
        self.model_hooks: dict[Any, ModelHooks] = {}
        self.new: dict[Mapper, list[Any]] = {}
        self.changed: list[Any] = []
        self.lists: list[RelatedList[Any]] = []

    def run(self) -> Plan[None]:
        """Write everything that is pending."""
        work = self.work
        deleted = dict(work.deleted)
        try:
            self.new = new = yield from self.prepare(deleted)
            self.changed = [o for identity, o in work.changed.items() if identity not in deleted]
            self.lists = list(work.collections.values())
            order = sort_mappers([*new, *(type(o).__mapper__ for o in deleted.values())])
            replaced = self.deleter.replaced(new, self.changed, deleted) if deleted and new else {}
            if replaced:
                yield from self.deleter.delete_all(order, replaced)
            self.inserter.waiting.update(new)
            for mapper in order:
                if mapper in new:
                    yield from self.inserter.insert_all(mapper, new[mapper])
            yield from self.updater.update_all(self.changed)
            yield from self.write_links(deleted)
            if len(replaced) < len(deleted):
                rest = {identity: o for identity, o in deleted.items() if identity not in replaced}
                yield from self.deleter.delete_all(order, rest)
        except BaseException as error:
            self.take_back()
            if isinstance(error, DataError):
                explain([*work.new.values(), *work.changed.values()])
            raise
        saved = self.saved()
        gone = [o for o in deleted.values() if self.hooks_of(o).after_delete]
        pending = Pending(self.session) if saved or gone else None
        self.finish(deleted)
        if pending is not None:
            try:
                yield from self.report(saved, gone)
            except BaseException:
                pending.revive()
                raise

    def take_back(self) -> None:
        """After a failure: take off the objects what the flush has put on them."""
        self.inserter.take_back()
        self.updater.take_back()
        for instance in (*self.work.new.values(), *self.changed):
            for relation in type(instance).__mapper__.key_relations:
                related = relation.peek(instance)
                if related is not None and related is not UNSET and relation.target.is_new(related):
                    relation.take_key(instance, related)

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
        queue = deque(deleted.values())
        while queue:
            instance = queue.popleft()
            own = self.hooks_of(instance)
            if own.before_delete:
                yield from fire(own.before_delete, session=session, instance=instance)
                for identity, more in work.deleted.items():
                    if identity not in deleted:
                        deleted[identity] = more
                        queue.append(more)
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
            queue += self.belonging(changed_list)
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
                for related in self.belonging(loaded) if relation.many else (loaded,):
                    if id(related) not in seen and type(related).__mapper__.is_new(related):
                        queue.append(related)

    @staticmethod
    def belonging(related: RelatedList[Any]) -> Any:
        """Return the objects that a list brings in: all of a new owner, of another those that were added to
        it.
        """
        return related.peek() if related.relation.owner.is_new(related.owner) else related.added.values()

    # --- many-to-many -----------------------------------------------------------------------------

    def write_links(self, deleted: dict[int, Any]) -> Plan[None]:
        """Write the pending links of many-to-many relations: removals first, then additions."""
        session = self.session
        removed: dict[Any, dict[Any, None]] = {}
        added: dict[Any, dict[Any, None]] = {}
        cleared: dict[Any, list[Any]] = {}
        for changed_list in self.lists:
            relation, owner = changed_list.relation, changed_list.owner
            link = relation.link
            if link is None or id(owner) in deleted:
                continue
            own = self.codecs[relation.owner].key_params(relation.owner.key(owner))
            if self.meanwhile.active:
                self.meanwhile.note_links(changed_list)
            if changed_list.cleared:
                cleared.setdefault(link, []).append(own)
            target = self.codecs[relation.target]
            for register, found in ((changed_list.removed, removed), (changed_list.added, added)):
                for member in register.values():
                    key = relation.target.key(member)
                    if key is not None and id(member) not in deleted:
                        pair = (*own, *target.key_params(key))
                        found.setdefault(link, {})[pair] = None
        for link, owners in cleared.items():
            yield from session.send(ExecuteMany(session.link_sql(link, "clear"), owners))
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
        for instance in self.changed:
            mapper = type(instance).__mapper__
            mapper.settle(instance, mapper.get_old(instance))
            work.changed.pop(id(instance), None)
        late_links = self.meanwhile.keep_links()
        for changed_list in self.lists:
            saved = changed_list.flushed(id(changed_list.owner) in work.new)
            work.undo.append(partial(changed_list.restore, saved))
            work.collections.pop(id(changed_list), None)
        for changed_list, added, removed in late_links:
            changed_list.changing()
            changed_list.added.update(added)
            changed_list.removed.update(removed)
        if work.singles:
            kept = [s for s in work.singles.values() if id(s[0]) not in work.new]
            work.undo.append(partial(put_back_singles, kept))
            work.singles.clear()
        for instance in deleted.values():
            mapper = type(instance).__mapper__
            if not mapper.is_clean(instance):
                restore_loaded(instance)
            key = mapper.key(instance)
            self.deleter.forget(mapper, instance, key)
        if deleted:
            self.deleter.follow(list(deleted.values()))
            self.deleter.leave_lists()
        for instances in self.new.values():
            for instance in instances:
                work.new.pop(id(instance), None)
        for identity in deleted:
            work.deleted.pop(identity, None)
        self.meanwhile.track(work)

    def finish_insert(self, group: InsertedGroup) -> None:
        """Make inserted objects clean members of the identity map.

        A value that changes in place is from now on what was written: reading it decodes a copy of its own.
        """
        work, mapper, instances = self.work, group.mapper, group.instances
        meanwhile = self.meanwhile.active
        for attribute, raws in group.raws.items():
            for instance, raw in zip(instances, raws):
                if raw is None:
                    continue
                attribute.raw_set(instance, raw)
                if meanwhile and self.codecs[mapper].encode(attribute, attribute.peek(instance)) != raw:
                    work.mutables[id(instance)] = instance
                else:
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
        work.undo.append(partial(undo_inserts, work, group))
        if mapper.bridges:
            bridge(work, mapper, instances)

    def finish_update(self, group: UpdatedGroup) -> None:
        """Note what the database holds now for updated objects."""
        work, mapper = self.work, group.mapper
        objects = work.identity[mapper.model]
        for attribute in group.mutable:
            for instance, raw in zip(group.instances, group.sent[attribute]):
                self.freeze(mapper, instance, attribute, raw)
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

    def freeze(self, mapper: Mapper, instance: Any, attribute: Any, raw: Any) -> None:
        """Remember what the database now holds for a value that may change in place."""
        if raw is None:
            clear_slot(mapper, instance, str(attribute.raw_slot))
        else:
            attribute.raw_set(instance, raw)
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


def undo_inserts(work: UnitOfWork, group: InsertedGroup) -> None:
    """Make inserted objects new again; what the database filled in goes, decoded values come back."""
    mapper = group.mapper
    objects = work.identity[mapper.model]
    for instance in group.instances:
        objects.pop(mapper.key(instance), None)
        work.changed.pop(id(instance), None)
        for attribute in group.raws:
            if attribute.peek(instance) is UNSET:
                attribute.set(instance, getattr(instance, attribute.name))
            clear_slot(mapper, instance, str(attribute.raw_slot))
            work.mutables.pop(id(instance), None)
        mapper.make_new(instance)
        take_off(group, instance)
    work.renewed += group.instances


def undo_updates(objects: dict[Any, Any], group: UpdatedGroup) -> None:
    """Give updated objects their former values."""
    mapper = group.mapper
    for position, instance in enumerate(group.instances):
        moved_from = mapper.key(instance)
        write_values(mapper, instance, group.olds[position], group.raws[position] if group.raws else {})
        if group.moved:
            objects.pop(moved_from, None)
            objects[mapper.key(instance)] = instance
