"""The spellings of "not in" agree with each other and with `!=`; `exclude` keeps what is not such."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import Engine, Field, ForeignKey, Model, Q, Select, Session, create_all, field, foreign_key

pytestmark = pytest.mark.requirement("R41")


class Place(Model):
    id: Field[int] = field(primary_key=True)


class Person(Model):
    id: Field[int] = field(primary_key=True)
    email: Field[Optional[str]] = field(default=None)
    home: ForeignKey[Optional[Place]] = foreign_key(related_name="people", default=None)


@pytest.fixture
def session() -> Any:
    with Engine("sqlite://", pool_size=1, max_overflow=0) as engine:
        create_all(engine, [Place, Person])
        with Session(engine) as s:
            here, there = Place(), Place()
            s.add_all([Person(email="a", home=here), Person(email="b", home=there), Person()])
            s.commit()
            yield s


def ids(query: Any) -> list[int]:
    return sorted(person.id for person in query)


def test_columns(session: Session) -> None:
    people = session.query(Person)
    for given, expected in ((["a"], [2]), (["a", None], [2]), ([], [1, 2, 3]), ([None], [1, 2])):
        assert ids(people.where(Person.email.not_in(given))) == expected
        assert ids(people.where(~Person.email.in_(given))) == expected
    assert ids(people.where(Person.email != "a")) == [2]
    chosen = Select(Person.email).where(Person.id == 1)
    assert (
        ids(people.where(Person.email.not_in(chosen))) == ids(people.where(~Person.email.in_(chosen))) == [2]
    )


def test_relations(session: Session) -> None:
    people, here = session.query(Person), session.get_one(Place, 1)
    for given, expected in (([here], [2]), ([here, None], [2]), ([], [1, 2, 3])):
        assert ids(people.where(Person.home.not_in(given))) == expected
        assert ids(people.where(~Person.home.in_(given))) == expected
    assert ids(people.where(Person.home != here)) == [2]


def test_exclude_keeps_what_is_not_such(session: Session) -> None:
    people = session.query(Person)
    assert ids(people.exclude(email="a")) == [2, 3]
    assert ids(people.exclude(email__in=["a"])) == [2, 3]
    assert ids(people.exclude(email__in=["a", None])) == [2]
    assert ids(people.exclude(home__in=[session.get_one(Place, 1)])) == [2, 3]
    assert ids(people.filter(~Q(email__in=["a"]))) == [2, 3]


def test_exclude_of_a_query_with_null_among_its_rows(session: Session) -> None:
    people, emails = session.query(Person), Select(Person.email).where(Person.id != 2)
    assert ids(people.exclude(email__in=emails)) == [2, 3]
    assert ids(people.exclude(id__in=Select(Person.home_id).where(Person.id != 2))) == [2, 3]
    assert ids(people.filter(~Q(id__in=Select(Person.home_id)))) == [3]
    assert ids(people.filter(id__in=Select(Person.home_id))) == [1, 2]
