"""Whether anything has come in on a connection, without reading it and without a round trip."""

from __future__ import annotations

import select
from collections.abc import Callable

__all__ = ["incoming"]


def incoming(descriptor: int) -> Callable[[], bool]:
    """Make a test of a socket: whether something waits to be read, be it the news of its end.

    It never waits. On a connection that is not in use that is hardly ever an answer: the server has said
    good-bye, or is gone.
    """
    if not hasattr(select, "poll"):  # Windows
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(0))
