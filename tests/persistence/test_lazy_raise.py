"""`lazy="raise"` by query, session and model; and one row as one object over all included paths."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Optional

import pytest

from blaze import (
    Engine,
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    NotLoadedError,
    OneToMany,
    OneToOne,
    Session,
    create_all,
    field,
    foreign_key,
    many_to_many,
    one_to_many,
    one_to_one,
)
from tests.persistence.models import Author, Book, Document, Node, Profile, Tag
from tests.persistence.twins import Database, settled


class StrictBox(Model):
    id: Field[int] = field(primary_key=True)
    label: Field[str]
    notes: Field[str] = field(deferred=True, default="")
    things: OneToMany[StrictThing] = one_to_many()

    class Meta:
        lazy = "raise"


class StrictThing(Model):
    id: Field[int] = field(primary_key=True)
    box: ForeignKey[Optional[StrictBox]] = foreign_key(related_name="things")
    boxes: ManyToMany[StrictBox] = many_to_many(related_name="holders")


class StrictLid(Model):
    id: Field[int] = field(primary_key=True)
    box: OneToOne[StrictBox] = one_to_one(related_name="lid")


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Engine]:
    with Engine(f"sqlite:///{tmp_path}/strict.db") as engine:
        create_all(engine, [StrictBox, StrictThing, StrictLid])
        with Session(engine) as session:
            box = StrictBox(label="a", notes="n")
            session.add_all([StrictThing(box=box, boxes=[box]), StrictLid(box=box)])
            session.commit()
        yield engine


async def test_every_kind_of_relation_and_deferred_columns_raise(db: Database) -> None:
    tag = Tag(name="t")
    author = Author(name="a", books=[Book(title="b", tags=[tag])], profile=Profile(text="p"))
    await db.save(author, Document(title="d", text="long"))
    for by in ("session", "query"):
        async with db.session(lazy="raise" if by == "session" else None) as s:

            async def one(model: Any, s: Any = s, by: str = by) -> Any:
                query = s.session.query(model)
                return await settled((query.lazy("raise") if by == "query" else query).first())

            book, found, profile = await one(Book), await one(Tag), await one(Profile)
            s.session.identity[Author].clear()
            for read, path in (
                (lambda o=book: o.author, "Book.author"),
                (lambda o=book: len(o.tags), "Book.tags"),
                (lambda o=book: list(o.chapters), "Book.chapters"),
                (lambda o=found: o.books[0], "Tag.books"),
                (lambda o=profile: o.author, "Profile.author"),
            ):
                with pytest.raises(NotLoadedError, match=rf"{path} is not loaded.*include\({path}\)"):
                    read()
            with pytest.raises(NotLoadedError, match=r"Author\.profile.*include\(Author\.profile\)"):
                _ = (await one(Author)).profile
            document = await one(Document)
            with pytest.raises(NotLoadedError, match=r"Document\.text.*session\.load\(obj, Document\.text\)"):
                _ = document.text
            await s.load(document, Document.text)
            assert document.text == "long"


def test_the_model_says_so_for_its_own_objects(strict: Engine) -> None:
    with Session(strict) as session:
        thing = session.query(StrictThing).one()
        box = thing.box
        assert box is not None, "the model with the relation decides, not its target"
        assert [held.label for held in thing.boxes] == ["a"]
        for read in (
            lambda: len(box.things),
            lambda: box.lid,  # type: ignore[attr-defined]
            lambda: list(box.holders),  # type: ignore[attr-defined]
            lambda: box.notes,
        ):
            with pytest.raises(NotLoadedError, match=r'StrictBox\.\w+ is not loaded and lazy="raise"'):
                read()
        again = session.query(StrictBox).lazy("batch").one()
        assert again is box
        assert len(box.things) == 1
        assert box.notes == "n"
    with Session(strict) as session:
        box = session.query(StrictThing).include("box").one().box
        assert box is not None
        with pytest.raises(NotLoadedError):
            len(box.things)
    with Session(strict, lazy="batch") as session:
        assert len(session.query(StrictBox).one().things) == 1
    with Session(strict) as session:
        thing = session.query(StrictThing).select_related("box").lazy("raise").one()
        assert thing.box is not None
        with pytest.raises(NotLoadedError):
            len(thing.boxes)


@pytest.mark.requirement("R29", "R30", "R60")
async def test_one_row_is_one_object_over_all_paths(db: Database) -> None:
    tags = [Tag(name="x"), Tag(name="y")]
    a, b = Author(name="a"), Author(name="b")
    await db.save(
        Book(title="1", author=a, editor=b, tags=tags),
        Book(title="2", author=b, editor=b, tags=tags[:1]),
        Book(title="3", author=a, editor=a),
    )
    async with db.session() as s:
        before = s.statements
        books = await settled(
            s.session.query(Book)
            .include(Book.author.books.author, Book.editor, "tags__books__editor", Book.author.edited)
            .order_by(Book.id)
            .all()
        )
        assert s.statements - before <= 8
        assert books[0].author is books[2].author is books[2].editor
        assert books[0].editor is books[1].author is books[1].editor
        assert {id(o) for book in books for o in book.author.books} == {id(book) for book in books}
        assert all(book.author.books[0].author is book.author for book in books)
        assert {id(o) for book in books for tag in book.tags for o in tag.books} == {
            id(books[0]),
            id(books[1]),
        }
        assert [o.title for o in books[1].author.edited] == ["1", "2"]
        assert books[0].tags[0] is books[1].tags[0]


async def test_cycles_of_one_table(db: Database) -> None:
    root = Node(name="root")
    leaf = Node(name="leaf", parent=root)
    root.friends.add(leaf)
    leaf.friends.add(leaf)
    await db.save(root, leaf)
    async with db.session() as s:
        nodes = await settled(
            s.session.query(Node)
            .include(Node.children.parent.children, Node.friends.friends, Node.friend_of, Node.parent)
            .order_by(Node.id)
            .all()
        )
        assert nodes[0].children[0] is nodes[1]
        assert nodes[1].parent is nodes[0]
        assert nodes[0].children[0].parent.children[0] is nodes[1]
        assert nodes[0].friends[0].friends[0] is nodes[1]
        assert [o.id for o in nodes[1].friend_of] == [1, 2]
