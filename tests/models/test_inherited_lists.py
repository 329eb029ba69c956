"""To-many relations of a hierarchy: counts, parts, and queries of lists, in one table and in joined ones."""

from __future__ import annotations

from typing import Any

from tests.models.conftest import Zoo
from tests.models.test_inheritance import filled
from tests.persistence.twins import names, settled


async def test_lists_of_a_hierarchy_count_their_objects(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        people = await s.all(m.Person)
        before = s.statements
        assert [await settled(p.pets.count()) for p in people] == [2]
        assert s.statements - before == 1
        cats = await s.all(m.Cat)
        assert [await settled(c.dog_friends.count()) for c in cats] == [1]
        assert [await settled(c.dog_friends.exists()) for c in cats] == [True]
        animals = await s.all(m.Animal)
        before = s.statements
        assert sorted([await settled(a.tags.count()) for a in animals]) == [0, 0, 0, 1]
        assert sorted([await settled(a.tags.exists()) for a in animals]) == [False, False, False, True]
        assert s.statements - before <= 2


async def test_existence_is_asked_once_for_all_classes(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        animals = await s.all(m.Animal)
        before = s.statements
        assert sorted([await settled(a.tags.exists()) for a in animals]) == [False, False, False, True]
        assert s.statements - before == 1
        cat = next(a for a in animals if a.name == "tom")
        assert await settled(cat.dog_friends.exists())


async def test_parts_and_queries_of_lists(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:

        def query(session: Any) -> Any:
            pets = m.Person.pets.order_by(m.Animal.name.desc())
            return session.query(m.Person).include(first=pets.limit(1), all_pets=pets).all()

        (ann,) = await s.do(query)
        assert [pet.name for pet in ann.first] == ["tom"]
        assert type(ann.first[0]).__name__ == "Cat"
        assert [pet.name for pet in ann.all_pets] == ["tom", "rex"]
        assert names(await settled(ann.pets.where(m.Animal.name == "rex").all())) == ["rex"]
        friends = m.Cat.dog_friends.where(m.Dog.bark == "woof").limit(5)
        (tom,) = await s.do(lambda session: session.query(m.Cat).include(loud=friends).all())
        assert names(tom.loud) == ["rex"]


async def test_many_loaded_objects_follow_updates_and_deletes(z: Zoo) -> None:
    m = await filled(z)
    await z.db.save(*[m.Cat(name=f"c{n}", lives=n, code=f"c{n}") for n in range(40)])
    async with z.session() as s:
        cats = await s.all(m.Cat)
        assert await s.do(lambda x: x.query(m.Cat).where(m.Cat.lives == 3).update(lives=300)) == 1
        assert [c.name for c in cats if c.lives == 300] == ["c3"]
        gone = next(c for c in cats if c.name == "c5")
        key = gone.id
        assert await s.do(lambda x: x.query(m.Animal).where(m.Animal.name == "c5").delete()) == 1
        assert await s.get(m.Cat, key) is None
        assert await s.get(m.Animal, key) is None
