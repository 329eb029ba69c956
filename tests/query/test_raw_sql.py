"""Raw SQL: placeholders of every style, and `sql()` templates with lists, fragments, queries and names."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import QueryError, Select, Session, sql
from tests.query.conftest import Both
from tests.query.models import Book, Edition, Tag


@pytest.mark.requirement("R41", "R46", "R47")
@pytest.mark.parametrize(
    ("text", "params", "expected"),
    [
        ("SELECT '?', \"name\", ? FROM tag WHERE id = ? -- what? :x %s\n/* ? :y */", [5, 1], ("?", "sf", 5)),
        ("SELECT '%s ?', %s", [5], ("%s ?", 5)),
        ("SELECT ':a', :a, :b, :a", {"a": 1, "b": 2}, (":a", 1, 2, 1)),
        ("SELECT '12:30', 10 % 3, :x", {"x": 1}, ("12:30", 1, 1)),
        ("SELECT 'it''s ?', ?", [1], ("it's ?", 1)),
        ("SELECT %(x)s, '%(x)s'", {"x": 7}, (7, "%(x)s")),
        ("SELECT 100 % 7, '100%'", None, (2, "100%")),
        ("SELECT `name` || ? FROM tag WHERE id = 1", ("?",), ("sf?",)),
    ],
)
async def test_placeholders_are_told_from_text(both: Both, text: str, params: Any, expected: Any) -> None:
    arguments = [text] if params is None else [text, params]
    assert await both((await both(both.session.execute(*arguments))).first()) == expected
    assert await both(both.session.exec_one(*arguments)) == expected
    assert await both(both.session.exec_scalar(*arguments)) == expected[0]


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("SELECT :a", {"b": 1}, "no value for :a"),
        ("SELECT :a", None, "no value for :a"),
        ("SELECT :a", {"a": 1, "aa": 2}, "does not use the parameter 'aa'"),
        ("SELECT ?, ?", [1], "2 placeholders, but 1 parameters"),
        ("SELECT ?", [1, 2], "1 placeholders, but 2 parameters"),
        ("SELECT %s", [1, 2], "1 placeholders, but 2 parameters"),
        ("SELECT ?", None, "no parameters were given"),
        ("SELECT ?, :a", [1], r"mixes placeholders \(\?, :a\): name all .* give a dict"),
        ("SELECT ?, :a", {"a": 1}, "mixes placeholders"),
        ("SELECT %s, :a", [1], "mixes placeholders"),
        ("SELECT 1", [1], "0 placeholders, but 1 parameters"),
        ("SELECT :a", [1], "give a dict"),
        ("SELECT ?", {"a": 1}, "does not use the parameter 'a'"),
        ("SELECT ?", "x", "a list, a tuple or a dict, not str"),
        ("SELECT ?", 5, "a list, a tuple or a dict, not int"),
    ],
)
async def test_wrong_counts_and_names_are_refused(both: Both, text: str, params: Any, message: str) -> None:
    before = both.statements
    for run in (both.session.execute, both.session.exec_scalar):
        with pytest.raises(QueryError, match=message):
            await both(run(text) if params is None else run(text, params))
    assert both.statements == before


async def rows(both: Both, template: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await both((await both(both.session.execute(template))).all())]


@pytest.mark.requirement("R46")
async def test_templates_bind_values_and_lists(both: Both) -> None:
    template = sql(
        "SELECT id FROM tag WHERE id IN {ids} AND name <> {name}", ids=[1, 2, 9], name="' OR 1=1 --"
    )
    assert await rows(both, template) == [(1,), (2,)]
    assert await rows(both, sql("SELECT id FROM tag WHERE id IN {ids}", ids=[])) == []
    assert await rows(both, sql("SELECT id FROM tag WHERE id NOT IN {ids}", ids=range_set(2))) == [(3,), (4,)]
    many = list(range(3, 100_000))
    assert await rows(both, sql("SELECT count(*) FROM tag WHERE id IN {ids}", ids=many)) == [(2,)]
    assert await rows(both, sql("SELECT '{{}}', {x}, '{{x}}'", x=None)) == [("{}", None, "{x}")]


def range_set(top: int) -> set[int]:
    return set(range(1, top + 1))


async def test_templates_take_fragments_queries_and_names(both: Both) -> None:
    part = sql("id = {x}", x=2)
    assert await rows(both, sql("SELECT name FROM tag WHERE {a} OR {b}", a=part, b=sql("id = {x}", x=1))) == [
        ("sf",),
        ("classic",),
    ]
    assert await rows(both, sql("SELECT count(*) FROM tag WHERE {a} AND {a}", a=part)) == [(1,)]
    query = Select(Tag.id).where(Tag.id > 2)
    assert await rows(both, sql("SELECT id FROM tag WHERE id IN {q}", q=query)) == [(3,), (4,)]
    assert await rows(both, sql("SELECT count(*) FROM ({q}) x", q=query)) == [(2,)]
    template = sql(
        "SELECT {name} FROM {tag} WHERE {condition} ORDER BY {name}",
        name=Tag.name, tag=Tag, condition=Tag.id.in_([1, 3]),
    )  # fmt: skip
    assert await rows(both, template) == [("sf",), ("short",)]
    assert await rows(
        both, sql("SELECT count(*) FROM {e} WHERE {y} > {x}", e=Edition, y=Edition.year, x=2000)
    ) == [(2,)]
    found = await both(
        both.query(Book)
        .where(sql("{p} > {n}", p=Book.pages, n=300))
        .order_by(sql("{p} DESC", p=Book.pages))
        .all()
    )
    assert [book.id for book in found] == [7, 1, 3]


def test_a_template_carries_its_values(session: Session) -> None:
    with pytest.raises(QueryError, match="carries its values"):
        session.execute(sql("SELECT {x}", x=1), [1])
    with pytest.raises(QueryError, match="cannot be sent"):
        sql("SELECT * FROM {t}", t=dict)


@pytest.mark.requirement("R43", "R111")
async def test_a_helper_counts_by_raw_sql(both: Both) -> None:
    assert await both(both.session.exec_scalar("SELECT COUNT(*) FROM author")) == 5
    assert await both(both.session.exec_one("SELECT id FROM author WHERE id = ?", [99])) is None
    assert await both(both.session.exec_scalar("SELECT id FROM author WHERE id = ?", [99])) is None
