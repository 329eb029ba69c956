"""Empty a slot of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper


def slot_member(model: type, slot: str) -> Any:
    """Return the descriptor of a slot, which the model or a model that it derives from has."""
    for cls in model.__mro__:
        member = cls.__dict__.get(slot)
        if member is not None:
            return member
    raise KeyError(slot)


def clear_slot(mapper: Mapper, instance: Any, slot: str) -> None:
    """Empty a slot past change tracking, so that the next read loads it; an empty slot is left alone."""
    member = slot_member(mapper.model, slot)
    try:
        member.__delete__(instance)
    except AttributeError:
        return
