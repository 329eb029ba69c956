"""Telling what can be awaited (`inspect.isawaitable` would import half of the compiler)."""

from __future__ import annotations

from typing import Any

__all__ = ["is_awaitable"]


def is_awaitable(value: Any) -> bool:
    """Tell whether `await value` works."""
    return hasattr(type(value), "__await__")
