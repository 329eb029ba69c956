"""What a SQLite database is opened with, and what makes a fresh driver connection ready."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import uuid
from typing import Any, NamedTuple, Optional
from urllib.parse import quote, unquote

from blaze.adapters.adapter import Prepared
from blaze.adapters.config import ConnectionConfig
from blaze.errors import ConfigurationError, DatabaseError
from blaze_sqlite import functions
from blaze_sqlite.connection import SQLiteConnection
from blaze_sqlite.dialect import SQLiteDialect
from blaze_sqlite.errors import code_of, translate

__all__ = [
    "DEFAULT_LOCK_TIMEOUT",
    "ClosingConnection",
    "Target",
    "connect_arguments",
    "open_error",
    "prepare",
    "set_up",
]

_log = logging.getLogger("blaze.sqlite")
DEFAULT_LOCK_TIMEOUT = 5.0
STATEMENT_TIMEOUT = 30.0
_FOREIGN_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "pgbouncer")


class ClosingConnection(sqlite3.Connection):
    """A driver connection that closes itself when nobody holds it any more; from 3.13 on Python warns."""

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # it was never opened
            self.close()


class Target(NamedTuple):
    """What ``sqlite3.connect`` is called with."""

    database: str
    uri: bool
    memory: bool  # nothing of it is in a file
    shared: bool  # several connections share one in-memory database
    writable: bool

    @classmethod
    def of(cls, config: ConnectionConfig) -> Target:
        """Read the target from a configuration."""
        database = config.database
        mode = config.get("mode")
        if database is None or database == ":memory:":
            return cls(":memory:", uri=False, memory=True, shared=False, writable=True)
        if database.startswith("file:"):
            memory = "mode=memory" in database
            return cls(
                database,
                uri=True,
                memory=memory,
                shared=memory and "cache=shared" in database,
                writable="mode=ro" not in database and "immutable=1" not in database,
            )
        if mode == "memory":
            name = f"file:{quote(database)}?mode=memory&cache=shared"
            return cls(name, uri=True, memory=True, shared=True, writable=True)
        if mode is None:
            return cls(database, uri=False, memory=False, shared=False, writable=True)
        name = f"file:{quote(database)}?mode={mode}"
        return cls(name, uri=True, memory=False, shared=False, writable=mode != "ro")


def prepare(config: ConnectionConfig, dialect: SQLiteDialect) -> Prepared:
    """Check a configuration for SQLite; an unnamed in-memory database gets a name that all connections of an
    engine share.
    """
    if config.host is not None:
        raise ConfigurationError(
            "a SQLite database has no host: write sqlite:///relative.db, sqlite:////absolute.db,"
            " or sqlite:// for memory"
        )
    if config.user or config.password or config.port:
        raise ConfigurationError(
            "SQLite knows no user, password or port; leave them out of the configuration"
        )
    for name in _FOREIGN_OPTIONS:
        if name in config.options:
            raise ConfigurationError(f"the option {name} means nothing to SQLite; leave it out")
    isolation = config.get("isolation_level")
    if isolation is not None:
        dialect.isolation(isolation)
    if Target.of(config).memory and config.database in (None, ":memory:"):
        config = config.replace(database=f"file:blaze-{uuid.uuid4().hex}?mode=memory&cache=shared")
    target = Target.of(config)
    if not target.memory:
        config = config.replace(database=_absolute(config.database or ""))
    if not target.shared:
        return Prepared(config, None, _identity(config, target))
    # The database lives as long as one connection is open.
    keeper = sqlite3.connect(target.database, uri=True, check_same_thread=False)
    return Prepared(config, keeper, _identity(config, target))


def _absolute(database: str) -> str:
    """Give the path of a file as seen from here: the process may go to another folder later."""
    if not database.startswith("file:"):
        return os.path.abspath(database)
    path = database[len("file:") :]
    return database if path.startswith("/") else f"file:{quote(os.getcwd())}/{path}"


def _identity(config: ConnectionConfig, target: Target) -> str:
    """Name the database: a file by its real path, one in memory by process and name."""
    database = config.database or ""
    if target.memory:
        return f"memory/{os.getpid()}/{database}"
    path = database[len("file:") :].partition("?")[0] if database.startswith("file:") else database
    return os.path.realpath(unquote(path) if path is not database else path)


def connect_arguments(config: ConnectionConfig) -> dict[str, Any]:
    """Give the keyword arguments of ``sqlite3.connect``; while opening, ``connect_timeout`` bounds waiting
    for locks.
    """
    target = Target.of(config)
    lock_timeout = config.get("lock_timeout", DEFAULT_LOCK_TIMEOUT)
    return {
        "database": target.database,
        "uri": target.uri,
        "timeout": config.get("connect_timeout", lock_timeout),
        "isolation_level": None,  # the driver never begins a transaction by itself
        "check_same_thread": False,  # the pool moves connections between threads, one at a time
        "cached_statements": config.get("cached_statements", 512),
    }


def open_error(error: sqlite3.Error, config: ConnectionConfig) -> DatabaseError:
    """Translate an error of opening, naming the file and the cure."""
    translated = translate(error)
    database = config.database or ""
    folder = os.path.dirname(os.path.abspath(database or "."))
    detail = str(translated)
    if code_of(error) == "SQLITE_CANTOPEN" and not database.startswith("file:"):
        path = os.path.abspath(database or ".")
        mode = config.get("mode", "rwc")
        if not os.path.isdir(folder):
            detail = f"the folder {folder} does not exist; create it first"
        elif os.path.isdir(path):
            detail = f"{path} is a folder; give the path of a file"
        elif mode in ("ro", "rw") and not os.path.exists(path):
            detail = f"there is no file {path}, and mode={mode} makes none; check the path"
    return type(translated)(
        f"{config.redacted()} cannot be opened: {detail}",
        code=translated.code,
        retryable=translated.retryable,
    )


def set_up(raw: sqlite3.Connection, config: ConnectionConfig, dialect: SQLiteDialect) -> SQLiteConnection:
    """Make a fresh driver connection ready: functions and settings, once and for all."""
    target = Target.of(config)
    functions.register(raw)
    raw.execute(f"PRAGMA foreign_keys = {'ON' if config.get('foreign_keys', True) else 'OFF'}")
    if not target.memory and target.writable:
        _set_journal_mode(raw, config)
        raw.execute(f"PRAGMA synchronous = {config.get('synchronous', 'normal')}")
    lock_timeout = config.get("lock_timeout", DEFAULT_LOCK_TIMEOUT)
    raw.execute(f"PRAGMA busy_timeout = {int(lock_timeout * 1000)}")
    isolation: Optional[str] = config.get("isolation_level")
    waits = lock_timeout if target.shared else None
    limit = config.get("statement_timeout", STATEMENT_TIMEOUT)
    return SQLiteConnection(raw, dialect, isolation, waits, limit)


def _set_journal_mode(raw: sqlite3.Connection, config: ConnectionConfig) -> None:
    """Set the journal mode unless it is set already; a file that cannot be written stays as it is."""
    wanted: str = config.get("journal_mode", "wal")
    if raw.execute("PRAGMA journal_mode").fetchone()[0] == wanted:
        return
    try:
        mode = raw.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0]
        reason = "SQLite cannot change it here"
    except sqlite3.OperationalError as error:
        # Another connection may be setting it at this moment: the file keeps the mode, so this one has it
        # next time.
        if not code_of(error).startswith(("SQLITE_READONLY", "SQLITE_BUSY")):
            raise
        mode, reason = "", str(error)
    if mode != wanted and "journal_mode" in config.options:
        _log.warning("journal_mode=%s did not take effect for %s: %s", wanted, config, reason)
