"""The PostgreSQL backend of Blaze: psycopg2 for blocking code, asyncpg for asynchronous code."""

from typing import TYPE_CHECKING, Any

from blaze_postgres.adapter import AsyncpgAdapter, PostgresAdapter
from blaze_postgres.dialect import PostgresDialect
from blaze_postgres.ranges import Range

if TYPE_CHECKING:
    from blaze_postgres.alistening import AsyncListener
    from blaze_postgres.listening import Listener
    from blaze_postgres.notifying import Notification, anotify, notify
else:

    def __getattr__(name: str) -> Any:
        """Import on first use: these load a driver, or the layers of SQL."""
        import importlib

        places = {"AsyncListener": "alistening", "Listener": "listening"}
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(f"{__name__}.{places.get(name, 'notifying')}")
        return globals().setdefault(name, getattr(module, name))


__all__ = [
    "AsyncListener",
    "AsyncpgAdapter",
    "Listener",
    "Notification",
    "PostgresAdapter",
    "PostgresDialect",
    "Range",
    "anotify",
    "notify",
]
