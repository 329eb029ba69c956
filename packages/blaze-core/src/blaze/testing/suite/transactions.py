"""Transactions: commit and rollback of rows and objects, blocks, isolation, errors in the middle."""

# ruff: noqa: PT012 - what raises here are blocks: their ends, or what stands in them

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from blaze import (
    CapabilityError,
    ConfigurationError,
    DatabaseError,
    Field,
    ForeignKey,
    ForeignKeyError,
    Model,
    Select,
    SerializationError,
    SessionError,
    SQLSyntaxError,
    UniqueError,
    field,
    foreign_key,
)
from blaze.testing.suite.harness import Database, done, scenario
from blaze.testing.suite.models import Account, Label, Person, Post

__all__ = [
    "test_a_failed_flush_leaves_a_usable_session",
    "test_a_failed_statement_leaves_a_session_that_rollback_mends",
    "test_a_function_runs_again_after_a_conflict",
    "test_a_read_only_transaction_refuses_writes",
    "test_a_refused_commit_is_an_error",
    "test_an_error_in_a_block_undoes_that_block",
    "test_autocommit",
    "test_begin_commit_and_rollback",
    "test_blocks_nest",
    "test_commit_makes_changes_visible",
    "test_concurrent_increments_lose_nothing",
    "test_isolation_levels",
    "test_leaving_a_session_rolls_back",
    "test_rollback_restores_objects",
    "test_rolled_back_objects_can_be_added_again",
    "test_transaction_control_is_the_sessions",
]


class Boom(Exception):
    """What a case raises itself."""


@scenario
async def test_commit_makes_changes_visible(db: Database) -> None:
    async with db.session() as s:
        await s.add(Label(name="x"))
        await s.flush()
        async with db.session() as other:
            if db.engine.dialect.features.default_isolation != "SERIALIZABLE":
                assert await other.all(Label) == []
        await s.commit()
        assert await db.rows(Select(Label.name)) == [("x",)]


@scenario
async def test_leaving_a_session_rolls_back(db: Database) -> None:
    with pytest.raises(Boom):
        async with db.session() as s:
            await s.add(Label(name="x"))
            await s.flush()
            raise Boom
    assert await db.rows(Select(Label.name)) == []


@scenario
async def test_rollback_restores_objects(db: Database) -> None:
    await db.save(Post(title="t", meta={"k": [1]}, labels=[Label(name="l")]), Post(title="u"))
    async with db.session() as s:
        t, u = await s.all(Post)
        (label,) = await s.read(t, "labels")
        t.title = "changed"
        t.meta["k"].append(2)
        t.labels.remove(label)
        new = Person(name="n")
        t.author = new
        await s.delete(u)
        await s.flush()
        t.title = "again"
        await s.rollback()
        assert (t.title, t.meta, t.author_id, new.id) == ("t", {"k": [1]}, None, None)
        assert await s.read(t, "labels") == [label]
        assert await s.get(Post, u.id) is u
        assert (s.new, s.dirty, s.deleted) == ([], [], [])
    assert await db.rows(Select(Post.title).order_by(Post.title)) == [("t",), ("u",)]


@scenario
async def test_rolled_back_objects_can_be_added_again(db: Database) -> None:
    async with db.session() as s:
        post = Post(title="t", labels=[Label(name="l")], author=Person(name="p"))
        await s.add(post)
        await s.flush()
        await s.rollback()
        assert post.id is None
        await s.add(post)
        await s.commit()
        assert post.author_id == post.author.id is not None
    assert await db.rows(Select(Label.name)) == [("l",)]


@pytest.mark.parametrize("broken", range(4))
@scenario
async def test_blocks_nest(db: Database, broken: int) -> None:
    db.needs("savepoints")
    async with db.session() as s:

        async def level(depth: int) -> None:
            await s.add(Label(name=f"l{depth}"))
            if depth < 3:
                try:
                    async with s.transaction():
                        await level(depth + 1)
                except Boom:
                    pass
            if depth == broken:
                raise Boom

        try:
            async with s.transaction():
                await level(1)
        except Boom:
            pass
        assert s.session.in_transaction is False
    kept = range(1, broken if broken else 4)
    assert await db.rows(Select(Label.name).order_by(Label.name)) == [(f"l{n}",) for n in kept]


@scenario
async def test_an_error_in_a_block_undoes_that_block(db: Database) -> None:
    db.needs("savepoints")
    async with db.session() as s, s.transaction():
        person = Person(name="p")
        await s.add(person)
        with pytest.raises(UniqueError):
            async with s.transaction():
                person.name = "inner"
                await s.add_all([Person(name="x", email="e"), Person(name="y", email="e")])
        assert person.name == "p"
        with pytest.raises(SQLSyntaxError):
            async with s.transaction():
                person.name = "inner"
                await s.flush()
                await s.execute("SELECT * FROM suite_no_such_table")
        assert person.name == "p"
        person.email = "kept"
    assert await db.rows(Select(Person.name, Person.email)) == [("p", "kept")]


@scenario
async def test_begin_commit_and_rollback(db: Database) -> None:
    async with db.session() as s:
        await s.begin()
        assert s.session.in_transaction
        await s.add(Label(name="kept"))
        await s.commit()
        await s.begin()
        await s.add(Label(name="lost"))
        await s.rollback()
        assert not s.session.in_transaction
        async with s.transaction():
            with pytest.raises(SessionError):
                await s.commit()
    assert await db.rows(Select(Label.name)) == [("kept",)]


@scenario
async def test_transaction_control_is_the_sessions(db: Database) -> None:
    async with db.session() as s:
        for text in ("BEGIN", "commit", " /* x */ ROLLBACK", "SAVEPOINT a"):
            with pytest.raises(SessionError):
                await s.execute(text)
        assert s.statements == 0


@scenario
async def test_isolation_levels(db: Database) -> None:
    async with db.session() as s:
        for level in db.dialect.features.isolation_levels:
            async with s.transaction(isolation=level):
                await s.add(Label(name=level))
                await s.flush()
                assert await done(s.query(Label).where(Label.name == level).count()) == 1
        with pytest.raises(ConfigurationError):
            async with s.transaction(isolation="SERIALISABLE"):
                pass
    assert len(await db.rows(Select(Label))) == len(db.dialect.features.isolation_levels)


@scenario
async def test_a_read_only_transaction_refuses_writes(db: Database) -> None:
    async with db.session() as s:
        if not db.has("read_only_transactions"):
            with pytest.raises(CapabilityError):
                async with s.transaction(read_only=True):
                    pass
            return
        with pytest.raises(DatabaseError, match="read-only"):
            async with s.transaction(read_only=True):
                assert await s.all(Label) == []
                await s.execute("INSERT INTO suite_label (name) VALUES ('x')")
        await s.rollback()
        await s.add(Label(name="y"))
        await s.commit()
    assert await db.rows(Select(Label.name)) == [("y",)]


class Owner(Model):
    id: Field[int] = field(primary_key=True)

    class Meta:
        table = "suite_commit_owner"


class Owned(Model):
    id: Field[int] = field(primary_key=True)
    owner: ForeignKey[Owner] = foreign_key(deferrable=True)

    class Meta:
        table = "suite_commit_owned"


@scenario
async def test_a_refused_commit_is_an_error(db: Database) -> None:
    db.needs("deferrable_constraints")
    await db.drop_tables(Owner, Owned)
    await db.make_tables(Owner, Owned)
    try:
        async with db.session() as s:
            await s.add(Owned(owner_id=10**6))
            await s.flush()  # the key is looked at when the transaction ends
            with pytest.raises(ForeignKeyError):
                await s.commit()
            await s.rollback()
            assert await s.all(Owned) == []
            await s.add(Owned(owner=Owner()))
            await s.commit()
        assert len(await db.rows(Select(Owned.id))) == 1
    finally:
        await db.drop_tables(Owner, Owned)


@pytest.mark.parametrize("earlier", [False, True])
@scenario
async def test_a_failed_flush_leaves_a_usable_session(db: Database, earlier: bool) -> None:
    if earlier:
        db.needs("savepoints")
    await db.save(Person(name="a", email="e"))
    async with db.session() as s:
        if earlier:
            await s.add(Label(name="before"))
            await s.flush()
        twin = Person(name="b", email="e")
        await s.add_all([Label(name="beside"), twin])
        with pytest.raises(UniqueError):
            await s.commit()
        twin.email = "f"
        await s.commit()
    assert len(await db.rows(Select(Person))) == 2
    assert len(await db.rows(Select(Label))) == 1 + earlier


@scenario
async def test_a_failed_statement_leaves_a_session_that_rollback_mends(db: Database) -> None:
    async with db.session() as s:
        label = Label(name="x")
        await s.add(label)
        await s.flush()
        with pytest.raises(SQLSyntaxError):
            await s.execute("SELECT nothing FROM suite_label")
        await s.rollback()
        assert label.id is None
        assert await s.all(Label) == []
        await s.add(label)
        await s.commit()
    assert await db.rows(Select(Label.name)) == [("x",)]


@scenario
async def test_autocommit(db: Database) -> None:
    async with db.session(autocommit=True) as s:
        label = Label(name="x")
        await s.add(label)
        assert await db.rows(Select(Label.name)) == [("x",)]
        await s.delete(label)
        assert await db.rows(Select(Label.name)) == []
    async with db.session(auto_commit=True) as s:
        await s.add(Label(name="y"))
    assert await db.rows(Select(Label.name)) == [("y",)]


@scenario
async def test_a_function_runs_again_after_a_conflict(db: Database) -> None:
    calls: list[int] = []

    def work(session: Any) -> str:
        calls.append(1)
        session.add(Label(name=f"l{len(calls)}"))
        if len(calls) < 3:
            raise SerializationError("conflict")
        return "done"

    async def awork(session: Any) -> str:
        return work(session)

    async with db.session() as s:
        assert await s.run_in_transaction(awork if db.asynchronous else work) == "done"
    assert await db.rows(Select(Label.name)) == [("l3",)]


@scenario
async def test_concurrent_increments_lose_nothing(db: Database) -> None:
    """Four writers, each with its own session; conflicts are run again."""
    await db.save(Account(owner="a"))
    from blaze import AsyncSession, Session, StaleDataError

    def note(session: Any) -> None:
        db.sessions.append(session)

    async def awaited() -> None:
        for _ in range(5):
            while True:
                async with AsyncSession(db.engine) as session:
                    note(session)
                    account = await session.query(Account).one()
                    account.balance += 1
                    try:
                        await session.commit()
                        break
                    except (StaleDataError, DatabaseError):
                        await session.rollback()

    def blocking() -> None:
        for _ in range(5):
            while True:
                with Session(db.engine) as session:
                    note(session)
                    account = session.query(Account).one()
                    account.balance += 1
                    try:
                        session.commit()
                        break
                    except (StaleDataError, DatabaseError):
                        session.rollback()

    if db.asynchronous:
        await asyncio.gather(*[awaited() for _ in range(4)])
    else:
        threads = [threading.Thread(target=blocking) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert await db.rows(Select(Account.balance)) == [(20,)]
