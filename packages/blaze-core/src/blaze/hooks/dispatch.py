"""Call handlers outside of plans. Plans use `fire`, `fire_each` and `fire_all` of blaze/plan.py."""

from __future__ import annotations

from typing import Any

from blaze.hooks.table import Calls
from blaze.utils.awaitables import is_awaitable, refuse_awaitable


def call(handlers: Calls, **arguments: Any) -> None:
    """Call the handlers of a synchronous session, in order, with all arguments of their event.

    Raises ConfigurationError when one returns something to await.
    """
    for handler in handlers:
        result = handler(**arguments)
        if result is not None and is_awaitable(result):
            refuse_awaitable(result)


async def acall(handlers: Calls, **arguments: Any) -> None:
    """Call the handlers of an asynchronous session, in order, and await those that are `async def`."""
    for handler in handlers:
        result = handler(**arguments)
        if result is not None and is_awaitable(result):
            await result
