"""Aggregates: groups, annotations, windows."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from blaze import QueryError, Select, cast, func
from blaze.testing.suite.harness import Database, done, scenario
from blaze.testing.suite.library import Author, Book, at
from blaze.testing.suite.values import model_of

__all__ = [
    "test_aggregates",
    "test_aggregates_of_nothing",
    "test_annotations",
    "test_columns_beside_aggregates_need_groups",
    "test_group_by_and_having",
    "test_sums_of_truth_values_and_durations",
    "test_windows",
]

AGGREGATES: dict[str, tuple[Any, Any]] = {
    "count": (lambda: func.count(), 7),
    "count column": (lambda: func.count(Book.rating), 5),
    "sum of ints": (lambda: func.sum(Book.pages), 1905),
    "sum of decimals": (lambda: func.sum(Book.price), Decimal("148.09")),
    "average of floats": (lambda: func.avg(Book.rating), 3.76),
    "average of ints": (lambda: func.avg(Book.pages), 1905 / 7),
    "smallest": (lambda: func.min(Book.price), Decimal("0.10")),
    "largest moment": (lambda: func.max(Book.published), at(5)),
    "largest text": (lambda: func.max(Book.title), "Wave in the Mind"),
    "filtered": (lambda: func.count(Book.id).filter(Book.pages > 300), 3),
    "filtered sum": (lambda: func.sum(Book.pages).filter(Book.in_print), 1337),
    "expression": (lambda: func.sum(Book.pages * 2 + 1), 3817),
}

WINDOWS: dict[str, tuple[Any, list[Any]]] = {
    "row number": (lambda: func.row_number().over(order_by=Book.price.desc()), [4, 6, 2, 3, 7, 1, 5]),
    "rank": (
        lambda: func.rank().over(partition_by=Book.author_id, order_by=Book.pages.desc()),
        [1, 3, 2, 1, 2, 1, 1],
    ),
    "dense rank": (lambda: func.dense_rank().over(order_by=Book.author_id), [1, 1, 1, 2, 2, 3, 4]),
    "lag": (lambda: func.lag(Book.id).over(order_by=Book.id), [None, 1, 2, 3, 4, 5, 6]),
    "lead": (lambda: func.lead(Book.id, 2).over(order_by=Book.id), [3, 4, 5, 6, 7, None, None]),
    "ntile": (lambda: func.ntile(2).over(order_by=Book.id), [1, 1, 1, 1, 2, 2, 2]),
    "running sum": (
        lambda: func.sum(Book.pages).over(order_by=Book.id, rows=(None, 0)),
        [387, 571, 875, 1040, 1050, 1314, 1905],
    ),
    "sum around": (
        lambda: func.sum(Book.pages).over(order_by=Book.id, rows=(-1, 1)),
        [571, 875, 653, 479, 439, 865, 855],
    ),
    "count of partition": (
        lambda: func.count(Book.id).over(partition_by=Book.author_id),
        [3, 3, 3, 2, 2, 1, 1],
    ),
    "first value": (
        lambda: func.first_value(Book.title).over(partition_by=Book.author_id, order_by=Book.id),
        ["The Dispossessed"] * 3 + ["Invisible Cities"] * 2 + ["Kindred", "Germinal"],
    ),
    "average": (
        lambda: func.avg(Book.pages).over(partition_by=Book.author_id),
        [875 / 3] * 3 + [87.5] * 2 + [264.0, 591.0],
    ),
}


@pytest.mark.parametrize("name", AGGREGATES)
@scenario
async def test_aggregates(db: Database, name: str) -> None:
    if name.startswith("filtered"):
        db.needs("filter_clause")
    expression, expected = AGGREGATES[name]
    async with db.session() as s:
        row = await done(s.query(expression().label("x"), func.count(Book.id)).one())
        found = row.x
        assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)
        assert type(found) is type(expected)


@scenario
async def test_aggregates_of_nothing(db: Database) -> None:
    async with db.session() as s:
        row = await done(
            s.query(func.sum(Book.pages), func.avg(Book.rating), func.max(Book.title), func.count(Book.id))
            .where(Book.id > 99)
            .one()
        )
        assert row == (None, None, None, 0)


@scenario
async def test_group_by_and_having(db: Database) -> None:
    async with db.session() as s:
        rows = await done(
            s.query(Author.name, func.count(Book.id).label("n"), func.sum(Book.price).label("total"))
            .join(Author.books)
            .group_by(Author.name)
            .having(func.count(Book.id) > 1)
            .order_by("-n")
            .all()
        )
        assert rows == [("Ursula", 3, Decimal("29.49")), ("Italo", 2, Decimal("10.60"))]
        years = await done(
            s.query(func.lower(Book.author.name).label("who"), func.max(Book.pages))
            .group_by("who")
            .order_by("who")
            .limit(1)
            .all()
        )
        assert years == [("italo", 165)]


@scenario
async def test_columns_beside_aggregates_need_groups(db: Database) -> None:
    async with db.session() as s:
        for query in (
            s.query(Author.name, func.count(Book.id)).join(Author.books),
            s.query(Author).join(Author.books).annotate(n=func.count(Book.id)),
            s.query(Book.price + func.sum(Book.price)),
            s.query(Book.price).having(func.count() > 1),
        ):
            with pytest.raises(QueryError, match="group_by"):
                await done(query.all())
        for query in (  # authors of one name may be several
            s.query(Author, func.count(Book.id)).join(Author.books).group_by(Author.name),
            s.query(Author.name, Author.id, func.count(Book.id)).join(Author.books).group_by(Author.name),
        ):
            with pytest.raises(QueryError, match="within a group"):
                await done(query.all())
        whole = s.query(Book.title, Book.id, func.count()).group_by(Book.id, Book.title)
        assert await done(whole.count()) == 7
        for query in (  # each has many authors in a row, and books are of one author
            s.query(Author.name, func.count(Author.books.id)).group_by(Author.name),
            s.query(Author.name).group_by(Author.name).having(func.count(Author.books.id) > 3),
            s.query(func.count(Author.books.id)),
            s.query(func.count(Author.id), func.count(Author.books.id)),
        ):
            with pytest.raises(QueryError, match="join"):
                await done(query.all())
        unknown = s.query(func.count(), func.bit_and(Book.pages))  # may be an aggregate, and is one
        assert unknown.to_sql()
        keyed = s.query(Author.id, func.count(Author.books.id)).group_by(Author.id).having(Author.id == 1)
        assert await done(keyed.all()) == [(1, 3)]
        many = s.query(func.count(Author.id)).where(func.count(Author.books.id) > 1)
        assert await done(many.scalar()) == 2
        alone = s.query(func.min(Book.price) + func.max(Book.price), func.count())
        assert await done(alone.count()) == 1
        beside = s.query(Book.price, func.sum(Book.price).over(), Select(func.count(Author.id)))
        assert await done(beside.count()) == 7


@scenario
async def test_annotations(db: Database) -> None:
    async with db.session() as s:
        found = await done(s.query(Author).annotate(n=func.count(Author.books.id)).order_by("-n", "id").all())
        assert [(a.name, a.n) for a in found[:2]] == [("Ursula", 3), ("Italo", 2)]
        assert found[-1].n == 0
        many = s.query(Author).annotate(n=func.count(Author.books.id)).filter(n__gt=1)
        assert sorted([author.id for author in await done(many.all())]) == [1, 2]


@pytest.mark.parametrize("name", WINDOWS)
@scenario
async def test_windows(db: Database, name: str) -> None:
    db.needs("window_functions")
    expression, expected = WINDOWS[name]
    async with db.session() as s:
        rows = await done(s.query(Book.id, expression().label("x")).order_by(Book.id).all())
        assert [row.x for row in rows] == [pytest.approx(x) if isinstance(x, float) else x for x in expected]
        assert [type(row.x) for row in rows] == [type(x) for x in expected]


@scenario
async def test_sums_of_truth_values_and_durations(db: Database) -> None:
    flag, duration, text = (model_of(name) for name in ("bool", "interval", "text"))
    hour = timedelta(hours=1)
    async with db.session() as s:
        await s.add_all([flag(value=value) for value in (True, True, False)])
        await s.add_all([duration(value=hour * n) for n in (1, 2)])
        counted = s.query(func.sum(flag.value), func.sum(flag.other), func.avg(flag.value))
        number, nothing, share = await done(counted.one())
        assert (number, nothing) == (2, None)
        assert number.__class__ is int
        assert abs(share - 2 / 3) < 1e-9
        assert await done(s.query(func.sum(duration.value)).scalar()) == 3 * hour
        assert await done(s.query(-duration.value).order_by(duration.id).scalars()) == [-hour, -2 * hour]
        with pytest.raises(QueryError, match="cast"):
            func.sum(text.value)
        with pytest.raises(QueryError, match="cast"):
            flag.value + 1
        ones = s.query(cast(flag.value, int) + 1).order_by(flag.id)
        assert await done(ones.scalars()) == [2, 2, 1]
