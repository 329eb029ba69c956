"""Copies and unpickled objects that come into a session: which of what they show comes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation


def forget_copied(mapper: Mapper, instance: Any) -> None:
    """Let a copy that becomes a new row forget what the row it was copied from is related to.

    Its columns say where it points; only objects without a key are not named by them.
    """
    for relation in mapper.relations.values():
        if not relation.owns_key:
            (instance._extra_ or {}).pop(relation.name, None)
            continue
        related = relation.peek(instance)
        if related is not UNSET and (related is None or relation.target.key(related) is not None):
            clear_slot(mapper, instance, relation.slot)


def stands_for_row(relation: Relation, copied: Any) -> bool:
    """Whether a copy that an object refers to is no new object: all that is wanted of it is the key of its
    row. Whoever wants its values written adds or merges it.
    """
    return (relation.owns_key or relation.link is not None) and relation.target.key(copied) is not None
