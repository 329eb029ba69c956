"""A rollback forgets that others took over keys: relations and lists show what they showed before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Optional

import pytest

from blaze import (
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    OneToMany,
    OneToOne,
    create_all,
    field,
    foreign_key,
    many_to_many,
    one_to_many,
    one_to_one,
)
from blaze.errors import SessionError
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R24")


class Shelf(Model):
    code: Field[str] = field(primary_key=True, init=True)
    boxes: OneToMany[Box] = one_to_many()
    marks: ManyToMany[Mark] = many_to_many(related_name="shelves")


class Box(Model):
    id: Field[int] = field(primary_key=True)
    size: Field[int] = field(default=0)
    shelf: ForeignKey[Optional[Shelf]] = foreign_key(related_name="boxes", on_delete="SET NULL")


class Lamp(Model):
    id: Field[int] = field(primary_key=True)
    size: Field[int] = field(default=0)
    shelf: OneToOne[Optional[Shelf]] = one_to_one(related_name="lamp", on_delete="SET NULL")


class Mark(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]


@pytest.fixture
async def db(db: Database) -> Database:
    create_all(db.engine, [Shelf, Box, Lamp, Mark])
    return db


@asynccontextmanager
async def undone(s: Any, how: str) -> AsyncIterator[None]:
    """Flush what the block does and take it back; `pending` takes it back without a flush."""
    if how == "savepoint":
        with pytest.raises(ZeroDivisionError):
            async with s.transaction(), inner(s):
                yield
        return
    yield
    if how == "flushed":
        await s.flush()
    await s.rollback()


@asynccontextmanager
async def inner(s: Any) -> AsyncIterator[None]:
    async with s.transaction():
        yield
        await s.flush()
        raise ZeroDivisionError


async def take_over(s: Any, how: str, shelf: Any, other: Any) -> Any:
    """Let another object have the key of a shelf, and return it."""
    if how == "exchanged":
        shelf.code, other.code = other.code, shelf.code
        return other
    if how == "replaced":
        await s.delete(shelf)
    else:
        shelf.code = "z"
    new = Shelf(code="a")
    await s.add(new)
    return new


HOWS = pytest.mark.parametrize("how", ["flushed", "savepoint", "pending"])
WAYS = pytest.mark.parametrize("way", ["exchanged", "replaced", "renamed"])


@HOWS
@WAYS
async def test_a_key_goes_back_to_the_object_that_had_it(db: Database, way: str, how: str) -> None:
    async with db.session() as s:
        shelf, other = Shelf(code="a"), Shelf(code="q")
        box, lamp = Box(shelf=shelf), Lamp(shelf=shelf)
        await s.add_all([shelf, other, box, lamp])
        await s.commit()
        await s.read(shelf, "boxes")
        await s.read(shelf, "lamp")
        with s.session.no_autoflush():
            async with undone(s, how):
                box.shelf = lamp.shelf = await take_over(s, way, shelf, other)
        assert (box.shelf, lamp.shelf) == (shelf, shelf)
        assert (box.shelf_id, lamp.shelf_id) == ("a", "a")
        assert (list(shelf.boxes), shelf.lamp) == ([box], lamp)
        assert (s.new, s.dirty, s.deleted) == ([], [], [])
        box.size = lamp.size = 1
        await s.commit()
    for table in ("box", "lamp"):
        assert await db.rows(f"SELECT shelf_id, size FROM {table}") == [("a", 1)]
    assert await db.rows("SELECT code FROM shelf ORDER BY 1") == [("a",), ("q",)]


@HOWS
@pytest.mark.parametrize("way", ["replaced", "in bulk"])
async def test_other_changes_of_what_refers_to_a_key_go_back_too(db: Database, way: str, how: str) -> None:
    async with db.session() as s:
        shelf, other = Shelf(code="a"), Shelf(code="q")
        box = Box(shelf=shelf)
        await s.add_all([shelf, other, box])
        await s.commit()
        with s.session.no_autoflush():
            async with undone(s, how):
                box.size = 5
                if way == "in bulk":
                    await s.bulk_delete(Shelf, ["a"])
                else:
                    await take_over(s, way, shelf, other)
        assert (box.size, box.shelf_id, await s.read(box, "shelf")) == (0, "a", shelf)
        assert (s.new, s.dirty, s.deleted) == ([], [], [])


@pytest.mark.parametrize("assigned", [False, True], ids=["codes first", "shelf first"])
async def test_two_flushes_are_taken_back_in_turn(db: Database, assigned: bool) -> None:
    """The box itself is new: it shows the shelf again that it was added with."""
    async with db.session() as s:
        shelf, other = Shelf(code="a"), Shelf(code="q")
        await s.add_all([shelf, other])
        await s.commit()
        box = Box(shelf=shelf)
        await s.add(box)
        await s.flush()
        with s.session.no_autoflush():
            if assigned:
                box.shelf = other
            shelf.code, other.code = "q", "a"
            box.shelf = other
            await s.flush()
        assert box.shelf_id == "a"
        await s.rollback()
        assert (box.shelf, box.shelf_id, shelf.code) == (shelf, "a", "a")
        await s.add(box)
        await s.commit()
    assert await db.rows("SELECT shelf_id FROM box") == [("a",)]


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("side", ["given", "reverse", "both"])
async def test_new_objects_let_go_of_what_is_replaced_in_their_flush(
    db: Database, side: str, read: bool
) -> None:
    async with db.session() as s:
        mark = Mark(name="old")
        await s.add(mark)
        await s.commit()
        if read:
            await s.read(mark, "shelves")
        with s.session.no_autoflush():
            shelf, new = Shelf(code="a"), Mark(id=mark.id, name="new")
            await s.add_all([shelf, new])
            if side == "reverse":
                mark.shelves.add(shelf)
            else:
                shelf.marks.add(mark)
            if side == "both":
                shelf.marks.add(new)
            await s.delete(mark)
        await s.flush()
        linked = [new] if side == "both" else []
        assert (list(shelf.marks), await s.read(new, "shelves")) == (linked, [shelf] if linked else [])
        assert len((await s.execute("SELECT * FROM shelf_marks")).all()) == len(linked)
        await s.rollback()
        assert list(shelf.marks) == [mark, *linked]
        assert await s.read(mark, "shelves") == []


@pytest.mark.parametrize("read", [False, True])
async def test_new_objects_refer_to_what_took_the_key_over(db: Database, read: bool) -> None:
    async with db.session() as s:
        shelf = Shelf(code="a")
        await s.add(shelf)
        await s.commit()
        if read:
            await s.read(shelf, "boxes")
            await s.read(shelf, "lamp")
        with s.session.no_autoflush():
            box, lamp = Box(shelf=shelf), Lamp(shelf=shelf)
            await s.add_all([box, lamp])
            new = await take_over(s, "replaced", shelf, None)
        await s.flush()
        assert (await s.read(box, "shelf"), await s.read(lamp, "shelf")) == (new, new)
        assert (await s.read(new, "boxes"), await s.read(new, "lamp")) == ([box], lamp)
        await s.rollback()
        assert (box.shelf, lamp.shelf) == (shelf, shelf)
        assert (await s.read(shelf, "boxes"), await s.read(shelf, "lamp")) == ([], None)
        await s.add_all([box, lamp])
        await s.commit()
        assert (await s.read(shelf, "boxes"), await s.read(shelf, "lamp")) == ([box], lamp)


@HOWS
@pytest.mark.parametrize("target", ["other", "nothing"])
async def test_what_left_a_replaced_object_comes_back_to_it(db: Database, target: str, how: str) -> None:
    async with db.session() as s:
        shelf, other = Shelf(code="a"), Shelf(code="q")
        box, lamp = Box(shelf=shelf), Lamp(shelf=shelf)
        await s.add_all([shelf, other, box, lamp])
        await s.commit()
        await s.read(shelf, "boxes")
        await s.read(shelf, "lamp")
        with s.session.no_autoflush():
            async with undone(s, how):
                await take_over(s, "replaced", shelf, other)
                box.shelf = lamp.shelf = other if target == "other" else None
        assert (list(shelf.boxes), shelf.lamp) == ([box], lamp)
        assert await s.read(other, "boxes") == []
        assert await s.read(other, "lamp") is None


@HOWS
@pytest.mark.parametrize("loaded", [False, True], ids=["not loaded", "loaded"])
@pytest.mark.parametrize("late", [False, True], ids=["changed first", "deleted first"])
@pytest.mark.parametrize("change", ["add", "remove", "clear", "add there", "clear there"])
async def test_the_links_of_a_replaced_object_come_back(
    db: Database, change: str, late: bool, loaded: bool, how: str
) -> None:
    async with db.session() as s:
        shelf, linked, free = Shelf(code="a"), Mark(name="linked"), Mark(name="free")
        shelf.marks.add(linked)
        await s.add_all([shelf, linked, free])
        await s.commit()
    async with db.session() as s:
        shelf = await s.get(Shelf, "a")
        linked, free = await s.get(Mark, linked.id), await s.get(Mark, free.id)
        if loaded:
            await s.read(shelf, "marks")
            await s.read(linked, "shelves")
            await s.read(free, "shelves")
        changes = {
            "add": lambda: shelf.marks.add(free),
            "remove": lambda: shelf.marks.remove(linked),
            "clear": lambda: shelf.marks.clear(),
            "add there": lambda: free.shelves.add(shelf),
            "clear there": lambda: linked.shelves.clear(),
        }
        with s.session.no_autoflush():
            async with undone(s, how):
                if not late:
                    changes[change]()
                await take_over(s, "replaced", shelf, None)
                if late:
                    changes[change]()
        assert await s.read(shelf, "marks") == [linked]
        assert await s.read(linked, "shelves") == [shelf]
        assert await s.read(free, "shelves") == []
        await s.commit()
    assert await db.rows("SELECT count(*) FROM shelf_marks") == [(1,)]


class Peer(Model):
    """A new row may get the generated key of a deleted one: on SQLite that of the last row."""

    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(unique=True)


class Page(Model):
    id: Field[int] = field(primary_key=True)
    size: Field[int] = field(default=0)
    peer: ForeignKey[Optional[Peer]] = foreign_key(related_name="pages", on_delete="SET NULL")


class Crest(Model):
    id: Field[int] = field(primary_key=True)
    peer: OneToOne[Optional[Peer]] = one_to_one(related_name="crest", on_delete="SET NULL")


@pytest.mark.parametrize("size", [0, 1], ids=["moved", "moved and changed"])
async def test_a_generated_key_given_again_is_written_to_what_refers_to_it(db: Database, size: int) -> None:
    create_all(db.engine, [Peer, Page, Crest])
    async with db.session() as s:
        peer = Peer(name="a")
        page, crest = Page(peer=peer), Crest(peer=peer)
        await s.add_all([page, crest])
        await s.commit()
        for final in (False, True):
            with s.session.no_autoflush():
                new = Peer(name="a")
                await s.delete(peer)
                await s.add(new)
                page.peer = crest.peer = new
                page.size = size
            await s.flush()
            assert (page.peer, page.peer_id, crest.peer) == (new, new.id, new)
            assert await s.read(new, "pages") == [page]
            assert await s.read(new, "crest") is crest
            assert (await s.execute("SELECT peer_id, size FROM page")).all() == [(new.id, size)]
            assert (await s.execute("SELECT peer_id FROM crest")).all() == [(new.id,)]
            if final:
                await s.commit()
            else:
                await s.rollback()
                assert (page.peer, page.size, crest.peer, s.dirty) == (peer, 0, peer, [])
    assert await db.rows("SELECT peer_id, name FROM page JOIN peer ON peer.id = peer_id") == [(1, "a")]


class Owner(Model):
    code: Field[str] = field(primary_key=True, init=True)
    mail: Field[str] = field(unique=True)


class Fur(Model):
    id: Field[int] = field(primary_key=True)
    size: Field[int] = field(default=0)
    owner: ForeignKey[Optional[Owner]] = foreign_key(related_name="furs", on_delete="CASCADE")


class Claw(Model):
    id: Field[int] = field(primary_key=True)
    owner: OneToOne[Optional[Owner]] = one_to_one(related_name="claw", on_delete="NO ACTION")


class Tooth(Model):
    id: Field[int] = field(primary_key=True)
    owner: ForeignKey[Owner] = foreign_key(related_name="teeth", on_delete="CASCADE")


@pytest.mark.parametrize("to", ["new", "nothing", "another"])
@pytest.mark.parametrize("code", ["a", "b"], ids=["same key", "another key"])
async def test_nullable_keys_let_go_of_a_deleted_object_whose_values_another_takes(
    db: Database, code: str, to: str
) -> None:
    create_all(db.engine, [Owner, Fur, Claw, Tooth])
    async with db.session() as s:
        owner, other = Owner(code="a", mail="m"), Owner(code="o", mail="o")
        fur, claw, stays = Fur(owner=owner), Claw(owner=owner), Fur(owner=owner, size=5)
        await s.add_all([fur, claw, stays, other])
        await s.commit()
        await s.read(owner, "furs")
        for final in (False, True):
            new = Owner(code=code, mail="m")
            target = {"new": new, "nothing": None, "another": other}[to]
            with s.session.no_autoflush():
                await s.delete(owner)
                await s.add(new)
                fur.owner = claw.owner = target
                fur.size = 3
            await s.flush()
            key = target and target.code
            assert (fur.owner, fur.owner_id, claw.owner, claw.owner_id) == (target, key, target, key)
            assert stays not in s.session, "it went with its owner"
            assert await s.read(new, "furs") == ([fur] if to == "new" else [])
            assert (await s.execute("SELECT owner_id, size FROM fur")).all() == [(key, 3)]
            if not final:
                await s.rollback()
                assert (fur.owner, claw.owner, fur.size, stays.owner) == (owner, owner, 0, owner)
                assert (await s.read(owner, "furs"), await s.read(owner, "claw")) == ([fur, stays], claw)
        await s.commit()
    assert await db.rows("SELECT owner_id FROM claw") == [(key,)]
    assert await db.rows("SELECT code, mail FROM owner ORDER BY 1") == [(code, "m"), ("o", "o")]


async def test_a_key_that_cannot_be_empty_keeps_a_deleted_object_in_its_place(db: Database) -> None:
    create_all(db.engine, [Owner, Fur, Claw, Tooth])
    async with db.session() as s:
        owner = Owner(code="a", mail="m")
        tooth = Tooth(owner=owner)
        await s.add(tooth)
        await s.commit()
        with s.session.no_autoflush():
            await s.delete(owner)
            tooth.owner = Owner(code="a", mail="n")
        with pytest.raises(SessionError, match="a changed object refers to it until it is written"):
            await s.commit()
        await s.rollback()
        with s.session.no_autoflush():  # its other unique value can be parked
            await s.delete(owner)
            tooth.owner = Owner(code="b", mail="m")
        await s.commit()
        assert tooth.owner_id == "b"
    assert await db.rows("SELECT code, mail FROM owner") == [("b", "m")]
