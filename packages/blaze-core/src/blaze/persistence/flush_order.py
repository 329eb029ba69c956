"""The order of a flush: tables that are referred to come first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper


def sort_mappers(mappers: Iterable[Mapper]) -> list[Mapper]:
    """Return mappers so that each comes after those its foreign keys refer to.

    In a cycle of tables a nullable key gives way: its rows are inserted without it and completed later.
    """
    left = list(dict.fromkeys(mappers))
    if len(left) < 2:
        return left
    needs = {
        mapper: {
            relation.target: relation.nullable
            for relation in mapper.relations.values()
            if relation.owns_key and relation.target is not mapper and relation.target in left
        }
        for mapper in left
    }
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
