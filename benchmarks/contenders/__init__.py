"""The contenders, loaded by name so that one that is not installed can be left out."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# name: (sync class, async class or None)
CONTENDERS = {
    "raw": ("raw:Raw", "raw_async:RawAsync"),
    "blaze": ("blaze:Blaze", "blaze_async:BlazeAsync"),
    "sqlalchemy": ("sqlalchemy:SQLAlchemy", None),
    "peewee": ("peewee:Peewee", None),
}


def load(name: str, *, asynchronous: bool = False) -> Any:
    """Return the contender's class, None where it has no async variant; ImportError if not installed."""
    target = CONTENDERS[name][asynchronous]
    if target is None:
        return None
    module, _, attribute = target.partition(":")
    return getattr(import_module(f"benchmarks.contenders.{module}"), attribute)
