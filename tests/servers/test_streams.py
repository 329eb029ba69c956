"""Streams from servers: a quarter of a million rows pass through in constant memory, on every driver."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest

from blaze import AsyncSession, Engine, Field, Model, Session, create_all, drop_all, field
from tests.support.loops import run

ROWS = 250_000
MEGABYTE = 1_048_576


class Reading(Model):
    id: Field[int] = field(primary_key=True)
    text: Field[str] = field(max_length=200)

    class Meta:
        table = "streamed_reading"


def resident() -> int:
    """Give the bytes of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module", params=["postgres", "mysql"])
def filled(request: pytest.FixtureRequest) -> Iterator[str]:
    dsn: str = request.getfixturevalue(request.param)
    numbers = "generate_series(1, {})" if request.param == "postgres" else "seq_1_to_{}"
    with Engine(dsn) as engine:
        create_all(engine, [Reading])
        with Session(engine, auto_commit=True) as session:
            rows = numbers.format(ROWS)
            session.execute(f"INSERT INTO streamed_reading (text) SELECT repeat('x', 150) FROM {rows} AS n")
        yield dsn
        drop_all(engine, [Reading])


def growth(before: int, most: int) -> float:
    return (most - before) / MEGABYTE


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
@pytest.mark.parametrize("kind", ["objects", "rows"])
def test_blocking(filled: str, kind: str) -> None:
    with Session(filled) as session:
        query: Any = session.query(Reading) if kind == "objects" else session.query(Reading.id, Reading.text)
        next(iter(query.limit(1).stream(1)))
        gc.collect()
        before = most = resident()
        count = 0
        for count, _ in enumerate(query.stream(1_000), 1):
            if count % 10_000 == 0:
                most = max(most, resident())
        assert count == ROWS
    assert growth(before, most) < 16, "the rows were gathered before the first one came"


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_asynchronous(filled: str) -> None:
    async def inside() -> float:
        async with AsyncSession(filled) as session:
            async for _ in session.query(Reading).limit(1).stream(1):
                pass
            gc.collect()
            before = most = resident()
            count = 0
            async for _ in session.query(Reading).stream(1_000):
                count += 1
                if count % 10_000 == 0:
                    most = max(most, resident())
            assert count == ROWS
            await session.rollback()
        return growth(before, most)

    assert run(inside()) < 16, "the rows were gathered before the first one came"


def test_a_statement_during_a_stream(filled: str) -> None:
    """The rest of the stream is not lost, whatever the driver has to do for that."""
    with Session(filled) as session:
        stream = session.query(Reading).where(Reading.id <= 5_000).order_by(Reading.id).stream(100)
        first = next(stream)
        assert session.query(Reading).count() == ROWS
        assert [first.id, *[each.id for each in stream]] == list(range(1, 5_001))
        session.rollback()
