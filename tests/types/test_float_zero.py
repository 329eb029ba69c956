"""-0.0 keeps its sign where the database can; integers that others wrote into such a column are floats."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from blaze import (
    CTE,
    DataError,
    Engine,
    Field,
    Insert,
    Model,
    QueryError,
    Select,
    Session,
    Update,
    ValidationError,
    case,
    create_all,
    drop_all,
    field,
    func,
)
from tests.support.servers import mysql_database, postgres_database
from tests.types.harness import Opener, m


class Charge(Model):
    id: Field[int] = field(primary_key=True)
    value: Field[float] = field(index=True)
    other: Field[float] = field(server_default="-2")


@pytest.fixture(scope="module", params=["sqlite", "postgres", "mysql"])
def dsn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('zero') / 'zero.db'}"
    else:
        with postgres_database() if request.param == "postgres" else mysql_database() as found:
            yield found


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def play(dsn: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    engine = Engine(dsn)
    create_all(engine, [Charge])
    loop = asyncio.new_event_loop()
    yield lambda scenario: loop.run_until_complete(scenario(Opener(request.param, engine)))
    drop_all(engine, [Charge])
    loop.run_until_complete(engine.adispose())
    loop.close()


def negative_zero(opener: Opener) -> str:
    """What reading gives for -0.0: MariaDB has none, CAST('-0' AS DOUBLE) is 0 there."""
    return "0.0" if opener.engine.dialect.name == "mysql" else "-0.0"


def shown(values: Any) -> list[str]:
    return sorted(map(repr, values))


@pytest.mark.requirement("R32")
def test_the_sign_of_zero(play: Any) -> None:
    async def scenario(open_session: Opener) -> None:
        zero = negative_zero(open_session)
        async with open_session() as session:
            session.add(Charge(value=-0.0, other=-0.0))
            await m(session.commit())
            await m(session.bulk_insert([Charge(value=-0.0, other=-0.0), Charge(value=0.0, other=-0.0)]))
            await m(session.exec(Insert(Charge).values(value=-0.0, other=-0.0)))
            await m(session.commit())
        async with open_session() as session:
            assert shown(await m(session.query(Charge.value).scalars())) == sorted([zero] * 3 + ["0.0"])
            assert shown(await m(session.query(Charge.other).scalars())) == [zero] * 4
            smallest = session.query(func.min(Charge.value)).where(Charge.id == 1)
            assert repr(await m(smallest.scalar())) == zero
            charges = CTE("charges", Select(Charge.id, Charge.value))
            outer = session.query(charges.c.value).with_cte(charges).where(charges.c.id == 1)
            assert repr(await m(outer.scalar())) == zero
            both = session.query(Charge.value).where(Charge.id == 1).union(Select(Charge.other), all=True)
            assert shown(await m(both.scalars())) == [zero] * 5
            assert await m(session.query(Charge).where(Charge.value == 0).count()) == 4
            assert await m(session.query(Charge).where(Charge.value.in_([-0.0])).count()) == 4
            assert await m(session.query(Charge).where(Charge.value < 0).count()) == 0
            assert await m(session.query(Charge.value).distinct().count()) == 1

    play(scenario)


def test_a_sign_that_changes_is_saved(play: Any) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            session.add(Charge(id=1, value=0.0))
            await m(session.commit())
            charge = await m(session.get_one(Charge, 1))
            charge.value = 0.0 * 1
            assert session.dirty == []
            charge.value = -0.0
            assert session.dirty == [charge]
            await m(session.commit())
            await m(session.refresh(charge))
            assert repr(charge.value) == negative_zero(open_session)

    play(scenario)


def test_what_others_write_as_integers_is_read_and_calculated_as_floats(play: Any) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            await m(session.execute("INSERT INTO charge (value) VALUES (1)"))
            await m(session.exec(Update(Charge).set(value=1).all_rows()))
            values = await m(
                session.query(
                    Charge.value / Charge.other,
                    3 / Charge.other,
                    Charge.value + Charge.other,
                    func.sum(Charge.other),
                    func.coalesce(Charge.other, 0),
                )
                .group_by(Charge.value, Charge.other)
                .one()
            )
            assert [repr(value) for value in values] == ["-0.5", "-1.5", "-1.0", "-2.0", "-2.0"]
            charge = await m(session.query(Charge).one())
            assert [repr(charge.value), repr(charge.other)] == ["1.0", "-2.0"]
            assert await m(session.query(Charge).where(Charge.other == -2.0, Charge.value < 1.5).count()) == 1
            await m(session.commit())

    play(scenario)


def test_sqlite_columns_of_the_type_real_lose_the_sign() -> None:
    """Why ours are REAL BLOB: this is SQLite's, whoever writes."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE zero (of_real REAL, of_any REAL BLOB)")
    connection.execute("INSERT INTO zero VALUES (?, ?)", (-0.0, -0.0))
    assert str(connection.execute("SELECT * FROM zero").fetchall()) == "[(0.0, -0.0)]"
    connection.close()


def test_an_index_serves_columns_of_floats() -> None:
    with Session("sqlite://") as session:
        session.create_all(Charge)
        session.commit()
        for condition in (
            Charge.value == 1,
            Charge.value > 0.5,
            Charge.value.in_([1.0, 2.0]),
            Charge.value.between(1, 2),
        ):
            plan = str(session.query(Charge).where(condition).explain())
            assert "SEARCH" in plan
            assert "ix_charge_value" in plan
        least = session.query(Charge.value).order_by(Charge.value).limit(1)
        assert "TEMP B-TREE" not in str(least.explain())


@pytest.mark.parametrize("value", [float("nan"), -float("nan")])
def test_nan_is_refused_and_never_becomes_null(play: Any, value: float) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            session.add(Charge(value=value))
            with pytest.raises(ValidationError, match="NaN"):
                await m(session.flush())
            await m(session.rollback())
            with pytest.raises(ValidationError, match="NaN"):
                await m(session.bulk_insert([Charge(value=value)]))
            for run in (
                lambda: session.exec(Insert(Charge).values(value=value)),
                lambda: session.exec(Update(Charge).set(value=value).all_rows()),
                lambda: session.query(Charge).where(Charge.value == value).all(),
                lambda: session.query(Charge).where(Charge.value.in_([value])).all(),
                lambda: session.query(Charge.value + value).all(),
                lambda: session.query(case((Charge.value == 1.0, value), else_=2.0)).all(),
                lambda: session.execute("INSERT INTO charge (value) VALUES (?)", (value,)),
            ):
                with pytest.raises((DataError, QueryError, ValidationError), match="NaN"):
                    await m(run())
            await m(session.rollback())
            assert not await m(session.query(Charge).exists())

    play(scenario)
