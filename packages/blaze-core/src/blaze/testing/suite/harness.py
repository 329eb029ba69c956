"""What runs the cases: one source for sync and async, one database for all of them.

A case is an ``async def`` under `@scenario`. pytest sees a plain function, so no plugin is needed: for
blocking sessions the coroutine, which never waits, is driven by hand; for asynchronous ones it runs on one
event loop that lives as long as the database's fixture, because drivers bind their pools to a loop.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Callable

import pytest

from blaze import AsyncSession, ConfigurationError, Engine, Model, Session, create_all, drop_all
from blaze.schema import acreate_all, adrop_all
from blaze.schema.order import in_dependency_order
from blaze.schema.reading import define_tables
from blaze.testing.suite import library, models, values
from blaze.testing.twin import Twin, done

__all__ = ["db", "suite_database"]

LIBRARY = "suite_library_"
MODELS: list[type[Any]] = [*models.MODELS, *values.MODELS, *library.MODELS]


async def each(stream: Any) -> AsyncIterator[Any]:
    """Iterate over what either kind of session streams."""
    if hasattr(stream, "__aiter__"):
        async for item in stream:
            yield item
    else:
        for item in stream:
            yield item


def scenario(case: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make an asynchronous case, whose first argument is `db`, a test of both kinds of session."""

    @functools.wraps(case)
    def test(db: Database, **arguments: Any) -> None:
        db.play(case(db, **arguments))

    return test


class Database:
    """The tables of the suite in the database of an engine, seen through sessions of one kind."""

    def __init__(self, engine: Engine, kind: str, loop: asyncio.AbstractEventLoop) -> None:
        self.engine = engine
        self.kind = kind
        self.loop = loop
        self.sessions: list[Any] = []

    @property
    def asynchronous(self) -> bool:
        """Whether sessions are asynchronous."""
        return self.kind == "async"

    @property
    def dialect(self) -> Any:
        """The dialect of the driver in use."""
        return self.engine.async_dialect if self.asynchronous else self.engine.dialect

    def has(self, feature: str) -> bool:
        """Whether the backend declares a capability."""
        return bool(getattr(self.dialect.features, feature))

    def needs(self, feature: str) -> None:
        """Skip the case where the backend does not declare a capability."""
        if not self.has(feature):
            pytest.skip(f"the backend declares no {feature}")

    def play(self, case: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end."""
        if self.asynchronous:
            return self.loop.run_until_complete(case)
        try:
            case.send(None)
        except StopIteration as end:
            return end.value
        raise AssertionError("a blocking session waited for an event loop")

    def open(self, **options: Any) -> Twin:
        """Make a session without entering it."""
        options.setdefault("performance_threshold", 1_000_000)  # cases are loops on purpose
        kind: Any = AsyncSession if self.asynchronous else Session
        session = kind(self.engine, **options)
        self.sessions.append(session)
        return Twin(session)

    @asynccontextmanager
    async def session(self, **options: Any) -> AsyncIterator[Twin]:
        """Open a session for a block; what the block leaves behind is rolled back without a warning."""
        twin = self.open(**options)
        if self.asynchronous:
            async with twin.session:
                yield twin
                if not twin.session.closed and "auto_commit" not in options:
                    await twin.session.rollback()
        else:
            with twin.session:
                yield twin
                if not twin.session.closed and "auto_commit" not in options:
                    twin.session.rollback()

    async def save(self, *objects: Model) -> None:
        """Store objects in a session of its own."""
        async with self.session() as s:
            await s.add_all(objects)
            await s.commit()

    async def rows(self, query: Any) -> list[Any]:
        """Give the committed results of an unbound query, read in a session of its own."""
        async with self.session() as s:
            return list(await done((await s.exec(query)).all()))

    async def make_tables(self, *tables: type[Any]) -> None:
        """Create tables."""
        await (
            acreate_all(self.engine, tables) if self.asynchronous else _quiet(create_all, self.engine, tables)
        )

    async def drop_tables(self, *tables: type[Any]) -> None:
        """Drop tables that are there."""
        await (adrop_all(self.engine, tables) if self.asynchronous else _quiet(drop_all, self.engine, tables))

    def written(self) -> set[str]:
        """Give the names of the tables to which the sessions so far may have written."""
        texts = [
            entry.sql.replace("%%", "%")
            for session in self.sessions
            for entry in session.query_stats()
            if not entry.sql.lstrip().upper().startswith("SELECT")
        ]
        found = {table for table in tables() if any(table in text for text in texts)}
        if any(table.startswith(LIBRARY) for table in found):  # these are filled again, together
            found |= {table for table in tables() if table.startswith(LIBRARY)}
        return found

    async def clean(self) -> None:
        """Delete the rows that a case has committed."""
        written = self.written()
        self.sessions = []
        if not written:
            return
        quote = self.dialect.quote
        async with self.session() as s:
            for table, column in models.CIRCLES:
                if table in written:
                    await s.execute(f"UPDATE {quote(table)} SET {quote(column)} = NULL")
            for table in tables():
                if table in written:
                    await s.execute(f"DELETE FROM {quote(table)}")
            if any(table.startswith(LIBRARY) for table in written):
                await library.fill(s)
            await s.commit()
        self.sessions = []


@functools.cache
def tables() -> list[str]:
    """Give the names of all tables, each after those that refer to it."""
    return [each.table.name for each in reversed(in_dependency_order(define_tables(MODELS)))]


async def _quiet(function: Callable[..., None], engine: Engine, tables: Iterable[type[Any]]) -> None:
    function(engine, list(tables))


def _kinds(engine: Engine) -> list[str]:
    kinds = []
    for kind in ("adapter", "async_adapter"):
        try:
            getattr(engine, kind)
        except ConfigurationError:
            continue
        kinds.append("async" if kind == "async_adapter" else "sync")
    return kinds


class World:
    """What all cases share: the engine, the loop, and which kinds of sessions there are."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.kinds = _kinds(engine)
        self.loop = asyncio.new_event_loop()
        self.main = self.database(self.kinds[0])

    def database(self, kind: str) -> Database:
        """Give the database as sessions of one kind see it."""
        return Database(self.engine, kind, self.loop)


@pytest.fixture(scope="session")
def suite_database(blaze_engine: Engine) -> Iterator[World]:
    """Create the tables of the suite, and drop them at the end."""
    world = World(blaze_engine)
    main = world.main
    made = [each for each in MODELS if each not in models.NEEDY or main.has(models.NEEDY[each])]

    async def set_up() -> None:
        await main.drop_tables(*made)
        await main.make_tables(*made)
        async with main.session() as s:
            await library.fill(s)
            await s.commit()

    try:
        main.play(set_up())
        main.sessions = []
        yield world
        main.play(main.drop_tables(*made))
    finally:
        world.loop.run_until_complete(blaze_engine.adispose())
        world.loop.close()


@pytest.fixture(params=["sync", "async"])
def db(request: Any, suite_database: World) -> Iterator[Database]:
    """Give the database with sessions of either kind; no test may lose a connection, and no row stays."""
    if request.param not in suite_database.kinds:
        pytest.skip(f"the backend declares no {request.param} driver")
    database = suite_database.database(request.param)
    yield database
    left = suite_database.engine.pool_stats().in_use
    database.play(database.clean())
    assert left == 0, f"{left} connections were not given back"
