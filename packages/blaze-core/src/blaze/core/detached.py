"""What stands for the session of an object that has none any more."""

from __future__ import annotations

from typing import Any

from blaze.core.context import LoadContext
from blaze.core.specs import UNSET
from blaze.errors import NotLoadedError


class Detached:
    """Stands for the session of an object that was expunged, deleted or rolled back: it tracks and loads
    nothing.
    """

    closed = True
    asynchronous = False
    cure = "the object belongs to no session; add() it to one"

    def object_changed(self, instance: Any) -> None:
        """Nothing is tracked."""

    def object_comes(self, instance: Any) -> None:
        """Nothing is tracked."""

    def collection_changed(self, changed_list: Any) -> None:
        """Nothing is tracked."""

    def single_changed(self, owner: Any, relation: Any, previous: Any) -> None:
        """Nothing is tracked."""

    def was_unread(self, owner: Any, relation: Any) -> bool:
        """Nothing will be read."""
        return False

    def resolve_known(self, instance: Any, relation: Any) -> Any:
        """Nothing is known."""
        return UNSET

    def load_lazily(self, instance: Any, relation: Any, flush: bool = True) -> Any:
        """Refuse to load a relation."""
        raise NotLoadedError(f"{relation.owner.name}.{relation.name} is not loaded and {self.cure}")

    def load_deferred(self, instance: Any, attribute: Any) -> Any:
        """Refuse to load a column."""
        raise NotLoadedError(f"{type(instance).__name__}.{attribute.name} is not loaded and {self.cure}")


class Copied(Detached):
    """Stands for the session of copies and unpickled objects that have a row."""

    cure = "the object is a copy; load it before copying, or merge() the copy into a session"


DETACHED = Detached()
# The context of new objects whose insert was rolled back: `add` puts them back into the lists they were in.
ROLLED_BACK = LoadContext(DETACHED)
# The context of copies: new to every session, but what they do not hold is not empty.
COPIED = LoadContext(Copied())
