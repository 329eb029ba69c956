"""Autocommit in an asynchronous session whose `add` and `delete` nobody awaits."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Callable

import pytest

from blaze import AsyncSession
from blaze.errors import SessionError, UniqueError
from tests.persistence.models import Author, Tag
from tests.persistence.twins import Database, names

pytestmark = pytest.mark.requirement("R16")

TAGS = "SELECT name FROM tag ORDER BY name"


async def nothing(session: AsyncSession) -> None:
    pass


@pytest.mark.parametrize(
    "following",
    [
        lambda s: s.query(Tag).count(),
        lambda s: s.get(Tag, 9),
        lambda s: s.flush(),
        lambda s: s.execute("SELECT 1"),
        lambda s: s.commit(),
        nothing,
    ],
    ids=["query", "get", "flush", "execute", "commit", "end of the block"],
)
@pytest.mark.parametrize("method", ["add", "add_all"])
async def test_what_nobody_awaits_is_committed_by_what_comes_next(
    awaiting: Database, following: Callable[[Any], Any], method: str
) -> None:
    async with AsyncSession(awaiting.engine, autocommit=True) as s:
        tag = Tag(name="t")
        if method == "add":
            s.add(tag)
        else:
            s.add_all([tag])
        await following(s)
        if following is not nothing:
            assert await awaiting.rows(TAGS) == [("t",)]
            assert not s.in_transaction
            before = s.transactions.commits
            assert await s.get(Tag, 9) is None
            assert s.transactions.commits == before, "nothing is due twice"
    assert await awaiting.rows(TAGS) == [("t",)]


async def test_a_delete_that_nobody_awaits_is_committed(awaiting: Database) -> None:
    await awaiting.save(Tag(name="t"))
    async with AsyncSession(awaiting.engine, autocommit=True) as s:
        s.delete(await s.get_one(Tag, 1))
        assert await s.query(Tag).count() == 0
        assert await awaiting.rows(TAGS) == []


async def test_a_rollback_and_an_error_undo_what_nobody_awaited(awaiting: Database) -> None:
    async with AsyncSession(awaiting.engine, autocommit=True) as s:
        s.add(Tag(name="a"))
        await s.rollback()
        assert await s.query(Tag).all() == []
    with suppress(ZeroDivisionError):
        async with AsyncSession(awaiting.engine, autocommit=True) as s:
            s.add(Tag(name="b"))
            raise ZeroDivisionError
    assert s.closed
    assert await awaiting.rows(TAGS) == []


async def test_a_transaction_block_commits_what_is_registered_in_it(awaiting: Database) -> None:
    async with AsyncSession(awaiting.engine, autocommit=True) as s:
        s.add(Tag(name="before"))
        with suppress(ZeroDivisionError):
            async with s.transaction():
                s.add(Tag(name="inside"))
                assert names(await s.query(Tag).all()) == ["before", "inside"]
                assert await awaiting.rows(TAGS) == [("before",)]
                raise ZeroDivisionError
    assert await awaiting.rows(TAGS) == [("before",)]


async def test_a_commit_that_fails_is_told_by_the_operation_that_does_it(awaiting: Database) -> None:
    await awaiting.save(Author(name="a", email="e"))
    async with AsyncSession(awaiting.engine, autocommit=True) as s:
        s.add(Author(name="b", email="e"))
        with pytest.raises(UniqueError):
            await s.query(Author).count()
        assert await s.query(Author).count() == 1


async def test_an_atomic_session_is_closed_by_the_commit_that_was_due(awaiting: Database) -> None:
    async with AsyncSession(awaiting.engine, autocommit=True, atomic=True) as s:
        s.add(Tag(name="t"))
        with pytest.raises(SessionError, match="closed"):
            await s.query(Tag).count()
        assert s.closed
    assert await awaiting.rows(TAGS) == [("t",)]
    async with AsyncSession(awaiting.engine, autocommit=True, atomic=True) as s:
        s.add(Tag(name="u"))
    assert await awaiting.rows(TAGS) == [("t",), ("u",)]
