"""The shape of a statement."""

from __future__ import annotations

import pytest

from blaze.utils.shapes import statement_shape


@pytest.mark.parametrize(
    ("sql", "shape"),
    [
        ("SELECT 1", "SELECT ?"),
        ("a = 'it''s' AND b = -1.5e3 LIMIT 20", "a = ? AND b = -? LIMIT ?"),
        ("t0.c1 = $1 AND x = ?2 AND y = :3 AND z = %s", "t0.c1 = $1 AND x = ?2 AND y = :3 AND z = %s"),
        ("\"my 'table' 1\" = 1 -- note 7", "\"my 'table' 1\" = ? -- note 7"),
        ("`a``1` = /* 5 'x' */ 5", "`a``1` = /* 5 'x' */ ?"),
        ("$a$ it's 5 $a$ , E'x', x'ff', 'open", "? , ?, ?, ?"),
    ],
)
def test_values_go_and_names_stay(sql: str, shape: str) -> None:
    assert statement_shape(sql) == shape
    assert statement_shape(shape) == shape


def test_long_statements_are_cut() -> None:
    assert statement_shape("x" * 30, limit=10) == "xxxxxxxxxx... (30 characters)"
