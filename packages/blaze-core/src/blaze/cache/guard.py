"""What a process knows about a cache backend: whether it answers, and whether it may be believed."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any, Optional

from blaze.utils import fork

__all__ = ["PAUSE", "Guard", "guard_of"]

# Seconds without a try after a failure, so that a cache that is down costs its time-out once and not always.
PAUSE = 1.0
# Seconds before a thread first asks a backend that has failed; twice as long each time, up to PAUSE, and
# going on from there when it has answered for less than STEADY seconds.
FIRST_PROBE = 0.02
STEADY = 10.0
# What it is asked for: something that it does not have, and that does not count in its statistics.
_PROBE = ("#blaze.probe",)


class Guard:
    """The state of one backend, shared by all sessions of the process that use it.

    `lost` says that an invalidation could not be delivered: nothing is read from the cache until it has been
    cleared. `errors` counts failed calls; the first of each outage is logged.

    A backend that can be called from a thread (`blocking`) rests until the thread has got an answer, so its
    time-out is paid once for an outage, and other processes that see the cache find old rows no longer than
    it takes to clear it. Any other one is tried again by sessions, every `PAUSE` seconds.
    """

    __slots__ = (
        "__weakref__",
        "_back_at",
        "_blocking",
        "_delay",
        "_down",
        "_lock",
        "_losses",
        "_probing",
        "asynchronous",
        "errors",
        "lost",
        "retry_at",
    )

    def __init__(self, backend: Any) -> None:
        from inspect import iscoroutinefunction

        self.asynchronous = iscoroutinefunction(backend.get_many)
        self.errors = 0
        self.lost = False
        self.retry_at = 0.0
        self._down = False
        self._losses = 0
        self._lock = threading.Lock()
        blocking = getattr(backend, "blocking", None)
        # Held weakly: a cache that nobody uses any more need not come back.
        self._blocking: Optional[weakref.ref[Any]] = None if blocking is None else weakref.ref(blocking)
        self._probing = False
        self._back_at = -STEADY
        self._delay = FIRST_PROBE
        fork.watch(self)

    def is_resting(self) -> bool:
        """Whether the backend has failed, and is not to be asked now."""
        if not self._down:
            return False
        if self._blocking is None:
            return time.monotonic() < self.retry_at
        if not self._probing:
            self._probe()
        return True

    def failed(self, what: str, error: BaseException) -> None:
        """Note a failed call."""
        with self._lock:
            self.errors += 1
            first, self._down = not self._down, True
            self.retry_at = time.monotonic() + PAUSE
        self._probe()
        if first:
            import logging

            logging.getLogger("blaze.cache").error(
                "the cache failed to %s, so the database answers alone: %s: %s",
                what,
                type(error).__name__,
                error,
            )

    def answered(self) -> None:
        """Note a call that went well."""
        if self._blocking is None:  # else a call that began before a failure must not end the rest
            self._down = False

    def lose(self) -> None:
        """Note that an invalidation was not delivered."""
        with self._lock:
            self._losses += 1
            self.lost = True
            if self._blocking is not None:
                self._down = True
        self._probe()

    @property
    def losses(self) -> int:
        """The number of lost invalidations; hand it to `cleared`."""
        return self._losses

    def cleared(self, losses: int) -> None:
        """Note that the cache is empty; believe it again unless something was lost meanwhile."""
        with self._lock:
            if losses == self._losses:
                self.lost = False

    def before_fork(self) -> None:
        """Do nothing: the child takes no lock of the parent."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """The thread is not there; the next who asks whether the backend rests starts another one."""
        self._lock = threading.Lock()
        self._probing = False

    def _probe(self) -> None:
        """Let a thread ask the backend until it answers."""
        if self._blocking is None:
            return
        with self._lock:
            if self._probing or not self._down:
                return
            self._probing = True
        threading.Thread(target=self._ask_until_answered, name="blaze.cache probe", daemon=True).start()

    def _ask_until_answered(self) -> None:
        if time.monotonic() - self._back_at > STEADY:
            self._delay = FIRST_PROBE
        while True:
            time.sleep(self._delay)
            self._delay = min(2 * self._delay, PAUSE)
            backend: Any = self._blocking and self._blocking()
            if backend is None:
                return
            losses = self._losses
            try:
                if self.lost:
                    backend.clear()
                else:
                    backend.get_many(_PROBE)
            except Exception:
                continue
            finally:
                del backend
            with self._lock:
                if losses == self._losses:
                    self._down = self._probing = self.lost = False
                    self._back_at = time.monotonic()
                    break
        import logging

        logging.getLogger("blaze.cache").info("the cache answers again")


_guards: weakref.WeakKeyDictionary[Any, Guard] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def guard_of(backend: Any) -> Guard:
    """Return the one guard of a backend."""
    found = _guards.get(backend)
    if found is None:
        with _lock:
            found = _guards.get(backend)
            if found is None:
                found = _guards[backend] = Guard(backend)
    return found
