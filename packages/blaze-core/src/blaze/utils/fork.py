"""Keep pools and caches right over ``os.fork``: what one process holds is not the other's.

Costs nothing at acquire and release: the interpreter itself tells us about a fork.
"""

from __future__ import annotations

import os
import weakref
from typing import Optional, Protocol

__all__ = ["watch"]


class ForkAware(Protocol):
    """What wants to know of a fork."""

    def before_fork(self) -> None:
        """Come to rest: the process is about to fork."""
        ...

    def after_fork_in_parent(self) -> None:
        """Go on."""
        ...

    def after_fork_in_child(self) -> None:
        """Forget everything that belongs to the parent."""
        ...


_watched: weakref.WeakSet[ForkAware] = weakref.WeakSet()
# What `before` prepared is what the other two must undo, even when a pool is made or dies meanwhile.
_resting: list[ForkAware] = []


def watch(pool: ForkAware) -> None:
    """Tell this object about forks as long as it lives."""
    _watched.add(pool)


def _before() -> None:
    for pool in list(_watched):
        pool.before_fork()
        _resting.append(pool)


def _in_parent() -> None:
    while _resting:
        _resting.pop().after_fork_in_parent()


def _in_child() -> None:
    failure: Optional[Exception] = None
    while _resting:
        try:
            _resting.pop().after_fork_in_child()
        except Exception as error:  # the others must let go of their locks all the same
            failure = error
    if failure is not None:
        raise failure


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
