"""Columns, tuples with labels, entities in rows, aggregates with GROUP BY and HAVING, annotate."""

from __future__ import annotations

import copy
import pickle
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from blaze import QueryError, Session, case, cast, func, literal
from tests.query.conftest import Both
from tests.query.models import AUTHORS, BOOKS, Author, Book, Copy, Edition, Genre, Publisher, Review, Tag, at


def test_rows_are_tuples_whose_labels_are_attributes(session: Session) -> None:
    row = session.query(Book.title, Book.price, (Book.pages * 2).label("double")).where(Book.id == 1).one()
    assert row == ("The Dispossessed", Decimal("9.99"), 774)
    assert (row.title, row.price, row.double) == row
    title, price, double = row
    assert (title, price, double) == row
    assert row._asdict() == {"title": "The Dispossessed", "price": Decimal("9.99"), "double": 774}
    assert "title='The Dispossessed'" in repr(row)
    assert pickle.loads(pickle.dumps(row)).double == 774
    assert copy.copy(row).title == row.title
    with pytest.raises(QueryError, match="title"):
        _ = row.titel


def test_every_type_comes_back_as_itself(session: Session) -> None:
    row = session.query(
        Book.genre, Book.in_print, Book.published, Book.meta, Book.rating, Author.born, Book.editor_id
    ).join(Book.author).where(Book.id == 1).one()  # fmt: skip
    assert row == (Genre.NOVEL, True, at(1), {"lang": "en"}, 4.5, date(1929, 10, 21), 2)
    assert type(row[1]) is bool


def test_a_single_column_is_a_row_of_one(session: Session) -> None:
    assert session.query(Tag.name).order_by("id").all() == [("sf",), ("classic",), ("short",), ("unused",)]


def test_columns_over_paths_join_by_themselves(session: Session) -> None:
    rows = (
        session.query(Book.title, Book.author.name, Book.editor.name.label("editor")).order_by(Book.id).all()
    )
    assert rows[0] == ("The Dispossessed", "Ursula", "Italo")
    assert rows[1].editor is None
    assert len(rows) == 7


def test_two_columns_of_one_name_are_both_there(session: Session) -> None:
    row = session.query(Author.id, Book.id.label("book")).join(Author.books).where(Book.id == 4).one()
    assert row == (2, 4)
    row = session.query(Author.id, Book.id).join(Author.books).where(Book.id == 4).one()
    assert row == (2, 4)


async def test_what_no_join_brings_in_cannot_be_counted_either(both: Both) -> None:
    for query in (
        both.query(Author, Tag),
        both.query(Author.id, Tag.id),
        both.query(Author.id + Tag.id),
        both.query(Author.id, Tag.id).where(Author.id == 1).limit(2),
    ):
        for call in (query.all, query.count, query.exists):
            with pytest.raises(QueryError, match="tag is not part of the query"):
                await both(call())
    joined = both.query(Author, Book, (Author.id + Book.id).label("sum")).join(Author.books).order_by(Book.id)
    for query in (
        joined,
        joined.annotate(n=Book.pages + 1),
        both.query(Author.id, Book.author.id).join(Author.books),
    ):
        assert await both(query.count()) == len(await both(query.all())) == 7
        assert await both(query.exists())
        assert not await both(query.where(Book.pages > 10_000).exists())
    paths = both.query(Book.title, Book.author.name, func.lower(Book.editor.name))
    assert await both(paths.count()) == 7


async def test_entities_and_columns_in_one_row(both: Both) -> None:
    rows = await both(both.query(Book, Author.name).join(Book.author).order_by(Book.id).limit(2).all())
    assert [(row.Book.title, row.name) for row in rows] == [
        ("The Dispossessed", "Ursula"),
        ("The Lathe", "Ursula"),
    ]
    rows = await both(both.query(Author, Book).left_join(Author.books).order_by(Author.id, Book.id).all())
    assert [(a.id, b.id if b is not None else None) for a, b in rows] == [
        (1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (3, 6), (4, 7), (5, None),
    ]  # fmt: skip
    assert rows[0].Author is rows[1].Author
    assert rows[0].Author is await both(both.session.get(Author, 1))


def test_group_by_with_having(session: Session) -> None:
    rows = (
        session.query(Author.name, func.count(Book.id).label("n"))
        .join(Author.books)
        .group_by(Author.name)
        .having(func.count(Book.id) > 1)
        .order_by("-n")
        .all()
    )
    assert rows == [("Ursula", 3), ("Italo", 2)]
    assert rows[0].n == 3


def test_group_by_a_path_and_by_an_expression(session: Session) -> None:
    rows = (
        session.query(Book.author.name, func.count())
        .group_by(Book.author.name)
        .order_by(func.count().desc())
        .all()
    )
    assert rows[0] == ("Ursula", 3)
    long = (Book.pages > 300).label("long")
    rows = session.query(long, func.count().label("n")).group_by(long).order_by("long").all()
    assert [(bool(flag), n) for flag, n in rows] == [(False, 4), (True, 3)]
    assert session.query(Book.in_print, func.count()).group_by("in_print").order_by("in_print").all() == [
        (False, 2),
        (True, 5),
    ]


def test_decimal_aggregates_are_exact(session: Session) -> None:
    prices = [Decimal(row[3]) for row in BOOKS]
    total, mean, least, most = session.query(
        func.sum(Book.price), func.avg(Book.price), func.min(Book.price), func.max(Book.price)
    ).one()
    assert total == sum(prices) == Decimal("148.09")
    assert type(total) is Decimal
    assert abs(mean - sum(prices) / 7) < Decimal("1e-12")
    assert (least, most) == (Decimal("0.10"), Decimal("100.00"))
    rows = (
        session.query(Book.author_id, func.sum(Book.price))
        .group_by(Book.author_id)
        .order_by("author_id")
        .all()
    )
    assert rows == [
        (1, Decimal("29.49")),
        (2, Decimal("10.60")),
        (3, Decimal("100.00")),
        (4, Decimal("8.00")),
    ]
    rows = (
        session.query(Book.author_id)
        .group_by("author_id")
        .having(func.sum(Book.price) > Decimal("10.5"))
        .all()
    )
    assert sorted(rows) == [(1,), (2,), (3,)]
    rows = session.query(Book.author_id).group_by("author_id").order_by(func.sum(Book.price).desc()).all()
    assert rows == [(3,), (1,), (2,), (4,)]


def test_aggregates_of_nothing(session: Session) -> None:
    query = session.query(func.count(), func.sum(Book.price), func.avg(Book.pages), func.max(Book.published))
    assert query.where(Book.id == 99).one() == (0, None, None, None)


def test_other_aggregates(session: Session) -> None:
    row = session.query(
        func.count(Book.rating),
        func.count(Book.author_id, distinct=True),
        func.sum(Book.pages).filter(Book.in_print),
        func.avg(Book.pages),
        func.min(Book.published),
        func.max(Book.title),
    ).one()
    assert row == (5, 4, 1337, sum(b[2] for b in BOOKS) / 7, at(1), "Wave in the Mind")


async def test_annotate_adds_values_to_objects(both: Both) -> None:
    query = both.query(Author).annotate(
        n=func.count(Author.books.id), total=func.sum(Author.books.price), loud=func.upper(Author.name)
    )
    found = await both(query.order_by(Author.id).all())
    assert [(a.n, a.total, a.loud) for a in found[:2]] == [
        (3, Decimal("29.49"), "URSULA"),
        (2, Decimal("10.60"), "ITALO"),
    ]
    assert (found[4].n, found[4].total) == (0, None)
    # Annotations do not make an object changed, nor do they survive in the database.
    assert both.session.dirty == []


def test_annotations_over_two_to_many_paths_do_not_multiply(session: Session) -> None:
    found = (
        session.query(Book)
        .annotate(tags_n=func.count(Book.tags.id), reviews_n=func.count(Book.reviews.id))
        .order_by(Book.id)
        .all()
    )
    assert [(b.tags_n, b.reviews_n) for b in found] == [(len(b[12]), len(b[13])) for b in BOOKS]


def test_annotation_over_a_nested_path(session: Session) -> None:
    found = session.query(Author).annotate(stars=func.sum(Author.books.reviews.stars)).order_by("id").all()
    assert [a.stars for a in found] == [12, 11, 4, 4, None]


def test_annotation_of_joined_groups(session: Session) -> None:
    query = session.query(Author).join(Author.books).group_by(Author.id).annotate(n=func.count(Book.id))
    assert [(a.name, a.n) for a in query.order_by("-n", "id").all()] == [
        ("Ursula", 3), ("Italo", 2), ("Octavia", 1), ("Émile", 1),
    ]  # fmt: skip
    assert query.having(func.count(Book.id) > 1).count() == 2


def test_annotate_adds_columns_to_rows(session: Session) -> None:
    row = (
        session.query(Book.title)
        .annotate(double=Book.pages * 2, author=Book.author.name)
        .where(Book.id == 6)
        .one()
    )
    assert row == ("Kindred", 528, "Octavia")
    assert (row.double, row.author) == (528, "Octavia")


def test_a_new_annotation_replaces_the_old_value_of_an_object(session: Session) -> None:
    query = session.query(Author).where(Author.id == 1)
    assert query.annotate(x=literal(1)).one().x == 1
    assert query.annotate(x=literal("two")).one().x == "two"


def test_an_annotation_cannot_hide_a_field(session: Session) -> None:
    with pytest.raises(QueryError, match="another"):
        session.query(Author).annotate(name=literal("x"))
    with pytest.raises(QueryError, match="another"):
        session.query(Author).annotate(books=literal("x"))
    with pytest.raises(QueryError, match="annotate"):
        session.query(Author).annotate(x=5)


def test_case_and_cast_come_back_typed(session: Session) -> None:
    size = case((Book.pages > 500, "long"), (Book.pages > 200, "middling"), else_="short")
    rows = session.query(size.label("size"), func.count().label("n")).group_by(size).order_by("size").all()
    assert rows == [("long", 1), ("middling", 3), ("short", 3)]
    row = (
        session.query(cast(Book.pages, str), cast(Book.price, float), case((Book.id > 99, 1))).limit(1).one()
    )
    assert row == ("387", 9.99, None)
    assert session.query(func.sum(case((Book.in_print, Book.price), else_=Decimal(0)))).scalar() == Decimal(
        "36.09"
    )


def test_counting_by_several_tables(session: Session) -> None:
    rows = (
        session.query(Publisher.name, func.count(Book.id, distinct=True), func.avg(Review.stars))
        .join(Publisher.books)
        .left_join(Publisher.books.reviews)
        .group_by(Publisher.id)
        .order_by(Publisher.id)
        .all()
    )
    assert rows == [("Ace", 2, 4.0), ("Einaudi", 2, pytest.approx(11 / 3)), ("Unknown House", 1, 2.0)]


def test_rows_over_composite_keys(session: Session) -> None:
    rows = session.query(Copy.id, Copy.edition.year).order_by(Copy.id).all()
    assert rows == [(1, 1999), (2, 2004), (3, 2004), (4, None), (5, 2010)]
    rows = (
        session.query(Edition, func.count(Copy.id))
        .left_join(Edition.copies)
        .group_by(Edition.code, Edition.number)
    )
    assert sorted((e.code, e.number, n) for e, n in rows.all()) == [("A", 1, 1), ("A", 2, 2), ("B", 1, 1)]


@pytest.mark.parametrize("wrong", [(), ("title",), (5,), (Book, "title"), (None,), (int,)])
def test_what_cannot_be_selected(session: Session, wrong: Any) -> None:
    with pytest.raises(QueryError):
        session.query(*wrong)


def test_a_relation_is_not_selected_but_included(session: Session) -> None:
    with pytest.raises(QueryError, match="include"):
        session.query(Book.author)
    with pytest.raises(QueryError, match="table"):
        session.query(func.count())


def test_a_to_many_column_outside_an_aggregate_needs_a_join(session: Session) -> None:
    with pytest.raises(QueryError, match="join"):
        session.query(Author.books.title).all()


def test_a_group_of_one_author_row(session: Session) -> None:
    assert len(AUTHORS) == session.query(func.count(Author.id)).scalar()


def test_labels_go_before_the_methods_of_tuples(session: Session) -> None:
    row = session.execute('SELECT 3 AS "count", 4 AS "index", 5 AS "__len__", 6 AS "_asdict"').one()
    assert (row.count, row.index, row._asdict, len(row)) == (3, 4, 6, 4)
    assert pickle.loads(pickle.dumps(row)).count == 3
    counted = session.query(Book.title, func.count(Book.id).label("count")).group_by(Book.title).first()
    assert counted is not None
    assert counted.count == 1
