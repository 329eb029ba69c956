"""What is told about an executed command."""

from __future__ import annotations

from typing import Any, Optional


def row_count(command: Any, result: Any) -> int:
    """Return how many rows a command read or wrote, as far as its result tells."""
    kind = result.__class__
    if kind is list or kind is dict:
        return len(result)
    if kind is int:
        return max(int(result), 0) if getattr(command, "consume", None) is None else 1
    if kind is bool:
        return int(result)
    count: int = getattr(result, "rowcount", 0)
    return count if count >= 0 else len(getattr(result, "rows", ()))


def execution(
    command: Any, seconds: float, rows: Optional[int], error: Optional[BaseException]
) -> dict[str, Any]:
    """Return what `after_execute` gives besides the session."""
    return {
        "statement": command.sql,
        "params": command.params,
        "duration": seconds,
        "rows": rows,
        "error": error,
    }
