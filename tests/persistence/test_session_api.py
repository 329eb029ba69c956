"""What a session is made of, the arguments it takes, and the calls of the quick start."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import blaze
from blaze import (
    AsyncSession,
    ConnectionConfig,
    Delete,
    Engine,
    Field,
    Insert,
    Model,
    Select,
    Session,
    Update,
    field,
    sql,
)
from blaze.errors import ConfigurationError, QueryError, SQLSyntaxError
from blaze_sqlite import SQLiteAdapter
from tests.persistence.models import Author, Book, Tag
from tests.persistence.twins import Database, names


@pytest.mark.requirement("R1", "R3", "R12", "R31")
async def test_a_session_ties_everything_together(db: Database) -> None:
    seen: list[str] = []

    class Watch:
        def before_execute(self, statement: str) -> None:
            seen.append(statement)

    async with db.session(hooks=[Watch()], slow_query_ms=50, performance_threshold=3) as s:
        assert s.statements == 0
        book = Book(title="b", tags=[Tag(name="t")])
        await s.add(book)
        await s.commit()
        await s.add_m2m(book, Book.tags, Tag(name="u"))
        await s.flush()
        assert names(await s.read(book, "tags")) == ["t", "u"]
        assert await s.get(Book, 1) is book
        assert s.statements == len([text for text in seen if text.split()[0] in ("INSERT", "SELECT")])
        await s.rollback()
    async with db.session() as other:
        assert await other.get(Book, 1) is not book


@pytest.mark.requirement("R2", "R14", "R45")
async def test_the_arguments_of_a_session(tmp_path: Path) -> None:
    assert blaze.Session is Session
    path = tmp_path / "x.db"
    dsn = f"sqlite:///{path}"
    targets: list[tuple[Any, dict[str, Any]]] = [
        (dsn, {}),
        (Engine(dsn), {}),
        (SQLiteAdapter(), {"dsn": dsn}),
        (SQLiteAdapter(), {"connection_config": ConnectionConfig.from_dsn(dsn)}),
    ]
    for target, options in targets:
        with Session(target, **options) as session:
            assert session.exec_scalar("SELECT 1 + 1") == 2
        if isinstance(target, Engine):
            target.dispose()
    config = ConnectionConfig.from_dsn(dsn)
    with pytest.raises(ConfigurationError, match="not both"):
        Session(SQLiteAdapter(), dsn=dsn, connection_config=config)
    with pytest.raises(ConfigurationError, match="DSN already"):
        Session(dsn, dsn=dsn)
    with Engine(dsn) as engine, pytest.raises(ConfigurationError, match="Engine knows its database"):
        Session(engine, dsn=dsn)
    with pytest.raises(ConfigurationError):
        Session(dsn, hooks=[lambda wrong: None], slow_query_ms=-1)
    with pytest.raises(TypeError):
        Session(dsn, auto_comit=True)  # type: ignore[call-arg]


@pytest.mark.requirement("R38", "R98")
async def test_statistics_and_hooks_see_every_execution(db: Database) -> None:
    seen: list[tuple[str, int, Any]] = []

    class Watch:
        def after_execute(self, statement: str, rows: int, error: Any) -> None:
            seen.append((statement.split()[0], rows, error))

    async with db.session(hooks=[Watch()]) as s:
        await s.add_all([Tag(name="a"), Tag(name="b")])
        await s.flush()
        await s.all(Tag)
        await s.exec_scalar("SELECT count(*) FROM tag")
        with pytest.raises(blaze.BlazeError):
            await s.execute("SELECT * FROM nowhere")
        await s.rollback()
        counted = [
            (word, rows) for word, rows, error in seen if word in ("INSERT", "SELECT") and error is None
        ]
        assert [word for word, _ in counted] == ["INSERT", "SELECT", "SELECT"]
        assert seen[-2][2] is not None or seen[-1][2] is not None
        assert s.statements >= 3


@pytest.mark.requirement("R39", "R41", "R42", "R43", "R44", "R47", "R111")
async def test_exec_takes_queries_writing_statements_and_text(db: Database) -> None:
    await db.save(*[Author(name=f"a{i}") for i in range(3)])

    def helper(session: Any) -> Any:
        return session.exec_scalar("SELECT COUNT(*) FROM author")

    async with db.session() as s:
        assert await s.do(helper) == 3
        statement = Select(Author).where(Author.name == "a1")
        found = await s.do(lambda session: session.exec(statement).all())
        assert names(found) == ["a1"]
        assert (await s.exec_one(statement)).id == 2
        assert await s.exec_one(Select(Author).where(Author.name == "no")) is None
        assert await s.exec_scalar(Select(Author.name).order_by(Author.id)) == "a0"
        assert await s.exec_scalar("SELECT name FROM author WHERE id = ?", [2]) == "a1"
        assert await s.exec_scalar("SELECT name FROM author WHERE id = %s", [2]) == "a1"
        assert await s.exec_scalar("SELECT name FROM author WHERE id = :id", {"id": 2}) == "a1"
        assert await s.exec_scalar(sql("SELECT name FROM author WHERE id = {id}", id=2)) == "a1"
        assert (await s.execute("SELECT id, name FROM author ORDER BY id")).first().name == "a0"
        await s.do(lambda session: session.exec(Insert(Author).values(name="new")).all())
        await s.do(lambda session: session.exec(Update(Author).set(name="n").where(Author.id == 4)).all())
        await s.do(lambda session: session.exec(Delete(Author).where(Author.id == 1)).all())
        await s.commit()
        with pytest.raises(QueryError):
            await s.do(lambda session: session.exec(7).all())
    assert await db.rows("SELECT name FROM author ORDER BY id") == [("a1",), ("a2",), ("n",)]


@pytest.mark.requirement("R62", "R63", "R64", "R65", "R66", "R67")
async def test_the_async_calls_of_the_quick_start(awaiting: Database) -> None:
    async with AsyncSession(awaiting.engine) as session:
        await session.add(Tag(name="awaited"))
        session.add(Tag(name="not awaited"))
        await session.flush()
        tag = await session.get_one(Tag, 1)
        results = await session.exec(Select(Tag))
        assert await results.all() == await session.exec(Select(Tag)).all()
        tag.name = "x"
        await session.refresh(tag)
        assert tag.name == "awaited"
        await session.bulk_insert([Tag(name="bulk")])
        (bulk,) = [found async for found in session.query(Tag).where(Tag.name == "bulk").stream()]
        assert bulk.id == 3
        await session.delete(tag)
        await session.commit()
        await session.rollback()
        assert await session.query(Tag).count() == 2


@pytest.mark.requirement("R62", "R68")
def test_both_sessions_have_the_same_calls() -> None:
    def calls(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(kind, callable)
            if not name.startswith("_")
        }

    assert calls(Session) == calls(AsyncSession)


@pytest.mark.requirement("R16", "R112")
async def test_auto_commit_stores_without_a_commit_call(db: Database) -> None:
    async with db.session(auto_commit=True) as s:
        await s.add(Author(name="a"))
    assert await db.rows("SELECT name FROM author") == [("a",)]


@pytest.mark.requirement("R106")
async def test_many_to_many_query_sets_and_n_plus_one_work_together(db: Database) -> None:
    await db.save(*[Book(title=f"b{i}", tags=[Tag(name=f"t{i}")]) for i in range(10)])
    async with db.session() as s:

        def query(session: Any) -> Any:
            return session.query(Book).filter(tags__name__in=["t1", "t2"]).include(Book.tags).all()

        before = s.statements
        books = await s.do(query)
        assert sorted(tag.name for book in books for tag in book.tags) == ["t1", "t2"]
        assert s.statements - before == 2
        for book in books:
            book.tags.clear()
        await s.commit()
        assert await s.do(query) == []


async def test_tables_can_be_made_for_what_is_pending(db: Database) -> None:
    class Late(Model):
        id: Field[int] = field(primary_key=True)
        name: Field[str]

    async with db.session() as s:
        late = Late(name="x")
        await s.add(late)
        with pytest.raises(SQLSyntaxError, match="create_all"):
            await s.commit()
        await s.create_all(Late)
        assert list(s.session.new) == [late]
        await s.commit()
        assert late.id == 1
        late.name = "y"
        await s.drop_all(Late)
        await s.rollback()
