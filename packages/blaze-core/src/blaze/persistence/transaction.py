"""Transactions of a session: begin, commit, roll back, and blocks that nest by savepoints."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from blaze.errors import CommitOutcomeUnknownError, DatabaseError, SessionError
from blaze.persistence.refreshing import read_anew
from blaze.persistence.retry import retryable
from blaze.plan import Begin, Commit, Plan, Release, Rollback, RollbackTo, Savepoint, fire, fire_all

if TYPE_CHECKING:
    from blaze.adapters.alone import ExecuteAlone
    from blaze.persistence.base import SessionBase

R = TypeVar("R")

# So many flushes a commit makes at most, each writing what the hooks of the one before have left.
ROUNDS = 100
# What is told while the callback of a bulk operation runs.
PROGRESS = "progress= of a bulk operation"


class Level:
    """One open `transaction()` block: its savepoint (None for the outermost), its undo mark, and its owner.

    The owner is the number of a thread, or a task. `outer` is the block around it in the context of a task,
    which may be of another session; `undone_by` says who has rolled it back.
    """

    __slots__ = ("mark", "outer", "owner", "savepoint", "session", "undone_by")

    def __init__(self, session: SessionBase, savepoint: Optional[str], mark: int) -> None:
        self.session = session
        self.savepoint = savepoint
        self.mark = mark
        self.owner = session.caller()
        self.outer: Optional[Level] = None
        self.undone_by: Any = None


class TransactionManager:
    """The transaction of a session.

    A session begins one by itself before its first write (`begun`); `broken` says that the database has ended
    it behind the session's back, after which only `rollback()` goes on. `levels` are the open blocks.
    """

    __slots__ = (
        "begun",
        "broken",
        "bypassed",
        "commits",
        "conflict",
        "doubtful",
        "epoch",
        "isolation",
        "known",
        "levels",
        "lone",
        "may_send_alone",
        "read_only",
        "serial",
        "session",
        "telling",
        "wrote",
    )

    def __init__(self, session: SessionBase) -> None:
        self.session = session
        self.begun = False
        self.broken: Optional[BaseException] = None
        self.commits = 0
        self.levels: list[Level] = []
        self.may_send_alone = False  # whether a commit flushes where no transaction has begun
        self.lone: Optional[ExecuteAlone] = None  # the statement that was all of it
        self.epoch = 0  # grows with every write and every end: what was counted before may be true no more
        self.serial = 0
        self.isolation: Optional[str] = None
        self.read_only = False
        self.wrote = False
        self.telling = ""  # the event of a commit or rollback whose handlers are running
        self.conflict = False  # whether others may have written what the objects show: see `_read_anew`
        self.known: Optional[dict[Any, dict[Any, Any]]] = (
            None  # the objects of each model when the transaction began
        )
        self.doubtful: list[Any] = []  # the objects that a transaction had loaded which met a conflict
        self.bypassed = -1  # the place in the undo log that tells which objects were known before raw writes

    @property
    def may_commit(self) -> bool:
        """Whether autocommit commits now: a block does that at its end, and a hook runs inside a commit."""
        return not self.levels and not self.in_hook

    @property
    def in_hook(self) -> str:
        """The hook that runs in the middle of something, where a transaction may not end; empty for none."""
        if self.session.flushing:
            return "a hook of a flush"
        if self.session.telling:
            return "before_execute or after_execute"
        return self.telling if self.telling in ("before_commit", PROGRESS) else ""

    def check_may_end(self, what: str) -> None:
        """Raise `SessionError` inside hooks that would go on in a transaction that is no longer there."""
        where = self.in_hook
        if where:
            raise SessionError(f"{what} inside {where}: the operation that called the hook is not done yet")

    def tell(self, event: str, firing: Plan[None]) -> Plan[None]:
        """Fire an event of a commit or rollback; what its handlers commit or roll back fires none."""
        if not self.telling:
            self.telling = event
            try:
                yield from firing
            finally:
                self.telling = ""

    def open(self, isolation: Optional[str] = None, read_only: bool = False) -> Plan[None]:
        """Begin now instead of at the first write."""
        self.session.check_usable()
        yield from self._begin_anew(isolation, read_only)

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
        if read_only:
            self.session.dialect.require("read_only_transactions", "read-only transactions")
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

    def _begin_anew(self, isolation: Optional[str], read_only: bool) -> Plan[None]:
        """Begin and note what is known; after a conflict, read in the new transaction what the objects show:
        what was written from older values would pass for written from those that are there now.
        """
        session = self.session
        yield from self.begin(isolation, read_only)
        if self.conflict and session.pending_summary() is None:
            try:
                yield from read_anew(session, self.doubtful)
            except BaseException as error:
                yield from self.rollback(error)
                raise
            self.conflict = False
            self.doubtful.clear()
        self.known = {model: dict(objects) for model, objects in session.identity.items()}

    @property
    def active(self) -> bool:
        """Whether a transaction is open in the database, so that the session needs its connection."""
        return self.begun and self.broken is None

    def may_repeat(self) -> Plan[bool]:
        """Whether a function can be run again from here: there is no block around it, and nothing pending."""
        yield from ()
        return not self.levels and self.session.pending_summary() is None

    def commit(self, by_hand: bool = False) -> Plan[None]:
        """Flush, then commit; `by_hand` it is refused in a block.

        A failing flush leaves everything pending, and what was flushed before in the open transaction. When
        the database refuses the COMMIT itself, it has rolled back, and only `rollback()` goes on; what a lock
        refused for now stays open and can be tried again.
        """
        session = self.session
        session.check_usable()
        if by_hand and self.levels:
            raise SessionError("commit() inside a transaction() block: the block commits at its end")
        if session.flushing or session.telling or self.telling:
            self.check_may_end("commit()")
        if session.hooks.before_commit:
            yield from self.tell("before_commit", fire(session.hooks.before_commit, session=session))
            session.check_usable()  # a handler may have caught what has ended the transaction
        if session.work.pending:
            if self.begun or session.cache is not None or not session.dialect.features.lone_statements:
                yield from self.flush_all()
            else:
                yield from self._flush_alone()
        begun = self.begun
        if begun and session.cache is not None:
            yield from session.cache.hold()
        try:
            if begun:
                yield Commit()
            self.keep()
        except BaseException as error:
            if begun and (isinstance(error, DatabaseError) or not self._has_committed()):
                if session.cache is not None and not self._has_failed(error):
                    session.cache.leave_held()
                yield from self._refused(error)
            else:  # interrupted or cancelled when it had taken effect
                self.keep()
                yield from self._tell()
            raise
        if session.cache is not None or session.hooks.after_commit:
            yield from self._tell()

    def flush_all(self) -> Plan[None]:
        """Flush until hooks leave nothing more to write; raise `SessionError` if they never end."""
        work = self.session.work
        told: list[Any] = []
        for _ in range(ROUNDS):
            told = yield from self.session.flush_plan()
            if not (work.pending if told else work.needs_flush or work.comers):
                return
        raise endless(told, [*work.new.values(), *work.changed.values(), *work.deleted.values()])

    def _flush_alone(self) -> Plan[None]:
        """Flush where nothing has begun: what is one single statement is sent alone and commits by itself."""
        self.may_send_alone = not self.session.dialect.features.begin_on_read
        self.lone = None
        try:
            yield from self.flush_all()
        finally:
            self.may_send_alone = False
            lone, self.lone = self.lone, None
        if lone is not None and lone.interrupted is not None:
            yield from self._tell()
            raise lone.interrupted

    def send_alone(self, command: ExecuteAlone) -> Plan[Any]:
        """Send the statement that is all of a transaction; what came in between is raised when memory agrees
        with what has been committed.
        """
        self.lone, self.may_send_alone = command, False
        try:
            return (yield command)
        except BaseException as error:
            if not command.answered:
                raise
            command.interrupted = error
            return command.result

    def complete(self) -> Plan[None]:
        """Commit, and roll back when that fails: the end of whatever is a transaction by itself."""
        commits = self.commits
        try:
            yield from self.commit()
        except BaseException as error:
            if self.commits == commits:
                yield from self.rollback(error)
            raise

    def _refused(self, error: BaseException) -> Plan[None]:
        """After a COMMIT that failed: leave it to be tried again, or make sure that it is rolled back."""
        connection = self.session.connection
        if self.broken is not None:
            return
        if connection.usable and connection.in_transaction:
            if not isinstance(error, DatabaseError) or error.retryable:
                return
            try:
                yield Rollback()
            except DatabaseError:
                self.session.discard_connection()
        self.broken = error

    def take_back(self, begun: bool, error: BaseException, savepoint: str) -> Plan[None]:
        """After a failed flush or bulk operation: undo in the database what it wrote.

        `begun` says that there was a transaction before, in which the savepoint was set.
        """
        if self.lone is not None and (self.lone.answered or self.lone.uncertain):
            self.begun, self.broken = True, error  # committed, or nobody knows: it may not be sent again
        elif not begun:
            if self.active:
                self.broken = error  # until the rollback has succeeded
                yield Rollback()
            self.begun, self.broken = False, None  # nothing but the flush is lost with it
        elif self.broken is None:
            self.broken = error
            if self.session.dialect.features.savepoints:
                yield RollbackTo(savepoint)
                yield Release(savepoint)
                self.broken = None
            else:
                yield Rollback()

    def guarded(self, plan: Generator[Any, Any, R]) -> Generator[Any, Any, R]:
        """Run a plan that writes past the objects and lets them follow. Interrupted or cancelled, the whole
        transaction is lost: nobody knows which of them show what the statement has done.
        """
        try:
            return (yield from plan)
        except (Exception, GeneratorExit):
            raise
        except BaseException as error:
            if self.active:
                self.broken = error
                yield Rollback()
            raise

    def _has_committed(self) -> bool:
        """Whether a COMMIT of which nobody told the outcome has taken effect."""
        connection = self.session.connection
        return connection is not None and connection.usable and not connection.in_transaction

    def _has_failed(self, error: BaseException) -> bool:
        """Whether a COMMIT has certainly not taken effect and never will."""
        connection = self.session.connection
        if connection is None or not connection.usable:
            return False
        told = isinstance(error, DatabaseError) and not isinstance(error, CommitOutcomeUnknownError)
        return told or connection.in_transaction

    def keep(self) -> None:
        """After a commit: what was done can no longer be undone."""
        self.commits += 1
        self.conflict = False
        self.doubtful.clear()
        self._ended()
        self.session.work.undo.clear()
        self.session.work.singles.clear()

    def see_implicit_commit(self) -> Plan[None]:
        """After a statement: see whether it was DDL with which the database has committed.

        What was done before stays. In a block a new transaction follows; savepoints are gone.
        """
        connection = self.session.connection
        if connection is None or connection.in_transaction or not connection.usable:
            return
        levels = list(self.levels)
        self.keep()
        if levels:
            yield from self.begin()
            self.levels = levels

    def _tell(self) -> Plan[None]:
        """After a commit: let what it wrote into the cache again, and run the hooks."""
        session = self.session
        if session.cache is not None:
            yield from session.cache.release()
        if session.hooks.after_commit:
            handlers = session.hooks.after_commit
            yield from self.tell("after_commit", fire_all(handlers, session=session))

    def rollback(self, error: Optional[BaseException] = None, closing: bool = False) -> Plan[None]:
        """Roll everything back: rows, loaded values, new and deleted objects; hooks are told the error."""
        session = self.session
        if session.flushing or session.telling or self.telling:
            self.check_may_end("rollback()")
        begun, broken, known = self.begun, self.broken, self.known
        self.conflict = self.conflict or (error is not None and retryable(error))
        self._undo_levels(0)
        self._ended()
        session.work.take_back(0, closing)
        if self.conflict and known is not None:
            self.doubtful = session.identity.since(known)
        if begun and broken is None:
            try:
                yield Rollback()
            except DatabaseError:
                session.discard_connection()
                if session.cache is not None:
                    session.cache.leave_held()
                raise
        if session.cache is not None:
            yield from session.cache.release()
        if session.hooks.after_rollback:
            handlers = session.hooks.after_rollback
            yield from self.tell("after_rollback", fire_all(handlers, session=session, error=error or broken))

    def _ended(self) -> None:
        self.begun = False
        self.broken = None
        self.levels.clear()
        self.isolation, self.read_only = None, False
        self.wrote = False
        self.bypassed = -1
        self.known = None
        self.epoch += 1

    # --- blocks -----------------------------------------------------------------------------------

    def enter(self, isolation: Optional[str] = None, read_only: bool = False) -> Plan[Level]:
        """Open a block: the outermost joins what has begun or begins, an inner one sets a savepoint."""
        session = self.session
        session.check_usable()
        if session.flushing:
            raise SessionError("a transaction() block inside a hook of a flush: the flush is one unit itself")
        if not self.levels and not self.in_hook:
            if self.begun and session.work.pending:
                yield from self.flush_all()
            yield from self._begin_anew(isolation, read_only)
            level = Level(session, None, 0)
        else:
            if isolation is not None or read_only:
                raise SessionError("isolation and read_only belong to the outermost transaction block")
            session.dialect.require("savepoints", "savepoints, so transaction blocks cannot be nested")
            if session.work.pending:
                yield from self.flush_all()
            yield from self.begin()
            self.serial += 1
            name = f"blaze_{self.serial}"
            yield Savepoint(name)
            level = Level(session, name, len(session.work.undo))
        self.levels.append(level)
        return level

    def leave(self, level: Level) -> Plan[None]:
        """Close a block that went well: commit the outermost, release an inner one."""
        if level not in self.levels:
            if self.has_remainder(level):
                yield from self.rollback()
            raise SessionError(
                "the transaction ended inside its block; leave commit() and rollback() to the block"
            )
        if level.savepoint is None:
            yield from self.complete()
            return
        session = self.session
        try:
            session.check_usable()
            if session.work.pending:
                yield from self.flush_all()
        except BaseException as error:
            yield from self.abandon(level, error)
            raise
        del self.levels[self.levels.index(level) :]
        yield Release(level.savepoint)

    def abandon(self, level: Level, error: Optional[BaseException] = None) -> Plan[None]:
        """Close a block in which an error was raised: undo exactly what it did.

        Where the database has ended the whole transaction in an inner block, those around it are told so.
        """
        if level not in self.levels:
            if self.has_remainder(level):
                yield from self.rollback(error)
            return
        if level.savepoint is None:
            yield from self.rollback(error)
            return
        self._undo_levels(self.levels.index(level))
        self.session.work.take_back(level.mark)
        self.bypassed = -1
        self.epoch += 1
        if self.broken is not None:
            return
        try:
            yield RollbackTo(level.savepoint)
            yield Release(level.savepoint)
        except BaseException as failure:  # nobody knows what the database holds now
            self.broken = self.broken or failure
            if error is None or not isinstance(failure, DatabaseError):
                raise  # else the error that ended the block matters more

    def has_remainder(self, level: Level) -> bool:
        """Whether a block goes on that has rolled everything back itself."""
        mine = level.undone_by is not None and level.undone_by == self.session.caller()
        return mine and not self.levels and (self.begun or bool(self.session.work.pending))

    def _undo_levels(self, depth: int) -> None:
        """Close the blocks from a depth on; tasks that are still in them learn who has rolled them back."""
        if len(self.levels) > depth:
            me = self.session.caller()
            for level in self.levels[depth:]:
                level.undone_by = me
            del self.levels[depth:]

    def note_failure(self, error: BaseException, connection: Any) -> None:
        """After a failed command: see whether the database has ended the transaction with it, and whether
        others stood in its way.
        """
        self.conflict = self.conflict or retryable(error)
        if self.begun and (not connection.usable or not connection.in_transaction):
            self.broken = error


def endless(told: list[Any], left: list[Any]) -> SessionError:
    """Return the error for hooks that leave something to write after every flush; `told` are the objects
    that they were called with last.
    """
    hooked, waiting = (", ".join(sorted({type(o).__mapper__.name for o in found})) for found in (told, left))
    return SessionError(
        f"after {ROUNDS} flushes the hooks of {hooked or 'the session'} still leave something to write "
        f"({waiting or 'lists or documents'}): after_save and after_delete are called again for what they "
        "change, so let them test whether there is anything to do; rollback() forgets what was flushed"
    )
