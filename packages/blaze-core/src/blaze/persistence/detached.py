"""What stands for the session of an object that has none any more."""

from __future__ import annotations

from typing import Any

from blaze.core.context import LoadContext
from blaze.core.specs import UNSET
from blaze.errors import NotLoadedError
from blaze.persistence.identity_map import IdentityMap


class Detached:
    """Stands for the session of an object that was expunged, deleted or rolled back: it tracks and loads
    nothing.
    """

    closed = True
    asynchronous = False

    @property
    def identity(self) -> IdentityMap:
        """No object is held here."""
        return IdentityMap()

    def object_changed(self, instance: Any) -> None:
        """Nothing is tracked."""

    def collection_changed(self, changed_list: Any) -> None:
        """Nothing is tracked."""

    def single_changed(self, owner: Any, relation: Any, previous: Any) -> None:
        """Nothing is tracked."""

    def resolve_known(self, instance: Any, relation: Any) -> Any:
        """Nothing is known."""
        return UNSET

    def load_lazily(self, instance: Any, relation: Any) -> Any:
        """Refuse to load a relation."""
        raise NotLoadedError(
            f"{relation.owner.name}.{relation.name} is not loaded and the object belongs to no session; "
            "add() it to one"
        )

    def load_deferred(self, instance: Any, attribute: Any) -> Any:
        """Refuse to load a column."""
        raise NotLoadedError(
            f"{type(instance).__name__}.{attribute.name} is not loaded and the object belongs to no session; "
            "add() it to one"
        )


class Gone(Detached):
    """Stands for the session of deleted objects: it still decodes what they hold."""

    def __init__(self, codecs: Any) -> None:
        self.codecs = codecs

    def thaw(self, instance: Any, attribute: Any, raw: Any) -> Any:
        """Decode a value when it is first read."""
        value = self.codecs[type(instance).__mapper__].decode(attribute, raw)
        attribute.set(instance, value)
        return value


DETACHED = Detached()
# The context of new objects whose insert was rolled back: `add` puts them back into the lists they were in.
ROLLED_BACK = LoadContext(DETACHED)
