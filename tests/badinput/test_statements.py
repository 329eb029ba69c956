"""Constraints and raw SQL: the right class, the place and the cure; rows, objects and session survive."""

from __future__ import annotations

import datetime as dt
import sqlite3
from decimal import Decimal
from typing import Any, Callable
from uuid import UUID

import pytest

from blaze import (
    BlazeError,
    CheckError,
    DatabaseError,
    DataError,
    ForeignKeyError,
    IntegrityError,
    NotNullError,
    QueryError,
    SessionError,
    SQLSyntaxError,
    UniqueError,
    ValidationError,
    sql,
)
from tests.badinput.models import Label, Work, Writer
from tests.types.harness import Opener, m

Play = Callable[..., Any]


async def add(session: Any, *objects: Any) -> None:
    await m(session.add_all(objects))
    await m(session.flush())


async def delete(session: Any) -> None:
    await m(session.delete(await m(session.get_one(Writer, 1))))
    await m(session.flush())


VIOLATIONS: dict[str, tuple[Callable[[Any], Any], Any, Any, tuple[str, ...], str]] = {
    "twice in a flush": (
        lambda s: add(s, Label(name="a"), Label(name="a")),
        UniqueError,
        "uq_label_name",
        ("name",),
        "label.name",
    ),
    "against the table": (
        lambda s: add(s, Writer(name="x", email="jane@example.org")),
        UniqueError,
        "uq_writer_email",
        ("email",),
        "writer.email",
    ),
    "several columns": (
        lambda s: add(s, Work(title="Emma", writer_id=1)),
        UniqueError,
        "uq_work_title_writer_id",
        ("title", "writer_id"),
        "work.title, work.writer_id",
    ),
    "key in a flush": (
        lambda s: add(s, Label(id=5, name="a"), Label(id=5, name="b")),
        UniqueError,
        None,
        ("id",),
        "another row has the same .* label.id",  # before Python 3.11 SQLite does not say that it is the key
    ),
    "key in the table": (lambda s: add(s, Writer(id=1, name="x")), UniqueError, None, ("id",), "writer.id"),
    "bulk": (
        lambda s: s.bulk_insert([Label(name="b"), Label(name="b")]),
        UniqueError,
        "uq_label_name",
        ("name",),
        "label.name",
    ),
    "raw": (
        lambda s: s.execute("INSERT INTO writer (name, email) VALUES (?, ?)", ["x", "jane@example.org"]),
        UniqueError,
        "uq_writer_email",
        ("email",),
        "writer.email",
    ),
    "missing parent": (
        lambda s: add(s, Work(title="x", writer_id=99)),
        ForeignKeyError,
        None,
        (),
        "referenced row",
    ),
    "missing parent in bulk": (
        lambda s: s.bulk_insert([Work(title="x", writer_id=99)]),
        ForeignKeyError,
        None,
        (),
        "referenced row",
    ),
    "referenced row deleted": (delete, ForeignKeyError, None, (), "still referenced"),
    "referenced row deleted by query": (
        lambda s: s.query(Writer).all_rows().delete(),
        ForeignKeyError,
        None,
        (),
        "still referenced",
    ),
    "check": (
        lambda s: add(s, Work(title="x", writer_id=1, price=Decimal(-1))),
        CheckError,
        "ck_price",
        (),
        "ck_price",
    ),
    "check by query": (
        lambda s: s.query(Work).all_rows().update(price=Decimal(-1)),
        CheckError,
        "ck_price",
        (),
        "ck_price",
    ),
    "null by query": (
        lambda s: s.query(Writer).all_rows().update(name=None),
        NotNullError,
        None,
        ("name",),
        "writer.name",
    ),
    "null by raw SQL": (
        lambda s: s.execute("INSERT INTO writer (name) VALUES (NULL)"),
        NotNullError,
        None,
        ("name",),
        "writer.name",
    ),
}


@pytest.mark.parametrize(
    ("attempt", "kind", "constraint", "columns", "words"), VIOLATIONS.values(), ids=VIOLATIONS
)
def test_a_violation_says_which_and_leaves_everything_as_it_was(
    play: Play, attempt: Any, kind: Any, constraint: Any, columns: Any, words: str
) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            with pytest.raises(kind, match=words) as caught:
                await m(attempt(session))
            error = caught.value
            assert isinstance(error, IntegrityError)
            assert (error.constraint, error.columns) == (constraint, columns)
            assert isinstance(error.__cause__, sqlite3.Error)
            assert error.statement is not None
            assert "jane@" not in str(error)
            assert not error.retryable
            await m(session.rollback())
            assert await m(session.query(Work.title).scalars()) == ["Emma"]
            await m(session.add(Label(name="fine")))
            await m(session.commit())
        async with open_session() as session:
            assert await m(session.query(Label.name).scalars()) == ["fine"]

    play(scenario)


def test_objects_of_a_failed_flush_keep_their_values_and_can_be_mended(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            first, second = Label(name="a"), Label(name="a")
            await m(session.add_all([first, second]))
            with pytest.raises(UniqueError):
                await m(session.flush())
            assert (first.name, second.name, first.id, second.id) == ("a", "a", None, None)
            assert session.new == [first, second]
            second.name = "b"
            await m(session.commit())
            assert await m(session.query(Label.name).order_by("name").scalars()) == ["a", "b"]

    play(scenario)


def test_none_is_refused_before_the_database_sees_it(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            for write in (
                lambda: add(session, Work(title="x")),
                lambda: add(session, Writer(name=None)),  # type: ignore[arg-type]
                lambda: session.bulk_insert([Writer(name=None)]),  # type: ignore[arg-type]
            ):
                with pytest.raises(ValidationError, match=r"(writer|name): must not be None.*Optional"):
                    await m(write())
                await m(session.rollback())
            assert await m(session.query(Writer).count()) == 1

    play(scenario)


REFUSED: dict[str, tuple[Any, Any, Any, str]] = {
    "syntax": ("SELEC 1", None, SQLSyntaxError, 'near "SELEC"'),
    "table": ("SELECT * FROM nosuch", None, SQLSyntaxError, "no such table: nosuch"),
    "column": ("SELECT nosuch FROM writer", None, SQLSyntaxError, "no such column: nosuch"),
    "function": ("SELECT nosuch(1)", None, SQLSyntaxError, "no such function"),
    "two statements": ("SELECT 1; SELECT 2", None, SQLSyntaxError, "run each by itself"),
    "NUL": ("SELECT 1\0", None, SQLSyntaxError, "NUL"),
    "open quote": ("SELECT 'x", None, SQLSyntaxError, "unrecognized token"),
    "deep": ("SELECT " + "(" * 5000 + "1" + ")" * 5000, None, SQLSyntaxError, "overflow|too deep"),
    "wide": ("SELECT " + ",".join("1" * 3000), None, SQLSyntaxError, "too many columns"),
    "too few": ("SELECT ?, ?", [1], QueryError, "2 placeholders, but 1"),
    "too many": ("SELECT ?", [1, 2], QueryError, "1 placeholders, but 2"),
    "none given": ("SELECT ?", None, QueryError, "no parameters were given"),
    "empty list": ("SELECT ?", [], QueryError, "no parameters were given"),
    "name without value": ("SELECT :a, :b", {"a": 1}, QueryError, "no value for :b"),
    "near name": ("SELECT :title", {"titel": 1}, QueryError, "did you mean 'titel'"),
    "name and nothing": ("SELECT :a", None, QueryError, "no value for :a"),
    "value without name": ("SELECT :a", {"a": 1, "b": 2}, QueryError, "does not use the parameter 'b'"),
    "list for names": ("SELECT :a", [1], QueryError, "give a dict"),
    "dict for marks": ("SELECT ?", {"a": 1}, QueryError, "'a'"),
    "text": ("SELECT ?", "x", QueryError, "list, a tuple or a dict"),
    "generator": ("SELECT ?", (x for x in [1]), QueryError, "list, a tuple or a dict"),
    "object": ("SELECT ?", [object()], QueryError, "type object cannot be sent"),
    "huge number": ("SELECT ?", [2**64], DataError, "64 bits"),
    "NaN": ("SELECT ?", [float("nan")], DataError, "NaN"),
    "surrogate": ("SELECT ?", ["\ud800"], DataError, "surrogate"),
    "BEGIN": ("BEGIN", None, SessionError, r"session\.transaction"),
    "COMMIT": ("/* x */ commit", None, SessionError, "commit"),
    "mark in quotes": (sql("SELECT '{x}'", x=1), None, DataError, "quotes"),
    "template and parameters": (sql("SELECT {x}", x=1), [1], QueryError, "carries its values"),
}


@pytest.mark.parametrize(("statement", "params", "kind", "words"), REFUSED.values(), ids=REFUSED)
def test_wrong_sql_says_what_and_the_session_goes_on(
    play: Play, statement: Any, params: Any, kind: Any, words: str
) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            await m(session.add(Label(name="pending")))
            with pytest.raises(kind, match=words) as caught:
                await m(session.execute(statement, params))
            assert isinstance(caught.value, BlazeError)
            if isinstance(caught.value, DatabaseError) and caught.value.__cause__ is not None:
                assert "statement:" in str(caught.value)
            await m(session.commit())  # an error of one statement costs nothing of the transaction
            assert await m(session.query(Label.name).scalars()) == ["pending"]

    play(scenario)


def test_placeholders_in_quotes_and_comments_are_text(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            text = "SELECT '?', \"name\", '%s', ':x', '12:30', /* ? :y %s ' */ {} -- ? ' :z\n FROM writer"
            for mark, values in (("?", [7]), ("%s", [7]), (":v", {"v": 7})):
                row = (await m(session.execute(text.format(mark), values))).one()
                assert tuple(row) == ("?", "Jane", "%s", ":x", "12:30", 7)
            assert (await m(session.execute("SELECT '?:a%s' -- ?"))).scalar() == "?:a%s"
            assert (await m(session.execute(sql("SELECT {x} || '{{x}}'", x="a")))).scalar() == "a{x}"
            big = "SELECT '" + "x" * 1_000_000 + "'"
            assert len((await m(session.execute(big))).scalar()) == 1_000_000

    play(scenario)


def test_parameters_of_raw_sql_meet_columns_as_they_are_stored(play: Play) -> None:
    nepal = dt.timezone(dt.timedelta(hours=5, minutes=45))
    values = {
        Decimal("1.50"): "1.50",
        UUID(int=1): str(UUID(int=1)),
        dt.datetime(2024, 1, 1, 5, 45, tzinfo=nepal): "2024-01-01 00:00:00.000000+00:00",
        dt.datetime(2024, 1, 1): "2024-01-01 00:00:00.000000",
        dt.date(2024, 1, 1): "2024-01-01",
        dt.time(1): "01:00:00.000000",
        dt.timedelta(seconds=1): 1_000_000,
        True: 1,
        b"\0": b"\0",
        2.5: 2.5,
    }

    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            for value, stored in values.items():
                for text, params in (("SELECT ?", [value]), ("SELECT :v", {"v": value})):
                    assert (await m(session.execute(text, params))).scalar() == stored
            assert (await m(session.execute("SELECT ?", [{"a": [1]}]))).scalar() == '{"a":[1]}'
            found = await m(session.execute("SELECT title FROM work WHERE price = ?", [Decimal("1.00")]))
            assert found.scalar() == "Emma"

    play(scenario)
