"""`SessionManager`: the current session for code that is not handed one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from blaze.query.context import (
    current_async_session,
    current_session,
    require_async_session,
    require_session,
)

if TYPE_CHECKING:
    from blaze.persistence.async_session import AsyncSession
    from blaze.persistence.session import Session


class SessionManager:
    """Finds the session that the nearest `with session:` has bound, by a context variable."""

    @staticmethod
    def current() -> Optional[Session]:
        """Return the current blocking session, None when there is none."""
        return current_session.get()

    @staticmethod
    def require_current() -> Session:
        """Return the current blocking session; raise `NoSessionError` when there is none."""
        session: Session = require_session()
        return session

    @staticmethod
    def current_async() -> Optional[AsyncSession]:
        """Return the current asynchronous session, None when there is none."""
        return current_async_session.get()

    @staticmethod
    def require_current_async() -> AsyncSession:
        """Return the current asynchronous session; raise `NoSessionError` when there is none."""
        session: AsyncSession = require_async_session()
        return session
