"""A rollback brings deleted objects back as they were, whatever was done to them after their deletion."""

from __future__ import annotations

from typing import Any

import pytest

from tests.persistence.models import Author, Book, Chapter, Tag
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R24")


async def library(db: Database) -> None:
    book = Book(title="b", meta={"n": [1]}, tags=[Tag(name="t")])
    await db.save(Author(name="a", books=[book]), Author(name="other"), Chapter(heading="c", book=book))


async def loaded(s: Any) -> tuple[Any, Any, Any]:
    """Load the book with its lists, its author and its chapter."""
    book = (await s.all(Book))[0]
    for name in ("author", "chapters", "tags"):
        await s.read(book, name)
    await s.read(book.author, "books")
    return book, book.author, book.chapters[0]


def spoil(book: Any, author: Any, other: Any) -> None:
    book.title = "late"
    book.meta["n"].append(2)
    book.labels = ["late"]
    book.author = other
    author.name = "late"
    author.email = "late"
    author.edited.append(Book(title="late"))
    author.books.append(Book(title="late"))
    book.tags.clear()


async def test_rollback_restores_objects_changed_after_their_deletion(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        book, author, chapter = await loaded(s)
        assert book.meta == {"n": [1]}
        other = await s.get(Author, 2)
        await s.delete(author)
        await s.delete(book)
        await s.flush()
        spoil(book, author, other)
        chapter.heading = "late"
        await s.rollback()
        assert (author.name, author.email, chapter.heading) == ("a", None, "c")
        assert (book.title, book.meta, book.labels) == ("b", {"n": [1]}, None)
        assert book.author is author
        assert list(author.books) == [book]
        assert await s.read(author, "edited") == []
        assert [tag.name for tag in book.tags] == ["t"]
        assert (s.new, s.dirty, s.deleted) == ([], [], [])
        before = s.statements
        await s.commit()
        assert s.statements == before
        book.meta["n"].append(3)
        author.name = "changed"
        await s.commit()
    assert await db.rows("SELECT title, meta, labels, author_id FROM book") == [("b", '{"n":[1,3]}', None, 1)]
    assert await db.rows("SELECT name, email FROM author") == [("changed", None), ("other", None)]


async def test_an_inner_block_restores_what_the_outer_one_deleted(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        book, author, chapter = await loaded(s)

        async def fail() -> None:
            async with s.transaction():
                await s.delete(author)
                await s.flush()
                author.name = "late"
                raise ZeroDivisionError

        async with s.transaction():
            await s.delete(book)
            with pytest.raises(ZeroDivisionError):
                await fail()
            assert author.name == "a"
            assert chapter not in s.session
        assert (s.new, s.dirty) == ([], [])
    assert await db.rows("SELECT name FROM author") == [("a",), ("other",)]
    assert await db.rows("SELECT count(*) FROM book") == [(0,)]


async def test_columns_and_lists_that_were_not_loaded_stay_so(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        book = await s.do(lambda x: x.query(Book).defer(Book.title, Book.meta, Book.labels).one())
        author = await s.get(Author, 1)
        await s.delete(author)
        await s.delete(book)
        await s.flush()
        book.title, book.meta, book.labels = "late", {"late": 1}, ["late"]
        assert list(author.books) == []
        await s.rollback()
        assert s.dirty == []
        for name in ("title", "meta", "labels"):
            await s.load(book, name)
        assert (book.title, book.meta, book.labels) == ("b", {"n": [1]}, None)
        assert await s.read(author, "books") == [book]


async def test_an_object_deleted_and_added_again(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        author = await s.get(Author, 2)
        await s.delete(author)
        await s.flush()
        author.name = "again"
        await s.add(author)
        await s.flush()
        author.name = "once more"
        await s.rollback()
        assert author.name == "other"
        assert author in s.session
        author.name = "changed"
        await s.commit()
    assert await db.rows("SELECT name FROM author ORDER BY id") == [("a",), ("changed",)]


async def test_an_object_deleted_and_waiting_to_be_added_again(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        author = await s.get(Author, 2)
        await s.delete(author)
        await s.flush()
        await s.add(author)
        author.name = "again"
        await s.rollback()
        assert author.name == "other"
        assert await s.get(Author, 2) is author
        author.name = "changed"
        await s.commit()
    assert await db.rows("SELECT name FROM author ORDER BY id") == [("a",), ("changed",)]
