"""The time limit of statements, at next to no cost for each."""

from __future__ import annotations

import math
import sqlite3
import time

__all__ = ["Clock"]

# How often SQLite asks whether a statement has run out of time: every 10 ms or so, 0.1 ms for short limits.
_OPCODES_PER_CHECK = 1_000_000
_OPCODES_PER_SHORT_CHECK = 10_000
_SHORT = 5.0


class Clock:
    """Stop a statement that runs longer than ``limit`` seconds (0: never).

    Whoever runs statements counts them in ``statement``; the time of one begins when SQLite first asks about
    it, and one that is done before that costs nothing else. ``late`` says that one was stopped.
    """

    __slots__ = ("_deadline", "_seen", "late", "limit", "statement")

    def __init__(self, raw: sqlite3.Connection, limit: float) -> None:
        self.limit = limit
        self.statement = 0
        self.late = False
        self._seen = -1
        self._deadline = math.inf
        if limit:
            every = _OPCODES_PER_SHORT_CHECK if limit < _SHORT else _OPCODES_PER_CHECK
            raw.set_progress_handler(self._stop, every)

    def _stop(self) -> bool:
        """Say whether the statement that runs is to be stopped; SQLite asks."""
        now = time.monotonic()
        if self._seen != self.statement:
            self._seen, self._deadline = self.statement, now + self.limit
        self.late = now > self._deadline
        return self.late
