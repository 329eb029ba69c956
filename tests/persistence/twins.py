"""One test source for both sessions: every call is awaited, whichever session it goes to."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Callable

from blaze import AsyncSession, Engine, Model, Session


async def settled(value: Any) -> Any:
    """Await what can be awaited."""
    return await value if inspect.isawaitable(value) else value


class Twin:
    """A `Session` or an `AsyncSession` under one interface: all methods are awaited.

    `do` runs a function of the session itself; `read` reads a relation, loading it first where the session
    does not load by itself; `session` is the session.
    """

    def __init__(self, session: Any) -> None:
        self.session = session

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.session, name)
        if not callable(member):
            return member

        async def call(*arguments: Any, **named: Any) -> Any:
            return await settled(member(*arguments, **named))

        return call

    async def do(self, function: Callable[[Any], Any]) -> Any:
        return await settled(function(self.session))

    async def all(self, model: type[Model], *conditions: Any) -> list[Any]:
        query = self.session.query(model)
        found = await settled((query.where(*conditions) if conditions else query).all())
        return list(found)

    async def read(self, instance: Any, name: str) -> Any:
        if self.session.asynchronous and not self.session.closed and instance in self.session:
            await self.session.load(instance, name)
        found = getattr(instance, name)
        return found if found is None or isinstance(found, Model) else list(found)

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[None]:
        block = self.session.transaction(**options)
        if self.session.asynchronous:
            async with block:
                yield
        else:
            with block:
                yield

    async def scalar(self, sql: str, *params: Any) -> Any:
        return await settled(self.session.exec_scalar(sql, list(params) or None))

    @property
    def statements(self) -> int:
        total: int = self.session.query_stats().total
        return total


class Database:
    """A fresh database with the tables of the tests, and its sessions of one kind."""

    def __init__(self, engine: Engine, kind: str) -> None:
        self.engine = engine
        self.kind = kind

    @property
    def asynchronous(self) -> bool:
        return self.kind == "async"

    def open(self, **options: Any) -> Twin:
        """Make a session without entering it."""
        return Twin(
            AsyncSession(self.engine, **options) if self.asynchronous else Session(self.engine, **options)
        )

    @asynccontextmanager
    async def session(self, **options: Any) -> AsyncIterator[Twin]:
        twin = self.open(**options)
        if self.asynchronous:
            async with twin.session:
                yield twin
        else:
            with twin.session:
                yield twin

    async def save(self, *objects: Model) -> None:
        """Store objects in a session of its own."""
        async with self.session() as s:
            await s.add_all(objects)
            await s.commit()

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return committed rows, read in a session of its own."""
        async with self.session() as s:
            return [tuple(row) for row in (await s.execute(sql)).all()]


def names(objects: Iterable[Any], attribute: str = "name") -> list[str]:
    """Return the sorted names of objects."""
    return sorted(getattr(o, attribute) for o in objects)
