"""The identity map: one object for each row in a session."""

from __future__ import annotations

from typing import Any


class IdentityMap(dict):  # type: ignore[type-arg]
    """From model to a dictionary from primary key to object.

    The objects are held until the session ends, or until `expunge`: that makes finding one a plain look-up.
    Streaming does not enter objects here.
    """

    __slots__ = ()

    def __missing__(self, model: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        self[model] = found
        return found

    def evict(self, model: Any, key: Any = None) -> None:
        """Forget one object, or all unchanged objects of a model; changed ones stay."""
        objects = self.get(model)
        if not objects:
            return
        if key is not None:
            objects.pop(key, None)
            return
        is_clean = model.__mapper__.is_clean
        for found in [found for found, instance in objects.items() if is_clean(instance)]:
            del objects[found]
