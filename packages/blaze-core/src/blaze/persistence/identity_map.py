"""The identity map: one object for each row in a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper


class IdentityMap(dict):  # type: ignore[type-arg]
    """From model to a dictionary from primary key to object; models of one hierarchy share one dictionary.

    The objects are held until the session ends, or until `expunge`: that makes finding one a plain look-up.
    Streaming does not enter objects here.
    """

    __slots__ = ()

    def __missing__(self, model: Any) -> Any:
        base = model.__mapper__.base.model
        if base is not model:
            return self[base]
        found: dict[Any, Any] = {}
        self[model] = found
        return found

    def since(self, known: dict[Any, dict[Any, Any]]) -> list[Any]:
        """Return the objects that were not there when they were copied."""
        return [
            instance
            for model, objects in self.items()
            for key, instance in objects.items()
            if known.get(model, {}).get(key) is not instance
        ]

    def of(self, mapper: Mapper) -> dict[Any, Any]:
        """Return the objects of a model, and of the models derived from it, by key."""
        found: dict[Any, Any] = self.get(mapper.base.model, {})
        if mapper.parent is None:
            return found
        model = mapper.model
        return {key: instance for key, instance in found.items() if isinstance(instance, model)}
