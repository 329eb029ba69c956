"""Values at the edges of PostgreSQL's types: the ends of time, what no type holds, names that are cut."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, Callable, Optional
from uuid import UUID

import pytest

from blaze import (
    AsyncSession,
    DataError,
    Engine,
    Field,
    Insert,
    Model,
    QueryError,
    Session,
    SQLSyntaxError,
    Update,
    create_all,
    drop_all,
    field,
    sql,
)
from blaze_postgres import Range
from tests.support.loops import run as run_alone

UTC = dt.timezone.utc
ENDS = [
    (dt.datetime.max.replace(tzinfo=UTC), dt.datetime.max, dt.date.max, "infinity"),
    (dt.datetime.min.replace(tzinfo=UTC), dt.datetime.min, dt.date.min, "-infinity"),
]


class Moment(Model):
    id: Field[int] = field(primary_key=True)
    at: Field[Optional[dt.datetime]] = field(default=None)
    naive: Field[Optional[dt.datetime]] = field(default=None, timezone=False)
    day: Field[Optional[dt.date]] = field(default=None)
    all: Field[list[dt.date]] = field(default_factory=list)
    note: Field[Optional[str]] = field(default=None)

    class Meta:
        table = "moment_at_the_edge"


async def done(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


@pytest.fixture
def tables(postgres: str) -> Iterator[None]:
    with Engine(postgres) as engine:
        create_all(engine, [Moment])
        yield
        drop_all(engine, [Moment])


@pytest.fixture(params=["psycopg2", "asyncpg"])
def play(request: pytest.FixtureRequest, postgres: str, tables: None) -> Callable[[Any], Any]:
    """Run a coroutine function with a session of either kind."""

    def run(case: Any) -> Any:
        async def inside() -> Any:
            if request.param == "psycopg2":
                with Session(postgres) as session:
                    found = await case(session)
                    session.rollback()
                    return found
            async with AsyncSession(postgres) as session:
                found = await case(session)
                await session.rollback()
                return found

        return run_alone(inside())

    return run


@pytest.mark.parametrize(("at", "naive", "day", "stored"), ENDS)
def test_the_ends_of_time_are_infinity(
    play: Callable[[Any], Any], at: dt.datetime, naive: dt.datetime, day: dt.date, stored: str
) -> None:
    """Both drivers read infinity as the last moment, so both write it so, in every way of writing."""

    async def case(s: Any) -> None:
        def moments(count: int) -> list[Moment]:
            return [Moment(at=at, naive=naive, day=day, all=[day, dt.date(2026, 1, 1)]) for _ in range(count)]

        s.add_all(moments(3))
        await done(s.flush())
        await done(s.bulk_insert(moments(120)))
        s.add(Moment())
        await done(s.flush())
        for moment in await done(s.query(Moment).where(Moment.at.is_(None)).all()):
            moment.at, moment.naive, moment.day = at, naive, day
        await done(s.flush())
        found = await done(
            s.execute("SELECT DISTINCT at::text, naive::text, day::text FROM moment_at_the_edge")
        )
        assert found.all() == [(stored, stored, stored)]
        query = s.query(Moment).where(Moment.at == at, Moment.naive == naive, Moment.day.in_([day]))
        rows = await done(query.all())
        assert len(rows) == 124
        assert {(row.at, row.naive, row.day) for row in rows} == {(at, naive, day)}
        assert all(row.all in ([], [day, dt.date(2026, 1, 1)]) for row in rows)

    play(case)


@pytest.mark.parametrize("column", ["at", "naive", "day"])
@pytest.mark.parametrize("value", ["0099-01-01 BC", "20000-01-01"])
def test_dates_that_python_has_not(play: Callable[[Any], Any], column: str, value: str) -> None:
    async def case(s: Any) -> None:
        await done(
            s.execute(f"INSERT INTO moment_at_the_edge ({column}, \"all\") VALUES ('{value}', '{{}}')")
        )
        with pytest.raises(DataError):
            await done(s.query(getattr(Moment, column)).all())
        await done(s.rollback())
        assert await done(s.exec_scalar("SELECT count(*) FROM moment_at_the_edge")) == 0

    play(case)


READ: list[tuple[str, Any]] = [
    ("?::uuid", UUID(int=5)),
    ("ARRAY[?::uuid, NULL]", [UUID(int=5), None]),
    ("'1.2.3.4/24'::inet", ip_interface("1.2.3.4/24")),
    ("'1.2.3.4/32'::inet", ip_address("1.2.3.4")),
    ("ARRAY['::1'::inet, NULL]", [ip_address("::1"), None]),
    ("'10.0.0.0/8'::cidr", ip_network("10.0.0.0/8")),
    ("ARRAY['10.0.0.0/8'::cidr]", [ip_network("10.0.0.0/8")]),
    ("'[1,5)'::int4range", Range(1, 5)),
    ("'(,5)'::int8range", Range(None, 5)),
    ("'[1.5,2]'::numrange", Range(Decimal("1.5"), Decimal(2), "[]")),
    ("'empty'::daterange", Range.nothing()),
    ("'[2026-01-01,)'::tsrange", Range(dt.datetime(2026, 1, 1), None)),
    ("'[2026-01-01,)'::tstzrange", Range(dt.datetime(2026, 1, 1, tzinfo=UTC), None)),
    ("ARRAY['[1,5)'::int4range]", [Range(1, 5)]),
    ("ARRAY['01:02'::time, NULL]", [dt.time(1, 2), None]),
    ("'01:02:03.5'::time", dt.time(1, 2, 3, 500_000)),
    ("'01:02:03+05:30'::timetz", dt.time(1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))),
    ("'{\"a\": 1}'::jsonb", '{"a": 1}'),
    ("NULL::uuid", None),
]


@pytest.mark.parametrize(("text", "value"), READ, ids=[each[0] for each in READ])
def test_raw_sql_gives_the_same_through_both_drivers(
    play: Callable[[Any], Any], text: str, value: Any
) -> None:
    async def case(s: Any) -> None:
        found = await done(s.execute(f"SELECT 1, {text}", [UUID(int=5)] if "?" in text else None))
        rows = await done(found.all())
        assert rows == [(1, value)]
        assert type(rows[0][1]) is type(value)
        if isinstance(value, list):
            assert [type(item) for item in rows[0][1]] == [type(item) for item in value]

    play(case)


@pytest.mark.parametrize("text", ["'24:00'::time", "'24:00'::timetz", "ARRAY['24:00'::time]"])
def test_the_end_of_the_day_is_not_its_start(play: Callable[[Any], Any], text: str) -> None:
    async def case(s: Any) -> None:
        with pytest.raises(DataError, match="the driver cannot send or read a value"):
            await done(s.execute(f"SELECT {text}"))

    play(case)


BAD: list[tuple[str, Any, Any]] = [
    ("a text with NUL", lambda s: s.execute("SELECT ?", ["a\0"]), DataError),
    ("a statement with NUL", lambda s: s.execute("SELECT 'a\0'"), SQLSyntaxError),
    ("half a pair in a value", lambda s: s.execute("SELECT ?", ["\ud800"]), DataError),
    ("half a pair in a statement", lambda s: s.execute("SELECT '\ud800'"), DataError),
    ("bytes that are no text", lambda s: s.execute("SELECT convert_from(?, 'UTF8')", [b"\xff"]), DataError),
    ("an int of 65 bits", lambda s: s.execute("SELECT CAST(? AS BIGINT)", [2**64]), DataError),
    ("an alias of 64", lambda s: s.execute(f'SELECT 1 AS "{"x" * 64}"'), QueryError),
    ("a table of 64", lambda s: s.execute(f"CREATE TABLE {'x' * 64} (id int)"), QueryError),
    ("a table of 64 bytes", lambda s: s.execute(f'CREATE TABLE "{"é" * 32}" (id int)'), QueryError),
    ("a name of 64 in a template", lambda s: s.execute(sql(f"SELECT 1 AS {'x' * 64}")), QueryError),
]


@pytest.mark.requirement("R45")
@pytest.mark.parametrize(("what", "bad", "error"), BAD, ids=[each[0] for each in BAD])
def test_bad_input(play: Callable[[Any], Any], what: str, bad: Any, error: Any) -> None:
    async def case(s: Any) -> None:
        s.add(Moment(day=dt.date(2026, 1, 1)))
        await done(s.commit())
        with pytest.raises(error) as caught:
            await done(bad(s))
        assert type(caught.value) in (error, SQLSyntaxError)
        await done(s.rollback())
        assert await done(s.query(Moment).count()) == 1

    play(case)


async def flush(s: Any, moments: list[Moment]) -> None:
    s.add_all(moments)
    await done(s.flush())


WAYS: dict[str, Callable[[Any, list[Moment]], Any]] = {
    "flush": flush,
    "bulk_insert": lambda s, moments: s.bulk_insert(moments),
    "Insert": lambda s, moments: s.exec(Insert(Moment).values([{"note": each.note} for each in moments])),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_no_column_holds_is_told_by_its_field(play: Callable[[Any], Any], way: str) -> None:
    async def case(s: Any) -> None:
        moments = [Moment(note="fine"), Moment(note="a\0b")]
        with pytest.raises(DataError, match=r"^Moment\.note: .*PostgreSQL cannot hold") as caught:
            await done(WAYS[way](s, moments))
        assert caught.value.columns == ("note",)

    play(case)


def test_a_value_that_no_column_holds_is_told_by_its_statement(play: Callable[[Any], Any]) -> None:
    async def case(s: Any) -> None:
        for attempt in (
            lambda: s.exec(Update(Moment).set(note="a\0b").where(Moment.day.is_(None))),
            lambda: s.query(Moment).where(Moment.note == "a\0b").all(),
        ):
            with pytest.raises(DataError, match="cannot hold the character NUL") as caught:
                await done(attempt())
            assert "moment_at_the_edge" in str(caught.value)
            assert "moment_at_the_edge" in (caught.value.statement or "")

    play(case)


def test_long_texts_are_no_names(play: Callable[[Any], Any]) -> None:
    async def case(s: Any) -> None:
        text = f"SELECT '{'x' * 100}' /* {'y' * 100} */ AS \"{'é' * 31}\" -- {'z' * 100}"
        assert await done(s.exec_scalar(text)) == "x" * 100

    play(case)
