"""New objects that come with objects of a session and are taken back; columns that are read late."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import (
    Engine,
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    OneToOne,
    SessionError,
    create_all,
    field,
    foreign_key,
    many_to_many,
    one_to_one,
)
from tests.persistence.twins import Database


class Warren(Model):
    id: Field[int] = field(primary_key=True)


class Rabbit(Model):
    id: Field[int] = field(primary_key=True, init=True)
    n: Field[int] = field(default=0)
    warren: ForeignKey[Warren] = foreign_key(related_name="rabbits")
    paths: ManyToMany[Warren] = many_to_many(related_name="guests")


class Plan(Model):
    id: Field[int] = field(primary_key=True, init=True)
    warren: OneToOne[Optional[Warren]] = one_to_one(related_name="plan")


class Coded(Model):
    code: Field[str] = field(primary_key=True, init=True)
    n: Field[int] = field(default=0)
    name: Field[str] = field(default="", deferred=True)
    notes: Field[list[int]] = field(default_factory=list, deferred=True)


@pytest.fixture(autouse=True)
def tables(engine: Engine) -> None:
    create_all(engine, [Warren, Rabbit, Plan, Coded])


async def warren_of(s: Any) -> Any:
    warren = Warren()
    await s.add(warren)
    await s.commit()
    await s.read(warren, "rabbits")
    await s.read(warren, "guests")
    return warren


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("way", ["delete", "expunge"])
@pytest.mark.requirement("R26")
async def test_a_new_object_that_came_can_be_taken_back(db: Database, way: str, added: bool) -> None:
    async with db.session() as s:
        warren = await warren_of(s)
        rabbit = Rabbit(warren=warren)
        rabbit.paths.add(warren)
        if added:
            await s.add(rabbit)
        assert s.new == [rabbit]
        await getattr(s, way)(rabbit)
        assert s.new == []
        await s.commit()
        assert await s.all(Rabbit) == []
        assert (await s.read(warren, "rabbits"), await s.read(warren, "guests")) == ([], [])


async def test_what_never_came_cannot_be_deleted(db: Database) -> None:
    async with db.session() as s:
        with pytest.raises(SessionError, match="never saved"):
            await s.delete(Rabbit(warren=Warren()))


async def test_a_bulk_update_lets_what_it_writes_go(db: Database) -> None:
    async with db.session() as s:
        warren = await warren_of(s)
        await s.add(Rabbit(id=1, warren=warren))
        await s.commit()
        assert await s.bulk_update([Rabbit(id=1, warren=warren, n=5)]) == 1
        await s.commit()
        assert [rabbit.n for rabbit in await s.all(Rabbit)] == [5]


@pytest.mark.parametrize("way", ["bulk_insert", "upsert"])
@pytest.mark.parametrize("inner", [False, True])
async def test_what_showed_an_object_that_is_written_in_bulk_is_read_again(
    db: Database, way: str, inner: bool
) -> None:
    async with db.session() as s:
        warren = await warren_of(s)
        assert await s.read(warren, "plan") is None
        rabbit, plan = Rabbit(id=1, warren=warren), Plan(id=1, warren=warren)
        assert (list(warren.rabbits), warren.plan, s.new) == ([rabbit], plan, [rabbit, plan])

        async def fail() -> None:
            async with s.transaction():
                await s.flush()
                raise ZeroDivisionError

        async with s.transaction():
            for new in (rabbit, plan):
                await (s.bulk_insert([new]) if way == "bulk_insert" else s.upsert([new], ["id"]))
            assert s.new == []
            if inner:
                with pytest.raises(ZeroDivisionError):
                    await fail()
        assert [found.id for found in await s.read(warren, "rabbits")] == [1]
        assert (await s.read(warren, "plan")).id == 1


@pytest.mark.requirement("R68")
async def test_a_new_object_comes_with_what_it_is_linked_to(db: Database) -> None:
    async with db.session() as s:
        warren = await warren_of(s)
        rabbit = Rabbit(id=7, warren=Warren(), paths=[warren])
        assert list(warren.guests) == [rabbit]
        assert rabbit in s.new
        await s.commit()
    async with db.session() as s:
        (found,) = await s.all(Rabbit)
        assert [path.id for path in await s.read(found, "paths")] == [warren.id]


async def test_columns_read_late_are_those_of_the_row_though_its_key_changes(db: Database) -> None:
    await db.save(Coded(code="a", name="A", notes=[1]), Coded(code="b", name="B", notes=[2]))
    async with db.session() as s:
        a, b = await s.get(Coded, "a"), await s.get(Coded, "b")
        a.code, b.code = "b", "a"
        b.n = 1
        session = s.session
        if session.asynchronous:
            await session.load([a, b], Coded.name, Coded.notes)
        assert (a.name, a.notes, b.name, b.notes) == ("A", [1], "B", [2])
        await s.commit()
    async with db.session() as s:
        query = s.query(Coded.code, Coded.n, Coded.name, Coded.notes).order_by(Coded.code)
        rows = await s.do(lambda x: query.all())
        assert [tuple(row) for row in rows] == [("a", 1, "B", [2]), ("b", 0, "A", [1])]


async def test_a_column_read_late_is_no_change(db: Database) -> None:
    await db.save(Coded(code="a", name="A"))
    async with db.session() as s, db.session() as other:
        a = await s.get(Coded, "a")
        a.n = 1
        if s.session.asynchronous:
            await s.session.load(a, Coded.name)
        assert a.name == "A"
        await s.rollback()
        a.n = 2
        with s.session.no_autoflush():
            if s.session.asynchronous:
                await s.session.load(a, Coded.name)
            assert a.name == "A"
        await other.do(lambda x: x.exec_scalar("UPDATE coded SET name = 'other' RETURNING 1"))
        await other.commit()
        await s.commit()
        assert await s.scalar("SELECT name FROM coded") == "other"
