"""What comes after `limit`, `offset` or a slice is about the rows of the slice, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import QueryError, Select, Session, func
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
