"""One connection of asyncmy.

The protocol cannot stop a statement half-way on the same connection: where a task is cancelled while one
runs, the connection is closed. What ends a transaction runs to its end first.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Optional, Union, overload

import asyncmy
from asyncmy import converters, errors
from asyncmy.cursors import SSCursor

from blaze.adapters.config import ConnectionConfig
from blaze.adapters.connection import Consume, Parameters, R, Row
from blaze.adapters.incoming import incoming
from blaze.adapters.outcome import Outcome
from blaze.adapters.refusals import lost_before_commit, outcome_unknown
from blaze.adapters.settling import SETTLE_SECONDS, finish
from blaze.errors import ConnectionLostError, DatabaseError, TimeoutError
from blaze.security.frames import without_frames
from blaze_mysql.codecs import COLUMN_READERS
from blaze_mysql.dialect import MySQLDialect
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
from blaze_mysql.patience import Patience

__all__ = ["AsyncmyConnection", "connect"]

DRIVER_ERRORS = (errors.MySQLError, OSError, EOFError, ValueError, OverflowError, TypeError, struct.error)


def _sequence(values: Any, mapping: Any) -> str:
    """Write a list as `(a, b)`; the driver's own function for that takes tuples alone."""
    return converters.escape_sequence(tuple(values), "utf8mb4", mapping)


_CONVERTERS = {
    **{kind: write for kind, write in converters.conversions.items() if not isinstance(kind, int)},
    **COLUMN_READERS,
    list: _sequence,
}
_detached: list[Any] = []  # connections of a parent process or a closed loop, kept from being finalised


async def connect(config: ConnectionConfig, dialect: MySQLDialect) -> AsyncmyConnection:
    """Open a connection and set its session up."""
    given = arguments(config)
    timeout = config.get("connect_timeout", CONNECT_TIMEOUT) or None
    try:
        raw = await asyncio.wait_for(
            asyncmy.connect(**given, conv=_CONVERTERS, **password(config.password)), timeout
        )
    except asyncio.TimeoutError as error:
        raise opening_error(config.redacted(), 0, "timed out") from without_frames(error)
    except DRIVER_ERRORS as error:
        code, text = code_and_text(error)
        raise opening_error(config.redacted(), code, text) from without_frames(error)
    except BaseException as error:  # cancelled or interrupted meanwhile
        raise without_frames(error)  # noqa: B904 - it is the error itself
    raw.show_warnings = _no_warnings
    connection = AsyncmyConnection(raw, dialect, client_limit(config))
    try:
        check_tls(config, connection.encrypted)
        await connection.control(set_up_text(config, dialect, raw.get_server_info()))
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _no_warnings() -> None:
    """Ask for no warnings: the driver would ask after each statement that has any, and log their values."""


class AsyncmyConnection:
    """Run statements on one asyncmy connection in autocommit; only ``begin`` opens transactions.

    While a stream is read, another statement first takes the rows that are left into memory: the protocol
    knows one result at a time.
    """

    __slots__ = (
        "__weakref__",
        "_dialect",
        "_incoming",
        "_packet",
        "_patience",
        "_raw",
        "_streaming",
        "_transport",
        "_usable",
    )

    keep_on_fork = False

    def __init__(self, raw: Any, dialect: MySQLDialect, limit: Optional[float]) -> None:
        self._raw = raw
        self._dialect = dialect
        self._transport = raw._transport if hasattr(raw, "_transport") else raw._writer.transport
        self._incoming = incoming(self._transport.get_extra_info("socket").fileno())
        self._patience = Patience(self._transport, limit)
        self._usable = True
        self._packet = 0  # how long a statement may be; 0 until one is long
        self._streaming: Optional[_Unread] = None

    @property
    def encrypted(self) -> bool:
        """Say whether TLS is used."""
        return self._transport.get_extra_info("ssl_object") is not None

    @property
    def usable(self) -> bool:
        if not self._usable or not self._raw.connected or self._transport.is_closing():
            return False
        # Between statements nothing comes in but its end: no round trip is needed to see it.
        if not self._patience.busy and self._streaming is None and self._incoming():
            self._usable = False
        return self._usable

    @usable.setter
    def usable(self, value: bool) -> None:
        self._usable = value

    @property
    def raw(self) -> Any:
        return self._raw

    @property
    def in_transaction(self) -> bool:
        return self._usable and bool(self._raw.connected and self._raw.get_transaction_status())

    @property
    def needs_reset(self) -> bool:
        return self._streaming is not None or self.in_transaction

    @overload
    async def execute(self, sql: str, params: Parameters = (), consume: None = None) -> Outcome: ...
    @overload
    async def execute(self, sql: str, params: Parameters, consume: Consume[R]) -> R: ...
    async def execute(
        self, sql: str, params: Parameters = (), consume: Optional[Consume[R]] = None
    ) -> Union[R, Outcome]:
        if self._streaming is not None:
            await self._streaming.buffer()
        self._patience.begin()
        try:
            cursor = self._raw.cursor()
            text = cursor.mogrify(sql, params) if params else sql
            if len(text) > LONG:
                await self._check_length(text, sql)
            await cursor.execute(text)
            description = cursor.description
            if description is None:
                if consume is not None:
                    return consume(())
                return Outcome(cursor.rowcount, cursor.lastrowid or None, (), [])
            rows = await cursor.fetchall()
            if consume is not None:
                return consume(rows)
            return Outcome(cursor.rowcount, None, tuple([each[0] for each in description]), list(rows))
        except asyncio.CancelledError:
            self.terminate()
            raise
        except DRIVER_ERRORS as error:
            raise await self._placed(error, sql) from error
        finally:
            self._patience.end()

    async def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        if self._streaming is not None:
            await self._streaming.buffer()
        self._patience.begin()
        try:
            cursor = self._raw.cursor()
            if len(rows) == 1 or goes_row_by_row(sql):
                total = 0
                for row in rows:
                    self._patience.begin()
                    text = cursor.mogrify(sql, row)
                    if len(text) > LONG:
                        await self._check_length(text, sql)
                    await cursor.execute(text)
                    total += cursor.rowcount
                return total
            for row in rows:
                if has_long_values(row):
                    await self._check_length(cursor.mogrify(sql, row), sql)
            await cursor.executemany(sql, list(rows))
            return cursor.rowcount  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            self.terminate()
            raise
        except DRIVER_ERRORS as error:
            raise await self._placed(error, sql) from error
        finally:
            self._patience.end()

    async def _check_length(self, text: str, sql: str) -> None:
        """Raise `DataError` for a statement that is longer than the server takes."""
        if not self._packet:
            cursor = self._raw.cursor()
            await cursor.execute(QUESTION)
            ((limit,),) = await cursor.fetchall()
            self._packet = int(limit)
        if is_too_long(text, self._packet):
            raise translate(TOO_LONG, "", sql)

    async def stream(
        self, sql: str, params: Parameters = (), size: int = 1000
    ) -> AsyncGenerator[list[Row], None]:
        if self._streaming is not None:
            await self._streaming.buffer()
        unread = None
        try:
            cursor = self._raw.cursor(SSCursor)
            self._patience.begin()
            text = cursor.mogrify(sql, params) if params else sql
            if len(text) > LONG:
                await self._check_length(text, sql)
            await cursor.execute(text)
            unread = self._streaming = _Unread(self, cursor)
            while True:
                self._patience.begin()
                rows = await unread.take(size)
                self._patience.end()  # the time of whoever consumes the rows does not count
                if not rows:
                    return
                yield rows
        except asyncio.CancelledError:
            self.terminate()
            raise
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error
        finally:
            self._patience.end()
            if unread is not None and self._usable:
                await unread.drop()

    async def begin(
        self, isolation: Optional[str] = None, read_only: bool = False, immediate: bool = True
    ) -> None:
        for text in begin_texts(self._dialect, isolation, read_only):
            await self.control(text)

    async def commit(self) -> None:
        if self._streaming is not None:
            await self._streaming.buffer()
        if not self.usable:
            raise lost_before_commit()
        try:
            await self._finish("COMMIT")
        except (ConnectionLostError, TimeoutError) as error:
            if self._usable:  # refused, and answered
                raise
            raise outcome_unknown(error) from error.__cause__

    async def rollback(self) -> None:
        if self.in_transaction:
            try:
                await self._finish("ROLLBACK")
            except DatabaseError:
                if self._usable:  # else the server rolls back by itself
                    raise

    async def savepoint(self, name: str, joined: bool = False) -> None:
        await self.control(f"SAVEPOINT {self._dialect.quote(name)}")

    async def rollback_to(self, name: str) -> None:
        await self._finish(f"ROLLBACK TO SAVEPOINT {self._dialect.quote(name)}")

    async def release(self, name: str, joined: bool = False) -> None:
        if joined:  # the next one of that name, or the end, takes its place
            return
        await self._finish(f"RELEASE SAVEPOINT {self._dialect.quote(name)}")

    async def reset(self) -> None:
        if self._streaming is not None:
            await self._streaming.drop()
        await self.rollback()

    async def close(self) -> None:
        self._usable = False
        self._patience.stop()
        try:
            await asyncio.wait_for(self._raw.ensure_closed(), SETTLE_SECONDS)
        except (*DRIVER_ERRORS, asyncio.TimeoutError):
            self._raw.close()
        except asyncio.CancelledError:
            self._raw.close()
            raise

    def terminate(self) -> None:
        self._usable = False
        self._patience.stop()
        try:
            self._raw.close()
        except RuntimeError:  # its event loop is closed, and the socket goes with the objects
            _detached.append(self._raw)

    def detach(self) -> None:
        self._usable = False
        _detached.append(self._raw)

    async def control(self, sql: str) -> None:
        """Run a statement without parameters and rows."""
        if self._streaming is not None:
            await self._streaming.buffer()
        self._patience.begin()
        try:
            await self._raw.query(sql)
        except asyncio.CancelledError:
            self.terminate()
            raise
        except DRIVER_ERRORS as error:
            raise await self._placed(error, sql) from error
        finally:
            self._patience.end()

    async def _finish(self, sql: str) -> None:
        """Run a statement to its end even when the task that waits for it is cancelled."""
        if not self.usable:
            raise ConnectionLostError("the connection is closed; open a new session")
        await finish(self.control(sql), self.terminate)

    def _translate(self, error: BaseException, sql: str) -> DatabaseError:
        code, text = code_and_text(error)
        # After "Packet sequence number wrong" nobody knows what comes next on the connection.
        broken = isinstance(error, (OSError, EOFError, struct.error)) or not self._raw.connected
        broken = broken or (isinstance(error, errors.InternalError) and not code)
        lost = code in LOST_CODES or broken
        if lost:
            self._usable = False
        if self._patience.over:
            return TimeoutError("the server did not answer within statement_timeout")
        return translate(code, text, sql, lost)

    async def _placed(self, error: BaseException, sql: str) -> DatabaseError:
        """Translate an error, and ask for what it does not tell.

        That is whether the transaction is still open, and, once per engine, the columns of a key.
        """
        translated = self._translate(error, sql)
        if self.in_transaction and may_end_transaction(translated):
            try:
                await self._raw.ping(reconnect=False)
            except DRIVER_ERRORS:
                self._usable = False
        key = table_and_key(translated)
        if key is None or not self.usable:
            return translated
        known = self._dialect.memory
        place = ("key", *key)
        if place not in known:
            rows = await self.execute(KEY_COLUMNS, key, list)
            known[place] = tuple([row[0] for row in rows])
        return with_columns(translated, known[place])


class _Unread:
    """What is left of an unbuffered result: in the connection, or in memory when that was needed."""

    def __init__(self, connection: AsyncmyConnection, cursor: Any) -> None:
        self.connection = connection
        self.cursor: Any = cursor
        self.rows: deque[Row] = deque()

    async def take(self, size: int) -> list[Row]:
        """Give the next rows."""
        if self.cursor is not None:
            return list(await self.cursor.fetchmany(size))
        return [self.rows.popleft() for _ in range(min(size, len(self.rows)))]

    async def buffer(self) -> None:
        """Read the rest into memory: the connection is wanted for something else."""
        cursor, self.cursor = self.cursor, None
        self.connection._streaming = None
        try:
            self.rows.extend(await cursor.fetchall())
            await cursor.close()
        except DRIVER_ERRORS as error:
            raise self.connection._translate(error, "") from error

    async def drop(self) -> None:
        """Forget the rest."""
        if self.cursor is None:
            return
        cursor, self.cursor = self.cursor, None
        self.connection._streaming = None
        try:
            await cursor.close()
        except DRIVER_ERRORS as error:
            raise self.connection._translate(error, "") from error
