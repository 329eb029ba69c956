"""A rollback makes deleted objects what they were, whatever was done to them after their rows had gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Optional

import pytest

from blaze import (
    Engine,
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    OneToMany,
    OneToOne,
    acreate_all,
    field,
    foreign_key,
    many_to_many,
    one_to_many,
    one_to_one,
)
from tests.persistence.twins import Database


class Keeper(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    note: Field[Optional[str]] = field(default=None, deferred=True)
    animals: OneToMany[Animal] = one_to_many()


class Food(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]


class Animal(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    facts: Field[dict[str, Any]] = field(default_factory=dict)
    more: Field[Optional[list[int]]] = field(default=None)
    keeper: ForeignKey[Keeper] = foreign_key(related_name="animals", on_delete="CASCADE")
    foods: ManyToMany[Food] = many_to_many(related_name="eaters")


class Cage(Model):
    id: Field[int] = field(primary_key=True)
    animal: OneToOne[Animal] = one_to_one(related_name="cage", on_delete="CASCADE")


@pytest.fixture(params=["sync", "async"])
async def zoo(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Database]:
    engine = Engine(f"sqlite:///{tmp_path / 'zoo.db'}")
    await acreate_all(engine, [Keeper, Food, Animal, Cage])
    database = Database(engine, request.param)
    leaf = Food(name="leaf")
    animal = Animal(name="b", facts={"n": [1]}, foods=[leaf], keeper=Keeper(name="a", note="n"))
    await database.save(animal, Cage(animal=animal), Food(name="meat"))
    yield database
    await engine.adispose()


async def load(s: Any) -> tuple[Any, Any, Any, Any]:
    keeper = await s.get_one(Keeper, 1)
    animal = await s.get_one(Animal, 1)
    assert [a.id for a in await s.read(keeper, "animals")] == [1]
    assert [food.name for food in await s.read(animal, "foods")] == ["leaf"]
    cage = await s.read(animal, "cage")
    return keeper, animal, cage, await s.get_one(Food, 2)


async def spoil(s: Any, keeper: Any, animal: Any, meat: Any) -> None:
    """Change everything of two objects that are deleted."""
    keeper.name, keeper.note = "changed", "changed"
    animal.name = "late"
    animal.facts["n"].append(2)
    animal.more = [1]
    animal.keeper = Keeper(name="other")
    animal.foods.add(meat)
    keeper.animals.clear()


async def check(s: Any, keeper: Any, animal: Any, cage: Any) -> None:
    assert (keeper.name, animal.name, animal.facts, animal.more) == ("a", "b", {"n": [1]}, None)
    assert animal.keeper_id == 1
    assert animal.keeper is keeper
    assert list(keeper.animals) == [animal]
    assert [food.name for food in animal.foods] == ["leaf"]
    assert animal.cage is cage
    assert cage.animal is animal
    assert s.session.dirty == []
    assert not s.session.new
    await s.load(keeper, Keeper.note)
    assert keeper.note == "n"
    await s.commit()
    assert s.session.dirty == []


async def test_a_rollback_restores_what_was_changed_after_the_deletion(zoo: Database) -> None:
    async with zoo.session() as s:
        keeper, animal, cage, meat = await load(s)
        await s.delete(keeper)
        await s.flush()
        await spoil(s, keeper, animal, meat)
        await s.rollback()
        await check(s, keeper, animal, cage)
    assert await zoo.rows("SELECT name, note FROM keeper") == [("a", "n")]
    assert await zoo.rows("SELECT name, facts, more, keeper_id FROM animal") == [("b", '{"n":[1]}', None, 1)]
    assert len(await zoo.rows("SELECT * FROM animal_foods")) == 1


async def test_the_end_of_a_block_restores_it_too(zoo: Database) -> None:
    async with zoo.session() as s:
        keeper, animal, cage, meat = await load(s)
        with suppress(KeyError):
            async with s.transaction():
                await s.delete(keeper)
                await s.flush()
                with suppress(ZeroDivisionError):
                    async with s.transaction():
                        await spoil(s, keeper, animal, meat)
                        raise ZeroDivisionError
                raise KeyError
        await check(s, keeper, animal, cage)


async def test_an_object_that_was_added_again_goes_back_to_what_it_was(zoo: Database) -> None:
    async with zoo.session() as s:
        keeper, animal, cage, _meat = await load(s)
        await s.delete(animal)
        await s.flush()
        animal.name = "again"
        await s.add(animal)
        await s.flush()
        animal.facts["n"] = []
        await s.flush()
        await s.rollback()
        await check(s, keeper, animal, cage)
