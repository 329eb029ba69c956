"""Tracebacks that show no secrets."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["without_frames"]

E = TypeVar("E", bound=BaseException)


def without_frames(error: E) -> E:
    """Give a driver's error without its frames, and without those of all its causes.

    A driver that fails to connect has the password among the local variables of its frames, and tools that
    show tracebacks with locals would show it.
    """
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        seen.add(id(one))
        one.__traceback__ = None
        waiting += [
            each for each in (one.__cause__, one.__context__) if each is not None and id(each) not in seen
        ]
    return error
