"""Hypothesis strategies for what each model of `models.py` must hold exactly, extremes included."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.types import models as m

UTC = dt.timezone.utc

ints = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1, 0, 2**53 + 1, -1])
floats = st.floats(allow_nan=False) | st.sampled_from(
    [5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, float("inf"), float("-inf"), -0.0, 0.1, 1e22]
)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30) | st.sampled_from(
    [
        "",
        "\0",
        "a\0b",
        "🦄👩‍👩‍👧",
        "it's",
        '"',
        "%",
        "%s",
        "?",
        ":x",
        "\\",
        "{x}",
        "--",
        "/*",
        "NULL",
        "0123",
        "1e5",
        " ",
    ]
)
decimals = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(-(10**24), 10**24),
    st.integers(-40, 40),
) | st.sampled_from(
    [Decimal("0"), Decimal("-0.0"), Decimal("1E+300"), Decimal("1E-300"), Decimal("0.10"), Decimal("1E+2")]
)
money = st.decimals(-999_999_999, 999_999_999, places=3) | st.sampled_from(
    [Decimal("999999999.999"), Decimal("-999999999.999"), Decimal("0.001"), Decimal("1E+2"), Decimal("7")]
)
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
odd_zones = zones | st.sampled_from(
    [
        UTC,
        dt.timezone(dt.timedelta(hours=5, minutes=45, seconds=7, microseconds=3)),
        dt.timezone(dt.timedelta(0)),
    ]
)
moments = st.datetimes(
    dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29), timezones=odd_zones
) | st.sampled_from([dt.datetime.min.replace(tzinfo=UTC), dt.datetime.max.replace(tzinfo=UTC)])
intervals = st.integers(-(2**63), 2**63 - 1).map(
    lambda micros: dt.timedelta(microseconds=micros)
) | st.sampled_from([dt.timedelta(microseconds=-1), dt.timedelta(0), dt.timedelta(days=-1, seconds=1)])
json_scalars: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
jsons = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    m.BoolRow: st.booleans(),
    m.IntRow: ints,
    m.FloatRow: floats,
    m.DecimalRow: decimals,
    m.MoneyRow: money,
    m.TextRow: texts,
    m.ShortTextRow: texts.filter(lambda text: len(text) <= 10),
    m.BytesRow: st.binary(max_size=40),
    m.DateRow: st.dates(),
    m.TimeRow: st.times(),
    m.MomentRow: moments,
    m.NaiveRow: st.datetimes() | st.sampled_from([dt.datetime.min, dt.datetime.max]),
    m.IntervalRow: intervals,
    m.UuidRow: st.uuids(allow_nil=True),
    m.ColorRow: st.sampled_from(m.Color),
    m.LevelRow: st.sampled_from(m.Level),
    m.ShapeRow: st.sampled_from(m.Shape),
    m.RightsRow: st.sampled_from([m.Rights(0), m.Rights.READ, m.Rights.READ | m.Rights.WRITE]),
    m.DictRow: st.dictionaries(texts, jsons, max_size=5),
    m.ListRow: st.lists(jsons, max_size=5),
    m.NumbersRow: st.lists(ints, max_size=5),
    m.DecimalsRow: st.lists(decimals, max_size=5),
    m.MomentsRow: st.lists(moments, max_size=5),
}
# Kinds whose values have an order in Python that the database must share.
ORDERED = (
    m.BoolRow,
    m.IntRow,
    m.FloatRow,
    m.DecimalRow,
    m.MoneyRow,
    m.TextRow,
    m.BytesRow,
    m.DateRow,
    m.TimeRow,
    m.MomentRow,
    m.NaiveRow,
    m.IntervalRow,
    m.LevelRow,
)
COMPARED = (*ORDERED, m.UuidRow, m.ColorRow, m.ShapeRow, m.RightsRow)
JSON = (m.DictRow, m.ListRow, m.NumbersRow, m.DecimalsRow, m.MomentsRow)
KEYS: dict[Any, st.SearchStrategy[Any]] = {
    m.IntKey: ints,
    m.TextKey: texts,
    m.DecimalKey: decimals,
    m.BytesKey: st.binary(max_size=20),
    m.DateKey: st.dates(),
    m.MomentKey: moments,
    m.UuidKey: st.uuids(),
    m.ColorKey: st.sampled_from(m.Color),
    m.IntervalKey: intervals,
}


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same type, all the way down; -0.0 is not 0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left.hex() == right.hex()
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
