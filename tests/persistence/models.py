"""The models of the persistence tests: every kind of relation and of key."""

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


class Author(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=50)
    email: Field[Optional[str]] = field(unique=True, default=None)
    books: OneToMany[Book] = one_to_many()


class Tag(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=50)


class Book(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str] = field(max_length=50)
    rating: Field[int] = field(default=0)
    meta: Field[dict[str, Any]] = field(default_factory=dict)
    labels: Field[Optional[list[str]]] = field(default=None)
    author: ForeignKey[Optional[Author]] = foreign_key(related_name="books", on_delete="SET NULL")
    editor: ForeignKey[Optional[Author]] = foreign_key(related_name="edited", on_delete="SET NULL")
    author_id: Field[Optional[int]] = key_column()
    tags: ManyToMany[Tag] = many_to_many(related_name="books")
    awards: ManyToMany[Award] = many_to_many()

    class Meta:
        constraints = [Check("rating >= 0"), Unique("title", "author")]


class Award(Model):
    name: Field[str]


class Chapter(Model):
    id: Field[int] = field(primary_key=True)
    heading: Field[str] = field(max_length=50)
    book: ForeignKey[Book] = foreign_key(related_name="chapters", on_delete="CASCADE")


class Profile(Model):
    id: Field[int] = field(primary_key=True)
    text: Field[str] = field(default="")
    author: OneToOne[Optional[Author]] = one_to_one(related_name="profile", on_delete="CASCADE")


class Node(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    parent: ForeignKey[Optional[Node]] = foreign_key(related_name="children", on_delete="RESTRICT")
    friends: ManyToMany[Node] = many_to_many(related_name="friend_of")


class Country(Model):
    code: Field[str] = field(primary_key=True, max_length=2)
    capital: ForeignKey[Optional[City]] = foreign_key(related_name="capital_of", on_delete="NO ACTION")


class City(Model):
    name: Field[str] = field(primary_key=True)
    country: ForeignKey[Country] = foreign_key(related_name="cities", on_delete="NO ACTION")


class Room(Model):
    """A composite key, referred to by a composite foreign key."""

    house: Field[str] = field(primary_key=True)
    number: Field[int] = field(primary_key=True, init=True)
    name: Field[str] = field(default="")


class Desk(Model):
    id: Field[int] = field(primary_key=True)
    label: Field[str]
    room: ForeignKey[Optional[Room]] = foreign_key(related_name="desks", on_delete="CASCADE")


class Student(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    courses: ManyToMany[Course] = many_to_many(related_name="students", through="Enrolment")


class Course(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]


class Enrolment(Model):
    student: ForeignKey[Student] = foreign_key(related_name="enrolments", primary_key=True)
    course: ForeignKey[Course] = foreign_key(related_name="enrolments", primary_key=True)
    grade: Field[Optional[int]] = field(default=None)


class Account(Model):
    """An optimistic lock, a server default, a value set at every update."""

    id: Field[int] = field(primary_key=True)
    owner: Field[str] = field(unique=True)
    balance: Field[int] = field(default=0)
    state: Field[str] = field(server_default="'open'")
    changes: Field[int] = field(default=0, on_update=lambda: 99)
    version: Field[int] = field(version=True, default=1)


class Setting(Model):
    """A natural key and a server default."""

    name: Field[str] = field(primary_key=True)
    value: Field[str] = field(server_default="'unset'")


class Document(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str]
    text: Field[str] = field(deferred=True, default="")


class Draft(Model):
    """A nullable column with a server default."""

    id: Field[int] = field(primary_key=True)
    note: Field[Optional[str]] = field(server_default="'none yet'")
    title: Field[str] = field(default="")


MODELS: list[type[Any]] = [
    Author, Tag, Award, Book, Chapter, Profile, Node, Country, City, Room, Desk, Student, Course, Enrolment,
    Account, Setting, Document, Draft,
]  # fmt: skip
