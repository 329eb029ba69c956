"""What a cancelled task leaves running on a connection: waited for, for a moment, or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ["SETTLE_SECONDS", "finish", "look_at", "settle"]

R = TypeVar("R")

SETTLE_SECONDS = 1.0


async def finish(work: Awaitable[R], give_up: Callable[[], Any]) -> R:
    """Run to its end even when the task that waits for it is cancelled; `give_up` is called if that takes
    longer than `SETTLE_SECONDS` from then on.
    """
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await settle(running, give_up)
        raise


async def settle(running: asyncio.Future[Any], give_up: Callable[[], Any]) -> None:
    """Wait for what still runs after a cancellation, `SETTLE_SECONDS` long; then call `give_up`."""
    running.add_done_callback(look_at)
    try:
        done, _ = await asyncio.wait({running}, timeout=SETTLE_SECONDS)
    except asyncio.CancelledError:
        done = set()
    if not done:
        give_up()


def look_at(running: asyncio.Future[Any]) -> None:
    """Take note of an outcome that nobody waits for, so that asyncio does not report it as forgotten."""
    if not running.cancelled():
        running.exception()
