"""Models that derive from a concrete model: constructors, columns and results."""

from __future__ import annotations

from typing import Optional

from typing_extensions import assert_type

from blaze import Field, ForeignKey, Model, Session, field, foreign_key


class Person(Model):
    name: Field[str]


class Animal(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    kind: Field[str] = field(init=False)
    owner: ForeignKey[Optional[Person]] = foreign_key(default=None)

    class Meta:
        discriminator = "kind"


class Dog(Animal):
    bark: Field[str]


class Puppy(Dog):
    weeks: Field[int] = field(default=8)

    class Meta(Animal.Meta):
        table = "puppies"


def constructors(person: Person) -> None:
    Animal(name="a")
    Dog(name="a", bark="b", owner=person)
    Puppy(name="a", bark="b", weeks=3)


def queries(session: Session) -> None:
    dogs = session.query(Dog).where(Dog.name == "x", Dog.bark == "y", Animal.kind == "z").all()
    assert_type(dogs, list[Dog])
    assert_type(dogs[0].owner, Optional[Person])
    assert_type(session.query(Animal).where(Dog.bark == "x").include(Dog.owner).all(), list[Animal])
    assert_type(session.get(Puppy, 1), Optional[Puppy])
    assert_type(session.query(Puppy.bark).scalars(), list[str])
