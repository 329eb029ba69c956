"""Writing objects of a hierarchy: the same behaviour in one table and in joined ones."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import Delete, Insert, MemoryCache, Update, hooks
from blaze.errors import (
    CapabilityError,
    QueryError,
    StaleDataError,
    UnknownFieldError,
    ValidationError,
)
from tests.models.conftest import Zoo, filled, named
from tests.persistence.twins import names

pytestmark = pytest.mark.requirement("R48", "R51")


async def test_changes_are_tracked_and_written(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        rex = await named(s, m, "rex")
        rex.bark = "WOOF"
        rex.facts["a"].append(2)
        assert s.session.dirty == [rex]
        await s.flush()
        assert rex.version == 2
        rex.name = "max"
        rex.friend = None
        await s.flush()
        assert rex.version == 3
        await s.commit()
    async with z.session() as s:
        rex = await named(s, m, "max")
        assert (rex.bark, rex.facts, rex.friend_id, rex.version) == ("WOOF", {"a": [1, 2]}, None, 3)
        rex.bark, rex.name = "x", "y"
        await s.flush()
        await s.rollback()
        assert (rex.bark, rex.name, rex.version) == ("WOOF", "max", 3)
        rex.bark = "z"
        await s.refresh(rex)
        assert (rex.bark, rex.facts) == ("WOOF", {"a": [1, 2]})


async def test_deleting_and_bringing_back(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        for o in await s.all(m.Dog):
            await s.delete(o)
        await s.flush()
        assert names(await s.all(m.Animal)) == ["amoeba", "tom"]
        await s.rollback()
        assert names(await s.all(m.Dog)) == ["pip", "rex"]
        pip = await named(s, m, "pip")
        await s.delete(pip)
        await s.commit()
        assert await s.get(m.Animal, pip.id) is None
        assert names(await s.all(m.Dog)) == ["rex"]


async def test_the_version_guards_every_class(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        rex = await named(s, m, "rex")
        await s.execute("UPDATE animal SET version = 9 WHERE id = ?", [rex.id])
        rex.bark = "late"
        with pytest.raises(StaleDataError):
            await s.flush()
        await s.rollback()
        await s.execute("UPDATE animal SET version = 9 WHERE id = ?", [rex.id])
        await s.delete(rex)
        with pytest.raises(StaleDataError):
            await s.flush()


async def test_a_flush_has_as_many_statements_for_many_rows(z: Zoo) -> None:
    m = z.models
    counts = []
    for size in (2, 60):
        async with z.session() as s:
            for n in range(size):
                await s.add_all(
                    [m.Dog(name=f"d{n}", bark="b"), m.Cat(name=f"c{n}"), m.Puppy(name="p", bark="y")]
                )
            await s.flush()
            inserted = s.statements
            found = await s.all(m.Animal)
            for o in found:
                o.name += "!"
                if isinstance(o, m.Dog):
                    o.bark += "!"
            before = s.statements
            await s.flush()
            updated = s.statements - before
            for o in found:
                await s.delete(o)
            before = s.statements
            await s.flush()
            counts.append((inserted, updated, s.statements - before))
            assert await s.do(lambda x: x.query(m.Animal).count()) == 0
            await s.rollback()
    assert counts[0] == counts[1]


async def test_rows_of_several_classes_that_refer_to_each_other(z: Zoo) -> None:
    m = z.models
    async with z.session() as s:
        mother = m.Cat(name="mother")
        dog = m.Dog(name="dog", bark="b", mother=mother)
        pup = m.Puppy(name="pup", bark="y", mother=dog, friend=mother)
        await s.add(pup)
        await s.commit()
    async with z.session() as s:
        found = {o.name: o for o in await s.do(lambda x: x.query(m.Animal).include("mother").all())}
        assert found["pup"].mother.mother is found["mother"]
        for o in found.values():
            await s.delete(o)
        await s.commit()
        assert await s.all(m.Animal) == []
    async with z.session() as s:
        one, two = m.Cat(name="one"), m.Dog(name="two", bark="b")
        one.mother, two.mother = two, one  # a circle
        await s.add_all([one, two])
        await s.commit()
        assert (one.mother_id, two.mother_id) == (two.id, one.id)


async def test_failed_flushes_leave_objects_new(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        cat, dog = m.Cat(name="a", code="t"), m.Dog(name="b", bark="x")
        await s.add_all([cat, dog])
        with pytest.raises(Exception, match="code"):
            await s.flush()
        assert (cat.id, dog.id) == (None, None)
        cat.code = "other"
        await s.flush()
        assert cat.id is not None
        await s.rollback()
        assert (cat.id, dog.id) == (None, None)
        await s.add(dog)
        await s.commit()
        assert await s.get(m.Dog, dog.id) is dog


async def test_a_unique_value_passes_from_a_deleted_object_to_a_new_one(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        await s.delete(await named(s, m, "tom"))
        await s.add(m.Cat(name="next", code="t"))
        await s.commit()
        assert [o.name for o in await s.all(m.Cat)] == ["next"]


async def test_the_discriminator_is_fixed(z: Zoo) -> None:
    m = await filled(z)
    assert (m.Dog(name="a", bark="b").kind, m.Animal(name="a").kind) == ("dog", "animal")
    assert m.Dog(name="a", bark="b", kind="dog").kind == "dog"
    with pytest.raises(ValidationError, match="always 'dog' for a Dog"):
        m.Dog(name="a", bark="b", kind="cat")
    async with z.session() as s:
        rex = await named(s, m, "rex")
        with pytest.raises(ValidationError, match="always 'dog'"):
            rex.kind = "cat"
        with pytest.raises(QueryError, match="cannot be set"):
            await s.do(lambda x: x.query(m.Animal).update(kind="cat"))
        with pytest.raises(QueryError, match="leaves out 'kind'"):
            await s.exec(Insert(m.Cat).values(name="x", kind="dog"))


async def test_values_are_demanded_and_checked_by_class(z: Zoo) -> None:
    m = z.models
    async with z.session() as s:
        for wrong, match in ((m.Dog(name="x"), "bark"), (m.Cat(name="x" * 51), "name")):
            await s.add(wrong)
            with pytest.raises(ValidationError, match=match):
                await s.flush()
            s.session.expunge(wrong)
        with pytest.raises(UnknownFieldError, match="bark"):
            m.Cat(name="x", bark="woof")


async def test_hooks_for_the_base_fire_for_subclasses(z: Zoo) -> None:
    m = await filled(z)
    seen: list[str] = []
    handles = [
        hooks.register("before_save", lambda instance: seen.append(f"save {instance.name}"), model=m.Animal),
        hooks.register("on_load", lambda instance: seen.append(f"load {instance.name}"), model=m.Cat),
    ]
    try:
        async with z.session() as s:
            await s.all(m.Animal)
            await s.add(m.Puppy(name="new", bark="b"))
            await s.flush()
    finally:
        for handle in handles:
            handle.remove()
    assert seen == ["load tom", "save new"]


async def test_bulk_operations(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        given = [m.Dog(name="d", bark="b"), m.Cat(name="c"), m.Dog(name="e", bark="b"), m.Animal(name="x")]
        result = await s.bulk_insert(given, return_keys=True)
        assert result.keys == [o.id for o in given]
        assert names(await s.all(m.Dog)) == ["d", "e", "pip", "rex"]
        dogs = await s.all(m.Dog)
        for o in dogs:
            o.name += "!"
            o.bark = "B"
        assert await s.bulk_update(dogs, ["name", "bark"]) == 4
        assert s.session.dirty == []
        assert names(await s.all(m.Dog, m.Dog.bark == "B")) == ["d!", "e!", "pip!", "rex!"]
        cat = (await s.all(m.Cat, m.Cat.name == "c"))[0]
        assert await s.bulk_delete(m.Dog, [cat.id, given[2].id]) == 1
        assert await s.get(m.Cat, cat.id) is cat
        assert await s.bulk_delete(m.Animal, [cat.id]) == 1
        assert await s.get(m.Cat, cat.id) is None


async def test_updates_and_deletes_of_a_query(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        found = {o.name: o for o in await s.all(m.Animal)}
        assert await s.do(lambda x: x.query(m.Dog).all_rows().update(name="dog")) == 2
        assert (found["rex"].name, found["pip"].name, found["tom"].name) == ("dog", "dog", "tom")
        assert await s.do(lambda x: x.query(m.Dog).where(m.Dog.bark == "yip").update(bark="YIP")) == 1
        assert found["pip"].bark == "YIP"
        both = m.Dog.bark == "YIP"
        if z.joined:
            with pytest.raises(CapabilityError, match="dog and animal"):
                await s.do(lambda x: x.query(m.Dog).where(both).update(bark="x", name="y"))
            assert await s.do(lambda x: x.query(m.Dog).where(both).update(name="y")) == 1
            assert await s.do(lambda x: x.query(m.Dog).where(both).update(bark="x")) == 1
        else:
            assert await s.do(lambda x: x.query(m.Dog).where(both).update(bark="x", name="y")) == 1
        assert (found["pip"].bark, found["pip"].name) == ("x", "y")
        assert (await s.exec(Update(m.Cat).set(lives=1).where(m.Cat.name == "tom"))).rowcount == 1
        assert found["tom"].lives == 1
        assert (await s.exec(Update(m.Dog).set(name="tom").all_rows())).rowcount == 2
        assert await s.do(lambda x: x.query(m.Puppy).where(m.Puppy.bark == "x").delete()) == 1
        assert (await s.exec(Delete(m.Dog).where(m.Dog.name == "amoeba"))).rowcount == 0
        assert await s.do(lambda x: x.query(m.Dog).all_rows().delete()) == 1
        assert names(await s.all(m.Animal)) == ["amoeba", "tom"]
        assert await s.do(lambda x: x.query(m.Animal).all_rows().delete()) == 2


async def test_insert_statements(z: Zoo) -> None:
    m = z.models
    async with z.session() as s:
        several = Insert(m.Cat).values([{"name": "a"}, {"name": "b", "lives": 3}])
        if z.joined:
            with pytest.raises(CapabilityError, match=r"a Cat stands in animal, cat: use add_all\(\)"):
                await s.exec(several)
            await s.add_all([m.Cat(name="a"), m.Cat(name="b", lives=3)])
        else:
            await s.exec(several)
        await s.exec(Insert(m.Animal).values(name="c"))
        assert {o.name: type(o).__name__ for o in await s.all(m.Animal)} == {
            "a": "Cat",
            "b": "Cat",
            "c": "Animal",
        }
        assert sorted(o.lives for o in await s.all(m.Cat)) == [3, 9]


async def test_moving_between_parents_keeps_lists_in_step(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        (ann,) = await s.do(lambda x: x.query(m.Person).include("pets").all())
        bob = m.Person(name="bob")
        await s.add(bob)
        rex = next(o for o in ann.pets if o.name == "rex")
        bob.pets.add(rex)
        assert names(ann.pets) == ["tom"]
        await s.flush()
        assert names(await s.all(m.Dog, m.Dog.owner == bob)) == ["rex"]
        await s.delete(rex)
        await s.flush()
        assert list(bob.pets) == []
        await s.rollback()
        assert names(ann.pets) == ["rex", "tom"]


async def test_pending_objects_of_a_subclass_come_with_a_list(z: Zoo) -> None:
    m = z.models
    async with z.session() as s:
        await s.add(m.Person(name="p", pets=[m.Dog(name="d", bark="b"), m.Cat(name="c")]))
        await s.commit()
        assert await s.do(lambda x: x.query(m.Animal).where(m.Animal.owner.name == "p").count()) == 2


async def test_expressions_in_updates_of_a_subclass(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        (pip,) = await s.all(m.Puppy)
        assert (
            await s.do(
                lambda x: x.query(m.Puppy).where(m.Puppy.bark == "yip").update(weeks=m.Puppy.weeks + 1)
            )
            == 1
        )
        assert pip.weeks == 6
        statement = Update(m.Cat).set(lives=m.Cat.lives * 2).where(m.Cat.owner.name == "ann", m.Cat.lives > 1)
        assert (await s.exec(statement)).rowcount == 1
        assert (await s.all(m.Cat))[0].lives == 14


async def test_the_database_takes_related_rows_with_it(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        rex, tom = await named(s, m, "rex"), await named(s, m, "tom")
        kennel = m.Kennel(dog=rex)
        await s.add(kennel)
        await s.commit()
        await s.delete(tom)
        await s.flush()
        assert rex.friend_id is None
        await s.delete(rex)
        await s.flush()
        assert await s.all(m.Kennel) == []
        assert (await named(s, m, "pip")).mother_id is None
        await s.rollback()
        assert (rex.friend_id, (await s.all(m.Kennel))) == (tom.id, [kennel])
        assert await s.do(lambda x: x.query(m.Animal).where(m.Dog.bark == "woof").delete()) == 1
        assert await s.all(m.Kennel) == []


async def test_some_columns_of_a_subclass_are_refreshed(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        (pip,) = await s.all(m.Puppy)
        pip.weeks, pip.bark, pip.name = 99, "kept", "kept too"
        await s.refresh(pip, m.Puppy.weeks)
        assert (pip.weeks, pip.bark, pip.name) == (5, "kept", "kept too")


async def test_the_cache_knows_the_classes(z: Zoo) -> None:
    m = await filled(z)
    cache = MemoryCache()
    async with z.session() as s:
        key = (await named(s, m, "rex")).id

    async def seen(model: Any) -> Any:
        async with z.db.session(cache_backend=cache) as s:
            found = await s.get(model, key)
            return found and (type(found).__name__, found.name, found.bark)

    for _ in range(2):
        assert await seen(m.Animal) == ("Dog", "rex", "woof")
        assert await seen(m.Dog) == ("Dog", "rex", "woof")
        assert await seen(m.Cat) is None
    async with z.db.session(cache_backend=cache) as s:
        (await s.get(m.Dog, key)).bark = "new"
        await s.commit()
    assert await seen(m.Animal) == ("Dog", "rex", "new")
    async with z.db.session(cache_backend=cache) as s:
        table = "dog" if z.joined else "animal"
        await s.execute(f"UPDATE {table} SET bark = 'raw' WHERE id = ?", [key])
        await s.commit()
    assert await seen(m.Animal) == ("Dog", "rex", "raw")
    async with z.db.session(cache_backend=cache) as s:
        assert await s.do(lambda x: x.query(m.Dog).where(m.Dog.id == key).update(bark="query")) == 1
        await s.commit()
    assert await seen(m.Dog) == ("Dog", "rex", "query")
