"""One connection of Python's sqlite3."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Optional, Union, overload

from blaze.adapters.connection import Consume, Parameters, R, Row
from blaze.adapters.outcome import Outcome
from blaze.errors import ConnectionLostError, DatabaseError, SQLSyntaxError, TimeoutError, UniqueError
from blaze.security import redact_statement
from blaze_sqlite.clock import Clock
from blaze_sqlite.constraints import unique_name
from blaze_sqlite.dialect import SQLiteDialect
from blaze_sqlite.errors import DRIVER_ERRORS, add_place, code_of, translate

__all__ = ["SQLiteConnection"]

_log = logging.getLogger("blaze.sqlite")
_BEGIN = {"DEFERRED": "BEGIN", "IMMEDIATE": "BEGIN IMMEDIATE", "EXCLUSIVE": "BEGIN EXCLUSIVE"}
_FATAL_CODES = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")
_detached: list[Any] = []  # driver connections of a parent process: never closed, never finalised here


class _Gone:
    """Stand in for a driver connection that must not be touched any more."""

    in_transaction = False

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def execute(self, *_: Any) -> Any:
        raise ConnectionLostError(self.reason)

    executemany = execute

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    interrupt = close


def _outcome(cursor: sqlite3.Cursor) -> Outcome:
    description = cursor.description
    if description is None:
        return Outcome(cursor.rowcount, cursor.lastrowid, (), [])
    rows = cursor.fetchall()
    # Before Python 3.11 the driver counts only the first row of RETURNING; a query has -1 everywhere.
    rowcount = len(rows) if cursor.rowcount >= 0 else -1
    return Outcome(rowcount, cursor.lastrowid, tuple([column[0] for column in description]), rows)


def _ignore(rows: Any) -> None:
    """Consume nothing: the statement gives no rows."""


def _itself(cursor: Any) -> sqlite3.Cursor:
    """Give the cursor itself, for a stream."""
    return cursor  # type: ignore[no-any-return]


class SQLiteConnection:
    """Run statements on one sqlite3 connection in driver-level autocommit; only ``begin`` opens transactions.

    ``lock_timeout`` (seconds) is used for in-memory databases shared by several connections, whose table
    locks SQLite does not wait for by itself; None leaves waiting to SQLite. No statement runs longer than
    ``statement_timeout`` seconds (0: no limit).
    """

    __slots__ = (
        "__weakref__",
        "_begin",
        "_clock",
        "_dialect",
        "_execute",
        "_lock_timeout",
        "_query_only",
        "_raw",
        "_streams",
        "keep_on_fork",
        "place",
        "usable",
    )

    def __init__(
        self,
        raw: sqlite3.Connection,
        dialect: SQLiteDialect,
        isolation: Optional[str] = None,
        lock_timeout: Optional[float] = None,
        statement_timeout: float = 0.0,
    ) -> None:
        self._raw: Any = raw
        # Apart from the connection, which would never be collected if its driver's connection held it.
        self._clock = Clock(raw, statement_timeout)
        self._execute = raw.execute  # bound once: this is the hottest call of the backend
        self._dialect = dialect
        self._begin = self._begin_for(isolation or "IMMEDIATE")
        self._lock_timeout = lock_timeout
        self._query_only = False
        self._streams: set[sqlite3.Cursor] = set()
        self.keep_on_fork = lock_timeout is not None
        self.place: Any = None
        self.usable = True

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # the interpreter may be ending, or the making have failed
            self._raw.close()

    @property
    def raw(self) -> Any:
        return self._raw

    @property
    def in_transaction(self) -> bool:
        return self._raw.in_transaction  # type: ignore[no-any-return]

    @property
    def needs_reset(self) -> bool:
        return self._raw.in_transaction or self._query_only

    @overload
    def execute(self, sql: str, params: Parameters = (), consume: None = None) -> Outcome: ...
    @overload
    def execute(self, sql: str, params: Parameters, consume: Consume[R]) -> R: ...
    def execute(
        self, sql: str, params: Parameters = (), consume: Optional[Consume[R]] = None
    ) -> Union[R, Outcome]:
        cursor = None
        self._clock.statement += 1
        try:
            cursor = self._execute(sql, params)
            if consume is not None:
                return consume(cursor)
            return _outcome(cursor)
        except DRIVER_ERRORS as error:
            if cursor is None:
                if self._lock_timeout is not None and code_of(error).startswith("SQLITE_LOCKED"):
                    return self._execute_when_unlocked(sql, params, consume, error)
            else:
                # The traceback holds this frame; an open cursor in it would hold the snapshot.
                cursor.close()
            raise self._translate(error, sql) from error
        except BaseException:
            if cursor is not None:
                with contextlib.suppress(sqlite3.Error):
                    cursor.close()
            raise

    def _execute_when_unlocked(
        self, sql: str, params: Parameters, consume: Optional[Consume[R]], error: BaseException
    ) -> Union[R, Outcome]:
        """Try again until the other connections of an in-memory database have let go of the table."""
        for _ in self._pauses():
            try:
                cursor = self._execute(sql, params)
            except DRIVER_ERRORS as again:
                error = again
                if not code_of(again).startswith("SQLITE_LOCKED"):
                    break
                continue
            try:
                return consume(cursor) if consume is not None else _outcome(cursor)
            except DRIVER_ERRORS as late:
                cursor.close()
                raise self._translate(late, sql) from late
        raise self._translate(error, sql) from error

    def _pauses(self) -> Iterator[None]:
        """Sleep before each step, longer and longer, until the lock time-out has passed."""
        deadline = time.monotonic() + (self._lock_timeout or 0.0)
        pause = 0.001
        while time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
            yield

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        changes = self._raw.total_changes if self._lock_timeout is not None else -1
        self._clock.statement += 1
        try:
            return self._raw.executemany(sql, rows).rowcount  # type: ignore[no-any-return]
        except DRIVER_ERRORS as error:
            if (
                changes < 0
                or changes != self._raw.total_changes
                or not code_of(error).startswith("SQLITE_LOCKED")
            ):
                raise self._translate(error, sql) from error
            for _ in self._pauses():
                try:
                    return self._raw.executemany(sql, rows).rowcount  # type: ignore[no-any-return]
                except DRIVER_ERRORS as again:
                    if changes != self._raw.total_changes or not code_of(again).startswith("SQLITE_LOCKED"):
                        raise self._translate(again, sql) from again
            raise self._translate(error, sql) from error

    def stream(self, sql: str, params: Parameters = (), size: int = 1000) -> Generator[list[Row], None, None]:
        cursor = self.execute(sql, params, _itself)
        self._streams.add(cursor)
        try:
            while True:
                self._clock.statement += 1  # the time of whoever consumes the rows does not count
                rows = cursor.fetchmany(size)
                if not rows:
                    return
                yield rows
        except DRIVER_ERRORS as error:
            if cursor not in self._streams:
                raise DatabaseError(
                    "the stream has ended, since a statement beside it was cancelled: run its query again"
                ) from error
            raise self._translate(error, sql) from error
        finally:
            self._streams.discard(cursor)
            cursor.close()

    def end_streams(self) -> None:
        """Close the cursors of open streams: while one is open, an interrupt stops every other statement, too
        (sqlite3_interrupt() is in force until no statement runs).
        """
        while self._streams:
            self._streams.pop().close()

    def begin(self, isolation: Optional[str] = None, read_only: bool = False, immediate: bool = True) -> None:
        begin = self._begin if isolation is None else self._begin_for(isolation)
        try:
            if read_only:
                self._query_only = True  # before it is: what is interrupted here must be put back
                self.execute("PRAGMA query_only = ON", (), _ignore)
            self.execute(begin if immediate and not read_only else "BEGIN", (), _ignore)
        except BaseException:
            self._end_read_only()
            raise

    def commit(self) -> None:
        self.execute("COMMIT", (), _ignore)
        self._end_read_only()

    def rollback(self) -> None:
        if self._raw.in_transaction:
            self.execute("ROLLBACK", (), _ignore)
        self._end_read_only()

    def savepoint(self, name: str) -> None:
        self.execute(f"SAVEPOINT {self._dialect.quote(name)}", (), _ignore)

    def rollback_to(self, name: str) -> None:
        self.execute(f"ROLLBACK TO SAVEPOINT {self._dialect.quote(name)}", (), _ignore)

    def release(self, name: str) -> None:
        self.execute(f"RELEASE SAVEPOINT {self._dialect.quote(name)}", (), _ignore)

    def reset(self) -> None:
        if self.needs_reset:
            self.rollback()

    def close(self) -> None:
        self.usable = False
        raw, self._raw = self._raw, _Gone("the connection is closed; open a new session")
        self._execute = self._raw.execute
        try:
            raw.close()
        except sqlite3.Error as error:
            _log.warning("closing a SQLite connection failed: %s", error)

    def detach(self) -> None:
        self.usable = False
        _detached.append(self._raw)
        self._raw = _Gone(
            "the connection belongs to the parent of this forked process; open a new session in the child"
        )
        self._execute = self._raw.execute

    def interrupt(self) -> None:
        """Stop the statement that another thread runs on this connection."""
        self._raw.interrupt()

    def _begin_for(self, isolation: str) -> str:
        return _BEGIN.get(self._dialect.isolation(isolation), _BEGIN["IMMEDIATE"])

    def _end_read_only(self) -> None:
        if self._query_only:
            self.execute("PRAGMA query_only = OFF", (), _ignore)
            self._query_only = False

    def _translate(self, error: BaseException, sql: str) -> DatabaseError:
        if self._clock.late and code_of(error) == "SQLITE_INTERRUPT":
            self._clock.late = False
            text = redact_statement(sql)
            return TimeoutError(
                f"the statement ran longer than statement_timeout ({self._clock.limit:g} s)\n"
                f"  statement: {text}",
                statement=text,
                code="SQLITE_INTERRUPT",
            )
        translated = translate(error, sql)
        if isinstance(translated, UniqueError) and translated.constraint is None:
            translated.constraint = unique_name(self._raw, str(error))
        if isinstance(translated, SQLSyntaxError) and str(error).startswith("no such table"):
            add_place(translated, self._raw)
        if isinstance(translated, ConnectionLostError) or (translated.code or "").startswith(_FATAL_CODES):
            self.usable = False
        return translated
