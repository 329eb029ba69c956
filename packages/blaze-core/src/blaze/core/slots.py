"""Empty a slot of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper


def clear_slot(mapper: Mapper, instance: Any, slot: str) -> None:
    """Empty a slot past change tracking, so that the next read loads it; an empty slot is left alone."""
    member = mapper.model.__dict__[slot]
    try:
        member.__delete__(instance)
    except AttributeError:
        return
