"""Documents that somebody else holds: what changes in place is found, however often nothing had changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from blaze import AsyncSession, Engine, Session
from tests.persistence.models import Book
from tests.persistence.twins import Database, settled


def stored(engine: Engine) -> dict[str, Any]:
    with Session(engine) as session:
        return {book.title: book.meta for book in session.query(Book).all()}


@pytest.mark.requirement("R27")
def test_a_held_document_that_changes_after_many_commits_is_written(engine: Engine) -> None:
    documents = [{"n": number} for number in range(40)]
    with Session(engine) as session:
        books = [Book(title=f"b{number}", meta=document) for number, document in enumerate(documents)]
        for book in books:
            session.add(book)
            session.commit()
        for change in (True, 1, 1.0):  # equal values, different documents
            documents[7]["n"] = change
            session.commit()
            assert repr(stored(engine)["b7"]) == repr({"n": change})
        documents[0]["n"] = [{"deep": 1}]
        session.commit()
        documents[0]["n"][0]["deep"] = 2
        session.commit()
        assert stored(engine)["b0"] == {"n": [{"deep": 2}]}
        assert books[0].meta is documents[0]


def test_a_document_that_a_hook_changes_while_it_is_written_is_written_again(engine: Engine) -> None:
    document = {"n": 1}

    class Hook:
        def before_execute(self, statement: str) -> None:
            if statement.startswith("INSERT"):
                document["n"] = 2

    with Session(engine, hooks=[Hook()]) as session:
        session.add(Book(title="b", meta=document))
        session.commit()
        session.commit()
    assert stored(engine) == {"b": {"n": 2}}


def test_documents_that_nobody_holds_any_more_are_not_watched(engine: Engine) -> None:
    documents = [{"n": number} for number in range(100)]
    with Session(engine) as session:
        session.add_all([Book(title=f"b{n}", meta=document) for n, document in enumerate(documents)])
        session.commit()
        assert len(session.work.mutables) == 100
        del documents[:]
        for _ in range(14):
            session.flush()
        assert not session.work.mutables


async def test_documents_that_nobody_else_holds_are_not_watched_by_asynchronous_sessions(
    awaiting: Database,
) -> None:
    async with AsyncSession(awaiting.engine) as session:
        books = [Book(title=f"b{number}", meta={"n": number}) for number in range(3)]
        held = books[2].meta
        session.add_all(books)
        await session.commit()
        assert list(session.work.mutables.values()) == [books[2]]
        held["n"] = 7
        await session.commit()
        assert [book.meta for book in await session.query(Book).order_by(Book.title).all()] == [
            {"n": 0},
            {"n": 1},
            {"n": 7},
        ]


@pytest.mark.parametrize("way", ["unflushed", "flushed", "in bulk"])
async def test_a_document_that_was_left_out_and_replaced_is_left_out_again_by_a_rollback(
    db: Database, way: str
) -> None:
    await db.save(Book(title="b", meta={"n": 1}))
    async with db.session() as s:
        (book,) = await settled(s.query(Book).defer(Book.meta, Book.labels).all())
        book.meta, book.labels = {"n": 2}, ["x"]
        if way == "flushed":
            await s.flush()
        elif way == "in bulk":
            await s.bulk_update([book], ["meta", "labels"])
        await s.rollback()
        await s.load(book, "meta")
        await s.load(book, "labels")
        assert (book.meta, book.labels, s.dirty) == ({"n": 1}, None, [])


async def test_a_stream_keeps_the_objects_alone_whose_documents_are_held_or_changed(db: Database) -> None:
    await db.save(*[Book(title=str(n), meta={"n": n}) for n in range(20)])
    async with db.session() as s:
        held, most = [], 0
        stream = s.query(Book).order_by(Book.id).stream(size=2)
        async for book in stream if db.asynchronous else each(stream):
            if book.meta["n"] == 3:
                held.append(book.meta)
            if book.meta["n"] == 5:
                book.meta["n"] = 50
            most = max(most, len(s.session.work.mutables))
        assert most <= 4
        assert [book.title for book in s.dirty] == ["5"]
        held[0]["n"] = 30
        await s.commit()
    changed = {title: meta["n"] for title, meta in stored(db.engine).items() if title != str(meta["n"])}
    assert changed == {"3": 30, "5": 50}


async def each(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
