"""The identity map, lazy loading for a whole result, what is not loaded, and objects after their session."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from blaze import AsyncSession, Select
from blaze.errors import ConfigurationError, NotLoadedError, QueryError, SessionError
from tests.persistence.models import Author, Book, Chapter, Desk, Document, Node, Profile, Room, Tag
from tests.persistence.twins import Database, names, settled


async def library(db: Database, size: int = 3) -> None:
    tags = [Tag(name=f"t{i}") for i in range(2)]
    await db.save(
        *[
            Author(
                name=f"a{i}",
                profile=Profile(text=f"p{i}"),
                books=[Book(title=f"b{i}{j}", tags=tags, chapters=[Chapter(heading="h")]) for j in range(2)],
            )
            for i in range(size)
        ]
    )


@pytest.mark.requirement("R29", "R30", "R31", "R40")
async def test_one_row_is_one_object(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        author = await s.get(Author, 1)
        before = s.statements
        assert await s.get(Author, 1) is author
        assert await s.get_one(Author, id=1) is author
        assert await s.get_one(type(author), 1) is author
        assert s.statements == before
        assert (await s.all(Author, Author.name == "a0"))[0] is author
        (book, other) = await s.all(Book, Book.author_id == 1)
        assert book.author is other.author is author
        author.name = "changed"
        assert (await s.all(Author, Author.id == 1))[0].name == "changed"
        await s.rollback()
        async with db.session() as second:
            assert await second.get(Author, 1) is not author


async def test_wrong_keys_are_refused(db: Database) -> None:
    async with db.session() as s:
        for key in ("1", None, 1.5, (1, 2), [1], 2**70):
            with pytest.raises(QueryError, match="Author"):
                await s.get(Author, key)
        for wrong in ("A", ("A",), ("A", 1, 2), ("A", "x"), (None, 1)):
            with pytest.raises(QueryError, match="Room"):
                await s.get(Room, wrong)
        with pytest.raises(QueryError, match="did you mean 'number'"):
            await s.get(Room, house="A", nmber=1)
        with pytest.raises(QueryError, match="has the parts house, number"):
            await s.get(Room, house="A")
        with pytest.raises(QueryError, match="is missing"):
            await s.get(Room)
        with pytest.raises(QueryError, match="is not a model"):
            await s.get(dict, 1)
        assert await s.get(Author, 99) is None
        assert await s.get(Room, ("A", 1)) is None


@pytest.mark.requirement("R59")
@pytest.mark.parametrize("size", [3, 40])
async def test_a_lazy_loop_costs_one_statement_for_each_relation(blocking: Database, size: int) -> None:
    await library(blocking, size)
    async with blocking.session() as s:
        before = s.statements
        books = await s.all(Book)
        assert {book.author.name for book in books} == {f"a{i}" for i in range(size)}
        assert s.statements - before == 2
        assert sum(len(book.tags) for book in books) == size * 4
        assert s.statements - before == 3
        assert all(book.chapters[0].book is book for book in books)
        assert s.statements - before == 4
        assert {book.author.profile.text for book in books} == {f"p{i}" for i in range(size)}
        assert s.statements - before == 5
        assert all(book in book.author.books for book in books)
        assert all(book in tag.books for book in books for tag in book.tags)
        assert s.statements - before == 7
        assert all(profile.author.profile is profile for profile in await s.all(Profile))
        assert s.statements - before == 8


@pytest.mark.requirement("R60", "R61")
async def test_load_takes_one_statement_for_each_relation(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        books = await s.all(Book)
        before = s.statements
        await s.load(books, Book.author, Book.tags, Book.author.profile, "chapters")
        assert s.statements - before == 4
        assert {b.author.profile.text for b in books} == {"p0", "p1", "p2"}
        assert all(len(b.tags) == 2 and len(b.chapters) == 1 for b in books)
        await s.load(books, Book.author, Book.tags)
        assert s.statements - before == 4
        with pytest.raises(QueryError, match="authr"):
            await s.load(books, "authr")
        await s.load([], Book.author)
        with pytest.raises(SessionError, match="does not belong"):
            await s.load(Book(title="x"), Book.tags)


async def test_lazy_raise_by_session_model_and_query(db: Database) -> None:
    await library(db)
    async with db.session(lazy="raise") as s:
        book = (await s.all(Book))[0]
        for name in ("tags", "author", "chapters"):
            with pytest.raises(NotLoadedError, match=rf"Book\.{name} is not loaded.*include\(Book\.{name}\)"):
                list(getattr(book, name)) if name != "author" else book.author
        await s.load(book, Book.author)
        assert book.author.name
    if not db.asynchronous:
        async with db.session() as s:
            book = await s.do(lambda session: session.query(Book).lazy("raise").first())
            with pytest.raises(NotLoadedError, match="lazy"):
                len(book.tags)
            assert len((await s.all(Author))[0].books) == 2
    with pytest.raises(ConfigurationError, match="lazy must be"):
        db.open(lazy="never")


@pytest.mark.requirement("R60")
async def test_an_async_session_names_the_cure(awaiting: Database) -> None:
    db = awaiting
    await library(db)
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        for read in (
            lambda: list(book.tags),
            lambda: len(book.tags),
            lambda: book.tags[0],
            lambda: bool(book.tags),
        ):
            with pytest.raises(NotLoadedError, match=r"await session\.load\(obj, Book\.tags\)"):
                read()
        with pytest.raises(NotLoadedError, match=r"Book\.author"):
            book.author  # noqa: B018
        profile = await s.get_one(Profile, 1)
        author = await s.get_one(Author, 1)
        assert profile.author is author, "what the session knows needs no load"
        document = Document(title="d", text="long")
        await s.add(document)
        await s.commit()
    async with db.session() as s:
        document = await s.get_one(Document, 1)
        with pytest.raises(NotLoadedError, match=r"await session\.load\(obj, Document\.text\)"):
            document.text  # noqa: B018
        await s.load(document, Document.text)
        assert document.text == "long"


async def test_objects_stay_readable_after_commit_and_close(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        author = await s.get_one(Author, 1)
        await s.load(author, Author.books)
        book = author.books[0]
        book.meta["a"] = 1
        await s.commit()
        assert (author.name, book.title, book.author) == ("a0", "b00", author)
    assert (author.name, book.meta, [b.title for b in author.books]) == ("a0", {"a": 1}, ["b00", "b01"])
    with pytest.raises(NotLoadedError, match=r"Book\.tags is not loaded and its session is closed: include"):
        list(book.tags)
    with pytest.raises(NotLoadedError, match=r"Author\.profile"):
        author.profile  # noqa: B018
    author.name = "after"
    async with db.session() as s:
        await s.add(author)
        assert s.dirty == [author]
        assert await s.get(Author, 1) is author
        await s.commit()
        assert len(await s.read(book, "tags") if book in s.session else [1, 2]) == 2
    assert await db.rows("SELECT name FROM author WHERE id = 1") == [("after",)]


async def test_deferred_columns_load_for_the_whole_result(db: Database) -> None:
    await db.save(*[Document(title=f"d{i}", text=f"t{i}") for i in range(5)])
    async with db.session() as s:
        documents = await s.all(Document)
        before = s.statements
        assert "text" not in documents[0].to_dict()
        if db.asynchronous:
            await s.load(documents, Document.text)
        assert [d.text for d in documents] == [f"t{i}" for i in range(5)]
        assert s.statements - before == 1
        documents[0].text = "new"
        await s.commit()
    async with db.session() as s:
        (document,) = await s.all(Document, Document.id == 1)
        document.title = "other"
        await s.commit()
        document.text = "unseen"
        await s.commit()
    assert await db.rows("SELECT title, text FROM document WHERE id = 1") == [("other", "unseen")]


async def test_a_relation_whose_key_was_left_out_is_not_none(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        book = await s.do(lambda session: session.query(Book).only(Book.title).first())
        if db.asynchronous:
            with pytest.raises(NotLoadedError, match="author_id"):
                book.author  # noqa: B018
        else:
            assert book.author.name == "a0"


@pytest.mark.parametrize("left_out", ["only", "defer"])
async def test_loading_a_relation_reads_a_key_that_was_left_out(db: Database, left_out: str) -> None:
    await library(db)
    await db.save(Book(id=9, title="b3"), Room(house="x", number=1, name="r", desks=[Desk(label="d")]))
    whole = Select(Book).order_by(Book.id)
    part = whole.only(Book.title) if left_out == "only" else whole.defer("author_id")
    expected = ["a0", "a0", "a1", "a1", "a2", "a2", None]

    def authors(books: Any) -> list[Any]:
        return [book.author and book.author.name for book in books]

    for query, statements in (
        (part.include(Book.author), 2),
        (part.prefetch_related("author__profile"), 3),
        (part.select_related("author"), 1),
        (part.union(part).order_by(Book.id).include(Book.author), 3),
        (part.include(Book.author).union(part).order_by(Book.id), 3),
    ):
        async with db.session() as s:
            before = s.statements
            books = await s.do(lambda session, q=query: session.exec(q).all())
            assert (authors(books), s.statements - before) == (expected, statements)
    async with db.session() as s:
        books = await settled(s.session.exec(part).all())
        before = s.statements
        await s.load(books, Book.author)
        assert (authors(books), s.statements - before) == (expected, 2)
    async with db.session() as s:
        books = await settled(s.session.exec(part).all())
        await s.do(lambda session: session.exec(whole.include(Book.author)).all())
        assert (authors(books), books[0].author_id) == (expected, books[0].author.id)
    async with db.session(lazy="raise") as s:
        books = await settled(s.session.exec(part).all())
        await s.do(lambda session: session.exec(whole.select_related("author")).all())
        assert (authors(books), books[0].author_id) == (expected, books[0].author.id)
    async with db.session() as s:
        (desk,) = await settled(s.query(Desk).only(Desk.label).all())
        await s.load(desk, Desk.room)
        assert desk.room.name == "r"


async def test_a_rollback_takes_back_what_was_loaded_by_a_key_read_late(db: Database) -> None:
    await library(db, 2)
    async with db.session() as s:
        book = await settled(s.query(Book).only(Book.title).order_by(Book.id).first())
        await s.execute("UPDATE book SET author_id = 2 WHERE id = 1")
        await s.load(book, Book.author)
        assert book.author.name == "a1"
        await s.rollback()
        await s.load(book, Book.author)
        assert (book.author.name, book.author_id) == ("a0", 1)


async def test_adding_another_sessions_object_names_it(db: Database) -> None:
    await library(db)
    async with db.session() as one, db.session() as two:
        author = await one.get_one(Author, 1)
        with pytest.raises(
            SessionError, match=r"belongs to another session, <(Async)?Session open.*merge\(\)"
        ):
            await two.add(author)
        new = Tag(name="x")
        await one.add(new)
        await two.add(Book(title="b", tags=[new]))
        with pytest.raises(SessionError, match="another session"):
            await two.flush()
        await two.rollback()
        await one.rollback()
        with pytest.raises(SessionError, match="another session"):
            await two.delete(author)
        await one.expunge(author)
        await two.add(author)
        author.name = "moved"
        await two.commit()


@pytest.mark.requirement("R20")
async def test_autoflush_and_no_autoflush(db: Database) -> None:
    async with db.session() as s:
        await s.add(Tag(name="t"))
        with s.session.no_autoflush():
            assert await s.all(Tag) == []
        assert names(await s.all(Tag)) == ["t"]
        before = s.statements
        await s.all(Tag)
        assert s.statements - before == 1
        await s.rollback()
    async with db.session(autoflush=False) as s:
        await s.add(Tag(name="t"))
        assert await s.all(Tag) == []
        await s.flush()
        assert names(await s.all(Tag)) == ["t"]
        await s.rollback()


async def test_refresh_sees_what_others_wrote(db: Database) -> None:
    await library(db)
    async with db.session() as s, db.session() as other:
        mine, theirs = await s.get_one(Author, 1), await other.get_one(Author, 1)
        await s.read(mine, "books")
        theirs.name = "new"
        await other.add(Book(title="new", author=theirs))
        await other.commit()
        assert (mine.name, len(mine.books)) == ("a0", 2)
        await s.refresh(mine)
        assert mine.name == "new"
        assert len(await s.read(mine, "books")) == 3
        mine.books[0].tags.add(Tag(name="pending"))
        await s.refresh(mine.books[0])
        await s.commit()
        # The link is dropped; the object that came into the session with it is saved all the same.
        assert await s.scalar("SELECT count(*) FROM tag") == 3
        assert (
            await s.scalar(
                "SELECT count(*) FROM book_tags JOIN tag t ON t.id = tag_id WHERE t.name = 'pending'"
            )
            == 0
        )


# --- copies, text


async def test_repr_and_to_dict_load_nothing(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        document = Document(title="d")
        before = s.statements
        text = repr(book)
        assert "title='b00'" in text
        assert "author_id=1" in text
        assert repr(book.tags) == "<Book.tags: not loaded>"
        assert set(book.to_dict()) == {"id", "title", "rating", "meta", "labels", "author_id", "editor_id"}
        assert s.statements == before
        assert "title='d'" in repr(document)
        a, b = Node(name="a"), Node(name="b")
        a.friends.add(b)
        b.friends.add(a)
        a.parent, b.parent = b, a
        assert repr(a)
        assert repr(a.friends)


async def test_copies_belong_to_no_session(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        book.meta["a"] = [1]
        await s.commit()
        for make in (copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))):
            twin: Any = make(book)
            assert twin is not book
            assert twin not in s.session
            assert type(twin) is Book
            assert (twin.title, twin.meta, twin.id, twin.author_id) == ("b00", {"a": [1]}, 1, 1)
            twin.title = "copy"
            if make is not copy.copy:
                twin.meta["b"] = 2
            assert (book.title, book.meta) == ("b00", {"a": [1]})
        assert s.dirty == []
        merged = await s.merge(pickle.loads(pickle.dumps(book)))
        assert merged is book


async def test_equality_hash_and_truth_are_those_of_identity(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        assert book == book
        assert book != await s.get_one(Book, 2)
        assert len({book, book}) == 1
        assert isinstance(book, Book)
        assert book.__class__ is Book
        book.title = "x"
        assert book.__class__ is Book
        await s.rollback()


async def test_use_after_close(db: Database) -> None:
    async with db.session() as s:
        pass
    for use in (
        lambda: s.add(Tag(name="t")),
        lambda: s.delete(Tag(name="t")),
        lambda: s.get(Tag, 1),
        lambda: s.all(Tag),
        lambda: s.flush(),
        lambda: s.commit(),
        lambda: s.rollback(),
        lambda: s.merge(Tag(name="t")),
        lambda: s.execute("SELECT 1"),
        lambda: s.bulk_insert([Tag(name="t")]),
        lambda: s.parallel_exec([]),
        lambda: s.get_or_create(Tag, name="t"),
    ):
        with pytest.raises(SessionError, match="the session is closed; open a new one"):
            await use()
    await s.close()
    assert isinstance(s.session, AsyncSession) == db.asynchronous


@pytest.mark.requirement("R30")
async def test_what_an_object_shows_that_the_flush_before_the_load_deletes(blocking: Database) -> None:
    await library(blocking, 1)
    async with blocking.session() as s:
        author = await s.get_one(Author, 1)
        book = (await s.all(Book))[0]
        await s.delete(book)
        assert list(book.tags) == []
        assert book.chapters == []
        await s.rollback()
        assert len(book.tags) == 2
        assert len(book.chapters) == 1
        await s.delete(author)
        assert author.profile is None
        assert list(author.books) == []
        await s.rollback()
        assert author.profile.text == "p0"
    async with blocking.session() as s:
        book = (await s.all(Book))[0]
        await s.delete(book)
        with pytest.raises(NotLoadedError):
            _ = book.author
        await s.rollback()
        assert book.author.name == "a0"
