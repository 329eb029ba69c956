"""`refresh`: all of an object, or some of it."""

from __future__ import annotations

import pytest

from blaze.errors import NoResultError, QueryError, SessionError, UniqueError
from tests.persistence.models import Author, Book, Document, Profile, Tag
from tests.persistence.twins import Database, names


@pytest.mark.requirement("R23")
async def test_refresh_reads_deferred_columns_again_that_were_loaded(db: Database) -> None:
    await db.save(Document(title="t", text="old"), Document(title="u", text="old"))
    async with db.session() as s:
        read, unread = await s.get_one(Document, 1), await s.get_one(Document, 2)
        await s.session.load(read, "text") if db.asynchronous else s.session.load(read, "text")
        assert read.text == "old"
        await s.execute("UPDATE document SET title = 'new', text = 'new'")
        before = s.statements
        await s.refresh(read)
        await s.refresh(unread)
        assert s.statements - before == 3
        assert (read.title, read.text, unread.title) == ("new", "new", "new")
        assert s.statements - before == 3
        assert "text" not in unread.to_dict()
        await s.rollback()
        assert (read.title, read.text) == ("t", "old")


@pytest.mark.requirement("R23")
async def test_refresh_of_some_columns_leaves_the_others_and_their_changes(db: Database) -> None:
    await db.save(Book(title="b", rating=1, meta={"k": 1}, labels=["x"]))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        book.title, book.rating = "mine", 5
        book.meta["k"] = 2
        book.labels.append("y")
        with s.session.no_autoflush():
            await s.execute("UPDATE book SET rating = 7, title = 'theirs'")
            await s.refresh(book, Book.rating, "meta")
            assert (book.title, book.rating, book.meta, book.labels) == ("mine", 7, {"k": 1}, ["x", "y"])
        await s.commit()
    assert await db.rows("SELECT title, rating, meta, labels FROM book") == [
        ("mine", 7, '{"k":1}', '["x","y"]')
    ]


@pytest.mark.requirement("R23")
async def test_refresh_of_relations_loads_them_again(db: Database) -> None:
    await db.save(Book(title="b", author=Author(name="a"), tags=[Tag(name="t")]))
    await db.save(Author(name="z"), Tag(name="u"))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        other = await s.get_one(Author, 2)
        author = await s.read(book, "author")
        assert (names(await s.read(author, "books"), "title"), await s.read(other, "books")) == (["b"], [])
        assert names(await s.read(book, "tags")) == ["t"]
        await s.execute("INSERT INTO book_tags (book_id, tag_id) VALUES (1, 2)")
        await s.execute("UPDATE book SET author_id = 2")
        await s.refresh(book, Book.tags)
        assert (names(book.tags), book.author) == (["t", "u"], author)
        await s.refresh(book, "author")
        assert (book.author_id, book.author) == (2, other)
        assert (list(author.books), list(other.books)) == ([], [book])
        await s.refresh(author, Author.books)
        assert list(author.books) == []
        await s.rollback()
        assert book.author_id == 1
        assert await s.read(book, "author") is author


@pytest.mark.requirement("R23")
async def test_refresh_drops_pending_moves_and_shows_them_nowhere(db: Database) -> None:
    await db.save(Book(title="b", author=Author(name="a", profile=Profile(text="p"))))
    await db.save(Author(name="z"))
    async with db.session() as s:
        book, other = await s.get_one(Book, 1), await s.get_one(Author, 2)
        author = await s.read(book, "author")
        profile = await s.read(author, "profile")
        assert len(await s.read(author, "books")) == 1
        assert await s.read(other, "books") == []
        for whole in (True, False):
            book.author = other
            profile.author = other
            assert (list(author.books), list(other.books), author.profile) == ([], [book], None)
            with s.session.no_autoflush():
                await s.refresh(book, *(() if whole else ["author"]))
                await s.refresh(profile, *(() if whole else [Profile.author_id]))
            assert (list(author.books), list(other.books)) == ([book], [])
            assert (await s.read(book, "author"), await s.read(profile, "author")) == (author, author)
            assert (author.profile, await s.read(other, "profile")) == (profile, None)
            assert s.dirty == []
        await s.commit()
    assert await db.rows("SELECT author_id FROM book UNION ALL SELECT author_id FROM profile") == [(1,), (1,)]


@pytest.mark.requirement("R23")
async def test_what_cannot_be_refreshed_is_refused(db: Database) -> None:
    await db.save(Book(title="b"))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        with pytest.raises(QueryError, match="titel"):
            await s.refresh(book, "titel")
        with pytest.raises(QueryError, match="column of Author, not of Book"):
            await s.refresh(book, Author.name)
        with pytest.raises(SessionError, match="does not belong"):
            await s.refresh(Book(title="x"))
        await s.execute("DELETE FROM book")
        for paths in ((), ("title",)):
            with pytest.raises(NoResultError, match=r"row of this Book \(key 1\) is gone"):
                await s.refresh(book, *paths)
        await s.rollback()


@pytest.mark.requirement("R23", "R20")
@pytest.mark.parametrize("whole", [True, False], ids=["all", "some"])
@pytest.mark.parametrize("why", ["flush", "read"])
async def test_a_refresh_that_fails_leaves_the_object_as_it_was(db: Database, why: str, whole: bool) -> None:
    await db.save(Author(name="a", email="a@x"), Author(name="z"), Tag(name="t"), Tag(name="u"))
    await db.save(Book(title="b", meta={"k": 1}, labels=["x"], author_id=1))
    failing = False

    class Fails:
        def before_execute(self, statement: str) -> None:
            if failing and statement.startswith("SELECT"):
                raise ValueError("read")

    async with db.session(hooks=[Fails()]) as s:
        book, other = await s.get_one(Book, 1), await s.get_one(Author, 2)
        tag, author = await s.get_one(Tag, 1), await s.get_one(Author, 1)
        assert (await s.read(author, "books"), await s.read(other, "books")) == ([book], [])
        await s.read(book, "tags")
        await s.read(tag, "books")
        await s.flush()
        editor = Author(name="e")
        with s.session.no_autoflush():
            book.meta["k"] = 2
            book.labels = ["y"]
            book.title, book.author, book.editor = "mine", other, editor
            book.tags.add(tag)
        labels, meta = book.labels, book.meta
        paths = () if whole else (Book.title, "meta", "labels", Book.author, "editor", Book.tags)
        if why == "flush":
            await s.add(Author(name="c", email="a@x"))
            with pytest.raises(UniqueError):
                await s.refresh(book, *paths)
        else:
            failing = True
            with pytest.raises(ValueError, match="read"):
                await s.refresh(book, *paths)
            failing = False
        assert (book.title, book.author, book.editor, book.author_id) == ("mine", other, editor, 2)
        assert (book.meta, book.labels) == ({"k": 2}, ["y"])
        assert book.meta is meta
        assert book.labels is labels
        assert (list(book.tags), list(tag.books)) == ([tag], [book])
        assert (list(author.books), list(other.books)) == ([], [book])
        meta["k"] = 3
        assert s.dirty == [book]
        await s.rollback()
        assert (book.title, book.author, book.editor_id, s.dirty) == ("b", author, None, [])
        assert (book.meta, book.labels) == ({"k": 1}, ["x"])
        assert (list(book.tags), list(tag.books)) == ([], [])
        assert (list(author.books), list(other.books)) == ([book], [])
        book.meta["k"] = 4
        await s.commit()
    assert await db.rows("SELECT title, meta, author_id FROM book") == [("b", '{"k":4}', 1)]
