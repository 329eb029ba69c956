"""Reading objects of a hierarchy: the same behaviour in one table and in joined ones."""

from __future__ import annotations

import copy

import pytest

from blaze import Select, func
from blaze.errors import (
    ModelError,
    NotLoadedError,
    QueryError,
    UnknownFieldError,
)
from tests.models.conftest import Zoo, filled, named
from tests.persistence.twins import names

pytestmark = pytest.mark.requirement("R48", "R51")


async def test_a_query_for_the_base_gives_objects_of_their_classes(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        found = await s.all(m.Animal)
        assert {o.name: type(o).__name__ for o in found} == {
            "rex": "Dog", "tom": "Cat", "pip": "Puppy", "amoeba": "Animal",
        }  # fmt: skip
        assert s.statements == 1
        rex = next(o for o in found if o.name == "rex")
        assert (rex.__class__, rex.speak(), rex.bark, rex.kind, rex.facts) == (
            m.Dog, "woof", "woof", "dog", {"a": [1]},
        )  # fmt: skip
        pip = next(o for o in found if o.name == "pip")
        assert (pip.weeks, pip.kind, pip.speak(), isinstance(pip, m.Dog)) == (5, "pup", "yip", True)
        assert s.statements == 1
        assert names(await s.all(m.Dog)) == ["pip", "rex"]
        assert names(await s.all(m.Puppy)) == ["pip"]
        assert next(iter(await s.all(m.Puppy))) is pip


async def test_get_shares_one_identity_map(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        rex = await named(s, m, "rex")
        assert await s.get(m.Animal, rex.id) is rex
        assert await s.get(m.Dog, rex.id) is rex
        assert await s.get(m.Cat, rex.id) is None
        assert await s.get(m.Puppy, rex.id) is None
    async with z.session() as s:
        assert await s.get(m.Cat, rex.id) is None
        dog = await s.get(m.Dog, rex.id)
        assert dog is await s.get(m.Animal, rex.id)
        assert (type(dog).__name__, dog.bark) == ("Dog", "woof")


async def test_conditions_on_columns_of_base_and_subclass(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        assert names(await s.all(m.Dog, m.Dog.name == "rex", m.Dog.bark == "woof")) == ["rex"]
        assert names(await s.all(m.Dog, m.Animal.name == "rex")) == ["rex"]
        assert names(await s.all(m.Animal, m.Dog.bark == "yip")) == ["pip"]
        assert names(await s.all(m.Animal, (m.Dog.bark == "yip") | (m.Cat.lives == 7))) == ["pip", "tom"]
        assert names(await s.all(m.Animal, m.Animal.kind.in_(["dog", "pup"]))) == ["pip", "rex"]
        assert names(await s.do(lambda x: x.query(m.Dog).filter(name__startswith="r").all())) == ["rex"]
        assert names(await s.do(lambda x: x.query(m.Dog).filter(mother__name="rex").all())) == ["pip"]
        assert names(await s.all(m.Dog, m.Dog.owner.name == "ann")) == ["rex"]
        assert names(await s.all(m.Dog, m.Dog.friend.lives == 7)) == ["rex"]
        assert names(await s.all(m.Cat, m.Cat.dog_friends.bark == "woof")) == ["tom"]
        assert names(await s.all(m.Person, m.Person.pets.kind == "cat")) == ["ann"]
        ordered = await s.do(lambda x: x.query(m.Dog).order_by(m.Dog.bark.desc(), "name").all())
        assert [o.name for o in ordered] == ["pip", "rex"]
        with pytest.raises(UnknownFieldError, match="Cat has no field or relation 'bark'"):
            m.Cat.bark  # noqa: B018


async def test_parts_of_relations_take_columns_of_subclasses(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        pets = m.Person.pets
        parts = {
            "barking": pets.where(m.Dog.bark == "woof"),
            "lively": pets.where(m.Cat.lives == 7, m.Cat.name == "tom"),
            "either": pets.where((m.Dog.bark == "woof") | (m.Cat.lives == 7)).order_by(m.Animal.name),
            "first": pets.order_by(m.Cat.lives.desc()).where(m.Cat.lives > 0).limit(1),
        }
        (ann,) = await s.do(lambda x: x.query(m.Person).include(**parts).all())
        shown = {name: [pet.name for pet in getattr(ann, name)] for name in parts}
        assert shown == {"barking": ["rex"], "lively": ["tom"], "either": ["rex", "tom"], "first": ["tom"]}
        with pytest.raises(
            QueryError, match=r"starts at Animal, as in Animal\.id; person\.name starts elsewhere"
        ):
            pets.where(m.Person.name == "ann")


async def test_every_terminal_method_keeps_to_the_class(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        assert await s.do(lambda x: x.query(m.Animal).count()) == 4
        assert await s.do(lambda x: x.query(m.Dog).count()) == 2
        assert await s.do(lambda x: x.query(m.Dog).where(m.Dog.bark == "yip").count()) == 1
        assert await s.do(lambda x: x.query(m.Dog).where(m.Dog.name == "tom").exists()) is False
        assert await s.do(lambda x: x.query(m.Cat).exists()) is True
        assert (await s.do(lambda x: x.query(m.Cat).first())).name == "tom"
        assert (await s.do(lambda x: x.query(m.Cat).one())).lives == 7
        page = await s.do(lambda x: x.query(m.Dog).order_by(m.Dog.name).paginate(1))
        rest = await s.do(lambda x: x.query(m.Dog).order_by(m.Dog.name).paginate(1, after=page.next))
        assert [o.name for o in [*page.items, *rest.items]] == ["pip", "rex"]
        assert await s.do(lambda x: x.query(m.Dog.name).order_by(m.Dog.name).scalars()) == ["pip", "rex"]
        assert await s.do(lambda x: x.query(m.Dog.bark).order_by("bark").scalars()) == ["woof", "yip"]
        assert await s.do(lambda x: x.query(func.count(m.Dog.id)).scalar()) == 2
        assert await s.do(lambda x: x.query(func.max(m.Cat.lives)).scalar()) == 7
        rows = await s.do(
            lambda x: (
                x.query(m.Animal.kind, func.count(m.Animal.id).label("n"))
                .group_by(m.Animal.kind)
                .order_by("kind")
                .all()
            )
        )
        assert [tuple(row) for row in rows] == [("animal", 1), ("cat", 1), ("dog", 1), ("pup", 1)]
        union = await s.do(lambda x: x.query(m.Dog).where(m.Dog.name == "rex").union(Select(m.Dog)).count())
        assert union == 2
        friends = Select(m.Dog.friend_id).where(m.Dog.bark == "woof")
        assert names(await s.all(m.Cat, m.Cat.id.in_(friends))) == ["tom"]


async def test_streams_give_the_classes(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        found = []
        if s.session.asynchronous:
            async for o in s.session.query(m.Animal).order_by("name").stream(2):
                found.append((o.name, type(o).__name__))
        else:
            found = [(o.name, type(o).__name__) for o in s.session.query(m.Animal).order_by("name").stream(2)]
        assert found == [("amoeba", "Animal"), ("pip", "Puppy"), ("rex", "Dog"), ("tom", "Cat")]


async def test_relations_to_the_base_and_to_a_subclass(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        rex = await named(s, m, "rex")
        await s.add(m.Kennel(dog=rex, guest=await named(s, m, "tom")))
        await s.commit()
    async with z.session() as s:
        (kennel,) = await s.all(m.Kennel)
        guest, dog = await s.read(kennel, "guest"), await s.read(kennel, "dog")
        assert (type(guest).__name__, guest.lives, type(dog).__name__, dog.bark) == ("Cat", 7, "Dog", "woof")
        (ann,) = await s.all(m.Person)
        assert sorted(type(o).__name__ for o in await s.read(ann, "pets")) == ["Cat", "Dog"]
        assert names(await s.read(dog, "children")) == ["pip"]
        assert await s.read(dog, "kennels") == [kennel]
        assert names(await s.read(guest, "dog_friends")) == ["rex"]
    for how in ("include", "prefetch_related", "select_related"):
        async with z.session() as s:
            query = s.session.query(m.Kennel)
            (kennel,) = await s.do(
                lambda x, q=query, h=how: getattr(q, h)(m.Kennel.guest, m.Kennel.dog).all()
            )
            assert (kennel.guest.lives, kennel.dog.bark, kennel.guest.code) == (7, "woof", "t")
            assert s.statements == (1 if how == "select_related" else 3)
    async with z.session() as s:
        (ann,) = await s.do(lambda x: x.query(m.Person).include(m.Person.pets).all())
        assert {o.name: o.speak() for o in ann.pets} == {"rex": "woof", "tom": "..."}
        assert {o.name: o.owner for o in ann.pets} == {"rex": ann, "tom": ann}
        assert s.statements == 2
    async with z.session() as s:
        found = await s.do(lambda x: x.query(m.Animal).include(m.Animal.owner, m.Dog.friend, "tags").all())
        by_name = {o.name: o for o in found}
        assert (by_name["rex"].friend.lives, by_name["tom"].owner.name) == (7, "ann")
        assert [t.name for t in by_name["amoeba"].tags] == ["small"]
        found = await s.do(lambda x: x.query(m.Dog).select_related(m.Animal.owner, m.Dog.friend).all())
        assert {o.name: o.friend and o.friend.lives for o in found} == {"rex": 7, "pip": None}
        with pytest.raises(QueryError, match="does not start at Cat"):
            s.session.query(m.Cat).include(m.Dog.friend)


async def test_one_lazy_load_serves_all_classes_of_a_result(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        found = {o.name: o for o in await s.all(m.Animal)}
        before = s.statements
        if s.session.asynchronous:
            with pytest.raises(NotLoadedError, match="include"):
                found["rex"].owner  # noqa: B018
            await s.load(list(found.values()), m.Animal.owner)
        assert found["rex"].owner is found["tom"].owner
        assert s.statements == before + 1


async def test_many_to_many_of_the_base(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        rex, tom = await named(s, m, "rex"), await named(s, m, "tom")
        tag = m.Tag(name="dear")
        await s.add_m2m(rex, m.Dog.tags, tag)
        await s.add_m2m(tom, "tags", tag)
        await s.commit()
    async with z.session() as s:
        (tag,) = await s.all(m.Tag, m.Tag.name == "dear")
        assert sorted(type(o).__name__ for o in await s.read(tag, "animals")) == ["Cat", "Dog"]
        assert names(await s.all(m.Dog, m.Dog.tags.name == "dear")) == ["rex"]
        await s.delete(await named(s, m, "tom"))
        await s.flush()
        assert names(await s.read(tag, "animals")) == ["rex"]
        await s.rollback()


async def test_an_unknown_discriminator_in_the_database(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        await s.execute("INSERT INTO animal (name, version, kind) VALUES ('eve', 1, 'bird')")
        with pytest.raises(ModelError, match=r"kind='bird'.*'animal', 'dog', 'pup', 'cat'"):
            await s.all(m.Animal)
        assert names(await s.all(m.Dog)) == ["pip", "rex"]


async def test_dictionaries_pickles_copies_and_merge(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        rex = await named(s, m, "rex")
        assert rex.to_dict() == {
            "id": rex.id, "name": "rex", "version": 1, "owner_id": rex.owner_id, "mother_id": None,
            "kind": "dog", "bark": "woof", "facts": {"a": [1]}, "friend_id": rex.friend_id,
        }  # fmt: skip
        assert repr(rex).startswith("Dog(id=")
        other = copy.copy(rex)
        assert (type(other).__name__, other.to_dict()) == ("Dog", rex.to_dict())
    async with z.session() as s:
        other.bark = "merged"
        merged = await s.merge(other)
        assert (type(merged).__name__, merged.bark) == ("Dog", "merged")
        await s.commit()
    async with z.session() as s:
        assert (await named(s, m, "rex")).bark == "merged"


async def test_only_and_defer(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        found = {o.name: o for o in await s.do(lambda x: x.query(m.Animal).only("name").all())}
        rex, tom = found["rex"], found["tom"]
        assert type(rex).__name__ == "Dog"
        assert "bark" not in rex.to_dict()
        if s.session.asynchronous:
            await s.load([rex, tom], m.Animal.version)
            await s.load(rex, m.Dog.bark)
        assert (rex.version, rex.bark, tom.version) == (1, "woof", 1)
        rex.bark = "new"
        await s.flush()
        await s.rollback()
    async with z.session() as s:
        (rex, pip) = await s.do(lambda x: x.query(m.Dog).defer(m.Dog.bark, "facts").order_by(m.Dog.id).all())
        assert {"bark", "facts"}.isdisjoint(rex.to_dict())
        if s.session.asynchronous:
            await s.load([rex, pip], "bark", "facts")
        assert (rex.bark, pip.bark, rex.facts) == ("woof", "yip", {"a": [1]})
    async with z.session() as s:
        found = await s.do(lambda x: x.query(m.Animal).only(m.Animal.name, m.Cat.lives).all())
        tom = next(o for o in found if o.name == "tom")
        assert {"lives", "name"} <= tom.to_dict().keys()
        assert "code" not in tom.to_dict()


async def test_aliases_and_joins_keep_to_the_class(z: Zoo) -> None:
    from blaze import alias

    m = await filled(z)
    async with z.session() as s:
        other = alias(m.Dog, "other")
        rows = await s.do(
            lambda x: (
                x.query(m.Cat.name, other.name, other.bark).join(other, on=other.friend_id == m.Cat.id).all()
            )
        )
        assert [tuple(row) for row in rows] == [("tom", "rex", "woof")]
        rows = await s.do(
            lambda x: (
                x.query(m.Person.name, m.Dog.name, m.Dog.bark)
                .join(m.Dog, on=m.Dog.owner_id == m.Person.id)
                .all()
            )
        )
        assert [tuple(row) for row in rows] == [("ann", "rex", "woof")]
        rows = await s.do(
            lambda x: x.query(m.Person.name, m.Animal).join(m.Person.pets).order_by(m.Animal.name).all()
        )
        assert [(row[0], type(row[1]).__name__) for row in rows] == [("ann", "Dog"), ("ann", "Cat")]
        counted = await s.do(
            lambda x: (
                x.query(m.Person.name, func.count(m.Person.pets.id))
                .group_by(m.Person.id, m.Person.name)
                .all()
            )
        )
        assert [tuple(row) for row in counted] == [("ann", 2)]


async def test_computed_values_on_objects_of_several_classes(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        found = await s.do(lambda x: x.query(m.Animal).annotate(n=func.count(m.Animal.children.id)).all())
        assert {o.name: o.n for o in found} == {"rex": 1, "tom": 0, "pip": 0, "amoeba": 0}
        assert {type(o).__name__ for o in found} == {"Animal", "Cat", "Dog", "Puppy"}
        found[0].name = "changed"
        assert s.session.dirty == [found[0]]


async def test_parts_of_relations_and_counts(z: Zoo) -> None:
    m = await filled(z)
    async with z.session() as s:
        query = s.session.query(m.Cat).include("dog_friends", m.Cat.owner.pets)
        (tom,) = await s.do(lambda x: query.all())
        assert names(tom.dog_friends) == ["rex"]
        assert names(tom.owner.pets) == ["rex", "tom"]
        counted = await s.do(
            lambda x: (
                x.query(m.Cat.name, func.count(m.Cat.dog_friends.id)).group_by(m.Cat.id, m.Cat.name).all()
            )
        )
        assert [tuple(row) for row in counted] == [("tom", 1)]
        joined = await s.do(
            lambda x: x.query(m.Cat.name, m.Dog.bark).join(m.Cat.dog_friends).order_by(m.Dog.bark).all()
        )
        assert [tuple(row) for row in joined] == [("tom", "woof")]
