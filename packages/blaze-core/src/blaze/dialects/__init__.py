"""What a database is like: types, capabilities, quoting. Knowledge only, never a connection."""

from blaze.dialects.dialect import Dialect
from blaze.dialects.features import Features
from blaze.dialects.types import SQLType

__all__ = ["Dialect", "Features", "SQLType"]
