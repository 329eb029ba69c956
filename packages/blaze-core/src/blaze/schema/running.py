"""Carry out one migration in one direction: lock, steps, and the record of what has been done, as a plan."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from time import monotonic
from types import GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from blaze.adapters.refusals import UNFILLED
from blaze.dialects.migrating import MigrationLock
from blaze.errors import (
    CapabilityError,
    CommitOutcomeUnknownError,
    ConnectionLostError,
    DatabaseError,
    MigrationError,
    NotNullError,
    TimeoutError,
)
from blaze.plan import Begin, Command, Commit, Execute, Plan, Rollback
from blaze.schema.history import APPLIED, APPLYING, FAILED, REVERTING, AppliedMigration, History, now
from blaze.schema.migration import CompiledMigration, digest
from blaze.schema.steps import PythonStep, RebuildStep, StatementStep, Step
from blaze.sql.placeholders import convert
from blaze.sql.tokens import tokenize

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect
    from blaze.dialects.migrating import Rebuilder

__all__ = ["Pause", "Run"]

PAUSE = 0.1  # seconds between two questions for the lock
# Statements that a transaction can hold together with the record that they were run, on every database.
_DATA = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "WITH", "SELECT", "VALUES"})
_TRANSACTION = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"})


class Pause(Command):
    """Wait for some seconds; whoever drives the plan does it in its own way."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Run(NamedTuple):
    """One migration on its way up or down on one connection, by one runner among several."""

    migration: CompiledMigration
    history: History
    forward: bool
    timeout: float  # seconds to wait for other runners

    @property
    def dialect(self) -> Dialect:
        """Give the dialect of the history."""
        return self.history.dialect

    def check(self) -> None:
        """Raise `MigrationError` for statements that would break the transaction of the migration."""
        for step in self.migration.steps:
            tokens = tokenize(step.text, self.dialect.features.lexis)
            if not isinstance(step, (RebuildStep, PythonStep)) and tokens[0].word in _TRANSACTION:
                raise MigrationError(
                    f"migration {self.migration.name!r} holds {tokens[0].word}: the engine begins and ends"
                    " transactions itself; leave it out, or write several migrations"
                )

    def plan(self) -> Plan[bool]:
        """Plan to carry the migration out; the result is False where another runner has done it meanwhile."""
        whole = self.migration.atomic and self.dialect.features.transactional_ddl
        lock = self.dialect.migration_lock(whole)
        if lock is None:
            raise CapabilityError(
                f"{self.dialect.name} cannot keep other runners out, which migration {self.migration.name!r}"
                + ("" if whole else ", without a transaction,")
                + " needs"
            )
        rebuilds = any(isinstance(step, RebuildStep) for step in self.migration.steps)
        rebuilder = self.dialect.rebuilder() if rebuilds else None
        if rebuilder is not None:
            yield from rebuilder.start()
        yield from self._acquire(lock, whole)
        try:
            wanted = yield from self._locked(whole, rebuilder)
        except Exception:
            # The lock goes now, not when the connection is closed; one that is broken has none, and its error
            # must not hide the first.
            with contextlib.suppress(DatabaseError):
                yield Rollback()
            raise
        if lock.release is not None:
            yield Execute(lock.release)
        if rebuilder is not None:
            yield from rebuilder.finish()
        return wanted

    def _locked(self, whole: bool, rebuilder: Optional[Rebuilder]) -> Plan[bool]:
        """Plan to look whether the migration is still wanted, and to carry it out."""
        yield from self.history.create()
        record = yield from self._record()
        wanted = record is None or record.state != APPLIED if self.forward else record is not None
        if wanted and whole:
            yield from self._whole(rebuilder)
        elif wanted:
            yield from self._stepwise(rebuilder, record)
        if whole:
            yield from self._commit()
        return wanted

    def _acquire(self, lock: MigrationLock, transaction: bool) -> Plan[None]:
        deadline = monotonic() + self.timeout
        while True:
            cause: Optional[DatabaseError] = None
            try:
                if transaction:
                    yield Begin(lock.isolation)
                if lock.acquire is None or (yield Execute(lock.acquire)).rows[0][0]:
                    return
            except TimeoutError as error:
                cause = error
            if transaction:
                yield Rollback()
            if monotonic() >= deadline:
                raise MigrationError(
                    f"migration {self.migration.name!r} was not begun: for {self.timeout:g} seconds another"
                    " runner of migrations, or another writer, held the lock; try again when it is done, or"
                    " give MigrationEngine a longer lock_timeout="
                ) from cause
            yield Pause(PAUSE)

    def _record(self) -> Plan[Optional[AppliedMigration]]:
        """Plan to read, now that nobody else is at work, what has become of the migration meanwhile."""
        records = yield from self.history.read()
        name = self.migration.name
        record = next((each for each in records if each.name == name), None)
        if record is not None and not self.forward and records[-1] is not record:
            raise MigrationError(
                f"migration {name!r} was not rolled back: another runner has meanwhile applied"
                f" {records[-1].name!r} on top of it"
            )
        return record

    # In one transaction

    def _commit(self) -> Plan[None]:
        try:
            yield Commit()
        except CommitOutcomeUnknownError:
            raise
        except DatabaseError as error:  # what is checked only now: deferred constraints
            raise MigrationError(
                f"migration {self.migration.name!r} could not be committed, and nothing of it was"
                f" kept: {error}"
            ) from error

    def _whole(self, rebuilder: Optional[Rebuilder]) -> Plan[None]:
        started = monotonic()
        for place, step in enumerate(self.migration.steps):
            try:
                yield from self._step(step, rebuilder)
            except DatabaseError as error:
                raise self._failure(place, error, "nothing of it was kept") from error
        if rebuilder is not None:
            yield from self._checked(rebuilder)
        if self.forward:
            yield from self._insert(APPLIED, monotonic() - started)
        else:
            yield from self.history.delete(self.migration.name)

    def _insert(self, state: str, duration: float) -> Plan[None]:
        done = len(self.migration.steps) if state == APPLIED else 0
        checksum = self.migration.checksum if state == APPLIED else digest([])
        records = yield from self.history.read()
        position = 1 + max((each.position for each in records), default=0)
        yield from self.history.insert(
            AppliedMigration(self.migration.name, position, checksum, now(), duration, state, done)
        )

    # Step by step

    def _stepwise(self, rebuilder: Optional[Rebuilder], record: Optional[AppliedMigration]) -> Plan[None]:
        """Plan steps that are recorded one by one, going on where an earlier run broke off."""
        state = APPLYING if self.forward else REVERTING
        started, steps, name = monotonic(), self.migration.steps, self.migration.name
        begin, unsure = 0, False
        if record is None:
            yield from self._insert(state, 0.0)
        elif record.state.startswith(state):
            begin, unsure = record.steps, record.state == state
            self._check_same(record)
        else:
            yield from self.history.update(name, state=state, steps=0, checksum=digest([]))
            if not unsure:
                yield from self.history.update(name, state=state)
        for place in range(begin, len(steps)):
            try:
                yield from self._recorded(place, rebuilder, unsure and place == begin)
            except DatabaseError as error:
                kept = f"{place} of its {len(steps)} steps are done; mend the rest and apply it again"
                if unsure and place == begin:
                    kept += (
                        "; the run before broke off in this step and may have carried it out: undo that first"
                    )
                elif not isinstance(error, (ConnectionLostError, CommitOutcomeUnknownError)):
                    yield from self.history.update(name, state=state + FAILED)
                raise self._failure(place, error, kept) from error
        if not self.forward:
            yield from self.history.delete(name)
            return
        yield from self.history.update(
            name,
            state=APPLIED,
            checksum=self.migration.checksum,
            applied_at=now(),
            duration=monotonic() - started,
        )

    def _recorded(self, place: int, rebuilder: Optional[Rebuilder], unsure: bool) -> Plan[None]:
        """Plan a step and its record, in one transaction where the step can be in one."""
        step = self.migration.steps[place]
        together = isinstance(step, (RebuildStep, PythonStep)) or self._first_word(step) in _DATA
        if together:
            yield Begin()
        try:
            yield from self._step(step, rebuilder)
            if isinstance(step, RebuildStep) and rebuilder is not None:
                yield from rebuilder.check()
        except DatabaseError as error:
            if together:
                yield Rollback()
            if together or not unsure or not (yield from self._is_done(step, error)):
                raise
        done = digest(_texts(self.migration.steps[: place + 1]))
        yield from self.history.update(self.migration.name, steps=place + 1, checksum=done)
        if together:
            yield Commit()

    def _is_done(self, step: Step, error: DatabaseError) -> Plan[bool]:
        """Plan to find out whether a statement is refused because it was carried out before."""
        if self.dialect.is_already_done(error):
            return True
        if not isinstance(step, StatementStep) or not step.proof:
            return False
        try:
            yield Execute(step.proof)
        except DatabaseError:
            return False
        return True

    def _check_same(self, record: AppliedMigration) -> None:
        done = self.migration.steps[: record.steps]
        if digest(_texts(done)) != record.checksum:
            raise MigrationError(
                f"migration {record.name!r} broke off after {record.steps} steps, and these steps have been"
                " changed since; give them back as they were, later ones may change"
            )

    # Both

    def _first_word(self, step: Step) -> str:
        return tokenize(step.text, self.dialect.features.lexis)[0].word

    def _step(self, step: Step, rebuilder: Optional[Rebuilder]) -> Plan[None]:
        if isinstance(step, RebuildStep):
            assert rebuilder is not None
            yield from rebuilder.change(step.table, step.change)
        elif isinstance(step, PythonStep):
            yield from self._call(step)
        else:
            if step.guard:
                yield Execute(step.guard)
            yield Execute(step.sql, (), None, True)

    def _call(self, step: PythonStep) -> Generator[Command, Any, None]:
        found: Any = step.function(self._command)
        if isinstance(found, GeneratorType):
            yield from found
        elif found is not None:
            close = getattr(found, "close", None)  # a coroutine that nobody awaits would warn
            if close is not None:
                close()
            raise MigrationError(
                f"migration {self.migration.name!r}: {step.name} returned {type(found).__name__}; write a"
                " plain generator function, `(yield run('SELECT ...')).rows`, which works awaited, too"
            )

    def _command(self, sql: str, params: Any = ()) -> Execute:
        """Make the command of a statement, for functions of `RunPython`."""
        text, values = convert(sql, params, self.dialect)
        return Execute(text, values, None, True)

    def _checked(self, rebuilder: Rebuilder) -> Plan[None]:
        try:
            yield from rebuilder.check()
        except DatabaseError as error:
            raise MigrationError(
                f"migration {self.migration.name!r} leaves rows that refer to nothing, and nothing of it was"
                f" kept: {error}"
            ) from error

    def _failure(self, place: int, error: DatabaseError, kept: str) -> MigrationError:
        verb = "failed" if self.forward else "could not be rolled back: it failed"
        said, line, statement = str(error).partition("\n")
        if isinstance(error, NotNullError) and (error.statement or "").startswith("ALTER TABLE"):
            said = UNFILLED.format(place=", ".join(error.columns))
        return MigrationError(
            f"migration {self.migration.name!r} {verb} at step {place + 1} of {len(self.migration.steps)},"
            f" {kept}: {said}{line}{statement}"
        )


def _texts(steps: Sequence[Step]) -> list[str]:
    return [step.text for step in steps]
