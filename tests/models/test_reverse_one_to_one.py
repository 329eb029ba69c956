"""The declared reverse side of a one-to-one relation."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import Field, ForeignKey, Model, OneToOne, create_all, foreign_key, one_to_one
from blaze.errors import ModelError, NotLoadedError, UnknownOptionError
from tests.persistence.twins import Database, Twin, names

pytestmark = pytest.mark.requirement("R51")


class Person(Model):
    name: Field[str]
    passport: OneToOne[Optional[Passport]] = one_to_one(reverse=True)  # found by its only counterpart
    desk: OneToOne[Optional[Desk]] = one_to_one(reverse=True)


class Passport(Model):
    name: Field[str]
    owner: OneToOne[Person] = one_to_one()


class Desk(Model):
    name: Field[str]
    owner: OneToOne[Optional[Person]] = one_to_one(related_name="desk")
    cleaner: OneToOne[Optional[Person]] = one_to_one(related_name="cleaned_desk")


@pytest.fixture
def db(db: Database) -> Database:
    create_all(db.engine, [Person, Passport, Desk])
    return db


async def test_it_is_read_written_and_queried(db: Database) -> None:
    async with db.session() as s:
        ann, bob = Person(name="ann", passport=Passport(name="p1")), Person(name="bob")
        assert ann.passport is not None
        assert ann.passport.owner is ann
        assert bob.passport is None
        await s.add_all([ann, bob])
        bob.desk = Desk(name="d1")
        await s.commit()
    async with db.session() as s:
        people = await s.do(
            lambda q: q.query(Person).include(Person.passport, Person.desk).order_by(Person.name).all()
        )
        assert [(p.passport and p.passport.name, p.desk and p.desk.name) for p in people] == [
            ("p1", None),
            (None, "d1"),
        ]
        assert names(await s.all(Person, Person.passport.name == "p1")) == ["ann"]
        assert names(await s.all(Person, Person.desk.is_(None))) == ["ann"]
        people[0].desk = people[1].desk
        await s.commit()
        assert people[1].desk is None
        people[0].desk = None
        await s.commit()
    assert await db.rows("SELECT owner_id FROM desk") == [(None,)]
    assert await db.rows("SELECT owner_id FROM passport") == [(1,)]


async def held_desk(db: Database, s: Twin) -> tuple[Any, Any, Any]:
    """Store and load a person whose desk is not loaded on that side, that desk, and one that is free."""
    await db.save(Desk(name="held", owner=Person(name="ann")), Desk(name="free"))
    (ann,) = await s.all(Person)
    held, free = sorted(await s.all(Desk), key=lambda desk: desk.name, reverse=True)
    return ann, held, free


@pytest.mark.parametrize("how", ["none", "other", "key"])
async def test_a_change_of_mind_leaves_the_side_unread(db: Database, how: str) -> None:
    async with db.session(autoflush=False) as s:
        ann, held, free = await held_desk(db, s)
        free.owner = ann
        assert ann.desk is free
        if how == "none":
            free.owner = None
        elif how == "other":
            free.owner = Person(name="bob")
        else:
            free.owner_id = None
        assert await s.read(ann, "desk") is held
        await s.commit()
        assert ann.desk is held
        assert held.owner is ann


async def test_the_side_is_set_while_another_holds_it_in_the_database(db: Database) -> None:
    async with db.session(autoflush=False) as s:
        ann, held, free = await held_desk(db, s)
        free.owner = ann
        if db.asynchronous:
            with pytest.raises(NotLoadedError, match=r"Person\.desk is not loaded"):
                ann.desk = None
            assert free.owner is ann
            assert ann.desk is free
            await s.load(ann, Person.desk)  # who holds it gives it up
            assert ann.desk is free
            assert held.owner is None
        ann.desk = None
        await s.commit()
        assert ann.desk is None
        assert held.owner is None
        assert free.owner is None
    assert await db.rows("SELECT owner_id FROM desk") == [(None,), (None,)]


async def test_who_holds_an_unread_side_gives_it_up(db: Database) -> None:
    async with db.session() as s:
        ann, held, free = await held_desk(db, s)
        free.owner = ann
        await s.flush()
        assert (held.owner, ann.desk) == (None, free)
        await s.rollback()
        assert await s.read(ann, "desk") is held
        free.owner = ann
        await s.commit()
        assert held.owner is None
        assert ann.desk is free


def test_what_cannot_be_declared() -> None:
    with pytest.raises(ModelError, match=r"Bad\.it: .*OneToOne\[Optional\[\.\.\.\]\]"):

        class Bad(Model):
            it: OneToOne[Passport] = one_to_one(reverse=True)

    with pytest.raises(ModelError, match=r"Wrong\.it: this annotation goes with foreign_key\(\)"):

        class Wrong(Model):
            it: ForeignKey[Optional[Passport]] = one_to_one(reverse=True)  # type: ignore[assignment]

    with pytest.raises(UnknownOptionError, match=r"one_to_one\(reverse=True\) has no option 'unique'"):
        one_to_one(reverse=True, unique=True)  # type: ignore[call-overload]

    class Lonely(Model):
        it: OneToOne[Optional[Alone]] = one_to_one(reverse=True)

    class Alone(Model):
        lonely: ForeignKey[Lonely] = foreign_key()

    model: Any = Lonely
    with pytest.raises(ModelError, match=r"Lonely\.it: no one-to-one relation of Alone leads back here"):
        model.it  # noqa: B018
