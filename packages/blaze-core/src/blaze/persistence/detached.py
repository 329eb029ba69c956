"""What stands for the session of objects without rows."""

from __future__ import annotations

from typing import Any

from blaze.core.detached import Detached


class Gone(Detached):
    """Stands for the session of deleted objects: it still decodes what they hold."""

    def __init__(self, codecs: Any) -> None:
        self.codecs = codecs

    def thaw(self, instance: Any, attribute: Any, raw: Any) -> Any:
        """Decode a value when it is first read."""
        value = self.codecs[type(instance).__mapper__].decode(attribute, raw)
        attribute.set(instance, value)
        return value


class RolledBack(Detached):
    """Stands for the session of objects whose rows went with a rollback."""

    cure = "its row was rolled back"
