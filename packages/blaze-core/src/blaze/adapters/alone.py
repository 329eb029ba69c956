"""A statement that is a transaction by itself: sent outside of one, it commits with its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional

from blaze.adapters.refusals import lost_before_commit, outcome_unknown
from blaze.errors import DatabaseError
from blaze.plan import Execute

__all__ = ["ExecuteAlone"]


class ExecuteAlone(Execute):
    """A writing statement with which the database commits, in one round trip.

    `sent`, `refused` and `answered` say how far it came, and `result` what was answered, also where an
    interrupt came before that could be told: it is `interrupted`, for whoever goes on first. A lost answer
    raises `CommitOutcomeUnknownError`.
    """

    __slots__ = ("answered", "interrupted", "refused", "result", "sent")

    alone = True

    def __init__(
        self, sql: str, params: Sequence[Any] = (), consume: Optional[Callable[[Any], Any]] = None
    ) -> None:
        super().__init__(sql, params, consume, True)
        self.sent = self.refused = self.answered = False
        self.result: Any = None
        self.interrupted: Optional[BaseException] = None

    def apply(self, connection: Any) -> Any:
        self.check(connection)
        try:
            self.result = connection.execute(self.sql, self.params, self.consume)
            self.answered = True
        except DatabaseError as error:
            self.explain(error, connection)
            raise
        return self.result

    def check(self, connection: Any) -> None:
        """Before it is sent: raise `ConnectionLostError` where the connection has gone meanwhile."""
        if not connection.usable:
            raise lost_before_commit()
        self.sent = True

    def explain(self, error: DatabaseError, connection: Any) -> None:
        """After an error: raise `CommitOutcomeUnknownError` unless it is the answer of the database."""
        if not connection.usable:
            raise outcome_unknown(error, self.sql) from error.__cause__
        self.refused = True

    @property
    def uncertain(self) -> bool:
        """Whether nobody knows what has become of it."""
        return self.sent and not self.refused and not self.answered
