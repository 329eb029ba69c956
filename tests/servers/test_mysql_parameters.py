"""Parameters on MySQL and MariaDB: lists of them, and what the server warns of, which is not logged."""

from __future__ import annotations

import logging

import pytest

from blaze import (
    AsyncSession,
    Engine,
    Field,
    Insert,
    Model,
    Session,
    acreate_all,
    adrop_all,
    create_all,
    drop_all,
    field,
)
from tests.support.loops import run


class Subscriber(Model):
    id: Field[int] = field(primary_key=True)
    email: Field[str] = field(max_length=50, unique=True)

    class Meta:
        table = "warned_subscriber"


INSERT = Insert(Subscriber).values(email="secret@example.org").on_conflict("email", do="nothing")
CAST = "SELECT CAST(? AS SIGNED)"


IN = "SELECT count(*) FROM warned_subscriber WHERE id IN ?"


def check(caplog: pytest.LogCaptureFixture) -> None:
    assert "secret" not in caplog.text
    assert [record for record in caplog.records if not record.name.startswith("blaze")] == []


def test_blocking(mysql: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Engine(mysql) as engine, Session(engine) as session:
        create_all(engine, [Subscriber])
        for _ in range(2):
            session.exec(INSERT)
        session.exec_scalar(CAST, ["secret"])
        for keys in ([1, 2], (1, 2)):
            assert session.exec_scalar(IN, [keys]) == 1
        session.rollback()
        drop_all(engine, [Subscriber])
    check(caplog)


def test_asynchronous(mysql: str, caplog: pytest.LogCaptureFixture) -> None:
    async def inside() -> None:
        async with Engine(mysql) as engine, AsyncSession(engine) as session:
            await acreate_all(engine, [Subscriber])
            for _ in range(2):
                await session.exec(INSERT)
            await session.exec_scalar(CAST, ["secret"])
            for keys in ([1, 2], (1, 2)):
                assert await session.exec_scalar(IN, [keys]) == 1
            async for row in session.query(Subscriber.email).stream():
                assert row.email == "secret@example.org"
            await session.rollback()
            await adrop_all(engine, [Subscriber])

    caplog.set_level(logging.INFO)
    run(inside())
    check(caplog)
