"""Objects that were loaded after a raw write: a rollback empties them, and the session reads them again."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from blaze.errors import NotLoadedError, StaleDataError
from tests.persistence.models import Author, Book, Document, Enrolment, Student
from tests.persistence.twins import Database, Twin, settled

pytestmark = pytest.mark.requirement("R29", "R30")


async def stored(db: Database) -> None:
    await db.save(
        Author(id=1, name="Ann"),
        Book(id=1, title="One", meta={"a": 1}, labels=["x"], author_id=1),
        Book(id=2, title="Two", author_id=1),
    )


async def test_one_row_stays_one_object(db: Database) -> None:
    await stored(db)
    async with db.session() as s:
        await s.execute("UPDATE book SET title = 'raw', meta = '{}' WHERE id = 1")
        one, two = await s.all(Book)
        assert (one.title, one.meta) == ("raw", {})
        await s.rollback()
        assert one in s.session
        found = await s.get(Book, 1)
        assert found is one
        assert (one.title, one.meta, one.labels, two.title) == ("One", {"a": 1}, ["x"], "Two")
        one.title = "changed"
        one.meta["b"] = 2
        await s.commit()
    assert await db.rows("SELECT title, meta FROM book ORDER BY id") == [
        ("changed", '{"a":1,"b":2}'), ("Two", "{}"),
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["bulk", "raw"])
async def test_a_row_that_took_the_key_of_a_deleted_one_goes(db: Database, how: str) -> None:
    await db.save(Author(id=1, name="Ann"))
    async with db.session() as s:
        ann = await s.get(Author, 1)
        await s.delete(ann)
        await s.flush()
        if how == "bulk":
            await s.bulk_insert([Author(id=1, name="Bob")])
        else:
            await s.execute("INSERT INTO author (id, name) VALUES (1, 'Bob')")
        (bob,) = await s.all(Author)
        assert (bob is ann, bob.name) == (False, "Bob")
        await s.rollback()
        assert await s.all(Author) == [ann]
        assert (ann.name, ann in s.session, bob in s.session) == ("Ann", True, False)
        with pytest.raises(NotLoadedError, match="rolled back"):
            _ = bob.name


async def test_reading_loads_the_whole_batch_once(blocking: Database) -> None:
    await stored(blocking)
    async with blocking.session() as s:
        await s.execute("UPDATE book SET title = 'raw ' || id")
        one, two = await s.all(Book)
        author = await s.get(Author, 1)
        await s.rollback()
        before = s.statements
        assert (one.title, two.title, one.rating, author.name) == ("One", "Two", 0, "Ann")
        assert s.statements - before == 2  # one for each model
        assert one.author is author
        assert list(author.books) == [one, two]


async def test_an_asynchronous_session_says_what_loads_them(awaiting: Database) -> None:
    await stored(awaiting)
    async with awaiting.session() as s:
        await s.execute("UPDATE book SET title = 'raw ' || id")
        one, two = await s.all(Book)
        await s.rollback()
        assert (one.id, two.id) == (1, 2)
        with pytest.raises(NotLoadedError, match=r"Book.title was rolled back .*await session.refresh"):
            one.title  # noqa: B018
        await s.refresh(one)
        assert (one.title, two.title) == ("One", "Two")
        assert await s.read(one, "author") is await s.get(Author, 1)


@pytest.mark.parametrize(
    "next_call", ["query", "get", "load", "refresh", "update", "stream", "merge", "invalidate"]
)
async def test_whatever_comes_next_finds_them(db: Database, next_call: str) -> None:
    await stored(db)
    async with db.session() as s:
        await s.execute("UPDATE book SET title = 'raw ' || id, author_id = NULL")
        one = await s.get(Book, 1)
        await s.rollback()
        expected = "One"
        if next_call == "query":
            assert (await s.all(Book))[0] is one
        elif next_call == "get":
            assert await s.get(Book, 1) is one
        elif next_call == "load":
            await s.load(one, Book.author)
        elif next_call == "refresh":
            await s.refresh(one)
        elif next_call == "update":
            await s.do(lambda each: each.query(Book).where(Book.id == 1).update(title="all"))
            expected = "all"
        elif next_call == "merge":
            copy = Book(id=1, title="merged", author_id=1)
            assert await s.merge(copy) is one
            expected = "merged"
        elif next_call == "invalidate":
            await s.invalidate(Book)
        elif db.asynchronous:
            assert [o.title async for o in s.session.stream(s.session.query(Book))] == ["One", "Two"]
        else:
            assert [o.title for o in s.session.stream(s.session.query(Book))] == ["One", "Two"]
        assert (one.title, one.author_id) == (expected, 1)
        assert (await s.read(one, "author")).name == "Ann"
        await s.rollback()


async def test_an_object_of_a_rolled_back_row_leaves_the_session(db: Database) -> None:
    await stored(db)
    async with db.session() as s:
        await s.execute("INSERT INTO author (id, name) VALUES (7, 'raw')")
        author = await s.get(Author, 7)
        await s.rollback()
        assert await s.get(Author, 7) is None
        assert author not in s.session
        with pytest.raises(NotLoadedError, match="its row was rolled back"):
            author.name  # noqa: B018
        await s.add(Author(id=7, name="saved"))
        await s.commit()
    assert await db.rows("SELECT name FROM author ORDER BY id") == [("Ann",), ("saved",)]


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("change", ["assign", "delete"])
async def test_changes_before_the_reading(db: Database, change: str, gone: bool) -> None:
    await stored(db)
    async with db.session() as s:
        await s.execute(
            "INSERT INTO document (id, title, text) VALUES (1, 'raw', '')" if gone
            else "INSERT INTO document (id, title, text) VALUES (1, 'One', 'long')"
        )  # fmt: skip
        if not gone:
            await s.commit()
            await s.execute("UPDATE document SET title = 'raw'")
        found = await s.get(Document, 1)
        await s.rollback()
        if change == "assign":
            found.title = "new"
        else:
            await s.delete(found)
        if gone:
            with pytest.raises(StaleDataError, match=r"Document \(key 1\).*went with a rollback"):
                await s.commit()
            await s.expunge(found)
            await s.commit()
            assert await s.all(Document) == []
            return
        await s.commit()
    left = [("new", "long")] if change == "assign" else []
    assert await db.rows("SELECT title, text FROM document") == left


async def test_a_savepoint_empties_what_was_loaded_inside(db: Database) -> None:
    await stored(db)
    async with db.session() as s, s.transaction():
        author = await s.get(Author, 1)
        with contextlib.suppress(ZeroDivisionError):
            async with s.transaction():
                await s.execute("UPDATE book SET title = 'raw ' || id")
                books = await s.read(author, "books")
                raise ZeroDivisionError
        assert author.name == "Ann"  # known before: nothing to read
        assert await s.read(author, "books") == books
        assert [book.title for book in books] == ["One", "Two"]


async def test_a_column_loaded_late_is_unloaded_again(db: Database) -> None:
    async with db.session() as s:
        await s.add(Document(id=1, title="One", text="long"))
        await s.commit()
    async with db.session() as s:
        found = await s.get(Document, 1)
        await s.execute("UPDATE document SET text = 'raw'")
        await s.load(found, Document.text)
        assert found.text == "raw"
        await s.rollback()
        await s.load(found, Document.text)
        assert (found.title, found.text) == ("One", "long")


async def test_what_a_closed_session_leaves_stays_readable(db: Database) -> None:
    await stored(db)
    async with db.session() as s:
        await s.execute("UPDATE book SET title = 'raw ' || id")
        found = await s.get(Book, 1)
        await s.close()
    assert found.title == "raw 1"


async def test_another_object_for_the_row_is_refused(db: Database) -> None:
    await stored(db)
    async with db.session() as s:
        other = await s.get(Book, 1)
    async with db.session() as s:
        await s.execute("UPDATE book SET title = 'raw ' || id")
        found = await s.get(Book, 1)
        await s.rollback()
        with pytest.raises(Exception, match="holds another Book with the key 1"):
            await s.add(other)
        assert await s.get(Book, 1) is found


async def test_keys_of_relations_are_keys(db: Database) -> None:
    await db.save(Student(id=1, name="S"))
    async with db.session() as s:
        await s.execute("INSERT INTO course (id, name) VALUES (1, 'C')")
        await s.execute("INSERT INTO enrolment (student_id, course_id, grade) VALUES (1, 1, 3)")
        await s.commit()
        await s.execute("UPDATE enrolment SET grade = 5")
        found: Any = (await s.all(Enrolment))[0]
        await s.rollback()
        assert await s.get(Enrolment, (1, 1)) is found
        assert (found.grade, (await s.read(found, "student")).name) == (3, "S")


async def by_delete(s: Twin) -> None:
    await s.delete(await s.get_one(Author, 1))
    await s.flush()


async def by_key_change(s: Twin) -> None:
    (await s.get_one(Author, 1)).id = 9
    await s.flush()


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize(("flushed", "shown"), [(by_delete, None), (by_key_change, 9)])
async def test_what_the_database_wrote_by_its_rules_goes_with_the_flush(
    db: Database, flushed: Any, shown: Any, changed: bool, nested: bool
) -> None:
    await stored(db)
    async with db.session() as s:
        with contextlib.suppress(ZeroDivisionError):
            async with s.transaction(), s.transaction() if nested else contextlib.AsyncExitStack():
                await flushed(s)
                book = await s.get_one(Book, 2)
                assert book.author_id == shown
                if changed:
                    book.title = "changed"
                    await s.flush()
                    book.title = "pending"
                raise ZeroDivisionError
        assert await s.get_one(Book, 2) is book
        assert (book.author_id, book.title) == (1, "Two")
        author = await s.read(book, "author")
        assert (author.id, author.name) == (1, "Ann")
        assert book in list(await s.read(author, "books"))
        await s.commit()
    assert await db.rows("SELECT id, author_id FROM book ORDER BY id") == [(1, 1), (2, 1)]


async def test_lists_loaded_after_a_key_change_are_read_again(db: Database) -> None:
    await stored(db)
    async with db.session() as s:
        author = await s.get_one(Author, 1)
        author.id = 9
        await s.flush()
        await settled(s.query(Author).include(Author.books).all())
        assert sorted(book.author_id for book in author.books) == [9, 9]
        await s.rollback()
        books = await s.read(author, "books")
        assert (author.id, [(book.id, book.author_id) for book in books]) == (1, [(1, 1), (2, 1)])


@pytest.mark.parametrize("ruled", [False, True])
async def test_a_flush_of_which_no_rule_makes_anything_empties_nothing(db: Database, ruled: bool) -> None:
    await stored(db)
    await db.save(Document(id=1, title="d"))
    async with db.session() as s:
        await s.delete(await s.get_one(Author if ruled else Document, 1))
        await s.flush()
        await s.all(Book)
        await s.rollback()
        before = s.statements
        await s.get_one(Book, 1)
        assert s.statements - before == int(ruled)
