"""Telling what can be awaited (`inspect.isawaitable` would import half of the compiler)."""

from __future__ import annotations

from typing import Any, NoReturn

from blaze.errors import ConfigurationError

__all__ = ["is_awaitable"]


def is_awaitable(value: Any) -> bool:
    """Tell whether `await value` works."""
    return hasattr(type(value), "__await__")


def close_awaitable(awaitable: Any) -> None:
    """Close a coroutine that nobody is going to await, so that Python does not warn about it."""
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()


def refuse_awaitable(awaitable: Any) -> NoReturn:
    """Close what a hook of a synchronous session returned and raise ConfigurationError."""
    close_awaitable(awaitable)
    raise ConfigurationError(
        "a hook of a synchronous session returned something to await: use AsyncSession, or a plain function"
    )
