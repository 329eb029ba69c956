"""A database as one driver sees it: engines, sessions and connections of either kind under one interface."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Optional
from urllib.parse import urlencode, urlsplit, urlunsplit

from blaze import Engine
from tests.persistence.twins import Database, settled

__all__ = ["Place", "with_options"]

# How each backend says what the tests ask of it.
IDENTITY = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
THERE = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE pid = {}",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE id = {}",
}
SLEEP = {"postgresql": "SELECT pg_sleep({})", "mysql": "SELECT sleep({})"}


def with_options(dsn: str, port: Optional[int] = None, **options: Any) -> str:
    """Give a DSN with another port and these options."""
    if port is not None:
        parts = urlsplit(dsn)
        user = parts.netloc.rpartition("@")[0]
        dsn = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}"))
    if not options:
        return dsn
    return f"{dsn}{'&' if '?' in dsn else '?'}{urlencode(options)}"


class Place(Database):
    """The tables of the tests, seen through one driver."""

    def __init__(self, backend: str, kind: str, dsn: str) -> None:
        self.backend = backend
        self.dsn = dsn
        self._engines: list[Engine] = []
        super().__init__(self.make_engine(), kind)

    def make_engine(self, port: Optional[int] = None, dsn: Optional[str] = None, **options: Any) -> Engine:
        """Make a further engine, perhaps through the port of a proxy; it is disposed of after the test."""
        if port is not None and self.backend == "postgresql":
            options.setdefault("sslmode", "disable")  # so that the proxy can read along
        engine = Engine(with_options(dsn or self.dsn, port, **options))
        self._engines.append(engine)
        return engine

    def through(self, engine: Engine) -> Database:
        """Give the same database through another engine."""
        return Database(engine, self.kind)

    @property
    def address(self) -> tuple[str, int]:
        """The address of the server."""
        parts = urlsplit(self.dsn)
        return parts.hostname or "127.0.0.1", parts.port or {"postgresql": 5432, "mysql": 3306}[self.backend]

    async def acquire(self, engine: Optional[Engine] = None) -> Any:
        """Take a connection of the pool."""
        engine = engine or self.engine
        return await settled(engine.aacquire() if self.asynchronous else engine.acquire())

    async def release(self, connection: Any, engine: Optional[Engine] = None) -> None:
        """Give a connection back."""
        engine = engine or self.engine
        await settled((engine.arelease if self.asynchronous else engine.release)(connection))

    @asynccontextmanager
    async def connection(self, engine: Optional[Engine] = None) -> AsyncIterator[Any]:
        """Lend a connection."""
        connection = await self.acquire(engine)
        try:
            yield connection
        finally:
            await self.release(connection, engine)

    async def identity(self, target: Any) -> int:
        """Ask for the server's number of a session's or a connection's connection."""
        found = await settled(target.execute(IDENTITY[self.backend]))
        return int(found.rows[0][0] if hasattr(found, "rows") else found.scalar())

    async def kill(self, number: int) -> None:
        """End a connection by its number, as an administrator does, and wait until it is gone."""
        with Engine(self.dsn, pool_size=1) as engine, engine.connection() as connection:
            connection.execute(KILL[self.backend].format(number))
            for _ in range(500):
                if connection.execute(THERE[self.backend].format(number)).rows[0][0] == 0:
                    return
                time.sleep(0.01)
            raise AssertionError(f"the connection {number} does not go")

    async def close(self) -> None:
        """Dispose of all engines; none may have lost a connection."""
        left = [engine.pool_stats().in_use for engine in self._engines]
        for engine in self._engines:
            await engine.adispose()
        assert not any(left), left
