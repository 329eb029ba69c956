"""What was pending before a flush, to make it pending again when a hook fails after the statements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from blaze.core.context import LoadContext
from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.persistence.base import SessionBase


class Pending:
    """A copy of the registers of a unit of work, with the values of changed objects and lists."""

    def __init__(self, session: SessionBase, former: Iterable[tuple[Attribute, Any, Any]]) -> None:
        """`former` are the values that the flush has replaced by itself."""
        work = session.work
        self.session = session
        self.mark = len(work.undo)
        self.new = dict(work.new)
        self.deleted = dict(work.deleted)
        before: dict[int, dict[Any, Any]] = {}
        for attribute, instance, value in former:
            before.setdefault(id(instance), {})[attribute] = value
        self.changed = [(o, self.values(o, before.get(identity, {}))) for identity, o in work.changed.items()]
        self.lists = [(found, found.state(), found.saved) for found in work.collections.values()]
        self.singles = dict(work.singles)
        self.shown = [(owner, r, r.peek(owner)) for owner, r, _ in work.singles.values()]

    @staticmethod
    def values(instance: Any, before: dict[Any, Any]) -> list[tuple[Any, Any]]:
        """Return the columns and to-one relations of an object with their values before the flush."""
        mapper = type(instance).__mapper__
        places = [*mapper.columns, *mapper.key_relations]
        return [(place, before[place] if place in before else place.peek(instance)) for place in places]

    def revive(self) -> None:
        """Take the flush back in memory and make everything pending again."""
        work = self.session.work
        work.forget_pending()
        work.undo_to(self.mark)
        for identity, instance in self.new.items():
            instance._ctx_ = LoadContext(self.session)
            work.new[identity] = instance
        for instance, values in self.changed:
            mapper = type(instance).__mapper__
            mapper.make_changed(instance)
            for place, value in values:
                if value is UNSET:
                    clear_slot(mapper, instance, place.slot)
                else:
                    place.set(instance, value)
            work.changed[id(instance)] = instance
        for changed_list, state, saved in self.lists:
            changed_list.restore(state)
            changed_list.saved = saved
            work.collections[id(changed_list)] = changed_list
        for owner, relation, shown in self.shown:
            relation.owner.extra(owner)[relation.name] = shown
        work.singles.update(self.singles)
        work.deleted.update(self.deleted)
