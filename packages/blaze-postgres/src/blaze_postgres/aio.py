"""One connection of asyncpg.

Statements are prepared once per connection and kept; a statement costs one round trip after that. Behind a
pooler in transaction mode nothing may be kept: there each one is prepared without a name.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Optional, Union, overload
from urllib.parse import urlencode

import asyncpg

from blaze.adapters.config import ConnectionConfig
from blaze.adapters.connection import Consume, Parameters, R, Row
from blaze.adapters.incoming import incoming
from blaze.adapters.outcome import Outcome
from blaze.adapters.refusals import lost_before_commit, outcome_unknown
from blaze.adapters.settling import SETTLE_SECONDS, finish, settle
from blaze.dialects.batches import CopyTarget
from blaze.errors import (
    ConnectionLostError,
    DatabaseError,
    DataError,
    SerializationError,
    SQLSyntaxError,
    TimeoutError,
)
from blaze.security import redact_statement
from blaze.security.frames import without_frames
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
from blaze_postgres.parameters import reading_texts
from blaze_postgres.raw_rows import raw_rows

__all__ = ["AsyncpgConnection", "connect"]

# What asyncpg raises while a statement runs; the last ones are about values that it cannot encode.
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.PostgresWarning,  # what a function raises with a code of the classes 01 and 02
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,
    OverflowError,
    TypeError,
)
_ALONE = re.compile(r"\s*(?:CREATE|ALTER|DROP|REINDEX|REFRESH|VACUUM|ANALYZE|CLUSTER)\b", re.IGNORECASE)
_ARGUMENT = re.compile(r"invalid input for query argument (\$\d+)")
_KINDS = re.compile(r"(?<=\()(?:expected \w+, got \w+|value out of \w+ range)(?=\)\Z)")
_serials = count(1)
_STATEMENTS = 256  # prepared statements kept per connection
_detached: list[Any] = []  # connections of a parent process, kept from being finalised here


async def connect(config: ConnectionConfig, dialect: PostgresDialect) -> AsyncpgConnection:
    """Open a connection, or raise what says why not."""
    timeout: Any = config.get("connect_timeout", CONNECT_TIMEOUT) or None
    secret = config.password
    try:
        raw = await asyncpg.connect(
            **connect_arguments(config),
            password=None if secret is None else secret.reveal,
            timeout=timeout,
        )
    except asyncio.TimeoutError as error:
        raise opening_error(config.redacted(), "timeout expired") from without_frames(error)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        code = getattr(error, "sqlstate", None)
        raise opening_error(config.redacted(), _words(error), code) from without_frames(error)
    except BaseException as error:  # cancelled or interrupted meanwhile
        raise without_frames(error)  # noqa: B904 - it is the error itself
    known = getattr(raw, "_server_caps", None)
    if dialect.pooled and known is not None:
        # Before it asks about types it would switch jit off for the session, which is not ours.
        raw._server_caps = known._replace(jit=False)
    return AsyncpgConnection(raw, dialect, config)


def _words(error: BaseException) -> str:
    """Say what failed in the words that libpq has for it."""
    import socket
    import ssl

    text = str(error) or type(error).__name__
    for kind, words in (
        (socket.gaierror, "could not translate host name"),
        (ssl.SSLError, "SSL error"),
        (FileNotFoundError, "could not read a certificate file"),
        (ConnectionRefusedError, "connection refused"),
    ):
        if isinstance(error, kind):
            return f"{words}: {text}"
    return text


def connect_arguments(config: ConnectionConfig) -> dict[str, Any]:
    """Give the keyword arguments of ``asyncpg.connect`` but the password and the time-out."""
    tls = {name: config.get(name) for name in ("sslmode", "sslrootcert", "sslcert", "sslkey")}
    given = {name: value for name, value in tls.items() if value is not None}
    arguments: dict[str, Any] = {
        "dsn": f"postgresql://?{urlencode(given)}" if given else None,
        "host": config.host.split(",") if config.host and "," in config.host else config.host,
        "port": config.port,
        "user": config.user,
        "database": config.database or config.user or "postgres",
        # This module keeps them. Without a cache the driver would parse a kept one anew each time it runs.
        "statement_cache_size": 0 if config.get("pgbouncer") else _STATEMENTS,
        "command_timeout": client_limit(config),
    }
    server = {} if config.get("pgbouncer") else settings(config)
    if config.get("application_name"):
        server["application_name"] = config.get("application_name")
    return {**arguments, "server_settings": server}


class AsyncpgConnection:
    """Run statements on one asyncpg connection; only ``begin`` opens transactions.

    A cancelled statement is stopped on the server and waited for; when that takes too long, ``usable`` turns
    False.
    """

    __slots__ = (
        "__weakref__",
        "_begin",
        "_config",
        "_dialect",
        "_epoch",
        "_incoming",
        "_raw",
        "_released",
        "_statements",
        "_transport",
        "_usable",
    )

    keep_on_fork = False

    def __init__(self, raw: Any, dialect: PostgresDialect, config: ConnectionConfig) -> None:
        self._raw = raw
        self._dialect = dialect
        self._config = config
        self._begin = begin_text(dialect, config, None, False)
        # None: behind a pooler, which may not know the statement any more.
        self._statements: Optional[dict[str, Any]] = None if config.get("pgbouncer") else {}
        self._transport = raw._transport
        self._incoming = incoming(self._transport.get_extra_info("socket").fileno())
        self._usable = True
        self._epoch = 0  # counts the ends of transactions, and with them of cursors
        self._released = ""  # a savepoint that is released together with the setting of the next one

    @property
    def usable(self) -> bool:
        return self._usable and not self._raw.is_closed() and not self._transport.is_closing()

    @usable.setter
    def usable(self, value: bool) -> None:
        self._usable = value

    @property
    def raw(self) -> Any:
        return self._raw

    @property
    def in_transaction(self) -> bool:
        return self.usable and self._raw.is_in_transaction()

    @property
    def needs_reset(self) -> bool:
        return self.in_transaction

    @overload
    async def execute(self, sql: str, params: Parameters = (), consume: None = None) -> Outcome: ...
    @overload
    async def execute(self, sql: str, params: Parameters, consume: Consume[R]) -> R: ...
    async def execute(
        self, sql: str, params: Parameters = (), consume: Optional[Consume[R]] = None
    ) -> Union[R, Outcome]:
        if self._dialect.pooled and not self._raw.is_in_transaction():
            return await self._execute_alone(sql, params, consume)  # type: ignore[no-any-return]
        statements = self._statements
        kept = statement = None if statements is None else statements.get(sql)
        try:
            if statement is None:
                statement = await self._prepare(sql)
            try:
                rows = await statement.fetch(*params)
            except asyncpg.InvalidCachedStatementError:
                if self.in_transaction or self._statements is None:
                    raise
                self._statements.clear()  # a table was altered since
                statement = await self._prepare(sql)
                rows = await statement.fetch(*params)
            if consume is not None:
                return consume(rows)
            status = statement.get_statusmsg()
            attributes = statement.get_attributes()
            numbers = [each.type.oid for each in attributes]
            columns = tuple([each.name for each in attributes])
            return Outcome(_count(status), None, columns, raw_rows(self._dialect, numbers, rows))
        except asyncio.CancelledError:
            await self._settle()
            raise
        except asyncio.TimeoutError as error:
            await self._settle()
            raise TimeoutError("the server did not answer within statement_timeout") from error
        except asyncpg.InvalidCachedStatementError as error:
            translated = self._translate(error, sql)
            if kept is None or self._raw.is_in_transaction():
                raise translated from error
        except asyncpg.DataError as error:
            own = getattr(error, "severity", None) is None  # not the server's
            given = statement.get_parameters() if own and statement is not None else ()
            reading = reading_texts(sql, given, params, self._dialect)
            if reading is None:
                raise self._translate(error, sql) from error
            sql = reading
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error
        # A column has another type than when the statement was prepared, or the driver has refused a text
        # that the server may read: nothing has been done.
        return await self.execute(sql, params, consume)

    async def _execute_alone(self, sql: str, params: Parameters, consume: Any) -> Any:
        """Run one statement where the pooler may hand every message to another session of the server."""
        if not params and _ALONE.match(sql):  # what may not run in a transaction goes as one message
            status = await self._control(sql)
            return Outcome(_count(status), None, (), []) if consume is None else consume([])
        await self.begin()
        try:
            result = await self.execute(sql, params, consume)
        except BaseException:
            if self.usable:
                await self.rollback()
            raise
        await self.commit()
        return result

    async def _prepare(self, sql: str) -> Any:
        if "\x00" in sql:  # the driver would send it, and the rest of the text be another message
            raise SQLSyntaxError(
                "a statement cannot hold the character NUL (0)", statement=redact_statement(sql)
            )
        sql.encode()  # raises here what would break the connection
        if self._statements is None:
            return await self._raw.prepare(sql, name="")
        # Without a name, asyncpg would send the text each time, for the server to plan it anew.
        statement = await self._raw.prepare(sql, name=f"blaze_{next(_serials)}")
        if len(self._statements) >= _STATEMENTS:
            del self._statements[next(iter(self._statements))]
        self._statements[sql] = statement
        return statement

    async def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        total = 0
        try:
            statement = (self._statements or {}).get(sql) or await self._prepare(sql)
            if sql.startswith("INSERT") and " ON CONFLICT " not in sql:
                await statement.executemany(
                    rows
                )  # sent in one go; it tells no counts, but here each row is one
                return len(rows)
            for row in rows:
                await statement.fetch(*row)
                total += _count(statement.get_statusmsg())
        except asyncio.CancelledError:
            await self._settle()
            raise
        except asyncio.TimeoutError as error:
            await self._settle()
            raise TimeoutError("the server did not answer within statement_timeout") from error
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error
        return total

    async def copy(self, target: CopyTarget, rows: Sequence[Parameters]) -> int:
        ((guarded,),) = await self.execute(GUARDED.format("$1::TEXT"), (target.name,), list)
        if guarded:
            return -1
        try:
            status = await self._raw.copy_records_to_table(
                target.table, schema_name=target.schema, columns=list(target.columns), records=rows
            )
            return _count(status)
        except asyncio.CancelledError:
            await self._settle()
            raise
        except asyncio.TimeoutError as error:
            await self._settle()
            raise TimeoutError("the server did not answer within statement_timeout") from error
        except DRIVER_ERRORS as error:
            raise self._translate(error, target.sql) from error

    async def stream(
        self, sql: str, params: Parameters = (), size: int = 1000
    ) -> AsyncGenerator[list[Row], None]:
        own = not self.in_transaction  # the cursor of a query lives in a transaction
        name, fetch = cursor_names(size)
        declared = False
        if own:
            await self.begin()
        epoch = self._epoch
        try:
            await self._declare(f"DECLARE {name} {cursor_kind(sql, self._dialect)} FOR {sql}", params)
            declared = True
            while True:
                if epoch != self._epoch:
                    if not await self._has_cursor(name):
                        raise stream_ended()
                    epoch = self._epoch
                rows = await self.execute(fetch, (), list)
                if rows:
                    yield rows
                if len(rows) < size:
                    break
        except BaseException:
            # Where the transaction has failed, the cursor cannot be closed: that must not hide why.
            with suppress(DatabaseError):
                await self._end_stream(name, own, declared and epoch == self._epoch)
            raise
        await self._end_stream(name, own, epoch == self._epoch)

    async def _end_stream(self, name: str, own: bool, sure: bool) -> None:
        """Close a cursor that is surely open, or perhaps."""
        if not self.usable:
            return
        if own:
            await self.rollback()
        elif sure or await self._has_cursor(name):
            await self._control(f"CLOSE {name}")

    async def _has_cursor(self, name: str) -> bool:
        ((found,),) = await self.execute(CURSORS.format("$1::TEXT"), (name,), list)
        return bool(found)

    async def _declare(self, sql: str, params: Parameters) -> None:
        """Declare a cursor with a statement that is not kept: its name is never used again."""
        statements, self._statements = self._statements, None
        try:
            await self.execute(sql, params, list)
        finally:
            self._statements = statements

    async def begin(
        self, isolation: Optional[str] = None, read_only: bool = False, immediate: bool = True
    ) -> None:
        if isolation is None and not read_only:
            await self._control(self._begin)
        else:
            await self._control(begin_text(self._dialect, self._config, isolation, read_only))

    async def commit(self) -> None:
        self._released = ""
        if self._incoming():  # let asyncpg read it: it can only be the news of the end
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if not self.usable:
            raise lost_before_commit()
        self._epoch += 1
        try:
            status = await self._finish("COMMIT")
        except ConnectionLostError as error:
            raise outcome_unknown(error) from error.__cause__
        if status == "ROLLBACK":
            raise DatabaseError(
                "the transaction was rolled back instead of committed: an earlier statement had failed",
                statement="COMMIT",
                code="25P02",
            )

    async def rollback(self) -> None:
        self._released = ""
        if self.in_transaction:
            self._epoch += 1
            try:
                await self._finish("ROLLBACK")
            except DatabaseError:
                if self._usable:  # else the server rolls back by itself
                    raise

    async def savepoint(self, name: str, joined: bool = False) -> None:
        released, self._released = self._released, ""
        before = f"RELEASE SAVEPOINT {released}; " if released else ""
        await self._control(f"{before}SAVEPOINT {self._dialect.quote(name)}")

    async def rollback_to(self, name: str) -> None:
        self._epoch += 1
        self._released = ""
        await self._finish(f"ROLLBACK TO SAVEPOINT {self._dialect.quote(name)}")

    async def release(self, name: str, joined: bool = False) -> None:
        if joined:  # goes with the next savepoint; a COMMIT does it anyway
            self._released = self._dialect.quote(name)
            return
        await self._finish(f"RELEASE SAVEPOINT {self._dialect.quote(name)}")

    async def reset(self) -> None:
        await self.rollback()

    async def close(self) -> None:
        self._usable = False
        try:
            await self._raw.close(timeout=SETTLE_SECONDS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError):
            self._raw.terminate()
        except asyncio.CancelledError:
            self._raw.terminate()
            raise

    def terminate(self) -> None:
        self._usable = False
        try:
            self._raw.terminate()
        except RuntimeError:  # its event loop is closed, and the socket goes with the objects
            _detached.append(self._raw)

    def detach(self) -> None:
        self._usable = False
        _detached.append(self._raw)

    async def _control(self, sql: str) -> str:
        """Run a command without parameters, in one round trip."""
        try:
            return await self._raw.execute(sql)  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            await self._settle()
            raise
        except asyncio.TimeoutError as error:
            self.terminate()
            raise ConnectionLostError("the server did not answer within statement_timeout") from error
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error

    async def _finish(self, sql: str) -> str:
        """Run a command to its end even when the task that waits for it is cancelled."""
        if not self.usable:
            raise ConnectionLostError("the connection is closed; open a new session")
        return await finish(self._control(sql), self._give_up)

    async def _settle(self) -> None:
        """After a cancellation: wait until the server has stopped the statement."""
        if self.usable:
            await settle(asyncio.ensure_future(self._raw.execute("")), self._give_up)

    def _give_up(self) -> None:
        self._usable = False
        self._raw.terminate()

    def _translate(self, error: BaseException, sql: str) -> DatabaseError:
        code = getattr(error, "sqlstate", None) or ""
        lost = self._raw.is_closed() or self._transport.is_closing() or isinstance(error, OSError)
        if isinstance(error, asyncpg.InvalidCachedStatementError) and self._statements is not None:
            self._statements.clear()
            return SerializationError(
                "a table was altered since the statement was prepared; run the transaction again",
                statement=redact_statement(sql),
                code=code,
            )
        if isinstance(error, asyncpg.DataError) and getattr(error, "severity", None) is None:
            # The driver's own, before anything was sent: it quotes the value.
            return DataError(
                f"{_misfit(str(error))}\n  statement: {redact_statement(sql)}",
                statement=redact_statement(sql),
                code=code,
            )
        report = Report(
            code,
            getattr(error, "message", None) or str(error) or type(error).__name__,
            getattr(error, "detail", None) or "",
            getattr(error, "constraint_name", None),
            getattr(error, "column_name", None),
        )
        translated = translate(report, sql, lost)
        if lost or isinstance(translated, ConnectionLostError):
            self._usable = False
        return translated


def _count(status: str) -> int:
    """Read the number of rows from a command tag such as ``INSERT 0 3``; -1 where it has none."""
    last = status.rpartition(" ")[2] if status else ""
    return int(last) if last.isdigit() else -1


def _misfit(text: str) -> str:
    """Say which parameter does not fit, of what the driver says about it."""
    match = _ARGUMENT.match(text)
    place = f"the parameter {match[1]}" if match else "a value"
    kinds = _KINDS.search(text)
    reason = f" ({kinds[0]})" if kinds else ""
    return (
        f"{place} does not fit the type that the statement wants there{reason}: give a value of that type,"
        " or write a CAST to its own type around the placeholder"
    )
