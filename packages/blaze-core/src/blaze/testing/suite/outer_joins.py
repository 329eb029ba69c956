"""Outer joins: what has no partner is there once, with None; also with classes of hierarchies and paths."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import QueryError, Select, func
from blaze.testing.suite.harness import Database, Twin, done, scenario
from blaze.testing.suite.models import Animal, Boat, Car, Cat, Dog, Label, Person, Post, Puppy, Taxi

__all__ = [
    "test_full_joins_over_join_tables_take_no_condition",
    "test_objects_that_a_join_lets_be_missing_are_refused",
    "test_outer_joins",
    "test_outer_joins_give_objects_of_the_class",
    "test_rows_of_outer_joins_are_locked",
]


async def _fill(s: Twin) -> None:
    red, others = Label(name="red"), [Label(name="blue"), Label(name="green")]
    ann, ben = Person(name="ann"), Person(name="ben")
    await s.add_all(
        [
            ann, ben, Person(name="cat"),
            Animal(name="ben"), Dog(name="ann", keeper=ann), Cat(name="cat", keeper=ben), Puppy(name="stray"),
            Car(name="ann", doors=3), Boat(name="ben"), Taxi(name="zoe", doors=4),
            Post(title="one", author=ann, editor=ben, labels=[red, *others]),
            Post(title="two", author=ann, labels=others),
        ]
    )  # fmt: skip
    await s.flush()


_ALL = [("ann", None), ("ben", None), ("cat", None)]

# The capability that a query needs, the query, its rows.
JOINS: dict[str, tuple[str, Any, list[Any]]] = {
    "left, no joined class": (
        "",
        lambda s: s.query(Person.name, Car.doors).left_join(
            Car, on=(Car.name == Person.name) & (Car.doors == 9)
        ),
        _ALL,
    ),
    "left, joined class": (
        "",
        lambda s: s.query(Person.name, Car.doors).left_join(
            Car, on=(Car.name == Person.name) & (Car.doors == 3)
        ),
        [("ann", 3), ("ben", None), ("cat", None)],
    ),
    "left, joined class of three tables": (
        "",
        lambda s: s.query(Person.name, Taxi.doors, Taxi.sign).left_join(
            Taxi, on=(Taxi.doors > Person.id * 0) & (Taxi.sign == "TAXI") & (Person.name == "ben")
        ),
        [("ann", None, None), ("ben", 4, "TAXI"), ("cat", None, None)],
    ),
    "left, class of one table": (
        "",
        lambda s: s.query(Person.name, Dog.bark).left_join(Dog, on=Dog.name == Person.name),
        [("ann", "woof"), ("ben", None), ("cat", None)],
    ),
    "left from a joined class": (
        "",
        lambda s: s.query(Car.doors, Person.name).left_join(Person, on=Car.name == Person.name),
        [(3, "ann"), (4, None)],
    ),
    "left, a path in the condition": (
        "",
        lambda s: s.query(Person.name, Post.title).left_join(
            Post, on=(Post.author_id == Person.id) & (Post.editor.name == "ben")
        ),
        [("ann", "one"), ("ben", None), ("cat", None)],
    ),
    "left, a condition on a many-to-many relation": (
        "",
        lambda s: s.query(Post.title, Label.name).left_join(Post.labels, on=Post.labels.name == "red"),
        [("one", "red"), ("two", None)],
    ),
    "right, a condition on a many-to-many relation": (
        "right_join",
        lambda s: s.query(Post.title, Label.name).right_join(Post.labels, on=Post.labels.name == "red"),
        [("one", "red"), (None, "blue"), (None, "green")],
    ),
    "right, a condition on this side of a many-to-many relation": (
        "right_join",
        lambda s: s.query(Post.title, Label.name).right_join(Post.labels, on=Post.title == "two"),
        [("two", "blue"), ("two", "green"), (None, "red")],
    ),
    "full, a many-to-many relation": (
        "full_join",
        lambda s: s.query(Post.title, Label.name).full_join(Post.labels),
        [("one", "red"), ("one", "blue"), ("one", "green"), ("two", "blue"), ("two", "green")],
    ),
    "left and right, a condition on a many-to-many relation": (
        "right_join",
        lambda s: (
            s.query(Post.title, Label.name)
            .left_join(Post.labels, on=Post.labels.name == "red")
            .union(Select(Post.title, Label.name).right_join(Post.labels, on=Post.labels.name == "red"))
        ),
        [("one", "red"), ("two", None), (None, "blue"), (None, "green")],
    ),
    "inner, joined class": (
        "",
        lambda s: s.query(Person.name, Car.doors).join(Car, on=(Car.name == Person.name) & (Car.doors < 9)),
        [("ann", 3)],
    ),
    "right of a joined class": (
        "right_join",
        lambda s: s.query(Car.doors, Person.name).right_join(Person, on=Car.name == Person.name),
        [(3, "ann"), (None, "ben"), (None, "cat")],
    ),
    "right, joined class": (
        "right_join",
        lambda s: s.query(Person.name, Car.doors).right_join(
            Car, on=(Car.name == Person.name) & (Car.doors < 9)
        ),
        [("ann", 3), (None, 4)],
    ),
    "right of a class of one table": (
        "right_join",
        lambda s: s.query(Dog.bark, Person.name).right_join(Dog.keeper),
        [("woof", "ann"), (None, "ben"), (None, "cat")],
    ),
    "right, class of one table": (
        "right_join",
        lambda s: s.query(Person.name, Dog.name.label("dog")).right_join(Dog, on=Dog.keeper_id == Person.id),
        [("ann", "ann"), (None, "stray")],
    ),
    "right, then a path of the root": (
        "right_join",
        lambda s: s.query(Post.title, Post.author.name, Person.name).right_join(
            Person, on=Post.editor_id == Person.id
        ),
        [("one", "ann", "ben"), (None, None, "ann"), (None, None, "cat")],
    ),
    "right, then a path of what was joined": (
        "right_join",
        lambda s: (
            s.query(Person.name, Dog.keeper.name, Label.name)
            .left_join(Dog, on=Dog.name == Person.name)
            .right_join(Label, on=Label.id == Person.id + 1_000_000)
        ),
        [(None, None, "red"), (None, None, "blue"), (None, None, "green")],
    ),
    "full with a joined class": (
        "full_join",
        lambda s: s.query(Person.name, Car.doors).full_join(Car, on=Car.name == Person.name),
        [("ann", 3), ("ben", None), ("cat", None), (None, 4)],
    ),
    "full of a joined class": (
        "full_join",
        lambda s: s.query(Car.doors, Person.name).full_join(Person, on=Car.name == Person.name),
        [(3, "ann"), (4, None), (None, "ben"), (None, "cat")],
    ),
    "full with a class of one table": (
        "full_join",
        lambda s: s.query(Person.name, Dog.name.label("dog")).full_join(Dog, on=Dog.name == Person.name),
        [("ann", "ann"), ("ben", None), ("cat", None), (None, "stray")],
    ),
}


@pytest.mark.parametrize("name", JOINS)
@scenario
async def test_outer_joins(db: Database, name: str) -> None:
    feature, query, expected = JOINS[name]
    if feature:
        db.needs(feature)
    async with db.session() as s:
        await _fill(s)
        rows = [tuple(row) for row in await done(query(s).all())]
        assert sorted(rows, key=str) == sorted(expected, key=str)
        assert await done(query(s).count()) == len(expected)


@scenario
async def test_outer_joins_give_objects_of_the_class(db: Database) -> None:
    async with db.session() as s:
        await _fill(s)
        cars = s.query(Person, Car).left_join(Car, on=Car.name == Person.name).order_by(Person.name)
        found = [
            (person.name, car and (isinstance(car, Car), car.doors)) for person, car in await done(cars.all())
        ]
        assert found == [("ann", (True, 3)), ("ben", None), ("cat", None)]
        db.needs("full_join")
        dogs = s.query(Person, Dog).full_join(Dog, on=Dog.keeper_id == Person.id)
        pairs = [
            (person and person.name, dog and (isinstance(dog, Puppy), dog.name))
            for person, dog in await done(dogs.all())
        ]
        assert sorted(pairs, key=str) == [
            ("ann", (False, "ann")), ("ben", None), ("cat", None), (None, (True, "stray")),
        ]  # fmt: skip
        taxis = s.query(Person.name, Taxi).full_join(Taxi, on=Taxi.name == Person.name)
        ends = [(name, taxi and (taxi.doors, taxi.sign)) for name, taxi in await done(taxis.all())]
        assert sorted(ends, key=str) == [("ann", None), ("ben", None), ("cat", None), (None, (4, "TAXI"))]


@scenario
async def test_objects_that_a_join_lets_be_missing_are_refused(db: Database) -> None:
    async with db.session() as s:
        await _fill(s)
        for kind in ("right_join", "full_join"):
            query = getattr(s.query(Post), kind)(Post.author)
            for run in (query.all, query.first, query.count, query.exists, query.include("labels").all):
                with pytest.raises(QueryError, match=rf"{kind}.*query\(Post"):
                    await done(run())
        with pytest.raises(QueryError, match="right_join"):
            await done(s.query(Person).where(Person.id.in_(Select(Post).right_join(Post.author))).all())
        db.needs("right_join")
        rows = await done(s.query(Post, Person).right_join(Person, on=Post.author_id == Person.id).all())
        assert sorted([(post and post.title, person.name) for post, person in rows], key=str) == [
            ("one", "ann"), ("two", "ann"), (None, "ben"), (None, "cat"),
        ]  # fmt: skip
        counted = s.query(func.count(Post.id), Person.name).right_join(Person, on=Post.author_id == Person.id)
        assert sorted(await done(counted.group_by(Person.name).all())) == [(0, "ben"), (0, "cat"), (2, "ann")]


@scenario
async def test_full_joins_over_join_tables_take_no_condition(db: Database) -> None:
    db.needs("full_join")
    async with db.session() as s:
        query = s.query(Post.title, Label.name).full_join(Post.labels, on=Post.labels.name == "red")
        for run in (query.all, query.count):
            with pytest.raises(QueryError, match=r"union.. of the left_join.. and the right_join"):
                await done(run())


@scenario
async def test_rows_of_outer_joins_are_locked(db: Database) -> None:
    db.needs("for_update")
    db.needs("right_join")
    async with db.session() as s:
        await _fill(s)
        for target in (Dog, Car):
            query = s.query(Person.name, target.name.label("own"))
            joined = query.right_join(target, on=target.name == Person.name).for_update()
            assert sorted(await done(joined.scalars()), key=str) == [None, "ann"]
