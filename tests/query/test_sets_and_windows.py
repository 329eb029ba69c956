"""Set operations and window functions."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import pytest

from blaze import CTE, CapabilityError, QueryError, Select, Session, func, literal
from tests.query.conftest import Both
from tests.query.models import Author, Book, Edition, Tag, at


def ids(items: Any) -> list[Any]:
    return [item.id for item in items]


async def test_union_intersect_and_except(both: Both) -> None:
    q = both.query(Book)
    cheap, long = q.where(Book.price < 10), q.where(Book.pages > 300)
    assert ids(await both(cheap.union(long).order_by("id").all())) == [1, 2, 3, 5, 7]
    assert ids(await both(cheap.union(long, all=True).order_by("id").all())) == [1, 1, 2, 3, 5, 7, 7]
    assert ids(await both(cheap.intersect(long).order_by("id").all())) == [1, 7]
    assert ids(await both(cheap.except_(long).order_by(Book.id.desc()).all())) == [5, 2]
    assert ids(await both(cheap.union(long).except_(q.where(Book.id == 5)).order_by("-id").all())) == [
        7,
        3,
        2,
        1,
    ]
    assert ids(await both(cheap.union(long, q.where(Book.id == 4)).order_by("id").all())) == [
        1,
        2,
        3,
        4,
        5,
        7,
    ]


async def test_order_limit_and_terminals_concern_the_whole(both: Both) -> None:
    q = both.query(Book)
    union = q.where(Book.price < 10).union(q.where(Book.pages > 300)).order_by("id")
    assert ids(await both(union.limit(2).all())) == [1, 2]
    assert ids(await both(union.offset(3).all())) == [5, 7]
    assert ids(await both(union[1:3].all())) == [2, 3]
    assert (await both(union.first())).id == 1
    assert await both(union.count()) == 5
    assert await both(union.limit(2).count()) == 2
    assert await both(union.exists()) is True
    assert await both(q.where(Book.id == 98).union(q.where(Book.id == 99)).exists()) is False
    one = q.where(Book.id == 1).union(q.where(Book.id == 1))
    assert (await both(one.one())).id == 1
    assert await both(q.where(Book.id == 98).union(q.where(Book.id == 99)).one_or_none()) is None


async def test_members_keep_their_own_order_and_limit(both: Both) -> None:
    q = both.query(Book)
    first = q.order_by(Book.price.desc()).limit(2)
    last = q.order_by(Book.price).limit(1)
    assert ids(await both(first.union(last).order_by("id").all())) == [3, 5, 6]
    assert ids(await both(first.union(last).order_by("id").limit(2).all())) == [3, 5]


def test_included_relations_of_a_union(session: Session) -> None:
    q = session.query(Book)
    books = q.where(Book.id == 1).union(q.where(Book.id == 7)).include("author").order_by("id").all()
    before = session.query_stats().total
    assert [book.author.name for book in books] == ["Ursula", "Émile"]
    assert session.query_stats().total == before


def test_sets_of_rows(session: Session) -> None:
    names = session.query(Author.name.label("name")).union(session.query(Tag.name)).order_by("name")
    assert names.scalars() == [
        "Italo",
        "Nobody",
        "Octavia",
        "Ursula",
        "classic",
        "sf",
        "short",
        "unused",
        "Émile",
    ]
    rows = session.query(Author.id, Author.name).intersect(
        session.query(Author.id, Author.name).where(Author.id < 3)
    )
    assert sorted(rows.all()) == [(1, "Ursula"), (2, "Italo")]


def test_a_set_is_a_subquery(session: Session) -> None:
    ids_ = Select(Book.id).where(Book.price < 8).union(Select(Book.id).where(Book.price > 50))
    found = session.query(Book).where(Book.id.in_(ids_)).order_by("id")
    assert ids(found.all()) == [2, 5, 6]
    table = ids_.alias("chosen")
    assert session.query(func.count(table.c.id)).scalar() == 3


def test_sets_that_cannot_be(session: Session) -> None:
    q = session.query(Book)
    with pytest.raises(QueryError, match="not like"):
        q.union(session.query(Author))
    with pytest.raises(QueryError, match="not like"):
        q.union(session.query(Book.id))
    with pytest.raises(QueryError, match="quer"):
        q.union("SELECT 1")  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="columns"):
        session.query(Book.id).union(session.query(Book.id, Book.title)).all()
    with pytest.raises(QueryError, match="before"):
        q.union(q).where(Book.id == 1).all()
    with pytest.raises(QueryError, match="union"):
        q.union(q).update(pages=1)
    with pytest.raises(QueryError, match="ordered"):
        session.query(Book.id).union(session.query(Book.id)).order_by(Book.title).all()


def test_sets_of_other_columns_of_one_model(session: Session) -> None:
    titles, pages = session.query(Book).only("title"), session.query(Book).only("pages")
    for other in (session.query(Book), pages, titles.select_related("author")):
        with pytest.raises(QueryError, match="do not load the same"):
            titles.union(other).all()
    assert titles.union(session.query(Book).only("title")).count() == 7
    rows = session.query(Book.id, Author).join(Book.author)
    with pytest.raises(QueryError, match="do not load the same"):
        rows.union(session.query(Author, Book.id).join(Author.books)).all()
    again = session.query(Book.id, Author).join(Book.author).where(Book.id == 1)
    assert rows.union(again).count() == 7


def test_the_message_names_both_columns(session: Session) -> None:
    query = session.query(Book.title).intersect(session.query(Book.price))
    with pytest.raises(QueryError) as caught:
        query.all()
    assert "INTERSECT puts book.price, Numeric(" in str(caught.value)
    assert "under book.title, String(" in str(caught.value)


def test_the_step_of_a_recursive_query_is_like_its_base(session: Session) -> None:
    tree = CTE("tree", Select(Book.id, Book.title))
    with pytest.raises(QueryError, match=r"UNION puts book\.pages"):
        tree.recurse(Select(Book.id, Book.pages))
    with pytest.raises(QueryError, match="joins 2 and 1 columns"):
        tree.recurse(Select(Book.id))


def test_annotations_of_a_set_are_read_by_what_is_no_null(session: Session) -> None:
    none = session.query(Book).where(Book.id == 1).annotate(cost=literal(None))
    some = session.query(Book).where(Book.id == 2).annotate(cost=Book.price)
    assert sorted(type(book.cost).__name__ for book in none.union(some).all()) == ["Decimal", "NoneType"]


def test_ranks_within_partitions(session: Session) -> None:
    rank = func.row_number().over(partition_by=Book.author_id, order_by=Book.price.desc())
    rows = session.query(Book.title, rank.label("rank")).order_by(Book.author_id, "rank").all()
    assert [row.rank for row in rows] == [1, 2, 3, 1, 2, 1, 1]
    assert rows[0].title == "Wave in the Mind"


def test_running_sums_with_frames(session: Session) -> None:
    total = func.sum(Book.pages).over(order_by=Book.id, rows=(None, 0))
    around = func.sum(Book.pages).over(order_by=Book.id, rows=(-1, 1))
    rows = session.query(Book.id, total.label("total"), around.label("around")).order_by(Book.id).all()
    assert [row.total for row in rows] == [387, 571, 875, 1040, 1050, 1314, 1905]
    assert rows[0].around == 571
    assert rows[3].around == 304 + 165 + 10


def test_windows_of_decimals_are_exact(session: Session) -> None:
    total = func.sum(Book.price).over(order_by=Book.id, rows=(None, 0)).label("total")
    query = session.query(Book.id, total).order_by(Book.id)
    if sys.version_info >= (3, 11):
        assert query.all()[2].total == Decimal("29.49")
    else:  # sqlite3 cannot have window functions of its own there
        with pytest.raises(CapabilityError, match="float"):
            query.all()


def test_a_window_is_filtered_from_outside(session: Session) -> None:
    rank = func.rank().over(partition_by=Book.author_id, order_by=Book.pages.desc()).label("rank")
    ranked = Select(Book.id, rank).alias("ranked")
    longest = (
        session.query(Book).join(ranked, on=(ranked.c.id == Book.id) & (ranked.c.rank == 1)).order_by("id")
    )
    assert ids(longest.all()) == [1, 4, 6, 7]
    previous = func.lag(Book.id).over(order_by=Book.id).label("previous")
    assert session.query(Book.id, previous).order_by("id").limit(2).all() == [(1, None), (2, 1)]


def test_count_of_a_windowed_query_is_that_of_its_rows(session: Session) -> None:
    assert session.query(func.count().over(partition_by=Book.author_id).label("n"), Book.id).count() == 7


def test_a_scalar_subquery_is_a_value(session: Session) -> None:
    n = Select(func.count(Book.id)).where(Book.author_id == Author.id)
    rows = session.query(Author.name, n.label("n")).order_by("-n", Author.id).all()
    assert rows[0] == ("Ursula", 3)
    assert rows[-1].n == 0
    assert session.query(Author).where(n.label("n") > 1).count() == 2
    newest = Select(func.max(Book.published)).where(Book.author_id == Author.id, Book.pages > 200)
    found = session.query(Author).annotate(n=n, newest=newest).order_by(Author.id).all()
    assert [(a.n, a.newest) for a in found[:3]] == [(3, at(1)), (2, None), (1, at(5))]
    assert session.query(Author.id, func.coalesce(newest.label("x"), at(9))).where(Author.id == 2).all() == [
        (2, at(9))
    ]
    assert session.query(Author.id, n).where(Author.id == 1).all() == [(1, 3)]
    with pytest.raises(QueryError, match="one column"):
        session.query(Author.id, Select(Book.id, Book.title))


def test_composite_keys_in_sets(session: Session) -> None:
    q = session.query(Edition)
    found = q.where(Edition.code == "A").except_(q.where(Edition.number == 2)).all()
    assert [(e.code, e.number) for e in found] == [("A", 1)]
