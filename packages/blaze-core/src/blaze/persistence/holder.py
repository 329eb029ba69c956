"""Which objects a session holds: what `add`, `delete` and `expunge` do in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.context import LoadContext
from blaze.core.detached import COPIED, DETACHED, ROLLED_BACK
from blaze.core.registry import registry
from blaze.core.specs import UNSET
from blaze.errors import ModelError, SessionError
from blaze.persistence.copies import forget_copied
from blaze.persistence.stored import key_before, linked_before
from blaze.persistence.unit_of_work import leave

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.identity_map import IdentityMap
    from blaze.persistence.transaction import TransactionManager
    from blaze.persistence.unit_of_work import UnitOfWork


class Holder:
    """The part of a session that takes objects in, registers them and lets them go."""

    closed: bool
    identity: IdentityMap
    pending_context: LoadContext
    transactions: TransactionManager
    work: UnitOfWork

    if TYPE_CHECKING:

        def check_usable(self) -> None: ...

    def object_changed(self, instance: Any) -> None:
        """Called by a loaded object at its first change."""
        if not self.closed:
            self.work.changed[id(instance)] = instance

    def single_changed(self, owner: Any, relation: Relation, previous: Any) -> None:
        """Called before the reverse side of a one-to-one relation shows another object."""
        if not self.closed:
            self.work.singles.setdefault((id(owner), relation.name), (owner, relation, previous))

    def was_unread(self, owner: Any, relation: Relation) -> bool:
        """Whether the reverse side of a one-to-one relation shows what was assigned since the last flush,
        and was not loaded before."""
        if self.closed or relation.owner.is_new(owner):
            return False
        found = self.work.singles.get((id(owner), relation.name))
        return found is not None and found[2] is UNSET

    def object_comes(self, instance: Any) -> None:
        """Called by a new object that nobody has added, when it is given an object of the session."""
        if not self.closed:
            self.work.comers[id(instance)] = instance

    def all_of(self, mapper: Mapper) -> list[Any]:
        """Return the objects of a model, those that are not in the database yet among them."""
        new = [o for o in {**self.work.new, **self.work.comers}.values() if isinstance(o, mapper.model)]
        return [*self.identity.of(mapper).values(), *new]

    def leaving(self, shown: RelatedList[Any]) -> set[int]:
        """Return the identities of the objects whose links to the owner of a many-to-many list go with
        objects of its `through` model that are marked for deletion.
        """
        model = shown.relation.link.model if shown.relation.link is not None else None
        return {
            id(member)
            for instance in self.work.deleted.values()
            if model is not None and isinstance(instance, model)
            for relation, owner, member in linked_before(self.identity, instance)
            if relation is shown.relation and owner is shown.owner
        }

    def comers(self) -> list[Any]:
        """Return the new objects that come with the next flush, as they refer to objects of the session."""
        return [instance for instance in self.work.comers.values() if self._comes(instance)]

    def _comes(self, instance: Any) -> bool:
        """Whether a new object that nobody has added comes with the next flush."""
        if id(instance) not in self.work.comers or instance._ctx_ is not None:
            return False
        relations = type(instance).__mapper__.relations.values()
        return any(self._given(instance, r) for r in relations if r.inverse is not None)

    def _given(self, instance: Any, relation: Relation) -> list[Any]:
        """Return the objects of the session that a new object was given."""
        if relation.owns_key:
            related = relation.peek(instance)
            return [related] if related in self else []
        listed = (instance._extra_ or {}).get(relation.name) if relation.link is not None else None
        return [] if listed is None else [item for item in listed.added.values() if item in self]

    def collection_changed(self, changed_list: RelatedList[Any]) -> None:
        """Called by a list of related objects at a change."""
        if not self.closed:
            self.work.collections[id(changed_list)] = changed_list

    def adopt(self, instance: Any) -> None:
        """Take an object in: a new one will be inserted, a loaded one is tracked.

        Raises `SessionError` for an object that another open session holds, `ModelError` for no model.
        """
        mapper: Optional[Mapper] = getattr(type(instance), "__mapper__", None)
        if mapper is None:
            raise ModelError(f"cannot add {type(instance).__name__}: it is not an instance of a model")
        if not mapper.configured:
            registry.configure(mapper)
        if mapper.options.view:
            mapper.require_table()
        context = instance._ctx_
        work = self.work
        again = context is ROLLED_BACK
        if context is not None and context.session is not self:
            self.require_own(instance)
            if mapper.is_new(instance):
                for attribute in mapper.columns:
                    getattr(instance, attribute.name)  # only that session decodes it; a copy may miss it
            if context is COPIED:
                forget_copied(mapper, instance)
            context = None
        if context is not None:
            if mapper.is_new(instance):
                work.new[id(instance)] = instance
            return
        if mapper.is_new(instance):
            instance._ctx_ = self.pending_context
            work.new[id(instance)] = instance
            if work.dropped:
                self._bring_back(mapper, instance)
            shown = id(instance) in work.comers  # by what was given to it in this session
            for relation in mapper.key_relations:
                if relation.inverse is None:
                    continue
                related = relation.peek(instance)
                if related is UNSET:  # given by key
                    related = relation.known(instance)
                elif shown or related is None or related._ctx_ is None:
                    continue
                relation.inverse.note_member(related, instance)  # it may have left: by `delete`, `expunge`
        else:
            self._attach(mapper, instance)
        if instance._extra_:
            self._adopt_lists(instance)
        if again:
            self._show_again(mapper, instance)

    def _adopt_lists(self, instance: Any) -> None:
        """Track the lists of an object that was taken in, and take in the new objects that they hold."""
        work = self.work
        waiting = [instance]
        for owner in waiting:
            relations = type(owner).__mapper__.relations
            for name in owner._extra_ or ():
                relation = relations.get(name)
                if relation is None or not relation.many:
                    continue
                found = relation.collection(owner)
                work.collections[id(found)] = found
                if relation.target.options.view:
                    continue  # the flush says that it is read-only
                for item in found.pending():
                    if item._ctx_ is None and relation.target.is_new(item):
                        item._ctx_ = self.pending_context
                        work.new[id(item)] = item
                        if work.dropped:
                            self._bring_back(type(item).__mapper__, item)
                        waiting.append(item)

    def _bring_back(self, mapper: Mapper, instance: Any) -> None:
        """Let come again what was deleted before it was saved: an object that is added, and what it needs."""
        for each in (instance, *[relation.peek(instance) for relation in mapper.key_relations]):
            self.work.dropped.pop(id(each), None)

    def require_own(self, instance: Any) -> None:
        """Raise `SessionError` for an object that another open session holds."""
        context = instance._ctx_
        if context is not None and context.session is not self and not context.session.closed:
            raise SessionError(
                f"this {type(instance).__mapper__.name} belongs to another session, {context.session!r}; "
                "merge() it, or expunge() it there"
            )

    @staticmethod
    def _show_again(mapper: Mapper, instance: Any) -> None:
        """Put an object that was rolled back into the loaded other sides of its relations again."""
        for relation in mapper.relations.values():
            inverse, related = relation.inverse, relation.peek(instance)
            if inverse is None or related is None or related is UNSET:
                continue
            for other in related.peek() if relation.many else (related,):
                if relation.link is not None or relation.owns_key:
                    inverse.note_member(other, instance)

    def _attach(self, mapper: Mapper, instance: Any) -> None:
        """Take over an object that a session loaded which is closed now."""
        key = key_before(mapper, instance)
        objects = self.identity[mapper.model]
        known = objects.get(key, self.work.expired.get((mapper.base.model, key)))
        if known is not None and known is not instance:
            raise SessionError(
                f"the session holds another {mapper.name} with the key {mapper.shown_key(key)}; "
                "merge() this one into it"
            )
        mapper.set_context(instance, LoadContext(self, (instance,)))
        objects[key] = instance
        if not mapper.is_clean(instance):
            self.work.changed[id(instance)] = instance
        if mapper.mutable_indexes:
            self.work.mutables[id(instance)] = instance

    def register(self, instance: Any) -> None:
        """Do the work of `add`."""
        if self.closed or self.transactions.broken is not None:
            self.check_usable()
        mapper = getattr(type(instance), "__mapper__", None)
        if mapper is not None:
            for relation in mapper.relations.values():
                if relation.owns_key:
                    related = relation.peek(instance)
                    if related is not None and related is not UNSET:
                        self.require_own(related)
        self.adopt(instance)
        if self.work.deleted:
            self.work.deleted.pop(id(instance), None)

    def register_delete(self, instance: Any) -> None:
        """Do the work of `delete`."""
        if self.closed or self.transactions.broken is not None:
            self.check_usable()
        mapper = getattr(type(instance), "__mapper__", None)
        if mapper is None:
            raise ModelError(f"cannot delete {type(instance).__name__}: it is not an instance of a model")
        work = self.work
        if type(instance)._tracked_ and instance._ctx_.session is self and not mapper.options.view:
            work.deleted[id(instance)] = instance
            return
        if mapper.is_new(instance):
            if id(instance) not in work.new and not self._comes(instance):
                raise SessionError(f"cannot delete this {mapper.name}: it was never saved")
            work.new.pop(id(instance), None)
            work.dropped[id(instance)] = instance
            self._leave_owners(mapper, instance)
            for changed_list in work.collections.values():
                changed_list.forget(instance)  # else the next flush would save it with the list
            mapper.make_new(instance)
            return
        self.adopt(instance)
        work.deleted[id(instance)] = instance

    def let_go(self, instances: Iterable[Any], inserted: bool = False) -> None:
        """Leave new objects to whoever writes or copies them, though they refer to objects of the session.

        What showed them is read again where they are `inserted` past it.
        """
        work = self.work
        for instance in instances if work.comers else ():
            if id(instance) not in work.comers:
                continue
            mapper = type(instance).__mapper__
            pointing = mapper.key_relations if inserted else ()
            shown = [(r.inverse, each) for r in pointing if r.inverse for each in self._given(instance, r)]
            for relation, near, _ in mapper.bridges if inserted else ():
                shown += [(relation, each) for each in self._given(instance, near)]
            self._leave_owners(mapper, instance)
            for inverse, owner in shown:
                if not inverse.owner.is_new(owner):
                    inverse.unload(owner)
                    work.singles.pop((id(owner), inverse.name), None)

    def _leave_owners(self, mapper: Mapper, instance: Any) -> None:
        """Take a new object off the objects of the session that it refers to: it does not come with them."""
        self.work.comers.pop(id(instance), None)
        for relation in mapper.relations.values():
            if relation.inverse is not None:
                for related in self._given(instance, relation):
                    relation.inverse.forget_member(related, instance)

    def expunge(self, instance: Any) -> None:
        """Take an object out of the session: it stays readable and is no longer tracked.

        A new one leaves the lists and objects that would bring it in again. Other objects are left alone.
        """
        mapper = type(instance).__mapper__ if self._comes(instance) else self.held(instance)
        work = self.work
        identity = id(instance)
        for register in (work.new, work.changed, work.deleted, work.mutables):
            register.pop(identity, None)
        if mapper.is_new(instance):
            self._leave_owners(mapper, instance)
        for changed_list in list(work.collections.values()):
            if changed_list.owner is instance:
                del work.collections[id(changed_list)]
            elif mapper.is_new(instance):
                changed_list.forget(instance)
        if not mapper.is_new(instance):
            for index in mapper.mutable_indexes:
                getattr(instance, mapper.columns[index].name)  # the session decodes what nobody else can
            work.mutables.pop(identity, None)
            key = key_before(mapper, instance)
            leave(self.identity[mapper.model], key, instance)
            leave(work.expired, (mapper.base.model, key), instance)
            work.note_expunge(mapper, instance, key)
            mapper.set_context(instance, LoadContext(DETACHED))
        else:
            instance._ctx_ = None

    def held(self, instance: Any) -> Mapper:
        mapper: Optional[Mapper] = getattr(type(instance), "__mapper__", None)
        context = None if mapper is None else instance._ctx_
        if mapper is None or context is None or context.session is not self:
            raise SessionError(
                f"this {type(instance).__name__} does not belong to the session; add() or merge() it"
            )
        return mapper

    def __contains__(self, instance: Any) -> bool:
        context = getattr(instance, "_ctx_", None)
        return context is not None and context.session is self
