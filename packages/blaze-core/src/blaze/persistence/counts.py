"""How many rows a command touched."""

from __future__ import annotations

from typing import Any


def row_count(result: Any) -> int:
    """Return how many rows a command read or wrote, as far as its result tells."""
    kind = result.__class__
    if kind is list or kind is dict:
        return len(result)
    if kind is int:
        return max(int(result), 0)
    count: int = getattr(result, "rowcount", 0)
    return max(count, 0)
