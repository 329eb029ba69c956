"""`expunge` inside transactions: a rollback finds the objects that stand for the rows now."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from blaze.errors import NoResultError
from tests.persistence.models import Author, Book, Setting
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R26", "R30")

ROWS = "SELECT name, value FROM setting ORDER BY name"


async def stand_in(s: Any, instance: Any) -> Any:
    """Expunge an object and load another one for its row."""
    key = type(instance).__mapper__.key(instance)
    await s.expunge(instance)
    found = await s.get_one(type(instance).__mapper__.model, key)
    assert found is not instance
    return found


@pytest.mark.parametrize("raw", ["before expunge", "after expunge", "after loading", "never"])
async def test_an_object_loaded_for_an_inserted_row_is_new_after_a_rollback(db: Database, raw: str) -> None:
    async with db.session() as s:
        first = Setting(name="k", value="v")
        await s.add(first)
        await s.flush()
        if raw == "before expunge":
            await s.execute("UPDATE setting SET value = value")
        await s.expunge(first)
        if raw == "after expunge":
            await s.execute("UPDATE setting SET value = value")
        found = await s.get_one(Setting, "k")
        if raw == "after loading":
            await s.execute("UPDATE setting SET value = value")
        await s.rollback()
        assert (first in s.session, found in s.session) == (False, False)
        with pytest.raises(NoResultError):
            await s.get_one(Setting, "k")
        found.value = "again"
        await s.add(found)
        await s.commit()
    assert await db.rows(ROWS) == [("k", "again")]


async def savepoint(s: Any, work: Any) -> Any:
    """Run a function in a block of its own that is rolled back; return what it gives."""
    found = None
    with contextlib.suppress(ZeroDivisionError):
        async with s.transaction():
            found = await work()
            raise ZeroDivisionError
    return found


async def test_a_row_that_got_another_key_before_it_was_loaded_again_is_gone_after_a_rollback(
    db: Database,
) -> None:
    first = Setting(name="k", value="v")
    async with db.session() as s, s.transaction():

        async def work() -> Any:
            await s.add(first)
            await s.flush()
            first.name = "moved"
            await s.flush()
            found = await stand_in(s, first)
            found.name = "twice"
            await s.flush()
            return found

        found = await savepoint(s, work)
        assert (first in s.session, found in s.session) == (False, False)
        for key in ("k", "moved", "twice"):
            assert await s.get(Setting, key) is None
        found.name = "new"
        await s.add(found)
    assert await db.rows(ROWS) == [("new", "v")]


async def test_a_rollback_in_parts_finds_the_object_that_stands_for_the_row(db: Database) -> None:
    await db.save(Setting(name="k", value="0"))
    async with db.session() as s:
        first = await s.get_one(Setting, "k")

        async def inner() -> Any:
            first.value, first.name = "2", "inner"
            await s.flush()
            found = await stand_in(s, first)
            found.value, found.name = "3", "innermost"
            await s.flush()
            return found

        async def outer() -> Any:
            first.value, first.name = "1", "outer"
            await s.flush()
            found = await savepoint(s, inner)
            assert (found.name, found.value) == ("outer", "1")
            assert await s.get_one(Setting, "outer") is found
            return found

        found = await savepoint(s, outer)
        assert (found.name, found.value) == ("k", "0")
        assert await s.get_one(Setting, "k") is found
        assert (first.name, first.value) == ("inner", "2")  # nobody tracks it any more


async def test_a_row_that_nobody_holds_is_found_again_after_a_rollback_in_parts(db: Database) -> None:
    await db.save(Setting(name="k", value="0"))
    async with db.session() as s:
        first = await s.get_one(Setting, "k")

        async def inner() -> None:
            first.name = "inner"
            await s.flush()
            await s.expunge(first)

        async def outer() -> Any:
            first.name = "outer"
            await s.flush()
            await savepoint(s, inner)
            return await s.get_one(Setting, "outer")

        found = await savepoint(s, outer)
        assert found.name == "k"
        assert await s.get_one(Setting, "k") is found


async def test_an_object_that_comes_back_is_undone_itself(db: Database) -> None:
    await db.save(Setting(name="k", value="0"))
    async with db.session() as s:
        first = await s.get_one(Setting, "k")
        first.value = "1"
        await s.flush()
        second = await stand_in(s, first)
        second.value = "2"
        await s.flush()
        await s.expunge(second)
        await s.add(first)
        first.name = "moved"
        await s.flush()
        await s.rollback()
        assert (first.name, first.value) == ("k", "0")
        assert await s.get_one(Setting, "k") is first
        assert second not in s.session


async def test_keys_that_change_hands_go_back_to_the_objects_that_stand_for_the_rows(db: Database) -> None:
    await db.save(*[Setting(name=name, value=name) for name in "abc"])
    async with db.session() as s:
        a, b, c = [await s.get_one(Setting, name) for name in "abc"]
        a.name, b.name, c.name, c.value = "b", "c", "a", "other"
        await s.flush()
        found = await stand_in(s, b)
        assert found.value == "b"
        found.name, a.name = a.name, found.name
        await s.flush()
        await s.rollback()
        assert [(o.name, o.value) for o in (a, found, c)] == [("a", "a"), ("b", "b"), ("c", "c")]
        for name, instance in zip("abc", (a, found, c)):
            assert await s.get_one(Setting, name) is instance


@pytest.mark.parametrize("how", ["refresh", "update", "bulk"])
async def test_what_was_read_or_written_past_an_object_is_undone_on_its_successor(
    db: Database, how: str
) -> None:
    await db.save(Setting(name="k", value="0"))
    async with db.session() as s:
        first = await s.get_one(Setting, "k")
        if how == "refresh":
            await s.execute("UPDATE setting SET value = '1'")
            await s.refresh(first)
        elif how == "update":
            await s.do(lambda session: session.query(Setting).filter(name="k").update(value="1"))
        else:
            first.value = "1"
            await s.bulk_update([first], fields=["value"])
        assert first.value == "1"
        found = await stand_in(s, first)
        assert found.value == "1"
        await s.rollback()
        assert (found.value, first.value) == ("0", "1")
        assert await s.get_one(Setting, "k") is found


async def test_lists_that_a_successor_has_loaded_are_read_again_after_a_rollback(db: Database) -> None:
    await db.save(Author(name="a"))
    async with db.session() as s:
        author = await s.get_one(Author, 1)
        author.books.add(Book(title="b"))
        await s.flush()
        found = await stand_in(s, author)
        assert len(await s.read(found, "books")) == 1
        await s.rollback()
        assert await s.read(found, "books") == []
        assert await s.get_one(Author, 1) is found


async def test_an_object_that_went_to_another_session_is_left_to_it(db: Database) -> None:
    await db.save(Setting(name="k", value="0"))
    async with db.session() as s, db.session() as other:
        first = await s.get_one(Setting, "k")
        first.value = "1"
        await s.flush()
        await s.expunge(first)
        await other.add(first)
        await s.rollback()
        assert first.value == "1"
        assert first in other.session


async def test_an_expunged_object_stays_out_of_the_session_after_a_rollback(db: Database) -> None:
    await db.save(Setting(name="k", value="0"))
    async with db.session() as s:
        first = await s.get_one(Setting, "k")
        await s.execute("UPDATE setting SET value = '1'")
        await s.expunge(first)
        await s.rollback()
        found = await s.get_one(Setting, "k")
        assert found is not first
        assert (found.value, first.value) == ("0", "0")
