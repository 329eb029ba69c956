"""The local changes of an object that is to be read again, for the case that this fails."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from blaze.core.specs import UNSET
from blaze.persistence.unit_of_work import is_meant

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.persistence.base import SessionBase


class Dropped:
    """What a refresh is about to drop: changes of columns, relations and lists, a pending deletion."""

    def __init__(
        self,
        session: SessionBase,
        mapper: Mapper,
        instance: Any,
        attributes: Collection[Attribute],
        lists: Iterable[RelatedList[Any]],
    ) -> None:
        """Remember the changes of these columns, with what relations show that have them, and of lists."""
        work = session.work
        self.session = session
        self.instance = instance
        old = None if mapper.is_clean(instance) else mapper.get_old(instance)
        self.values = [
            (attribute, attribute.peek(instance))
            for attribute, loaded in zip(mapper.columns, old or ())
            if attribute in attributes and not attribute.mutable and attribute.peek(instance) != loaded
        ]
        changed = {attribute for attribute, _ in self.values}
        self.related = []
        for relation in mapper.key_relations if old else ():
            related = relation.peek(instance)
            if related is UNSET or not any(attribute in attributes for attribute in relation.local):
                continue
            if not changed.isdisjoint(relation.local) or not (
                related is None or is_meant(relation, instance, relation.key_of(instance), related)
            ):
                self.related.append((relation, related))
        self.documents = [
            (attribute, attribute.peek(instance))
            for attribute in attributes
            if attribute.mutable and attribute.peek(instance) is not UNSET
        ]
        self.lists = [(found, found.state(), found.saved) for found in lists]
        self.registers = [r for r in (work.deleted, work.mutables) if id(instance) in r]

    def put_back(self) -> None:
        """Let the object have its changes again, unless it has left the session with another row."""
        instance, work = self.instance, self.session.work
        if instance not in self.session:
            return
        for attribute, value in self.documents:
            attribute.set(instance, value)
        for register in self.registers:
            register[id(instance)] = instance
        for attribute, value in self.values:
            setattr(instance, attribute.name, value)
        for relation, related in self.related:
            relation.assign(instance, related)
        for changed_list, state, saved in self.lists:
            changed_list.restore(state)
            changed_list.saved = saved
            work.collections[id(changed_list)] = changed_list
            relation = changed_list.relation
            if relation.link is not None and relation.inverse is not None:
                for item in changed_list.added.values():
                    relation.inverse.note_member(item, instance)
                for item in changed_list.removed.values():
                    relation.inverse.forget_member(item, instance)
