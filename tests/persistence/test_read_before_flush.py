"""What is read while a changed key waits to be written belongs to the row that the object has."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import (
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    OneToMany,
    OneToOne,
    create_all,
    field,
    foreign_key,
    many_to_many,
    one_to_many,
    one_to_one,
)
from tests.persistence.twins import Database, settled

pytestmark = pytest.mark.requirement("R29", "R30")


class Crate(Model):
    code: Field[str] = field(primary_key=True, init=True)
    weight: Field[int] = field(default=0)
    note: Field[str] = field(default="", deferred=True)
    facts: Field[dict[str, Any]] = field(default_factory=dict, deferred=True)
    labels: ManyToMany[Label] = many_to_many(related_name="crates")
    bolts: OneToMany[Bolt] = one_to_many()


class Label(Model):
    name: Field[str] = field(primary_key=True, init=True)


class Bolt(Model):
    name: Field[str] = field(primary_key=True, init=True)
    crate: ForeignKey[Optional[Crate]] = foreign_key(related_name="bolts")


class Lid(Model):
    name: Field[str] = field(primary_key=True, init=True)
    crate: OneToOne[Optional[Crate]] = one_to_one(related_name="lid")


@pytest.fixture
async def db(db: Database) -> Database:
    create_all(db.engine, [Crate, Label, Bolt, Lid])
    for code in "ab":
        crate = Crate(code=code, note=code.upper(), facts={"of": code}, labels=[Label(name=f"l{code}")])
        await db.save(crate, Bolt(name=f"b{code}", crate=crate), Lid(name=f"c{code}", crate=crate))
    return db


async def changed(s: Any, way: str) -> tuple[Any, Any]:
    """Give the crates `a` and `b` new codes."""
    one, two = await s.get_one(Crate, "a"), await s.get_one(Crate, "b")
    if way == "exchanged":
        one.code, two.code = "b", "a"
    else:
        one.code = "z"
    return one, two


async def rows(db: Database) -> dict[str, str]:
    found: list[Any] = await db.rows("SELECT code, note FROM crate")
    return dict(found)


WAYS = pytest.mark.parametrize("way", ["exchanged", "renamed"])
FLUSH = pytest.mark.parametrize("autoflush", [True, False], ids=["autoflush", "by hand"])


@FLUSH
@WAYS
async def test_deferred_columns(db: Database, way: str, autoflush: bool) -> None:
    async with db.session(autoflush=autoflush) as s:
        one, two = await changed(s, way)
        for crate in (one, two):
            await s.load(crate, Crate.note, Crate.facts)
        assert (one.note, two.note) == ("A", "B")
        assert (one.facts, two.facts) == ({"of": "a"}, {"of": "b"})
        await s.commit()
    assert await rows(db) == ({"b": "A", "a": "B"} if way == "exchanged" else {"z": "A", "b": "B"})


@WAYS
async def test_deferred_columns_at_the_first_access(blocking: Database, way: str) -> None:
    create_all(blocking.engine, [Crate])
    await blocking.save(Crate(code="a", note="A"), Crate(code="b", note="B"))
    async with blocking.session() as s:
        one, two = await changed(s, way)
        assert (one.note, two.note) == ("A", "B")
        await s.commit()
    assert await rows(blocking) == ({"b": "A", "a": "B"} if way == "exchanged" else {"z": "A", "b": "B"})


async def test_a_column_that_was_only_read_is_not_written(db: Database) -> None:
    async with db.session(autoflush=False) as s:
        one = await s.get_one(Crate, "a")
        one.weight = 1
        await s.load(one, Crate.note)
        async with db.session() as other:
            await other.execute("UPDATE crate SET note = 'theirs' WHERE code = 'a'")
            await other.commit()
        await s.commit()
    assert await rows(db) == {"a": "theirs", "b": "B"}


async def test_a_rollback_keeps_the_key(db: Database) -> None:
    async with db.session(autoflush=False) as s:
        one, two = await changed(s, "exchanged")
        await s.load([one, two], Crate.note)
        await s.rollback()
        assert (one.code, one.note, two.code, two.note) == ("a", "A", "b", "B")
        one.note = "new"
        await s.commit()
    assert await rows(db) == {"a": "new", "b": "B"}


@WAYS
@pytest.mark.parametrize("how", ["read", "include"])
async def test_relations_without_autoflush(db: Database, how: str, way: str) -> None:
    async with db.session(autoflush=False) as s:
        one, two = await changed(s, way)
        assert await settled(one.labels.count()) == 1
        if how == "include":
            chosen = s.query(Crate).include(Crate.labels, Crate.bolts, Crate.lid, some=Crate.bolts.limit(1))
            await settled(chosen.all())
            assert [bolt.name for bolt in one.some] == ["ba"]
        for _ in range(2):
            for crate, code in ((one, "a"), (two, "b")):
                assert [label.name for label in await s.read(crate, "labels")] == [f"l{code}"]
                assert [bolt.name for bolt in await s.read(crate, "bolts")] == [f"b{code}"]
                assert (await s.read(crate, "lid")).name == f"c{code}"
            await s.commit()
        one.labels.clear()
        one.bolts.clear()
        await s.commit()
        code = one.code
    assert await db.rows("SELECT label_id FROM crate_labels") == [("lb",)]
    assert await db.rows("SELECT name FROM bolt WHERE crate_id IS NOT NULL") == [("bb",)]
    assert await db.rows(f"SELECT name FROM lid WHERE crate_id = '{code}'") == [("ca",)]


async def test_numbers_without_autoflush(db: Database) -> None:
    async with db.session(autoflush=False) as s:
        await s.execute("DELETE FROM crate_labels WHERE crate_id = 'b'")
        await s.execute("DELETE FROM bolt WHERE crate_id = 'b'")
        await s.commit()
        one, two = await changed(s, "exchanged")
        found = [await settled(crate.labels.count()) for crate in (one, two)]
        found += [await settled(crate.bolts.exists()) for crate in (one, two)]
        assert found == [1, 0, True, False]
        await s.rollback()
