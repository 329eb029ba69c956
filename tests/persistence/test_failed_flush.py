"""A failing flush leaves the objects as they were: also what the flush itself has put on them."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import Field, ForeignKey, Model, create_all, field, foreign_key, key_column
from blaze.errors import UniqueError
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R20", "R24")


class Owner(Model):
    code: Field[int] = field(primary_key=True, init=True)


class Item(Model):
    id: Field[int] = field(primary_key=True)
    count: Field[int] = field(default=0)
    tens: Field[int] = field(generated="count * 10")
    stamp: Field[int] = field(default=0, on_update=lambda: 99)
    version: Field[int] = field(version=True, default=1)
    owner: ForeignKey[Optional[Owner]] = foreign_key(related_name="items")
    owner_id: Field[Optional[int]] = key_column()


class Sole(Model):
    id: Field[int] = field(primary_key=True)
    number: Field[int] = field(unique=True)
    item: ForeignKey[Item] = foreign_key()


@pytest.fixture
async def db(db: Database) -> Database:
    create_all(db.engine, [Owner, Item, Sole])
    item = Item(id=1, owner=Owner(code=1))
    await db.save(Sole(id=1, number=1, item=item), Sole(id=2, number=2, item=item))
    return db


def shown(item: Item) -> tuple[Any, ...]:
    return item.count, item.tens, item.stamp, item.version, item.owner_id


async def test_what_was_computed_goes_when_a_later_statement_fails(db: Database) -> None:
    async with db.session() as s:
        item, sole, owner = await s.get(Item, 1), await s.get(Sole, 2), await s.get(Owner, 1)
        assert await s.read(item, "owner") is owner
        owner.code, item.count, sole.number = 7, 5, 1
        before = shown(item)
        with pytest.raises(UniqueError):
            await s.flush()
        assert shown(item) == before == (5, 0, 0, 1, 1)
        sole.number = 3
        await s.commit()
        assert shown(item) == (5, 50, 99, 2, 7)
    assert await db.rows("SELECT count, tens, stamp, version, owner_id FROM item") == [(5, 50, 99, 2, 7)]


@pytest.mark.parametrize("key", [False, True])
async def test_it_goes_when_a_hook_after_the_statements_fails(db: Database, key: bool) -> None:
    class Failing:
        fail = True

        def after_save(self) -> None:
            if self.fail:
                raise KeyError

    hooks = Failing()
    async with db.session(hooks=[hooks]) as s:
        item, owner = await s.get(Item, 1), await s.get(Owner, 1)
        assert await s.read(item, "owner") is owner
        item.count = 6
        if key:
            owner.code = 7
        before = shown(item)
        with pytest.raises(KeyError):
            await s.flush()
        assert shown(item) == before == (6, 0, 0, 1, 1)
        hooks.fail = False
        await s.commit()
        assert shown(item) == (6, 60, 99, 2, 7 if key else 1)
    (row,) = await db.rows("SELECT count, tens, stamp, version, owner_id FROM item")
    assert row == (6, 60, 99, 2, 7 if key else 1)
