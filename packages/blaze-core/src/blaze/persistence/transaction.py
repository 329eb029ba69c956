"""Transactions of a session: begin, commit, roll back, and blocks that nest by savepoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from blaze.errors import DatabaseError, SessionError
from blaze.plan import Begin, Commit, Plan, Release, Rollback, RollbackTo, Savepoint, fire, fire_all

if TYPE_CHECKING:
    from blaze.persistence.base import SessionBase


class Level:
    """One open `transaction()` block: its savepoint (None for the outermost) and its undo mark."""

    __slots__ = ("mark", "savepoint")

    def __init__(self, savepoint: Optional[str], mark: int) -> None:
        self.savepoint = savepoint
        self.mark = mark


class TransactionManager:
    """The transaction of a session.

    A session begins one by itself before its first write (`begun`); `broken` says that the database has ended
    it behind the session's back, after which only `rollback()` goes on. `levels` are the open blocks.
    """

    __slots__ = (
        "begun",
        "broken",
        "bypassed",
        "isolation",
        "levels",
        "read_only",
        "serial",
        "session",
        "wrote",
    )

    def __init__(self, session: SessionBase) -> None:
        self.session = session
        self.begun = False
        self.broken: Optional[BaseException] = None
        self.levels: list[Level] = []
        self.serial = 0
        self.isolation: Optional[str] = None
        self.read_only = False
        self.wrote = False
        self.bypassed = -1  # the place in the undo log that tells which objects were known before raw writes

    def open(self, isolation: Optional[str] = None, read_only: bool = False) -> Plan[None]:
        """Begin now instead of at the first write."""
        self.session.check_usable()
        yield from self.begin(isolation, read_only)

    def note_bypass(self) -> None:
        """Before a write past the unit of work: remember the objects known, since later ones may vanish
        again.
        """
        work = self.session.work
        mark = self.levels[-1].mark if self.levels else 0
        if not mark <= self.bypassed < len(work.undo):
            self.bypassed = len(work.undo)
            work.undo.append(work.undo_bypass())

    def begin(self, isolation: Optional[str] = None, read_only: bool = False) -> Plan[None]:
        """Open the transaction in the database unless it is open."""
        if self.begun:
            if isolation is not None or read_only:
                raise SessionError(
                    "the transaction has begun already, so its isolation cannot be chosen any more; "
                    "commit() or rollback() first"
                )
            return
        if isolation is not None:
            isolation = self.session.dialect.isolation(isolation)
        try:
            yield Begin(isolation or self.session.default_isolation, read_only)
            self.begun = True
            self.isolation, self.read_only = isolation, read_only
        except DatabaseError:
            raise
        except BaseException as error:  # cancelled or interrupted: it may have taken effect
            connection = self.session.connection
            if connection is not None and (not connection.usable or connection.in_transaction):
                self.begun, self.broken = True, error
                if connection.usable:
                    yield Rollback()
                    self.begun, self.broken = False, None
            raise

    def commit(self) -> Plan[None]:
        """Flush and commit everything; on failure roll back, in the database and in memory.

        Where the database only refused for now (a lock) and nothing had been written before, everything stays
        pending: the commit can be tried again.
        """
        session = self.session
        session.check_usable()
        hooks = session.hooks
        committing = False
        try:
            if hooks.before_commit:
                yield from fire(hooks.before_commit, session=session)
            if session.work.pending:
                yield from session.flush_plan()
            if self.begun:
                committing = True
                yield Commit()
        except BaseException as error:
            # Cancelled or interrupted, a COMMIT may have taken effect all the same.
            if committing and not isinstance(error, DatabaseError) and self._has_committed():
                self._keep()
            elif committing or not self._can_be_tried_again(error):
                yield from self.rollback(error)
            raise
        self._keep()
        if hooks.after_commit:
            yield from fire_all(hooks.after_commit, session=session)

    def _can_be_tried_again(self, error: BaseException) -> bool:
        """Whether a failed flush left nothing behind, and only a lock stood in its way."""
        waits = isinstance(error, DatabaseError) and error.retryable
        return waits and not self.begun and self.broken is None and not self.session.work.undo

    def _has_committed(self) -> bool:
        """Whether a COMMIT of which nobody told the outcome has taken effect."""
        connection = self.session.connection
        return connection is not None and connection.usable and not connection.in_transaction

    def _keep(self) -> None:
        """After a commit: what was done can no longer be undone."""
        self._ended()
        self.session.work.undo.clear()
        self.session.work.singles.clear()

    def rollback(self, error: Optional[BaseException] = None) -> Plan[None]:
        """Roll everything back: rows, loaded values, new and deleted objects; hooks are told the error."""
        session = self.session
        begun, broken = self.begun, self.broken
        self._ended()
        work = session.work
        work.forget_pending()
        work.undo_to(0)
        if begun and broken is None:
            try:
                yield Rollback()
            except DatabaseError:
                session.discard_connection()
                raise
        if session.hooks.after_rollback:
            yield from fire_all(session.hooks.after_rollback, session=session, error=error or broken)

    def _ended(self) -> None:
        self.begun = False
        self.broken = None
        self.levels.clear()
        self.isolation, self.read_only = None, False
        self.wrote = False
        self.bypassed = -1

    # --- blocks -----------------------------------------------------------------------------------

    def enter(self, isolation: Optional[str] = None, read_only: bool = False) -> Plan[Level]:
        """Open a block: the outermost joins what has begun or begins, an inner one sets a savepoint."""
        session = self.session
        session.check_usable()
        if not self.levels:
            if self.begun and session.work.pending:
                yield from session.flush_plan()
            yield from self.begin(isolation, read_only)
            level = Level(None, 0)
        else:
            if isolation is not None or read_only:
                raise SessionError("isolation and read_only belong to the outermost transaction block")
            session.dialect.require("savepoints", "savepoints, so transaction blocks cannot be nested")
            if session.work.pending:
                yield from session.flush_plan()
            self.serial += 1
            name = f"blaze_{self.serial}"
            yield Savepoint(name)
            level = Level(name, len(session.work.undo))
        self.levels.append(level)
        return level

    def leave(self, level: Level) -> Plan[None]:
        """Close a block that went well: commit the outermost, release an inner one."""
        if level not in self.levels:
            raise SessionError(
                "the transaction ended inside its block; leave commit() and rollback() to the block"
            )
        if level.savepoint is None:
            yield from self.commit()
            return
        session = self.session
        try:
            session.check_usable()
            if session.work.pending:
                yield from session.flush_plan()
        except BaseException as error:
            yield from self.abandon(level, error)
            raise
        del self.levels[self.levels.index(level) :]
        yield Release(level.savepoint)

    def abandon(self, level: Level, error: Optional[BaseException] = None) -> Plan[None]:
        """Close a block in which an error was raised: undo exactly what it did."""
        if level not in self.levels:
            return
        if level.savepoint is None or self.broken is not None:
            yield from self.rollback(error)
            return
        del self.levels[self.levels.index(level) :]
        work = self.session.work
        work.forget_pending()
        work.undo_to(level.mark)
        self.bypassed = -1
        yield RollbackTo(level.savepoint)
        yield Release(level.savepoint)

    def note_failure(self, error: BaseException, connection: Any) -> None:
        """After a failed command: see whether the database has ended the transaction with it."""
        if self.begun and (not connection.usable or not connection.in_transaction):
            self.broken = error
