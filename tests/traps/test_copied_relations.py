"""Copies and pickles hold what was loaded: relations in both directions, cycles, pending links."""

from __future__ import annotations

import copy
import pickle
from typing import Any, Callable

import pytest

from blaze import Model
from blaze.errors import NotLoadedError
from tests.persistence.models import Author, Award, Book, Node, Profile, Tag
from tests.persistence.twins import Database, names


def through_pickle(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def through_old_pickle(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing, 2))


DEEP: list[Callable[[Any], Any]] = [through_pickle, through_old_pickle, copy.deepcopy]


async def library(db: Database) -> None:
    author = Author(name="a", profile=Profile(text="p"))
    book = Book(title="b", author=author, meta={"a": [1]})
    book.tags.add(Tag(name="t"), Tag(name="u"))
    await db.save(author, book, Book(title="c", author=author))


async def loaded(s: Any) -> Book:
    query = s.session.query(Book).include(Book.author, Book.editor, Book.tags)
    query = query.include(Book.author.books, Book.author.profile).where(Book.title == "b")
    found = await s.do(lambda _: query.one())
    assert isinstance(found, Book)
    return found


@pytest.mark.parametrize("make", DEEP)
async def test_loaded_relations_travel_with_one_object_for_each_row(db: Database, make: Any) -> None:
    await library(db)
    async with db.session() as s:
        book = await loaded(s)
        twin, again = make([book, book])
        assert twin is again
        assert twin is not book
    author = twin.author
    assert author is not book.author
    assert (author.name, author.profile.text, twin.editor) == ("a", "p", None)
    assert author.profile.author is author
    assert names(twin.tags) == ["t", "u"]
    assert sorted(b.title for b in author.books) == ["b", "c"]
    assert [b for b in author.books if b.title == "b"] == [twin]
    assert all(b.author is author for b in author.books)
    with pytest.raises(NotLoadedError, match="copy"):
        _ = twin.chapters[0]
    assert book.tags == book.tags
    twin.tags.remove(twin.tags[0])
    assert (len(twin.tags), len(book.tags)) == (1, 2)


async def test_a_shallow_copy_shares_what_is_loaded(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        book = await loaded(s)
        twin = copy.copy(book)
        assert twin.author is book.author
        assert list(twin.tags) == list(book.tags)
        assert twin.tags is not book.tags
        twin.tags.clear()
        assert len(book.tags) == 2
        assert (s.dirty, s.new) == ([], [])
        await s.commit()
    assert await db.rows("SELECT count(*) FROM book_tags") == [(2,)]


@pytest.mark.parametrize("make", DEEP)
async def test_an_unpickled_graph_is_merged_as_a_whole(db: Database, make: Any) -> None:
    await library(db)
    async with db.session() as s:
        twin = make(await loaded(s))
    twin.title, twin.author.name = "b2", "a2"
    twin.tags.remove(next(tag for tag in twin.tags if tag.name == "u"))
    async with db.session() as s:
        merged = await s.merge(twin)
        assert merged.author.name == "a2"
        await s.commit()
    assert await db.rows("SELECT title FROM book ORDER BY id") == [("b2",), ("c",)]
    assert await db.rows("SELECT name FROM author") == [("a2",)]
    assert await db.rows("SELECT count(*) FROM book_tags") == [(1,)]


@pytest.mark.parametrize("make", [*DEEP, copy.copy])
async def test_a_copy_that_is_added_becomes_one_new_row(db: Database, make: Any) -> None:
    await library(db)
    async with db.session() as s:
        twin = make(await loaded(s))
        twin.id = None
        twin.title = "new"
        await s.add(twin)
        await s.commit()
        author = await s.get_one(Author, 1)
        assert await s.read(twin, "author") is author
        assert await s.read(twin, "tags") == []
    counts = "SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM book_tags)"
    assert await db.rows(counts.format("book")) == [(3, 2)]
    assert await db.rows(counts.format("author")) == [(1, 2)]
    assert await db.rows("SELECT author_id FROM book WHERE title = 'new'") == [(1,)]


@pytest.mark.parametrize("make", DEEP)
async def test_a_copied_new_graph_is_stored_as_a_whole(db: Database, make: Any) -> None:
    await library(db)
    async with db.session() as s:
        tag, author = await s.get_one(Tag, 1), await s.get_one(Author, 1)
        fresh = Book(title="n", author=Author(name="n"), editor=author)
        fresh.awards.add(Award(name="w"))
        fresh.tags.add(tag)
        twin = make(fresh)
        await s.expunge(fresh) if fresh in s.session else None
        await s.rollback()
    assert (twin.author.name, twin.editor.name) == ("n", "a")
    async with db.session() as s:
        await s.add(twin)
        await s.commit()
        assert await s.read(twin, "editor") is await s.get_one(Author, 1)
    assert await db.rows("SELECT name FROM author ORDER BY id") == [("a",), ("n",)]
    assert await db.rows("SELECT tag_id FROM book_tags WHERE book_id = 3") == [(1,)]
    assert await db.rows("SELECT count(*) FROM book_awards") == [(1,)]


@pytest.mark.parametrize("make", DEEP)
async def test_a_circle_of_objects_comes_to_an_end(db: Database, make: Any) -> None:
    async with db.session() as s:
        a, b = Node(name="a"), Node(name="b")
        a.friends.add(b)
        b.friends.add(a)
        await s.add_all([a, b])
        await s.flush()
        a.parent = b
        await s.load(a, "friends")
        await s.load(b, "friends", "children")
        twin = make(a)
        assert twin.parent.name == "b"
        assert twin.friends[0] is twin.parent
        assert twin.parent.friends[0] is twin
        assert twin.parent.children[0] is twin
        await s.rollback()


async def test_a_copy_says_what_was_not_loaded(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        (author,) = await s.all(Author)
        books = await s.all(Book)
    for make in (*DEEP, copy.copy):
        twin: Model = make(author)
        with pytest.raises(NotLoadedError, match="load it before copying"):
            _ = twin.books[0]  # type: ignore[attr-defined]
        with pytest.raises(NotLoadedError, match="load it before copying"):
            _ = make(books[0]).author
