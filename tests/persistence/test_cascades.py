"""What a session takes in along relations, what it refuses, and what happens to those that leave a list."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from blaze.errors import SessionError
from tests.persistence.models import Author, Book, Chapter, Node, Profile, Tag
from tests.persistence.twins import Database, names

# --- taken in by a list


@pytest.mark.requirement("R24", "R26")
async def test_a_new_object_that_leaves_the_list_that_brought_it_in_is_saved(db: Database) -> None:
    await db.save(Author(name="a"), Book(title="b"))
    async with db.session() as s:
        author, book = await s.get_one(Author, 1), await s.get_one(Book, 1)
        await s.read(author, "books")
        new, tag = Book(title="new"), Tag(name="t")
        author.books.add(new)
        book.tags.add(tag)
        assert s.new == [new, tag]
        author.books.remove(new)
        book.tags.remove(tag)
        await s.commit()
        assert (new.author_id, list(author.books), await s.read(book, "tags")) == (None, [], [])
    assert await db.rows("SELECT title, author_id FROM book ORDER BY id") == [("b", None), ("new", None)]
    assert await db.rows("SELECT name FROM tag") == [("t",)]
    assert await db.rows("SELECT * FROM book_tags") == []


@pytest.mark.requirement("R26")
async def test_adding_an_owner_takes_in_what_its_lists_hold_to_any_depth(db: Database) -> None:
    async with db.session() as s:
        leaf = Node(name="leaf")
        middle = Node(name="middle", children=[leaf])
        root = Node(name="root", children=[middle])
        await s.add(root)
        assert [o in s.session for o in (root, middle, leaf)] == [True] * 3
        middle.children.remove(leaf)
        await s.commit()
        assert await db.rows("SELECT name, parent_id FROM node ORDER BY name") == [
            ("leaf", None), ("middle", root.id), ("root", None),
        ]  # fmt: skip


@pytest.mark.requirement("R26")
async def test_a_rollback_forgets_what_a_list_brought_in(db: Database) -> None:
    await db.save(Author(name="a"))
    async with db.session() as s:
        author = await s.get_one(Author, 1)
        book = Book(title="b")
        author.books.add(book)
        await s.rollback()
        assert book not in s.session
        assert await s.read(author, "books") == []
        author.books.add(book)
        await s.commit()
        assert await s.scalar("SELECT author_id FROM book") == 1


# --- objects of another session


WAYS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "a foreign key": lambda book, author, theirs: setattr(book, "author", theirs["author"]),
    "a list of a loaded object": lambda book, author, theirs: author.books.add(theirs["book"]),
    "a list set as a whole": lambda book, author, theirs: author.books.set([theirs["book"]]),
    "a many-to-many list": lambda book, author, theirs: book.tags.add(theirs["tag"]),
    "its reverse side": lambda book, author, theirs: book.m2m_add("tags", theirs["tag"]),
    "a one-to-one key": lambda book, author, theirs: setattr(author, "profile", theirs["profile"]),
    "a new one of theirs": lambda book, author, theirs: book.tags.add(theirs["new"]),
}  # fmt: skip


@pytest.mark.requirement("R26")
@pytest.mark.parametrize("way", WAYS)
async def test_relating_an_object_of_another_open_session_names_that_session(db: Database, way: str) -> None:
    await db.save(
        Author(name="a", profile=Profile(text="p")), Book(title="b"), Book(title="c"), Tag(name="t")
    )
    async with db.session() as s, db.session() as other:
        book, author = await s.get_one(Book, 1), await s.get_one(Author, 1)
        await s.read(author, "books")
        await s.read(author, "profile")
        theirs = {
            "author": await other.get_one(Author, 1),
            "book": await other.get_one(Book, 2),
            "tag": await other.get_one(Tag, 1),
            "profile": await other.get_one(Profile, 1),
            "new": Tag(name="new"),
        }
        await other.add(theirs["new"])
        with pytest.raises(
            SessionError, match=r"belongs to another session, <(Async)?Session open.*merge\(\)"
        ):
            WAYS[way](book, author, theirs)
        assert (s.new, s.dirty, list(author.books)) == ([], [], [])
        assert author.profile.text == "p"
        await s.commit()
        await other.rollback()
    assert await db.rows("SELECT author_id FROM book") == [(None,), (None,)]


@pytest.mark.requirement("R26")
async def test_adding_what_refers_to_another_sessions_object_names_that_session(db: Database) -> None:
    await db.save(Author(name="a"), Tag(name="t"))
    async with db.session() as s, db.session() as other:
        theirs, tag = await other.get_one(Author, 1), await other.get_one(Tag, 1)
        with pytest.raises(SessionError, match="belongs to another session"):
            await s.add(Book(title="b", author=theirs))
        assert s.new == []
        await other.rollback()
        chapter = Chapter(heading="h", book=Book(title="b", tags=[tag]))
        await s.add(chapter)
        with pytest.raises(SessionError, match="belongs to another session"):
            await s.flush()
        await other.expunge(tag)
        await s.commit()
    assert await db.rows("SELECT heading, title, tag_id FROM chapter JOIN book b ON b.id = chapter.book_id "
                         "JOIN book_tags x ON x.book_id = b.id") == [("h", "b", 1)]  # fmt: skip


@pytest.mark.requirement("R26")
async def test_an_object_of_a_closed_session_can_be_referred_to(db: Database) -> None:
    await db.save(Author(name="a"), Tag(name="t"))
    async with db.session() as s:
        author, tag = await s.get_one(Author, 1), await s.get_one(Tag, 1)
    book = Book(title="b", author=author, tags=[tag])
    await db.save(book)
    assert (book.author_id, names(book.tags)) == (1, ["t"])
