"""What a database is like: types, capabilities, quoting. Knowledge only, never a connection."""

from typing import TYPE_CHECKING, Any

from blaze.dialects.types import SQLType

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect
    from blaze.dialects.features import Features
else:

    def __getattr__(name: str) -> Any:
        """Import on first use: models need the types only."""
        if name == "Dialect":
            from blaze.dialects.dialect import Dialect as found
        elif name == "Features":
            from blaze.dialects.features import Features as found
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, found)


__all__ = ["Dialect", "Features", "SQLType"]
