"""A commit that a lock refused can be tried again: nothing is lost."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from blaze import Engine, TimeoutError
from tests.persistence.models import Tag
from tests.persistence.twins import Database


@pytest.fixture
async def impatient(db: Database) -> Any:
    """Give the same database behind an engine that does not wait for locks."""
    engine = Engine(f"{db.engine.config.redacted()}?lock_timeout=0.05", pool_size=1, max_overflow=0)
    yield Database(engine, db.kind)
    assert engine.pool_stats().in_use == 0
    await engine.adispose()


@pytest.mark.requirement("R21")
async def test_a_flush_refused_by_a_lock_keeps_everything_pending(db: Database, impatient: Database) -> None:
    async with db.session() as holder, impatient.session() as s:
        await holder.begin()
        tag = Tag(name="kept")
        await s.add(tag)
        for _ in range(2):
            with pytest.raises(TimeoutError) as caught:
                await s.commit()
            assert caught.value.retryable
            assert s.new == [tag]
        await holder.rollback()
        await s.commit()
        assert await s.all(Tag) == [tag]


@pytest.mark.requirement("R21")
async def test_a_commit_command_refused_by_a_lock_stays_open(db: Database, impatient: Database) -> None:
    """Without write-ahead logging a reader holds up the COMMIT of who has written already."""
    await db.engine.adispose()  # only who is alone can turn it off
    reader = sqlite3.connect(str(impatient.engine.config.database), isolation_level=None)
    try:
        async with impatient.session() as s:
            await s.execute("PRAGMA journal_mode = DELETE")
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM tag").fetchall()
            tag = Tag(name="kept")
            await s.add(tag)
            await s.flush()
            for _ in range(2):
                with pytest.raises(TimeoutError) as caught:
                    await s.commit()
                assert caught.value.retryable
                assert s.in_transaction
                assert s.new == []
                assert tag.id == 1
            reader.execute("COMMIT")
            await s.commit()
            tag.name = "changed"
            await s.flush()
            await s.rollback()
            assert tag.name == "kept"
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM tag").fetchall()
            await s.add(Tag(name="lost"))
            with pytest.raises(TimeoutError):
                await s.commit()
            await s.rollback()
            reader.execute("COMMIT")
            assert await s.all(Tag) == [tag]
    finally:
        reader.close()
