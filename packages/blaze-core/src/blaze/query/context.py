"""The current session: what `with session:` binds."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Optional

from blaze.errors import NoSessionError

current_session: ContextVar[Optional[Any]] = ContextVar("blaze_current_session", default=None)
current_async_session: ContextVar[Optional[Any]] = ContextVar("blaze_current_async_session", default=None)


def require_session() -> Any:
    """Return the current blocking session; raise `NoSessionError` when there is none."""
    session = current_session.get()
    if session is None:
        hint = (
            "the current session is an AsyncSession: use session.query(...) of it"
            if current_async_session.get() is not None
            else "open one: with Session(engine) as session: ..."
        )
        raise NoSessionError(f"there is no current session; {hint}")
    return session


def require_async_session() -> Any:
    """Return the current asynchronous session; raise `NoSessionError` when there is none."""
    session = current_async_session.get()
    if session is None:
        raise NoSessionError(
            "there is no current asynchronous session; open one: "
            "async with AsyncSession(engine) as session: ..."
        )
    return session
