"""Objects of an included list know whose list it is, also those that the session knew before."""

from __future__ import annotations

from typing import Optional
from uuid import UUID, uuid4

import pytest

from blaze import Field, ForeignKey, Model, OneToOne, create_all, field, foreign_key, one_to_one
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R29", "R31")


class Folder(Model):
    id: Field[int] = field(primary_key=True)
    parent: ForeignKey[Optional[Folder]] = foreign_key(related_name="folders")


class Batch(Model):
    """A key that the database keeps in another form."""

    id: Field[UUID] = field(primary_key=True, default_factory=uuid4)


class Item(Model):
    id: Field[int] = field(primary_key=True)
    batch: ForeignKey[Optional[Batch]] = foreign_key(related_name="items")


class Note(Model):
    """Its key is the key of what it is about."""

    batch: OneToOne[Batch] = one_to_one(related_name="note", primary_key=True)


@pytest.fixture
def tables(db: Database) -> Database:
    create_all(db.engine, [Folder, Batch, Item, Note])
    return db


async def test_a_child_that_came_first_from_its_own_table(tables: Database) -> None:
    await tables.save(Folder(id=2, parent=Folder(id=1)))
    async with tables.session() as s:
        folders = await s.do(lambda q: q.query(Folder).include(Folder.folders).order_by(Folder.id).all())
    (child,) = folders[0].folders
    assert child is folders[1]
    assert child.parent is folders[0]
    folders[0].folders.remove(child)
    assert child.parent is None


@pytest.mark.parametrize("known", [False, True])
async def test_keys_that_are_converted(tables: Database, known: bool) -> None:
    batch = Batch(items=[Item(id=1), Item(id=2)])
    batch.note = Note(batch=batch)
    await tables.save(batch)
    async with tables.session() as s:
        before = [*await s.all(Item), *await s.all(Note)] if known else []
        (batch,) = await s.do(lambda q: q.query(Batch).include(Batch.items, Batch.note).all())
    assert [item.batch is batch for item in batch.items] == [True, True]
    assert batch.note.batch is batch
    assert [o for o in before if o not in [*batch.items, batch.note]] == []


async def test_what_points_elsewhere_meanwhile_stays_so(tables: Database) -> None:
    await tables.save(Item(id=1, batch=Batch()))
    async with tables.session(autoflush=False) as s:
        (item,) = await s.all(Item)
        item.batch_id = None
        (batch,) = await s.do(lambda q: q.query(Batch).include(Batch.items).all())
        assert item.batch is None
        assert list(batch.items) == []
        await s.commit()
