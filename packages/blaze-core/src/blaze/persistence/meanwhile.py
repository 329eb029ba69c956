"""What other tasks change while the flush of an asynchronous session waits for the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from blaze.core.specs import UNSET

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.unit_of_work import UnitOfWork


class Meanwhile:
    """Remembers what was sent; `track` makes pending again whatever differs from it when the flush is done.

    A blocking session holds its lock for the whole flush and needs none of this: `active` is False then.
    """

    def __init__(self, active: bool) -> None:
        self.active = active
        self.sent: dict[int, tuple[Any, list[Any]]] = {}
        self.links: list[tuple[RelatedList[Any], dict[int, Any], dict[int, Any]]] = []

    def note(self, mapper: Mapper, instances: Sequence[Any], missing: Sequence[Attribute] = ()) -> None:
        """Remember the values of objects; `missing` are columns that the database fills in.

        Not those that change in place: their texts are compared, and who is held here would count as shared.
        """
        peeks = [_unset if a.mutable or a in missing else a.peek for a in mapper.columns]
        for instance in instances:
            self.sent[id(instance)] = (instance, [peek(instance) for peek in peeks])

    def completed(self, instance: Any, relation: Relation) -> None:
        """Remember the key of a relation that is written by an update of its own."""
        found = self.sent.get(id(instance))
        if found is not None:
            for attribute in relation.local:
                found[1][relation.owner.columns.index(attribute)] = attribute.peek(instance)

    def note_links(self, changed_list: RelatedList[Any]) -> None:
        """Remember the pending links of a list that are written now."""
        self.links.append((changed_list, dict(changed_list.added), dict(changed_list.removed)))

    def keep_links(self) -> list[tuple[RelatedList[Any], dict[int, Any], dict[int, Any]]]:
        """Return the links that came after those that were written, to be pending again."""
        found = []
        for changed_list, added, removed in self.links:
            now_added, now_removed = changed_list.added, changed_list.removed
            late = {k: v for k, v in now_added.items() if k not in added}
            gone = {k: v for k, v in now_removed.items() if k not in removed}
            # What was sent and is pending no more was taken back in the meantime.
            late.update((k, v) for k, v in removed.items() if k not in now_removed)
            gone.update((k, v) for k, v in added.items() if k not in now_added)
            if late or gone:
                found.append((changed_list, late, gone))
        return found

    def track(self, work: UnitOfWork) -> None:
        """Mark the objects as changed whose values are not what was sent."""
        for instance, values in self.sent.values():
            mapper = type(instance).__mapper__
            if not mapper.is_clean(instance):
                continue
            late = [
                (position, value)
                for position, (value, now) in enumerate(zip(values, mapper.snapshot(instance)))
                if value is not UNSET and value is not now and value != now
            ]
            if not late:
                continue
            mapper.make_changed(instance)
            old = mapper.get_old(instance)
            assert old is not None
            before = list(old)
            for position, value in late:
                before[position] = value
            mapper.set_old(instance, type(old)(before))
            work.changed[id(instance)] = instance


def _unset(instance: Any) -> Any:
    return UNSET
