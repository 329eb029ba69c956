"""Set operations: the same rows on every backend, read from the left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from blaze import CTE, QueryError, Select, cast, literal
from blaze.testing.suite.harness import Database, done, scenario
from blaze.testing.suite.library import Book

__all__ = [
    "test_members_of_sets_keep_order_and_limit",
    "test_sets",
    "test_sets_of_unlike_columns",
    "test_sets_read_by_what_is_no_null",
    "test_sets_read_from_the_left_wherever_they_stand",
    "test_sets_that_are_cut_are_operands_as_they_are",
]


def ids(items: Any) -> list[Any]:
    """Give the keys of objects."""
    return [item.id for item in items]


SETS: dict[str, tuple[Any, list[int]]] = {
    "union": (lambda a, b: a.union(b), [1, 2, 3, 5, 7]),
    "union all": (lambda a, b: a.union(b, all=True), [1, 1, 2, 3, 5, 7, 7]),
    "intersect": (lambda a, b: a.intersect(b), [1, 7]),
    "except": (lambda a, b: a.except_(b), [2, 5]),
    "nested": (lambda a, b: a.union(b).except_(a.where(Book.id == 5)), [1, 2, 3, 7]),
    "union, intersect": (lambda a, b: a.union(b).intersect(b), [1, 3, 7]),
    "except, intersect": (lambda a, b: a.except_(b).intersect(a), [2, 5]),
    "intersect, union": (lambda a, b: a.intersect(b).union(a), [1, 2, 5, 7]),
    "union, intersect, union, intersect": (
        lambda a, b: a.union(b).intersect(b).union(a, all=True).intersect(b),
        [1, 3, 7],
    ),
}


@pytest.mark.parametrize("name", SETS)
@scenario
async def test_sets(db: Database, name: str) -> None:
    combine, expected = SETS[name]
    if name not in ("union", "union all"):
        db.needs("intersect_except")
    async with db.session() as s:
        both = combine(s.query(Book).where(Book.price < 10), s.query(Book).where(Book.pages > 300))
        assert ids(await done(both.order_by("id").all())) == expected
        assert await done(both.count()) == len(expected)
        assert ids(await done(both.order_by("id").limit(2).all())) == expected[:2]
        assert await done(both.exists()) is True
        rows = combine(s.query(Book.id).where(Book.price < 10), s.query(Book.id).where(Book.pages > 300))
        assert sorted(await done(rows.scalars())) == expected


UNLIKE = {
    "text and number": lambda: (Book.title, Book.pages),
    "number and decimal": lambda: (Book.pages, Book.price),
    "number and truth": lambda: (Book.id, Book.id > 1),
    "truth and number": lambda: (Book.id > 1, Book.id),
}


@pytest.mark.parametrize("name", UNLIKE)
@scenario
async def test_sets_of_unlike_columns(db: Database, name: str) -> None:
    first, second = UNLIKE[name]()
    async with db.session() as s:
        query = s.query(Book.id, first.label("one")).union(Select(Book.id, second.label("other")))
        for terminal in (query.all, query.count):
            with pytest.raises(QueryError, match=r"UNION puts .* under .* select values of one type"):
                await done(terminal())


@scenario
async def test_sets_read_by_what_is_no_null(db: Database) -> None:
    async with db.session() as s:
        prices = s.query(Book.price, Book.id).where(Book.id == 1)
        nothing = s.query(literal(None).label("price"), Book.id).where(Book.id == 2)
        for union in (prices.union(nothing), nothing.union(prices)):
            assert {row.id: row.price for row in await done(union.all())} == {1: Decimal("9.99"), 2: None}
            table = union.alias("both")
            assert {type(value) for value in await done(s.query(table.c.price).scalars())} == {
                Decimal,
                type(None),
            }
        exact = s.query(cast(Book.pages, Decimal)).where(Book.id == 1).union(Select(Book.price))
        assert {type(value) for value in await done(exact.scalars())} == {Decimal}


@scenario
async def test_members_of_sets_keep_order_and_limit(db: Database) -> None:
    async with db.session() as s:
        dearest = s.query(Book).order_by(Book.price.desc()).limit(2)
        cheapest = s.query(Book).order_by(Book.price).limit(1)
        assert ids(await done(dearest.union(cheapest).order_by("id").all())) == [3, 5, 6]


@scenario
async def test_sets_that_are_cut_are_operands_as_they_are(db: Database) -> None:
    async with db.session() as s:
        few, many = s.query(Book).where(Book.id <= 2), s.query(Book).where(Book.id >= 6)
        both, some = few.union(many), s.query(Book).where(Book.id.between(4, 6))
        top = both.order_by("id")[:1]
        assert ids(await done(top.union(some).order_by("id").all())) == [1, 4, 5, 6]
        assert ids(await done(some.union(top).order_by("id").all())) == [1, 4, 5, 6]
        assert await done(top.union(some).count()) == 4
        assert ids(await done(both.limit(0).union(some).order_by("id").all())) == [4, 5, 6]
        assert ids(await done(both.order_by("id").offset(3).union(some).order_by("id").all())) == [4, 5, 6, 7]
        assert ids(await done(both.order_by("-id").union(some).order_by("id").limit(3).all())) == [1, 2, 4]
        again = top.union(some, all=True).order_by("-id").limit(2).union(few).order_by("id")[1:]
        assert ids(await done(again.all())) == [2, 5, 6]
        rows = s.query(Book.title, Book.id).where(Book.id <= 2).union(Select(Book.title, Book.id))
        assert await done(rows.order_by(Book.id).limit(1).union(rows, all=True).count()) == 8


@scenario
async def test_sets_read_from_the_left_wherever_they_stand(db: Database) -> None:
    db.needs("intersect_except")
    async with db.session() as s:
        few, many = Select(Book.id).where(Book.id <= 2), Select(Book.id).where(Book.id >= 6)
        found = few.union(many).intersect(Select(Book.id).where(Book.id.between(2, 6)))
        top = few.union(many).order_by(Book.id)[:1]
        assert await done(s.query(top.except_(many).alias("t").c.id).scalars()) == [1]
        assert await done(s.query(top.intersect(many).alias("t").c.id).scalars()) == []
        table = found.alias("found")
        assert sorted(await done(s.query(table.c.id).scalars())) == [2, 6]
        assert ids(await done(s.query(Book).where(Book.id.in_(found)).order_by("id").all())) == [2, 6]
        cte = CTE("found", found)
        assert sorted(await done(s.query(cte.c.id).with_cte(cte).scalars())) == [2, 6]
        assert sorted(await done(s.query(Book.id).where(Book.id == 1).union(found).scalars())) == [1, 2, 6]
        loaded = s.query(Book).select_related(Book.author)
        objects = loaded.where(Book.id <= 2).union(loaded.where(Book.id >= 6)).intersect(loaded)
        assert ids(await done(objects.order_by(Book.id).all())) == [1, 2, 6, 7]
        assert await done(objects.count()) == 4
        cut = objects.order_by(Book.id)[1:3].union(loaded.order_by("-id").limit(1)).order_by(Book.id)
        assert [book.author.id for book in await done(cut.all())] == [1, 3, 4]
