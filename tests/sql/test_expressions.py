"""Expressions: keys without values, binds in order, values checked at once."""

from __future__ import annotations

import operator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from blaze.dialects.types import Numeric
from blaze.errors import QueryError
from blaze.sql.columns import Column
from blaze.sql.functions import case, func, literal
from blaze.sql.source import Source
from tests.sql.library import author_table, book, book_author, book_table

SHAPES: list[Any] = [
    lambda v: book.id == v[0],
    lambda v: (book.id < v[0]) & (book.title != str(v[1])),
    lambda v: ~(book.price >= Decimal(v[0])) | book.id.between(v[0], v[1]),
    lambda v: book.id.in_(v),
    lambda v: book.title.contains(str(v[0])),
    lambda v: book.price * v[0] + v[1],
    lambda v: case((book.id > v[0], "a"), else_=str(v[1])),
    lambda v: func.coalesce(book.loan, None) if v[0] is None else func.sum(book.id + v[0]).over(book.id),
    lambda v: book.meta["a"] == v[0],
]


@pytest.mark.parametrize("build", SHAPES)
def test_the_key_determines_the_shape_and_holds_no_value(build: Any) -> None:
    one, other = build([1, 2]), build([3, 4])
    assert one.key == other.key
    assert hash(one.key) == hash(other.key)
    assert one.binds != other.binds


def test_keys_of_different_shapes_differ() -> None:
    keys = [build([1, 2]).key for build in SHAPES]
    assert len(set(keys)) == len(keys)
    assert (book.id < 1).key != (book.id <= 1).key
    assert (book.id == 1).key != (book_author.id == 1).key
    assert book.id.asc().key != book.id.desc().key
    assert book.id.cast(str).key != book.id.cast(int).key


def test_tables_of_one_name_share_no_key() -> None:
    from blaze.sql.table import Table, TableColumn

    twin = Table("book", [TableColumn("id", book_table.column("id").type)])
    assert Column[int](Source(twin), twin.column("id")).key != book.id.key
    assert book.source.alias("b").key != book.source.key


def test_binds_are_in_the_order_of_reading() -> None:
    condition = (book.id == 1) & (book.title == "a") | ~book.id.between(2, 3)
    assert condition.binds == (1, "a", 2, 3)


def test_none_is_null() -> None:
    assert (book.loan == None).key == book.loan.is_(None).key  # noqa: E711
    assert (book.loan != None).key == book.loan.is_not(None).key  # noqa: E711
    with pytest.raises(QueryError, match=r"book\.price with None by <.*is_\(None\)"):
        _ = book.price < None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: book.price < "x", r"book\.price .*Numeric.* with a str"),
        (lambda: book.price < 1.5, "float"),
        (lambda: book.price < Decimal("NaN"), "finite"),
        (lambda: book.id == 2**63, "64 bits"),
        (lambda: book.id == "1", "str"),
        (lambda: book.published > datetime(2020, 1, 1), "naive"),
        (lambda: book_author.name == 1, r"book\.author\.name"),
        (lambda: book.id.in_("12"), "list of values"),
        (lambda: book.id.in_([1, "2"]), "str"),
        (lambda: book.id.in_(7), "list of values"),
        (lambda: book.id.contains("1"), "needs a text"),
        (lambda: book.title.contains(1), "takes a text"),
        (lambda: book.title["a"], "only JSON"),
        (lambda: book.id.label(""), "label"),
        (lambda: literal(object()), "cannot be sent"),
        (lambda: func["drop table"], "no name of a function"),
        (lambda: func.extract("week", book.published), "no part 'week'"),
        (lambda: (book.id > 1) & True, "parentheses"),
        (lambda: book.price + "x", r"cannot calculate book\.price .*Numeric.* \+ String.* no meaning"),
        (lambda: "x" + book.price, r"cannot calculate .* book\.price: String.* \+ Numeric"),
        (lambda: book.id + book.title, r"cannot calculate book\.id \+ book\.title"),
        (lambda: book.title * 2, "no meaning"),
        (lambda: book.published + 5, "no meaning"),
        (lambda: book.published + book.published, "no meaning"),
        (lambda: 1 - book.loan, "no meaning"),
        (lambda: book.id + b"x", r"book\.id and a bytes"),
        (lambda: book.id + None, "None"),
    ],
)
def test_mistakes_are_named_at_once(build: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        build()


def test_both_sides_of_a_calculation_take_the_same_values() -> None:
    for value in (2, 1.5, Decimal("1.5")):
        assert (value * book.id).type == (book.id * value).type
    for value in (2, Decimal("1.5")):
        assert (value + book.price).type == (book.price + value).type
    assert (timedelta(days=1) + book.published).type == book.published.type
    assert (datetime(2020, 1, 1, tzinfo=timezone.utc) - book.published).type == book.loan.type
    assert (book.published - timedelta(days=1)).type == book.published.type
    assert (2 * book.loan).type == (book.loan / 2).type == book.loan.type
    assert ("a" + book.title + "b").type.python_type is str


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv])
def test_a_decimal_does_not_go_with_a_float(op: Any) -> None:
    for left, right in ((book.price, 1.5), (1.5, book.price), (book.price, book.weight)):
        with pytest.raises(QueryError, match=r"give a Decimal, or cast\(\)"):
            op(left, right)
    assert op(book.price.cast(float), 1.5).type == book.weight.type
    assert isinstance(op(book.price, Decimal("1.5")).type, Numeric)


def test_a_condition_has_no_truth_value() -> None:
    with pytest.raises(QueryError, match="instead of and/or/not"):
        bool(book.id == 1)
    with pytest.raises(QueryError, match="truth value"):
        _ = 1 < book.id < 5
    with pytest.raises(QueryError, match="in_"):
        _ = 1 in book.meta


def test_values_that_merely_match_nothing_are_allowed() -> None:
    assert (book.title == "x" * 500).binds == ("x" * 500,)
    assert (book.price < Decimal("9.99999")).binds == (Decimal("9.99999"),)
    assert (book.published > datetime(2020, 1, 1, tzinfo=timezone.utc)).binds


def test_unknown_columns_name_the_nearest() -> None:
    with pytest.raises(QueryError, match="did you mean 'name'"):
        author_table.column("nam")
