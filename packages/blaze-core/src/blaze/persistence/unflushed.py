"""Pending changes in lists that are loaded before they are flushed: the rows do not have them yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blaze.persistence.stored import local_before

if TYPE_CHECKING:
    from blaze.core.relations import Relation
    from blaze.persistence.unit_of_work import UnitOfWork


def add_links(work: UnitOfWork, relation: Relation, owners: dict[Any, Any], buckets: dict[Any, Any]) -> None:
    """Let the loaded members of many-to-many lists follow what is pending on their other side."""
    by_id = {id(owner): key for key, owner in owners.items()}
    for changed in list(work.collections.values()):
        if changed.relation is not relation.inverse:
            continue
        member = changed.owner
        for identity in [*changed.added, *changed.removed] if not changed.cleared else by_id:
            if identity not in by_id:
                continue
            members = buckets.setdefault(by_id[identity], [])
            linked = any(each is member for each in members)
            if identity in changed.added:
                if linked and not changed.cleared:
                    del changed.added[identity]  # it was linked already
                elif not linked:
                    members.append(member)
            elif linked:
                members[:] = [each for each in members if each is not member]
            else:
                changed.removed.pop(identity, None)  # nothing was linked


def add_members(
    work: UnitOfWork, relation: Relation, owners: dict[Any, Any], buckets: dict[Any, Any]
) -> None:
    """Let the loaded members of one-to-many lists follow the changed keys of objects."""
    inverse = relation.inverse
    assert inverse is not None
    by_id = {id(owner): key for key, owner in owners.items()}
    for member in (*work.changed.values(), *work.new.values()):
        if not isinstance(member, relation.target.model):
            continue
        mapper = type(member).__mapper__
        owner = inverse.known(member)
        before = None if mapper.is_new(member) else local_before(mapper, member, inverse)
        if before in buckets and owners[before] is not owner:
            buckets[before] = [each for each in buckets[before] if each is not member]
        members = buckets[by_id[id(owner)]] if id(owner) in by_id else None
        if members is not None and all(each is not member for each in members):
            members.append(member)
