"""The two adapters of DuckDB: blocking, and for event loops over a thread per connection."""

from __future__ import annotations

import os
import uuid
from typing import Any

import duckdb

from blaze.adapters.adapter import Prepared
from blaze.adapters.config import ConnectionConfig
from blaze.adapters.threaded import ThreadedConnection
from blaze.errors import ConfigurationError, DatabaseError
from blaze_duckdb.connection import DuckDBConnection
from blaze_duckdb.dialect import DuckDBDialect
from blaze_duckdb.errors import DRIVER_ERRORS, translate

__all__ = ["AsyncDuckDBAdapter", "DuckDBAdapter"]

_FOREIGN_OPTIONS = (
    "connect_timeout", "lock_timeout", "application_name", "pgbouncer",
    "sslmode", "sslrootcert", "sslcert", "sslkey",
)  # fmt: skip


def prepare(config: ConnectionConfig, dialect: DuckDBDialect) -> Prepared:
    """Check a configuration; a database in memory gets a name that all connections of an engine share.

    The keeper keeps the database open: one in memory would be gone with its last connection, and a file would
    be loaded anew.
    """
    if config.host is not None or config.port or config.user or config.password:
        raise ConfigurationError(
            "DuckDB knows no host, port, user or password: write duckdb:///relative.duckdb,"
            " duckdb:////absolute.duckdb, or duckdb:// for memory"
        )
    for name in _FOREIGN_OPTIONS:
        if name in config.options:
            raise ConfigurationError(f"the option {name} means nothing to DuckDB; leave it out")
    if config.get("isolation_level") is not None:
        dialect.isolation(config.get("isolation_level"))
    if config.database in (None, ":memory:"):
        config = config.replace(database=f":memory:blaze-{uuid.uuid4().hex}")
    database = str(config.database)
    memory = database.startswith(":memory:")
    identity = f"{os.getpid()}/{database}" if memory else os.path.realpath(database)
    return Prepared(config, open_raw(config), identity)


def open_raw(config: ConnectionConfig) -> Any:
    """Open a connection of the driver, or raise what says why not."""
    settings: dict[str, Any] = {"threads": config.get("threads"), "memory_limit": config.get("memory_limit")}
    if config.get("mode") is not None:
        settings["access_mode"] = "READ_ONLY" if config.get("mode") == "ro" else "READ_WRITE"
    given = {name: value for name, value in settings.items() if value is not None}
    try:
        return duckdb.connect(config.database or ":memory:", config=given)
    except DRIVER_ERRORS as error:
        found = translate(error)
        raise type(found)(
            f"{config.redacted()} cannot be opened: {found}", code=found.code, retryable=found.retryable
        ) from error


def connect(config: ConnectionConfig, dialect: DuckDBDialect) -> DuckDBConnection:
    """Open a connection."""
    return DuckDBConnection(open_raw(config), dialect, config.get("statement_timeout", 0.0))


class DuckDBAdapter:
    """Open DuckDB databases through the package duckdb."""

    name = "duckdb"
    driver = "duckdb"

    def __init__(self) -> None:
        self.dialect = DuckDBDialect()

    def prepare(self, config: ConnectionConfig) -> Prepared:
        return prepare(config, self.dialect)

    def connect(self, config: ConnectionConfig) -> DuckDBConnection:
        return connect(config, self.dialect)


class AsyncDuckDBConnection(ThreadedConnection):
    """Run the statements of a blocking connection in a thread: DuckDB has no driver for event loops."""

    __slots__ = ()

    driver_errors = DRIVER_ERRORS

    def interrupt(self) -> None:
        self.raw.interrupt()

    def translate(self, error: BaseException, sql: str) -> DatabaseError:
        return translate(error, sql)


class AsyncDuckDBAdapter(DuckDBAdapter):
    """Open DuckDB databases for event loops."""

    async def connect(self, config: ConnectionConfig) -> AsyncDuckDBConnection:  # type: ignore[override]
        return await AsyncDuckDBConnection.open(lambda: connect(config, self.dialect))
