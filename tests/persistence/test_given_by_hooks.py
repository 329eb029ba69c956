"""New objects that hooks before a write give to objects of the session belong to the flush of these."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze.errors import SessionError
from tests.persistence.models import Author, Book, Chapter
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R21")


class Shelf:
    """Gives every author that is written a book, at one event; calls are counted by model."""

    def __init__(self, event: str) -> None:
        self.written: list[str] = []
        setattr(self, event, self.handle)

    def handle(self, instance: Any) -> None:
        self.written.append(type(instance).__name__)
        if isinstance(instance, Author):
            Book(title=f"of {instance.name}", author=instance)
        if isinstance(instance, Book):
            Chapter(heading="one", book=instance)


class Farewell:
    """Gives the author of every book that is deleted another one; `heir` gives it to what is deleted."""

    def __init__(self, heir: bool = False) -> None:
        self.heir = heir

    def before_delete(self, instance: Any) -> None:
        if isinstance(instance, Book):
            Book(title="instead", author=instance.author)
        elif self.heir:
            Book(title="orphan", author=instance)


TITLES = "SELECT title, author_id FROM book ORDER BY id"


@pytest.fixture
async def author(db: Database) -> None:
    await db.save(Author(name="a"))


@pytest.mark.parametrize("event", ["before_validate", "before_save"])
async def test_it_is_in_the_same_commit(db: Database, author: None, event: str) -> None:
    hook = Shelf(event)
    async with db.session(hooks=[hook]) as s:
        found = await s.get_one(Author, 1)
        found.name = "b"
        await s.commit()
        assert not s.session.new
        assert not s.session.in_transaction
        assert [book.title for book in await s.read(found, "books")] == ["of b"]
    assert hook.written == ["Author", "Book", "Chapter"]
    assert await db.rows(TITLES) == [("of b", 1)]
    assert await db.rows("SELECT heading FROM chapter") == [("one",)]


@pytest.mark.parametrize("event", ["before_validate", "before_save"])
@pytest.mark.parametrize("option", ["auto_commit", "block", "flush", None])
async def test_whatever_ends_the_transaction(
    db: Database, author: None, event: str, option: Optional[str]
) -> None:
    async with db.session(hooks=[Shelf(event)], auto_commit=option == "auto_commit") as s:
        found = await s.get_one(Author, 1)
        if option == "block":
            async with s.transaction():
                found.name = "b"
        else:
            found.name = "b"
        if option == "flush":
            await s.flush()
            assert not s.session.new
        if option in ("flush", None):
            await s.commit()
    assert await db.rows(TITLES) == [("of b", 1)]


async def test_what_a_bulk_operation_writes_stays_its_own(db: Database, author: None) -> None:
    async with db.session(hooks=[Shelf("before_save")]) as s:
        found = await s.get_one(Author, 1)
        found.name = "b"
        await s.bulk_insert([Book(title="in bulk", author=found)])
        assert not s.session.new
        await s.commit()
    assert await db.rows(TITLES) == [("of b", 1), ("in bulk", 1)]


async def test_a_rollback_takes_it_back(db: Database, author: None) -> None:
    async with db.session(hooks=[Shelf("before_save")]) as s:
        found = await s.get_one(Author, 1)
        assert await s.read(found, "books") == []
        found.name = "b"
        await s.flush()
        assert len(found.books) == 1
        await s.rollback()
        assert await s.read(found, "books") == []
        await s.commit()
    assert await db.rows(TITLES) == []


async def test_what_before_delete_gives(db: Database) -> None:
    await db.save(Book(title="old", author=Author(name="a")))
    async with db.session(hooks=[Farewell()]) as s:
        assert await s.get_one(Author, 1)
        await s.delete((await s.all(Book))[0])
        await s.commit()
        assert not s.session.new
    assert await db.rows(TITLES) == [("instead", 1)]
    async with db.session(hooks=[Farewell(heir=True)]) as s:
        await s.delete((await s.all(Author))[0])
        with pytest.raises(SessionError, match="which is deleted"):
            await s.commit()
        await s.rollback()
    assert await db.rows(TITLES) == [("instead", 1)]
