"""Loading: one object for a row, relations in one statement each, and what was not loaded says so."""

from __future__ import annotations

import pytest

from blaze import NotLoadedError, QueryError, SessionError
from blaze.testing.suite.harness import Database, Twin, done, scenario
from blaze.testing.suite.library import Author, Book, Copy, Edition, Profile, Tag
from blaze.testing.suite.models import Document

__all__ = [
    "test_autoflush",
    "test_deferred_columns",
    "test_get_by_key",
    "test_include_costs_one_statement_for_each_relation",
    "test_lazy_loading_is_one_statement_for_a_result",
    "test_lazy_raise",
    "test_load_costs_one_statement_for_each_relation",
    "test_objects_stay_readable_after_close",
    "test_one_row_is_one_object",
    "test_parts_of_lists",
    "test_prefetch_related_nested",
    "test_relations_to_composite_keys",
    "test_select_related_joins",
    "test_wrong_keys_are_refused",
]


@scenario
async def test_get_by_key(db: Database) -> None:
    async with db.session() as s:
        author = await s.get(Author, 1)
        before = s.statements
        assert await s.get_one(Author, 1) is author
        assert await s.get(Author, id=1) is author
        assert s.statements == before
        assert await s.get(Author, 99) is None
        assert (await s.get_one(Edition, ("A", 2))).year == 2004
        assert (await s.get_one(Edition, code="A", number=1)).year == 1999


@scenario
async def test_wrong_keys_are_refused(db: Database) -> None:
    async with db.session() as s:
        for key in ("1", None, 1.5, (1, 2), 2**70):
            with pytest.raises(QueryError):
                await s.get(Author, key)
        for key in ("A", ("A",), ("A", "x"), (None, 1)):
            with pytest.raises(QueryError):
                await s.get(Edition, key)
        assert s.statements == 0


@scenario
async def test_one_row_is_one_object(db: Database) -> None:
    async with db.session() as s:
        author = await s.get_one(Author, 1)
        books = await s.all(Book, Book.author_id == 1)
        await s.load(books, Book.author)
        assert all(book.author is author for book in books)
        rows = await done(s.query(Author, Book.title).join(Author.books).where(Author.id == 1).all())
        assert {id(row.Author) for row in rows} == {id(author)}


@scenario
async def test_include_costs_one_statement_for_each_relation(db: Database) -> None:
    async with db.session() as s:
        books = await done(
            s.query(Book)
            .include(Book.author, Book.tags, Book.reviews, Book.author.profile)
            .order_by("id")
            .all()
        )
        assert s.statements <= 5
        before = s.statements
        assert [len(book.tags) for book in books] == [2, 1, 0, 2, 1, 3, 0]
        assert [sorted(r.stars for r in book.reviews) for book in books][:2] == [[4, 5], [3]]
        assert [book.author.name for book in books][3:5] == ["Italo", "Italo"]
        assert books[0].author.profile.bio == "born in Berkeley"
        assert s.statements == before


@scenario
async def test_select_related_joins(db: Database) -> None:
    async with db.session() as s:
        books = await done(s.query(Book).select_related("author__mentor", "editor").order_by("id").all())
        assert s.statements == 1
        assert [book.editor and book.editor.name for book in books][:3] == ["Italo", None, "Octavia"]
        assert books[3].author.mentor.name == "Ursula"
        assert s.statements == 1


@scenario
async def test_prefetch_related_nested(db: Database) -> None:
    async with db.session() as s:
        authors = await done(s.query(Author).prefetch_related("books__tags", "profile").order_by("id").all())
        assert s.statements <= 4
        assert [len(author.books) for author in authors] == [3, 2, 1, 1, 0]
        assert sorted(tag.name for book in authors[0].books for tag in book.tags) == ["classic", "sf", "sf"]
        assert authors[2].profile is None
        tags = await done(s.query(Tag).prefetch_related("books__author").order_by("id").all())
        assert [len(tag.books) for tag in tags] == [3, 3, 3, 0]


@scenario
async def test_load_costs_one_statement_for_each_relation(db: Database) -> None:
    async with db.session() as s:
        books = await s.all(Book)
        before = s.statements
        await s.load(books, Book.author, Book.tags, "reviews")
        assert s.statements - before == 3
        await s.load(books, Book.author, Book.tags)
        assert s.statements - before == 3
        with pytest.raises(QueryError, match="authr"):
            await s.load(books, "authr")
        with pytest.raises(SessionError):
            await s.load(Tag(name="x"), Tag.books)


@scenario
async def test_lazy_loading_is_one_statement_for_a_result(db: Database) -> None:
    async with db.session() as s:
        books = await s.all(Book)
        before = s.statements
        if db.asynchronous:
            with pytest.raises(NotLoadedError):
                _ = books[0].author.name
            return
        assert {book.author.name for book in books} == {"Ursula", "Italo", "Octavia", "Émile"}
        assert sum(len(book.tags) for book in books) == 9
        assert s.statements - before == 2


@scenario
async def test_lazy_raise(db: Database) -> None:
    async with db.session() as s:
        book = await done(s.query(Book).lazy("raise").where(Book.id == 1).one())
        with pytest.raises(NotLoadedError):
            _ = book.author.name
        with pytest.raises(NotLoadedError):
            list(book.tags)


@scenario
async def test_parts_of_lists(db: Database) -> None:
    db.needs("window_functions")
    async with db.session() as s:
        authors = await done(
            s.query(Author)
            .include(dearest=Author.books.order_by(Book.price.desc()).limit(1))
            .order_by("id")
            .all()
        )
        assert [[b.id for b in author.dearest] for author in authors] == [[3], [4], [6], [7], []]


@scenario
async def test_relations_to_composite_keys(db: Database) -> None:
    async with db.session() as s:
        copies = await done(s.query(Copy).include(Copy.edition).order_by("id").all())
        assert [copy.edition and copy.edition.year for copy in copies] == [1999, 2004, 2004, None, 2010]
        editions = await done(s.query(Edition).include(Edition.copies).order_by("code", "number").all())
        assert [len(edition.copies) for edition in editions] == [1, 2, 1]
        assert s.statements <= 4


@scenario
async def test_deferred_columns(db: Database) -> None:
    await db.save(Document(title="t", text="long"))
    async with db.session() as s:
        (document,) = await s.all(Document)
        if db.asynchronous:
            with pytest.raises(NotLoadedError):
                _ = document.text
            await s.refresh(document, "text")
        assert document.text == "long"


@scenario
async def test_objects_stay_readable_after_close(db: Database) -> None:
    async with db.session() as s:
        book = await done(s.query(Book).include("author").where(Book.id == 1).one())
        await s.commit()
    assert (book.title, book.author.name) == ("The Dispossessed", "Ursula")
    with pytest.raises(NotLoadedError):
        list(book.tags)


@scenario
async def test_autoflush(db: Database) -> None:
    async def count(s: Twin) -> int:
        return int(await done(s.query(Document).count()))

    async with db.session() as s:
        await s.add(Document(title="t"))
        with s.session.no_autoflush():
            assert await count(s) == 0
        assert await count(s) == 1
        await s.rollback()
        assert await count(s) == 0
        assert await done(s.query(Profile).count()) == 2
