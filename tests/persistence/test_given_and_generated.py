"""Objects with keys of their own go in before those that get theirs from the database, which counts on."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import Engine, Field, ForeignKey, Model, create_all, field, foreign_key
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R21")


class Coin(Model):
    id: Field[int] = field(primary_key=True)
    side: Field[str] = field(server_default="'head'")
    note: Field[Optional[str]] = field(default=None)


class Shape(Model):
    id: Field[int] = field(primary_key=True)

    class Meta:
        discriminator = "kind"


class Round(Shape):
    radius: Field[int] = field(default=1)


class Branch(Model):
    id: Field[int] = field(primary_key=True)
    parent: ForeignKey[Optional[Branch]] = foreign_key(related_name="twigs", default=None)


@pytest.fixture(autouse=True)
def tables(engine: Engine) -> None:
    create_all(engine, [Coin, Shape, Round, Branch])


async def store(db: Database, *objects: Any) -> list[int]:
    async with db.session() as s:
        await s.add_all(objects)
        await s.commit()
    return [o.id for o in objects]


async def test_columns_left_to_the_database(db: Database) -> None:
    await db.save(Coin(id=101))
    assert await store(db, Coin(), Coin(id=103), Coin(note="x"), Coin(side="tail")) == [104, 103, 105, 106]


async def test_models_of_one_hierarchy(db: Database) -> None:
    await db.save(Shape(id=101))
    assert await store(db, Shape(), Round(), Round(id=103), Shape(id=102)) == [104, 105, 103, 102]


async def test_a_tree(db: Database) -> None:
    await db.save(Branch(id=101))
    root = Branch()
    given = Branch(id=103)
    below = Branch(id=102, parent=given)
    assert await store(db, root, Branch(parent=given), given, below, Branch()) == [104, 106, 103, 102, 105]
    assert await db.rows("SELECT id, parent_id FROM branch WHERE parent_id IS NOT NULL ORDER BY id") == [
        (102, 103), (106, 103),
    ]  # fmt: skip


async def test_a_tree_with_given_keys_below_generated_ones(db: Database) -> None:
    root = Branch()
    child = Branch(id=50, parent=root)
    leaf = Branch(id=51, parent=child)
    first = Branch(id=7)
    assert await store(db, leaf, child, root, first) == [51, 50, 8, 7]
    assert leaf.parent_id == 50
    assert child.parent_id == 8


async def test_bulk_insert(db: Database) -> None:
    await db.save(Coin(id=101))
    coins = [Coin(), Coin(id=103), Coin()]
    async with db.session() as s:
        await s.bulk_insert(coins, return_keys=True)
        await s.commit()
    assert [coin.id for coin in coins] == [104, 103, 105]
