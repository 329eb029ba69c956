"""What a session tells about its statements: statistics, logs, and the id that joins its log records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from blaze.persistence.counts import row_count
from blaze.security.redaction import redactor

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect
    from blaze.utils.logging import StatementLog
    from blaze.utils.tracker import QueryTracker


class Observed:
    """The part of a session that notes what is executed."""

    dialect: Dialect
    log: StatementLog
    tracker: QueryTracker

    def _statement_log(self, slow_query_ms: Optional[float]) -> StatementLog:
        """Return the log of slow statements; the default one is made once for each engine."""
        memory = self.dialect.memory
        found: Optional[StatementLog] = memory.get("statement log") if slow_query_ms is None else None
        if found is not None:
            return found
        from blaze.utils.logging import StatementLog  # logging comes with the first session

        made = StatementLog(slow_query_ms, redactor)
        if slow_query_ms is None:
            memory["statement log"] = made
        return made

    def observe(self, command: Any, seconds: float, result: Any) -> int:
        """Note an executed statement in statistics and logs; return how many rows it read or wrote."""
        rows = row_count(command, result)
        self.tracker.record(command.sql, seconds, rows, command.first_params)
        log = self.log
        if seconds >= log.slow_seconds:
            log.slow(command.sql, seconds, rows, command.first_params, None, self.correlation_id)
        if log.is_verbose():
            log.statement(command.sql, seconds, rows, command.first_params, None, self.correlation_id)
        return rows

    def observe_failure(self, command: Any, seconds: float, error: BaseException) -> None:
        """Note a statement that failed in the logs: what runs into a time limit is the slowest of all."""
        log = self.log
        if seconds >= log.slow_seconds:
            log.slow(command.sql, seconds, None, command.first_params, error, self.correlation_id)
        if log.is_verbose():
            log.statement(command.sql, seconds, None, command.first_params, error, self.correlation_id)

    @property
    def correlation_id(self) -> str:
        """The id that the log records of this session carry outside of a `with correlation()` block."""
        found = self.__dict__.get("_correlation_id")
        if found is None:
            from blaze.utils.logging import new_id

            found = self._correlation_id = new_id()
        return str(found)

    def query_stats(self) -> Any:
        """Return the statistics of the statements of this session, one entry for each shape."""
        return self.tracker.stats()

    def export_query_stats(self, *, reset: bool = False, include_samples: bool = False) -> Any:
        """Return the statistics as plain data."""
        return self.tracker.export(reset=reset, include_samples=include_samples, redactor=redactor)

    def reset_query_stats(self) -> None:
        """Start the statistics anew."""
        self.tracker.reset()
