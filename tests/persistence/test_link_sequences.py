"""Changes of one pair before a flush, on both sides, against a plain set: the last word counts."""

from __future__ import annotations

import itertools
from typing import Any, Callable

import pytest

from blaze import Session
from tests.persistence.models import Author, Book, Chapter, Profile, Tag
from tests.persistence.twins import Database, names

pytestmark = pytest.mark.requirement("R52", "R54")

Pairs = set[tuple[int, int]]
Change = Callable[[Book, Tag, Book, Tag], Any]


def without_book(pairs: Pairs, book: int) -> Pairs:
    return {pair for pair in pairs if pair[0] != book}


def without_tag(pairs: Pairs, tag: int) -> Pairs:
    return {pair for pair in pairs if pair[1] != tag}


CHANGES: dict[str, tuple[Change, Callable[[Pairs], Pairs]]] = {
    "add": (lambda b, t, b2, t2: b.tags.add(t), lambda p: p | {(1, 1)}),
    "remove": (lambda b, t, b2, t2: b.tags.remove(t), lambda p: p - {(1, 1)}),
    "clear": (lambda b, t, b2, t2: b.tags.clear(), lambda p: without_book(p, 1)),
    "set": (lambda b, t, b2, t2: setattr(b, "tags", [t]), lambda p: without_book(p, 1) | {(1, 1)}),
    "set none": (lambda b, t, b2, t2: setattr(b, "tags", []), lambda p: without_book(p, 1)),
    "set other": (lambda b, t, b2, t2: setattr(b, "tags", [t2]), lambda p: without_book(p, 1) | {(1, 2)}),
    "add back": (lambda b, t, b2, t2: t.books.add(b), lambda p: p | {(1, 1)}),
    "remove back": (lambda b, t, b2, t2: t.books.remove(b), lambda p: p - {(1, 1)}),
    "clear back": (lambda b, t, b2, t2: t.books.clear(), lambda p: without_tag(p, 1)),
    "set back": (lambda b, t, b2, t2: setattr(t, "books", [b]), lambda p: without_tag(p, 1) | {(1, 1)}),
    "set none back": (lambda b, t, b2, t2: setattr(t, "books", []), lambda p: without_tag(p, 1)),
    "set other back": (
        lambda b, t, b2, t2: setattr(t, "books", [b2]), lambda p: without_tag(p, 1) | {(2, 1)}
    ),
}  # fmt: skip
UNREAD = [name for name in CHANGES if not name.startswith("set")]  # these need no loaded list
# Sequences of three that went wrong once: links that were unlinked by a list and then cleared by the other.
LONG = [
    ("set none", "clear back", "add back"),
    ("set other back", "clear", "add"),
    ("remove", "clear back", "set back"),
]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("loaded", ["both", "none", "books", "tags"])
async def test_the_last_word_on_a_link_counts(db: Database, linked: bool, loaded: str) -> None:
    names = CHANGES if not db.asynchronous or loaded == "both" else UNREAD
    sequences = [*itertools.product(names, repeat=2), *[each for each in LONG if set(each) <= set(names)]]
    await db.save(*[Book(id=n, title=str(n)) for n in (1, 2)], *[Tag(id=n, name=str(n)) for n in (1, 2)])
    for sequence in sequences:
        async with db.session() as s:
            await s.execute("DELETE FROM book_tags")
            if linked:
                await s.execute("INSERT INTO book_tags (book_id, tag_id) VALUES (1, 1)")
            await s.commit()
            books, tags = await s.all(Book), await s.all(Tag)
            if loaded in ("both", "books"):
                await s.load(books, Book.tags)
            if loaded in ("both", "tags"):
                await s.load(tags, Tag.books)
            wanted: Pairs = {(1, 1)} if linked else set()
            with s.session.no_autoflush():
                for name in sequence:
                    change, follow = CHANGES[name]
                    change(books[0], tags[0], books[1], tags[1])
                    wanted = follow(wanted)
            await s.commit()
            stored = {tuple(row) for row in (await s.execute("SELECT book_id, tag_id FROM book_tags")).all()}
            await s.load(books, Book.tags)
            await s.load(tags, Tag.books)
            shown = {(book.id, tag.id) for book in books for tag in book.tags}
            shown_back = {(book.id, tag.id) for tag in tags for book in tag.books}
            assert stored == shown == shown_back == wanted, (sequence, stored, shown, shown_back)


@pytest.mark.parametrize("added", [True, False])
async def test_clearing_an_unread_list_unlinks_new_objects(db: Database, added: bool) -> None:
    await db.save(Tag(id=1, name="t"))
    async with db.session() as s:
        tag = await s.get(Tag, 1)
        book = Book(title="new", tags=[tag])
        if added:
            await s.add(book)
        tag.books.clear()
        assert list(book.tags) == []
        await s.commit()
        assert await s.read(tag, "books") == []
        assert (await s.execute("SELECT * FROM book_tags")).all() == []


@pytest.mark.parametrize("loaded", ["both", "books", "late"])
async def test_dropping_a_clear_shows_the_links_on_the_other_side_again(db: Database, loaded: str) -> None:
    await db.save(
        Book(id=1, title="b", tags=[Tag(id=1, name="t"), Tag(id=2, name="u")]), Book(id=2, title="c")
    )
    async with db.session(autoflush=False) as s:
        tag = await s.get(Tag, 1)
        one, two = books = await s.all(Book)
        if loaded != "late":
            await s.load(books, Book.tags)
        if loaded == "both":
            await s.load(tag, "books")
        two.tags.add(tag)
        tag.books.clear()
        await s.load(books, Book.tags)
        assert (names(one.tags), names(two.tags)) == (["u"], [])
        await s.refresh(tag)
        assert (names(one.tags), names(two.tags)) == (["t", "u"], [])
        await s.commit()
        assert await s.read(tag, "books") == [one]
        assert len((await s.execute("SELECT * FROM book_tags")).all()) == 2


async def test_a_list_that_is_loaded_late_has_what_is_pending(db: Database) -> None:
    await db.save(Author(id=1, name="a"), Author(id=2, name="b"), Book(id=1, title="x", author_id=2))
    async with db.session(autoflush=False) as s:
        one, two, book = await s.get(Author, 1), await s.get(Author, 2), await s.get(Book, 1)
        await s.do(lambda each: each.load(book, Book.author))
        book.author = one
        new = Book(title="y", author=one)
        await s.add(new)
        assert await s.read(one, "books") == [book, new]
        assert await s.read(two, "books") == []
        await s.commit()
        assert (list(one.books), list(two.books)) == ([book, new], [])


@pytest.mark.parametrize("what", ["the same", "none"])
def test_both_sides_of_a_key_are_set_before_the_flush(blocking: Database, what: str) -> None:
    with Session(blocking.engine) as s:
        s.add_all([Author(id=1, name="a"), Book(id=1, title="x")])
        s.commit()
    with Session(blocking.engine) as s:
        author, book = s.get_one(Author, 1), s.get_one(Book, 1)
        with s.no_autoflush():
            book.author = author
            author.books = [book] if what == "the same" else []
        s.commit()
        assert list(author.books) == ([book] if what == "the same" else [])
        assert book.author is (author if what == "the same" else None)
        s.refresh(book)
        assert book.author_id == (1 if what == "the same" else None)


def test_a_side_that_was_not_known_is_read_after_a_change_was_undone(blocking: Database) -> None:
    with Session(blocking.engine) as s:
        s.add_all([Author(id=1, name="a"), Profile(id=1, author_id=1), Profile(id=2)])
        s.commit()
    with Session(blocking.engine) as s:
        author, first, second = s.get_one(Author, 1), s.get_one(Profile, 1), s.get_one(Profile, 2)
        second.author = author
        second.author = None
        s.commit()
        assert (first.author, author.profile) == (author, first)
    with Session(blocking.engine) as s:
        author, first, second = s.get_one(Author, 1), s.get_one(Profile, 1), s.get_one(Profile, 2)
        with s.no_autoflush():
            second.author = author
            author.profile = None
        s.commit()
        assert (first.author, second.author, author.profile) == (None, None, None)


async def test_late_lists_go_back_to_what_the_database_has(db: Database) -> None:
    await db.save(Author(id=1, name="a"), Author(id=2, name="b"), Book(id=1, title="x", author_id=1))
    async with db.session(autoflush=False) as s:
        one, two, book = await s.get(Author, 1), await s.get(Author, 2), await s.get(Book, 1)
        assert await s.read(book, "author") is one
        book.author = two
        assert await s.read(one, "books") == []
        assert await s.read(two, "books") == [book]
        await s.rollback()
        assert (list(one.books), list(two.books)) == ([book], [])


@pytest.mark.parametrize("side", ["tags", "chapters"])
async def test_assigning_an_unread_list_flushes_nothing(db: Database, side: str) -> None:
    """Else it would go on with an object that was deleted meanwhile, and bring it in again."""
    await db.save(Book(title="b", chapters=[Chapter(heading="c")]), Tag(name="t"))
    async with db.session() as s:
        book, tag, chapter = [await s.get(model, 1) for model in (Book, Tag, Chapter)]
        assert await s.read(tag, "books") == []
        if db.asynchronous:
            await s.load(book, side)
        await s.delete(book)
        setattr(book, side, [tag] if side == "tags" else [chapter])
        assert s.deleted == [book]
        await s.commit()
        assert list(tag.books) == []
        assert s.new == []
    for table in ("book", "chapter", "book_tags"):
        assert await db.rows(f"SELECT * FROM {table}") == []
