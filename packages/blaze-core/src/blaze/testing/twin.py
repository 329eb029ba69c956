"""One source of test code for both kinds of session: every call is awaited, whichever session it goes to."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from blaze.query.manager import Model

__all__ = ["Twin", "done"]


async def done(value: Any) -> Any:
    """Await what can be awaited."""
    return await value if inspect.isawaitable(value) else value


class Twin:
    """A `Session` or an `AsyncSession` under one interface: all methods but `query` are awaited.

    `read` reads an attribute, loading it first where the session does not load by itself.
    """

    def __init__(self, session: Any) -> None:
        self.session = session

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.session, name)
        if not callable(member):
            return member

        async def call(*arguments: Any, **named: Any) -> Any:
            return await done(member(*arguments, **named))

        return call

    def query(self, *entities: Any) -> Any:
        """Start a query; what it gives is `done()`."""
        return self.session.query(*entities)

    async def do(self, function: Callable[[Any], Any]) -> Any:
        """Call a function with the session itself."""
        return await done(function(self.session))

    async def all(self, model: Any, *conditions: Any) -> list[Any]:
        """Give the objects that meet the conditions, in the order of their keys where they have an `id`."""
        query = self.query(model)
        query = query.where(*conditions) if conditions else query
        return list(await done(query.order_by(model.id).all() if hasattr(model, "id") else query.all()))

    async def read(self, instance: Any, name: str) -> Any:
        """Read a relation, or a column that may have to be read again."""
        if self.session.asynchronous and not self.session.closed and instance in self.session:
            await self.session.load(instance, name)
        found = getattr(instance, name)
        return found if found is None or isinstance(found, (Model, str)) else list(found)

    async def scalar(self, sql: str, *params: Any) -> Any:
        """Give the only value of raw SQL."""
        return await done(self.session.exec_scalar(sql, list(params) or None))

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[None]:
        """Open a block of `session.transaction()`."""
        block = self.session.transaction(**options)
        if self.session.asynchronous:
            async with block:
                yield
        else:
            with block:
                yield

    @property
    def statements(self) -> int:
        """How many statements the session has sent."""
        total: int = self.session.query_stats().total
        return total
