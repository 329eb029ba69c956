"""One scenario for both sessions: every call of it goes through `m`."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from blaze import AsyncSession, Engine, Session


async def m(value: Any) -> Any:
    """Await what an `AsyncSession` gives; pass on what a `Session` gives."""
    return await value if inspect.isawaitable(value) else value


class Opener:
    """Opens sessions of one kind on one engine."""

    def __init__(self, asynchronous: bool, engine: Engine) -> None:
        self.asynchronous = asynchronous
        self.engine = engine

    @asynccontextmanager
    async def __call__(self, **options: Any) -> AsyncIterator[Any]:
        """Give a fresh session of this kind."""
        if self.asynchronous:
            async with AsyncSession(self.engine, **options) as session:
                yield session
        else:
            with Session(self.engine, **options) as blocking:
                yield blocking
