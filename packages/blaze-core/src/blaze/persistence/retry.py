"""Running the same work again after a conflict."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any, Callable

from blaze.errors import ConnectionLostError, DeadlockError, SerializationError, SessionError, TimeoutError

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


def check_retries(retries: Any) -> None:
    """Raise `SessionError` for what is no number of retries."""
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise SessionError(f"retries is a whole number, at least 0, not {retries!r}")


def only_functions_again() -> SessionError:
    """Make the error of a `with` block that should be run again."""
    return SessionError(
        "a with block cannot be run again: call session.transaction(retries=...)(function),"
        " or session.run_in_transaction(function)"
    )


def call_with_session(function: Callable[..., Any], session: Any) -> Any:
    """Call a function, with the session when it takes an argument.

    Raises `SessionError` for a function whose call would run nothing yet.
    """
    import inspect

    generator = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    if generator or (not session.asynchronous and inspect.iscoroutinefunction(function)):
        name = getattr(function, "__name__", repr(function))
        cure = "return a list instead of using yield" if generator else "use an AsyncSession, or a plain def"
        raise SessionError(f"run_in_transaction() cannot run {name}() to its end: {cure}")
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


async def await_with_session(function: Callable[..., Any], session: Any) -> Any:
    """Call an asynchronous function like `call_with_session`; raise `SessionError` for one that is not."""
    result = call_with_session(function, session)
    if not isinstance(result, Awaitable):
        name = getattr(function, "__name__", repr(function))
        given = type(result).__name__
        raise SessionError(
            f"an AsyncSession runs an async def in a transaction; {name}() gave a plain {given}"
        )
    return await result
