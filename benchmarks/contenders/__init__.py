"""The contenders, loaded by name so that one that is not installed can be left out."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Optional

# name: (sync class, async class), each None where the library has none; {} is the backend
CONTENDERS: dict[str, tuple[Optional[str], Optional[str]]] = {
    "raw": ("raw_{}:Raw", "raw_{}_async:RawAsync"),
    "blaze": ("blaze:Blaze", "blaze_async:BlazeAsync"),
    "sqlalchemy": ("sqlalchemy:SQLAlchemy", "sqlalchemy_async:SQLAlchemyAsync"),
    "peewee": ("peewee:Peewee", None),
    "django": ("django:Django", None),
    "tortoise": (None, "tortoise:Tortoise"),
}


def load(name: str, backend: str, *, asynchronous: bool = False) -> Any:
    """Return the contender's class; ImportError if it is not installed."""
    target = CONTENDERS[name][asynchronous]
    if target is None:
        raise LookupError(f"{name} has no such class")
    module, _, attribute = target.format(backend).partition(":")
    return getattr(import_module(f"benchmarks.contenders.{module}"), attribute)
