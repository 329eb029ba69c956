"""Text matching and lists, on SQLite and in the text of other dialects."""

from __future__ import annotations

import enum
import json
import random
import sqlite3
import struct
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any, Callable

import pytest

from blaze.dialects.dialect import Dialect
from blaze.dialects.features import Features
from blaze.dialects.types import Enum, Float, String
from blaze.errors import QueryError
from blaze.sql.builders import SelectBuilder
from blaze.sql.columns import Column
from blaze.sql.compiler import Compiler
from blaze.sql.source import Source
from blaze.sql.table import Table, TableColumn
from tests.sql.library import DAY, author, book, compiled, dialect, select

Fetch = Callable[[Any], list[Any]]

WORDS = [
    "",
    "a",
    "A",
    "ab",
    "aB",
    "Äb",
    "äB",
    "100%",
    "100x",
    "a_b",
    "a\\b",
    "[a]",
    "a*",
    "a?",
    "!",
    "\U0010ffff",
    "a\ud7ff",
]


class Words:
    """A table of words in SQLite."""

    table = Table("word", [TableColumn("text", String(), nullable=True)])

    def __init__(self) -> None:
        from blaze_sqlite.functions import register

        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        register(self.connection)
        self.connection.execute("CREATE TABLE word (text TEXT)")
        self.connection.executemany("INSERT INTO word VALUES (?)", [(word,) for word in [*WORDS, None]])
        self.text: Column[Any] = Column(Source(self.table), self.table.column("text"))

    def matching(self, condition: Any) -> list[str]:
        built = SelectBuilder(self.text.source).columns(self.text).where(condition).build()
        return sorted(row[0] for row in self.connection.execute(*compiled(built)))


@pytest.fixture(scope="module")
def words() -> Any:
    made = Words()
    with closing(made.connection):
        yield made


TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda word, part: part in word,
    "startswith": lambda word, part: word.startswith(part),
    "endswith": lambda word, part: word.endswith(part),
    "icontains": lambda word, part: part.lower() in word.lower(),
    "istartswith": lambda word, part: word.lower().startswith(part.lower()),
    "iendswith": lambda word, part: word.lower().endswith(part.lower()),
    "iexact": lambda word, part: word.lower() == part.lower(),
}


@pytest.mark.parametrize("kind", TESTS)
@pytest.mark.parametrize("part", [*WORDS, "%", "_", "*", "?", "[", "]", "\\", "b", "B"])
def test_no_character_is_special_and_case_matters(words: Any, kind: str, part: str) -> None:
    expected = sorted(word for word in WORDS if TESTS[kind](word, part))
    assert words.matching(getattr(words.text, kind)(part)) == expected
    # The same with a text that the database computes.
    assert words.matching(getattr(words.text, kind)(words.text.concat("")) | (words.text == "")) == sorted(
        WORDS
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a%", ["a", "a*", "a?", "aB", "a\\b", "a_b", "ab", "a\ud7ff"]),
        ("a_", ["a*", "a?", "aB", "ab", "a\ud7ff"]),
        (r"100\%", ["100%"]),
        (r"a\_b", ["a_b"]),
        (r"a\\b", ["a\\b"]),
        ("[a]", ["[a]"]),
        ("a*", ["a*"]),
    ],
)
def test_like_is_case_sensitive(words: Any, pattern: str, expected: list[str]) -> None:
    assert words.matching(words.text.like(pattern)) == expected


def test_ilike_is_not(words: Any) -> None:
    assert words.matching(words.text.ilike("ä%")) == ["Äb", "äB"]


def test_startswith_uses_an_index() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE book (title TEXT)")
        connection.execute("CREATE INDEX i ON book (title)")
        text, params = compiled(select(book, book.title).where(book.title.startswith("The")).build())
        plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", params).fetchall()
    assert "SEARCH" in plan[0][3]


@pytest.mark.parametrize("size", [0, 1, 5, 1000, 300_000])
def test_a_list_has_any_length(fetch: Fetch, size: int) -> None:
    ids = range(3, 3 + size)
    assert fetch(select(book).where(book.id.in_(ids))) == [i for i in (3, 4) if i in ids]
    assert fetch(select(book).where(book.id.not_in(ids))) == [i for i in (1, 2, 3, 4) if i not in ids]


def test_lists_of_every_type(fetch: Fetch) -> None:
    assert fetch(select(book).where(book.title.in_(["100% [wild]_*?", "x"]))) == [3]
    assert fetch(select(book).where(book.price.in_([Decimal("9.9900"), 5])).order_by(book.id)) == [1, 4]
    assert fetch(select(book).where((book.price + 1).in_([Decimal("11.5")]))) == [2]
    assert fetch(select(book).where(book.weight.in_([0.1, 1e-7, float("inf")]))) == [2, 3]
    assert fetch(select(book).where(book.published.in_([DAY]))) == [1]
    assert fetch(select(book).where(book.loan.in_([timedelta(hours=2)]))) == [4]
    assert fetch(select(book).where(book.cover.in_([b"", b"\x00\xff"]))) == [1, 2]


def test_floats_in_lists_are_exact() -> None:
    table = Table("number", [TableColumn("x", Float())])
    x: Column[float] = Column(Source(table), table.column("x"))
    generator = random.Random(7)
    numbers = [struct.unpack("<d", generator.randbytes(8))[0] for _ in range(20_000)]
    numbers = [number for number in numbers if number == number] + [0.1, 5e-324, 1.7976931348623157e308, -0.0]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE number (x REAL)")
        connection.executemany("INSERT INTO number VALUES (?)", [(number,) for number in numbers])
        built = SelectBuilder(x.source).columns(x).where(x.in_(numbers)).build()
        found = connection.execute(*compiled(built)).fetchall()
    assert len(found) == len(numbers)


def test_none_in_a_list_is_null(fetch: Fetch) -> None:
    assert fetch(select(author).where(author.email.in_(["a@example.org", None]))) == [2, 3]
    assert fetch(select(author).where(author.email.in_([None]))) == [2]
    assert fetch(select(author).where(author.email.not_in(["a@example.org", None]))) == [1]
    assert fetch(select(author).where(author.email.not_in(["a@example.org"]))) == [1]


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


def test_enums_are_bound_by_value() -> None:
    table = Table("car", [TableColumn("colour", Enum(Colour))])
    colour: Column[Colour] = Column(Source(table), table.column("colour"))
    query = (
        SelectBuilder(colour.source).columns(colour).where(colour == Colour.RED, colour.in_([Colour.BLUE]))
    )
    assert compiled(query.build())[1] == ("r", json.dumps(["b"]))
    with pytest.raises(QueryError, match="str"):
        _ = colour == "r"


class Numbered(Dialect):
    name = "numbered"
    paramstyle = "numeric"
    features = Features(array_param="any")


class Formatted(Dialect):
    name = "formatted"
    paramstyle = "format"
    features = Features(array_param="expand", nulls_order=False)


def built(query: SelectBuilder, dialect: Dialect) -> tuple[str, tuple[Any, ...]]:
    statement = query.build()
    text, params = Compiler(dialect).compile(statement).render(statement.binds)
    return text, tuple(params)


def test_arrays_are_one_parameter_where_the_dialect_has_them() -> None:
    query = select(book).where(book.id.in_([1, 2]), book.id.not_in([3]), book.title.contains("50%")).limit(1)
    assert built(query, Numbered()) == (
        'SELECT "book"."id" FROM "book" WHERE "book"."id" = ANY($1) AND "book"."id" <> ALL($2) '
        'AND "book"."title" LIKE $3 ESCAPE \'!\' LIMIT $4',
        ([1, 2], [3], "%50!%%", 1),
    )


def test_lists_are_expanded_and_padded_elsewhere() -> None:
    query = select(book).where(book.id.in_([1, 2, 3, 4, 5]), book.title == "x", (book.id % 2) == 0)
    text, params = built(query, Formatted())
    assert text == (
        'SELECT "book"."id" FROM "book" WHERE "book"."id" IN (%s, %s, %s, %s, %s, %s, %s, %s) '
        'AND "book"."title" = %s AND ("book"."id" %% %s) = %s'
    )
    assert params == (1, 2, 3, 4, 5, 5, 5, 5, "x", 2, 0)
    assert "IN (SELECT NULL WHERE 1 = 0)" in built(select(book).where(book.id.in_([])), Formatted())[0]


def test_a_list_beyond_the_limit_of_parameters_is_refused() -> None:
    with pytest.raises(QueryError, match="2000 values, but formatted takes 999"):
        built(select(book).where(book.id.in_(range(2000))), Formatted())


def test_the_place_of_nulls_is_emulated() -> None:
    text, _ = built(select(book).order_by(book.loan.desc().nulls_last()), Formatted())
    assert text.endswith('ORDER BY CASE WHEN "book"."loan" IS NULL THEN 1 ELSE 0 END, "book"."loan" DESC')


def test_the_default_dialect_serves_as_it_is() -> None:
    text, params = built(select(book).where(book.title.istartswith("A_")), Dialect())
    assert text.endswith('WHERE lower("book"."title") LIKE lower(?) ESCAPE \'!\'')
    assert params == ("A!_%",)
    assert dialect.features.array_param == "json_each"
