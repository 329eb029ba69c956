"""Transaction blocks of a blocking session."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from blaze.persistence.retry import only_functions_again

if TYPE_CHECKING:
    from blaze.persistence.session import Session

R = TypeVar("R")


class Transaction:
    """A transaction block of a session; it belongs to the thread that enters it, others wait for its end."""

    def __init__(self, session: Session, isolation: Optional[str], read_only: bool, retries: int = 0) -> None:
        self._session = session
        self._isolation = isolation
        self._read_only = read_only
        self._retries = retries
        self._level: Any = None

    def __call__(self, function: Callable[..., R]) -> R:
        """Call a function inside the block, again after a conflict: see `Session.run_in_transaction`."""
        return self._session.run_in_transaction(
            function, isolation=self._isolation, read_only=self._read_only, retries=self._retries
        )

    def __enter__(self) -> Session:
        if self._retries:
            raise only_functions_again()
        session, transactions = self._session, self._session.transactions
        nested = session._lock._is_owned()  # type: ignore[attr-defined] # a hook enters it: no time to wait
        with session._lock:
            if transactions.levels:
                session._give_way()
            elif session._queue and not nested:  # who waits comes first
                session._queue.wait()
            depth = len(transactions.levels)
            try:
                self._level = session._run(transactions.enter(self._isolation, self._read_only))
                return session
            except BaseException as error:
                if len(transactions.levels) > depth:  # an interrupt has come too late for the plan
                    session._run_last(transactions.abandon(transactions.levels[depth], error))
                raise

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        session, level, self._level = self._session, self._level, None
        transactions = session.transactions
        with session._lock:
            for left in transactions.levels:  # a thread that leaves what another has entered takes it over
                left.owner = threading.get_ident()
            plan = transactions.leave(level) if error is None else transactions.abandon(level, error)
            session._run_last(plan)
