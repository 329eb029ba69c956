"""Counting to-many relations, and asking whether there is any: once for all objects of a result."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Any

import pytest

from blaze.errors import NotLoadedError, QueryError, SessionError
from tests.persistence.models import Author, Award, Book, Chapter, Desk, Node, Room, Tag
from tests.persistence.twins import Database, settled


async def library(db: Database) -> None:
    tags = [Tag(name=f"t{i}") for i in range(3)]
    authors = [
        Author(name=f"a{i}", books=[Book(title=f"b{i}{j}", tags=tags[:j]) for j in range(i)])
        for i in range(4)
    ]
    await db.save(*authors, *tags)


@pytest.mark.requirement("R59")
async def test_counts_in_a_loop_cost_one_statement(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        authors = await s.all(Author)
        before = s.statements
        assert [await settled(a.books.count()) for a in authors] == [0, 1, 2, 3]
        assert s.statements - before == 1
        assert [await settled(a.books.exists()) for a in authors] == [False, True, True, True]
        assert s.statements - before == 1, "the counts say it"
        assert [await settled(a.edited.exists()) for a in authors] == [False] * 4
        assert s.statements - before == 2
        assert [await settled(a.edited.count()) for a in authors] == [0] * 4
        assert s.statements - before == 3
        assert not any(a.books.is_loaded for a in authors)
        books = await s.all(Book)
        before = s.statements
        assert sorted([await settled(b.tags.count()) for b in books]) == [0, 0, 0, 1, 1, 2]
        assert sorted([await settled(b.tags.exists()) for b in books]) == [False] * 3 + [True] * 3
        assert s.statements - before == 1
        tags = await s.all(Tag)
        before = s.statements
        assert [await settled(t.books.exists()) for t in tags] == [True, True, False]
        assert [await settled(t.books.count()) for t in tags] == [3, 1, 0]
        assert s.statements - before == 2


async def test_what_is_loaded_counts_itself(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        author = await s.get_one(Author, 4)
        await s.load(author, Author.books)
        before = s.statements
        assert await settled(author.books.count()) == len(author.books) == 3
        found = await settled(author.books.exists())
        assert found is True
        assert author.books.count(author.books[0]) == 1
        assert s.statements == before


async def test_pending_changes_are_counted(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        authors = await s.all(Author)
        assert await settled(authors[0].books.count()) == 0
        authors[0].books.add(Book(title="new"))
        assert await settled(authors[0].books.count()) == 1
        await s.add(Book(title="by key", author_id=authors[0].id))
        assert await settled(authors[0].books.count()) == 2
        assert await settled(authors[1].books.count()) == 1
        await s.rollback()
        assert await settled(authors[0].books.count()) == 0
        assert await settled(authors[0].books.exists()) is False
        await s.execute("DELETE FROM book WHERE author_id = ?", [authors[1].id])
        assert await settled(authors[1].books.count()) == 0
        await s.rollback()
        assert await settled(authors[1].books.count()) == 1


async def test_counts_end_with_a_savepoint(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        author = await s.get_one(Author, 2)
        async with s.transaction():
            with suppress(ZeroDivisionError):
                async with s.transaction():
                    await s.add(Book(title="new", author=author))
                    assert await settled(author.books.count()) == 2
                    raise ZeroDivisionError
            assert await settled(author.books.count()) == 1


async def test_counts_end_with_commit_and_refresh(db: Database) -> None:
    await library(db)
    for end in ("commit", "refresh"):
        async with db.session() as s, db.session() as other:
            author = await s.get_one(Author, 2)
            number = await settled(author.books.count())
            await other.add(Book(title=f"after {end}", author_id=2))
            await other.commit()
            await (s.commit() if end == "commit" else s.refresh(author))
            assert await settled(author.books.count()) == number + 1


async def test_without_autoflush_pending_links_count(db: Database) -> None:
    await library(db)
    async with db.session(autoflush=False) as s:
        author, book = await s.get_one(Author, 2), await s.get_one(Book, 1)
        author.books.add(Book(title="new"))
        book.tags.add(Tag(name="new"))
        assert await settled(author.books.count()) == 2
        assert await settled(book.tags.exists())
        await s.rollback()


async def test_new_and_closed_objects(db: Database) -> None:
    await library(db)
    author = Author(name="new", books=[Book(title="x")])
    assert author.books.count() == 1
    assert await author.books.count() == 1
    assert await author.books.exists() is True
    async with db.session() as s:
        held = await s.get_one(Author, 2)
        loaded = await s.get_one(Author, 3)
        await s.load(loaded, Author.books)
    assert loaded.books.count() == 2
    assert await loaded.books.exists() is True
    with pytest.raises(NotLoadedError, match=r"Author\.books"):
        await settled(held.books.count())


async def test_composite_keys_and_self_relations(db: Database) -> None:
    rooms = [Room(house="A", number=1), Room(house="A", number=2)]
    root = Node(name="root")
    await db.save(
        *rooms, Desk(label="x", room=rooms[0]), Desk(label="y", room=rooms[0]), Node(name="leaf", parent=root)
    )
    async with db.session() as s:
        found = await s.all(Room)
        before = s.statements
        assert sorted([await settled(r.desks.count()) for r in found]) == [0, 2]
        assert s.statements - before == 1
        nodes = await s.all(Node)
        assert sorted([await settled(n.children.exists()) for n in nodes]) == [False, True]
        nodes[0].friends.add(nodes[1])
        assert sorted([await settled(n.friends.count()) for n in nodes]) == [0, 1]
        assert sorted([await settled(n.friend_of.count()) for n in nodes]) == [0, 1]
        await s.rollback()


@pytest.mark.requirement("R4", "R39")
async def test_a_list_makes_queries_of_its_own(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        author = await s.get_one(Author, 4)
        assert await settled(author.books.where(Book.title > "b30").count()) == 2
        found = await settled(author.books.filter(title__endswith="1").all())
        assert [b.title for b in found] == ["b31"]
        assert await settled(author.books.exclude(title="b30").exists())
        assert (await settled(author.books.order_by(Book.title.desc()).first())).title == "b32"
        tag = await s.get_one(Tag, 1)
        assert await settled(tag.books.where(Book.title.startswith("b3")).count()) == 2
        assert not author.books.is_loaded
        author.books.add(Book(title="b39"))
        assert await settled(author.books.where(Book.title == "b39").count()) == 1
        book = await s.get_one(Book, 1)
        book.awards.add(Award(name="first"), Award(name="second"))
        assert await settled(book.awards.where(Award.name == "first").count()) == 1, "no other side"
        assert await settled(book.awards.count()) == 2
        assert await settled(book.awards.exists())
        new = Author(name="new")
        await s.add(new)
        with pytest.raises(QueryError, match="key"):
            new.books.where(Book.id == 1)
        await s.rollback()
    with pytest.raises(SessionError, match="no open session"):
        author.books.filter(title="x")
    with pytest.raises(SessionError, match="no open session"):
        Author(name="x").books.query()


async def test_counting_is_allowed_where_loading_is_not(db: Database) -> None:
    await library(db)
    async with db.session(lazy="raise") as s:
        authors = await s.all(Author)
        assert [await settled(a.books.count()) for a in authors] == [0, 1, 2, 3]
        with pytest.raises(NotLoadedError):
            len(authors[1].books)


async def test_an_asynchronous_count_is_awaited(awaiting: Database) -> None:
    await library(awaiting)
    async with awaiting.session() as s:
        author = await s.get_one(Author, 2)
        waiting: Any = author.books.count()
        assert inspect.isawaitable(waiting)
        assert await waiting == 1
        await s.load(author, Author.books)
        assert await author.books.count() == 1
        assert await author.books.exists() is True


def test_chapters_have_no_books_to_count() -> None:
    with pytest.raises(AttributeError):
        Chapter(heading="x").books.count()  # type: ignore[attr-defined]
