"""What a PostgreSQL connection is opened with."""

from __future__ import annotations

import os
import re
from itertools import count
from typing import Optional

from blaze.adapters.adapter import Prepared
from blaze.adapters.addresses import address
from blaze.adapters.config import ConnectionConfig
from blaze.errors import ConfigurationError, DatabaseError
from blaze_postgres.dialect import PostgresDialect

__all__ = [
    "CONNECT_TIMEOUT",
    "CURSORS",
    "GUARDED",
    "begin_text",
    "client_limit",
    "cursor_kind",
    "cursor_names",
    "prepare",
    "settings",
    "stream_ended",
]

CONNECT_TIMEOUT = 5.0
STATEMENT_TIMEOUT = 30.0
_MARGIN = 5.0  # the client stops waiting this much later than the server should have stopped a statement
_LOCKS = re.compile(r"\sFOR (?:UPDATE|SHARE)\b[^'\"]*\Z")
_SNAPSHOTS = ("REPEATABLE READ", "SERIALIZABLE")


def prepare(config: ConnectionConfig, dialect: PostgresDialect) -> Prepared:
    """Check a configuration for PostgreSQL.

    A read opens a transaction of its own only where it must see the snapshot of the transaction, or where a
    pooler may give the next statement to another server process.
    """
    if "mode" in config.options:
        raise ConfigurationError("the option mode means nothing to PostgreSQL; leave it out")
    isolation = config.get("isolation_level")
    if isolation is not None:
        isolation = dialect.isolation(isolation)
    if isolation in _SNAPSHOTS or config.get("pgbouncer"):
        dialect.features = dialect.features._replace(begin_on_read=True)
    if config.get("pgbouncer"):
        dialect.pooled = True
        dialect.features = dialect.features._replace(streams_outlive_commit=False)
        if dialect.driver == "asyncpg":
            dialect.features = dialect.features._replace(copy=False)  # its COPY prepares a statement by name
    return Prepared(config, identity=_identity(config))


def _identity(config: ConnectionConfig) -> str:
    """Name the database and where its tables are looked for; both drivers ask the environment, too."""
    host, port = config.host or os.environ.get("PGHOST"), config.port or os.environ.get("PGPORT") or 5432
    path = config.get("search_path")
    return address(host, port, config.database or config.user or "postgres") + (f"?{path}" if path else "")


def settings(config: ConnectionConfig) -> dict[str, str]:
    """Give the settings of a session of the server; times in milliseconds."""
    found = {"TimeZone": "UTC", "statement_timeout": _milliseconds(config, "statement_timeout")}
    if config.get("lock_timeout"):
        found["lock_timeout"] = _milliseconds(config, "lock_timeout")
    if config.get("search_path"):
        found["search_path"] = config.get("search_path")
    return found


def _milliseconds(config: ConnectionConfig, name: str) -> str:
    default = STATEMENT_TIMEOUT if name == "statement_timeout" else 0.0
    return str(round(config.get(name, default) * 1000))


def client_limit(config: ConnectionConfig) -> Optional[float]:
    """Give the seconds after which the client stops waiting for an answer; None for never."""
    limit = config.get("statement_timeout", STATEMENT_TIMEOUT)
    return limit + _MARGIN if limit else None


def begin_text(
    dialect: PostgresDialect, config: ConnectionConfig, isolation: Optional[str], read_only: bool
) -> str:
    """Give the text that begins a transaction; behind a pooler it sets what else a session would have set."""
    level = isolation or config.get("isolation_level")
    text = "BEGIN"
    if level is not None:
        text += f" ISOLATION LEVEL {dialect.isolation(level)}"
    if read_only:
        text += " READ ONLY"
    if config.get("pgbouncer"):
        for name, value in settings(config).items():
            text += f"; SELECT set_config('{name}', {dialect.literal(value)}, true)"
    return text


# COPY goes past the policies of rows, so the server refuses it where there are any.
GUARDED = "SELECT row_security_active(CAST({} AS regclass))"

# Tells whether a cursor is open.
CURSORS = "SELECT count(*) FROM pg_cursors WHERE name = {}"

_serials = count(1)


def cursor_names(size: int) -> tuple[str, str]:
    """Give a new name for a cursor, and the text that reads the next rows from it."""
    name = f"blaze_stream_{next(_serials)}"
    return name, f"FETCH {size} FROM {name}"


def cursor_kind(sql: str, dialect: PostgresDialect) -> str:
    """Give the kind of cursor for a query: it outlives a COMMIT unless the query locks its rows, or a pooler
    takes the session away.
    """
    held = not dialect.pooled and not _LOCKS.search(sql)
    return "NO SCROLL CURSOR WITH HOLD" if held else "NO SCROLL CURSOR"


def stream_ended() -> DatabaseError:
    """Give the error for reading on where the cursor is gone."""
    return DatabaseError(
        "PostgreSQL ended the stream together with the transaction in which it was opened (a rollback does"
        " that, and a commit where rows are locked, or behind a pooler): read the stream to its end first, or"
        " in a session of its own",
        code="34000",
    )
