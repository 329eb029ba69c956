"""Tracebacks that show no secrets."""

from __future__ import annotations

from typing import Optional

__all__ = ["without_frames"]


def without_frames(error: BaseException) -> BaseException:
    """Give a driver's error without its frames, and without those of its causes.

    A driver that fails to connect has the password among the local variables of its frames, and tools that
    show tracebacks with locals would show it.
    """
    seen: Optional[BaseException] = error
    while seen is not None:
        seen.__traceback__ = None
        seen = seen.__cause__ or seen.__context__
    return error
