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
