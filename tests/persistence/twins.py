"""One test source for both sessions: every call is awaited, whichever session it goes to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from blaze import AsyncSession, Engine, Model, Session
from blaze.testing.twin import Twin
from blaze.testing.twin import done as settled

__all__ = ["Database", "Twin", "names", "settled"]


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
