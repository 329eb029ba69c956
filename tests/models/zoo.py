"""A hierarchy of models with relations to and from it, in one table and in joined ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Optional

from blaze import (
    Field,
    ForeignKey,
    Index,
    ManyToMany,
    Model,
    OneToMany,
    Unique,
    field,
    foreign_key,
    many_to_many,
    one_to_many,
)


def zoo(joined: bool) -> Any:
    """Define the models; `joined` gives the subclasses tables of their own."""
    separate = joined

    class Person(Model):
        id: Field[int] = field(primary_key=True)
        name: Field[str]
        pets: OneToMany[Animal] = one_to_many()

    class Tag(Model):
        id: Field[int] = field(primary_key=True)
        name: Field[str]

    class Animal(Model):
        id: Field[int] = field(primary_key=True)
        name: Field[str] = field(max_length=50)
        version: Field[int] = field(version=True, init=False, default=1)
        owner: ForeignKey[Optional[Person]] = foreign_key(related_name="pets")
        mother: ForeignKey[Optional[Animal]] = foreign_key(related_name="children", on_delete="SET NULL")
        tags: ManyToMany[Tag] = many_to_many(related_name="animals")

        class Meta:
            discriminator = "kind"
            indexes = [Index("name")]

        def speak(self) -> str:
            return "..."

    class Dog(Animal):
        bark: Field[str]
        facts: Field[Optional[dict[str, Any]]] = field(default=None)
        friend: ForeignKey[Optional[Cat]] = foreign_key(related_name="dog_friends", on_delete="SET NULL")

        class Meta:
            joined = separate

        def speak(self) -> str:
            return self.bark

    class Puppy(Dog):
        weeks: Field[int] = field(default=8)

        class Meta:
            joined = separate
            discriminator_value = "pup"

    class Cat(Animal):
        lives: Field[int] = field(default=9)
        code: Field[Optional[str]] = field(default=None)

        class Meta:
            joined = separate
            constraints = [Unique("code")]

    class Kennel(Model):
        id: Field[int] = field(primary_key=True)
        dog: ForeignKey[Dog] = foreign_key(related_name="kennels", on_delete="CASCADE")
        guest: ForeignKey[Optional[Animal]] = foreign_key(related_name="visits")

    found = SimpleNamespace(**{k: v for k, v in locals().items() if isinstance(v, type)})
    found.models = [Person, Tag, Animal, Dog, Puppy, Cat, Kennel]
    return found
