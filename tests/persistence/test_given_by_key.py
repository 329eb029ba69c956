"""New objects that name what they refer to by its key: the other side shows them all the same."""

from __future__ import annotations

import pytest

from blaze.errors import SessionError
from tests.persistence.models import Author, Book, Chapter, Desk, Profile, Room
from tests.persistence.twins import Database


@pytest.mark.requirement("R29")
@pytest.mark.parametrize("how", ["add", "add_all", "get_or_create", "merge"])
async def test_a_loaded_list_shows_a_new_child_that_was_given_its_key(db: Database, how: str) -> None:
    await db.save(Author(name="a"))
    async with db.session() as s:
        author = await s.get(Author, 1)
        assert await s.read(author, "books") == []
        book = Book(title="t", author_id=1)
        if how == "get_or_create":
            book, created = await s.get_or_create(Book, title="t", author_id=1)
            assert created
        elif how == "merge":
            book = await s.merge(book)
        else:
            await s.do(lambda session: session.add(book) if how == "add" else session.add_all([book]))
        assert list(author.books) == [book]
        assert book.author is author
        await s.commit()
        assert list(author.books) == [book]
        assert await s.do(lambda _: author.books.count()) == 1
        assert await s.do(lambda _: author.books.exists())
        await s.do(lambda session: session.query(Author).include(Author.books).all())
        assert list(author.books) == [book]


async def test_a_list_loaded_after_the_child_was_added_shows_it(db: Database) -> None:
    await db.save(Author(name="a"))
    async with db.session(autoflush=False) as s:
        book = Book(title="t", author_id=1)
        await s.do(lambda session: session.add(book))
        author = await s.get(Author, 1)
        assert await s.read(author, "books") == [book]
        profile = Profile(author_id=1)
        await s.do(lambda session: session.add(profile))
        await s.flush()
        assert list(author.books) == [book]
        await s.rollback()
        assert await s.read(author, "books") == []
        await s.do(lambda session: session.add(book))
        await s.commit()
        assert await s.read(author, "books") == [book]


async def test_the_other_side_of_a_one_to_one_relation_shows_what_was_given_its_key(db: Database) -> None:
    await db.save(Author(name="a"))
    async with db.session() as s:
        author = await s.get(Author, 1)
        assert await s.read(author, "profile") is None
        profile = Profile(author_id=1)
        await s.do(lambda session: session.add(profile))
        assert author.profile is profile
        await s.flush()
        assert author.profile is profile
        await s.rollback()
        assert await s.read(author, "profile") is None


async def test_a_one_to_one_side_read_after_the_add_shows_what_is_pending(db: Database) -> None:
    await db.save(Author(name="a"))
    async with db.session(autoflush=False) as s:
        profile = Profile(author_id=1)
        await s.do(lambda session: session.add(profile))
        author = await s.get(Author, 1)
        assert await s.read(author, "profile") is profile
        await s.flush()
        assert author.profile is profile
        await s.rollback()
        assert await s.read(author, "profile") is None


async def test_a_composite_key_is_found_as_well(db: Database) -> None:
    await db.save(Room(house="h", number=1))
    async with db.session() as s:
        room = await s.get(Room, ("h", 1))
        assert await s.read(room, "desks") == []
        desk = Desk(label="d", room_house="h", room_number=1)
        await s.do(lambda session: session.add(desk))
        await s.commit()
        assert list(room.desks) == [desk]


async def test_a_rollback_takes_a_child_given_by_key_out_of_the_list(db: Database) -> None:
    await db.save(Author(name="a"))
    async with db.session() as s:
        author = await s.get(Author, 1)
        await s.read(author, "books")
        await s.do(lambda session: session.add(Book(title="t", author_id=1)))
        await s.flush()
        await s.rollback()
        assert list(author.books) == []


@pytest.mark.requirement("R29")
@pytest.mark.parametrize("by_key", [False, True])
async def test_a_new_object_may_not_refer_to_a_deleted_one(db: Database, by_key: bool) -> None:
    await db.save(Book(title="t", chapters=[Chapter(heading="old")]))
    async with db.session() as s:
        book = await s.get(Book, 1)
        await s.do(lambda session: session.delete(book))
        chapter = Chapter(heading="new", book_id=1) if by_key else Chapter(heading="new", book=book)
        await s.do(lambda session: session.add(chapter))
        with pytest.raises(
            SessionError, match=r"a new Chapter refers by Chapter.book to the Book .* deleted"
        ):
            await s.commit()
        assert s.session.new == [chapter]
        assert s.session.deleted == [book]
        other = Book(title="other")
        chapter.book = other
        await s.commit()
    assert await db.rows("SELECT heading FROM chapter") == [("new",)]


async def test_a_key_that_a_new_object_takes_over_may_be_referred_to(db: Database) -> None:
    await db.save(Room(house="h", number=1, name="old"))
    async with db.session() as s:
        room = await s.get(Room, ("h", 1))
        await s.do(lambda session: session.delete(room))
        fresh = Room(house="h", number=1, name="new")
        desk = Desk(label="d", room=fresh)
        await s.do(lambda session: session.add_all([fresh, desk]))
        await s.commit()
    assert await db.rows("SELECT label FROM desk") == [("d",)]


async def test_the_other_side_of_a_new_object_shows_what_was_changed_to_its_key(db: Database) -> None:
    await db.save(Book(id=1, title="t"), Profile(id=1))
    async with db.session(autoflush=False) as s:
        book, profile = await s.get(Book, 1), await s.get(Profile, 1)
        author = Author(id=7, name="a")
        await s.add(author)
        book.author_id = profile.author_id = 7
        assert (list(author.books), author.profile) == ([], None)
        await s.flush()
        assert list(author.books) == [book]
        assert await s.read(author, "profile") is profile
        assert (book.author, profile.author) == (author, author)
        await s.rollback()
        assert list(author.books) == []
        assert (book.author_id, profile.author_id) == (None, None)
