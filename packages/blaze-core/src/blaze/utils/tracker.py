"""Statistics of the statements of a session, in bounded memory, and the warning about N+1 loops."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, Callable, NamedTuple, Optional

from blaze.errors import ConfigurationError, NPlusOneWarning
from blaze.utils.parameters import SHOWN, ParameterRedactor, Params, first_parameters, show_parameters
from blaze.utils.shapes import statement_shape

__all__ = ["QueryStats", "QueryTracker", "StatementStats"]

_PENDING = 64  # executions kept as they came until they are added up
_WARNED = -sys.maxsize  # a count that never becomes positive: this statement was warned about
# The package itself, and generated functions.
_OWN_FILES = (os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep, "<blaze ")
_EVENT_LOOP = os.path.join(os.path.dirname(os.__file__), "asyncio")


class StatementStats(NamedTuple):
    """One statement: how often it ran, how long it took, how many rows it fetched or changed."""

    sql: str
    count: int  # type: ignore[assignment]  # hides tuple.count
    total_ms: float
    mean_ms: float
    max_ms: float
    rows: int


class QueryStats:
    """What a session has executed so far: iterable by statement, the first one first.

    `total` counts every execution, also of statements that are no longer listed since there were too many.
    """

    __slots__ = ("_entries", "total")

    def __init__(self, entries: tuple[StatementStats, ...], total: int) -> None:
        self._entries = entries
        self.total = total

    def __iter__(self) -> Iterator[StatementStats]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<{self.total} executions of {len(self._entries)} statements>"


class _Entry:
    """The sums of one statement, and the parameters of its slowest execution."""

    __slots__ = ("count", "rows", "sample", "sample_sql", "seconds", "shape", "slowest", "used")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.rows = 0
        self.slowest = -1.0
        self.sample: Params = ()
        self.sample_sql = ""  # its own text: that of the shape has more placeholders
        self.used = 0
        self.shape: Optional[str] = None

    def add(self, other: _Entry) -> None:
        self.count += other.count
        self.seconds += other.seconds
        self.rows += other.rows
        self.used = max(self.used, other.used)
        if other.slowest > self.slowest:
            self.slowest = other.slowest
            self.sample, self.sample_sql = other.sample, other.sample_sql


class QueryTracker:
    """Count and time the statements of one session; safe between threads.

    At most `capacity` statements are kept, the least recently used go first. `threshold` is how often a line
    may send the same SELECT for one object at a time before it is warned about; 0 turns the warning off.
    `paths_to` gives the relations that lead to a model, for the advice in the warning.
    """

    __slots__ = (
        "_capacity",
        "_dropped",
        "_entries",
        "_lines",
        "_lock",
        "_lookups",
        "_loops",
        "_params",
        "_paths_to",
        "_pending",
        "_threshold",
        "_total",
        "also",
    )

    def __init__(
        self,
        threshold: int = 5,
        capacity: int = 1000,
        paths_to: Optional[Callable[[Any], Sequence[str]]] = None,
    ) -> None:
        if threshold.__class__ is not int or threshold < 0:
            raise ConfigurationError(
                "performance_threshold must be a number of statements, or 0 for no warning,"
                f" not {threshold!r}"
            )
        self._threshold = threshold
        self._paths_to = paths_to
        self._capacity = capacity
        self._lock = threading.Lock()
        self._pending: list[tuple[str, float, int, Params]] = []
        self._entries: dict[str, _Entry] = {}
        self._total = 0
        self._dropped = 0
        self._lookups: dict[str, int] = {}
        self._params: dict[str, Params] = {}  # of the latest execution
        self._lines: dict[tuple[str, str, int], int] = {}
        self._loops: list[dict[str, Any]] = []
        self.also: Optional[QueryTracker] = None  # one that hears of the executions, too

    # --- recording ---

    def record(self, sql: str, seconds: float, rows: int = 0, params: Params = ()) -> None:
        """Note one execution; of many sets of parameters pass the first.

        Costs 0.2 µs: the list takes what happened, `_add_up` does the sums for many executions at once. The
        parameters of the slowest execution are kept, and shown only by `export`, redacted.
        """
        pending = self._pending
        pending.append((sql, seconds, rows, params if len(params) <= SHOWN else first_parameters(params)))
        if len(pending) >= _PENDING:
            with self._lock:
                self._add_up()
        if self.also is not None:
            self.also.record(sql, seconds, rows, params)

    def lookup(
        self, sql: str, model: Any, relation: Optional[str] = None, params: Optional[Params] = None
    ) -> None:
        """Note a SELECT that was sent for one object: by its key, or by reading its `relation`.

        With `params` only executions count whose parameters differ from those before: who asks for the same
        again and again waits for a change.

        Issues one NPlusOneWarning for a statement that one line of the program has sent more than `threshold`
        times. The first execution is only counted; from the second on the calling line is looked up,
        until the warning.
        """
        count = self._lookups.get(sql, 0) + 1
        if params is not None:
            if self._params.get(sql) == params:
                return
            self._params[sql] = params
        if count == 1 and len(self._lookups) >= self._capacity:
            self._lookups.clear()
            self._params.clear()
        self._lookups[sql] = count
        if count > 1 and self._threshold:
            self._watch(sql, model, relation)

    # --- reading ---

    @property
    def total(self) -> int:
        """The number of executions so far."""
        with self._lock:
            self._add_up()
            return self._total

    def stats(self) -> QueryStats:
        """Return the statistics up to now; texts and numbers in statements are replaced by ``?``."""
        with self._lock:
            self._add_up()
            return QueryStats(tuple([_row(sql, e) for sql, e in self._by_shape().items()]), self._total)

    def export(
        self,
        reset: bool = False,
        include_samples: bool = False,
        redactor: Optional[ParameterRedactor] = None,
    ) -> dict[str, Any]:
        """Return the statistics as plain data, ready for JSON; `reset` starts anew in the same moment.

        `include_samples` adds the parameters of each statement's slowest execution as `redactor` lets them
        through; without one, only the types.
        """
        with self._lock:
            self._add_up()
            entries = self._by_shape()
            exported: dict[str, Any] = {
                "total": self._total,
                "total_ms": sum(entry.seconds for entry in entries.values()) * 1000,
                "dropped_statements": self._dropped,
                "statements": [_row(sql, entry)._asdict() for sql, entry in entries.items()],
                "n_plus_one": [dict(loop) for loop in self._loops],
            }
            if reset:
                self._clear()
        if include_samples:
            for statement, entry in zip(exported["statements"], entries.values()):
                shown = show_parameters(entry.sample_sql, entry.sample, redactor)
                statement["samples"] = [{"ms": entry.slowest * 1000, "params": shown}]
        return exported

    def reset(self) -> None:
        """Forget everything, what was warned about included."""
        with self._lock:
            self._clear()

    # --- behind the lock ---

    def _add_up(self) -> None:
        batch = self._pending[:]
        del self._pending[: len(batch)]  # what other threads have appended meanwhile stays
        entries = self._entries
        tick = self._total
        for sql, seconds, rows, params in batch:
            tick += 1
            entry = entries.get(sql)
            if entry is None:
                entry = entries[sql] = _Entry()
            entry.count += 1
            entry.seconds += seconds
            entry.rows += rows
            entry.used = tick
            if seconds > entry.slowest:
                entry.slowest = seconds
                entry.sample, entry.sample_sql = params, sql
        self._total = tick
        if len(entries) > self._capacity:
            self._shrink()

    def _by_shape(self) -> dict[str, _Entry]:
        """Join the statements that differ only in what was written into their text."""
        joined: dict[str, _Entry] = {}
        for sql, entry in self._entries.items():
            if entry.shape is None:
                entry.shape = statement_shape(sql)
            other = joined.get(entry.shape)
            if other is None:
                joined[entry.shape] = entry
            else:
                other.add(entry)
        self._entries = joined
        return joined

    def _shrink(self) -> None:
        """Join by shape; if that is not enough keep the most recently used three quarters."""
        entries = self._by_shape()
        keep = self._capacity - self._capacity // 4
        if len(entries) <= keep:
            return
        oldest = sorted(entries, key=lambda sql: entries[sql].used)[: len(entries) - keep]
        for sql in oldest:
            del entries[sql]
        self._dropped += len(oldest)

    def _clear(self) -> None:
        self._pending.clear()
        self._entries = {}
        self._total = self._dropped = 0
        self._lookups.clear()
        self._params.clear()
        self._lines.clear()
        self._loops.clear()

    # --- lines ---

    def _watch(self, sql: str, model: Any, relation: Optional[str]) -> None:
        frame = _calling_frame()
        if frame is None:
            return
        filename, line = frame.f_code.co_filename, frame.f_lineno
        place = (sql, filename, line)
        seen = self._lines.get(place, 0) + 1
        if seen == 1 and len(self._lines) >= self._capacity:
            self._lines.clear()
        self._lines[place] = seen
        if seen < self._threshold:  # the first execution was not looked at
            return
        self._lookups[sql] = _WARNED
        name = getattr(model, "__name__", str(model))
        paths = self._paths_to(model) if self._paths_to is not None and relation is None else ()
        if len(self._loops) < self._capacity:
            self._loops.append({"file": filename, "line": line, "model": name, "relation": relation})
        warnings.warn_explicit(
            _advice(f"{os.path.basename(filename)}:{line}", seen + 1, name, relation, paths),
            NPlusOneWarning,
            filename,
            line,
            module=frame.f_globals.get("__name__") or filename,  # None would drop the warning
            registry=frame.f_globals.setdefault("__warningregistry__", {}),
        )


def _row(sql: str, entry: _Entry) -> StatementStats:
    total = entry.seconds * 1000
    return StatementStats(sql, entry.count, total, total / entry.count, entry.slowest * 1000, entry.rows)


def _calling_frame() -> Optional[FrameType]:
    """Return the innermost frame outside of this package; None where a task runs nothing but this package:
    behind it are only the lines that wait for the event loop.
    """
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FILES):
        frame = frame.f_back
    return None if frame is None or frame.f_code.co_filename.startswith(_EVENT_LOOP) else frame


def _advice(place: str, count: int, model: str, relation: Optional[str], paths: Sequence[str]) -> str:
    if relation is None:
        cure = " or ".join([f".include({path})" for path in paths[:3]])
        return (
            f"{place} has fetched {model} {count} times, one object at a time (N+1): fetch them together with"
            f" query({model}) and in_() on the key"
            + (f", or add {cure} to the query that leads to them" if cure else "")
        )
    return (
        f"{place} has loaded {model}.{relation} {count} times, once for each object (N+1): add"
        f" .include({model}.{relation}) to the query that loads the {model} objects"
    )
