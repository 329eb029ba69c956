"""What raw SQL leaves on a connection: it holds until the end of its session and never meets the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blaze import AsyncSession, Engine, Session
from tests.support.loops import run

# The text that leaves something, the question for it, the answer after it and that of a fresh connection.
STATES: dict[str, list[tuple[str, str, Any, Any]]] = {
    "postgres": [
        ("SET search_path = pg_catalog", "SELECT current_setting('search_path')", "pg_catalog", None),
        ("SELECT set_config('search_path', 'a', false)", "SELECT current_setting('search_path')", "a", None),
        (
            "SELECT pg_advisory_lock(77)",
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77",
            1,
            0,
        ),
        ("CREATE TEMP TABLE left_behind (a int)", "SELECT to_regclass('left_behind') IS NULL", False, True),
        (
            "PREPARE mine AS SELECT 1",
            "SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'",
            1,
            0,
        ),
    ],
    "mysql": [
        ("SET sql_mode = ''", "SELECT @@sql_mode", "", None),
        ("SET time_zone = '+05:00'", "SELECT @@time_zone", "+05:00", "+00:00"),
        ("SELECT get_lock('left_behind', 1)", "SELECT is_used_lock('left_behind') IS NOT NULL", 1, 0),
        ("USE information_schema", "SELECT DATABASE()", "information_schema", None),
    ],
    "sqlite": [
        ("PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys", 0, 1),
        (
            "CREATE TEMP TABLE left_behind (a int)",
            "SELECT count(*) FROM sqlite_temp_master WHERE name = 'left_behind'",
            1,
            0,
        ),
    ],
}
CASES = [(name, *case) for name, cases in STATES.items() for case in cases]
WAITS = [0.02] * 100  # a server gives the locks of a closed connection free when it notices
WHO = {"postgres": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}


@pytest.fixture
def dsn(request: Any, tmp_path: Path) -> Callable[[str], str]:
    """Give what makes the DSN of a database."""

    def found(name: str) -> str:
        return (
            f"sqlite:///{tmp_path / 'state.db'}" if name == "sqlite" else str(request.getfixturevalue(name))
        )

    return found


@pytest.mark.parametrize(("name", "text", "question", "left", "fresh"), CASES)
def test_it_goes_with_the_session(
    dsn: Any, name: str, text: str, question: str, left: Any, fresh: Any
) -> None:
    with Engine(dsn(name), pool_size=1, max_overflow=0, pool_timeout=1) as engine:
        with Session(engine) as s:
            before = s.exec_scalar(question)
            assert fresh is None or before == fresh
        with Session(engine) as s:
            s.execute(text)
            s.commit()
            assert s.exec_scalar(question) == left
            s.rollback()
            assert s.exec_scalar(question) == left
        with Session(engine) as s:
            for wait in WAITS:
                if s.exec_scalar(question) == before:
                    break
                time.sleep(wait)
            assert s.exec_scalar(question) == before
        assert engine.pool_stats().in_use == 0


@pytest.mark.parametrize(("name", "text", "question", "left", "fresh"), CASES)
def test_it_goes_with_the_asynchronous_session(
    dsn: Any, name: str, text: str, question: str, left: Any, fresh: Any
) -> None:
    async def main() -> None:
        engine = Engine(dsn(name), pool_size=1, max_overflow=0, pool_timeout=1)
        try:
            async with AsyncSession(engine) as s:
                before = await s.exec_scalar(question)
            async with AsyncSession(engine) as s:
                await s.execute(text)
                await s.commit()
                assert await s.exec_scalar(question) == left
                await s.rollback()
                assert await s.exec_scalar(question) == left
            async with AsyncSession(engine) as s:
                for wait in WAITS:
                    if await s.exec_scalar(question) == before:
                        break
                    await asyncio.sleep(wait)
                assert await s.exec_scalar(question) == before
            assert engine.pool_stats().in_use == 0
        finally:
            await engine.adispose()

    run(main())


@pytest.mark.parametrize("name", sorted(WHO))
def test_other_statements_keep_the_connection(dsn: Any, name: str) -> None:
    local = "SET LOCAL search_path = a" if name == "postgres" else "SELECT 2"
    with Engine(dsn(name), pool_size=1, max_overflow=0) as engine:
        seen = set()
        for text in ("SELECT 1", local, WHO[name]):
            with Session(engine) as s:
                s.execute(text)
                s.commit()
                seen.add(s.exec_scalar(WHO[name]))
        assert len(seen) == 1


@pytest.mark.parametrize("name", sorted(STATES))
def test_a_lost_connection_takes_it_along(dsn: Any, name: str) -> None:
    text, question, _, _ = STATES[name][0]
    with Engine(dsn(name), pool_size=1, max_overflow=0) as engine, Session(engine) as s:
        before = s.exec_scalar(question)
        s.execute(text)
        s.commit()
        s.discard_connection()
        s.rollback()
        assert s.exec_scalar(question) == before
