"""Values in the text of a statement arrive at MySQL as what they were: nothing in them ends a literal."""

from __future__ import annotations

import datetime as dt
import enum
import math
from decimal import Decimal
from typing import Any

import pymysql
import pytest

from blaze import Engine
from blaze.errors import DatabaseError
from blaze_mysql.literals import filled


class Color(str, enum.Enum):
    RED = "it's \\red"


class Level(enum.IntEnum):
    HIGH = 3


CHARACTERS = "".join(map(chr, range(128)))
TEXTS = [
    "",
    "'",
    "\\",
    "\\'",
    "'\\",
    "''",
    '"',
    "\\\\'--",
    "a\0b\x1a\r\n\t",
    "%s %% %(a)s",
    "ä€😀",
    CHARACTERS,
]
NUMBERS = [0, -1, 2**63, True, False]
FLOATS = [0.0, -0.5, 1e300, 5e-324, 123456789.125]
DECIMALS = [Decimal("1.10"), Decimal("1E+3"), Decimal("-1E-7"), Decimal("123456789012345678901234567890.5")]
MODES = ["", "NO_BACKSLASH_ESCAPES"]


@pytest.mark.parametrize("mode", MODES)
def test_values_come_back_as_they_were(mysql: str, mode: str) -> None:
    with Engine(mysql, pool_size=1) as engine, engine.connection() as connection:
        connection.execute("SET sql_mode = %s", (mode,))
        for values in (TEXTS, NUMBERS, FLOATS, DECIMALS, [None], [b"", b"'\\\0\xff"], [Color.RED]):
            marks = ", ".join(["%s"] * len(values))
            [row] = connection.execute(f"SELECT '100%%', {marks}", values).rows
            assert list(row) == ["100%", *[v.value if isinstance(v, enum.Enum) else v for v in values]]


@pytest.mark.parametrize("mode", MODES)
def test_literals_say_what_the_drivers_say(mysql: str, mode: str) -> None:
    days = [dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 1, 2, 3, 4), dt.time(1, 2), dt.timedelta(-1, 2)]
    values = [*TEXTS, *NUMBERS, *FLOATS, *DECIMALS, None, b"\0'", *days, Color.RED, Level.HIGH]
    with Engine(mysql, pool_size=1) as engine, engine.connection() as connection:
        connection.execute("SET sql_mode = %s", (mode,))
        raw: Any = connection.raw
        for value in values:
            ours, theirs = filled(raw, "%s", (value,)), raw.cursor().mogrify("%s", (value,))
            [row] = connection.execute(f"SELECT {ours} <=> {theirs}".replace("%", "%%") + ", %s", (1,)).rows
            assert row == (1, 1), (ours, theirs)


@pytest.mark.parametrize("value", [math.nan, math.inf, Decimal("NaN"), Decimal("-Infinity")])
def test_what_is_no_number_is_refused(mysql: str, value: Any) -> None:
    with Engine(mysql, pool_size=1) as engine, engine.connection() as connection:
        with pytest.raises(DatabaseError) as caught:
            connection.execute("SELECT %s", (value,))
        assert isinstance(caught.value.__cause__, pymysql.ProgrammingError)
        assert connection.execute("SELECT %s", (1,)).rows == [(1,)]


def test_a_wrong_number_of_values_is_an_error(mysql: str) -> None:
    with Engine(mysql, pool_size=1) as engine, engine.connection() as connection:
        with pytest.raises(DatabaseError):
            connection.execute("SELECT %s, %s", (1,))
        assert connection.usable
