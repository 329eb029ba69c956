"""Explicit joins: by path and by model, left, nested, of one table twice, and by alias."""

from __future__ import annotations

from decimal import Decimal

import pytest

from blaze import CTE, QueryError, Select, Session, alias, func
from tests.query.conftest import Both
from tests.query.models import Author, Book, Copy, Edition, Publisher, Review, Tag


async def test_a_joined_model_is_named_by_its_class(both: Both) -> None:
    rows = await both(
        both.query(Author.name, Book.title).join(Author.books).where(Book.price > 11).order_by(Book.id).all()
    )
    assert rows == [("Ursula", "Wave in the Mind"), ("Octavia", "Kindred")]


def test_a_left_join_keeps_rows_without_counterpart(session: Session) -> None:
    rows = session.query(Author.name, Book.title).left_join(Author.books).where(Book.id.is_(None)).all()
    assert rows == [("Nobody", None)]


def test_a_join_by_name(session: Session) -> None:
    query = session.query(Author).join("books")
    assert [a.id for a in query.where(Book.price > 50).all()] == [3]
    assert session.query(Book).join("author__mentor").where(Book.author.mentor.name == "Ursula").count() == 3
    assert session.query(Book).join("author.mentor").count() == 4


def test_a_nested_join(session: Session) -> None:
    rows = (
        session.query(Author.name, Tag.name.label("tag"))
        .join(Author.books)
        .join(Author.books.tags)
        .where(Tag.name == "sf")
        .order_by(Author.id)
        .all()
    )
    assert rows == [("Ursula", "sf"), ("Ursula", "sf"), ("Octavia", "sf")]
    rows = (
        session.query(Author.name, func.count(Review.id)).join(Author.books.reviews).group_by(Author.id).all()
    )
    assert sorted(rows) == [("Italo", 3), ("Octavia", 1), ("Ursula", 3), ("Émile", 2)]


def test_a_join_through_a_many_to_many_relation(session: Session) -> None:
    rows = (
        session.query(Tag.name, func.count(Book.id))
        .left_join(Tag.books)
        .group_by(Tag.id)
        .order_by(Tag.id)
        .all()
    )
    assert rows == [("sf", 3), ("classic", 3), ("short", 3), ("unused", 0)]


def test_one_table_joined_by_two_foreign_keys(session: Session) -> None:
    query = session.query(Book.title, Book.author.name, Book.editor.name).join(Book.author).join(Book.editor)
    assert query.order_by(Book.id).first() == ("The Dispossessed", "Ursula", "Italo")
    assert query.count() == 4
    with pytest.raises(QueryError, match=r"author.*editor"):
        query.where(Author.name == "Ursula").all()


def test_a_model_joined_on_a_condition(session: Session) -> None:
    rows = (
        session.query(Author.name, Book.title)
        .join(Book, on=(Book.editor_id == Author.id) & (Book.price > 50))
        .all()
    )
    assert rows == [("Ursula", "Kindred")]
    rows = (
        session.query(Author.name, Book.title)
        .left_join(Book, on=Book.editor_id == Author.id)
        .order_by(Author.id)
    )
    assert len(rows.all()) == 6


def test_a_relation_joined_with_a_further_condition(session: Session) -> None:
    rows = (
        session.query(Author.name, func.count(Book.id).label("n"))
        .left_join(Author.books, on=Author.books.price > 10)
        .group_by(Author.id)
        .order_by(Author.id)
        .all()
    )
    assert [row.n for row in rows] == [1, 1, 1, 0, 0]


def test_a_self_relation(session: Session) -> None:
    rows = (
        session.query(Author.name, Author.mentor.name.label("mentor"))
        .join(Author.mentor)
        .order_by(Author.id)
        .all()
    )
    assert rows == [("Italo", "Ursula"), ("Octavia", "Ursula"), ("Émile", "Octavia")]
    rows = (
        session.query(Author.name, Author.pupils.name.label("pupil"))
        .join(Author.pupils)
        .order_by(Author.id)
        .all()
    )
    assert sorted(rows) == [("Octavia", "Émile"), ("Ursula", "Italo"), ("Ursula", "Octavia")]


def test_an_alias_joins_a_table_to_itself(session: Session) -> None:
    other = alias(Book, "other")
    rows = (
        session.query(Book.title, other.title.label("dearer"))
        .join(other, on=(other.author_id == Book.author_id) & (other.price > Book.price))
        .order_by(Book.id, other.id)
        .all()
    )
    assert rows == [
        ("The Dispossessed", "Wave in the Mind"),
        ("The Lathe", "The Dispossessed"),
        ("The Lathe", "Wave in the Mind"),
        ("100% Cotton_Wool", "Invisible Cities"),
    ]


def test_an_alias_is_queried_like_its_model(session: Session) -> None:
    a = alias(Author, "a")
    found = session.query(a).where(a.name == "Italo").one()
    assert found is session.get_one(Author, 2)
    assert session.query(a).filter(books__price__gt=50).one().name == "Octavia"
    assert session.query(a).order_by("-name").first().name == "Émile"
    assert session.query(a).first().id == 1
    assert session.query(a).where(a.books.price > 50).count() == 1
    assert session.query(a.name, a.mentor.name).where(a.mentor.name == "Octavia").all() == [
        ("Émile", "Octavia")
    ]
    assert [x.books[0].id for x in session.query(a).include(a.books).where(a.id == 2).all()] == [4]
    assert session.query(a).select_related("mentor").where(a.id == 2).one().mentor.name == "Ursula"


def test_an_alias_in_a_row(session: Session) -> None:
    boss = alias(Author, "boss")
    rows = session.query(Author, boss).join(boss, on=Author.mentor_id == boss.id).order_by(Author.id).all()
    assert [(row.Author.name, row.boss.name) for row in rows] == [
        ("Italo", "Ursula"), ("Octavia", "Ursula"), ("Émile", "Octavia"),
    ]  # fmt: skip
    assert rows[0].boss is rows[1].boss


def test_aliases_of_the_same_name_are_the_same_place(session: Session) -> None:
    assert session.query(alias(Tag, "t")).where(alias(Tag, "t").id == 1).count() == 1


def test_what_is_no_alias() -> None:
    with pytest.raises(QueryError, match="model"):
        alias("author", "a")  # type: ignore[type-var]
    with pytest.raises(QueryError, match="name"):
        alias(Author, "")
    with pytest.raises(QueryError, match="title"):
        _ = alias(Book, "b").titel


def test_a_query_joined_as_a_table(session: Session) -> None:
    stats = (
        Select(Book.author_id, func.sum(Book.price).label("total"))
        .where(Book.pages > 20)
        .group_by(Book.author_id)
    )
    t = stats.alias("stats")
    rows = (
        session.query(Author.name, t.c.total)
        .left_join(t, on=t.c.author_id == Author.id)
        .where(Author.id < 4)
        .order_by(t.c.total.desc())
        .all()
    )
    assert rows == [("Octavia", Decimal("100.00")), ("Ursula", Decimal("29.49")), ("Italo", Decimal("10.50"))]
    found = (
        session.query(Author).join(t, on=(t.c.author_id == Author.id) & (t.c.total > 20)).order_by("id").all()
    )
    assert [a.id for a in found] == [1, 3]


def test_selecting_from_a_query(session: Session) -> None:
    t = (
        Select(Book.author_id, func.count().label("n"))
        .where(Book.pages > 20)
        .group_by(Book.author_id)
        .alias("t")
    )
    assert session.query(func.max(t.c.n)).where(t.c.n < 3).scalar() == 1
    assert session.query(t.c.author_id, t.c.n).where(t.c.n > 1).all() == [(1, 3)]
    assert session.query(t.c.author_id).where(t.c.n > 0).count() == 4
    assert session.query(t.c.n).where(t.c.author_id == 2).order_by("n").scalar() == 1
    whole = Select(Book).where(Book.price > 11).alias("dear")
    assert sorted(session.query(whole.c.title).scalars()) == ["Kindred", "Wave in the Mind"]
    with pytest.raises(QueryError, match="author_id"):
        _ = t.c.author
    with pytest.raises(QueryError, match="column"):
        session.query(t)


def test_joins_that_cannot_work(session: Session) -> None:
    query = session.query(Author)
    with pytest.raises(QueryError, match="on="):
        query.join(Book)
    with pytest.raises(QueryError, match="on="):
        query.join(alias(Book, "b"))
    with pytest.raises(QueryError, match="join"):
        query.join(Author.name)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="books"):
        query.join("boks")
    with pytest.raises(QueryError, match="twice"):
        query.join(Author.books).join(Author.books).all()
    with pytest.raises(QueryError, match="join it"):
        query.where(Book.price > 5).all()
    with pytest.raises(QueryError):
        query.join(Book, on=True)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="not part"):
        query.where(Copy.shelf == "x").all()


def test_joins_by_composite_keys(session: Session) -> None:
    rows = session.query(Copy.id, Edition.year).join(Copy.edition).order_by(Copy.id).all()
    assert rows == [(1, 1999), (2, 2004), (3, 2004), (5, 2010)]


def test_a_condition_on_a_joined_path_uses_the_join(session: Session) -> None:
    query = session.query(Author.name).join(Author.books).where(Author.books.price > 9, Book.pages < 300)
    assert sorted(query.scalars()) == ["Italo", "Octavia"]
    assert "EXISTS" not in query.to_sql()[0]


def test_a_recursive_cte_walks_a_tree(session: Session) -> None:
    base = Select(Author.id, Author.name, Author.mentor_id).where(Author.id == 4)
    chain = CTE("chain", base)
    chain = chain.recurse(
        Select(Author.id, Author.name, Author.mentor_id).join(chain, on=chain.c.mentor_id == Author.id)
    )
    rows = session.query(chain.c.name).with_cte(chain).all()
    assert rows == [("Émile",), ("Octavia",), ("Ursula",)]
    assert session.query(chain.c.name).with_cte(chain).count() == 3
    assert session.query(Author).with_cte(chain).join(chain, on=chain.c.id == Author.id).count() == 3
    ids = Select(chain.c.id)
    assert session.query(Book).with_cte(chain).where(Book.author_id.in_(ids), Book.pages > 200).count() == 4


def test_a_cte_is_used_twice(session: Session) -> None:
    dear = CTE("dear", Select(Book.id, Book.author_id, Book.price).where(Book.price > 9))
    query = (
        session.query(Author.name, func.count(dear.c.id).label("n"))
        .with_cte(dear)
        .join(dear, on=dear.c.author_id == Author.id)
        .where(Author.id.in_(Select(dear.c.author_id).where(dear.c.price < 12)))
        .group_by(Author.id)
        .order_by(Author.id)
    )
    assert query.all() == [("Ursula", 2), ("Italo", 1)]


def test_a_cte_that_the_query_does_not_have(session: Session) -> None:
    lost = CTE("lost", Select(Book.id))
    with pytest.raises(QueryError, match="with_cte"):
        session.query(lost.c.id).all()
    with pytest.raises(QueryError, match="with_cte"):
        session.query(Book).join(lost, on=lost.c.id == Book.id).all()


async def test_joins_in_both_sessions(both: Both) -> None:
    query = (
        both.query(Publisher.name, func.count(Book.id).label("n"))
        .join(Publisher.books)
        .group_by(Publisher.id)
    )
    assert sorted(await both(query.all())) == [("Ace", 2), ("Einaudi", 2), ("Unknown House", 1)]
