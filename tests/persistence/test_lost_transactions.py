"""A statement that makes the database roll the whole transaction back, inside a savepoint."""

# ruff: noqa: PT012 - what raises here are blocks: their ends

from __future__ import annotations

from typing import Any

import pytest

from blaze.errors import IntegrityError, SessionError
from tests.persistence.models import Setting
from tests.persistence.twins import Database, Twin

pytestmark = pytest.mark.requirement("R22", "R24")

REFUSING = (
    "CREATE TRIGGER refusing BEFORE INSERT ON setting WHEN NEW.name = 'boom' "
    "BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
)

TAKEN = "INSERT OR ROLLBACK INTO setting (name, value) VALUES ('held', '')"


async def lose(s: Twin, how: str) -> None:
    """Lose the transaction in a nested block, and go on after that."""
    with pytest.raises(IntegrityError):
        async with s.transaction():
            if how == "statement":
                await s.execute(TAKEN)
            else:
                await s.add(Setting(name="boom", value=""))
                await s.flush()


@pytest.mark.parametrize("how", ["statement", "flush"])
async def test_the_blocks_around_are_told(db: Database, how: str) -> None:
    await db.save(Setting(name="held", value=""))
    async with db.session() as s:
        if how == "flush":
            await s.execute(REFUSING)
            await s.commit()
        first = Setting(name="first", value="")
        with pytest.raises(SessionError, match="the transaction is lost"):
            async with s.transaction():
                await s.add(first)
                await s.flush()
                await lose(s, how)
                for call in (
                    lambda: s.all(Setting),
                    lambda: s.execute("UPDATE setting SET value = 'ghost'"),
                    s.flush,
                ):
                    with pytest.raises(SessionError, match=r"the transaction is lost .*call rollback\(\)"):
                        await call()
        assert first not in s.session
        await s.add(Setting(name="next", value=""))
        await s.commit()
    rows = await db.rows("SELECT name, value FROM setting ORDER BY name")
    assert rows == [("held", ""), ("next", "")]


async def test_rollback_inside_the_block_starts_afresh(db: Database) -> None:
    await db.save(Setting(name="held", value=""))
    async with db.session() as s:
        with pytest.raises(SessionError, match="the transaction ended inside its block"):
            async with s.transaction():
                await lose(s, "statement")
                await s.rollback()
                assert len(await s.all(Setting)) == 1


class Catching:
    def before_commit(self, session: Any) -> None:
        with pytest.raises(IntegrityError), session.transaction():
            session.execute(TAKEN)


class AsyncCatching:
    async def before_commit(self, session: Any) -> None:
        with pytest.raises(IntegrityError):
            async with session.transaction():
                await session.execute(TAKEN)


async def test_a_handler_of_before_commit_cannot_hide_it(db: Database) -> None:
    await db.save(Setting(name="held", value=""))

    async with db.session(hooks=[AsyncCatching() if db.asynchronous else Catching()]) as s:
        await s.execute("INSERT INTO setting (name, value) VALUES ('lost', '')")
        with pytest.raises(SessionError, match="the transaction is lost"):
            await s.commit()
        await s.rollback()
    assert await db.rows("SELECT name FROM setting") == [("held",)]
