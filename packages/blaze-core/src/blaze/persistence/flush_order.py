"""The order of a flush: tables that are referred to come first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper


def sort_bases(mappers: Iterable[Mapper]) -> list[Mapper]:
    """Return mappers so that each comes after those its foreign keys refer to.

    The models of a hierarchy stand together as the one at its base. In a cycle of tables a nullable key
    gives way: its rows are inserted without it and completed later.
    """
    members: dict[Mapper, list[Mapper]] = {}
    for mapper in dict.fromkeys(mappers):
        members.setdefault(mapper.base, []).append(mapper)
    left = list(members)
    if len(left) < 2:
        return left
    needs: dict[Mapper, dict[Mapper, bool]] = {}
    for base, own in members.items():
        needed = needs[base] = {}
        for relation in [r for mapper in own for r in mapper.key_relations]:
            target = relation.target.base
            if target is not base and target in members:
                needed[target] = relation.nullable and needed.get(target, True)
    found: list[Mapper] = []
    while left:
        ready = next((m for m in left if not any(target in left for target in needs[m])), None)
        if ready is None:
            ready = next(
                (m for m in left if not any(t in left and not free for t, free in needs[m].items())), left[0]
            )
        found.append(ready)
        left.remove(ready)
    return found
