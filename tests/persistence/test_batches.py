"""The flush writes batches: how many statements it sends does not depend on how many rows it writes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.persistence.models import (
    Account,
    Author,
    Award,
    Book,
    Chapter,
    City,
    Country,
    Course,
    Enrolment,
    Node,
    Profile,
    Setting,
    Student,
    Tag,
)
from tests.persistence.twins import Database, names

SIZES = pytest.mark.parametrize("size", [1, 10, 1000])
SMALL = pytest.mark.parametrize("size", [1, 10, 300])


async def cost(s: Any) -> int:
    """Flush and return how many statements that took; what one more chunk of 500 rows takes is one each."""
    before: int = s.statements
    await s.flush()
    return int(s.statements - before)


def chunks(size: int) -> int:
    """How many multi-row inserts so many rows take."""
    return -(-size // 500)


@SIZES
@pytest.mark.requirement("R24", "R71")
async def test_inserts(db: Database, size: int) -> None:
    async with db.session() as s:
        await s.add_all([Tag(name=str(i)) for i in range(size)])
        assert await cost(s) == chunks(size)
        await s.add_all([Setting(name=str(i), **({"value": "v"} if i % 2 else {})) for i in range(size)])
        assert await cost(s) == (1 if size == 1 else 2)  # with a value and without
        await s.add_all(
            [Author(name=str(i), profile=Profile(), books=[Book(title="b")]) for i in range(size)]
        )
        assert await cost(s) == 3 * chunks(size)
        await s.rollback()


@SIZES
@pytest.mark.requirement("R24", "R71")
async def test_updates(db: Database, size: int) -> None:
    async with db.session() as s:
        books = [Book(title=str(i), meta={"k": i}) for i in range(size)]
        accounts = [Account(owner=str(i)) for i in range(size)]
        await s.add_all([*books, *accounts])
        await s.commit()
        for book in books:
            book.title += "x"
        assert await cost(s) == 1
        for number, book in enumerate(books):  # one statement for each set of changed columns
            if number % 2:
                book.rating = 1
            else:
                book.meta["k"] = "x"
        for account in accounts:
            account.balance = 1
        assert await cost(s) == (2 if size == 1 else 3)
        author = Author(name="a")
        author.books.add(*books)
        assert await cost(s) == 2
        author.books.clear()
        assert await cost(s) == 1
        await s.rollback()


@SIZES
@pytest.mark.requirement("R24", "R71")
async def test_deletes(db: Database, size: int) -> None:
    async with db.session() as s:
        chapters = [Chapter(heading="h", book=Book(title=str(i), tags=[Tag(name="t")])) for i in range(size)]
        countries = [Country(code=f"{i:02}"[-2:], cities=[]) for i in range(min(size, 100))]
        for number, country in enumerate(countries):
            country.capital = City(name=str(number), country=country)
        await s.add_all([*chapters, *countries])
        await s.commit()
        for chapter in chapters:
            await s.delete(chapter)
        assert await cost(s) == 1
        for chapter in chapters:
            await s.delete(chapter.book)
        assert await cost(s) == 3  # both join tables, and the rows
        for country in countries:
            assert country.capital is not None
            await s.delete(country.capital)
            await s.delete(country)
        assert await cost(s) == 3  # the circle of keys is emptied before
        await s.rollback()


@SMALL
@pytest.mark.requirement("R54", "R71")
async def test_links(db: Database, size: int) -> None:
    async with db.session() as s:
        tags = [Tag(name=str(i)) for i in range(size)]
        books = [Book(title=str(i)) for i in range(3)]
        await s.add_all([*books, *tags])
        await s.commit()
        for book in books:
            book.tags.add(*tags)
        assert await cost(s) == 1
        for book in books[:2]:
            for tag in tags:
                book.tags.remove(tag)
        books[2].awards.add(*[Award(name="a") for _ in range(size)])
        assert await cost(s) == 3
        for tag in tags:
            tag.books.add(books[0])
        books[2].tags.clear()
        assert await cost(s) == 2
        await s.rollback()


@SMALL
@pytest.mark.requirement("R24", "R71")
async def test_trees_take_one_statement_for_each_level(db: Database, size: int) -> None:
    async with db.session() as s:
        root = Node(name="r")
        for i in range(size):
            Node(name=str(i), parent=Node(name="m", parent=root))
        await s.add(root)
        assert await cost(s) == 3
        for node in await s.all(Node):
            await s.delete(node)
        assert await cost(s) == 3  # both sides of the join table, and the rows, leaves first
        await s.rollback()


@SMALL
@pytest.mark.requirement("R24", "R54", "R71")
async def test_rows_of_a_through_model(db: Database, size: int) -> None:
    async with db.session(performance_threshold=0) as s:
        students = [Student(name=str(i)) for i in range(size)]
        maths = Course(name="m")
        await s.add_all([Enrolment(student=student, course=maths, grade=1) for student in students])
        assert await cost(s) == 3
        art = Course(name="a", students=students)
        await s.add(art)
        assert await cost(s) == 2
        for student in students:
            assert sorted(names(await s.read(student, "courses"))) == ["a", "m"]
        await s.rollback()


# --- links as sets


@pytest.mark.requirement("R52", "R54")
async def test_a_link_that_comes_and_goes_writes_nothing(db: Database) -> None:
    await db.save(Book(title="b", tags=[Tag(name="in")]), Tag(name="out"))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        inside, outside = [t for name in ("in", "out") for t in await s.all(Tag, Tag.name == name)]
        for loaded in (False, True):
            if loaded:
                await s.read(book, "tags")
                await s.read(outside, "books")
            book.tags.add(outside)
            book.tags.remove(outside)
            outside.books.add(book)
            outside.books.remove(book)
            if loaded:
                book.tags.remove(inside)
                book.tags.add(inside)
                assert await cost(s) == 0
            else:
                await s.flush()
            assert names(await s.read(book, "tags")) == ["in"]
            assert await s.read(outside, "books") == []
        assert await s.scalar("SELECT count(*) FROM book_tags") == 1
        await s.rollback()


@pytest.mark.requirement("R52", "R54")
async def test_adding_from_both_sides_and_twice_makes_one_link(db: Database) -> None:
    await db.save(Book(title="b"), Tag(name="t"))
    async with db.session() as s, db.session() as other:
        book, tag = await s.get_one(Book, 1), await s.get_one(Tag, 1)
        theirs = await other.get_one(Book, 1)
        theirs.tags.add(await other.get_one(Tag, 1))
        await other.commit()
        book.tags.add(tag, tag)
        tag.books.add(book)
        book.tags.append(tag)
        await s.commit()  # somebody else was faster: no error either
        book.tags.remove(tag)
        tag.books.remove(book)
        await s.commit()
        assert (list(await s.read(book, "tags")), list(await s.read(tag, "books"))) == ([], [])
    assert await db.rows("SELECT * FROM book_tags") == []


@pytest.mark.requirement("R52", "R54")
async def test_both_loaded_sides_agree_after_every_kind_of_change(db: Database) -> None:
    await db.save(Student(name="ann"), Student(name="bob"), Course(name="maths"), Course(name="art"))
    async with db.session() as s:
        ann, bob = await s.all(Student)
        maths, art = await s.all(Course)
        for owner, relation in ((ann, "courses"), (bob, "courses"), (maths, "students"), (art, "students")):
            assert await s.read(owner, relation) == []

        def agree(expected: dict[str, str]) -> bool:
            sides = {c.name: "".join(sorted(x.name[0] for x in c.students)) for c in (maths, art)}
            other = {
                c.name: "".join(sorted(x.name[0] for x in (ann, bob) if c in x.courses)) for c in (maths, art)
            }
            return sides == other == expected

        ann.courses.add(maths, art)
        art.students.add(bob)
        assert agree({"maths": "a", "art": "ab"})
        await s.flush()
        ann.courses.set([art])
        assert agree({"maths": "", "art": "ab"})
        await s.add(Enrolment(student=bob, course=maths, grade=3))
        await s.flush()
        assert agree({"maths": "b", "art": "ab"})
        art.students.clear()
        assert agree({"maths": "b", "art": ""})
        await s.commit()
        assert agree({"maths": "b", "art": ""})
        await s.delete(await s.get_one(Enrolment, (bob.id, maths.id)))
        await s.commit()
        assert agree({"maths": "", "art": ""})
    assert await db.rows("SELECT * FROM enrolment") == []
