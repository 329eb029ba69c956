"""Parameters on PostgreSQL mean the same through both drivers, in raw SQL, templates and expressions."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from blaze import (
    AsyncSession,
    DatabaseError,
    DataError,
    Engine,
    Field,
    Model,
    Session,
    SQLSyntaxError,
    case,
    create_all,
    drop_all,
    field,
    func,
    literal,
    sql,
)
from tests.support.loops import run as run_alone

MOMENT = dt.datetime(2024, 1, 2, tzinfo=dt.timezone.utc)
KEY = uuid.UUID(int=5)


class Measure(Model):
    id: Field[int] = field(primary_key=True)
    n: Field[int] = field(default=5)
    f: Field[float] = field(default=2.5)
    d: Field[Decimal] = field(precision=10, scale=2, default=Decimal("2.55"))
    t: Field[str] = field(max_length=20, default="abc")
    key: Field[uuid.UUID] = field(default=KEY)
    at: Field[dt.datetime] = field(default=MOMENT)
    words: Field[list[str]] = field(default_factory=lambda: ["a"])

    class Meta:
        table = "measured"


async def done(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


@pytest.fixture(scope="module")
def tables(postgres: str) -> Iterator[None]:
    with Engine(postgres) as engine:
        create_all(engine, [Measure])
        with Session(engine, auto_commit=True) as session:
            session.add(Measure())
        yield
        drop_all(engine, [Measure])


@pytest.fixture(params=["psycopg2", "asyncpg"])
def play(request: pytest.FixtureRequest, postgres: str, tables: None) -> Callable[[Any], Any]:
    """Run a coroutine function with a session of either kind."""

    async def inside(case: Any) -> Any:
        kind: Any = AsyncSession if request.param == "asyncpg" else Session
        session = kind(postgres)
        try:
            return await case(session)
        finally:
            await done(session.rollback())
            await done(session.close())
            await done(session.engine.adispose())

    return lambda case: run_alone(inside(case))


RAW: list[tuple[str, list[Any], Any]] = [
    ("SELECT count(*) FROM measured WHERE n < ?", [5.5], 1),
    ("SELECT count(*) FROM measured WHERE n = ?", [5.9], 0),
    ("SELECT count(*) FROM measured WHERE n < ?", [Decimal("5.5")], 1),
    ("SELECT count(*) FROM measured WHERE n IN (?, ?)", [6.5, 5], 1),
    ("SELECT n + ? FROM measured", [1.5], 6.5),
    ("SELECT n + ? FROM measured", [Decimal("1.5")], Decimal("6.5")),
    ("SELECT d * ? FROM measured", [2], Decimal("5.10")),
    ("UPDATE measured SET n = ? RETURNING n", [7.9], 8),
    ("UPDATE measured SET n = ? RETURNING n", [Decimal("7.9")], 8),
    ("UPDATE measured SET t = ? RETURNING t", [7], "7"),
    ("SELECT ? / 2", [5], 2),
    ("SELECT ? / 2", [5.0], 2.5),
    ("SELECT ? / 2", [Decimal(5)], Decimal("2.5")),
    ("SELECT ?", [2**70], Decimal(2**70)),
    ("SELECT ?", [Decimal(5)], Decimal(5)),
    ("SELECT ?", [MOMENT], MOMENT),
    ("SELECT ?", [MOMENT.replace(tzinfo=None)], MOMENT.replace(tzinfo=None)),
    ("SELECT ?", [MOMENT.date()], MOMENT.date()),
    ("SELECT ?", [dt.time(1, 2)], dt.time(1, 2)),
    ("SELECT ?", [dt.timedelta(1)], dt.timedelta(1)),
    ("SELECT ?", [b"x"], b"x"),
    ("SELECT ?", [[b"x", None]], [b"x", None]),
    ("SELECT ?", [[1, 2**40]], [1, 2**40]),
    ("SELECT ?", [[1, 2.5]], [1.0, 2.5]),
    ("SELECT ?", [[Decimal(1)]], [Decimal(1)]),
    ("SELECT ?", [["a", None]], ["a", None]),
    ("SELECT ?", [[[1], [2]]], [[1], [2]]),
    ("SELECT CAST(? AS TEXT)", [KEY], str(KEY)),
    ("SELECT count(*) FROM measured WHERE key = ?", [KEY], 1),
    ("SELECT count(*) FROM measured WHERE key = ANY(?)", [[KEY]], 1),
    ("SELECT count(*) FROM measured WHERE t = ANY(?)", [[]], 0),
    ("SELECT x FROM unnest(?) AS x", [[3]], 3),
    ("SELECT (?)[2]", [[3, 4]], 4),
    ("SELECT concat(?, t) FROM measured", [1], "1abc"),
    ("SELECT at + ? = ? FROM measured", [dt.timedelta(1), MOMENT + dt.timedelta(1)], True),
    ("SELECT DATE '2024-01-01' + ?", [2], dt.date(2024, 1, 3)),
    ("SELECT left(t, ?) FROM measured", [2], "ab"),
    ("SELECT round(d, ?) FROM measured", [1], Decimal("2.6")),
    ("SELECT substring(t FROM ? FOR ?) FROM measured", [2, 1], "b"),
    ("SELECT t FROM measured ORDER BY n FETCH FIRST ? ROWS ONLY", [1], "abc"),
    # A text may stand for a value of any type, which the server reads.
    ("SELECT count(*) FROM measured WHERE n = ?", ["5"], 1),
    ("SELECT count(*) FROM measured WHERE n < ? AND f > ?", ["6", "1.5"], 1),
    ("SELECT count(*) FROM measured WHERE at = ? AND t <> '$1'", ["2024-01-02T00:00:00Z"], 1),
    ("SELECT count(*) FROM measured WHERE key = ? AND at > ?", [str(KEY), "2020-01-01"], 1),
    ("SELECT CAST(? AS DATE)", ["2024-01-02"], MOMENT.date()),
    ("SELECT CAST(? AS INTERVAL)", ["1 day"], dt.timedelta(1)),
    ("SELECT n + ? FROM measured", ["5"], 10),
    ("SELECT words FROM measured LIMIT ? OFFSET ?", [1, 0], ["a"]),
]


@pytest.mark.parametrize("number", range(len(RAW)))
def test_raw_sql(play: Callable[[Any], Any], number: int) -> None:
    text, params, expected = RAW[number]

    async def case(s: Any) -> None:
        found = await done(s.exec_scalar(text, params))
        assert found == expected
        assert type(found) is type(expected)

    play(case)


@pytest.mark.parametrize("value", [True, 1, 1.5, Decimal("1.5"), MOMENT])
def test_what_means_nothing_is_refused(play: Callable[[Any], Any], value: Any) -> None:
    async def case(s: Any) -> None:
        with pytest.raises(SQLSyntaxError, match="operator does not exist"):
            await done(s.execute("SELECT count(*) FROM measured WHERE t = ?", [value]))

    play(case)


EXPRESSIONS: list[tuple[Any, Any]] = [
    (func.left(Measure.t, 2), "ab"),
    (func.right(Measure.t, literal(2)), "bc"),
    (func.repeat(Measure.t, 2), "abcabc"),
    (func.lpad(Measure.t, 5, "x"), "xxabc"),
    (func.substring(Measure.t, 1, 2), "ab"),
    (func.split_part(Measure.t, "b", 2), "c"),
    (func.round(Measure.d, 1), Decimal("2.6")),
    (func.trunc(Measure.d, 1), Decimal("2.5")),
    (func.round(Measure.f, 1), 2.5),
    (func.array_length(Measure.words, 1), 1),
    (func.width_bucket(Measure.d, 0, 10, 5), 2),
    (func.nth_value(Measure.t, 1).over(order_by=Measure.id), "abc"),
    (func.coalesce(Measure.n, 2**40), 5),
    (func.to_hex(Measure.n + 2**40), "10000000005"),
    (func.concat(Measure.t, 2**40), "abc1099511627776"),
    (sql("left({t}, {n})", t=Measure.t, n=2, type=str), "ab"),
    (sql("{n} + {x}", n=Measure.n, x=2**40, type=int), 2**40 + 5),
    (Measure.n * 1.5, 7.5),
    (Measure.n + 1.5, 6.5),
    (Measure.n / Decimal(2), Decimal("2.5")),
    (Measure.d / Decimal(1), Decimal("2.55")),
    (func.round(Measure.n * -0.5), -2.0),
    (case((Measure.n > 9, 1.5), else_=2.5), 2.5),
    (case((Measure.n > 9, Decimal(1)), else_=Decimal(2)), Decimal(2)),
]


@pytest.mark.parametrize("number", range(len(EXPRESSIONS)))
def test_expressions(play: Callable[[Any], Any], number: int) -> None:
    expression, expected = EXPRESSIONS[number]

    async def case(s: Any) -> None:
        found = await done(s.query(Measure.id.label("id"), expression.label("x")).one())
        assert found.x == expected
        assert type(found.x) is type(expected)

    play(case)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SELECT count(*) FROM measured WHERE n = ?", "4111-secret"),
        ("SELECT count(*) FROM measured WHERE key = ?", "4111-secret"),
        ("SELECT count(*) FROM measured WHERE at < ?", "4111-secret"),
        ("SELECT CAST(? AS INET)", "4111-secret"),
        ("SELECT CAST(? AS INTEGER[])", ["4111-secret"]),
    ],
)
def test_no_message_holds_a_value(
    play: Callable[[Any], Any], caplog: pytest.LogCaptureFixture, text: str, value: Any
) -> None:
    async def case(s: Any) -> None:
        with pytest.raises(DataError) as caught:
            await done(s.execute(text, [value]))
        assert "4111" not in str(caught.value)
        assert "4111" not in repr(caught.value)
        assert "4111" not in caplog.text

    play(case)


@pytest.mark.parametrize("code", ["01000", "01004", "02000", "02001", "P0002", "99XYZ"])
def test_codes_that_functions_raise(play: Callable[[Any], Any], code: str) -> None:
    async def case(s: Any) -> None:
        with pytest.raises(DatabaseError, match="no such account") as caught:
            await done(
                s.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no such account' USING ERRCODE = '{code}'; END $$")
            )
        assert caught.value.code == code
        await done(s.rollback())
        assert await done(s.query(Measure).count()) == 1

    play(case)
