"""The text of queries, plans, raw SQL and templates."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from blaze import Q, QueryError, Select, Session, SessionError, func, sql
from tests.query.conftest import Both
from tests.query.models import Author, Book, Tag


async def test_the_text_of_a_query(both: Both) -> None:
    query = both.query(Book.title).where(Book.price < 20, Book.author.name == "x").limit(3)
    text, params = query.to_sql()
    assert text == (
        'SELECT t0."title" FROM "book" AS t0 INNER JOIN "author" AS t1 ON t1."id" = t0."author_id" '
        'WHERE t0."price" < ? AND t1."name" = ? LIMIT ?'
    )
    assert params == ("20", "x", 3)
    unbound = Select(Book.title).where(Book.price < 20, Book.author.name == "x").limit(3)
    assert unbound.to_sql(both.session.dialect) == (text, params)
    assert query.to_sql(both.session.dialect) == (text, params)
    with pytest.raises(QueryError, match="dialect"):
        unbound.to_sql()


def test_the_same_shape_has_the_same_text(session: Session) -> None:
    texts = set()
    for n in range(5):
        query = session.query(Book).filter(Q(pages__gt=n) | Q(id__in=range(n))).order_by("id")[n : n + 3]
        texts.add(query.to_sql()[0])
    assert len(texts) == 2  # with and without an offset


async def test_explain(both: Both) -> None:
    plan = await both(both.query(Author).where(Author.name == "x").explain())
    assert "name" in plan
    assert "USING" in plan
    assert await both(both.query(Book).where(Book.pages > 1).explain())


def test_names_are_quoted_and_values_bound(session: Session) -> None:
    evil = "'; DROP TABLE book; --"
    assert session.query(Book).where(Book.title == evil).all() == []
    assert session.query(Book).filter(title__in=[evil], author__name__contains=evil).all() == []
    row = session.query(Book.title.label('x"; DROP TABLE book; --')).limit(1).one()
    assert len(row) == 1
    with pytest.raises(QueryError):
        session.query(Book).order_by("title; DROP TABLE book")
    with pytest.raises(QueryError):
        session.query(Book).filter(**{"title = '' OR 1=1 --": 1})
    with pytest.raises(QueryError):
        func.__getitem__("lower(x); DROP TABLE book")
    with pytest.raises(QueryError):
        session.query(Book).annotate(**{"x\0": func.lower(Book.title)})
    assert session.query(Book).count() == 7


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("SELECT title FROM book WHERE id = ? AND pages > ?", [1, 5]),
        ("SELECT title FROM book WHERE id = %s AND pages > %s", (1, 5)),
        ("SELECT title FROM book WHERE id = :id AND pages > :pages", {"id": 1, "pages": 5}),
        ("SELECT title FROM book WHERE id = :id AND pages > :id", {"id": 1}),
        ("SELECT title FROM book WHERE title <> '?' AND id = ? -- what?\n /* ? :x %s */", [1]),
        ("SELECT title FROM book WHERE title <> '%s' AND title <> ':x' AND id = %s", [1]),
        ("SELECT title FROM book WHERE 5 % 2 = 1 AND id = ?", [1]),
    ],
)
async def test_raw_sql_takes_every_placeholder(both: Both, text: str, params: Any) -> None:
    result = await both(both.session.execute(text, params))
    rows = await both(result.all())
    assert [row.title for row in rows] == ["The Dispossessed"]


async def test_raw_results(both: Both) -> None:
    result = await both(both.session.execute("SELECT id, name FROM tag ORDER BY id"))
    rows = await both(result.all())
    assert rows[0] == (1, "sf")
    assert (rows[0].id, rows[0].name) == (1, "sf")
    assert await both(both.session.exec_scalar("SELECT count(*) FROM book")) == 7
    assert await both(both.session.exec_one("SELECT name FROM tag WHERE id = 2")) == ("classic",)
    assert await both(both.session.exec_one("SELECT name FROM tag WHERE id = 99")) is None
    result = await both(both.session.execute("UPDATE tag SET name = name || ?", ["!"]))
    assert result.rowcount == 4


def test_raw_sql_that_cannot_be(session: Session) -> None:
    for text, params in (
        ("SELECT ?", []),
        ("SELECT ?", [1, 2]),
        ("SELECT :a", {}),
        ("SELECT :a", {"a": 1, "b": 2}),
        ("SELECT :a", [1]),
        ("SELECT ?", "x"),
        ("SELECT ?", 5),
    ):
        with pytest.raises(QueryError):
            session.execute(text, params)
    with pytest.raises(SessionError, match="transaction"):
        session.execute("COMMIT")
    with pytest.raises(QueryError):
        session.execute(5)


def test_templates_stand_as_statements(session: Session) -> None:
    rows = session.execute(sql("SELECT title FROM book WHERE id = {x} AND '{{}}' <> ''", x=1)).all()
    assert rows == [("The Dispossessed",)]
    rows = session.execute(sql("SELECT id FROM book WHERE id IN {ids} ORDER BY id", ids=[1, 4, 99])).all()
    assert rows == [(1,), (4,)]
    rows = session.execute(sql("SELECT id FROM book WHERE {col} = {v}", col=Book.title, v="Kindred")).all()
    assert rows == [(6,)]
    with pytest.raises(QueryError, match="values"):
        session.execute(sql("SELECT {x}", x=1), [1])


def test_templates_stand_as_conditions_and_columns(session: Session) -> None:
    query = session.query(Book)
    assert [b.id for b in query.where(sql("{p} % {n} = 0", p=Book.pages, n=11)).order_by("id").all()] == [
        4,
        6,
    ]
    assert query.where(sql("{a} = {x}", a=Book.author.name, x="Italo"), Book.pages > 20).one().id == 4
    rows = (
        session.query(Book.id, sql("{p} * 2", p=Book.price, type=Decimal).label("x"))
        .where(Book.id == 4)
        .all()
    )
    assert rows == [(4, Decimal("21.0"))]
    assert session.query(Book).order_by(sql("-{p}", p=Book.pages)).first().id == 7
    subquery = Select(Book.author_id).where(Book.price > 50)
    assert session.query(Author).where(sql("{a} IN {q}", a=Author.id, q=subquery)).one().id == 3


def test_the_type_of_a_template_decides_how_rows_are_read(session: Session) -> None:
    def read(kind: Any) -> Any:
        return session.query(Tag.id, sql("'1.50'", type=kind).label("x")).limit(1).one().x

    assert (read(str), read(Decimal)) == ("1.50", Decimal("1.50"))
    assert type(session.query(func.trim(Tag.name).label("x")).limit(1).scalar()) is str

    def call(kind: Any) -> Any:
        return session.query(Tag.id, func.printf("%s", "2.5", type=kind)).limit(1).one()[1]

    assert (call(str), call(Decimal)) == ("2.5", Decimal("2.5"))


def test_a_template_never_passes_for_a_column(session: Session) -> None:
    key = Book.pages.key
    assert sql(key).key != sql("{x}", x=Book.pages).key


@pytest.mark.parametrize(
    "make",
    [
        lambda: sql("SELECT {x}"),
        lambda: sql("SELECT 1", x=1),
        lambda: sql("SELECT {x y}", x=1),
        lambda: sql("SELECT }"),
        lambda: sql("SELECT {"),
        lambda: sql("SELECT {x}", x=object()),
        lambda: sql(5),  # type: ignore[arg-type]
    ],
)
def test_broken_templates(make: Any) -> None:
    with pytest.raises(QueryError):
        make()
