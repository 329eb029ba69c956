"""The flush: writes the unit of work in batches, in the order of the tables' graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.context import LoadContext
from blaze.core.detached import COPIED
from blaze.core.slots import clear_slot, slot_member
from blaze.core.specs import UNSET
from blaze.core.validation import explain
from blaze.errors import DataError, ForeignKeyError
from blaze.persistence.copies import stands_for_row
from blaze.persistence.deletes import Deleter, referring, relink, show_inserted, show_members
from blaze.persistence.displaced import displaced, replaced, superseded
from blaze.persistence.expiring import rules_write
from blaze.persistence.flush_order import sort_bases
from blaze.persistence.handover import Handover
from blaze.persistence.inserts import InsertedGroup, Inserter, by_mapper, take_off
from blaze.persistence.key_changes import CURE, follow, meant, moving
from blaze.persistence.late_values import read_unique
from blaze.persistence.linking import Linker
from blaze.persistence.loading import load_relation
from blaze.persistence.orphans import refuse_dropped, refuse_orphans
from blaze.persistence.pending import Pending
from blaze.persistence.sharing import is_shared
from blaze.persistence.stored import key_before, key_in, local_before
from blaze.persistence.unit_of_work import (
    UnitOfWork,
    leave,
    put_back_related,
    put_back_singles,
    restore_loaded,
    write_values,
)
from blaze.persistence.updates import UpdatedGroup, Updater
from blaze.plan import Plan, fire

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
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
        self.model_hooks: dict[Any, ModelHooks] = {}
        self.new: dict[Mapper, list[Any]] = {}
        self.changed: list[Any] = []
        self.first: dict[int, Any] = {}  # deleted objects whose rows went before everything else
        self.lists: list[RelatedList[Any]] = []
        self.linker: Optional[Linker] = None
        self.moving: dict[int, Any] = {}  # objects whose primary key changes
        self.keys_before: list[tuple[Attribute, Any, Any]] = []  # foreign keys that follow them
        self.meant: list[tuple[Any, Relation]] = []  # relations that were given the new key of one of them
        self.replaced: list[tuple[Any, Relation, Any]] = []  # what was meant by keys that others take over
        self.superseded: list[tuple[Any, Relation, Any]] = []  # deleted objects that new ones still show
        self.told_after: list[Any] = []  # the objects whose hooks were called after the statements
        self.early = 0  # so many groups of updates went before the inserts of their table
        self.finishing = self.finished = self.interrupted = False

    @cached_property
    def deleter(self) -> Deleter:
        """The deleting part; most flushes have none."""
        return Deleter(self.session, self.meanwhile, self.updater.moves)

    def run(self) -> Plan[None]:
        """Write everything that is pending."""
        work = self.work
        deleted = dict(work.deleted)
        cache = self.session.cache
        try:
            self.new = new = yield from self.prepare(deleted)
            self.inserter.alone = self.session.transactions.may_send_alone and self.is_lone(deleted)
            if work.changed:
                self.changed = [o for identity, o in work.changed.items() if identity not in deleted]
            if work.collections:
                self.lists = list(work.collections.values())
            if cache is not None:
                cache.exact = True
            kinds = {m: group for found in new.values() for m, group in by_mapper(found).items()}
            order = sort_bases([*kinds, *(type(o).__mapper__ for o in deleted.values())])
            before: dict[Mapper, list[Any]] = {}
            if any(found.relation.link is not None and found.relation.link.model for found in self.lists):
                self.linker = Linker(self.session, self.updater)
                yield from self.linker.unlink_objects(self.lists, deleted)
                unlinked = self.linker.unlinked
                self.changed = [o for o in self.changed if id(o) not in unlinked]
            if self.changed or (new and deleted):
                yield from read_unique(self.session, self.changed, deleted.values() if new else ())
            if new and deleted:
                self.superseded = list(superseded(work.new.values(), deleted))
            relinked = self.linker.relinked if self.linker is not None else {}
            if relinked or (new and deleted) or (self.changed and (new or deleted)):
                rows = deleted
                if self.linker is not None:
                    rows = {i: o for i, o in deleted.items() if i not in self.linker.unlinked}
                handover = Handover(order, new, self.changed, rows, list(relinked.values()))
                self.first, before = handover.first, handover.before
                if self.first:
                    yield from self.deleter.empty(handover.emptied)
                    yield from self.deleter.delete_all(order, self.first)
                if handover.parked:
                    yield from self.updater.park(handover.parked)
            self.moving = moving(self.changed)
            # A deleted row keeps its key: what refers to it does not get the one that its object was given.
            leaving = moving([o for identity, o in work.changed.items() if identity in deleted])
            self.inserter.moving = {**self.moving, **leaving}
            if self.inserter.moving:
                self.meant = list(meant(self.moving, [*work.new.values(), *self.changed]))
                self.keys_before = list(self.following_keys())
            if self.moving or self.first:
                self.replaced = list(replaced(work, self.changed))
            self.inserter.waiting.update(new)
            for mapper in order:
                if mapper in before:
                    yield from self.updater.update_before(before[mapper])
                if mapper in new:
                    yield from self.inserter.insert_all(new[mapper])
            self.early = len(self.updater.groups)
            if self.moving or self.first:  # now new rows have their keys, which may be those of deleted ones
                self.inserter.postponed += displaced(
                    self.changed, [*self.moving.values(), *self.first.values()]
                )
            if self.changed or self.inserter.postponed:
                yield from self.updater.update_all(self.changed)
            if self.lists:
                self.linker = self.linker or Linker(self.session, self.updater)
                yield from self.linker.write(self.lists, deleted)
            if len(self.first) < len(deleted):
                gone_before = {*self.first, *self.linker.unlinked} if self.linker else self.first
                rest = {identity: o for identity, o in deleted.items() if identity not in gone_before}
                yield from self.deleter.delete_all(order, rest)
                yield from self.deleter.refuse_referred(rest.values())
            if cache is not None:
                cache.note_flush(self, deleted.values())
            saved = self.saved()
            gone = self.told(deleted, "after_delete") if deleted else []
            former = [*self.keys_before, *self.updater.former()]
            pending = Pending(self.session, former) if saved or gone else None
            self.finish(deleted)
        except BaseException as error:
            if self.finishing:  # interrupted when all is written: memory has to follow
                self.interrupted = True
                self.finish(deleted)
                raise
            self.take_back()
            if isinstance(error, ForeignKeyError) and self.moving:
                said, line, statement = str(error.args[0]).partition("\n")
                error.args = (f"{said}{CURE}{line}{statement}",)
            if isinstance(error, DataError):
                explain([*work.new.values(), *work.changed.values()])
            raise
        finally:
            if cache is not None:
                cache.exact = False
        if pending is not None:
            self.told_after = [*(instance for instance, _ in saved), *gone]
            try:
                yield from self.report(saved, gone)
            except BaseException:
                pending.revive()
                self.finished = False
                raise

    def take_back(self) -> None:
        """After a failure: take off the objects what the flush has put on them."""
        self.inserter.take_back()
        self.updater.take_back()
        for instance in (*self.work.new.values(), *self.changed):
            for relation in type(instance).__mapper__.key_relations:
                related = relation.peek(instance)
                if related is None or related is UNSET:
                    continue
                if relation.target.is_new(related):
                    relation.take_key(instance, related)
        for attribute, instance, value in self.keys_before:
            if value is UNSET:
                clear_slot(type(instance).__mapper__, instance, attribute.slot)
            else:
                attribute.set(instance, value)
        self.forget_meant()

    def forget_meant(self) -> None:
        """Let the relations that were given by a key find their objects by it again."""
        for instance, relation in self.meant:
            clear_slot(type(instance).__mapper__, instance, relation.slot)

    def following_keys(self) -> Iterator[tuple[Attribute, Any, Any]]:
        """Yield the keys, as they are, by which objects of the flush refer to others with a changed key."""
        for instance in (*self.work.new.values(), *self.changed):
            for relation in type(instance).__mapper__.key_relations:
                if id(relation.peek(instance)) in self.inserter.moving:
                    for attribute in relation.local:
                        yield attribute, instance, attribute.peek(instance)

    # --- what takes part --------------------------------------------------------------------------

    def prepare(self, deleted: dict[int, Any]) -> Plan[dict[Mapper, list[Any]]]:
        """Find new objects through relations, run the hooks before, and group the new objects by the mapper
        at the base of their hierarchy.
        """
        work, session = self.work, self.session
        self.cascade()
        if work.singles:
            yield from self.part_former()
        done: set[int] = set()
        left_out = set(work.comers)  # of the caller, who does not want them in this flush
        while (work.new or work.changed) and self.any_hooks():
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
            self.adopt_comers(left_out)
            self.cascade()
            if work.singles:
                yield from self.part_former()
        queue = deque(self.told(deleted, "before_delete") if deleted else ())
        while queue:
            instance = queue.popleft()
            yield from fire(self.hooks_of(instance).before_delete, session=session, instance=instance)
            late = {i: o for i, o in work.deleted.items() if i not in deleted}
            deleted.update(late)
            queue += self.told(late, "before_delete")
            self.adopt_comers(left_out)
        new: dict[Mapper, list[Any]] = {}
        for identity, instance in work.new.items():
            if identity not in deleted:
                new.setdefault(type(instance).__mapper__.base, []).append(instance)
        if deleted and new:
            refuse_orphans(new, deleted)
        if work.dropped:
            refuse_dropped(work, deleted)
        return new

    def part_former(self) -> Plan[None]:
        """Read whom one-to-one sides that were assigned unread have had, by one statement for each relation:
        those lose their key, if it may be NULL, as they do where they were loaded before.
        """
        owners: dict[Relation, list[Any]] = {}
        for owner, relation, previous in self.work.singles.values():
            if previous is not UNSET or relation.owner.is_new(owner) or owner not in self.session:
                continue
            if relation.peek(owner) not in (None, UNSET) and getattr(relation.inverse, "nullable", False):
                owners.setdefault(relation, []).append(owner)
        for relation, found in owners.items():
            yield from load_relation(self.session, found, relation)

    def adopt_comers(self, left_out: set[int]) -> None:
        """Take in the new objects that hooks have given to objects of the session, as if added by them."""
        if self.work.comers:
            for instance in self.session.comers():
                if id(instance) not in left_out:
                    self.session.adopt(instance)

    def told(self, instances: dict[int, Any], event: str) -> list[Any]:
        """Return the objects whose models have hooks of an event: asked once for each class."""
        hooked = {
            kind: getattr(self.hooks_of_class(kind), event) for kind in set(map(type, instances.values()))
        }
        if not any(hooked.values()):
            return []
        return [instance for instance in instances.values() if hooked[type(instance)]]

    def hooks_of(self, instance: Any) -> ModelHooks:
        """Return the handlers for an object's model."""
        return self.hooks_of_class(type(instance))

    def hooks_of_class(self, kind: Any) -> ModelHooks:
        """Return the handlers for the objects of a class, which may be that of changed or new ones."""
        found = self.model_hooks.get(kind)
        if found is None:
            model, table = kind.__mapper__.model, self.session.hooks
            found = table.known.get(id(model)) or table.for_model(model)
            self.model_hooks[kind] = found
        return found

    def any_hooks(self) -> bool:
        """Whether a model of what is pending has hooks: asked once for each class, not for each object."""
        kinds = {*map(type, self.work.new.values()), *map(type, self.work.changed.values())}
        return any([self.hooks_of_class(kind).any for kind in kinds])  # noqa: C419 - a list is faster

    def cascade(self) -> None:
        """Add the new objects that new, changed and relisted objects refer to."""
        work, session = self.work, self.session
        queue = deque(o for o in (*work.new.values(), *work.changed.values()) if type(o).__mapper__.relations)
        for changed_list in work.collections.values():
            relation = changed_list.relation
            queue += [
                o for o in changed_list.pending() if o._ctx_ is not COPIED or not stands_for_row(relation, o)
            ]
        seen = set()
        while queue:
            instance = queue.popleft()
            if id(instance) in seen:
                continue
            seen.add(id(instance))
            mapper = type(instance).__mapper__
            session.adopt(instance)
            for relation in mapper.relations.values():
                loaded = relation.peek(instance)
                if loaded is None or loaded is UNSET:
                    continue
                for related in loaded.pending() if relation.many else (loaded,):
                    if id(related) in seen:
                        continue
                    if related._ctx_ is COPIED and stands_for_row(relation, related):
                        if relation.owns_key:  # the session has an object of its own for that row
                            relation.take_key(instance, related)
                            clear_slot(mapper, instance, relation.slot)
                    elif type(related).__mapper__.is_new(related):
                        if id(related) not in work.dropped:
                            queue.append(related)
                    elif related._ctx_ is not None and related._ctx_.session is not session:
                        session.require_own(related)

    def is_lone(self, deleted: dict[int, Any]) -> bool:
        """Whether one INSERT is all there is to write, and nobody is asked after it."""
        work, table = self.work, self.session.hooks
        if deleted or work.changed or work.collections or len(work.new) != 1:
            return False
        (instance,) = work.new.values()
        kind = type(instance)
        listening = table.before_execute or table.after_execute or self.hooks_of_class(kind).any
        return not listening and len(kind.__mapper__.tables) == 1

    # --- memory -----------------------------------------------------------------------------------

    def finish(self, deleted: dict[int, Any]) -> None:
        """Make memory agree with what was written, in that order, and log how to undo it.

        After an interrupt it is run again from its start: every step can be taken twice, and of two entries
        in the log the first one undoes last.
        """
        self.finishing = True
        early = self.early
        work = self.work
        # What relations show goes back last, on objects that are in their places again.
        if self.replaced or self.superseded:
            work.undo.append(partial(put_back_related, work, [*self.replaced, *self.superseded]))
        late_links = self.meanwhile.keep_links()
        for changed_list in self.lists:
            if id(changed_list) in work.collections:
                changed_list.flushed(id(changed_list.owner) in work.new, work.undo)
                del work.collections[id(changed_list)]
        for changed_list, added, removed in late_links:
            changed_list.changing()
            changed_list.added.update(added)
            changed_list.removed.update(removed)
        if work.singles:
            kept = [s for s in work.singles.values() if id(s[0]) not in work.new]
            work.undo.append(partial(put_back_singles, kept))
            work.singles.clear()
        if self.first:  # what was written later may refer to rows that came in their place
            relinked = self.linker.relinked if self.linker is not None else {}
            others = [o for identity, o in self.first.items() if identity not in relinked]
            self.drop_changes([*relinked.values(), *others])
            # Many-to-many lists go on showing what they have linked again.
            self.deleter.cascade(self.deleter.forget(relinked.values(), linked=False), self.rewritten)
            self.deleter.cascade(self.deleter.forget(others), self.rewritten)
        for updated in self.updater.groups[:early]:
            self.finish_update(updated)
        for group in self.inserter.groups:
            self.finish_insert(group)
        for updated in self.updater.groups[early:]:
            self.finish_update(updated)
        for instance in self.changed:
            if id(instance) in work.changed:
                mapper = type(instance).__mapper__
                mapper.settle(instance, mapper.get_old(instance))
                del work.changed[id(instance)]
        rest = [o for identity, o in deleted.items() if identity not in self.first]
        # What goes has the values of its row before it follows others: a rollback goes back to those.
        self.drop_changes(rest if self.linker is None else [*rest, *self.linker.gone()])
        if self.moving:
            follow(work, self.updater.groups, self.meanwhile)
            self.forget_meant()
            for instance, _ in self.meant:
                if id(instance) not in work.new:
                    show_inserted(work, type(instance).__mapper__, [instance])
        if deleted:
            self.deleter.cascade(self.deleter.forget(rest))
            self.deleter.leave_lists()
        if self.linker is not None and (self.linker.unlinked or self.linker.bridged):
            self.linker.finish(self.deleter)
        for instance, relation, _ in self.superseded:
            clear_slot(type(instance).__mapper__, instance, relation.slot)
        # What goes leaves the lists first: something else may link the same pair.
        for updated in self.updater.groups:
            if updated.mapper.bridges and any(a.key_of is not None for a in updated.attributes):
                relink(self.deleter, updated)
        for group in self.inserter.groups:
            if group.mapper.key_relations:
                show_inserted(work, group.mapper, group.instances)
        inserted = {id(instance) for instances in self.new.values() for instance in instances}
        for updated in self.updater.groups if inserted else ():
            if any(a.key_of is not None for a in updated.attributes):
                show_members(work, referring(work, updated.mapper, updated.instances, inserted))
        for identity in inserted:
            work.new.pop(identity, None)
        for identity in deleted:
            work.deleted.pop(identity, None)
        work.dropped.clear()
        self.meanwhile.track(work)
        transactions = self.session.transactions
        if transactions.lone is not None and not transactions.begun:  # which has committed
            transactions.keep()
        gone = [*deleted.values(), *self.linker.gone()] if self.linker else deleted.values()
        bridged = self.linker is not None and self.linker.bridged  # rows of which there is no object
        if bridged or rules_write(self.session, gone, self.moving.values()):
            transactions.note_bypass()  # now all that is known follows them
        self.finished = True

    @cached_property
    def rewritten(self) -> set[tuple[int, Relation]]:
        """The keys of changed objects, by identity and relation, that were written after rows had gone."""
        found = {(id(instance), relation) for instance, relation in self.inserter.postponed}
        for instance in self.changed:
            mapper = type(instance).__mapper__
            for relation in mapper.key_relations:
                if local_before(mapper, instance, relation) != relation.key_of(instance):
                    found.add((id(instance), relation))
        return found

    def drop_changes(self, instances: list[Any]) -> None:
        """Give objects whose rows are deleted the values that were loaded: their changes were not written."""
        for instance in instances:
            if not type(instance)._tracked_:
                for relation in type(instance).__mapper__.key_relations:
                    if relation.inverse is not None:  # it may show there since a change that was not written
                        self.deleter.leave(relation, relation.inverse, instance)
                restore_loaded(instance)

    def finish_insert(self, group: InsertedGroup) -> None:
        """Make inserted objects clean members of the identity map.

        A value that changes in place and that nobody else holds is from now on what was written: reading it
        decodes it again. Others are watched.
        """
        work, mapper, instances = self.work, group.mapper, group.instances
        meanwhile = self.meanwhile.active
        for attribute, raws in group.raws.items():
            empty = slot_member(mapper.model, attribute.slot).__delete__
            for instance, raw in zip(instances, raws):
                if raw is None:
                    continue
                attribute.raw_set(instance, raw)
                if is_shared(attribute.peek(instance)) or (
                    meanwhile and self.codecs[mapper].encode(attribute, attribute.peek(instance)) != raw
                ):
                    work.mutables[id(instance)] = instance
                    continue
                try:
                    empty(instance)
                except AttributeError:  # it is empty: run again after an interrupt
                    continue
        context = LoadContext(self.session, instances)
        found = work.identity[mapper.model]
        if group.complete and not self.interrupted:  # else some are clean already
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

    def finish_update(self, group: UpdatedGroup) -> None:
        """Note what the database holds now for updated objects."""
        work, mapper = self.work, group.mapper
        objects = work.identity[mapper.model]
        for attribute in group.mutable:
            for instance, raw in zip(group.instances, group.sent[attribute]):
                self.freeze(mapper, instance, attribute, raw)
        if group.moved:
            for instance in group.instances:
                leave(objects, key_before(mapper, instance), instance)
        if len(mapper.pk) == 1:
            keys = list(map(mapper.pk[0].get, group.instances))
        else:
            keys = list(map(mapper.key, group.instances))
        objects.update(zip(keys, group.instances))
        work.undo.append(partial(undo_updates, work, group, keys))

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
            if self.hooks_of_class(type(group.instances[0])).after_save
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
    instances = work.without_rows(group.instances) if work.absent else group.instances
    for instance in instances:
        key = mapper.key(instance)
        if objects.get(key) is instance:
            del objects[key]
        work.changed.pop(id(instance), None)
        for attribute in group.raws:
            if attribute.peek(instance) is UNSET and attribute.peek_raw(instance) is not UNSET:
                attribute.set(instance, getattr(instance, attribute.name))
            clear_slot(mapper, instance, str(attribute.raw_slot))
            work.mutables.pop(id(instance), None)
        mapper.make_new(instance)
        take_off(group, instance)
    work.renewed += instances


def undo_updates(work: UnitOfWork, group: UpdatedGroup, keys: list[Any]) -> None:
    """Give updated objects their former values; `keys` are those that they were written with."""
    mapper = group.mapper
    objects = work.identity[mapper.model]
    targets = list(map(work.now, group.instances)) if work.absent else group.instances
    if group.moved:
        for target, key in zip(targets, keys):
            if target is not None:
                leave(objects, key, target)
        for instance, old in zip(group.instances, group.olds) if work.absent else ():
            absence = work.absent.get(id(instance))
            if absence is not None:
                absence.key = key_in(mapper, old)
    for position, instance in enumerate(targets):
        if instance is None:
            continue
        write_values(mapper, instance, group.olds[position], group.raws[position] if group.raws else {})
        if group.moved:
            objects[mapper.key(instance)] = instance
