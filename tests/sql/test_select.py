"""SELECT: the text, and the rows that SQLite gives."""

from __future__ import annotations

import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any, Callable

import pytest

from blaze.errors import CapabilityError, QueryError
from blaze.sql.builders import CompoundBuilder, SelectBuilder
from blaze.sql.derived import CTE, Derived
from blaze.sql.expressions import ScalarSubquery
from blaze.sql.functions import case, cast, compare_rows, exists, func, literal
from tests.sql.library import (
    DAY,
    Place,
    author,
    author_books,
    author_books_tags,
    author_edited,
    book,
    book_author,
    book_editor,
    book_tags,
    compiled,
    dialect,
    select,
)

Fetch = Callable[[Any], list[Any]]


def text(builder: Any) -> str:
    return compiled(builder.build())[0]


def test_a_single_table_needs_no_alias() -> None:
    query = (
        select(book, book.id, book.title)
        .where(book.price < 20)
        .order_by(book.title.desc())
        .limit(2)
        .offset(1)
    )
    assert compiled(query.build()) == (
        'SELECT "book"."id", "book"."title" FROM "book" WHERE "book"."price" < ? '
        'ORDER BY "book"."title" DESC LIMIT ? OFFSET ?',
        ("20", 2, 1),
    )


def test_every_name_is_quoted() -> None:
    assert '"x""; --"' in text(select(book, book.id.label('x"; --')))


def test_to_one_paths_join_themselves(fetch: Fetch) -> None:
    query = select(book, book.id, book_author.name, book_editor.name).order_by(book.id)
    assert text(query) == (
        'SELECT t0."id", t1."name", t2."name" FROM "book" AS t0 '
        'INNER JOIN "author" AS t1 ON t1."id" = t0."author_id" '
        'LEFT JOIN "author" AS t2 ON t2."id" = t0."editor_id" ORDER BY t0."id"'
    )
    query = select(book, book.id, book_author.name, book_editor.name).order_by(book.id)
    assert fetch(query)[:2] == [(1, "Ursula", "Stanisław"), (2, "Ursula", None)]


def test_conditions_on_to_many_paths_give_no_duplicates(fetch: Fetch) -> None:
    cheap = select(author).where(author_books.price < 50)
    assert text(cheap) == (
        'SELECT t0."id" FROM "author" AS t0 WHERE '
        'EXISTS (SELECT 1 FROM "book" AS t1 WHERE t1."author_id" = t0."id" AND t1."price" < ?)'
    )
    assert fetch(select(author).where(author_books.price < 50)) == [1, 2]
    assert fetch(select(author).where(~(author_books.price < 50))) == [3]
    assert fetch(select(author).where((author_books.price > 50) | (author.name == "Ärne"))) == [2, 3]


def test_conditions_of_one_group_speak_of_one_row(fetch: Fetch) -> None:
    one = (author_books.price > 50, author_books.title == "the dispossessed")
    assert fetch(select(author).where(*one)) == []
    assert fetch(select(author).where(one[0]).where(one[1])) == [2]
    assert text(select(author).where(*one)).count("EXISTS") == 1
    assert text(select(author).where(one[0] & (author.id > 0) & one[1])).count("EXISTS") == 1


def test_many_to_many_and_nested_paths(fetch: Fetch) -> None:
    assert fetch(select(book).where(book_tags.name == "sf")) == [1, 4]
    assert fetch(select(author).where(author_books_tags.name == "classic")) == [1]
    both = select(author).where(author_books.price > 10, author_books_tags.name == "classic")
    assert fetch(both) == [1]
    assert fetch(select(author).where(author_books.price > 90, author_books_tags.name == "sf")) == []
    assert fetch(select(author).where(author_books.weight > author_edited.weight)) == [1, 2]


def test_a_missing_related_row_is_found_by_its_key(fetch: Fetch) -> None:
    assert fetch(select(author).where(author_books.id.is_(None))) == [3]
    assert fetch(select(author).where(author_books.id.is_not(None))) == [1, 2]
    assert fetch(select(book).where(book_tags.id.is_(None))) == [3]
    assert fetch(select(author).where(author_books.published.is_(None))) == [2]
    assert fetch(select(book).where(book_editor.name.is_(None)).order_by(book.id)) == [2, 4]


def test_aggregates_over_paths_do_not_multiply(fetch: Fetch) -> None:
    n, m = func.count(author_books.id).label("n"), func.count(author_books_tags.id).label("m")
    query = select(author, author.name, n, m).order_by(n.desc(), author.id)
    assert fetch(query) == [("Ursula", 2, 3), ("Stanisław", 2, 1), ("Ärne", 0, 0)]
    assert fetch(select(author).where(func.count(author_books.id) > 1)) == [1, 2]
    totals = fetch(select(author, author.id, func.sum(author_books.price)))
    assert totals == [(1, "20.49"), (2, "109.990"), (3, None)]


def test_explicit_joins_and_groups(fetch: Fetch) -> None:
    n = func.count(book.id)
    query = (
        select(author, author.name, n.label("n"), func.sum(book.price))
        .join(author_books.source)
        .group_by(author.name)
        .having(n > 1, func.sum(book.price) > Decimal("20.490"))
    )
    assert fetch(query) == [("Stanisław", 2, "109.990")]
    left = (
        select(author, author.id, func.count(book.id)).join(author_books.source, "left").group_by(author.id)
    )
    assert fetch(left) == [(1, 2), (2, 2), (3, 0)]
    on = select(author).join(author_books.source, "left", author_books.price > 50).where(book.id.is_(None))
    assert fetch(on.order_by(author.id)) == [1, 3]
    deep = select(author, author.id, author_books_tags.name).join(author_books_tags.source)
    assert sorted(fetch(deep)) == [(1, "classic"), (1, "classic"), (1, "sf"), (2, "sf")]


def test_paths_of_a_joined_table_share_its_join() -> None:
    sql = text(select(author, author.id, book_editor.name, book.title).join(author_books.source))
    assert sql.count("JOIN") == 2
    assert 't1."title"' in sql


def test_what_is_not_joined_is_named(fetch: Fetch) -> None:
    with pytest.raises(QueryError, match="book is not part of the query of author: join it"):
        text(select(author, book.title))
    with pytest.raises(QueryError, match=r"author\.books has many rows.*join it"):
        text(select(author, author_books.title))
    both = select(author, book.title).join(author_books.source).join(author_edited.source)
    with pytest.raises(
        QueryError, match=r"joined several times: write the path.*author\.books or author\.edited"
    ):
        text(both)
    with pytest.raises(QueryError, match="joined twice"):
        text(select(author).join(author_books.source).join(author_books.source))
    with pytest.raises(QueryError, match="cannot combine"):
        text(select(author, func.sum(author_books.weight + author_edited.weight)))


def test_self_joins_use_aliases(fetch: Fetch) -> None:
    other = Place(book.source.alias("other"))
    query = (
        select(book, book.id, other.id)
        .join(other.source, on=(other.author_id == book.author_id) & (other.id > book.id))
        .order_by(book.id)
    )
    assert fetch(query) == [(1, 2), (3, 4)]


def test_subqueries_are_correlated(fetch: Fetch) -> None:
    inner = select(book).where(book.author_id == author.id, book.price > 50).build()
    assert fetch(select(author).where(exists(inner))) == [2]
    assert fetch(select(author).where(~exists(inner), author.id > 1)) == [3]
    assert fetch(select(author).where(author.id.in_(select(book, book.author_id).build()))) == [1, 2]
    assert fetch(select(author).where(author.id.not_in(select(book, book.author_id).build()))) == [3]
    dearest = select(book, func.max(book.price)).where(book.author_id == author.id).build()
    assert fetch(select(author, author.id, ScalarSubquery(dearest).label("top"))) == [
        (1, "10.50"),
        (2, "100.00"),
        (3, None),
    ]
    assert fetch(select(book).where(book.price == select(book, func.max(book.price)).build())) == [3]


def test_binds_of_nested_queries_keep_their_places(fetch: Fetch) -> None:
    inner = select(book, book.author_id).where(book.price > 50).limit(5).build()
    query = (
        SelectBuilder(author.source)
        .where(author.id.in_(inner), author.id > 0)
        .limit(7)
        .where(author.name != "x")
        .columns(author.id, literal("tail"))
    )
    assert query.build().binds == (50, 5, 0, 7, "x", "tail")
    query = (
        SelectBuilder(author.source)
        .where(author.id.in_(inner), author.id > 0)
        .limit(7)
        .where(author.name != "x")
        .columns(author.id, literal("tail"))
    )
    assert compiled(query.build())[1] == ("tail", "50", 5, 0, "x", 7)
    assert fetch(select(author).where(author.id.in_(inner))) == [2]


def test_derived_tables_and_ctes(fetch: Fetch) -> None:
    sums = select(book, book.author_id, func.sum(book.price).label("total")).group_by(book.author_id).build()
    derived = Derived("sums", sums)
    query = (
        select(author, author.name, derived.c.total)
        .join(derived.source, on=derived.c.author_id == author.id)
        .where(derived.c.total > 50)
    )
    assert fetch(query) == [("Stanisław", "109.990")]
    cte = CTE("sums", sums)
    query = SelectBuilder(cte.source).with_cte(cte).columns(cte.c.author_id).where(cte.c.total < 50)
    assert fetch(query) == [1]
    with pytest.raises(QueryError, match="did you mean 'total'"):
        _ = derived.c.totals
    with pytest.raises(QueryError, match="label"):
        Derived("x", select(book, func.count()).build())


def test_recursive_ctes(fetch: Fetch) -> None:
    base = select(book, literal(1).label("n")).limit(1).build()
    numbers = CTE("numbers", base)
    step = SelectBuilder(numbers.source).columns((numbers.c.n + 1).label("n")).where(numbers.c.n < 5).build()
    base = select(book, literal(1).label("n")).where(book.id == 1).build()
    numbers = CTE("numbers", base).recurse(step)
    assert fetch(SelectBuilder(numbers.source).with_cte(numbers).columns(numbers.c.n)) == [1, 2, 3, 4, 5]


def test_set_operations(fetch: Fetch) -> None:
    def query(*conditions: Any) -> SelectBuilder:
        return select(book, book.id, book.price).where(*conditions)

    union = CompoundBuilder(query(book.id < 3).build()).add("UNION", query(book.id > 1).build())
    union.order_by(book.price.desc(), book.id).limit(3)
    assert fetch(union) == [(3, "100.00"), (2, "10.50"), (1, "9.99")]
    assert fetch(
        CompoundBuilder(query(book.id < 3).build()).add("INTERSECT", query(book.id > 1).build())
    ) == [(2, "10.50")]
    limited = CompoundBuilder(query().order_by(book.id).limit(1).build())
    limited.add("UNION ALL", query().order_by(book.id.desc()).limit(1).build()).order_by(book.id)
    assert fetch(limited) == [(1, "9.99"), (4, "9.990")]
    with pytest.raises(QueryError, match="not selected"):
        text(CompoundBuilder(query().build()).add("UNION", query().build()).order_by(book.title))
    with pytest.raises(QueryError, match="columns"):
        CompoundBuilder(query().build()).add("UNION", select(book).build()).build()


def test_window_functions(fetch: Fetch) -> None:
    running = func.sum(book.weight).over(book.author_id, book.id, rows=(None, 0))
    number = func.row_number().over(order_by=book.price.desc())
    query = select(book, book.id, running, number).order_by(book.id)
    assert "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW" in text(
        select(book, func.sum(book.weight).over(order_by=book.id, rows=(None, 0)))
    )
    assert fetch(query) == [(1, 0.3, 3), (2, 0.4, 2), (3, 1e-7, 1), (4, 2.5000001, 4)]
    with pytest.raises(QueryError, match="one frame"):
        func.count().over(rows=(0, 1), range=(0, 1))
    with pytest.raises(QueryError, match="ends before"):
        func.count().over(rows=(1, 0))


def test_windows_over_decimals(fetch: Fetch) -> None:
    query = select(book, func.sum(book.price).over(order_by=book.id)).order_by(book.id)
    if sys.version_info >= (3, 11):
        assert fetch(query) == ["9.99", "20.49", "120.49", "130.480"]
    else:
        with pytest.raises(CapabilityError, match="sqlite has no window function sum"):
            text(query)


def test_filtered_aggregates_and_case(fetch: Fetch) -> None:
    kind = case((book.price > 50, "dear"), (book.price > 10, "fair"), else_="cheap")
    query = (
        select(book, kind.label("kind"), func.count().filter(book.weight > 1)).group_by(kind).order_by(kind)
    )
    assert fetch(query) == [("cheap", 1), ("dear", 0), ("fair", 0)]


def test_functions(fetch: Fetch) -> None:
    assert fetch(select(author, func.lower(author.name)).where(author.id == 3)) == ["ärne"]
    assert fetch(select(author, func.coalesce(author.email, "none")).where(author.id == 2)) == ["none"]
    assert fetch(select(book, func.extract("year", book.published)).where(book.id == 1)) == [2020]
    assert fetch(select(book, func.hex(book.cover)).where(book.id == 1)) == ["00FF"]
    assert fetch(select(book, func.count(book.author_id, distinct=True))) == [2]
    assert fetch(select(book, func.avg(book.id))) == [2.5]
    assert fetch(select(book, book.id / 2).where(book.id == 1)) == [0.5]
    assert fetch(select(book, cast(book.id, str)).where(book.id == 1)) == ["1"]
    assert fetch(select(book, func.string_agg(author.name, "|")).join(author.source, on=author.id == 1))
    assert fetch(select(book).where(func.now() > book.published)) == [1, 2]
    assert fetch(select(book, func.greatest(book.price, Decimal(50))).order_by(book.id))[:3] == [
        "50",
        "50",
        "100.00",
    ]


def test_decimals_are_exact(fetch: Fetch) -> None:
    assert fetch(select(book).where(book.price == Decimal("9.99")).order_by(book.id)) == [1, 4]
    assert fetch(select(book).order_by(book.price.desc(), book.id)) == [3, 2, 1, 4]
    assert fetch(select(book, func.sum(book.price), func.max(book.price))) == [("130.480", "100.00")]
    assert fetch(select(book, book.price * 3 - Decimal("0.01")).where(book.id == 1)) == ["29.96"]
    assert fetch(select(book).where(book.price * 2 > 200)) == []
    assert fetch(select(book).where(book.price * 2 == Decimal("21"))) == [2]
    assert fetch(select(book).where(book.price > book.id * 2).order_by(book.id)) == [1, 2, 3, 4]
    assert fetch(select(book).where(book.price.between(10, Decimal("10.5")))) == [2]
    assert fetch(select(book, func.min(book.price + 1))) == ["10.99"]
    assert fetch(select(book, func.count()).group_by(book.price + 0).order_by(book.price + 0)) == [2, 1, 1]


def test_durations_compare_and_points_in_time_do_not_calculate(fetch: Fetch) -> None:
    assert fetch(select(book).where(book.loan > timedelta(hours=3))) == [1]
    assert fetch(select(book).where(book.loan * 20 > timedelta(hours=30)).order_by(book.id)) == [1, 4]
    assert fetch(select(book).where(book.published > DAY)) == [2]
    with pytest.raises(CapabilityError, match="sqlite has no arithmetic of points in time"):
        text(select(book, book.published + timedelta(days=1)))


def test_json_paths(fetch: Fetch) -> None:
    assert fetch(select(book).where(book.meta["n"] == 1)) == [1]
    assert fetch(select(book).where(book.meta["a"]["b"] == "x")) == [2]
    assert fetch(select(book).where(book.meta["l"][1] > 7)) == [4]
    assert fetch(select(book).where(book.meta["n"].as_integer() + 1 == 3)) == [4]
    assert fetch(select(book).where(book.meta["a"]["b"].as_text().contains("x"))) == [2]
    assert fetch(select(book, book.meta["ok"]).where(book.id == 1)) == ["true"]
    assert fetch(select(book, book.meta["a"]).where(book.id == 2)) == ['{"b":"x"}']


def test_rows_compare_lexically(fetch: Fetch) -> None:
    after = compare_rows(">", [book.author_id, book.id], [1, 1])
    assert fetch(select(book).where(after).order_by(book.id)) == [2, 3, 4]


def test_nulls_have_a_place(fetch: Fetch) -> None:
    assert fetch(select(author).order_by(author.email.asc().nulls_last())) == [3, 1, 2]
    assert fetch(select(author).order_by(author.email.desc().nulls_first())) == [2, 1, 3]


@pytest.mark.parametrize(
    ("build", "feature"),
    [
        (lambda: select(book).for_update(), "row locks"),
        (lambda: select(book).distinct(book.title), "DISTINCT ON"),
        (lambda: select(book).grouping("CUBE", [[book.id], [book.title]]), "CUBE"),
        (
            lambda: select(author).join(
                Derived("d", select(book).build(), lateral=True).source, on=author.id == 1
            ),
            "LATERAL",
        ),
    ],
)
def test_missing_features_are_named(build: Any, feature: str) -> None:
    with pytest.raises(CapabilityError, match=f"sqlite has no {feature}"):
        text(build())


@pytest.mark.parametrize("count", ["1; DROP TABLE book", 1.5, True, -1])
def test_limits_are_whole_numbers(count: Any) -> None:
    with pytest.raises(QueryError, match="LIMIT takes a whole number"):
        select(book).limit(count)


def test_equal_keys_mean_equal_texts() -> None:
    one = select(book).where(book.id == 1, book.id.in_([1, 2])).limit(1).build()
    other = select(book).where(book.id == 5, book.id.in_([])).limit(9).build()
    assert one.key == other.key
    assert compiled(one)[0] == compiled(other)[0]
    split = select(book).where(book.id == 1).where(book.id.in_([1])).limit(1).build()
    assert split.key != one.key


def test_the_compiler_is_the_dialects() -> None:
    assert dialect.compiler.__name__ == "SQLiteCompiler"
