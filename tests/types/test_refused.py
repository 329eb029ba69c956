"""A value that does not fit is refused with the name of its field, never rounded, cut or converted."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, Callable
from uuid import UUID

import pytest

from blaze import BlazeError, DataError, Insert, QueryError, Update, ValidationError
from tests.types import models
from tests.types.harness import Opener, m
from tests.types.models import (
    BoolRow,
    BytesRow,
    ColorRow,
    DateRow,
    DecimalRow,
    DictRow,
    FloatRow,
    IntervalRow,
    IntRow,
    LevelRow,
    ListRow,
    MomentRow,
    MoneyRow,
    NaiveRow,
    NumbersRow,
    ShortTextRow,
    TextRow,
    TimeRow,
    UuidRow,
)
from tests.types.values import UTC

Play = Callable[[Any], None]

MISFITS: list[tuple[Any, Any, str]] = [
    (BoolRow, 2, "bool"),
    (BoolRow, "x", "bool"),
    (IntRow, 2**63, "64 bits"),
    (IntRow, -(2**63) - 1, "64 bits"),
    (IntRow, 1.0, "float"),
    (IntRow, "1", "str"),
    (IntRow, Decimal(1), "Decimal"),
    (FloatRow, float("nan"), "NaN"),
    (FloatRow, 2**53 + 1, "exactly"),
    (FloatRow, Decimal("0.1"), "Decimal"),
    (DecimalRow, 0.1, "float"),
    (DecimalRow, "0.1", "str"),
    (DecimalRow, True, "bool"),
    (DecimalRow, Decimal("NaN"), "finite"),
    (DecimalRow, Decimal("-Infinity"), "finite"),
    (DecimalRow, Decimal("1E+1000000000"), "digits before the point"),
    (DecimalRow, Decimal("1E-1000000000"), "digits after the point"),
    (MoneyRow, Decimal("0.0001"), "more than 3 digits after the point"),
    (MoneyRow, Decimal("1000000000"), "more than 9 digits before the point"),
    (MoneyRow, 10**9, "more than 9 digits before the point"),
    (TextRow, b"x", "bytes"),
    (TextRow, 1, "int"),
    (TextRow, "\ud800", "surrogate"),
    (ShortTextRow, "12345678901", "11 characters, more than 10"),
    (BytesRow, "x", "str"),
    (DateRow, dt.datetime(2024, 1, 1), r"\.date\(\)"),
    (DateRow, "2024-01-01", "str"),
    (TimeRow, dt.time(1, tzinfo=UTC), "time zone"),
    (MomentRow, dt.datetime(2024, 1, 1), "naive"),
    (MomentRow, dt.date(2024, 1, 1), "date"),
    (MomentRow, dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=9))), "years 1 to 9999"),
    (NaiveRow, dt.datetime(2024, 1, 1, tzinfo=UTC), "aware"),
    (IntervalRow, dt.timedelta.max, "64 bits"),
    (IntervalRow, 5, "int"),
    (UuidRow, "12345678-1234-5678-1234-567812345678", "UUID"),
    (ColorRow, "red", "Color"),
    (LevelRow, 0, "Level"),
    (DictRow, {"a": {"b": [dt.date(2024, 1, 1)]}}, r"a\.b\[0\]"),
    (DictRow, {1: 2}, "keys are str"),
    (DictRow, {"a": float("nan")}, "nan at a"),
    (DictRow, {"a": (1, 2)}, "tuple"),
    (ListRow, [Decimal(1)], "Decimal"),
    (NumbersRow, [1, "2"], "item 1"),
    (NumbersRow, [2**63], "64 bits"),
]
VALID: dict[Any, Any] = {
    BoolRow: True,
    IntRow: 1,
    FloatRow: 1.0,
    DecimalRow: Decimal(1),
    MoneyRow: Decimal(1),
    TextRow: "a",
    ShortTextRow: "a",
    BytesRow: b"a",
    DateRow: dt.date(2024, 1, 1),
    TimeRow: dt.time(1),
    MomentRow: dt.datetime(2024, 1, 1, tzinfo=UTC),
    NaiveRow: dt.datetime(2024, 1, 1),
    IntervalRow: dt.timedelta(1),
    UuidRow: UUID(int=1),
    ColorRow: models.Color.RED,
    LevelRow: models.Level.HIGH,
    DictRow: {"a": 1},
    ListRow: [1],
    NumbersRow: [1],
}
each = pytest.mark.parametrize(
    ("model", "value", "words"), MISFITS, ids=lambda value: getattr(value, "__name__", repr(value)[:24])
)


@each
def test_add_and_bulk_insert_name_the_field_and_keep_the_object(
    play: Play, model: Any, value: Any, words: str
) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            count = await m(session.query(model).count())
            for name in ("value", "other"):
                wrong = model(**{"value": VALID[model], name: value})
                await m(session.add(wrong))
                with pytest.raises(ValidationError, match=words) as caught:
                    await m(session.flush())
                assert list(caught.value.errors) == [name]
                assert model.__name__ in str(caught.value)
                assert getattr(wrong, name) is value
                await m(session.rollback())
                rows = [model(value=VALID[model]), model(**{"value": VALID[model], name: value})]
                with pytest.raises(ValidationError, match=words):
                    await m(session.bulk_insert(rows))
                await m(session.rollback())
                await m(session.add_all(rows))
                with pytest.raises(ValidationError, match=words):
                    await m(session.commit())
                await m(session.rollback())
            await m(session.add(model(value=VALID[model])))
            await m(session.commit())
            assert await m(session.query(model).count()) == count + 1

    play(scenario)


@each
def test_statements_name_the_field(play: Play, model: Any, value: Any, words: str) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            await m(session.add(model(value=VALID[model])))
            await m(session.flush())
            count = await m(session.query(model).count())
            with pytest.raises(ValidationError, match=words) as caught:
                await m(session.exec(Insert(model).values(value=value)))
            assert list(caught.value.errors) == ["value"]
            with pytest.raises(QueryError, match=words) as refused:
                await m(session.query(model).all_rows().update(value=value))
            assert "value" in str(refused.value)
            with pytest.raises(QueryError, match=words):
                await m(session.exec(Update(model).set(value=value).all_rows()))
            assert await m(session.query(model).count()) == count
            assert await m(session.query(model).order_by(model.id.desc()).limit(1).scalars())
            await m(session.rollback())

    play(scenario)


@each
def test_a_change_of_a_loaded_object_is_refused_and_undone_by_rollback(
    play: Play, model: Any, value: Any, words: str
) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            row = model(value=VALID[model])
            await m(session.add(row))
            await m(session.commit())
            row.value = value  # some equal the valid value: 1.0 == 1
            assert row in session.dirty
            with pytest.raises(ValidationError, match=words):
                await m(session.flush())
            assert row.value is value
            await m(session.rollback())
            assert row.value == VALID[model]
            assert not session.dirty
            row.other = VALID[model]
            await m(session.commit())

    play(scenario)


MATCHING_NOTHING = (MoneyRow, ShortTextRow)


@each
def test_comparison_with_another_type_is_refused(play: Play, model: Any, value: Any, words: str) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            if model in MATCHING_NOTHING:  # a text or decimal that is too long for the column
                assert await m(session.query(model).where(model.value == value).all()) == []
                return
            for compare in (
                lambda: session.query(model).where(model.value == value),
                lambda: session.query(model).filter(value=value),
                lambda: session.query(model).where(model.other != value),
            ):
                with pytest.raises((QueryError, DataError)) as caught:
                    await m(compare().all())
                assert isinstance(caught.value, BlazeError)
            assert await m(session.query(model).count()) >= 0

    play(scenario)


def test_a_text_or_decimal_beyond_the_column_matches_nothing(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            assert await m(session.query(ShortTextRow).where(ShortTextRow.value == "x" * 11).count()) == 0
            assert await m(session.query(MoneyRow).filter(value=Decimal("0.0001")).count()) == 0

    play(scenario)


def test_none_in_a_not_null_field(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            for model in models.ROWS:
                with pytest.raises(ValidationError, match=r"value: must not be None.*Optional"):
                    await m(session.bulk_insert([model()]))
                with pytest.raises(ValidationError, match=r"value: must not be None"):
                    await m(session.exec(Insert(model).values(value=None)))
                await m(session.rollback())

    play(scenario)


def test_documents_that_equal_but_differ_are_written(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            row = DictRow(value={"a": 1, "b": [0]})
            await m(session.add(row))
            await m(session.commit())
            row.value["a"] = True
            row.value["b"].append(2.0)
            assert session.dirty == [row]
            await m(session.commit())
            assert not session.dirty
        async with open_session() as session:
            value = (await m(session.get_one(DictRow, row.id))).value
            assert repr(value) == "{'a': True, 'b': [0, 2.0]}"
            assert not session.dirty
            value["b"] = {1, 2}
            with pytest.raises(ValidationError, match="set"):
                await m(session.commit())
            await m(session.rollback())

    play(scenario)
