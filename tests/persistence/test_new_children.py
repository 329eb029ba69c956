"""A new object comes with the object that it is given: what a list of a tracked object shows is saved."""

from __future__ import annotations

from typing import Any

import pytest

from blaze.errors import QueryError, SessionError, ValidationError
from tests.persistence.models import Author, Book, Chapter, Profile
from tests.persistence.twins import Database, names


async def count(s: Any, table: str = "book") -> int:
    found: int = await s.scalar(f"SELECT count(*) FROM {table}")
    return found


@pytest.fixture
async def author(db: Database) -> None:
    await db.save(Author(name="a"))


@pytest.mark.requirement("R27")
@pytest.mark.parametrize("loaded", [False, True], ids=["not loaded", "loaded"])
@pytest.mark.parametrize("how", ["constructor", "assignment"])
async def test_a_child_of_a_loaded_parent_is_saved(
    db: Database, author: None, how: str, loaded: bool
) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        if loaded:
            assert await s.read(parent, "books") == []
        book = Book(title="t", author=parent) if how == "constructor" else Book(title="t")
        book.author = parent
        assert s.session.new == [book]
        if loaded:
            assert list(parent.books) == [book]
        await s.commit()
        assert book.id == 1
        assert await s.read(parent, "books") == [book]
    assert await db.rows("SELECT title, author_id FROM book") == [("t", 1)]


@pytest.mark.requirement("R27")
async def test_a_child_of_a_new_parent_is_saved_with_it(db: Database) -> None:
    async with db.session() as s:
        parent = Author(name="a")
        book = Book(title="t", author=parent)
        assert s.session.new == []
        await s.add(parent)
        assert s.session.new == [parent, book]
        await s.commit()
        assert await count(s) == 1


async def test_a_one_to_one_child_is_saved(db: Database, author: None) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        profile = Profile(text="x", author=parent)
        assert s.session.new == [profile]
        assert parent.profile is profile
        await s.commit()
        assert await count(s, "profile") == 1


async def test_a_child_that_goes_elsewhere_is_not_saved(db: Database, author: None) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        book = Book(title="t", author=parent)
        book.author = Author(name="other")
        assert s.session.new == []
        assert await s.read(parent, "books") == []
        await s.commit()
        assert await count(s) == 0


async def test_a_rollback_takes_the_child_out(db: Database, author: None) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        assert await s.read(parent, "books") == []
        book = Book(title="t", author=parent)
        await s.rollback()
        assert list(parent.books) == []
        assert s.session.new == []
        await s.commit()
        assert await count(s) == 0
        await s.add(book)
        await s.commit()
        assert await count(s) == 1


@pytest.mark.parametrize("loaded", [False, True], ids=["not loaded", "loaded"])
@pytest.mark.parametrize("added", ["never", "after", "before"])
@pytest.mark.parametrize("act", ["delete", "expunge"])
async def test_a_child_that_is_taken_back_is_not_saved(
    db: Database, author: None, act: str, added: str, loaded: bool
) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        if loaded:
            assert await s.read(parent, "books") == []
            assert await s.read(parent, "profile") is None
        book, profile = Book(title="t"), Profile()
        if added == "before":
            await s.add_all([book, profile])
        book.author = profile.author = parent
        if added == "after":
            await s.add_all([book, profile])
        assert s.session.new == [book, profile]
        for child in (book, profile):
            await s.do(lambda session, child=child: getattr(session, act)(child))
        assert s.session.new == []
        assert await s.read(parent, "books") == []
        assert await s.read(parent, "profile") is None
        parent.name = "changed"
        await s.commit()
        assert (await count(s), await count(s, "profile")) == (0, 0)
        await s.add_all([book, profile])
        await s.commit()
        assert (await count(s), await count(s, "profile")) == (1, 1)


async def test_a_child_that_went_elsewhere_cannot_be_taken_back(db: Database, author: None) -> None:
    async with db.session() as s:
        book = Book(title="t", author=await s.get_one(Author, 1))
        book.author = None
        for act in ("delete", "expunge"):
            with pytest.raises(SessionError):
                await s.do(lambda session, act=act: getattr(session, act)(book))


@pytest.mark.parametrize("loaded", [False, True], ids=["not loaded", "loaded"])
async def test_an_object_that_cannot_be_made_leaves_nothing(db: Database, author: None, loaded: bool) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        if loaded:
            assert await s.read(parent, "books") == []
        make: Any = Book
        with pytest.raises(ValidationError):
            make(title="t", author=parent, editor="nobody")
        with pytest.raises(AttributeError):
            make(title="t", author=parent, nonsense=5)
        assert s.session.new == []
        assert await s.read(parent, "books") == []
        await s.commit()
        assert await count(s) == 0


@pytest.mark.requirement("R69")
@pytest.mark.parametrize("given", [list, iter], ids=["list", "iterator"])
async def test_bulk_operations_write_each_object_once(db: Database, author: None, given: Any) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        assert await s.bulk_insert(given([Book(title=f"b{n}", author=parent) for n in range(3)])) == 3
        assert s.session.new == []
        known = Book(title="u", author=parent)
        known.id = 9
        await s.upsert(given([known]), conflict=["id"])
        await s.commit()
        assert await count(s) == 4
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        assert names(await s.read(parent, "books"), "title") == ["b0", "b1", "b2", "u"]


@pytest.mark.requirement("R69")
@pytest.mark.parametrize("autoflush", [True, False])
@pytest.mark.parametrize("given", [list, iter], ids=["list", "iterator"])
async def test_a_bulk_insert_of_what_is_pending_inserts_it_once(
    db: Database, author: None, given: Any, autoflush: bool
) -> None:
    async with db.session(autoflush=autoflush) as s:
        parent, fresh = await s.get_one(Author, 1), Author(name="b")
        await s.add(fresh)
        added, listed, behind = Book(title="added"), Book(title="listed"), Book(title="behind", author=fresh)
        await s.add(added)
        parent.books.add(listed)
        free = Book(title="free")
        result = await s.bulk_insert(given([free, added, listed, behind, fresh]), return_keys=True)
        assert (result, result.keys) == (5, [free.id, added.id, listed.id, behind.id, fresh.id])
        assert [o in s.session for o in (free, added, listed, behind)] == [False, True, True, True]
        await s.commit()
    rows = await db.rows("SELECT title, author_id FROM book ORDER BY title")
    assert rows == [("added", None), ("behind", 2), ("free", None), ("listed", 1)]


@pytest.mark.requirement("R69")
@pytest.mark.parametrize("autoflush", [True, False])
async def test_a_bulk_insert_counts_rows_and_gives_the_key_of_each(db: Database, autoflush: bool) -> None:
    told: list[Any] = []
    async with db.session(autoflush=autoflush) as s:
        pending, free, other = Author(name="p"), Author(name="f"), Author(name="o")
        await s.add(pending)
        result = await s.bulk_insert(
            [pending, free, pending, free, other],
            return_keys=True,
            progress=lambda done, total: told.append((done, total)),
        )
        assert (int(result), result.keys, told) == (4, [1, 2, 3, 4], [(5, 5)])
        assert (pending.id, free.id, other.id) == (1, 2, 4)
        free, pending = Author(name="x"), Author(name="y")
        assert await s.bulk_insert([free, free]) == 2
        await s.add(pending)
        assert await s.bulk_insert([pending, pending]) == 1
        await s.commit()
    rows = await db.rows("SELECT name FROM author ORDER BY id")
    assert [name for (name,) in rows] == ["p", "f", "f", "o", "x", "x", "y"]


@pytest.mark.requirement("R71")
@pytest.mark.parametrize("autoflush", [True, False])
@pytest.mark.parametrize("given", [list, iter], ids=["list", "iterator"])
async def test_an_upsert_inserts_what_is_pending_once(db: Database, given: Any, autoflush: bool) -> None:
    await db.save(Author(name="a", email="a"))
    async with db.session(autoflush=autoflush) as s:
        pending, unnamed = Author(name="p", email="p"), Author(name="n")
        await s.add_all([pending, unnamed])
        free, known = Author(name="f"), Author(name="A", email="a")
        result = await s.upsert(given([free, known, pending, unnamed, free]), ["email"])
        assert (sorted(result.inserted), result.updated) == ([2, 3, 4, 5], [1])
        assert (pending.id, unnamed.id, free.id) == (2, 3, 4)
        again = Author(name="q", email="q")
        await s.add(again)
        for twin in (again, Author(name="q", email="q")):
            with pytest.raises(QueryError, match="two Author objects with the same conflict values"):
                await s.upsert([twin, again], ["email"])
        await s.commit()
    rows = await db.rows("SELECT name FROM author ORDER BY id")
    assert [name for (name,) in rows] == ["A", "p", "n", "f", "f", "q"]


@pytest.mark.requirement("R69")
@pytest.mark.parametrize("given", [list, iter], ids=["list", "iterator"])
async def test_a_bulk_insert_refuses_what_is_saved_already(db: Database, author: None, given: Any) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        books = [Book(title=f"b{n}", author=parent) for n in range(3)]
        await s.all(Book)  # this flushes them
        with pytest.raises(SessionError, match=r"given a Book \(key 1\) that the session has saved"):
            await s.bulk_insert(given([Book(title="other"), *books]))
        with pytest.raises(SessionError, match=r"given a Author \(key 1\)"):
            await s.bulk_insert(given([parent]))
        assert books[0].title == "b0"
        await s.commit()
        assert await count(s) == 3


@pytest.mark.requirement("R69")
@pytest.mark.parametrize("given", [list, iter], ids=["list", "iterator"])
async def test_a_bulk_update_inserts_nothing(db: Database, author: None, given: Any) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        book = Book(title="t", author=parent)
        await s.add(book)
        await s.commit()
        assert await s.read(parent, "books") == [book]
        same = Book(title="t", author=parent, rating=5)
        same.id = book.id
        before = s.statements
        assert await s.bulk_update(given([same]), fields=["rating"]) == 1
        assert s.session.new == []
        assert list(parent.books) == [book]
        await s.commit()
        assert s.statements - before <= 3  # the update, and the object of the session read again
    assert await db.rows("SELECT id, rating FROM book") == [(1, 5)]


async def test_a_merged_object_is_saved_once(db: Database, author: None) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1)
        outside = Book(title="t", author=parent)
        inside = await s.merge(outside)
        assert inside is not outside
        assert s.session.new == [inside]
        await s.commit()
        assert await count(s) == 1


@pytest.mark.requirement("R27", "R28")
@pytest.mark.parametrize("owner", ["loaded", "new"])
@pytest.mark.parametrize("how", ["with another", "added"])
@pytest.mark.parametrize("leave", ["delete", "expunge"])
async def test_a_new_child_that_left_and_comes_again_is_shown(
    db: Database, author: None, leave: str, how: str, owner: str
) -> None:
    async with db.session() as s:
        parent = await s.get_one(Author, 1) if owner == "loaded" else Author(name="n")
        await s.add(parent)
        assert await s.read(parent, "books") == []
        with s.session.no_autoflush():
            assert await s.read(parent, "profile") is None
            book, profile = Book(title="t", author=parent), Profile(author=parent)
            for each in (book, profile):
                await s.add(each)
                await s.do(lambda session, each=each: getattr(session, leave)(each))
            assert (list(parent.books), parent.profile) == ([], None)
            if how == "added":
                await s.add(book)
            else:  # a new object needs it
                await s.add(Chapter(heading="c", book=book))
                assert book in s.session.new
            await s.add(profile)
            assert (list(parent.books), parent.profile) == ([book], profile)
        await s.commit()
        assert (await s.read(parent, "books"), await s.read(parent, "profile")) == ([book], profile)
    assert await db.rows("SELECT title, author_id FROM book") == [("t", 1 if owner == "loaded" else 2)]
