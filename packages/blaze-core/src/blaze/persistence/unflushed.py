"""Pending changes in lists that are loaded before they are flushed: the rows do not have them yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from blaze.persistence.stored import local_before

if TYPE_CHECKING:
    from blaze.core.relations import Relation
    from blaze.persistence.unit_of_work import UnitOfWork


def show_links(work: UnitOfWork, relation: Relation, owners: Iterable[Any]) -> None:
    """Let many-to-many lists that were loaded follow what is pending on their other side."""
    by_id = {id(owner): owner for owner in owners}
    for changed in list(work.collections.values()):
        if changed.relation is not relation.inverse:
            continue
        member = changed.owner
        for identity in by_id if changed.cleared else [*changed.added, *changed.removed]:
            if identity not in by_id:
                continue
            shown = relation.collection(by_id[identity])
            linked = any(each is member for each in shown.peek())
            if changed.cleared and any(id(each) == identity for each in changed.peek()):
                shown.note_added(member)
                if identity not in changed.added:
                    shown.added[id(member)] = member  # the row goes with all others before
            elif identity in changed.added:
                if linked:
                    del changed.added[identity]  # it was linked already
                else:
                    shown.note_added(member)
            elif linked:
                shown.note_removed(member)
                if changed.cleared:
                    changed.removed[identity] = by_id[identity]  # which is known now
            else:
                changed.removed.pop(identity, None)  # nothing was linked


def show_members(work: UnitOfWork, relation: Relation, owners: dict[Any, Any]) -> None:
    """Let the reverse sides of keys that were loaded follow the changed keys of objects."""
    inverse = relation.inverse
    assert inverse is not None
    by_id = {id(owner): owner for owner in owners.values()}
    for owner in owners.values() if work.singles and not relation.many else ():
        note_stored(work, relation, owner, relation.peek(owner))
    coming = []
    for member in {**work.changed, **work.comers, **work.new}.values():
        if not isinstance(member, relation.target.model):
            continue
        mapper = type(member).__mapper__
        owner = inverse.known(member)
        before = None if mapper.is_new(member) else owners.get(local_before(mapper, member, inverse))
        after = by_id.get(id(owner))
        if before is after:
            continue
        if after is not None:
            coming.append((after, member))
        # Rows are put where their objects point now; what a rollback goes back to is where they pointed.
        if before is not None:
            if not is_shown(relation, before, member):
                put(work, relation, before, member, True)
            relation.forget_member(before, member)
    for owner, member in coming:  # when all have left: a one-to-one side has room for one
        if is_shown(relation, owner, member):
            put(work, relation, owner, member, False)
        relation.note_member(owner, member)


def note_stored(work: UnitOfWork, relation: Relation, owner: Any, member: Any) -> None:
    """Remember what a one-to-one side shows without the changes that are pending, now that it is known."""
    place = id(owner), relation.name
    if place in work.singles:
        work.singles[place] = (owner, relation, member)


def put(work: UnitOfWork, relation: Relation, owner: Any, member: Any, shown: bool) -> None:
    """Have a loaded reverse side show an object, or not, as if its row had said so."""
    if not relation.many:
        relation.put(owner, member if shown else None)
        note_stored(work, relation, owner, member if shown else None)
    elif shown:
        relation.collection(owner).show(member)
    else:
        relation.collection(owner).forget(member)


def is_shown(relation: Relation, owner: Any, member: Any) -> bool:
    """Whether the loaded reverse side of a key has an object."""
    found = relation.peek(owner)
    return any(each is member for each in found.peek()) if relation.many else found is member
