"""`on_update` functions act in every UPDATE: flushes, bulk operations, statements and queries."""

from __future__ import annotations

from itertools import count
from typing import Optional

import pytest

from blaze import Engine, Field, Insert, Model, Update, create_all, excluded, field
from tests.persistence.twins import Database, settled

pytestmark = pytest.mark.requirement("R47")

numbers = count(1)


class Stamped(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(unique=True)
    stamp: Field[Optional[int]] = field(default=None, on_update=lambda: next(numbers))


class Beast(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    stamp: Field[Optional[int]] = field(default=None, on_update=lambda: next(numbers))

    class Meta:
        discriminator = "kind"


class Lion(Beast):
    mane: Field[int] = field(default=0)
    roar: Field[Optional[int]] = field(default=None, on_update=lambda: next(numbers))

    class Meta:
        joined = True


@pytest.fixture(autouse=True)
def tables(engine: Engine) -> None:
    global numbers
    numbers = count(1)
    create_all(engine, [Stamped, Beast, Lion])


async def test_queries_and_statements(db: Database) -> None:
    await db.save(Stamped(name="a"), Stamped(name="b"))
    async with db.session() as s:
        a, b = await s.all(Stamped)
        every = s.session.query(Stamped).all_rows()
        assert await settled(s.session.query(Stamped).where(Stamped.name == "a").update(name="c")) == 1
        assert (a.name, a.stamp, b.stamp) == ("c", 1, None)
        statement = Update(Stamped).set(name=Stamped.name + "!").all_rows()
        await s.exec(statement)
        assert (a.stamp, b.stamp) == (2, 2)
        await s.exec(statement)
        assert (a.name, a.stamp, b.stamp) == ("c!!", 3, 3)
        assert await settled(every.update(stamp=100)) == 2
        assert (a.stamp, b.stamp) == (100, 100)
        result = await s.exec(Update(Stamped).set(name="d").where(Stamped.id == 2).returning(Stamped.stamp))
        assert (await settled(result.one())).stamp == b.stamp == 4
        await s.commit()
    assert await db.rows("SELECT name, stamp FROM stamped ORDER BY id") == [("c!!", 100), ("d", 4)]


async def test_rows_in_conflict(db: Database) -> None:
    await db.save(Stamped(name="a"))
    async with db.session() as s:
        insert = Insert(Stamped).values([{"name": "a"}, {"name": "b"}])
        await s.exec(insert.on_conflict("name", update={"name": excluded("name")}))
        await s.commit()
    assert await db.rows("SELECT name, stamp > 0 FROM stamped ORDER BY id") == [("a", 1), ("b", None)]


async def test_tables_of_a_joined_model(db: Database) -> None:
    await db.save(Lion(name="a"), Lion(name="b"), Beast(name="c"))
    async with db.session() as s:
        lion = await s.get(Lion, 1)
        lions = s.session.query(Lion)
        assert await settled(lions.where(Lion.mane == 0, Lion.name == "a").update(mane=3)) == 1
        assert lion.mane == 3
        first = lion.stamp, lion.roar
        assert None not in first
        assert await settled(lions.all_rows().update(name="x")) == 2
        assert lion.name == "x"
        assert min(lion.stamp, lion.roar) > max(first)
        await s.commit()
    assert await db.rows("SELECT name, stamp IS NULL FROM beast ORDER BY id") == [
        ("x", 0),
        ("x", 0),
        ("c", 1),
    ]
    assert await db.rows("SELECT mane, roar IS NULL FROM lion ORDER BY id") == [(3, 0), (0, 0)]
