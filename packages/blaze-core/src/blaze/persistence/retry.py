"""Running the same work again after a conflict."""

from __future__ import annotations

import time
from typing import Any, Callable

from blaze.errors import ConnectionLostError, DeadlockError, SerializationError, TimeoutError

# Seconds before the first retry; each further one waits about twice as long, with jitter against lockstep.
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 1.0


def retryable(error: BaseException) -> bool:
    """Whether running the same work again on the same session can help."""
    conflicts = (DeadlockError, SerializationError, TimeoutError, ConnectionLostError)
    return isinstance(error, conflicts) and bool(error.retryable)


def pause_length(attempt: int) -> float:
    """Return how many seconds to wait before a retry, the first of which is attempt 1."""
    import random

    longest: float = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
    return longest * (0.5 + random.random() / 2)


def pause_before(attempt: int) -> None:
    """Wait before a retry."""
    time.sleep(pause_length(attempt))


def call_with_session(function: Callable[..., Any], session: Any) -> Any:
    """Call a function, with the session when it takes an argument."""
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function()
    required = [
        p
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return function(session) if required else function()
