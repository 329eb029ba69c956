"""The asynchronous connection over a blocking one, and who closes that."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from blaze.adapters import threaded


class Blocking:
    """Stand in for a connection whose statement does not listen to an interrupt."""

    usable = True

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.over = threading.Event()
        self.closed_in: list[threading.Thread] = []

    def begin(self, *_: Any) -> None:
        self.begun.set()
        assert self.over.wait(10)

    def close(self) -> None:
        self.closed_in.append(threading.current_thread())


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_only_the_thread_closes_while_it_is_inside_a_call(
    monkeypatch: pytest.MonkeyPatch, cancellations: int
) -> None:
    monkeypatch.setattr(threaded, "_SETTLE_SECONDS", 0.05)
    blocking: Any = Blocking()
    connection = await threaded.ThreadedConnection.open(lambda: blocking)
    task = asyncio.create_task(connection.begin())
    await asyncio.to_thread(blocking.begun.wait, 10)
    for _ in range(cancellations):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not connection.usable
    connection.terminate()
    assert not blocking.closed_in
    blocking.over.set()
    while not blocking.closed_in:
        await asyncio.sleep(0.01)
    assert blocking.closed_in[0] is not threading.current_thread()


async def test_an_idle_connection_is_closed_at_once() -> None:
    blocking: Any = Blocking()
    blocking.over.set()
    connection = await threaded.ThreadedConnection.open(lambda: blocking)
    await connection.begin()
    connection.terminate()
    assert blocking.closed_in == [threading.current_thread()]
