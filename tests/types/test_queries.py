"""The database compares, orders and sums as Python does, exactly, for every type."""

from __future__ import annotations

import datetime as dt
import decimal
from decimal import Decimal
from fractions import Fraction
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blaze import Insert, Select, func
from tests.types import models
from tests.types.harness import Opener, m
from tests.types.test_round_trip import empty, quick
from tests.types.values import COMPARED, JSON, ORDERED, VALUES, same

Play = Callable[[Any], None]


def named(model: Any) -> str:
    return str(model.__name__)


async def store(session: Any, model: Any, values: list[Any]) -> None:
    await empty(session, model)
    await m(session.exec(Insert(model).values([{"value": v, "other": v} for v in values])))


@pytest.mark.parametrize("model", COMPARED, ids=named)
def test_equality_and_membership(play: Play, model: Any) -> None:
    @quick
    @given(st.lists(VALUES[model], min_size=1, max_size=5), VALUES[model])
    def compare(values: list[Any], wanted: Any) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await store(session, model, values)
                for one in (wanted, values[0]):
                    equal = sum(value == one for value in values)
                    query = session.query(model)
                    assert await m(query.where(model.value == one).count()) == equal
                    assert await m(query.where(model.value != one).count()) == len(values) - equal
                    assert await m(query.filter(other=one).count()) == equal
                    assert await m(query.where(model.value.in_([one])).count()) == equal
                    assert await m(query.where(model.other.not_in([one])).count()) == len(values) - equal
                assert await m(session.query(model).filter(value__in=values).count()) == len(values)
                assert await m(session.query(model).where(model.value.in_([])).count()) == 0
                await m(session.rollback())

        play(scenario)

    compare()


@pytest.mark.parametrize("model", ORDERED, ids=named)
def test_order_extremes_and_ranges(play: Play, model: Any) -> None:
    @quick
    @given(st.lists(VALUES[model], min_size=1, max_size=6), VALUES[model])
    def compare(values: list[Any], bound: Any) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await store(session, model, values)
                query = session.query(model.value)
                up = await m(query.order_by(model.value).scalars())
                assert up == sorted(values)
                assert await m(query.order_by(model.value.desc()).scalars()) == sorted(values, reverse=True)
                for one in (bound, values[0]):
                    assert await m(query.where(model.value < one).count()) == sum(v < one for v in values)
                    assert await m(query.where(model.value <= one).count()) == sum(v <= one for v in values)
                    assert await m(query.where(model.other > one).count()) == sum(v > one for v in values)
                    assert await m(query.where(model.other >= one).count()) == sum(v >= one for v in values)
                low, high = min(bound, values[0]), max(bound, values[0])
                inside = await m(query.where(model.value.between(low, high)).order_by(model.value).scalars())
                assert inside == sorted(v for v in values if low <= v <= high)
                row = await m(session.query(func.min(model.value), func.max(model.value)).one())
                assert (row[0], row[1]) == (min(values), max(values))
                if model is not models.BoolRow:
                    assert same(type(values[0])(row[0]) if isinstance(row[0], int) else row[0], min(values))
                await m(session.rollback())

        play(scenario)

    compare()


@pytest.mark.parametrize("model", [models.DecimalRow, models.MoneyRow], ids=named)
def test_decimals_add_up_exactly(play: Play, model: Any) -> None:
    @quick
    @given(st.lists(VALUES[model], min_size=1, max_size=6))
    def add(values: list[Decimal]) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await store(session, model, values)
                total = await m(session.query(func.sum(model.value)).scalar())
                assert type(total) is Decimal
                assert Fraction(total) == sum(map(Fraction, values))
                doubled = await m(session.query(func.max(model.value + model.other)).scalar())
                assert Fraction(doubled) == 2 * Fraction(max(values))
                await m(session.rollback())

        play(scenario)

    add()


def test_sums_of_integers_and_intervals(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            await store(session, models.IntRow, [2**62, -(2**62), 7])
            assert await m(session.query(func.sum(models.IntRow.value)).scalar()) == 7
            pauses = [dt.timedelta(days=-2, microseconds=1), dt.timedelta(hours=1)]
            await store(session, models.IntervalRow, pauses)
            total = await m(session.query(func.sum(models.IntervalRow.value)).scalar())
            assert total == sum(pauses, dt.timedelta())
            await m(session.rollback())

    play(scenario)


def test_arithmetic_of_decimals_beside_any_context(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        with decimal.localcontext() as context:
            context.prec = 3
            async with open_session() as session:
                await store(
                    session, models.DecimalRow, [Decimal("123456789.123456789"), Decimal("0.000000001")]
                )
                row = models.DecimalRow
                assert await m(session.query(func.sum(row.value)).scalar()) == Decimal("123456789.123456790")
                assert (
                    await m(session.query(row).where(row.value > Decimal("123456789.123456788")).count()) == 1
                )
                await m(session.rollback())

    play(scenario)


@pytest.mark.parametrize("model", [models.TextRow, models.ShortTextRow], ids=named)
def test_text_lookups_take_every_character_literally(play: Play, model: Any) -> None:
    tests: dict[str, Callable[[str, str], bool]] = {
        "contains": lambda text, part: part in text,
        "startswith": str.startswith,
        "endswith": str.endswith,
        "icontains": lambda text, part: part.lower() in text.lower(),
        "istartswith": lambda text, part: text.lower().startswith(part.lower()),
        "iendswith": lambda text, part: text.lower().endswith(part.lower()),
        "iexact": lambda text, part: text.lower() == part.lower(),
    }

    @quick
    @given(st.lists(VALUES[model], min_size=1, max_size=5), VALUES[model])
    def match(values: list[str], other: str) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await store(session, model, values)
                for part in (other, values[0], values[0][:1], values[0][-2:]):
                    for name, matches in tests.items():
                        found = await m(session.query(model).filter(**{f"value__{name}": part}).count())
                        assert found == sum(matches(value, part) for value in values), (name, part, values)
                await m(session.rollback())

        play(scenario)

    match()


@pytest.mark.parametrize("model", JSON, ids=named)
def test_documents_compare_as_documents(play: Play, model: Any) -> None:
    @quick
    @given(VALUES[model])
    def compare(value: Any) -> None:
        async def scenario(open_session: Opener) -> None:
            async with open_session() as session:
                await store(session, model, [value])
                assert await m(session.query(model).where(model.value == value).count()) == 1
                assert await m(session.query(model).where(model.value != value).count()) == 0
                assert await m(session.query(model).where(model.other == value).count()) == 1
                await m(session.rollback())

        play(scenario)

    compare()


def test_subqueries_groups_and_distinct_keep_types(play: Play) -> None:
    row = models.DecimalRow

    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            await store(session, row, [Decimal("1.0"), Decimal("1.00"), Decimal("10"), Decimal("9")])
            groups = await m(
                session.query(row.value, func.count(row.id).label("n"))
                .group_by(row.value)
                .order_by(row.value)
                .all()
            )
            assert [(r.value, r.n) for r in groups] == [(1, 2), (9, 1), (10, 1)]
            assert len(await m(session.query(row.value).distinct().all())) == 3
            assert len(await m(session.query((row.value * 0).label("zero")).distinct().all())) == 1
            largest = Select(func.max(row.value))
            assert await m(session.query(row.id).where(row.value == largest).count()) == 1
            assert await m(session.query(row).where(row.value.in_(Select(row.other))).count()) == 4
            await m(session.rollback())

    play(scenario)
