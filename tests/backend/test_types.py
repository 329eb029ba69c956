"""What fits into the portable types, and what a dialect says about them."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

import pytest

from blaze.dialects import Dialect
from blaze.dialects import types as t
from blaze.errors import CapabilityError, ConfigurationError, DataError, QueryError
from blaze_sqlite import SQLiteDialect

UTC = dt.timezone.utc


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    A = 1
    B = "b"


class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2


FITS: list[tuple[t.SQLType, Any]] = [
    (t.Boolean(), True),
    (t.Integer(), 2**63 - 1),
    (t.Integer(), -(2**63)),
    (t.Integer(), True),
    (t.Float(), 1.5),
    (t.Float(), 3),
    (t.Float(), float("inf")),
    (t.Numeric(10, 2), Decimal("12345678.90")),
    (t.Numeric(10, 2), Decimal("-0.5")),
    (t.Numeric(10, 2), Decimal("1.5000")),
    (t.Numeric(2, 2), Decimal("0.99")),
    (t.Numeric(4, 0), 9999),
    (t.Numeric(), Decimal("1E-50")),
    (t.String(3), "äöü"),
    (t.String(), "x" * 100_000),
    (t.Binary(), b"\x00\xff"),
    (t.Date(), dt.date(2024, 2, 29)),
    (t.Time(), dt.time(23, 59, 59, 999999)),
    (t.DateTime(), dt.datetime(2024, 1, 1, tzinfo=UTC)),
    (t.DateTime(timezone=False), dt.datetime(2024, 1, 1)),
    (t.Interval(), dt.timedelta(days=-3, microseconds=1)),
    (t.Uuid(), uuid.UUID(int=7)),
    (t.Json(), {"a": [1, 1.5, None, True, {"b": "ä"}]}),
    (t.Json(), []),
    (t.Array(t.Integer()), [1, None, 2]),
    (t.Enum(Color), Color.RED),
    (t.Enum(Level), Level.HIGH),
    (t.Enum(Mixed), Mixed.B),
    (t.Enum(Rights), Rights.READ | Rights.WRITE),
]
REFUSED: list[tuple[t.SQLType, Any, str]] = [
    (t.Boolean(), 1, "not a bool"),
    (t.Integer(), 2**63, "does not fit into 64 bits"),
    (t.Integer(), "1", "is a str, not a int"),
    (t.Float(), float("nan"), "NaN"),
    (t.Float(), 2**53 + 1, "exactly"),
    (t.Float(), 10**400, "exactly"),
    (t.Numeric(10, 2), Decimal("1.234"), "more than 2 digits after"),
    (t.Numeric(10, 2), Decimal("123456789"), "more than 8 digits before"),
    (t.Numeric(10, 2), Decimal("1E+9"), "more than 8 digits before"),
    (t.Numeric(), Decimal("NaN"), "finite"),
    (t.Numeric(), Decimal("Infinity"), "finite"),
    (t.Numeric(), 1.5, "is a float, not a Decimal"),
    (t.String(3), "abcd", "has 4 characters, more than 3"),
    (t.String(), "\ud800", "surrogate"),
    (t.String(), b"x", "is a bytes"),
    (t.Date(), dt.datetime(2024, 1, 1), r"use \.date"),
    (t.Time(), dt.time(1, tzinfo=UTC), "time zone"),
    (t.DateTime(), dt.datetime(2024, 1, 1), "naive; give it a time zone"),
    (t.DateTime(timezone=False), dt.datetime(2024, 1, 1, tzinfo=UTC), "timezone=False"),
    (t.DateTime(), dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5))), "years 1 to 9999"),
    (t.Interval(), dt.timedelta.max, "64 bits of microseconds"),
    (t.Json(), {"a": [Decimal(1)]}, r"at a\[0\] is a Decimal"),
    (t.Json(), {1: 2}, "JSON keys are str"),
    (t.Json(), {"a": float("inf")}, "JSON can hold"),
    (t.Json(), {"a": (1, 2)}, "is a tuple"),
    (t.Array(t.Integer()), [1, "x"], "item 1"),
    (t.Enum(Color), "red", "not a Color"),
]


@pytest.mark.parametrize(("type_", "value"), FITS, ids=repr)
def test_what_fits(type_: t.SQLType, value: Any) -> None:
    assert type_.check(value) is None
    assert isinstance(value, type_.accepts)


@pytest.mark.parametrize(("type_", "value", "message"), REFUSED, ids=lambda value: repr(value)[:40])
def test_what_does_not_fit_says_why(type_: t.SQLType, value: Any, message: str) -> None:
    problem = type_.check(value)
    assert problem is not None
    with pytest.raises(ValueError, match=message):
        raise ValueError(problem)


def test_types_are_values() -> None:
    assert t.Numeric(10, 2) == t.Numeric(10, 2)
    assert hash(t.Enum(Color)) == hash(t.Enum(Color))
    assert t.Array(t.Integer()) != t.Array(t.String())
    assert t.Enum(Color).storage == t.String(4)
    assert t.Enum(Level).storage == t.Integer()
    assert t.Enum(Mixed).stored_values == ("A", "B")
    assert t.Enum(Level).python_type is Level
    with pytest.raises(TypeError, match="no members"):
        t.Enum(enum.Enum("Empty", []))


@pytest.mark.requirement("R82")
def test_quoting_lets_a_name_be_nothing_but_a_name() -> None:
    dialect = Dialect()
    assert dialect.quote("book") == '"book"'
    assert dialect.quote('a"; DROP TABLE x; --') == '"a""; DROP TABLE x; --"'
    assert dialect.quote("book") is dialect.quote("book")
    for bad in ("", "a\x00b", None, 1):
        with pytest.raises(QueryError, match="cannot be the name"):
            dialect.quote(bad)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="longer than"):
        dialect.quote("x" * 200)


@pytest.mark.requirement("R82")
def test_placeholders_and_paging() -> None:
    class Format(Dialect):
        paramstyle = "format"

    class Dollars(Dialect):
        paramstyle = "numeric"

    assert [kind().placeholder(2) for kind in (Dialect, Format, Dollars)] == ["?", "%s", "$2"]
    assert Dialect().limit_offset("1", "2") == " LIMIT 1 OFFSET 2"
    assert Dialect().limit_offset(None, "2") == " OFFSET 2"
    assert SQLiteDialect().limit_offset(None, "2") == " LIMIT -1 OFFSET 2"
    assert Dialect().limit_offset(None, None) == ""


@pytest.mark.requirement("R8", "R82")
def test_what_a_dialect_lacks_is_a_capability_error() -> None:
    with pytest.raises(CapabilityError, match="sqlite has no FOR UPDATE"):
        SQLiteDialect().require("for_update", "FOR UPDATE")
    SQLiteDialect().require("savepoints", "savepoints")
    old = SQLiteDialect(version=(3, 31, 0))
    assert not old.features.returning
    assert old.features.max_bind_params == 999


def test_isolation_levels_are_spelled_in_one_way() -> None:
    assert Dialect().isolation("read_committed") == "READ COMMITTED"
    assert SQLiteDialect().isolation("immediate") == "IMMEDIATE"
    with pytest.raises(ConfigurationError, match="did you mean 'SERIALIZABLE'"):
        Dialect().isolation("serialisable")


@pytest.mark.parametrize(
    ("value", "type_", "literal"),
    [
        (None, t.String(), "NULL"),
        ("it's", t.String(), "'it''s'"),
        (True, t.Boolean(), "1"),
        (5, t.Integer(), "5"),
        (1.5, t.Float(), "1.5"),
        (float("-inf"), t.Float(), "-9e999"),
        (Decimal("1.50"), t.Numeric(5, 2), "'1.50'"),
        (b"\x01", t.Binary(), "X'01'"),
        (Color.RED, t.Enum(Color), "'red'"),
        ({"a": 1}, t.Json(), """'{"a":1}'"""),
        (dt.date(2024, 1, 2), t.Date(), "'2024-01-02'"),
    ],
)
def test_default_literals_on_sqlite(value: Any, type_: t.SQLType, literal: str) -> None:
    assert SQLiteDialect().default_literal(value, type_) == literal


def test_a_default_that_does_not_fit_is_refused() -> None:
    with pytest.raises(QueryError, match="does not fit"):
        SQLiteDialect().default_literal("abcd", t.String(3))
    with pytest.raises(QueryError, match="NUL"):
        SQLiteDialect().default_literal("a\x00", t.String())


def test_codecs_are_made_once_per_type() -> None:
    dialect = SQLiteDialect()
    assert dialect.encoder(t.Numeric(5, 2)) is dialect.encoder(t.Numeric(5, 2))
    assert dialect.encoder(t.Integer()) is None
    assert dialect.decoder(t.Boolean()) is bool


def test_an_unknown_stored_member_is_named() -> None:
    decode = SQLiteDialect().decoder(t.Enum(Color))
    assert decode is not None
    with pytest.raises(DataError, match="'green', which is no member of Color"):
        decode("green")


def test_a_plugin_makes_a_type_of_another() -> None:
    class Money(t.Custom):
        storage = t.Integer()
        python_type = Decimal
        accepts = (Decimal,)

        def to_storage(self) -> Any:
            return lambda value: int(value * 100)

        def from_storage(self) -> Any:
            return lambda value: Decimal(value) / 100

    dialect, money = SQLiteDialect(), Money()
    encode, decode = dialect.encoder(money), dialect.decoder(money)
    assert encode is not None
    assert decode is not None
    assert decode(encode(Decimal("1.25"))) == Decimal("1.25")
    assert dialect.type_ddl(money) == "INTEGER"
