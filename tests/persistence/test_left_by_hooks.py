"""What `after_save` and `after_delete` hooks add or change belongs to the commit that fired them."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import Engine, Field, IntegrityError, Model, SessionError, create_all, field
from blaze.persistence.transaction import ROUNDS
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R21")


class Journal(Model):
    id: Field[int] = field(primary_key=True)
    text: Field[str] = field(unique=True)


class Member(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    slug: Field[Optional[str]] = field(default=None)
    notes: Field[dict[str, Any]] = field(default_factory=dict)


@pytest.fixture(autouse=True)
def tables(engine: Engine) -> None:
    create_all(engine, [Journal, Member])


class Log:
    """Writes a line for every member that was saved or deleted: its key is known only then."""

    def after_save(self, session: Any, instance: Any, created: bool) -> None:
        if isinstance(instance, Member) and created:
            session.add(Journal(text=f"new {instance.id}"))

    def after_delete(self, session: Any, instance: Any) -> None:
        session.add(Journal(text=f"gone {instance.id}"))


class Slug:
    """Changes the object itself, a column and a document."""

    def after_save(self, instance: Any) -> None:
        if isinstance(instance, Member) and instance.slug is None:
            instance.slug = f"{instance.id}-{instance.name}"
            instance.notes["saved"] = True


class Endless:
    def after_save(self, session: Any, instance: Any) -> None:
        session.add(Journal(text=f"{instance.id}, {type(instance).__name__}"))


async def lines(db: Database) -> list[str]:
    return [text for (text,) in await db.rows("SELECT text FROM journal ORDER BY id")]


async def test_commit_writes_what_hooks_after_have_added(db: Database) -> None:
    async with db.session(hooks=[Log()]) as s:
        member = Member(name="a")
        await s.add(member)
        await s.commit()
        assert not s.new
        await s.delete(member)
        await s.commit()
        assert not s.new
    assert await lines(db) == ["new 1", "gone 1"]


async def test_commit_writes_what_hooks_after_have_changed(db: Database) -> None:
    async with db.session(hooks=[Slug()]) as s:
        member = Member(name="a")
        await s.add(member)
        await s.commit()
        assert not s.dirty
        assert (member.slug, member.notes) == ("1-a", {"saved": True})
    assert await db.rows("SELECT slug, notes FROM member") == [("1-a", '{"saved":true}')]


async def test_auto_commit_and_autocommit(db: Database) -> None:
    async with db.session(hooks=[Log()], auto_commit=True) as s:
        await s.add(Member(name="a"))
    async with db.session(hooks=[Log()], autocommit=True) as s:
        await s.add(Member(name="b"))
    assert await lines(db) == ["new 1", "new 2"]


async def test_blocks_write_it_at_their_end(db: Database) -> None:
    async with db.session(hooks=[Log()]) as s:
        async with s.transaction():
            await s.add(Member(name="a"))
            async with s.transaction():
                await s.add(Member(name="b"))
            assert not s.new
            assert await s.scalar("SELECT count(*) FROM journal") == 2
        assert not s.new
    assert await lines(db) == ["new 1", "new 2"]


async def test_what_stands_before_a_block_survives_its_rollback(db: Database) -> None:
    async with db.session(hooks=[Log()]) as s, s.transaction():

        async def fail() -> None:
            async with s.transaction():
                await s.add(Member(name="b"))
                raise ZeroDivisionError

        await s.add(Member(name="a"))
        with pytest.raises(ZeroDivisionError):
            await fail()
    assert await lines(db) == ["new 1"]


async def test_hooks_without_end_are_refused(db: Database) -> None:
    async with db.session(hooks=[Endless()]) as s:
        await s.add(Member(name="a"))
        with pytest.raises(
            SessionError, match=f"after {ROUNDS} flushes the hooks of Journal still leave .*Journal"
        ):
            await s.commit()
        await s.rollback()
        assert not s.new
    assert await lines(db) == []


async def test_what_a_hook_added_and_cannot_be_saved(db: Database) -> None:
    await db.save(Journal(text="new 1"))
    async with db.session(hooks=[Log()]) as s:
        member = Member(name="a")
        await s.add(member)
        with pytest.raises(IntegrityError):
            await s.commit()
        assert [type(o) for o in s.new] == [Journal]
        s.new[0].text = "other"
        await s.commit()
    assert await lines(db) == ["new 1", "other"]
    assert await db.rows("SELECT name FROM member") == [("a",)]


async def test_a_commit_without_such_hooks_flushes_once(db: Database) -> None:
    async with db.session() as s:
        member = Member(name="a")
        await s.add(member)
        member.notes["x"] = 1
        await s.commit()
        before = s.statements
        member.notes["x"] = 2
        await s.commit()
        assert s.statements - before == 1
