"""Structured logging: what was executed, what was slow, and to which request it belonged.

Loggers: `blaze.sql` has every statement at DEBUG, `blaze.slow` the slow ones at WARNING. Importing configures
nothing. Each record carries its facts in `record.blaze`, a plain dict: `statement`, `duration_ms`, `rows`,
`params`, `correlation_id`, and `error` or `threshold_ms` where they apply; `JSONFormatter` writes them. Texts
and numbers in statements are replaced by ``?``, and parameters are shown only as a redactor allows.
"""

from __future__ import annotations

import json
import logging
import math
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Optional

from blaze.errors import ConfigurationError
from blaze.utils.parameters import ParameterRedactor, Params, show_parameters
from blaze.utils.shapes import statement_shape

__all__ = [
    "JSONFormatter",
    "StatementLog",
    "correlation",
    "correlation_id",
    "slow_logger",
    "slow_query_seconds",
    "sql_logger",
]

SLOW_QUERY_VARIABLE = "BLAZE_SLOW_QUERY_MS"
DEFAULT_SLOW_QUERY_MS = 200.0

sql_logger = logging.getLogger("blaze.sql")
slow_logger = logging.getLogger("blaze.slow")

_correlation: ContextVar[Optional[str]] = ContextVar("blaze_correlation_id", default=None)


def new_id() -> str:
    """Return a new correlation id."""
    return uuid.uuid4().hex


def correlation_id() -> Optional[str]:
    """Return the correlation id of this thread or task, None outside of `with correlation()`."""
    return _correlation.get()


@contextmanager
def correlation(identifier: Optional[str] = None) -> Iterator[str]:
    """Give everything that is logged in the block one id, a new one when none is passed; blocks nest.

    It holds for this thread or task and for the tasks that are started inside.
    """
    used = new_id() if identifier is None else identifier
    token = _correlation.set(used)
    try:
        yield used
    finally:
        _correlation.reset(token)


def slow_query_seconds(slow_query_ms: Optional[float] = None) -> float:
    """Return from how many seconds on a statement is slow.

    That is `slow_query_ms`, else the environment variable BLAZE_SLOW_QUERY_MS, else 200 ms. 0 means every
    statement, infinity none. Raises ConfigurationError for anything else that is no number of milliseconds.
    """
    value: Any = slow_query_ms
    name = "slow_query_ms"
    if isinstance(value, bool):
        raise ConfigurationError(f"{name} must be a number of milliseconds, not {value!r}")
    if value is None:
        value = os.environ.get(SLOW_QUERY_VARIABLE)
        if value is None or not value.strip():
            return DEFAULT_SLOW_QUERY_MS / 1000
        name = f"the environment variable {SLOW_QUERY_VARIABLE}"
    try:
        milliseconds = float(value)
    except (TypeError, ValueError):
        milliseconds = math.nan
    if not milliseconds >= 0:  # not a number included
        raise ConfigurationError(f"{name} must be a number of milliseconds, not {value!r}")
    return milliseconds / 1000


class StatementLog:
    """Write statements to the loggers; `slow_seconds` is the limit that callers compare with.

    Records carry the correlation id of the surrounding `with correlation()`, else the `session_id` given.

    Callers test first, so that a quiet log costs them no call:
    `if seconds >= log.slow_seconds: log.slow(...)`, and `if log.is_verbose(): log.statement(...)`.
    """

    __slots__ = ("_redactor", "is_verbose", "slow_seconds")

    def __init__(
        self, slow_query_ms: Optional[float] = None, redactor: Optional[ParameterRedactor] = None
    ) -> None:
        self.slow_seconds = slow_query_seconds(slow_query_ms)
        self._redactor = redactor
        self.is_verbose = partial(sql_logger.isEnabledFor, logging.DEBUG)

    def slow(
        self,
        sql: str,
        seconds: float,
        rows: Optional[int] = None,
        params: Params = (),
        error: Optional[BaseException] = None,
        session_id: Optional[str] = None,
    ) -> None:
        """Warn about a statement that took `seconds`, whether it failed with `error` or not."""
        if slow_logger.isEnabledFor(logging.WARNING):
            facts = self._facts(sql, seconds, rows, params, error, session_id)
            facts["threshold_ms"] = self.slow_seconds * 1000
            _write(slow_logger, logging.WARNING, "slow query", facts)

    def statement(
        self,
        sql: str,
        seconds: float,
        rows: Optional[int] = None,
        params: Params = (),
        error: Optional[BaseException] = None,
        session_id: Optional[str] = None,
    ) -> None:
        """Log an executed statement, or one that failed with `error`, at DEBUG."""
        if sql_logger.isEnabledFor(logging.DEBUG):
            facts = self._facts(sql, seconds, rows, params, error, session_id)
            _write(sql_logger, logging.DEBUG, "query" if error is None else "failed query", facts)

    def _facts(
        self,
        sql: str,
        seconds: float,
        rows: Optional[int],
        params: Params,
        error: Optional[BaseException],
        session_id: Optional[str],
    ) -> dict[str, Any]:
        facts = {
            "statement": statement_shape(sql),
            "duration_ms": round(seconds * 1000, 3),
            "rows": rows,
            "params": show_parameters(sql, params, self._redactor),
            "correlation_id": _correlation.get() or session_id,
        }
        if error is not None:
            facts["error"] = type(error).__name__
        return facts


def _write(logger: logging.Logger, level: int, what: str, facts: dict[str, Any]) -> None:
    logger.log(
        level,
        "%s: %.1f ms, %s rows: %s %s",
        what,
        facts["duration_ms"],
        "?" if facts["rows"] is None else facts["rows"],
        facts["statement"],
        facts["params"],
        extra={"blaze": facts},
    )


class JSONFormatter(logging.Formatter):
    """Write each record as one line of JSON: time, level, logger, message, and the facts of Blaze's records.

    For handlers of the application's choice: `handler.setFormatter(JSONFormatter())`. Records of other
    loggers get the correlation id, too.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "correlation_id": _correlation.get(),
        }
        line.update(getattr(record, "blaze", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
