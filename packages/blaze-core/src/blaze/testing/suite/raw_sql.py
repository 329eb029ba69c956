"""Raw SQL and streams: placeholders of every style, templates, results in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from blaze import (
    BlazeError,
    DatabaseError,
    QueryError,
    Select,
    SessionError,
    SQLSyntaxError,
    ValidationError,
    sql,
)
from blaze.testing.suite.harness import Database, done, each, scenario
from blaze.testing.suite.library import Book, Review, Tag
from blaze.testing.suite.models import Label, Person, Post

__all__ = [
    "test_a_rollback_during_a_stream",
    "test_a_stream_can_be_left",
    "test_a_stream_fails_with_an_error",
    "test_a_stream_goes_on_beside_other_statements",
    "test_a_stream_includes_relations",
    "test_a_stream_of_many_rows",
    "test_a_stream_outlives_a_commit",
    "test_an_error_beside_a_stream",
    "test_json_null_of_other_programs",
    "test_numbers_of_raw_sql",
    "test_one_statement_at_a_time",
    "test_parallel_exec",
    "test_placeholders",
    "test_results_of_raw_sql",
    "test_templates",
    "test_two_streams_at_once",
    "test_wrong_parameters_are_refused",
]

PLACEHOLDERS: list[tuple[str, Any, tuple[Any, ...]]] = [
    ("SELECT '?', ? FROM suite_library_tag WHERE id = ? -- what? :x %s\n/* ? :y */", ["5", 1], ("?", "5")),
    ("SELECT '%s ?', %s", ["v"], ("%s ?", "v")),
    ("SELECT ':a', :a, :b, :a", {"a": "1", "b": "2"}, (":a", "1", "2", "1")),
    ("SELECT '12:30', 10 % 3, :x", {"x": "1"}, ("12:30", 1, "1")),
    ("SELECT 'it''s ?', ?", ["1"], ("it's ?", "1")),
    ("SELECT %(x)s, '%(x)s'", {"x": "7"}, ("7", "%(x)s")),
    ("SELECT 100 % 7, '100%'", None, (2, "100%")),
    ("SELECT ?, 'x' WHERE 1 = ?", [None, 1], (None, "x")),
]


@scenario
async def test_json_null_of_other_programs(db: Database) -> None:
    author = Person(name="ann")
    async with db.session() as s:
        await s.add_all([author, Post(title="one", author=author, meta={"a": 1})])
        await s.flush()
        await s.execute("UPDATE suite_post SET meta = 'null'")
        assert await done(s.query(Post.meta).all()) == [(None,)]
        assert await done(s.query(Post.id).where(Post.meta.is_(None)).all()) == []
        await s.commit()
    async with db.session() as s:
        post = await done(s.query(Post).one())
        assert post.meta is None
        post.title = "two"
        with pytest.raises(ValidationError, match="meta: must not be None"):
            await s.flush()
        post.meta = {"b": 2}
        await s.commit()
        for value in (None, [1]):
            with pytest.raises(BlazeError):
                await done(s.query(Post).update(meta=value))
            await s.rollback()


@pytest.mark.parametrize("number", range(len(PLACEHOLDERS)))
@scenario
async def test_placeholders(db: Database, number: int) -> None:
    text, params, expected = PLACEHOLDERS[number]
    given = [text] if params is None else [text, params]
    async with db.session() as s:
        assert tuple(await done((await s.execute(*given)).first())) == expected
        assert await s.exec_one(*given) == expected
        assert await s.exec_scalar(*given) == expected[0]


# Numbers beside a column of whole numbers, and values that stand alone; `id` is 1 to 4.
VALUES: list[tuple[str, Any, Any]] = [
    ("SELECT count(*) FROM suite_library_tag WHERE id < ?", [1.5], 1),
    ("SELECT count(*) FROM suite_library_tag WHERE id = ?", [1.5], 0),
    ("SELECT count(*) FROM suite_library_tag WHERE id > :x AND id < :y", {"x": 1, "y": 3.5}, 2),
    ("SELECT count(*) FROM suite_library_tag WHERE ? IS NULL OR id = ?", [None, 1], 4),
    ("SELECT count(*) FROM suite_library_tag WHERE ? IS NULL OR id = ?", [1, 1], 1),
    ("SELECT count(*) FROM suite_library_tag WHERE :x IS NULL OR id = :x", {"x": None}, 4),
    ("SELECT count(*) FROM suite_library_tag WHERE id = :x OR :y IS NULL", {"x": 2, "y": 5}, 1),
    ("SELECT id + ? FROM suite_library_tag WHERE id = ?", [0.5, 1], 1.5),
    ("SELECT id * ? FROM suite_library_tag WHERE id = ?", [2.0, 3], 6.0),
    ("SELECT CASE WHEN id > ? THEN ? ELSE ? END FROM suite_library_tag WHERE id = 1", [1, 10, 20], 20),
    ("SELECT coalesce(?, id) FROM suite_library_tag WHERE id = 3", [None], 3),
    *[("SELECT ?", [value], value) for value in (1, -7, 2**40, True, 1.5, -2.0, "x", b"x\xff", None)],
]


@pytest.mark.parametrize("number", range(len(VALUES)))
@scenario
async def test_numbers_of_raw_sql(db: Database, number: int) -> None:
    text, params, expected = VALUES[number]
    async with db.session() as s:
        found = await s.exec_scalar(text, params)
        assert found == expected
        assert isinstance(found, (int, float) if isinstance(expected, bool) else type(expected))


WRONG: list[tuple[str, Any]] = [
    ("SELECT :a", {"b": 1}),
    ("SELECT :a", None),
    ("SELECT :a", {"a": 1, "aa": 2}),
    ("SELECT ?, ?", [1]),
    ("SELECT ?", [1, 2]),
    ("SELECT ?", None),
    ("SELECT 1", [1]),
    ("SELECT :a", [1]),
    ("SELECT ?", "x"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
@scenario
async def test_wrong_parameters_are_refused(db: Database, number: int) -> None:
    text, params = WRONG[number]
    async with db.session() as s:
        if params is None:  # sent as it is: `?` and `:` may be operators of the database
            with pytest.raises((QueryError, SQLSyntaxError)):
                await s.execute(text)
            return
        with pytest.raises(QueryError):
            await s.execute(text, params)
        assert s.statements == 0


SEVERAL: list[Any] = [
    "UPDATE suite_label SET name = 'b'; COMMIT",
    "SELECT 1; SELECT 2",
    "; COMMIT",
    "SELECT ';' /* ; */; -- and\nROLLBACK;",
    sql("UPDATE suite_label SET name = {x}; COMMIT", x="b"),
    Select(Label).where(sql("name = 'a'; COMMIT; --")).order_by(Label.id),
]


@pytest.mark.parametrize("number", range(len(SEVERAL)))
@scenario
async def test_one_statement_at_a_time(db: Database, number: int) -> None:
    await db.save(Label(name="a"))
    async with db.session() as s:
        await s.execute("UPDATE suite_label SET name = 'c' ; ")
        with pytest.raises(SQLSyntaxError, match="several statements"):
            await s.exec(SEVERAL[number])
        assert s.statements == 1
        for text in ("COMMIT", "-- x\n(ROLLBACK)", "ABORT"):
            with pytest.raises(SessionError, match="session's business"):
                await s.execute(text)
        await s.rollback()
        assert await s.exec_scalar("SELECT name FROM suite_label WHERE name <> ';';") == "a"


@scenario
async def test_templates(db: Database) -> None:
    async def rows(template: Any) -> list[Any]:
        return [tuple(row) for row in await done((await s.execute(template)).all())]

    async with db.session() as s:
        found = sql(
            "SELECT id FROM suite_library_tag WHERE id IN {ids} AND name <> {name} ORDER BY id",
            ids=[1, 2, 9],
            name="' OR 1=1 --",
        )
        assert await rows(found) == [(1,), (2,)]
        assert await rows(sql("SELECT id FROM suite_library_tag WHERE name IN {ids}", ids=[])) == []
        for nothing in ([], [None], [None, None]):
            assert await rows(sql("SELECT id FROM suite_library_tag WHERE id IN {ids}", ids=nothing)) == []
        every = await rows(sql("SELECT id FROM suite_library_tag"))
        for column in ("id", "name"):
            text = f"SELECT id FROM suite_library_tag WHERE {column} NOT IN {{ids}}"
            assert sorted(await rows(sql(text, ids=[]))) == sorted(every)
            assert await rows(sql(text, ids=[None])) == []
        text = "SELECT id FROM suite_library_tag WHERE id not  in {ids} AND id IN {more}"
        first, second = sorted(key for (key,) in every)[:2]
        assert await rows(sql(text, ids=[first], more=(first, second))) == [(second,)]
        assert await rows(sql("SELECT '{{}}'")) == [("{}",)]
        part = sql("id = {x}", x=2)
        assert await rows(sql("SELECT name FROM suite_library_tag WHERE {p}", p=part)) == [("classic",)]
        query = Select(Tag.id).where(Tag.id > 2)
        assert await rows(sql("SELECT count(*) FROM suite_library_tag WHERE id IN {q}", q=query)) == [(2,)]
        names = sql("SELECT {n} FROM {t} WHERE {c} ORDER BY {n}", n=Tag.name, t=Tag, c=Tag.id.in_([1, 3]))
        assert await rows(names) == [("sf",), ("short",)]
        books = await done(s.query(Book).where(sql("{p} > {n}", p=Book.pages, n=300)).order_by("id").all())
        assert [book.id for book in books] == [1, 3, 7]


@scenario
async def test_results_of_raw_sql(db: Database) -> None:
    async with db.session() as s:
        result = await s.execute("SELECT id, name FROM suite_library_tag ORDER BY id")
        assert [row.name for row in result.all()] == ["sf", "classic", "short", "unused"]
        assert result.rowcount == 4
        assert (await s.execute("SELECT id FROM suite_library_tag WHERE id = 99")).first() is None
        assert await s.exec_scalar("SELECT count(*) FROM suite_library_tag") == 4
        for name in ("a", "b"):
            assert (await s.execute("INSERT INTO suite_label (name) VALUES (?)", [name])).rowcount == 1
        assert (await s.execute("UPDATE suite_label SET name = name")).rowcount == 2
        assert (await s.execute("UPDATE suite_label SET name = 'x' WHERE name = 'none'")).rowcount == 0
        assert (await s.execute("DELETE FROM suite_label WHERE name = ?", ["a"])).rowcount == 1
        await s.rollback()
        assert await s.all(Label) == []


async def many(db: Database, count: int) -> None:
    """Store labels."""
    async with db.session() as s:
        await s.bulk_insert([Label(name=f"l{n}") for n in range(count)])
        await s.commit()


@asynccontextmanager
async def streamed(stream: Any) -> AsyncIterator[Any]:
    """Close a stream at the end of a block."""
    try:
        yield stream
    finally:
        await done(stream.aclose() if hasattr(stream, "aclose") else stream.close())


@scenario
async def test_a_stream_of_many_rows(db: Database) -> None:
    await many(db, 2_500)
    async with db.session() as s:
        names = [label.name async for label in each(s.query(Label).order_by("id").stream(size=400))]
        assert names == [f"l{n}" for n in range(2_500)]
        rows = [row async for row in each(s.query(Label.name.label("n")).order_by("id").stream())]
        assert [row.n for row in rows] == names
        assert [x async for x in each(s.query(Label).where(Label.id < 0).stream())] == []


@scenario
async def test_a_stream_goes_on_beside_other_statements(db: Database) -> None:
    await many(db, 500)
    async with db.session() as s:
        seen = 0
        async for label in each(s.query(Label).order_by("id").stream(size=50)):
            seen += 1
            if seen % 100 == 0:
                assert await done(s.query(Tag).count()) == 4
                label.name += "!"
                await s.flush()
        assert seen == 500
        await s.commit()
    assert len(await db.rows(Select(Label.id).where(Label.name.endswith("!")))) == 5


@scenario
async def test_a_stream_outlives_a_commit(db: Database) -> None:
    await many(db, 300)
    async with db.session() as s:
        seen = 0

        async def read() -> None:
            nonlocal seen
            async for label in each(s.query(Label).order_by("id").stream(size=50)):
                seen += 1
                if seen == 60:
                    label.name = "changed"
                    await s.commit()

        if db.has("streams_outlive_commit"):
            await read()
        else:
            with pytest.raises(DatabaseError, match="ended the stream together with the transaction"):
                await read()
        assert seen == (300 if db.has("streams_outlive_commit") else 100)
    assert len(await db.rows(Select(Label.id).where(Label.name == "changed"))) == 1


@scenario
async def test_a_rollback_during_a_stream(db: Database) -> None:
    """The stream goes on, or says that the transaction took it along."""
    await many(db, 300)
    async with db.session() as s:
        seen = 0

        async def read() -> None:
            nonlocal seen
            async for label in each(s.query(Label).order_by("id").stream(size=50)):
                seen += 1
                if seen == 60:
                    label.name = "changed"
                    await s.rollback()

        if db.has("stream_in_transaction"):
            with pytest.raises(DatabaseError, match="ended the stream together with the transaction"):
                await read()
        else:
            await read()
        assert seen == (100 if db.has("stream_in_transaction") else 300)
        assert await done(s.query(Label).where(Label.name == "changed").count()) == 0
        if not db.has("streams_outlive_commit"):
            return
        # What outlived a commit is not the transaction's any more.
        seen = 0
        async for label in each(s.query(Label).order_by("id").stream(size=50)):
            seen += 1
            if seen in (60, 70):
                label.name = f"stored {seen}"
                await s.flush()
                await (s.commit() if seen == 60 else s.rollback())
        assert seen == 300
        assert await done(s.query(Label).where(Label.name.startswith("stored")).count()) == 1


@scenario
async def test_an_error_beside_a_stream(db: Database) -> None:
    """Leaving the stream does not hide what went wrong in its loop."""
    await many(db, 300)
    async with db.session() as s:

        async def read() -> None:
            async with streamed(s.query(Label).stream(size=50)) as labels:
                async for _ in each(labels):
                    await s.execute("SELECT suite_no_such_column FROM suite_label")

        with pytest.raises(SQLSyntaxError):
            await read()
        await s.rollback()
        assert await done(s.query(Label).count()) == 300


@scenario
async def test_two_streams_at_once(db: Database) -> None:
    await many(db, 40)
    async with db.session() as s:
        pairs = 0
        async for label in each(s.query(Label).order_by("id").stream(size=7)):
            async for tag in each(s.query(Tag).stream(size=2)):
                pairs += label.id > 0 and tag.id > 0
        assert pairs == 160


@scenario
async def test_a_stream_can_be_left(db: Database) -> None:
    await many(db, 3_000)
    async with db.session() as s:
        stream = s.query(Label).order_by("id").stream(size=100)
        if db.asynchronous:
            async for label in stream:
                assert label.name == "l0"
                break
            await stream.aclose()
        else:
            for label in stream:
                assert label.name == "l0"
                break
            stream.close()
        assert await done(s.query(Label).count()) == 3_000


@scenario
async def test_a_stream_fails_with_an_error(db: Database) -> None:
    async with db.session() as s:
        query = s.query(Review).where(sql("suite_no_such_column = 1"))
        with pytest.raises(SQLSyntaxError):
            [x async for x in each(query.stream())]
        await s.rollback()
        assert await done(s.query(Review).count()) == 9


@scenario
async def test_a_stream_includes_relations(db: Database) -> None:
    async with db.session() as s:
        stream = s.query(Book).include("author", "tags").order_by("id").stream(size=4)
        found = [(book.author.name, len(book.tags)) async for book in each(stream)]
        assert found[:2] == [("Ursula", 2), ("Ursula", 1)]
        assert s.statements <= 6


@scenario
async def test_parallel_exec(db: Database) -> None:
    async with db.session() as s:
        books, count, tag = await s.parallel_exec(
            [
                Select(Book).order_by(Book.id).all(),
                Select(Tag).count(),
                Select(Tag.name).where(Tag.id == 1).scalar(),
            ]
        )
        assert ([book.id for book in books], count, tag) == ([1, 2, 3, 4, 5, 6, 7], 4, "sf")
        with pytest.raises(SQLSyntaxError):
            await s.parallel_exec(
                [Select(Book).where(sql("suite_no_such_column = 1")).all(), Select(Tag).count()]
            )
