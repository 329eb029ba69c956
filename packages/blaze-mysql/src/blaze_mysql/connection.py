"""One connection of PyMySQL."""

from __future__ import annotations

import socket
import ssl
import struct
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any, Optional, Union, overload

import pymysql
from pymysql import converters
from pymysql.constants import SERVER_STATUS
from pymysql.cursors import SSCursor

from blaze.adapters.config import ConnectionConfig
from blaze.adapters.connection import Consume, Parameters, R, Row
from blaze.adapters.incoming import incoming
from blaze.adapters.outcome import Outcome
from blaze.adapters.refusals import lost_before_commit, outcome_unknown
from blaze.errors import ConnectionLostError, DatabaseError, TimeoutError
from blaze.security.frames import without_frames
from blaze_mysql.codecs import COLUMN_READERS
from blaze_mysql.dialect import MySQLDialect, Server
from blaze_mysql.errors import (
    KEY_COLUMNS,
    LOST_CODES,
    code_and_text,
    may_end_transaction,
    opening_error,
    table_and_key,
    translate,
    with_columns,
)
from blaze_mysql.literals import filled
from blaze_mysql.opening import (
    CONNECT_TIMEOUT,
    arguments,
    begin_texts,
    check_tls,
    client_limit,
    goes_row_by_row,
    password,
    set_up_text,
)
from blaze_mysql.packets import LONG, QUESTION, TOO_LONG, has_long_values, is_too_long

__all__ = ["PyMySQLConnection", "ask", "connect"]

# What PyMySQL raises from execute and from reading rows; the last ones are about values and broken streams.
DRIVER_ERRORS = (pymysql.Error, OSError, ValueError, OverflowError, TypeError, struct.error)
_CONVERTERS = {**converters.encoders, **COLUMN_READERS}
_detached: list[Any] = []  # driver connections of a parent process: never closed, never finalised here


def open_raw(config: ConnectionConfig) -> Any:
    """Open a driver's connection, or raise what says why not."""
    # While connecting, PyMySQL waits for each answer as long as for those of statements.
    limit = config.get("connect_timeout", CONNECT_TIMEOUT) or None
    given = {**arguments(config), "read_timeout": limit, "write_timeout": limit, "conv": _CONVERTERS}
    try:
        raw = pymysql.connect(**given, **password(config.password))
        raw.password = b""  # nobody connects it again, and frames of the driver would show it
        return raw
    except DRIVER_ERRORS as error:
        code, text = code_and_text(error)
        raise opening_error(config.redacted(), code, text) from without_frames(error)
    except BaseException as error:  # an interrupt meanwhile
        raise without_frames(error)  # noqa: B904 - it is the error itself


def connect(config: ConnectionConfig, dialect: MySQLDialect) -> PyMySQLConnection:
    """Open a connection and set its session up."""
    raw = open_raw(config)
    connection = PyMySQLConnection(raw, dialect)
    try:
        check_tls(config, isinstance(raw._sock, ssl.SSLSocket))
        connection.control(set_up_text(config, dialect, raw.get_server_info()))
    except BaseException:
        connection.close()
        raise
    raw._read_timeout = raw._write_timeout = client_limit(config)
    return connection


def ask(config: ConnectionConfig) -> Server:
    """Ask a server what it is, by connecting to it."""
    raw = open_raw(config)
    try:
        with raw.cursor() as cursor:
            cursor.execute("SELECT @@innodb_autoinc_lock_mode, @@auto_increment_increment")
            ((mode, step),) = cursor.fetchall()
        # In the modes "traditional" and "consecutive" nothing comes between the keys of one statement.
        return Server(str(raw.get_server_info()), int(step) if int(mode) < 2 else 0)
    except DRIVER_ERRORS as error:
        code, text = code_and_text(error)
        raise opening_error(config.redacted(), code, text) from without_frames(error)
    finally:
        raw.close()


class PyMySQLConnection:
    """Run statements on one PyMySQL connection in autocommit; only ``begin`` opens transactions.

    While a stream is read, another statement first takes the rows that are left into memory: the protocol
    knows one result at a time.
    """

    __slots__ = ("__weakref__", "_dialect", "_incoming", "_packet", "_raw", "_streaming", "_usable", "place")

    keep_on_fork = False

    def __init__(self, raw: Any, dialect: MySQLDialect) -> None:
        self._raw: Any = raw
        self._dialect = dialect
        self._incoming = incoming(raw._sock.fileno())
        self._usable = True
        self._packet = 0  # how long a statement may be; 0 until one is long
        self.place: Any = None  # the pool's
        self._streaming: Optional[_Unread] = None

    @property
    def raw(self) -> Any:
        return self._raw

    @property
    def usable(self) -> bool:
        if not self._usable or not self._raw.open:
            return False
        # Between statements nothing comes in but its end: no round trip is needed to see it.
        if self._streaming is None and self._incoming():
            self._usable = False
        return self._usable

    @usable.setter
    def usable(self, value: bool) -> None:
        self._usable = value

    @property
    def in_transaction(self) -> bool:
        return bool(self._raw.open and self._raw.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def needs_reset(self) -> bool:
        return self._streaming is not None or self.in_transaction

    @overload
    def execute(self, sql: str, params: Parameters = (), consume: None = None) -> Outcome: ...
    @overload
    def execute(self, sql: str, params: Parameters, consume: Consume[R]) -> R: ...
    def execute(
        self, sql: str, params: Parameters = (), consume: Optional[Consume[R]] = None
    ) -> Union[R, Outcome]:
        if self._streaming is not None:
            self._streaming.buffer()
        try:
            cursor = self._raw.cursor()
            text = filled(self._raw, sql, params) if params else sql
            if len(text) > LONG:
                self._check_length(text, sql)
            cursor.execute(text)
            if consume is not None:
                return consume(cursor.fetchall())
            description = cursor.description
            if description is None:
                return Outcome(cursor.rowcount, cursor.lastrowid or None, (), [])
            return Outcome(cursor.rowcount, None, tuple([each[0] for each in description]), list(cursor))
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error
        except BaseException as error:
            self._note_interrupt(error)
            raise

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        if self._streaming is not None:
            self._streaming.buffer()
        try:
            cursor = self._raw.cursor()
            if len(rows) == 1 or goes_row_by_row(sql):
                total = 0
                for row in rows:
                    text = filled(self._raw, sql, row)
                    if len(text) > LONG:
                        self._check_length(text, sql)
                    cursor.execute(text)
                    total += cursor.rowcount
                return total
            for row in rows:
                if has_long_values(row):
                    self._check_length(filled(self._raw, sql, row), sql)
            cursor.executemany(sql, rows)
            return cursor.rowcount  # type: ignore[no-any-return]
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error
        except BaseException as error:
            self._note_interrupt(error)
            raise

    def _check_length(self, text: str, sql: str) -> None:
        """Raise `DataError` for a statement that is longer than the server takes."""
        if not self._packet:
            cursor = self._raw.cursor()
            cursor.execute(QUESTION)
            ((limit,),) = cursor.fetchall()
            self._packet = int(limit)
        if is_too_long(text, self._packet):
            raise translate(TOO_LONG, "", sql)

    def stream(self, sql: str, params: Parameters = (), size: int = 1000) -> Generator[list[Row], None, None]:
        if self._streaming is not None:
            self._streaming.buffer()
        unread = None
        try:
            text = filled(self._raw, sql, params) if params else sql
            if len(text) > LONG:
                self._check_length(text, sql)
            cursor = self._raw.cursor(SSCursor)
            cursor.execute(text)
            unread = self._streaming = _Unread(self, cursor)
            while True:
                rows = unread.take(size)
                if not rows:
                    return
                yield rows
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error
        finally:
            if unread is not None and self._usable:
                unread.drop()

    def begin(self, isolation: Optional[str] = None, read_only: bool = False, immediate: bool = True) -> None:
        for text in begin_texts(self._dialect, isolation, read_only):
            self.control(text)

    def commit(self) -> None:
        if self._streaming is not None:
            self._streaming.buffer()
        if not self.usable:
            raise lost_before_commit()
        try:
            self.control("COMMIT")
        except (ConnectionLostError, TimeoutError) as error:
            if self._usable:  # refused, and answered
                raise
            raise outcome_unknown(error) from error.__cause__

    def rollback(self) -> None:
        if self.in_transaction:
            try:
                self.control("ROLLBACK")
            except DatabaseError:
                if self._usable:  # else the server rolls back by itself
                    raise

    def savepoint(self, name: str, joined: bool = False) -> None:
        self.control(f"SAVEPOINT {self._dialect.quote(name)}")

    def rollback_to(self, name: str) -> None:
        self.control(f"ROLLBACK TO SAVEPOINT {self._dialect.quote(name)}")

    def release(self, name: str, joined: bool = False) -> None:
        if joined:  # the next one of that name, or the end, takes its place
            return
        self.control(f"RELEASE SAVEPOINT {self._dialect.quote(name)}")

    def reset(self) -> None:
        if self._streaming is not None:
            self._streaming.drop()
        self.rollback()

    def close(self) -> None:
        self._usable = False
        try:
            self._raw.close()
        except DRIVER_ERRORS:
            self._raw._force_close()

    def detach(self) -> None:
        self._usable = False
        _detached.append(self._raw)
        self._raw = _Gone()

    def control(self, sql: str) -> None:
        """Run a statement without parameters and rows."""
        if self._streaming is not None:
            self._streaming.buffer()
        try:
            self._raw.query(sql)
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error
        except BaseException as error:
            self._note_interrupt(error)
            raise

    def _note_interrupt(self, error: BaseException) -> None:
        """Give the connection up after an interrupt, which may have left half an answer unread."""
        if not isinstance(error, Exception):
            self._usable = False

    def _translate(self, error: BaseException, sql: str) -> DatabaseError:
        code, text = code_and_text(error)
        lost = code in LOST_CODES or isinstance(error, (OSError, struct.error)) or not self._raw.open
        # After "Packet sequence number wrong" nobody knows what comes next on the connection.
        lost = lost or (isinstance(error, pymysql.InternalError) and not code)
        if lost:
            self._usable = False
            if isinstance(error.__context__, socket.timeout):
                return TimeoutError("the server did not answer within statement_timeout")
        translated = translate(code, text, sql, lost)
        if lost:
            return translated
        if self.in_transaction and may_end_transaction(translated):
            self._refresh_status()
        key = table_and_key(translated)
        return translated if key is None else with_columns(translated, self._columns_of(key))

    def _refresh_status(self) -> None:
        """After an error, which does not tell: ask whether the transaction is still open."""
        try:
            self._raw.ping(reconnect=False)
        except DRIVER_ERRORS:
            self._usable = False

    def _columns_of(self, key: tuple[str, str]) -> tuple[str, ...]:
        """Ask for the columns of a key, once per engine."""
        known = self._dialect.memory
        place = ("key", *key)
        if place not in known:
            rows = self.execute(KEY_COLUMNS, key, list)
            known[place] = tuple([row[0] for row in rows])
        return known[place]  # type: ignore[no-any-return]


class _Unread:
    """What is left of an unbuffered result: in the connection, or in memory when that was needed."""

    def __init__(self, connection: PyMySQLConnection, cursor: Any) -> None:
        self.connection = connection
        self.cursor: Any = cursor
        self.rows: deque[Row] = deque()

    def take(self, size: int) -> list[Row]:
        """Give the next rows."""
        if self.cursor is not None:
            return list(self.cursor.fetchmany(size))
        return [self.rows.popleft() for _ in range(min(size, len(self.rows)))]

    def buffer(self) -> None:
        """Read the rest into memory: the connection is wanted for something else."""
        cursor, self.cursor = self.cursor, None
        self.connection._streaming = None
        try:
            self.rows.extend(cursor.fetchall_unbuffered())
            cursor.close()
        except DRIVER_ERRORS as error:
            raise self.connection._translate(error, "") from error

    def drop(self) -> None:
        """Forget the rest."""
        if self.cursor is None:
            return
        cursor, self.cursor = self.cursor, None
        self.connection._streaming = None
        try:
            cursor.close()
        except DRIVER_ERRORS as error:
            raise self.connection._translate(error, "") from error


class _Gone:
    """Stand in for a connection of the parent process."""

    open = False
    server_status = 0

    def cursor(self, *_: Any) -> Any:
        raise ConnectionLostError(
            "the connection belongs to the parent of this forked process; open a new session in the child"
        )

    query = cursor

    def close(self) -> None:
        """Do nothing: it is not ours."""
