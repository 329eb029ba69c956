"""Every type comes back from SQLite exactly as it went in, and sorts, compares and sums exactly."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import random
import sys
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from blaze.adapters import ConnectionConfig
from blaze.dialects import types as t
from blaze.errors import DataError
from blaze_sqlite import SQLiteAdapter, SQLiteDialect
from blaze_sqlite.connection import SQLiteConnection

UTC = dt.timezone.utc
DIALECT = SQLiteDialect()


class Color(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 2


class Mixed(enum.Enum):
    A = (1, 2)


VALUES: list[tuple[t.SQLType, list[Any]]] = [
    (t.Boolean(), [True, False]),
    (t.Integer(), [0, -(2**63), 2**63 - 1]),
    (t.Float(), [0.1, 1e308, 5e-324, float("inf"), -0.0, 3.0]),
    (
        t.Numeric(),
        [Decimal("0.1"), Decimal("-12345678901234567890.123456789"), Decimal("1E+20"), Decimal("0")],
    ),
    (t.Numeric(10, 2), [Decimal("12345678.91"), Decimal("-0.05"), Decimal("-12345678.91"), Decimal("7")]),
    (t.String(), ["", "ä\x00b", "🦄", "it's", "%_\\", "123"]),
    (t.Binary(), [b"", b"\x00\xff"]),
    (t.Date(), [dt.date.min, dt.date.max]),
    (t.Time(), [dt.time(0), dt.time(23, 59, 59, 999999)]),
    (
        t.DateTime(),
        [dt.datetime(1, 1, 1, tzinfo=UTC), dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)],
    ),
    (t.DateTime(timezone=False), [dt.datetime.min, dt.datetime.max]),
    (t.Interval(), [dt.timedelta(0), dt.timedelta(days=-1, microseconds=1), dt.timedelta(days=100_000_000)]),
    (t.Uuid(), [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)]),
    (t.Json(), [{"a": [1, 2.5, None, True, {"ä": "🦄"}]}, [], {}, [10**30]]),
    (t.Array(t.Integer()), [[], [1, None, 2]]),
    (t.Array(t.Numeric()), [[Decimal("1.10"), None]]),
    (t.Array(t.Binary()), [[b"\x00\xff"]]),
    (t.Array(t.DateTime()), [[dt.datetime(2024, 1, 1, tzinfo=UTC)]]),
    (t.Enum(Color), [Color.RED]),
    (t.Enum(Level), [Level.HIGH]),
    (t.Enum(Mixed), [Mixed.A]),
]


@pytest.fixture
def connection() -> Iterator[SQLiteConnection]:
    connection = SQLiteAdapter().connect(ConnectionConfig("sqlite"))
    yield connection
    connection.close()


def encode(type_: t.SQLType, value: Any) -> Any:
    encoder = DIALECT.encoder(type_)
    return value if encoder is None or value is None else encoder(value)


def decode(type_: t.SQLType, value: Any) -> Any:
    decoder = DIALECT.decoder(type_)
    return value if decoder is None or value is None else decoder(value)


@pytest.mark.parametrize(("type_", "values"), VALUES, ids=lambda value: repr(value)[:30])
def test_round_trip(connection: SQLiteConnection, type_: t.SQLType, values: list[Any]) -> None:
    connection.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {DIALECT.type_ddl(type_)})")
    for value in [*values, None]:
        connection.execute("INSERT INTO t (v) VALUES (?)", (encode(type_, value),))
    rows = connection.execute("SELECT v FROM t ORDER BY id", (), list)
    read = [decode(type_, row[0]) for row in rows]
    assert read == [*values, None]
    assert [type(value) for value in read[:-1]] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (t.Float(), float("nan")),
        (t.Numeric(), Decimal("NaN")),
        (t.Numeric(), Decimal("Infinity")),
        (t.Numeric(), 1.5),
        (t.Numeric(5, 2), Decimal("1.234")),
        (t.Numeric(5, 2), Decimal("1000")),
        (t.Numeric(5, 2), Decimal("1E+3")),
        (t.DateTime(), dt.datetime(2024, 1, 1)),
        (t.DateTime(timezone=False), dt.datetime(2024, 1, 1, tzinfo=UTC)),
        (t.Date(), dt.datetime(2024, 1, 1)),
        (t.Time(), dt.time(1, tzinfo=UTC)),
        (t.Json(), {"a": Decimal(1)}),
        (t.Json(), {"a": dt.date(2024, 1, 1)}),
        (t.Json(), {1: 1}),
        (t.Array(t.Float()), [float("inf")]),
    ],
    ids=repr,
)
def test_what_does_not_fit_is_refused_never_rounded(type_: t.SQLType, value: Any) -> None:
    with pytest.raises(DataError, match="does not fit"):
        encode(type_, value)


def test_zeros_and_signs_do_not_count_as_digits() -> None:
    for text in ("0.5000", "-12.30", "-0.99"):
        assert Decimal(encode(t.Numeric(4, 2), Decimal(text))) == Decimal(text)
    assert encode(t.Numeric(2, 2), Decimal("-0.99")) == "-0.99"
    assert encode(t.Numeric(), Decimal("1E+5")) == "100000"
    assert encode(t.Numeric(5, 2), 7) == "7"


def test_moments_are_stored_in_utc_and_sort_as_text(connection: SQLiteConnection) -> None:
    rng = random.Random(1)
    moments = [
        dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=rng.randint(-12, 12))))
        + dt.timedelta(microseconds=rng.randint(0, 10**11))
        for _ in range(200)
    ]
    texts = [encode(t.DateTime(), moment) for moment in moments]
    assert {len(text) for text in texts} == {32}
    assert [decode(t.DateTime(), text) for text in sorted(texts)] == sorted(moments)
    now = connection.execute(f"SELECT {DIALECT.current_timestamp(t.DateTime())}").rows[0][0]
    assert abs(decode(t.DateTime(), now) - dt.datetime.now(UTC)) < dt.timedelta(seconds=5)
    naive = connection.execute(f"SELECT {DIALECT.current_timestamp(t.DateTime(timezone=False))}").rows[0][0]
    assert decode(t.DateTime(timezone=False), naive).tzinfo is None


def test_decimals_of_foreign_tables_are_read_as_they_print() -> None:
    assert decode(t.Numeric(10, 2), 0.99) == Decimal("0.99")
    assert decode(t.Numeric(10, 2), 3) == Decimal(3)


def test_decimals_sort_compare_and_sum_exactly(connection: SQLiteConnection) -> None:
    type_ = t.Numeric()
    connection.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {DIALECT.type_ddl(type_)})")
    rng = random.Random(2)
    values = [Decimal(rng.randint(-(10**25), 10**25)).scaleb(-rng.randint(0, 20)) for _ in range(300)]
    values += [Decimal("0.1"), Decimal("0.2"), Decimal("-10"), Decimal("9"), Decimal("10")]
    connection.execute_many("INSERT INTO t (v) VALUES (?)", [(encode(type_, value),) for value in values])
    read = [Decimal(row[0]) for row in connection.execute("SELECT v FROM t ORDER BY v", (), list)]
    assert read == sorted(values)
    bound = "9.9999999999999999999"
    found = connection.execute("SELECT count(*) FROM t WHERE v > ?", (bound,)).rows[0][0]
    assert found == sum(value > Decimal(bound) for value in values)
    total, low, high = connection.execute("SELECT decimal_sum(v), min(v), max(v) FROM t").rows[0]
    with decimal.localcontext() as context:
        context.prec = 100
        exact = sum(values, Decimal(0))
    assert Decimal(total) == exact
    assert (Decimal(low), Decimal(high)) == (min(values), max(values))
    assert connection.execute("SELECT count(*) FROM t WHERE v = '10.000'").rows == [(1,)]


@pytest.mark.parametrize(
    ("sql", "result"),
    [
        ("decimal_add('0.1', '0.2')", "0.3"),
        ("decimal_sub('1', '0.9')", "0.1"),
        ("decimal_mul('99999999999999999999', '1.1')", "109999999999999999998.9"),
        ("decimal_div('1', '3')", "0.3333333333333333333333333333"),
        ("decimal_div('1', '0')", None),
        ("decimal_mod('7.5', '2')", "1.5"),
        ("decimal_cmp('1.0', '1.00')", 0),
        ("decimal_neg('1.5')", "-1.5"),
        ("decimal_abs('-1.5')", "1.5"),
        ("decimal_round('2.345', 2)", "2.35"),
        ("decimal_round('2.5')", "3"),
        ("decimal_add(NULL, '1')", None),
        ("decimal_sum(NULL)", None),
        ("decimal_avg('2.5')", "2.5"),
        ("blaze_lower('ÄÖ🦄X')", "äö🦄x"),
        ("blaze_upper('äß')", "ÄSS"),
        ("blaze_lower(NULL)", None),
        ("'hello' REGEXP '^h.*o$'", 1),
    ],
)
def test_functions(connection: SQLiteConnection, sql: str, result: Any) -> None:
    assert connection.execute(f"SELECT {sql}").rows == [(result,)]


if sys.version_info >= (3, 11):  # Python offers window functions from then on

    def test_decimal_sum_over_a_moving_window(connection: SQLiteConnection) -> None:
        rows = connection.execute(
            "WITH v(n, x) AS (VALUES (1, '0.1'), (2, '0.2'), (3, NULL), (4, '0.4'))"
            " SELECT decimal_sum(x) OVER (ORDER BY n ROWS 1 PRECEDING) FROM v"
        ).rows
        assert [row[0] for row in rows] == ["0.1", "0.3", "0.2", "0.4"]


def test_texts_that_are_no_numbers_sort_last_instead_of_failing(connection: SQLiteConnection) -> None:
    rows = connection.execute(
        "WITH v(x) AS (VALUES ('b'), ('10'), ('a'), ('9')) SELECT x FROM v ORDER BY x COLLATE decimal"
    ).rows
    assert [row[0] for row in rows] == ["9", "10", "a", "b"]


def test_declared_types_keep_their_affinity(connection: SQLiteConnection) -> None:
    for type_, stored in [
        (t.Json(), "1"),
        (t.Numeric(20, 10), "1.10"),
        (t.Uuid(), "12345678"),
        (t.String(5), "00123"),
        (t.DateTime(), "2024"),
        (t.Date(), "2024"),
    ]:
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute(f"CREATE TABLE t (v {DIALECT.type_ddl(type_)})")
        connection.execute("INSERT INTO t VALUES (?)", (stored,))
        assert connection.execute("SELECT v, typeof(v) FROM t").rows == [(stored, "text")]
