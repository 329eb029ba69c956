"""Dialects to write DDL for: the standard with everything, and with little."""

from __future__ import annotations

from typing import Any

from blaze.dialects.dialect import Dialect


def ansi(**features: Any) -> Dialect:
    """Give the standard dialect with other capabilities."""
    dialect = Dialect()
    dialect.features = dialect.features._replace(**features)
    return dialect


RICH = ansi(comments=True, deferrable_constraints=True, partial_indexes=True, expression_indexes=True)
