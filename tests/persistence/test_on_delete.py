"""The rules on delete, in the database and in memory: every rule, loaded or not, every kind of relation."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import (
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    OneToOne,
    create_all,
    field,
    foreign_key,
    many_to_many,
    one_to_one,
)
from blaze.errors import ForeignKeyError, ModelError, NotNullError, ValidationError
from tests.persistence.models import Author, Book, Chapter, Tag
from tests.persistence.twins import Database, names


class Hub(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(default="")


class Cascading(Model):
    id: Field[int] = field(primary_key=True)
    hub: ForeignKey[Optional[Hub]] = foreign_key(related_name="cascading", on_delete="CASCADE")


class Nulled(Model):
    id: Field[int] = field(primary_key=True)
    hub: ForeignKey[Optional[Hub]] = foreign_key(related_name="nulled", on_delete="SET NULL")


class Defaulted(Model):
    id: Field[int] = field(primary_key=True)
    hub: ForeignKey[Optional[Hub]] = foreign_key(related_name="defaulted", on_delete="SET DEFAULT")


class Restricting(Model):
    id: Field[int] = field(primary_key=True)
    hub: ForeignKey[Optional[Hub]] = foreign_key(related_name="restricting", on_delete="RESTRICT")


class Idle(Model):
    id: Field[int] = field(primary_key=True)
    hub: ForeignKey[Optional[Hub]] = foreign_key(related_name="idle")


class OneCascading(Model):
    id: Field[int] = field(primary_key=True)
    hub: OneToOne[Hub] = one_to_one(related_name="one_cascading", on_delete="CASCADE")


class OneNulled(Model):
    id: Field[int] = field(primary_key=True)
    hub: OneToOne[Optional[Hub]] = one_to_one(related_name="one_nulled", on_delete="SET NULL")


class OneRestricting(Model):
    id: Field[int] = field(primary_key=True)
    hub: OneToOne[Hub] = one_to_one(related_name="one_restricting", on_delete="RESTRICT")


class Leaf(Model):
    """Goes with what goes with the hub."""

    id: Field[int] = field(primary_key=True)
    parent: ForeignKey[Cascading] = foreign_key(related_name="leaves", on_delete="CASCADE")


class Branch(Model):
    """A tree whose subtrees go with their root."""

    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(default="")
    parent: ForeignKey[Optional[Branch]] = foreign_key(related_name="children", on_delete="CASCADE")
    links: ManyToMany[Branch] = many_to_many(related_name="linked")


class Loose(Model):
    """A tree whose subtrees stay."""

    id: Field[int] = field(primary_key=True)
    parent: ForeignKey[Optional[Loose]] = foreign_key(related_name="children", on_delete="SET NULL")


MODELS = [Hub, Cascading, Nulled, Defaulted, Restricting, Idle, OneCascading, OneNulled, OneRestricting, Leaf,
          Branch, Loose]  # fmt: skip


@pytest.fixture
def tables(db: Database) -> Database:
    create_all(db.engine, MODELS)
    return db


LOADED = pytest.mark.parametrize("loaded", ["nothing", "children", "list"])


async def held(s: Any, hub: Hub, child: type[Any], loaded: str) -> Any:
    """Load the child, or the hub's side of the relation, or neither."""
    if loaded == "children":
        return await s.get_one(child, 1)
    if loaded == "list":
        found = await s.read(hub, REVERSE[child])
        return found[0] if isinstance(found, list) else found
    return None


REVERSE: dict[Any, str] = {
    Cascading: "cascading", Nulled: "nulled", Defaulted: "defaulted", Restricting: "restricting",
    Idle: "idle", OneCascading: "one_cascading", OneNulled: "one_nulled", OneRestricting: "one_restricting",
}  # fmt: skip


@LOADED
@pytest.mark.requirement("R24", "R26")
@pytest.mark.parametrize("child", [Cascading, OneCascading])
async def test_cascade_deletes_in_the_database_and_in_memory(
    tables: Database, child: type[Any], loaded: str
) -> None:
    table = child.__mapper__.options.table
    await tables.save(child(hub=Hub(name="h")))
    async with tables.session() as s:
        hub = await s.get_one(Hub, 1)
        found = await held(s, hub, child, loaded)
        await s.delete(hub)
        await s.flush()
        assert found is None or found not in s.session
        assert await s.get(child, 1) is None
        assert await s.scalar(f"SELECT count(*) FROM {table}") == 0
        await s.rollback()
        if found is not None:
            assert found in s.session
            assert await s.get(child, 1) is found
            assert await s.read(found, "hub") is hub
        await s.delete(hub)
        await s.commit()
    assert await tables.rows(f"SELECT * FROM {table}") == []


@LOADED
@pytest.mark.requirement("R24", "R26")
@pytest.mark.parametrize("child", [Nulled, Defaulted, OneNulled])
async def test_set_null_and_set_default_empty_the_key_in_both(
    tables: Database, child: type[Any], loaded: str
) -> None:
    table = child.__mapper__.options.table
    await tables.save(child(hub=Hub(name="h")))
    async with tables.session() as s:
        hub = await s.get_one(Hub, 1)
        found = await held(s, hub, child, loaded)
        await s.delete(hub)
        await s.flush()
        if found is not None:
            assert (found.hub_id, found.hub, s.dirty) == (None, None, [])
        await s.rollback()
        if found is not None:
            assert found.hub_id == 1
            assert await s.read(found, "hub") is hub
        await s.delete(hub)
        await s.commit()
        assert (await s.get_one(child, 1)).hub_id is None
    assert await tables.rows(f"SELECT id, hub_id FROM {table}") == [(1, None)]


@LOADED
@pytest.mark.requirement("R24", "R26")
@pytest.mark.parametrize("child", [Restricting, Idle, OneRestricting])
async def test_restrict_and_no_action_refuse_and_lose_nothing(
    tables: Database, child: type[Any], loaded: str
) -> None:
    table = child.__mapper__.options.table
    await tables.save(child(hub=Hub(name="h")))
    async with tables.session() as s:
        hub = await s.get_one(Hub, 1)
        found = await held(s, hub, child, loaded)
        await s.delete(hub)
        with pytest.raises(ForeignKeyError):
            await s.flush()
        assert s.deleted == [hub]
        if found is not None:
            assert found.hub_id == 1
        # Both together go, the child first.
        with s.session.no_autoflush():
            await s.delete(await s.get_one(child, 1))
        await s.commit()
    assert await tables.rows(f"SELECT * FROM {table}") == await tables.rows("SELECT * FROM hub") == []


@LOADED
@pytest.mark.requirement("R24", "R26")
async def test_a_cascade_goes_on_below_what_it_deletes(tables: Database, loaded: str) -> None:
    await tables.save(Cascading(hub=Hub(), leaves=[Leaf(), Leaf()]))
    async with tables.session() as s:
        hub = await s.get_one(Hub, 1)
        middle = await held(s, hub, Cascading, loaded)
        leaves = [] if middle is None else await s.read(middle, "leaves")
        await s.delete(hub)
        await s.commit()
        assert not any(o in s.session for o in leaves)
        assert await s.all(Leaf) == []
    assert await tables.rows("SELECT * FROM leaf") == []


@pytest.mark.requirement("R24", "R26")
async def test_trees_cascade_or_fall_apart(tables: Database) -> None:
    async with tables.session() as s:
        leaf = Branch(name="leaf")
        root = Branch(name="root", children=[Branch(name="a", children=[leaf]), Branch(name="b")])
        other = Branch(name="other", links=[root, leaf])
        top = Loose(children=[Loose(children=[Loose()])])
        await s.add_all([root, other, top])
        await s.commit()
        middle = top.children[0]
        await s.delete(root)
        await s.delete(middle)
        await s.flush()
        assert leaf not in s.session
        assert await s.all(Branch) == [other]
        assert list(other.links) == []
        assert list(top.children) == []
        assert len(await s.all(Loose, Loose.parent_id.is_(None))) == 2
        await s.rollback()
        assert names(other.links) == ["leaf", "root"]
        assert list(top.children) == [middle]
        assert leaf.parent.parent is root
        await s.delete(root)
        await s.commit()
    assert await tables.rows("SELECT name FROM branch") == [("other",)]
    assert await tables.rows("SELECT * FROM branch_links") == []


@pytest.mark.requirement("R24", "R54")
async def test_links_go_with_either_side_and_nothing_else_does(tables: Database) -> None:
    await tables.save(Book(title="b", tags=[Tag(name="x"), Tag(name="y")]), Book(title="c"))
    async with tables.session() as s:
        x = (await s.all(Tag, Tag.name == "x"))[0]
        book = await s.get_one(Book, 1)
        assert len(await s.read(book, "tags")) == 2
        await s.delete(x)
        await s.flush()
        assert names(book.tags) == ["y"]
        await s.delete(book)
        await s.commit()
    assert await tables.rows("SELECT * FROM book_tags") == []
    assert await tables.rows("SELECT name FROM tag") == [("y",)]
    assert await tables.rows("SELECT title FROM book") == [("c",)]


@pytest.mark.requirement("R24")
async def test_an_orphan_keeps_its_row_without_a_key_where_that_may_be_null(db: Database) -> None:
    await db.save(Author(name="a", books=[Book(title="b")]))
    async with db.session() as s:
        author = await s.get_one(Author, 1)
        (book,) = await s.read(author, "books")
        author.books.remove(book)
        assert (book.author, book.author_id) == (None, None)
        await s.commit()
    assert await db.rows("SELECT title, author_id FROM book") == [("b", None)]


@pytest.mark.requirement("R24")
async def test_an_orphan_whose_key_must_not_be_null_is_refused_unless_it_goes_somewhere(db: Database) -> None:
    chapters = [Chapter(heading=str(i)) for i in range(3)]
    await db.save(Book(title="b", chapters=chapters), Book(title="c"))
    async with db.session() as s:
        one, two = await s.get_one(Book, 1), await s.get_one(Book, 2)
        first, second, third = await s.read(one, "chapters")
        one.chapters.clear()
        with pytest.raises((ValidationError, NotNullError), match="book"):
            await s.flush()
        assert list(one.chapters) == []
        await s.delete(first)  # it is deleted, or it moves, or it comes back
        two.chapters.add(second)
        third.book = one
        await s.commit()
        assert list(one.chapters) == [third]
    assert await db.rows("SELECT heading, book_id FROM chapter ORDER BY id") == [("1", 2), ("2", 1)]


@pytest.mark.requirement("R24")
async def test_a_child_deleted_and_one_moved_while_their_parent_goes(db: Database) -> None:
    await db.save(Book(title="b", chapters=[Chapter(heading=str(i)) for i in range(3)]), Book(title="c"))
    async with db.session() as s:
        one, two = await s.get_one(Book, 1), await s.get_one(Book, 2)
        first, second, third = await s.read(one, "chapters")
        await s.read(two, "chapters")
        await s.delete(first)
        second.book = two
        await s.delete(one)
        await s.commit()
        assert [o in s.session for o in (first, second, third)] == [False, True, False]
        assert list(two.chapters) == [second]
    assert await db.rows("SELECT heading FROM chapter") == [("1",)]


def test_set_default_needs_a_key_that_may_be_null() -> None:
    class Wrong(Model):
        id: Field[int] = field(primary_key=True)
        hub: ForeignKey[Hub] = foreign_key(on_delete="SET DEFAULT")

    with pytest.raises(ModelError, match=r"Wrong.hub.*SET DEFAULT.*Optional"):
        Wrong.__mapper__.registry.configure(Wrong.__mapper__)
