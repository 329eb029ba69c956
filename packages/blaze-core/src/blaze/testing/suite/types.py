"""Types: every value comes back equal and of its type, by every way of writing and reading."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from blaze import BlazeError, Insert, QueryError, Select, Update, ValidationError, case, cast, func
from blaze.dialects.types import DateTime
from blaze.testing.suite.harness import Database, Twin, done, each, scenario
from blaze.testing.suite.library import Book
from blaze.testing.suite.values import KEYS, KINDS, UTC, Kind, model_of, same

__all__ = [
    "test_bulk_insert_keeps_values",
    "test_bulk_insert_of_many_keeps_values",
    "test_bulk_update_keeps_values",
    "test_calculations_give_what_python_gives",
    "test_casts_of_moments",
    "test_coalesce_and_case_keep_values",
    "test_columns_give_values",
    "test_comparison_finds_each_value",
    "test_floats_beside_whole_numbers",
    "test_flush_keeps_values",
    "test_groups_keep_values",
    "test_in_finds_lists",
    "test_in_finds_values",
    "test_insert_statement_keeps_values",
    "test_json_documents_are_equal_in_any_order",
    "test_keys_are_found",
    "test_keys_are_linked",
    "test_keys_are_taken_once",
    "test_misfits_are_refused_by_comparisons",
    "test_misfits_are_refused_by_flush",
    "test_misfits_are_refused_by_statements",
    "test_none_is_null",
    "test_order_is_that_of_python",
    "test_smallest_and_largest",
    "test_stream_keeps_values",
    "test_update_of_an_object_keeps_values",
    "test_update_statement_keeps_values",
    "test_upsert_keeps_values",
]

# Whose values are arrays where there are any.
LISTS = ("ints", "strs", "decimals", "moments")
every = pytest.mark.parametrize("kind", KINDS, ids=repr)
compared = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.compared], ids=repr)
ordered = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.ordered], ids=repr)
keys = pytest.mark.parametrize("kind", KEYS, ids=repr)


def check(found: list[Any], values: list[Any]) -> None:
    """Compare what came back with what was written."""
    assert len(found) == len(values)
    wrong = [(value, back) for value, back in zip(values, found) if not same(value, back)]
    assert not wrong, wrong


async def stored(db: Database, kind: Kind) -> None:
    """Read all objects in a new session and compare them with the values of the kind."""
    async with db.session() as s:
        objects = await s.all(kind.model)
        check([o.value for o in objects], kind.values)
        check([o.other for o in objects], kind.values)


async def store(s: Twin, kind: Kind) -> list[Any]:
    """Store one object for each value."""
    objects = [kind.model(value=value, other=value) for value in kind.values]
    await s.add_all(objects)
    await s.flush()
    return objects


@every
@scenario
async def test_flush_keeps_values(db: Database, kind: Kind) -> None:
    async with db.session() as s:
        await store(s, kind)
        await s.commit()
    await stored(db, kind)


@every
@scenario
async def test_insert_statement_keeps_values(db: Database, kind: Kind) -> None:
    async with db.session() as s:
        rows = [{"value": value, "other": value} for value in kind.values]
        assert (await s.exec(Insert(kind.model).values(rows))).rowcount == len(rows)
        await s.commit()
    await stored(db, kind)


@every
@scenario
async def test_bulk_insert_keeps_values(db: Database, kind: Kind) -> None:
    async with db.session() as s:
        await s.bulk_insert([kind.model(value=value, other=value) for value in kind.values])
        await s.commit()
    await stored(db, kind)


@every
@scenario
async def test_update_of_an_object_keeps_values(db: Database, kind: Kind) -> None:
    async with db.session() as s:
        objects = [kind.model(value=kind.values[0]) for _ in kind.values]
        await s.add_all(objects)
        await s.commit()
        for instance, value in zip(objects, kind.values):
            instance.value = instance.other = value
        await s.commit()
        assert not s.dirty
    await stored(db, kind)


@every
@scenario
async def test_update_statement_keeps_values(db: Database, kind: Kind) -> None:
    async with db.session() as s:
        objects = [kind.model(value=kind.values[0]) for _ in kind.values]
        await s.add_all(objects)
        await s.flush()
        for number, (instance, value) in enumerate(zip(objects, kind.values)):
            if number % 2:
                query = s.query(kind.model).where(kind.model.id == instance.id)
                assert await done(query.update(value=value, other=value)) == 1
            else:
                statement = (
                    Update(kind.model).set(value=value, other=value).where(kind.model.id == instance.id)
                )
                assert (await s.exec(statement)).rowcount == 1
            assert same(instance.value, value)
        await s.commit()
    await stored(db, kind)


@every
@scenario
async def test_bulk_update_keeps_values(db: Database, kind: Kind) -> None:
    async with db.session() as s:
        objects = [kind.model(value=kind.values[0]) for _ in kind.values]
        await s.bulk_insert(objects, return_keys=True)
        for instance, value in zip(objects, kind.values):
            instance.value = instance.other = value
        assert await s.bulk_update(objects, ["value", "other"]) == len(objects)
        await s.commit()
    await stored(db, kind)


@every
@scenario
async def test_bulk_insert_of_many_keeps_values(db: Database, kind: Kind) -> None:
    """As many rows as a bulk load is worth, where the backend has one."""
    again = 150 // len(kind.values) + 1
    async with db.session() as s:
        everything = [*kind.values, None] * again
        objects = [kind.model(value=kind.values[0] if v is None else v, other=v) for v in everything]
        assert await s.bulk_insert(objects) == len(objects)
        await s.commit()
    async with db.session() as s:
        found = await s.all(kind.model)
        assert [type(each.other) for each in found] == [type(v) for v in everything]
        for each, value in zip(found, everything):
            assert each.other is None if value is None else same(each.other, value)
            assert value is None or same(each.value, value)


@every
@scenario
async def test_upsert_keeps_values(db: Database, kind: Kind) -> None:
    db.needs("on_conflict")
    async with db.session() as s:
        objects = [kind.model(id=n, value=kind.values[0]) for n in range(1, len(kind.values) + 1)]
        await s.upsert(objects[::2], conflict=["id"])
        await s.commit()
    async with db.session() as s:
        objects = [kind.model(id=n, value=value, other=value) for n, value in enumerate(kind.values, 1)]
        result = await s.upsert(objects, conflict=["id"])
        assert len(result.updated) == len(objects[::2])
        await s.commit()
    await stored(db, kind)


@every
@scenario
async def test_none_is_null(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        await s.add_all([model(value=kind.values[0]), model(value=kind.values[0], other=kind.values[-1])])
        await s.commit()
    async with db.session() as s:
        assert [o.other is None for o in await s.all(model)] == [True, False]
        assert len(await s.all(model, model.other == None)) == 1  # noqa: E711
        assert len(await s.all(model, model.other.is_not(None))) == 1
        assert await done(s.query(func.count(model.other)).scalar()) == 1
        with pytest.raises(ValidationError, match="value"):
            await s.bulk_insert([model(value=None)])


@every
@scenario
async def test_columns_give_values(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        await store(s, kind)
        rows = await done(s.query(model.value, model.other.label("o")).order_by(model.id).all())
        check([row.value for row in rows], kind.values)
        check([row.o for row in rows], kind.values)
        check(await done(s.query(model.value).order_by(model.id).scalars()), kind.values)
        table = Select(model.id, model.value).alias("inner_values")
        check(await done(s.query(table.c.value).order_by(table.c.id).scalars()), kind.values)


@every
@scenario
async def test_stream_keeps_values(db: Database, kind: Kind) -> None:
    async with db.session() as s:
        await store(s, kind)
        await s.commit()
    async with db.session() as s:
        found = [o async for o in each(s.query(kind.model).order_by("id").stream(size=3))]
        check([o.value for o in found], kind.values)


@every
@scenario
async def test_coalesce_and_case_keep_values(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        await store(s, kind)
        query = s.query(
            func.coalesce(model.other, model.value).label("a"),
            case((model.id > 0, model.value), else_=model.other).label("b"),
        )
        rows = await done(query.order_by(model.id).all())
        check([row.a for row in rows], kind.values)
        check([row.b for row in rows], kind.values)


@compared
@scenario
async def test_comparison_finds_each_value(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        objects = await store(s, kind)
        for instance, value in zip(objects, kind.values):
            assert await s.all(model, model.value == value) == [instance], value
            assert len(await s.all(model, model.value != value)) == len(objects) - 1
            assert await done(s.query(model).filter(other=value).all()) == [instance]
        assert len(await s.all(model, model.value == model.other)) == len(objects)


@scenario
async def test_floats_beside_whole_numbers(db: Database) -> None:
    """They calculate as floats do, and give floats."""
    async with db.session() as s:
        n = Book.pages
        for expression, python in [
            (n + 1.5, lambda pages: pages + 1.5),
            (n * 1.5, lambda pages: pages * 1.5),
            (n - 0.25, lambda pages: pages - 0.25),
            (n / 4.0, lambda pages: pages / 4.0),
            (func.sum(n * 0.1), lambda pages: pages * 0.1),
            (case((n > 10_000, 1.5), else_=2.5), lambda pages: 2.5),
        ]:
            query = s.query(n, expression.label("x")).where(Book.id == 1)
            pages, found = await done(query.group_by(n).one())
            assert isinstance(found, float)
            assert found == python(pages)


@compared
@scenario
async def test_in_finds_values(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        objects = await store(s, kind)
        assert await s.all(model, model.value.in_(kind.values)) == objects
        assert await s.all(model, model.value.in_(kind.values[:1])) == objects[:1]
        assert await s.all(model, model.value.not_in(kind.values[1:])) == objects[:1]
        assert await s.all(model, model.value.in_([])) == []
        few = [value for value in kind.values if len(str(value)) < 100]
        assert await s.all(model, model.value.in_(few * 800)) == [o for o in objects if o.value in few]
        assert await s.all(model, model.value.in_(Select(model.other))) == objects


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in LISTS], ids=repr)
@scenario
async def test_in_finds_lists(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        objects = await store(s, kind)
        for values in (kind.values, kind.values[:1], kind.values[1:], []):
            found = [each for each in objects if each.value in values]
            assert await s.all(model, model.value.in_(values)) == found
            assert await s.all(model, model.value.not_in(values)) == [o for o in objects if o not in found]


@ordered
@scenario
async def test_order_is_that_of_python(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        await s.add_all([model(value=value) for value in reversed(kind.values)])
        await s.flush()
        found = await done(s.query(model.value).order_by(model.value).scalars())
        check(found, kind.values)
        check(await done(s.query(model.value).order_by(model.value.desc()).scalars()), kind.values[::-1])
        middle = kind.values[len(kind.values) // 2]
        below = [value for value in kind.values if value < middle]
        check(await done(s.query(model.value).where(model.value < middle).order_by("value").scalars()), below)
        assert len(await s.all(model, model.value >= middle)) == len(kind.values) - len(below)
        assert len(await s.all(model, model.value.between(kind.values[0], middle))) == len(below) + 1


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.ordered and kind.name not in ("bool", "uuid")], ids=repr
)
@scenario
async def test_smallest_and_largest(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        assert await done(s.query(func.max(model.value)).scalar()) is None
        await store(s, kind)
        low, high = await done(s.query(func.min(model.value), func.max(model.other)).one())
        check([low, high], [kind.values[0], kind.values[-1]])


@compared
@scenario
async def test_groups_keep_values(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        await s.add_all([model(value=value) for value in kind.values for _ in range(2)])
        await s.flush()
        rows = await done(s.query(model.value, func.count(model.id).label("n")).group_by(model.value).all())
        assert {row.n for row in rows} == {2}
        assert len(rows) == len(kind.values)
        distinct = await done(s.query(model.value).distinct().scalars())
        assert all(any(same(value, found) for found in distinct) for value in kind.values)
        assert len(distinct) == len(kind.values)


@every
@scenario
async def test_misfits_are_refused_by_flush(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        for value in kind.refused:
            await s.add(model(value=kind.values[0], other=value))
            with pytest.raises(ValidationError) as caught:
                await s.flush()
            assert list(caught.value.errors) == ["other"]
            await s.rollback()
            with pytest.raises(ValidationError):
                await s.bulk_insert([model(value=kind.values[0]), model(value=value)])
            await s.rollback()
        assert await done(s.query(model).count()) == 0


@every
@scenario
async def test_misfits_are_refused_by_statements(db: Database, kind: Kind) -> None:
    model = kind.model
    async with db.session() as s:
        for value in kind.refused:
            with pytest.raises(ValidationError):
                await s.exec(Insert(model).values(value=value))
            await s.rollback()
            with pytest.raises(QueryError):
                await s.exec(Update(model).set(value=value).all_rows())
            await s.rollback()
        assert await done(s.query(model).count()) == 0


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.compared and kind.name not in ("money", "short_text")], ids=repr
)
@scenario
async def test_misfits_are_refused_by_comparisons(db: Database, kind: Kind) -> None:
    async with db.session() as s:
        for value in kind.refused:
            with pytest.raises(BlazeError):
                await done(s.query(kind.model).where(kind.model.value == value).all())
        assert await done(s.query(kind.model).count()) == 0


@keys
@scenario
async def test_keys_are_found(db: Database, kind: Kind) -> None:
    model = kind.model
    await db.save(*[model(key=value) for value in kind.values])
    async with db.session() as s:
        for value in kind.values:
            found = await s.get_one(model, value)
            check([found.key], [value])
            before = s.statements
            assert await s.get(model, value) is found
            assert s.statements == before
        assert len(await done(s.query(model).where(model.key.in_(kind.values)).all())) == len(kind.values)


@keys
@scenario
async def test_keys_are_linked(db: Database, kind: Kind) -> None:
    model = kind.model
    objects = [model(key=value) for value in kind.values]
    objects[0].friends.add(objects[1])
    objects[1].friends.add(objects[-1])
    await db.save(*objects)
    async with db.session() as s:
        found = await s.get_one(model, kind.values[0])
        check([friend.key for friend in await s.read(found, "friends")], kind.values[1:2])
        await s.delete(found)
        await s.commit()
        assert await done(s.query(model).count()) == len(kind.values) - 1


@keys
@scenario
async def test_keys_are_taken_once(db: Database, kind: Kind) -> None:
    from blaze import UniqueError

    model = kind.model
    await db.save(*[model(key=value) for value in kind.values])
    async with db.session() as s:
        for value in kind.values[:2]:
            await s.add(model(key=value))
            with pytest.raises(UniqueError):
                await s.flush()
            await s.rollback()
        assert await s.bulk_delete(model, kind.values) == len(kind.values)
        await s.rollback()


@scenario
async def test_json_documents_are_equal_in_any_order(db: Database) -> None:
    model = model_of("dict")
    written = {"a": 1, "b": {"c": [1, {"x": "", "y": None}], "d": True}}
    turned = {"b": {"d": True, "c": [1, {"y": None, "x": ""}]}, "a": 1}
    other = {"a": 1, "b": {"c": [{"x": "", "y": None}, 1], "d": True}}
    async with db.session() as s:
        await s.add_all([model(value=written), model(value=other)])
        await s.commit()
        assert await done(s.query(model).where(model.value == turned).count()) == 1
        assert await done(s.query(model).where(model.value != turned).count()) == 1
        assert await done(s.query(model).where(model.value.in_([turned, {}])).count()) == 1
        assert await done(s.query(model).where(model.value.not_in([turned, other])).count()) == 0
        await s.add(model(value=turned))
        await s.flush()
        same = Select(model.value).where(model.value == turned)
        assert await done(s.query(model).where(model.value.in_(same)).count()) == 2
        assert await done(s.query(model).where(model.value.not_in(same)).count()) == 1


@scenario
async def test_casts_of_moments(db: Database) -> None:
    moment, naive, day = (model_of(name) for name in ("moment", "naive", "date"))
    at = datetime(2020, 1, 2, 23, 4, 5, 6, tzinfo=UTC)
    midnight = datetime(2020, 1, 2, tzinfo=UTC)
    bare = DateTime(timezone=False)
    casts: list[tuple[Any, Any, Any]] = [
        (moment, date, at.date()),
        (moment, time, at.time()),
        (moment, bare, at.replace(tzinfo=None)),
        (naive, date, at.date()),
        (naive, time, at.time()),
        (naive, datetime, at),
        (day, datetime, midnight),
        (day, bare, midnight.replace(tzinfo=None)),
    ]
    async with db.session() as s:
        await s.add_all([moment(value=at), naive(value=at.replace(tzinfo=None)), day(value=at.date())])
        for model, kind, expected in casts:
            assert await done(s.query(cast(model.value, kind)).scalar()) == expected
            assert await done(s.query(model).where(cast(model.value, kind) == expected).count()) == 1


@scenario
async def test_calculations_give_what_python_gives(db: Database) -> None:
    """The types of the results are those that the checkers are told."""
    number, real, span, day, moment = map(model_of, ("int", "float", "interval", "date", "moment"))
    hour, half = timedelta(hours=1), timedelta(minutes=30)
    first, at = date(2020, 1, 2), datetime(2020, 1, 2, 23, 4, 5, 6, tzinfo=UTC)
    calculations: list[tuple[Any, Any]] = [
        (number.value * 1.5, 7.5),
        (1.5 - number.value, -3.5),
        (number.value / 2, 2.5),
        (number.value / 2.5, 2.0),
        (number.value % 3, 2),
        (number.value * Decimal("0.5"), Decimal("2.5")),
        (real.value * 2, 0.5),
        (2 + real.value, 2.25),
        (span.value / 2, half),
        (span.value * 1.5, hour + half),
        (span.value / half, 2.0),
        (span.value / span.other, 1.0),
        (half - span.value, -half),
    ]
    if db.has("native_interval"):
        calculations += [
            (day.value - day.other, timedelta(0)),
            (day.value - date(2020, 1, 1), timedelta(days=1)),
            (date(2020, 1, 1) - day.value, timedelta(days=-1)),
            (day.value + timedelta(days=1), date(2020, 1, 3)),
            (moment.value - moment.other, timedelta(0)),
            (moment.value - timedelta(days=1), at - timedelta(days=1)),
        ]
    async with db.session() as s:
        given = ((number, 5), (real, 0.25), (span, hour), (day, first), (moment, at))
        await s.add_all([model(value=value, other=value) for model, value in given])
        await s.flush()
        for expression, expected in calculations:
            found = await done(s.query(expression).scalar())
            assert same(found, expected), (expression, found)
