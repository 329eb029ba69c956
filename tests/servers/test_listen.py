"""LISTEN and NOTIFY: messages at commit, a limit that is told, connections that come back."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from blaze import AsyncSession, CapabilityError, ConfigurationError, DataError, Engine, QueryError, Session
from blaze_postgres import AsyncListener, Listener, Notification, anotify, notify
from tests.support.loops import run

KILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
)


def text(found: Any) -> str:
    assert isinstance(found, Notification)
    return f"{found.channel}: {found.payload}"


def test_messages_come_at_commit(postgres: str) -> None:
    with Engine(postgres) as engine, Listener(engine, "orders", 'Odd "channel"') as listener:
        with Session(engine) as session:
            notify(session, "orders", "1")
            notify(session, "elsewhere", "x")
            assert listener.get(0.05) is None
            notify(session, 'Odd "channel"', "é'\\ ")
            notify(session, "orders")
            session.commit()
            notify(session, "orders", "rolled back")
            session.rollback()
            notify(session, "orders", "2")
            session.commit()
        found = [text(listener.get(5)) for _ in range(4)]
        assert found == ["orders: 1", 'Odd "channel": é\'\\ ', "orders: ", "orders: 2"]
        assert listener.get(0.05) is None


def test_messages_come_to_tasks(postgres: str) -> None:
    async def inside() -> None:
        async with Engine(postgres) as engine, AsyncListener(engine, "orders", 'Odd "channel"') as listener:
            async with AsyncSession(engine) as session:
                await anotify(session, "orders", "1")
                assert await listener.get(0.05) is None
                await anotify(session, 'Odd "channel"', "é'\\ ")
                await session.commit()
                await anotify(session, "orders", "rolled back")
                await session.rollback()
            assert text(await listener.get(5)) == "orders: 1"
            assert text(await listener.get(5)) == 'Odd "channel": é\'\\ '
            assert await listener.get(0.05) is None

    run(inside())


def test_iteration_ends_with_stop(postgres: str) -> None:
    found: list[str] = []
    with Engine(postgres) as engine, Listener(engine, "orders") as listener:
        reader = threading.Thread(target=lambda: found.extend(note.payload for note in listener))
        reader.start()
        with Session(engine) as session:
            for number in range(3):
                notify(session, "orders", str(number))
            session.commit()
        deadline = time.monotonic() + 5
        while len(found) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        listener.stop()
        reader.join(5)
        assert not reader.is_alive()
        assert listener.get(1) is None
    assert found == ["0", "1", "2"]


def test_iteration_of_tasks_ends_with_stop(postgres: str) -> None:
    async def inside() -> list[str]:
        found: list[str] = []
        async with Engine(postgres) as engine, AsyncListener(engine, "orders") as listener:

            async def read() -> None:
                async for note in listener:
                    found.append(note.payload)
                    if note.payload == "2":
                        listener.stop()

            reader = asyncio.ensure_future(read())
            async with AsyncSession(engine) as session:
                for number in range(3):
                    await anotify(session, "orders", str(number))
                await session.commit()
            await asyncio.wait_for(reader, 5)
        return found

    assert run(inside()) == ["0", "1", "2"]


def test_a_lost_connection_comes_back(postgres: str) -> None:
    seen: list[int] = []

    def note() -> None:
        seen.append(1)

    with Engine(postgres) as engine, Listener(engine, "orders", on_reconnect=note) as listener:
        with Session(engine) as session:
            assert len(session.execute(KILL).all()) == 1
            session.rollback()
            assert listener.get(0.3) is None
            notify(session, "orders", "after")
            session.commit()
        assert text(listener.get(5)) == "orders: after"
        assert listener.reconnects == len(seen) == 1


def test_a_lost_connection_of_tasks_comes_back(postgres: str) -> None:
    async def inside() -> None:
        seen: list[int] = []

        async def note() -> None:
            seen.append(1)

        async with Engine(postgres) as engine, AsyncListener(engine, "orders", on_reconnect=note) as listener:
            async with AsyncSession(engine) as session:
                assert len((await session.execute(KILL)).all()) == 1
                await session.rollback()
                assert await listener.get(0.3) is None
                await anotify(session, "orders", "after")
                await session.commit()
            assert text(await listener.get(5)) == "orders: after"
            assert listener.reconnects == len(seen) == 1

    run(inside())


def test_bad_input(postgres: str) -> None:
    async def asynchronous() -> None:
        async with AsyncSession(postgres) as session:
            with pytest.raises(DataError, match="8000 bytes, but a notification holds 7999"):
                await anotify(session, "orders", "é" * 4_000)

    with Engine(postgres) as engine, Session(engine) as session:
        with pytest.raises(DataError, match="has 8000 bytes, but a notification holds 7999"):
            notify(session, "orders", "x" * 8_000)
        notify(session, "orders", "x" * 7_999)
        with pytest.raises(QueryError):
            notify(session, "x" * 64)
        with pytest.raises(QueryError):
            notify(session, "")
        with pytest.raises(DataError):
            notify(session, "orders", "a\0")
        session.commit()
        with pytest.raises(ConfigurationError, match="at least one channel"):
            Listener(engine)
    run(asynchronous())
    with Engine(f"{postgres}?pgbouncer=true") as engine:
        for kind in (Listener, AsyncListener):
            with pytest.raises(ConfigurationError, match="leads past it"):
                kind(engine, "orders")
    with Engine("sqlite://") as engine, Session(engine) as session:
        with pytest.raises(CapabilityError, match="no LISTEN"):
            notify(session, "orders")
        with pytest.raises(CapabilityError, match="no LISTEN"):
            Listener(engine, "orders")
