"""order_by, limit, offset, slices and single results."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from blaze import MultipleResultsError, NoResultError, QueryError, Select, Session, case, func
from tests.query.conftest import Both
from tests.query.models import Author, Book, Copy, Edition, Review, Tag


def ids(query: Any) -> list[Any]:
    return [item.id for item in query.all()]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (lambda: (Book.price,), [5, 2, 7, 1, 4, 3, 6]),
        (lambda: (Book.price.desc(),), [6, 3, 4, 1, 7, 2, 5]),
        (lambda: ("price",), [5, 2, 7, 1, 4, 3, 6]),
        (lambda: ("-price",), [6, 3, 4, 1, 7, 2, 5]),
        (lambda: ("-rating", "id"), [4, 1, 6, 2, 5, 3, 7]),
        (lambda: (Book.rating.desc().nulls_first(), Book.id), [3, 7, 4, 1, 6, 2, 5]),
        (lambda: (Book.rating.asc().nulls_last(), Book.id.desc()), [5, 2, 6, 1, 4, 7, 3]),
        (lambda: (Book.author.name, Book.title), [5, 4, 6, 1, 2, 3, 7]),
        (lambda: ("author__name", "-title"), [4, 5, 6, 3, 2, 1, 7]),
        (lambda: ("-editor__name", "id"), [4, 6, 3, 1, 2, 5, 7]),
        (lambda: (func.length(Book.title), Book.id), [6, 7, 2, 1, 3, 4, 5]),
        (lambda: (case((Book.in_print, 1), else_=0), Book.id), [3, 6, 1, 2, 4, 5, 7]),
        (lambda: (Book.genre.desc(), "-id"), [7, 6, 4, 2, 1, 5, 3]),
    ],
)
def test_orders(session: Session, keys: Any, expected: list[int]) -> None:
    assert ids(session.query(Book).order_by(*keys())) == expected


def test_later_calls_add_keys(session: Session) -> None:
    assert ids(session.query(Book).order_by(Book.author_id).order_by("-id")) == [3, 2, 1, 5, 4, 6, 7]
    assert ids(session.query(Book).order_by().order_by("id")) == [1, 2, 3, 4, 5, 6, 7]


def test_texts_are_ordered_by_case(session: Session) -> None:
    assert session.query(Author.name).order_by("name").scalars()[-1] == "Émile"


def test_a_row_is_ordered_by_its_labels(session: Session) -> None:
    rows = session.query(Book.title, (Book.price * 2).label("double")).order_by("-double").limit(2).all()
    assert [row.double for row in rows] == [Decimal(200), Decimal(24)]


def test_limit_and_offset(session: Session) -> None:
    query = session.query(Book).order_by(Book.id)
    assert ids(query.limit(2)) == [1, 2]
    assert ids(query.offset(5)) == [6, 7]
    assert ids(query.limit(2).offset(3)) == [4, 5]
    assert ids(query.limit(0)) == []
    assert ids(query.offset(0)) == [1, 2, 3, 4, 5, 6, 7]
    assert ids(query.limit(100).offset(100)) == []
    assert ids(query.limit(2).limit(3)) == [1, 2, 3]
    assert ids(query.limit(2).limit(None)) == [1, 2, 3, 4, 5, 6, 7]
    assert ids(query.offset(2).offset(None).limit(1)) == [1]


def test_slices_and_indexes(session: Session) -> None:
    query = session.query(Book).order_by(Book.id)
    assert ids(query[2:4]) == [3, 4]
    assert ids(query[:2]) == [1, 2]
    assert ids(query[5:]) == [6, 7]
    assert ids(query[:]) == [1, 2, 3, 4, 5, 6, 7]
    assert ids(query[3:1]) == []
    assert query[0].id == 1
    assert query[6].id == 7
    assert [book.id for book in query] == [1, 2, 3, 4, 5, 6, 7]
    with pytest.raises(NoResultError, match="7"):
        query[7]


def test_a_slice_of_a_slice_is_within_it(session: Session) -> None:
    query = session.query(Book).order_by(Book.id)
    assert ids(query[1:6][1:3]) == [3, 4]
    assert ids(query[1:3][1:10]) == [3]
    assert ids(query[1:3][5:]) == []
    assert ids(query[2:][1:2]) == [4]
    assert query[1:6][0].id == 2
    assert query.limit(3)[2].id == 3
    with pytest.raises(NoResultError):
        query.limit(3)[3]


@pytest.mark.parametrize("wrong", ["5", 1.5, -1, True, b"1", "5; DROP TABLE book"])
def test_limit_takes_whole_numbers_only(session: Session, wrong: Any) -> None:
    with pytest.raises(QueryError, match="whole number"):
        session.query(Book).limit(wrong)
    with pytest.raises(QueryError, match="whole number"):
        session.query(Book).offset(wrong)


def test_what_cannot_be_sliced(session: Session) -> None:
    query = session.query(Book)
    for bad in (slice(None, None, 2), slice(-1, None), slice(None, -1)):
        with pytest.raises(QueryError, match="slice"):
            query[bad]
    with pytest.raises(QueryError, match="negative"):
        query[-1]
    with pytest.raises(QueryError, match="slices"):
        Select(Book)[1]  # type: ignore[index]


@pytest.mark.parametrize("wrong", ["titel", "-titel", "author__nmae", "price__gt", "author", 5, None])
def test_unknown_orders_are_refused(session: Session, wrong: Any) -> None:
    with pytest.raises(QueryError):
        session.query(Book).order_by(wrong)
    with pytest.raises(QueryError):
        session.query(Book.title).order_by(wrong)


async def test_first(both: Both) -> None:
    query = both.query(Book)
    assert (await both(query.first())).id == 1
    assert (await both(query.order_by("-id").first())).id == 7
    assert (await both(query.where(Book.pages > 1000).first())) is None
    assert (await both(query.order_by("id").offset(3).first())).id == 4
    assert (await both(query.order_by("id").limit(3).first())).id == 1
    assert (await both(query.limit(0).first())) is None
    assert await both(both.query(Book.title).order_by("-id").first()) == ("Germinal",)
    assert (await both(both.query(Edition).first())).number == 1


async def test_one_and_one_or_none(both: Both) -> None:
    query = both.query(Book)
    one = query.where(Book.id == 3)
    assert (await both(one.one())).id == 3
    assert (await both(one.one_or_none())).id == 3
    none = query.where(Book.id == 99)
    assert await both(none.one_or_none()) is None
    with pytest.raises(NoResultError, match="Book"):
        await both(none.one())
    for terminal in (query.one, query.one_or_none):
        with pytest.raises(MultipleResultsError, match="Book"):
            await both(terminal())
    assert (await both(query.order_by("id").limit(1).one())).id == 1
    assert await both(both.query(Author.email).where(Author.id == 2).one()) == (None,)


async def test_scalar_and_scalars(both: Both) -> None:
    assert await both(both.query(func.sum(Book.pages)).scalar()) == 1905
    assert await both(both.query(Book.title).where(Book.id == 99).scalar()) is None
    assert await both(both.query(Book.title, Book.id).order_by("-id").scalar()) == "Germinal"
    assert await both(both.query(Book.title).order_by("id").limit(2).scalars()) == [
        "The Dispossessed",
        "The Lathe",
    ]
    assert [b.id for b in await both(both.query(Book).order_by("-id").limit(2).scalars())] == [7, 6]
    assert (await both(both.query(Book).order_by("-id").scalar())).id == 7


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (lambda q: q(Book), 7),
        (lambda q: q(Book).where(Book.price > 9), 4),
        (lambda q: q(Book).order_by("title"), 7),
        (lambda q: q(Book).limit(3), 3),
        (lambda q: q(Book).limit(3).offset(6), 1),
        (lambda q: q(Book).offset(5), 2),
        (lambda q: q(Book).limit(0), 0),
        (lambda q: q(Book).distinct(), 7),
        (lambda q: q(Book.author_id).distinct(), 4),
        (lambda q: q(Book.author_id), 7),
        (lambda q: q(Book.author_id).distinct().limit(2), 2),
        (lambda q: q(Book.author_id).group_by(Book.author_id), 4),
        (lambda q: q(Book.author_id).group_by(Book.author_id).having(func.count() > 1), 2),
        (lambda q: q(Book.author_id).group_by("author_id").having(func.count() > 1).limit(1), 1),
        (lambda q: q(func.count(Book.id)), 1),
        (lambda q: q(func.count(Book.id)).where(Book.id == 99), 1),
        (lambda q: q(func.max(Book.id)).having(func.count(Book.id) > 99), 0),
        (lambda q: q(Author).join(Author.books), 7),
        (lambda q: q(Author).join(Author.books).distinct(), 4),
        (lambda q: q(Author).left_join(Author.books), 8),
        (lambda q: q(Author).where(Author.books.pages > 1), 4),
        (lambda q: q(Book).include(Book.author, Book.tags), 7),
        (lambda q: q(Book).select_related("author", "editor"), 7),
        (lambda q: q(Book).annotate(n=func.count(Book.reviews.id)), 7),
        (lambda q: q(Book).annotate(n=Book.price * 2).where(Book.price > 9).order_by("-n"), 4),
        (lambda q: q(Book).annotate(n=Book.price * 2).where(Book.price > 9).limit(2), 2),
        (lambda q: q(Book.title, (Book.pages + 5).label("x")).where(Book.pages > 200), 4),
        (lambda q: q((Book.pages + 5).label("x")).where(Book.pages > 200).distinct(), 4),
        (lambda q: q(Edition), 3),
        (lambda q: q(Book).union(q(Book)), 7),
        (lambda q: q(Book).where(Book.id < 3).union(q(Book).where(Book.id > 6), all=True), 3),
        (lambda q: q(Book).order_by("id").limit(2).union(q(Book).order_by("-id").limit(2)), 4),
        (lambda q: q(Book, Author).join(Book.author), 7),
    ],
)
async def test_count_and_exists_agree_with_all(both: Both, query: Any, expected: int) -> None:
    built = query(both.query)
    assert len(await both(built.all())) == expected
    assert await both(built.count()) == expected
    assert await both(built.exists()) is (expected > 0)


def test_exists_does_not_mistake_null_for_no_row(session: Session) -> None:
    assert session.query(Author.email).where(Author.id == 2).exists()
    assert session.query(Author.email).group_by(Author.email).order_by("email").exists()
    assert session.query(func.max(Author.email)).where(Author.id == 99).exists()


async def test_terminals_send_one_statement_each(both: Both) -> None:
    query = both.query(Book).where(Book.pages > 1)
    for terminal in (query.all, query.first, query.count, query.exists, query.order_by("id").first):
        before = both.statements
        await both(terminal())
        assert both.statements == before + 1


async def test_iteration(both: Both) -> None:
    query = both.query(Tag).order_by("id")
    if hasattr(query, "__aiter__"):
        assert [tag.id async for tag in query] == [1, 2, 3, 4]
        with pytest.raises(QueryError, match="slices"):
            query[0]
        assert [tag.id for tag in await query[1:3].all()] == [2, 3]
    else:
        assert [tag.id for tag in query] == [1, 2, 3, 4]
    assert await both(both.query(Review).count()) == 9
    assert await both(both.query(Copy).where(Copy.shelf == "x").count()) == 2


def test_a_query_is_a_value(session: Session) -> None:
    base = session.query(Book).where(Book.pages > 200)
    narrow = base.where(Book.price > 11)
    assert ids(base.order_by("id")) == [1, 3, 6, 7]
    assert ids(narrow.order_by("id")) == [3, 6]
    assert base.count() == 4
