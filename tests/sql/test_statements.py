"""INSERT, UPDATE, DELETE and raw SQL on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest

from blaze.dialects.dialect import Dialect
from blaze.dialects.features import Lexis
from blaze.errors import CapabilityError, QueryError
from blaze.sql.builders import DeleteBuilder, InsertBuilder, SelectBuilder, UpdateBuilder
from blaze.sql.cache import StatementCache
from blaze.sql.compiler import Compiler
from blaze.sql.expressions import ScalarSubquery
from blaze.sql.functions import excluded, func
from blaze.sql.placeholders import convert
from blaze.sql.raw import sql
from blaze.sql.table import Table, TableColumn
from tests.sql.library import (
    author,
    author_books,
    author_table,
    book,
    book_author,
    book_table,
    compiled,
    connect,
    dialect,
    link_table,
    select,
)
from tests.sql.test_matching import Formatted, Numbered


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(connect()) as connection:
        yield connection


def run(database: sqlite3.Connection, statement: Any) -> list[Any]:
    built = statement.build() if hasattr(statement, "build") else statement
    return database.execute(*compiled(built)).fetchall()


def columns(table: Table, *names: str) -> list[TableColumn]:
    return [table.column(name) for name in names]


def test_rows_of_plain_values_are_encoded_by_column(database: sqlite3.Connection) -> None:
    into = columns(book_table, "title", "price", "weight", "author_id")
    values = ["a", Decimal("1.10"), 1.0, 1, "b", Decimal("2"), 2.0, 2]
    insert = (
        InsertBuilder(book_table, into, rows=2).plain(values).returning(book_table.column("id"), book.price)
    )
    text, params = compiled(insert.build())
    assert text == (
        'INSERT INTO "book" ("title", "price", "weight", "author_id") VALUES (?, ?, ?, ?), (?, ?, ?, ?) '
        'RETURNING "book"."id", "book"."price"'
    )
    assert params == ("a", "1.10", 1.0, 1, "b", "2", 2.0, 2)
    assert database.execute(text, params).fetchall() == [(5, "1.10"), (6, "2")]


def test_none_is_never_encoded() -> None:
    insert = InsertBuilder(book_table, columns(book_table, "price", "loan"), rows=1).plain([None, None])
    assert compiled(insert.build())[1] == (None, None)


def test_expressions_queries_and_defaults_can_be_inserted(database: sqlite3.Connection) -> None:
    into = columns(author_table, "name", "email")
    run(database, InsertBuilder(author_table, into).values([["x", None], [func.lower(sql("'ÄB'")), "m"]]))
    assert database.execute("SELECT name, email FROM author WHERE id > 3").fetchall() == [
        ("x", None),
        ("äb", "m"),
    ]
    copy = select(author, author.name, author.email).where(author.id == 1).build()
    assert run(database, InsertBuilder(author_table, into).select(copy).returning(author.name)) == [
        ("Ursula",)
    ]
    again = select(author, author.id, author.name).where(author.id == 1).build()
    pair = columns(author_table, "id", "name")
    upsert = InsertBuilder(author_table, pair).select(again).on_conflict(pair[:1], {pair[1]: "twice"})
    assert run(database, upsert.returning(author.id, author.name)) == [(1, "twice")]
    database.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY)")
    bare = Table("bare", [TableColumn("id", author_table.column("id").type, primary_key=True)])
    assert run(database, InsertBuilder(bare, []).returning(bare.column("id"))) == [(1,)]
    with pytest.raises(QueryError, match="one by one"):
        compiled(InsertBuilder(bare, [], rows=2).build())


def test_conflicts(database: sqlite3.Connection) -> None:
    pair = columns(link_table, "book_id", "tag_id")
    assert run(database, InsertBuilder(link_table, pair).plain([1, 1]).on_conflict(pair)) == []
    into = columns(author_table, "id", "name", "email")
    keys, name, email = into[:1], into[1], into[2]
    upsert = (
        InsertBuilder(author_table, into)
        .plain([1, "Le Guin", "new"])
        .on_conflict(keys, {name: excluded("name"), email: author.email + "!"}, author.id < 3)
        .returning(author.name, author.email)
    )
    assert run(database, upsert) == [("Le Guin", "u@example.org!")]
    upsert = (
        InsertBuilder(author_table, into).plain([3, "x", "new"]).on_conflict(keys, {name: "y"}, author.id < 3)
    )
    assert run(database, upsert.returning(author.name)) == []


def test_the_text_of_an_insert_is_known_by_its_number_of_rows() -> None:
    pair = columns(link_table, "book_id", "tag_id")
    keys = {InsertBuilder(link_table, pair, rows=rows).plain([1, 2] * rows).build().key for rows in (1, 2, 2)}
    assert len(keys) == 2
    assert (
        Compiler(Numbered())
        .compile(InsertBuilder(link_table, pair, rows=2).build())
        .sql.endswith("VALUES ($1, $2), ($3, $4)")
    )


def test_updates(database: sqlite3.Connection) -> None:
    price, title = columns(book_table, "price", "title")
    update = UpdateBuilder(book.source).set(price, book.price * 2).set(title, "new").where(book.id == 1)
    assert compiled(update.build()) == (
        'UPDATE "book" SET "price" = blaze_decimal(decimal_mul("book"."price", ?), 10, 2), "title" = ?'
        ' WHERE "book"."id" = ?',
        ("2", "new", 1),
    )
    update = UpdateBuilder(book.source).set(price, book.price * 2).where(book.id == 1).returning(book.price)
    assert run(database, update) == [("19.98",)]
    with pytest.raises(QueryError, match=r"book\.price: .*digits"):
        UpdateBuilder(book.source).set(price, Decimal("1.234"))
    with pytest.raises(QueryError, match="sets nothing"):
        UpdateBuilder(book.source).build()


def test_updates_and_deletes_reach_over_relations(database: sqlite3.Connection) -> None:
    title = book_table.column("title")
    update = UpdateBuilder(book.source).set(title, "hers").where(book_author.name == "Ursula", book.id > 1)
    text, _ = compiled(update.build())
    assert 'WHERE "book"."id" IN (SELECT t' in text
    run(database, update)
    assert database.execute("SELECT id FROM book WHERE title = 'hers'").fetchall() == [(2,)]
    run(database, DeleteBuilder(author.source).where(author_books.id.is_(None)))
    assert database.execute("SELECT id FROM author").fetchall() == [(1,), (2,)]
    gone = DeleteBuilder(book.source).where(book_author.name == "Ursula").returning(book.id)
    assert sorted(run(database, gone)) == [(1,), (2,)]
    name = author_table.column("name")
    with pytest.raises(QueryError, match="scalar subquery"):
        compiled(UpdateBuilder(book.source).set(title, book_author.name).build())
    latest = select(book, func.max(book.title)).where(book.author_id == author.id).build()
    run(database, UpdateBuilder(author.source).set(name, ScalarSubquery(latest)).where(author.id == 2))
    assert database.execute("SELECT name FROM author WHERE id = 2").fetchall() == [("the dispossessed",)]


def test_bulk_updates_take_values_then_keys(database: sqlite3.Connection) -> None:
    made = dialect.compiler(dialect).bulk_update(
        book_table, book_table.primary_key, columns(book_table, "price")
    )
    assert made.sql == 'UPDATE "book" SET "price" = ? WHERE "id" = ?'
    database.executemany(made.sql, [made.params((Decimal(n), n)) for n in (1, 2)])
    assert database.execute("SELECT price FROM book WHERE id < 3").fetchall() == [("1",), ("2",)]


def test_a_dialect_without_a_feature_refuses() -> None:
    insert = InsertBuilder(link_table, link_table.columns).plain([1, 1])
    with pytest.raises(CapabilityError, match=r"ansi has no INSERT \.\.\. ON CONFLICT"):
        Compiler(Dialect()).compile(insert.on_conflict([]).build())
    with pytest.raises(CapabilityError, match=r"ansi has no DELETE \.\.\. RETURNING"):
        Compiler(Dialect()).compile(DeleteBuilder(book.source).returning(book.id).build())


def test_templates_bind_their_values(database: sqlite3.Connection) -> None:
    raw = sql(
        "SELECT {column} FROM book WHERE id IN {ids} AND title <> {title} AND '{{}}' = '{{}}'",
        column=book.id,
        ids=[1, 3],
        title="'; DROP TABLE book; --",
    )
    made = dialect.compiler(dialect).compile(raw)
    assert made.sql == (
        'SELECT "book"."id" FROM book WHERE id IN (SELECT value FROM json_each(?)) AND title <> ? '
        "AND '{}' = '{}'"
    )
    assert database.execute(made.sql, made.params(raw.binds)).fetchall() == [(1,), (3,)]
    assert run(database, select(book).where(sql("{p} + 0 > {n}", p=book.price, n=50))) == [(3,)]
    text, params = Compiler(Formatted()).compile(sql("a % 2 = {x}", x=1)).render((1,))
    assert (text, tuple(params)) == ("a %% 2 = %s", (1,))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{y}", "did you mean 'x'|no value"),
        ("{x} {", "no field"),
        ("{x!r}", "no field"),
        ("{}", "no field"),
        ("1", "not use 'x'"),
    ],
)
def test_templates_name_their_mistakes(template: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        sql(template, x=1)


FORMAT, NUMERIC, QMARK = Formatted(), Numbered(), Dialect()


@pytest.mark.parametrize(
    ("text", "parameters", "target", "expected"),
    [
        ("a = ? AND b = '?' -- ?\n/* ? */", [1], NUMERIC, "a = $1 AND b = '?' -- ?\n/* ? */"),
        ("a = %s AND b LIKE '50%%'", [1], QMARK, "a = ? AND b LIKE '50%%'"),
        ("a = %s AND b %% 2 = 0", [1], QMARK, "a = ? AND b % 2 = 0"),
        ("a = ? AND b % 2 = 0", [1], FORMAT, "a = %s AND b %% 2 = 0"),
        ("a = ? AND b LIKE 'x%'", [1], FORMAT, "a = %s AND b LIKE 'x%%'"),
        ("x::text = :x AND t = '12:30:x'", {"x": 1}, NUMERIC, "x::text = $1 AND t = '12:30:x'"),
        ("a = :x OR b = :x", {"x": 1}, QMARK, "a = ? OR b = ?"),
        ("a = :x OR b = :x", {"x": 1}, NUMERIC, "a = $1 OR b = $1"),
        ("a = %(x)s AND b %% 2", {"x": 1}, QMARK, "a = ? AND b % 2"),
        ("arr[1:2] AND a = :x", {"x": 1}, QMARK, "arr[1:2] AND a = ?"),
        ("$$ ? $$ || $t$ :x ? $t$ || ?", [1], NUMERIC, "$$ ? $$ || $t$ :x ? $t$ || $1"),
        ("E'\\'?' || ?", [1], NUMERIC, "E'\\'?' || $1"),
        ('"a?" = ? AND `b?` = 1', [1], NUMERIC, '"a?" = $1 AND `b?` = 1'),
        ("j ? 'k' AND a = %s", [1], NUMERIC, "j ? 'k' AND a = $1"),
        ("'it''s ?' = ?", [1], NUMERIC, "'it''s ?' = $1"),
        ("SELECT '?' , a %s", [], QMARK, "SELECT '?' , a %s"),
    ],
)
def test_placeholders_become_the_dialects(text: str, parameters: Any, target: Dialect, expected: str) -> None:
    converted, params = convert(text, parameters, target)
    assert converted == expected
    assert len(params) in (len(parameters), 2)


class Reading(Numbered):
    """Reads SQL in a way of its own."""

    def __init__(self, **lexis: bool) -> None:
        super().__init__()
        self.features = self.features._replace(lexis=Lexis(**lexis))


@pytest.mark.parametrize(
    ("text", "lexis", "expected"),
    [
        (r"'\'?' = ?", {"backslash_escapes": True}, r"'\'?' = $1"),
        (r"'\' = ?", {}, r"'\' = $1"),
        ("[a?b] = ? AND [:c] = 1", {"bracket_names": True}, "[a?b] = $1 AND [:c] = 1"),
        ("a[?] = 1", {}, "a[$1] = 1"),
        ("a = ? # why?", {"hash_comments": True}, "a = $1 # why?"),
        ("a #> ? = 1", {}, "a #> $1 = 1"),
    ],
)
def test_quotes_names_and_comments_are_those_of_the_database(
    text: str, lexis: dict[str, bool], expected: str
) -> None:
    assert convert(text, [1], Reading(**lexis))[0] == expected


@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        ("a = ?", [1, 2], "1 placeholders, but 2"),
        ("a = ?", [], "no parameters"),
        ("a = :x", [1], "give a dict"),
        ("a = :x", {"y": 1}, "no value for :x"),
        ("a = 1", {"y": 1}, "not use the parameter 'y'"),
        ("a = ?", "x", "not str"),
    ],
)
def test_parameters_that_do_not_agree_are_refused(text: str, parameters: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        convert(text, parameters, QMARK)


def test_the_cache_is_bounded() -> None:
    cache = StatementCache(4)
    for number in range(9):
        assert cache.add(number, str(number)) == str(number)
    assert len(cache) <= 4
    assert cache.get(8) == "8"
    assert cache.get(0) is None
    assert cache.stats().added == 9
    assert cache.stats().dropped == 9 - len(cache)
    with pytest.raises(ValueError, match="at least one"):
        StatementCache(0)


def test_a_query_must_select_something() -> None:
    with pytest.raises(QueryError, match="selects nothing"):
        SelectBuilder(book.source).build()
