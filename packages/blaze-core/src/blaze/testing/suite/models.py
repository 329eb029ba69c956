"""The models to which the cases write: every kind of relation, key and hierarchy."""

from __future__ import annotations

from typing import Any, Optional

from blaze import (
    Check,
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    OneToMany,
    OneToOne,
    Unique,
    field,
    foreign_key,
    key_column,
    many_to_many,
    one_to_many,
    one_to_one,
)


class Person(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=50)
    email: Field[Optional[str]] = field(unique=True, default=None, max_length=100)
    posts: OneToMany[Post] = one_to_many()

    class Meta:
        table = "suite_person"


class Label(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=50, unique=True)

    class Meta:
        table = "suite_label"


class Post(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str] = field(max_length=50)
    rating: Field[int] = field(default=0)
    meta: Field[dict[str, Any]] = field(default_factory=dict)
    words: Field[Optional[list[str]]] = field(default=None)
    author: ForeignKey[Optional[Person]] = foreign_key(related_name="posts", on_delete="SET NULL")
    editor: ForeignKey[Optional[Person]] = foreign_key(related_name="edited", on_delete="SET NULL")
    author_id: Field[Optional[int]] = key_column()
    labels: ManyToMany[Label] = many_to_many(related_name="posts")

    class Meta:
        table = "suite_post"
        constraints = [Unique("title", "author")]


class Rating(Model):
    """A table for databases that check conditions."""

    id: Field[int] = field(primary_key=True)
    stars: Field[int] = field(default=0)

    class Meta:
        table = "suite_rating"
        constraints = [Check("stars >= 0")]


class Comment(Model):
    id: Field[int] = field(primary_key=True)
    text: Field[str] = field(max_length=50)
    post: ForeignKey[Post] = foreign_key(related_name="comments", on_delete="CASCADE")

    class Meta:
        table = "suite_comment"


class Passport(Model):
    id: Field[int] = field(primary_key=True)
    text: Field[str] = field(default="")
    owner: OneToOne[Optional[Person]] = one_to_one(related_name="passport", on_delete="CASCADE")

    class Meta:
        table = "suite_passport"


class Node(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    parent: ForeignKey[Optional[Node]] = foreign_key(related_name="children", on_delete="RESTRICT")
    friends: ManyToMany[Node] = many_to_many(related_name="friend_of")

    class Meta:
        table = "suite_node"


class Country(Model):
    code: Field[str] = field(primary_key=True, max_length=2)
    capital: ForeignKey[Optional[City]] = foreign_key(related_name="capital_of", on_delete="NO ACTION")

    class Meta:
        table = "suite_country"


class City(Model):
    name: Field[str] = field(primary_key=True, max_length=40)
    country: ForeignKey[Country] = foreign_key(related_name="cities", on_delete="NO ACTION")

    class Meta:
        table = "suite_city"


class Room(Model):
    """A composite key, referred to by a composite foreign key."""

    house: Field[str] = field(primary_key=True, max_length=20)
    number: Field[int] = field(primary_key=True, init=True)
    name: Field[str] = field(default="")

    class Meta:
        table = "suite_room"


class Desk(Model):
    id: Field[int] = field(primary_key=True)
    label: Field[str]
    room: ForeignKey[Optional[Room]] = foreign_key(related_name="desks", on_delete="CASCADE")

    class Meta:
        table = "suite_desk"


class Student(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    courses: ManyToMany[Course] = many_to_many(related_name="students", through="Enrolment")

    class Meta:
        table = "suite_student"


class Course(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]

    class Meta:
        table = "suite_course"


class Enrolment(Model):
    student: ForeignKey[Student] = foreign_key(related_name="enrolments", primary_key=True)
    course: ForeignKey[Course] = foreign_key(related_name="enrolments", primary_key=True)
    grade: Field[Optional[int]] = field(default=None)

    class Meta:
        table = "suite_enrolment"


class Account(Model):
    """An optimistic lock, a server default, a value set at every update."""

    id: Field[int] = field(primary_key=True)
    owner: Field[str] = field(unique=True, max_length=50)
    balance: Field[int] = field(default=0)
    state: Field[str] = field(server_default="'open'", max_length=20)
    changes: Field[int] = field(default=0, on_update=lambda: 99)
    version: Field[int] = field(version=True, default=1)

    class Meta:
        table = "suite_account"


class Setting(Model):
    """A natural key and a server default."""

    name: Field[str] = field(primary_key=True, max_length=50)
    value: Field[str] = field(server_default="'unset'", max_length=50)

    class Meta:
        table = "suite_setting"


class Seat(Model):
    """Three unique keys."""

    number: Field[int] = field(primary_key=True, init=True)
    name: Field[str] = field(max_length=50, unique=True)
    row: Field[Optional[int]] = field(default=None)
    place: Field[Optional[int]] = field(default=None)
    note: Field[str] = field(max_length=50, default="")

    class Meta:
        table = "suite_seat"
        constraints = [Unique("row", "place")]


class Ticket(Model):
    """Nothing but a number."""

    id: Field[int] = field(primary_key=True)

    class Meta:
        table = "suite_ticket"


class Document(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str]
    text: Field[str] = field(deferred=True, default="")

    class Meta:
        table = "suite_document"


class Share(Model):
    """Names with percent signs, which are placeholders to some drivers."""

    id: Field[int] = field(primary_key=True)
    part: Field[int] = field(column="part in %", default=0)
    labels: ManyToMany[Label] = many_to_many(related_name="shares", through="suite_%s_label")

    class Meta:
        table = "suite_share_%s"


class Animal(Model):
    """The root of a hierarchy in one table."""

    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=50)
    keeper: ForeignKey[Optional[Person]] = foreign_key(related_name="pets", on_delete="SET NULL")

    class Meta:
        table = "suite_animal"
        discriminator = "kind"


class Dog(Animal):
    bark: Field[str] = field(default="woof")


class Puppy(Dog):
    weeks: Field[int] = field(default=8)


class Cat(Animal):
    lives: Field[int] = field(default=9)


class Vehicle(Model):
    """The root of a hierarchy whose members have tables of their own."""

    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=50)
    version: Field[int] = field(version=True, init=False, default=1)

    class Meta:
        table = "suite_vehicle"
        discriminator = "kind"


class Car(Vehicle):
    doors: Field[int] = field(default=5)

    class Meta:
        table = "suite_car"
        joined = True


class Taxi(Car):
    sign: Field[str] = field(default="TAXI")

    class Meta:
        table = "suite_taxi"
        joined = True


class Boat(Vehicle):
    length: Field[int] = field(default=10)

    class Meta:
        table = "suite_boat"
        joined = True


MODELS: list[type[Any]] = [
    Person, Label, Post, Comment, Passport, Node, City, Country, Room, Desk, Student, Course, Enrolment,
    Account, Setting, Seat, Ticket, Document, Share, Animal, Dog, Puppy, Cat, Vehicle, Car, Taxi, Boat,
    Rating,
]  # fmt: skip
# The models whose tables need a capability.
NEEDY = {Rating: "check_constraints"}
CIRCLES = [
    ("suite_country", "capital_id"),
    ("suite_node", "parent_id"),
    ("suite_library_author", "mentor_id"),
]
