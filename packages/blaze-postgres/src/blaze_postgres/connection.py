"""One connection of psycopg2."""

from __future__ import annotations

import datetime as dt
import io
import sys
from collections.abc import Generator, Sequence
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any, Optional, Union, overload

import psycopg2
from psycopg2 import extensions as ext

from blaze.adapters.config import ConnectionConfig
from blaze.adapters.connection import Consume, Parameters, R, Row
from blaze.adapters.incoming import incoming
from blaze.adapters.outcome import Outcome
from blaze.adapters.refusals import lost_before_commit, outcome_unknown
from blaze.dialects.batches import CopyTarget
from blaze.errors import ConnectionLostError, DatabaseError, TimeoutError
from blaze.security.frames import without_frames
from blaze.security.secret import Secret
from blaze_postgres.codecs import InfiniteDate, InfiniteMoment, NegativeZero
from blaze_postgres.copying import copy_text
from blaze_postgres.dialect import PostgresDialect
from blaze_postgres.errors import Report, opening_error, translate
from blaze_postgres.opening import (
    CONNECT_TIMEOUT,
    CURSORS,
    GUARDED,
    begin_text,
    client_limit,
    cursor_kind,
    cursor_names,
    settings,
    stream_ended,
)
from blaze_postgres.patience import Patience
from blaze_postgres.raw_rows import raw_rows

__all__ = ["PsycopgConnection", "connect"]

# What psycopg2 raises from execute and from reading rows; those of Python are about values.
DRIVER_ERRORS = (psycopg2.Error, ValueError, OverflowError, TypeError, IndexError)
IDLE = ext.TRANSACTION_STATUS_IDLE
IN_TRANSACTION = ext.TRANSACTION_STATUS_INTRANS
BETWEEN_STATEMENTS = (IDLE, ext.TRANSACTION_STATUS_INTRANS, ext.TRANSACTION_STATUS_INERROR)
_detached: list[Any] = []  # driver connections of a parent process: never closed, never finalised here


def _ignore(rows: Any) -> None:
    """Consume nothing: the statement gives no rows."""


def _all(cursor: Any) -> list[Row]:
    return cursor.fetchall()  # type: ignore[no-any-return]


# JSON stays a text until it is read; UUIDs are made from texts by their columns' decoder.
_JSON = ext.new_type((114, 3802), "JSON_TEXT", ext.UNICODE)


def _bytes(text: Any, cursor: Any) -> Optional[bytes]:
    """Read bytes as such: the driver gives a memoryview."""
    found = psycopg2.BINARY(text, cursor)
    return None if found is None else bytes(found)


_BYTES = ext.new_type((17,), "BYTES", _bytes)


# Ranges stay texts, whatever else in the program has told the driver about them.
_RANGE = ext.new_type((3904, 3906, 3908, 3910, 3912, 3926), "RANGE_TEXT", ext.UNICODE)


def _item(oid: int, read: Any, latest: Any, earliest: Any) -> Any:
    """Give the reader of an array's items: in arrays the driver's own ones do not know infinity."""
    ends: dict[Any, Any] = {"infinity": latest, "-infinity": earliest}
    return ext.new_type((oid,), "ITEM", lambda text, cursor: ends.get(text) or read(text, cursor))


def _time(text: Any, cursor: Any) -> Optional[dt.time]:
    """Refuse the end of the day, which the driver would take for its start."""
    if text is None:
        return None
    if text[:2] == "24":
        raise ValueError("24:00 is no time of day that Python can hold")
    # As fast as the driver's own where it reads all that the server writes.
    return dt.time.fromisoformat(text) if _ISO else ext.PYTIME(text, cursor)


_ISO = sys.version_info >= (3, 11)
_TIME = ext.new_type((1083, 1266), "TIME", _time)

_TYPES = (
    _TIME,
    ext.new_array_type((1183, 1270), "TIME[]", _TIME),
    ext.new_array_type((1182,), "DATE[]", _item(1082, ext.PYDATE, dt.date.max, dt.date.min)),
    ext.new_array_type((1115,), "TIMESTAMP[]", _item(1114, ext.PYDATETIME, dt.datetime.max, dt.datetime.min)),
    ext.new_array_type(
        (1185,),
        "TIMESTAMPTZ[]",
        _item(
            1184,
            ext.PYDATETIMETZ,
            dt.datetime.max.replace(tzinfo=dt.timezone.utc),
            dt.datetime.min.replace(tzinfo=dt.timezone.utc),
        ),
    ),
    _BYTES,
    ext.new_array_type((1001,), "BYTES[]", _BYTES),
    _JSON,
    ext.new_array_type((199, 3807), "JSON_TEXT[]", _JSON),
    ext.new_array_type((2951,), "UUID_TEXT[]", ext.UNICODE),
    _RANGE,
    ext.new_array_type((3905, 3907, 3909, 3911, 3913, 3927), "RANGE_TEXT[]", _RANGE),
)

ext.register_adapter(NegativeZero, lambda value: ext.AsIs("'-0'::float8"))
for _kind in (InfiniteDate, InfiniteMoment):
    ext.register_adapter(_kind, lambda value: ext.AsIs(f"'{value}'"))


def connect(config: ConnectionConfig, dialect: PostgresDialect) -> PsycopgConnection:
    """Open a connection, or raise what says why not."""
    arguments = connect_arguments(config)
    try:
        raw = psycopg2.connect(**arguments, **_password(config.password))
    except (psycopg2.Error, UnicodeError) as error:
        raise opening_error(
            config.redacted(), str(error), getattr(error, "pgcode", None)
        ) from without_frames(error)
    except BaseException as error:  # an interrupt meanwhile
        raise without_frames(error)  # noqa: B904 - it is the error itself
    raw.autocommit = True
    for each in _TYPES:
        ext.register_type(each, raw)
    return PsycopgConnection(raw, dialect, config)


def _password(secret: Optional[Secret]) -> dict[str, Any]:
    return {} if secret is None else {"password": secret.reveal()}


def connect_arguments(config: ConnectionConfig) -> dict[str, Any]:
    """Give the keyword arguments of ``psycopg2.connect`` but the password."""
    timeout = config.get("connect_timeout", CONNECT_TIMEOUT)
    arguments: dict[str, Any] = {
        "host": config.host,
        "port": config.port,
        "user": config.user,
        "dbname": config.database or config.user or "postgres",
        "connect_timeout": max(round(timeout), 1) if timeout else None,
        "application_name": config.get("application_name"),
        "client_encoding": "UTF8",
        # A peer that is gone without a word is noticed after a minute, not after two hours.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    for name in ("sslmode", "sslrootcert", "sslcert", "sslkey"):
        arguments[name] = config.get(name)
    if not config.get("pgbouncer"):  # which does not take settings at the start
        arguments["options"] = " ".join(
            f"-c {name}={_escaped(value)}" for name, value in settings(config).items()
        )
    return {name: value for name, value in arguments.items() if value is not None}


def _escaped(value: str) -> str:
    """Escape a value of libpq's `options`, which are parted by blanks."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


class PsycopgConnection:
    """Run statements on one psycopg2 connection in autocommit; only ``begin`` opens transactions."""

    __slots__ = (
        "__weakref__",
        "_begin",
        "_config",
        "_cursor",
        "_dialect",
        "_epoch",
        "_incoming",
        "_patience",
        "_raw",
        "_usable",
        "_waiting",
        "place",
    )

    keep_on_fork = False

    def __init__(self, raw: Any, dialect: PostgresDialect, config: ConnectionConfig) -> None:
        self._raw = raw
        self._cursor = raw.cursor
        self._dialect = dialect
        self._config = config
        self._begin = begin_text(dialect, config, None, False)
        self._incoming = incoming(raw.fileno())
        self._patience = Patience(raw.fileno(), client_limit(config))
        self._usable = True
        self.place: Any = None  # the pool's
        self._epoch = 0  # counts the ends of transactions, and with them of cursors
        self._waiting: list[str] = []  # commands that are sent together with the next statement

    @property
    def raw(self) -> Any:
        if self._waiting:  # others know nothing of a BEGIN that waits
            self._control("")
        return self._raw

    @property
    def usable(self) -> bool:
        if not self._usable:
            return False
        # Between statements nothing comes in but the news of its end, and notifications: no round trip.
        if self._incoming() and self._raw.get_transaction_status() in BETWEEN_STATEMENTS:
            try:
                self._raw.poll()
            except psycopg2.Error:
                self._usable = False
            if self._raw.closed or self._incoming():  # the end of the stream stays, messages are read
                self._usable = False
        return self._usable

    @usable.setter
    def usable(self, value: bool) -> None:
        self._usable = value

    @property
    def in_transaction(self) -> bool:
        if self._raw.closed:
            return False
        return bool(self._waiting) or self._raw.get_transaction_status() != IDLE

    @property
    def needs_reset(self) -> bool:
        return bool(self._waiting) or self._raw.get_transaction_status() != IDLE

    @overload
    def execute(self, sql: str, params: Parameters = (), consume: None = None) -> Outcome: ...
    @overload
    def execute(self, sql: str, params: Parameters, consume: Consume[R]) -> R: ...
    def execute(
        self, sql: str, params: Parameters = (), consume: Optional[Consume[R]] = None
    ) -> Union[R, Outcome]:
        patience = self._patience
        patience.deadline = monotonic() + patience.limit
        try:
            cursor = self._cursor()
            if self._waiting:
                self._send(cursor, sql, params or None)
            else:
                cursor.execute(sql, params or None)
            patience.deadline = inf  # all rows have come: what consumes them may take its time
            if consume is not None:
                return consume(cursor)
            if cursor.description is None:
                return Outcome(cursor.rowcount, None, (), [])
            columns = tuple([column[0] for column in cursor.description])
            numbers = [column[1] for column in cursor.description]
            rows = raw_rows(self._dialect, numbers, cursor.fetchall())
            return Outcome(cursor.rowcount, None, columns, rows)
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error
        finally:
            patience.deadline = inf

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        total = 0
        patience = self._patience
        try:
            cursor = self._cursor()
            for row in rows:
                patience.deadline = monotonic() + patience.limit
                self._send(cursor, sql, row)
                total += cursor.rowcount
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error
        finally:
            patience.deadline = inf
        return total

    def copy(self, target: CopyTarget, rows: Sequence[Parameters]) -> int:
        patience = self._patience
        patience.deadline = monotonic() + patience.limit
        try:
            cursor = self._cursor()
            self._send(cursor, GUARDED.format("%s"), (target.name,))
            if cursor.fetchone()[0]:
                return -1
            cursor.copy_expert(target.sql, io.StringIO(copy_text(target.types, rows)))
            return int(cursor.rowcount)
        except DRIVER_ERRORS as error:
            raise self._translate(error, target.sql) from error
        finally:
            patience.deadline = inf

    def stream(self, sql: str, params: Parameters = (), size: int = 1000) -> Generator[list[Row], None, None]:
        own = not self.in_transaction  # the cursor of a query lives in a transaction
        name, fetch = cursor_names(size)
        declared = False
        if own:
            self.begin()
        epoch = self._epoch
        try:
            self.execute(f"DECLARE {name} {cursor_kind(sql, self._dialect)} FOR {sql}", params, _ignore)
            declared = True
            while True:
                if epoch != self._epoch:
                    if not self._has_cursor(name):
                        raise stream_ended()
                    epoch = self._epoch
                rows = self.execute(fetch, (), _all)
                if rows:
                    yield rows
                if len(rows) < size:
                    break
        except BaseException:
            # Where the transaction has failed, the cursor cannot be closed: that must not hide why.
            with suppress(DatabaseError):
                self._end_stream(name, own, declared and epoch == self._epoch)
            raise
        self._end_stream(name, own, epoch == self._epoch)

    def _end_stream(self, name: str, own: bool, sure: bool) -> None:
        """Close a cursor that is surely open, or perhaps."""
        if not self.usable:
            return
        if own:
            self.rollback()
        elif sure or self._has_cursor(name):
            self._control(f"CLOSE {name}")

    def _has_cursor(self, name: str) -> bool:
        ((found,),) = self.execute(CURSORS.format("%s"), (name,), _all)
        return bool(found)

    def begin(self, isolation: Optional[str] = None, read_only: bool = False, immediate: bool = True) -> None:
        if self.in_transaction:
            raise DatabaseError(
                "a transaction is open already; end it first", statement="BEGIN", code="25001"
            )
        if isolation is None and not read_only:
            self._waiting = [self._begin]
        else:
            self._waiting = [begin_text(self._dialect, self._config, isolation, read_only)]

    def commit(self) -> None:
        if self._forget_waiting():
            return
        if not self.usable:
            raise lost_before_commit()
        self._epoch += 1
        try:
            cursor = self._control("COMMIT")
        except DatabaseError as error:
            if self._usable:
                raise
            raise outcome_unknown(error) from error.__cause__
        if cursor.statusmessage == "ROLLBACK":
            raise DatabaseError(
                "the transaction was rolled back instead of committed: an earlier statement had failed",
                statement="COMMIT",
                code="25P02",
            )

    def rollback(self) -> None:
        if not self._forget_waiting() and self.in_transaction:
            self._epoch += 1
            try:
                self._control("ROLLBACK")
            except DatabaseError:
                if self._usable:  # else the server rolls back by itself
                    raise

    def savepoint(self, name: str, joined: bool = False) -> None:
        text = f"SAVEPOINT {self._dialect.quote(name)}"
        if joined:
            self._waiting.append(text)
        else:
            self._control(text)

    def rollback_to(self, name: str) -> None:
        text = f"SAVEPOINT {self._dialect.quote(name)}"
        if text in self._waiting:  # nothing has been done since
            del self._waiting[self._waiting.index(text) + 1 :]
            return
        self._waiting.clear()
        self._epoch += 1
        self._control(f"ROLLBACK TO {text}")

    def release(self, name: str, joined: bool = False) -> None:
        text = f"SAVEPOINT {self._dialect.quote(name)}"
        if text in self._waiting:
            del self._waiting[self._waiting.index(text) :]
        elif joined:
            self._waiting.append(f"RELEASE {text}")
        else:
            self._control(f"RELEASE {text}")

    def reset(self) -> None:
        self.rollback()

    def close(self) -> None:
        self._usable = False
        self._raw.close()

    def detach(self) -> None:
        self._usable = False
        _detached.append(self._raw)
        self._raw = _Gone()
        self._cursor = self._raw.cursor

    def _control(self, sql: str) -> Any:
        """Run a command without parameters; give the cursor."""
        patience = self._patience
        patience.deadline = monotonic() + patience.limit
        try:
            cursor = self._cursor()
            self._send(cursor, sql)
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error
        finally:
            patience.deadline = inf
        return cursor

    def _send(self, cursor: Any, sql: str, params: Optional[Parameters] = None) -> None:
        """Execute a statement, with the commands that wait in front of it: one round trip for all."""
        waiting = self._waiting
        if not waiting:
            cursor.execute(sql, params)
            return
        text = "; ".join(waiting)
        text = text if params is None else text.replace("%", "%%")
        try:
            cursor.execute(f"{text}; {sql}" if sql else text, params)
        except BaseException as error:
            # What the driver refused was not sent, so they go on waiting. A statement that the server refused
            # leaves a failed transaction; of an interrupted one nobody knows.
            status = self._raw.get_transaction_status()
            if not (status == IDLE or (status == IN_TRANSACTION and isinstance(error, Exception))):
                waiting.clear()
            raise
        waiting.clear()

    def _forget_waiting(self) -> bool:
        """Forget what waits when the transaction ends; say whether that had not even begun for the server."""
        unbegun = bool(self._waiting) and self._raw.get_transaction_status() == IDLE
        self._waiting.clear()
        return unbegun

    def _translate(self, error: BaseException, sql: str) -> DatabaseError:
        diagnostics: Any = getattr(error, "diag", None)
        code = getattr(error, "pgcode", None) or ""
        lost = bool(self._raw.closed)
        if diagnostics is None or not code:
            report = Report(code, str(error))
        else:
            report = Report(
                code,
                diagnostics.message_primary or str(error),
                diagnostics.message_detail or "",
                diagnostics.constraint_name,
                diagnostics.column_name,
            )
        if self._patience.over:
            self._usable = False
            return TimeoutError("the server did not answer within statement_timeout")
        translated = translate(report, sql, lost)
        if lost or isinstance(translated, ConnectionLostError):
            self._usable = False
        return translated


class _Gone:
    """Stand in for a connection of the parent process."""

    closed = 1

    def cursor(self, **_: Any) -> Any:
        raise ConnectionLostError(
            "the connection belongs to the parent of this forked process; open a new session in the child"
        )

    def poll(self) -> None:
        """Do nothing: nothing comes in."""

    def get_transaction_status(self) -> int:
        return int(IDLE)

    def close(self) -> None:
        """Do nothing: it is not ours."""
