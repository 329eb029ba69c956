"""Whatever is written comes back equal and of the same type, by every way of writing and reading."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blaze import Insert, Update
from tests.types.harness import Opener, m
from tests.types.models import DecimalRow, MomentRow
from tests.types.values import KEYS, UTC, VALUES, same

Play = Callable[[Any], None]
quick = settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def batch(model: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(VALUES[model], min_size=1, max_size=6)


async def read(open_session: Opener, model: Any) -> list[Any]:
    async with open_session() as session:
        return [(row.value, row.other) for row in await m(session.query(model).order_by(model.id).all())]


async def empty(session: Any, model: Any) -> None:
    await m(session.query(model).all_rows().delete())


def check(found: list[Any], values: list[Any]) -> None:
    assert [same(value, read_back) for value, (read_back, _) in zip(values, found)] == [True] * len(values), (
        values,
        found,
    )
    assert [same(value, read_back) for value, (_, read_back) in zip(values, found)] == [True] * len(values)


@pytest.mark.parametrize("model", VALUES, ids=lambda model: model.__name__)
@pytest.mark.requirement("R32", "R109")
def test_add_and_commit(play: Play, model: Any) -> None:
    @quick
    @given(batch(model))
    def round_trip(values: list[Any]) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await empty(session, model)
                await m(session.add_all([model(value=v, other=v) for v in values]))
                await m(session.commit())
            check(await read(open_session, model), values)

        play(scenario)

    round_trip()


@pytest.mark.parametrize("model", VALUES, ids=lambda model: model.__name__)
@pytest.mark.requirement("R69")
def test_bulk_insert(play: Play, model: Any) -> None:
    @quick
    @given(batch(model))
    def round_trip(values: list[Any]) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await empty(session, model)
                await m(session.bulk_insert([model(value=v, other=v) for v in values]))
                await m(session.commit())
            check(await read(open_session, model), values)

        play(scenario)

    round_trip()


@pytest.mark.parametrize("model", VALUES, ids=lambda model: model.__name__)
def test_insert_statement(play: Play, model: Any) -> None:
    @quick
    @given(batch(model))
    def round_trip(values: list[Any]) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await empty(session, model)
                await m(session.exec(Insert(model).values([{"value": v, "other": v} for v in values])))
                await m(session.commit())
            check(await read(open_session, model), values)

        play(scenario)

    round_trip()


@pytest.mark.parametrize("model", VALUES, ids=lambda model: model.__name__)
def test_update_by_query_by_statement_and_by_object(play: Play, model: Any) -> None:
    @quick
    @given(st.tuples(*[VALUES[model]] * 4))
    def round_trip(values: tuple[Any, ...]) -> None:
        first, *later = values

        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await empty(session, model)
                objects = [model(value=first) for _ in later]
                await m(session.add_all(objects))
                await m(session.commit())
                keys = [o.id for o in objects]
            async with open_session() as session:
                found = session.query(model).where(model.id == keys[0])
                assert await m(found.update(value=later[0], other=later[0])) == 1
                statement = Update(model).set(value=later[1], other=later[1]).where(model.id == keys[1])
                await m(session.exec(statement))
                changed = await m(session.get_one(model, keys[2]))
                changed.value, changed.other = later[2], later[2]
                await m(session.commit())
            check(await read(open_session, model), list(later))

        play(scenario)

    round_trip()


@pytest.mark.parametrize("model", VALUES, ids=lambda model: model.__name__)
def test_rows_of_columns_results_of_returning_and_streams(play: Play, model: Any) -> None:
    @quick
    @given(batch(model))
    def round_trip(values: list[Any]) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await empty(session, model)
                rows = [{"value": v, "other": v} for v in values]
                given_back = await m(
                    session.exec(Insert(model).values(rows).returning(model.value, model.other))
                )
                check(list(await m(given_back.all())), values)
                found = await m(session.query(model.value, model.other).order_by(model.id).all())
                check(list(found), values)
                assert [type(row.value) for row in found] == [type(value) for value in values]
                scalars = await m(session.query(model.other).order_by(model.id).scalars())
                assert all(map(same, scalars, values))
                await m(session.commit())
                streamed = session.query(model).order_by(model.id).stream(2)
                got = [o async for o in streamed] if hasattr(streamed, "__aiter__") else list(streamed)
                check([(o.value, o.other) for o in got], values)

        play(scenario)

    round_trip()


@pytest.mark.parametrize("model", VALUES, ids=lambda model: model.__name__)
def test_none_stays_none(play: Play, model: Any) -> None:
    @settings(quick, max_examples=3)
    @given(VALUES[model])
    def round_trip(value: Any) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await empty(session, model)
                await m(session.add(model(value=value, other=value)))
                await m(session.add(model(value=value)))
                await m(session.commit())
            async with open_session() as session:
                full, bare = await m(session.query(model).order_by(model.id).all())
                assert bare.other is None
                full.other = None
                bare.other = value
                await m(session.commit())
            async with open_session() as session:
                full, bare = await m(session.query(model).order_by(model.id).all())
                assert full.other is None
                assert same(bare.other, value)
                assert await m(session.query(model).where(model.other.is_(None)).count()) == 1
                assert await m(session.query(model).filter(other__isnull=False).count()) == 1

        play(scenario)

    round_trip()


@pytest.mark.parametrize("model", KEYS, ids=lambda model: model.__name__)
@pytest.mark.requirement("R40")
def test_keys_and_join_rows(play: Play, model: Any) -> None:
    @quick
    @given(st.lists(KEYS[model], min_size=2, max_size=4, unique=True))
    def round_trip(keys: list[Any]) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                for old in await m(session.query(model).all()):
                    await m(session.delete(old))
                await m(session.commit())
                objects = [model(key=key) for key in keys]
                await m(session.add_all(objects))
                await m(session.add_m2m(objects[0], model.friends, *objects[1:]))
                await m(session.commit())
            async with open_session() as session:
                first = await m(session.get_one(model, keys[0]))
                assert same(first.key, keys[0])
                assert await m(session.get(model, keys[0])) is first
                (whole,) = await m(
                    session.query(model).where(model.key == keys[0]).include(model.friends).all()
                )
                assert whole is first
                assert {o.key for o in whole.friends} == set(keys[1:])
                assert await m(session.query(model).where(model.key.in_(keys)).count()) == len(keys)

        play(scenario)

    round_trip()


def test_moments_come_back_in_utc(play: Play) -> None:
    nepal = dt.timezone(dt.timedelta(hours=5, minutes=45))
    moment = dt.datetime(2024, 1, 1, 3, 0, 0, 1, tzinfo=nepal)

    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            await empty(session, MomentRow)
            await m(session.add(MomentRow(value=moment)))
            await m(session.commit())
        async with open_session() as session:
            row = await m(session.query(MomentRow).one())
            assert row.value == moment
            assert row.value.tzinfo is UTC

    play(scenario)


def test_trailing_zeros_of_decimals_survive(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            await empty(session, DecimalRow)
            await m(session.add(DecimalRow(value=Decimal("1.500"))))
            await m(session.commit())
        async with open_session() as session:
            assert str((await m(session.query(DecimalRow).one())).value) == "1.500"

    play(scenario)
