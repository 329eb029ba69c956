"""Loaded many-to-many lists whose links go with rows that were deleted past their objects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from blaze.persistence.loading import load_relation
from blaze.plan import Plan

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.related_list import RelatedList
    from blaze.core.relations import Relation
    from blaze.persistence.base import SessionBase


def goes_with(mapper: Mapper, other: Mapper) -> bool:
    """Whether deleting a row of `other` may delete rows of `mapper`, over any number of tables."""
    seen = [mapper]
    for each in seen:
        for relation in each.family_key_relations:
            if relation.on_delete == "CASCADE":
                if relation.target.base is other.base:
                    return True
                if relation.target not in seen:
                    seen.append(relation.target)
    return False


def linking_lists(session: SessionBase, mapper: Mapper) -> list[RelatedList[Any]]:
    """Return the loaded many-to-many lists of which rows of a `through` model may go with deleted rows of a
    model that is not one of their sides: members leave the lists as the objects that they are.
    """
    lists = []
    for model, objects in session.identity.items():
        family = model.__mapper__.family() if objects else ()
        names = {r.name for each in family for r in each.relations.values() if _links_go(r, mapper)}
        for owner in objects.values() if names else ():
            shown = [owner._extra_.get(name) for name in names] if owner._extra_ else ()
            lists += [found for found in shown if found is not None and found.is_loaded]
    return lists


def _links_go(relation: Relation, mapper: Mapper) -> bool:
    """Whether links of a many-to-many relation go with rows of a model by their `through` model."""
    link = relation.link
    if link is None or link.model is None:
        return False
    through: Mapper = link.model.__mapper__  # type: ignore[attr-defined]
    return through.base is mapper.base or any(
        key.on_delete == "CASCADE" and (key.target.base is mapper.base or goes_with(key.target, mapper))
        for key in through.family_key_relations
        if tuple([attribute.column for attribute in key.local]) not in (link.own, link.target)
    )


def read_lists(session: SessionBase, lists: list[RelatedList[Any]]) -> Plan[None]:
    """Read loaded lists again, by one statement for each relation; a rollback undoes it."""
    owners: dict[Relation, list[Any]] = {}
    for shown in lists:
        session.work.undo.append(partial(shown.restore, shown.state()))
        shown.unload()
        owners.setdefault(shown.relation, []).append(shown.owner)
    for relation, found in owners.items():
        yield from load_relation(session, found, relation)
