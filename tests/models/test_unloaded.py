"""What is not loaded is never shown as empty: None and [] only where the database surely has nothing."""

from __future__ import annotations

import copy
import pickle
from typing import Any, Optional

import pytest

from blaze import (
    Field,
    ForeignKey,
    Model,
    OneToMany,
    OneToOne,
    Session,
    create_all,
    field,
    foreign_key,
    one_to_many,
    one_to_one,
)
from blaze.errors import NotLoadedError
from tests.persistence.twins import Database


class Publisher(Model):
    name: Field[str]
    titles: OneToMany[Title] = one_to_many()


class Title(Model):
    name: Field[str]
    text: Field[str] = field(default="long", deferred=True)
    publisher: ForeignKey[Optional[Publisher]] = foreign_key(related_name="titles")


class Cover(Model):
    colour: Field[str]
    title: OneToOne[Title] = one_to_one(related_name="cover")


COPIES = [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))]


@pytest.fixture
def db(db: Database) -> Database:
    create_all(db.engine, [Publisher, Title, Cover])
    return db


@pytest.mark.requirement("R51")
def test_a_key_without_its_object_is_not_none() -> None:
    assert Title(name="t").publisher is None
    assert Title(name="t", publisher_id=None).publisher is None
    assert Title(name="t", publisher=None).publisher is None
    for make in (lambda: Title(name="t", publisher_id=1), lambda: copy.copy(Title(name="t", publisher_id=1))):
        with pytest.raises(NotLoadedError, match=r"Title\.publisher is not loaded.*add\(\)"):
            make().publisher  # noqa: B018
    title = Title(name="t", publisher_id=1)
    title.publisher_id = None
    assert title.publisher is None
    title.publisher_id = 2
    with pytest.raises(NotLoadedError):
        title.publisher  # noqa: B018


@pytest.mark.requirement("R51")
async def test_a_new_object_of_a_session_finds_what_its_key_means(db: Database) -> None:
    await db.save(Publisher(name="p"))
    async with db.session() as s:
        title = Title(name="t", publisher_id=1)
        await s.add(title)
        if db.asynchronous:
            with pytest.raises(NotLoadedError, match=r"Title\.publisher is not loaded.*session\.load"):
                title.publisher  # noqa: B018
            await s.load(title, Title.publisher)
        before = s.statements
        assert title.publisher is not None
        assert title.publisher.name == "p"
        assert s.statements - before == (0 if db.asynchronous else 1)
        assert db.asynchronous or title.id is None, "an attribute has flushed nothing"
        await s.commit()
        assert title.publisher is await s.get(Publisher, 1)


@pytest.mark.requirement("R51")
async def test_a_key_that_no_row_has_yet_is_said(db: Database) -> None:
    async with db.session() as s:
        title = Title(name="t", publisher_id=7)
        await s.add_all([Publisher(id=7, name="later"), title])
        if not db.asynchronous:
            with pytest.raises(NotLoadedError, match=r"no Publisher with the key 7 yet; flush\(\)"):
                title.publisher  # noqa: B018
        await s.flush()
        found = await s.read(title, "publisher")
        assert found.name == "later"
        await s.rollback()


@pytest.mark.parametrize("make", COPIES, ids=["copy", "deepcopy", "pickle"])
async def test_copies_say_what_they_do_not_hold(db: Database, make: Any) -> None:
    await db.save(Cover(colour="red", title=Title(name="t", publisher=Publisher(name="p"))))
    async with db.session() as s:
        title = await s.get_one(Title, 1)
        twin = make(title)
        publisher = make(await s.get_one(Publisher, 1))
        for read in (
            lambda: twin.publisher,
            lambda: twin.cover,
            lambda: twin.text,
            lambda: list(publisher.titles),
            lambda: list(make(make(publisher)).titles),
        ):
            with pytest.raises(NotLoadedError, match=r"is a copy.*merge\(\)"):
                read()
        assert (twin.name, twin.publisher_id, twin.to_dict()) == (
            "t",
            1,
            {"id": 1, "name": "t", "publisher_id": 1},
        )
        assert await s.merge(twin) is title
        orphan = make(Title(name="n"))
        assert (orphan.publisher, orphan.cover, orphan.text) == (None, None, "long")


async def test_a_copy_can_be_added_as_a_new_row_when_it_holds_everything(db: Database) -> None:
    await db.save(Title(name="t", publisher=Publisher(name="p")))
    async with db.session() as s:
        title = await s.get_one(Title, 1)
        twin = copy.copy(title)
        twin.id = None  # type: ignore[assignment]
        with pytest.raises(NotLoadedError, match=r"Title\.text"):
            await s.add(twin)
        await s.load(title, Title.text)
        twin = copy.copy(title)
        twin.id = None  # type: ignore[assignment]
        await s.add(twin)
        await s.commit()
        assert (twin.id, twin.text) == (2, "long")
        assert (await s.read(twin, "publisher")).name == "p"
        assert len(await s.read(twin.publisher, "titles")) == 2


async def test_a_dangling_copy_does_not_empty_a_list(db: Database) -> None:
    await db.save(Publisher(name="p", titles=[Title(name="a"), Title(name="b")]))
    async with db.session() as s:
        publisher = await s.get_one(Publisher, 1)
        twin = pickle.loads(pickle.dumps(publisher))
        with pytest.raises(NotLoadedError):
            len(twin.titles)
        twin.name = "q"
        await s.merge(twin)
        await s.commit()
    assert await db.rows("SELECT name, publisher_id FROM title ORDER BY name") == [("a", 1), ("b", 1)]
    assert await db.rows("SELECT name FROM publisher") == [("q",)]


def test_lazy_raise_holds_for_new_objects_too(db: Database) -> None:
    with Session(db.engine, lazy="raise") as session:
        title = Title(name="t", publisher_id=1)
        session.add(title)
        with pytest.raises(NotLoadedError, match=r'lazy="raise"'):
            title.publisher  # noqa: B018
        session.rollback()
