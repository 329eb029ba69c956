"""One connection of DuckDB."""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Optional, Union, overload

from blaze.adapters.connection import Consume, Parameters, R, Row
from blaze.adapters.outcome import Outcome
from blaze.errors import CapabilityError, ConnectionLostError, DatabaseError, TimeoutError, UniqueError
from blaze.sql.tokens import tokenize
from blaze_duckdb.dialect import FEATURES, DuckDBDialect
from blaze_duckdb.errors import DRIVER_ERRORS, FATAL, SENDING_ERRORS, duplicate, translate

__all__ = ["DuckDBConnection"]

_CHANGES = {"INSERT", "UPDATE", "DELETE"}
_INSERT = re.compile(r"(INSERT INTO [^?]* VALUES )(\([?, ]+\))( ON CONFLICT[^?]*)?")
_ROWS = 500  # of one INSERT
_detached: list[Any] = []  # driver connections of a parent process: never closed, never finalised here


@functools.lru_cache(1000)
def _is_counted(sql: str) -> bool:
    """Say whether the only row that a statement gives is the number of rows that it has changed."""
    words = {token.word for token in tokenize(sql, FEATURES.lexis)}
    return bool(words & _CHANGES) and "RETURNING" not in words


class _Gone:
    """Stand in for a driver connection that must not be touched any more."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def execute(self, *_: Any) -> Any:
        raise ConnectionLostError(self.reason)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    interrupt = close


class _Stream:
    """The rows of a query, read bit by bit: what is left moves into memory when another statement comes."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.rest: Optional[list[Row]] = None

    def keep(self) -> None:
        """Read what is left: the driver's result ends with the next statement."""
        if self.rest is None:
            self.rest = self.raw.fetchall()

    def take(self, size: int) -> list[Row]:
        """Give the next rows."""
        if self.rest is None:
            return self.raw.fetchmany(size)  # type: ignore[no-any-return]
        found, self.rest = self.rest[:size], self.rest[size:]
        return found


class DuckDBConnection:
    """Run statements on one connection of the driver; only ``begin`` opens transactions.

    ``statement_timeout`` in seconds interrupts statements that run longer, 0 lets them run.
    """

    __slots__ = (
        "__weakref__", "_dialect", "_raw", "_statement_timeout", "_stream", "in_transaction", "place",
        "usable",
    )  # fmt: skip

    keep_on_fork = False

    def __init__(self, raw: Any, dialect: DuckDBDialect, statement_timeout: float = 0.0) -> None:
        self._raw: Any = raw
        self._dialect = dialect
        self._statement_timeout = statement_timeout
        self._stream: Optional[_Stream] = None
        self.in_transaction = False
        self.place: Any = None
        self.usable = True

    @property
    def raw(self) -> Any:
        return self._raw

    @property
    def needs_reset(self) -> bool:
        return self.in_transaction

    @overload
    def execute(self, sql: str, params: Parameters = (), consume: None = None) -> Outcome: ...
    @overload
    def execute(self, sql: str, params: Parameters, consume: Consume[R]) -> R: ...
    def execute(
        self, sql: str, params: Parameters = (), consume: Optional[Consume[R]] = None
    ) -> Union[R, Outcome]:
        self._send(sql, params)
        with self._translated(sql):
            if consume is not None:
                return consume(() if _is_counted(sql) else self._raw.fetchall())
            return self._outcome(sql)

    def _outcome(self, sql: str) -> Outcome:
        rows = self._raw.fetchall()
        if _is_counted(sql):
            return Outcome(rows[0][0] if rows else 0, None, (), [])
        columns = tuple([column[0] for column in self._raw.description or ()])
        words = sql.split(None, 1)
        if columns in (("Success",), ("Count",)) and words[0].upper() not in ("SELECT", "WITH"):
            return Outcome(-1, None, (), [])  # DDL
        return Outcome(len(rows), None, columns, rows)

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        counted, total = _is_counted(sql), 0
        insert = _INSERT.fullmatch(sql)
        if insert is not None:  # a statement for each row would take five times as long
            for start in range(0, len(rows), _ROWS):
                some = rows[start : start + _ROWS]
                values = ", ".join([insert[2]] * len(some))
                total += self.execute(
                    f"{insert[1]}{values}{insert[3] or ''}", [each for row in some for each in row]
                ).rowcount
            return total
        for row in rows:
            changed = self.execute(sql, row).rowcount
            total += changed if counted else 0
        return total if counted else -1

    def stream(self, sql: str, params: Parameters = (), size: int = 1000) -> Generator[list[Row], None, None]:
        self._send(sql, params)
        stream = self._stream = _Stream(self._raw)
        try:
            while True:
                with self._translated(sql):
                    rows = stream.take(size)
                if not rows:
                    return
                yield rows
        finally:
            if self._stream is stream:
                self._stream = None

    def begin(self, isolation: Optional[str] = None, read_only: bool = False, immediate: bool = True) -> None:
        if isolation is not None:
            self._dialect.isolation(isolation)
        self._send("BEGIN TRANSACTION READ ONLY" if read_only else "BEGIN", ())
        self.in_transaction = True

    def commit(self) -> None:
        try:
            self._send("COMMIT", ())
        finally:
            self.in_transaction = False  # what cannot be committed has been rolled back

    def rollback(self) -> None:
        if self.in_transaction:
            self.in_transaction = False
            self._send("ROLLBACK", ())

    def savepoint(self, name: str) -> None:
        raise CapabilityError("duckdb has no savepoints")

    rollback_to = release = savepoint

    def reset(self) -> None:
        self.rollback()

    def close(self) -> None:
        self.usable = False
        raw, self._raw = self._raw, _Gone("the connection is closed; open a new session")
        raw.close()

    def detach(self) -> None:
        self.usable = False
        _detached.append(self._raw)
        self._raw = _Gone(
            "the connection belongs to the parent of this forked process; open a new session in the child"
        )

    def _send(self, sql: str, params: Parameters) -> None:
        if self._stream is not None:
            self._stream.keep()
            self._stream = None
        timer = None
        if self._statement_timeout:
            timer = threading.Timer(self._statement_timeout, self._raw.interrupt)
            timer.daemon = True
            timer.start()
        try:
            self._raw.execute(sql, params)
        except SENDING_ERRORS as error:
            raise self._translate(error, sql) from error
        finally:
            if timer is not None:
                timer.cancel()

    @contextlib.contextmanager
    def _translated(self, sql: str) -> Iterator[None]:
        try:
            yield
        except DRIVER_ERRORS as error:
            raise self._translate(error, sql) from error

    def _translate(self, error: BaseException, sql: str) -> DatabaseError:
        name = type(error).__name__
        translated = translate(error, sql)
        if name == "InterruptException" and self._statement_timeout:
            return TimeoutError(
                f"the statement ran longer than statement_timeout ({self._statement_timeout:g} s)\n"
                f"  statement: {translated.statement}",
                statement=translated.statement,
                code=name,
            )
        if isinstance(translated, UniqueError):
            translated.columns = self._unique_columns(duplicate(error), sql)
        if isinstance(translated, ConnectionLostError) or name in FATAL:
            self.usable = False
        return translated

    def _unique_columns(self, pairs: str, sql: str) -> tuple[str, ...]:
        """Tell the columns of the key `a: 1, b: 2`: those of a unique constraint or index that fits the text.

        Values may hold anything, so the catalogue is asked, by another connection: in this one the
        transaction has failed.
        """
        names = [
            token.text.strip('"') for token in tokenize(sql, FEATURES.lexis) if token.kind in ("word", "name")
        ]
        query = (
            "SELECT constraint_column_names FROM duckdb_constraints()"
            " WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE') AND table_name IN (SELECT unnest(?))"
        )
        try:
            with self._raw.cursor() as cursor:
                found = cursor.execute(query, [names]).fetchall()
        except DRIVER_ERRORS:
            return ()
        fitting = [
            tuple(columns)
            for (columns,) in found
            if re.fullmatch(", ".join([f"{re.escape(name)}: .*" for name in columns]), pairs, re.DOTALL)
        ]
        return max(fitting, key=len, default=())
