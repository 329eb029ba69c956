"""What comes after `limit`, `offset` or a slice is about the rows of the slice, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import MultipleResultsError, QueryError, Select, Session, func
from tests.query.models import Author, Book

pytestmark = pytest.mark.requirement("R43")

LATE: dict[str, Any] = {
    "where": lambda q: q.where(Book.id > 2),
    "filter": lambda q: q.filter(id__gt=2),
    "exclude": lambda q: q.exclude(id__gt=2),
    "order_by": lambda q: q.order_by(Book.id.desc()),
    "join": lambda q: q.join(Book.author),
    "group_by": lambda q: q.group_by(Book.author_id),
    "having": lambda q: q.having(func.count() > 1),
    "distinct": lambda q: q.distinct(),
}


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize(
    "cut", [lambda q: q[:2], lambda q: q[1:], lambda q: q.limit(2), lambda q: q.offset(1)]
)
def test_clauses_after_a_slice_are_refused(session: Session, cut: Any, late: str) -> None:
    query = LATE[late](cut(session.query(Book).order_by(Book.id)))
    for read in (query.all, query.count, query.exists, query.to_sql):
        with pytest.raises(QueryError, match="SQL cuts last"):
            read()


def test_an_order_after_a_slice_of_a_union_is_refused(session: Session) -> None:
    query = session.query(Book).union(Select(Book)).limit(2)
    with pytest.raises(QueryError, match=r"order_by\(\) after limit\(\)"):
        query.order_by(Book.id).all()


def test_what_is_about_the_slice(session: Session) -> None:
    books = session.query(Book).order_by(Book.id)
    assert [b.id for b in books[1:4][1:]] == [3, 4]
    assert books[:3].count() == 3
    assert not books[:0].exists()
    assert [b.id for b in books[1:3].include(Book.author)] == [2, 3]
    assert [b.id for b in books.limit(2).limit(None).where(Book.id > 6)] == [7]
    wanted = Book.id.in_(Select(Book.id).order_by(Book.id).limit(2))
    assert [b.id for b in books.where(wanted).order_by(Book.id.desc())] == [1, 2]
    assert session.query(Author).limit(1).first() is not None


def test_the_first_after_an_offset(session: Session) -> None:
    books = session.query(Book)
    for found in (books.offset(2).first(), books[2:].first(), books.limit(9).offset(2).first()):
        assert found is not None
    assert books.order_by(Book.id).offset(2).first() is session.get(Book, 3)
    assert books.order_by(Book.id)[2:3].one().id == 3
    assert books.order_by(Book.id)[2:2].first() is None
    with pytest.raises(MultipleResultsError):
        books[2:4].one()


def test_the_first_of_a_slice_reads_one_row(session: Session) -> None:
    session.reset_query_stats()
    assert session.query(Book).order_by(Book.id)[2:5].first() is session.get(Book, 3)
    assert session.query(Book.id).order_by(Book.id).limit(5).scalar() == 1
    assert [entry.rows for entry in session.query_stats()] == [1, 1]


def test_no_limit_is_no_condition(session: Session) -> None:
    for everything in (session.query(Book).limit(None), session.query(Book)[:], session.query(Book)[0:]):
        with pytest.raises(QueryError, match="all_rows"):
            everything.delete()


@pytest.mark.parametrize("cut", [lambda q: q[:2], lambda q: q.limit(2), lambda q: q.offset(2)])
def test_pages_of_a_slice_are_refused(session: Session, cut: Any) -> None:
    with pytest.raises(QueryError, match=r"does not go together with limit\(\), offset\(\) or a slice"):
        cut(session.query(Book)).paginate(2)


def test_slices_of_a_union(session: Session) -> None:
    union = session.query(Book.id)[:2].union(Select(Book.id)).order_by(Book.id)
    assert union[1:4].limit(2).scalars() == [2, 3]
    assert union[1:4].offset(2).scalars() == [4]
    assert union.limit(5).offset(1).scalars() == [2, 3, 4, 5, 6]
