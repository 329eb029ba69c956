"""The unit of work: what is written, in which order, and what comes back on the objects."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import Session
from blaze.errors import ModelError, SessionError, StaleDataError, UniqueError, ValidationError
from tests.persistence.models import (
    Account,
    Author,
    Award,
    Book,
    Chapter,
    City,
    Country,
    Course,
    Desk,
    Enrolment,
    Node,
    Profile,
    Room,
    Setting,
    Student,
    Tag,
)
from tests.persistence.twins import Database, names

# --- adding


@pytest.mark.requirement("R20", "R26")
async def test_generated_keys_come_back_at_the_flush(db: Database) -> None:
    async with db.session(auto_commit=True) as s:
        authors = [Author(name=f"a{i}") for i in range(1200)]
        await s.add_all(authors)
        assert [a.id for a in authors] == [None] * 1200
        await s.flush()
        assert [a.id for a in authors] == list(range(1, 1201))
        assert [a.name for a in authors] == [
            row[0] for row in await s.execute("SELECT name FROM author ORDER BY id")
        ]


@pytest.mark.requirement("R24")
async def test_children_are_saved_through_the_lists_of_their_parent(db: Database) -> None:
    author = Author(name="a", books=[Book(title="b", tags=[Tag(name="t")], chapters=[Chapter(heading="h")])])
    await db.save(author)
    assert await db.rows(
        "SELECT b.title, t.name, c.heading FROM book b JOIN book_tags x ON x.book_id = b.id "
        "JOIN tag t ON t.id = x.tag_id JOIN chapter c ON c.book_id = b.id"
    ) == [("b", "t", "h")]


async def test_parents_are_saved_through_their_children(db: Database) -> None:
    chapter = Chapter(heading="h", book=Book(title="b", author=Author(name="a", profile=Profile(text="p"))))
    await db.save(chapter)
    assert chapter.book.author.profile.author_id == chapter.book.author.id == 1


async def test_the_list_of_a_new_parent_shows_children_made_with_it(db: Database) -> None:
    author = Author(name="a")
    book = Book(title="b", author=author)
    assert list(author.books) == [book]
    await db.save(author)
    assert book.id == 1


@pytest.mark.requirement("R25")
async def test_new_dirty_and_deleted_show_what_the_next_flush_does(db: Database) -> None:
    async with db.session() as s:
        author, book = Author(name="a"), Book(title="b")
        author.books.add(book)
        await s.add(author)
        assert s.new == [author, book]
        await s.commit()
        assert (s.new, s.dirty, s.deleted) == ([], [], [])
        author.name = "x"
        book.meta["k"] = 1
        assert set(map(id, s.dirty)) == {id(author), id(book)}
        author.name = "a"
        assert s.dirty == [book]
        await s.delete(book)
        assert (s.dirty, s.deleted) == ([], [book])
        await s.rollback()
        assert (s.new, s.dirty, s.deleted) == ([], [], [])


@pytest.mark.requirement("R24")
async def test_a_chain_of_self_references_goes_in_root_first(db: Database) -> None:
    async with db.session(auto_commit=True) as s:
        nodes = [Node(name=f"n{i}") for i in range(30)]
        for child, parent in zip(nodes, nodes[1:]):
            child.parent = parent
        await s.add(nodes[0])
        await s.flush()
        assert all(n.parent_id == n.parent.id for n in nodes[:-1])
        assert nodes[-1].id == 1


@pytest.mark.requirement("R24")
async def test_a_tree_takes_one_statement_for_each_level(db: Database) -> None:
    async with db.session(auto_commit=True) as s:
        root = Node(name="root")
        for i in range(20):
            root.children.add(Node(name=f"c{i}", children=[Node(name=f"g{i}{j}") for j in range(5)]))
        await s.add(root)
        before = s.statements
        await s.flush()
        assert s.statements - before == 3
        assert await s.scalar("SELECT count(*) FROM node") == 121


async def test_self_references_in_a_circle_are_completed_by_one_update(db: Database) -> None:
    async with db.session(auto_commit=True) as s:
        ring = [Node(name=f"n{i}") for i in range(10)]
        for i, node in enumerate(ring):
            node.parent = ring[(i + 1) % 10]
        await s.add(ring[0])
        before = s.statements
        await s.flush()
        assert s.statements - before == 2
        own = Node(name="own")
        own.parent = own
        await s.add(own)
        await s.commit()
        rows = dict(await s.execute("SELECT id, parent_id FROM node"))
        assert all(rows[node.id] == node.parent.id for node in [*ring, own])
        assert own.parent_id == own.id


@pytest.mark.requirement("R24")
async def test_a_circle_can_be_deleted(db: Database) -> None:
    async with db.session() as s:
        ring = [Node(name=f"n{i}") for i in range(3)]
        for i, node in enumerate(ring):
            node.parent = ring[(i + 1) % 3]
        await s.add(ring[0])
        await s.commit()
        for node in ring:
            await s.delete(node)
        await s.commit()
        assert await s.scalar("SELECT count(*) FROM node") == 0


async def test_a_tree_is_deleted_leaves_first(db: Database) -> None:
    async with db.session() as s:
        root = Node(name="r", children=[Node(name="a", children=[Node(name="b")]), Node(name="c")])
        await s.add(root)
        await s.commit()
        for node in await s.all(Node):
            await s.delete(node)
        before = s.statements
        await s.commit()
        assert s.statements - before == 3  # two join tables' sides and the rows
        assert await s.scalar("SELECT count(*) FROM node") == 0


@pytest.mark.requirement("R24")
async def test_two_tables_that_refer_to_each_other(db: Database) -> None:
    async with db.session() as s:
        country = Country(code="fr")
        paris = City(name="Paris", country=country)
        country.capital = paris
        await s.add(country)
        await s.commit()
        assert await s.scalar("SELECT capital_id FROM country") == "Paris"
        await s.delete(country)
        await s.delete(paris)
        await s.commit()
        assert await s.scalar("SELECT count(*) FROM city") == 0


async def test_composite_keys_and_composite_foreign_keys(db: Database) -> None:
    async with db.session() as s:
        room = Room(house="A", number=1, name="hall", desks=[Desk(label="x"), Desk(label="y")])
        await s.add(room)
        await s.commit()
        desk = room.desks[0]
        assert (desk.room_house, desk.room_number) == ("A", 1)
        assert await s.get(Room, ("A", 1)) is room
        assert await s.get(Room, house="A", number=1) is room
        await s.add(Room(house="B", number=2))
        await s.commit()
        desk.room_house, desk.room_number = "B", 2
        await s.commit()
        assert (await s.read(desk, "room")).house == "B"
        assert names(await s.read(room, "desks"), "label") == ["y"]
    async with db.session() as s:
        desks = await s.do(lambda session: session.query(Desk).include(Desk.room).order_by(Desk.id).all())
        assert [d.room.house for d in desks] == ["B", "A"]
        await s.delete(desks[1].room)
        await s.commit()
        assert await s.scalar("SELECT count(*) FROM desk") == 1


async def test_natural_keys_and_server_defaults_of_many_rows(db: Database) -> None:
    async with db.session() as s:
        settings = [Setting(name=f"s{i}") for i in range(5)] + [Setting(name="given", value="v")]
        await s.add_all(settings)
        before = s.statements
        await s.commit()
        assert s.statements - before == 2
        assert [x.value for x in settings] == ["unset"] * 5 + ["v"]
        assert await s.get(Setting, "s3") is settings[3]


async def test_several_foreign_keys_to_one_table(db: Database) -> None:
    async with db.session() as s:
        a, b = Author(name="a"), Author(name="b")
        book = Book(title="t", author=a, editor=b)
        await s.add(book)
        await s.commit()
        assert names(await s.read(a, "books"), "title") == ["t"]
        assert await s.read(a, "edited") == []
        assert names(await s.read(b, "edited"), "title") == ["t"]


async def test_one_to_one_from_both_sides(db: Database) -> None:
    async with db.session() as s:
        a, b = Author(name="a"), Author(name="b")
        p, q = Profile(text="p"), Profile(text="q")
        a.profile = p
        q.author = b
        assert (p.author, b.profile) == (a, q)
        await s.add_all([a, q])
        await s.commit()
        assert (p.author_id, q.author_id) == (a.id, b.id)
        a.profile = None
        assert p.author is None
        await s.commit()
        b.profile = p
        assert q.author is None
        assert (p.author, b.profile) == (b, p)
        await s.commit()
        with pytest.raises(ValidationError, match="must be a Author"):
            p.author = Tag(name="t")  # type: ignore[assignment]
        await s.rollback()


async def test_assigning_a_profile_to_an_owner_that_has_one_frees_the_other(db: Database) -> None:
    async with db.session() as s:
        a = Author(name="a", profile=Profile(text="old"))
        await s.add(a)
        await s.commit()
        old = a.profile
        new = Profile(text="new", author=a)
        assert (a.profile, old.author) == (new, None)
        await s.delete(old)
        await s.add(new)
        await s.commit()
        assert await db.rows("SELECT text, author_id FROM profile") == [("new", 1)]


@pytest.mark.requirement("R24")
async def test_a_profile_that_was_only_read_from_its_owner_is_freed_as_well(db: Database) -> None:
    await db.save(Author(name="a", profile=Profile(text="old")), Profile(text="new"))
    async with db.session() as s:
        author = await s.get_one(Author, 1)
        (old,) = await s.all(Profile, Profile.text == "old")
        assert await s.read(author, "profile") is old
        (new,) = await s.all(Profile, Profile.text == "new")
        new.author_id = author.id
        await s.commit()
        assert (author.profile, new.author, old.author, old.author_id) == (new, author, None, None)
    assert await db.rows("SELECT text, author_id FROM profile ORDER BY text") == [("new", 1), ("old", None)]


async def test_a_new_profile_comes_into_the_session_of_its_owner_at_once(db: Database) -> None:
    await db.save(Author(name="a"))
    async with db.session() as s:
        author = await s.get_one(Author, 1)
        author.name = "changed"  # reading the former profile may flush it
        await s.read(author, "profile")
        first, second = Profile(text="first"), Profile(text="second")
        author.profile = first
        assert first in s.session
        assert s.new == [first]
        await s.commit()
        author.profile = second
        assert s.new == [second]
        await s.rollback()
        assert (author.profile, first.author, second in s.session) == (first, author, False)
        author.profile = second
        await s.commit()
    assert await db.rows("SELECT text, author_id FROM profile ORDER BY text") == [
        ("first", None),
        ("second", 1),
    ]


async def test_a_new_object_that_is_deleted_leaves_the_lists_that_hold_it(db: Database) -> None:
    await db.save(Author(name="a"), Book(title="b"))
    async with db.session() as s:
        author, book = await s.get_one(Author, 1), await s.get_one(Book, 1)
        await s.read(author, "books")
        await s.read(book, "tags")
        tag, late = Tag(name="t"), Book(title="late")
        book.tags.add(tag)
        author.books.add(late)
        await s.delete(tag)
        await s.delete(late)
        assert (list(book.tags), list(author.books), s.new) == ([], [], [])
        await s.commit()
        assert await s.scalar("SELECT count(*) FROM tag") == 0
        assert await s.scalar("SELECT count(*) FROM book") == 1


def test_a_new_profile_is_saved_though_its_owner_was_not_read_before(blocking: Database) -> None:
    with Session(blocking.engine) as session:
        session.add(Author(name="a"))
        session.commit()
    with Session(blocking.engine) as session:
        author = session.get_one(Author, 1)
        author.name = "changed"
        author.profile = Profile(text="p")
        session.commit()
        assert session.query(Profile).one().author is author


# --- many-to-many


@pytest.mark.requirement("R52", "R53", "R54")
async def test_links_from_both_sides_and_all_helpers(db: Database) -> None:
    async with db.session() as s:
        book = Book(title="b")
        t = [Tag(name=f"t{i}") for i in range(6)]
        await s.add_all([book, *t])
        await s.commit()
        book.tags.add(t[0])
        t[1].books.add(book)
        book.m2m_add("tags", t[2])
        await s.add_m2m(book, Book.tags, t[3], t[3])
        await s.add_m2m(book, "tags", t[4])
        await s.add_m2m(t[5], Tag.books, book)
        await s.commit()
        book.tags.add(t[0])
        await s.commit()
        assert names(await s.read(book, "tags")) == [f"t{i}" for i in range(6)]
        assert await s.read(t[0], "books") == [book]
        book.m2m_remove("tags", t[0])
        await s.remove_m2m(book, Book.tags, t[1])
        t[2].books.remove(book)
        await s.commit()
        assert names(book.tags) == ["t3", "t4", "t5"]
        assert await s.read(t[0], "books") == await s.read(t[1], "books") == []
        await s.clear_m2m(t[3], "books")
        with pytest.raises(ModelError, match="Book has no many-to-many relation"):
            await s.add_m2m(book, Book.title, t[3])
        await s.commit()
        assert names(book.tags) == ["t4", "t5"]
        book.m2m_clear("tags")
        book.tags.add(t[0])
        await s.commit()
        assert names(book.tags) == ["t0"]
        assert await s.scalar("SELECT count(*) FROM book_tags") == 1


async def test_adding_a_link_needs_no_load(db: Database) -> None:
    await db.save(Book(title="b", tags=[Tag(name="x")]), Tag(name="y"))
    async with db.session() as s:
        book, (tag,) = await s.get_one(Book, 1), await s.all(Tag, Tag.name == "y")
        before = s.statements
        book.tags.add(tag)
        await s.flush()
        assert s.statements - before == 1
        assert names(await s.read(book, "tags")) == ["x", "y"]
        await s.commit()


async def test_setting_a_list_adds_and_removes_what_differs(db: Database) -> None:
    async with db.session() as s:
        x, y, z = Tag(name="x"), Tag(name="y"), Tag(name="z")
        book = Book(title="b", tags=[x, y])
        await s.add_all([book, z])
        await s.commit()
        book.tags = [y, z]
        await s.commit()
        assert names(book.tags) == ["y", "z"]
        assert sorted(await db.rows("SELECT tag_id FROM book_tags")) == [(2,), (3,)] or len(book.tags) == 2
        with pytest.raises(ValidationError, match="holds Tag objects"):
            book.tags.add(Book(title="no"))  # type: ignore[arg-type]


async def test_a_one_sided_relation_and_one_of_a_model_to_itself(db: Database) -> None:
    async with db.session() as s:
        book = Book(title="b", awards=[Award(name="w")])
        a, b = Node(name="a"), Node(name="b")
        a.friends.add(b)
        await s.add_all([book, a])
        await s.commit()
        assert names(book.awards) == ["w"]
        assert await s.read(b, "friend_of") == [a]
        assert await s.read(b, "friends") == []
        await s.delete(b)
        await s.commit()
        assert await s.read(a, "friends") == []


async def test_a_through_model_links_and_carries_columns(db: Database) -> None:
    async with db.session() as s:
        ann, bob = Student(name="ann"), Student(name="bob")
        maths = Course(name="maths")
        await s.add(Enrolment(student=ann, course=maths, grade=1))
        bob.courses.add(maths)
        await s.add(bob)
        await s.commit()
        assert names(await s.read(maths, "students")) == ["ann", "bob"]
        assert await s.read(ann, "courses") == [maths]
        enrolment = await s.get_one(Enrolment, (ann.id, maths.id))
        assert enrolment.grade == 1
        await s.delete(enrolment)
        await s.commit()
        await s.refresh(maths)
        assert names(await s.read(maths, "students")) == ["bob"]


# --- changing


@pytest.mark.requirement("R27")
async def test_changes_are_written_without_add(db: Database) -> None:
    await db.save(Book(title="b", meta={"a": {"b": [1]}}, labels=["x"]), Author(name="a"), Author(name="c"))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        book.title = "new"
        book.meta["a"]["b"].append(2)
        book.labels.append("y")
        book.author = await s.get_one(Author, 1)
        assert book.author_id == 1
        await s.commit()
        book.author_id = 2
        assert (await s.get_one(Author, 2)) is await s.read(book, "author")
        await s.commit()
        book.author_id = None
        assert book.author is None
        book.labels = None
        await s.commit()
    assert await db.rows("SELECT title, meta, labels, author_id FROM book") == [
        ("new", '{"a":{"b":[1,2]}}', None, None)
    ]


async def test_a_value_set_to_itself_writes_nothing(db: Database) -> None:
    await db.save(Book(title="b", meta={"a": 1}))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        book.title = "b"
        book.meta["a"] = 1
        book.meta = {"a": 1}
        before = s.statements
        await s.commit()
        assert s.statements == before


@pytest.mark.requirement("R71")
async def test_statement_counts_do_not_depend_on_the_number_of_rows(db: Database) -> None:
    counts = []
    for size in (3, 200):
        async with db.session() as s:
            tags = [Tag(name=f"t{i}") for i in range(3)]
            authors = [
                Author(name=f"a{i}", books=[Book(title=f"b{size}-{i}-{j}", tags=tags) for j in range(2)])
                for i in range(size)
            ]
            await s.add_all(authors)
            await s.commit()
            inserted = s.statements
            for author in authors:
                author.name += "x"
                for book in author.books:
                    book.rating = 1
            await s.commit()
            updated = s.statements
            for author in authors:
                for book in list(author.books):
                    await s.delete(book)
                await s.delete(author)
            await s.commit()
            counts.append((inserted, updated - inserted, s.statements - updated))
    assert counts[0] == counts[1]
    assert counts[0][0] == 4


async def test_a_changed_key_moves_the_object_in_the_identity_map(db: Database) -> None:
    async with db.session() as s:
        setting = Setting(name="a", value="v")
        await s.add(setting)
        await s.commit()
        setting.name = "b"
        await s.flush()
        assert await s.get(Setting, "b") is setting
        assert await s.get(Setting, "a") is None
        await s.rollback()
        assert setting.name == "a"
        assert await s.get(Setting, "a") is setting
        assert await s.get(Setting, "b") is None


async def test_moving_a_child_between_parents_updates_loaded_lists(db: Database) -> None:
    await db.save(Author(name="a", books=[Book(title="x"), Book(title="y")]), Author(name="b"))
    async with db.session() as s:
        a, b = await s.get_one(Author, 1), await s.get_one(Author, 2)
        assert len(await s.read(a, "books")) == 2
        assert await s.read(b, "books") == []
        x, y = a.books
        b.books.add(x)
        assert (list(a.books), list(b.books), x.author) == ([y], [x], b)
        y.author = b
        assert list(a.books) == []
        x.author_id = a.id
        assert (list(a.books), list(b.books)) == ([x], [y])
        await s.commit()
        a.books.remove(x)
        assert x.author is None
        await s.commit()
    assert await db.rows("SELECT title, author_id FROM book ORDER BY title") == [("x", None), ("y", 2)]


# --- deleting


@pytest.mark.requirement("R26")
async def test_rules_on_delete_hold_in_the_database_and_in_memory(db: Database) -> None:
    async with db.session() as s:
        author = Author(name="a", profile=Profile(text="p"))
        book = Book(
            title="b", author=author, editor=author, tags=[Tag(name="t")], chapters=[Chapter(heading="h")]
        )
        await s.add(book)
        await s.commit()
        profile, chapter, tag = author.profile, book.chapters[0], book.tags[0]
        await s.delete(author)
        await s.commit()
        assert (book.author, book.author_id, book.editor, book.editor_id) == (None, None, None, None)
        assert profile not in s.session
        assert await s.get(Profile, 1) is None
        assert await s.read(tag, "books") == [book]
        await s.delete(book)
        await s.flush()
        assert chapter not in s.session
        assert list(tag.books) == []
        await s.rollback()
        assert list(tag.books) == [book]
        assert await s.get(Chapter, 1) is chapter
        assert await s.get(Book, 1) is book
        assert names(await s.read(book, "tags")) == ["t"]


async def test_restrict_refuses_and_leaves_everything(db: Database) -> None:
    from blaze.errors import ForeignKeyError

    async with db.session() as s:
        root = Node(name="r", children=[Node(name="c")])
        await s.add(root)
        await s.commit()
        await s.delete(root)
        with pytest.raises(ForeignKeyError):
            await s.flush()
        assert s.deleted == [root]
        await s.rollback()
        assert await s.get(Node, 1) is root
        assert root.children[0].parent is root


async def test_a_deleted_object_leaves_the_lists_that_show_it(db: Database) -> None:
    async with db.session() as s:
        author = Author(name="a", books=[Book(title="x"), Book(title="y")])
        await s.add(author)
        await s.commit()
        x, y = author.books
        await s.delete(x)
        await s.flush()
        assert list(author.books) == [y]
        assert await s.get(Book, x.id) is None
        await s.rollback()
        assert list(author.books) == [x, y]
        await s.delete(x)
        await s.commit()
        assert list(author.books) == [y]


async def test_a_deleted_object_stays_readable_and_can_be_added_again(db: Database) -> None:
    await db.save(Book(title="b", meta={"a": 1}))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        await s.delete(book)
        await s.commit()
        assert (book.id, book.title, book.meta) == (1, "b", {"a": 1})
        await s.add(book)
        await s.commit()
        assert await s.get(Book, 1) is book


async def test_get_does_not_find_what_is_about_to_be_deleted(db: Database) -> None:
    await db.save(Tag(name="t"))
    async with db.session() as s:
        tag = await s.get_one(Tag, 1)
        await s.delete(tag)
        assert await s.get(Tag, 1) is None
        await s.add(tag)
        assert await s.get(Tag, 1) is tag
        await s.commit()


async def test_a_row_replaced_in_one_flush(db: Database) -> None:
    """The deleted row goes before the insert of what takes its unique value or its key."""
    async with db.session() as s:
        old = Author(name="a", email="x")
        setting = Setting(name="k", value="1")
        await s.add_all([old, setting])
        await s.commit()
        await s.delete(old)
        await s.delete(setting)
        new, again = Author(name="b", email="x"), Setting(name="k", value="2")
        await s.add_all([new, again])
        await s.commit()
        assert await s.get(Setting, "k") is again
        assert await db.rows("SELECT name FROM author") == [("b",)]


async def test_what_a_changed_child_leaves_is_deleted_after_it(db: Database) -> None:
    async with db.session() as s:
        book = Book(title="b", chapters=[Chapter(heading="h")])
        await s.add(book)
        await s.commit()
        chapter, other = book.chapters[0], Book(title="c")
        chapter.book = other
        await s.delete(book)
        await s.commit()
        assert await db.rows("SELECT heading, book_id FROM chapter") == [("h", other.id)]
        assert await s.get(Chapter, chapter.id) is chapter


async def test_a_new_object_that_is_deleted_is_just_forgotten(db: Database) -> None:
    async with db.session() as s:
        tag = Tag(name="t")
        await s.add(tag)
        await s.delete(tag)
        assert tag not in s.session
        await s.commit()
        assert await s.scalar("SELECT count(*) FROM tag") == 0
        with pytest.raises(SessionError, match="never saved"):
            await s.delete(Tag(name="x"))


@pytest.mark.parametrize("who", ["new", "saved", "later"])
async def test_what_refers_to_a_new_object_that_is_deleted_does_not_bring_it_back(
    db: Database, who: str
) -> None:
    async with db.session() as s:
        tag, book, chapter = Tag(name="t"), Book(title="b"), Chapter(heading="h")
        await s.add(tag)
        if who == "saved":
            chapter.book = Book(title="a")
            await s.add(chapter)
        await s.commit()
        book.tags.add(tag)
        if who != "later":
            chapter.book = book
        await s.add_all([book, chapter])
        await s.delete(book)
        chapter.book = book
        assert s.new == ([] if who == "saved" else [chapter])
        said = "the Chapter with the key 1" if who == "saved" else "a new Chapter"
        for _ in range(2):
            with pytest.raises(
                SessionError, match=f"^{said} refers by Chapter.book to a new Book that was del"
            ):
                await s.commit()
        chapter.book = Book(title="c")
        await s.commit()
        assert [b.title for b in await s.all(Book)] == (["a", "c"] if who == "saved" else ["c"])
        assert await s.scalar("SELECT count(*) FROM book_tags") == 0
        assert await s.read(tag, "books") == []
        assert await s.read(book, "chapters") == []


@pytest.mark.parametrize("way", ["added", "needed", "in a list", "undone", "not"])
async def test_a_new_object_that_is_deleted_may_come_again(db: Database, way: str) -> None:
    async with db.session() as s:
        node = Node(name="n")
        child = Node(name="c", parent=node)
        await s.add_all([node, child])
        await s.delete(node)
        if way == "added":
            await s.add(node)
        elif way == "needed":
            await s.add(Node(name="o", parent=node))
        elif way == "in a list":
            await s.add(Node(name="o", children=[node]))
        elif way == "undone":
            await s.rollback()
            await s.add(child)
        else:
            await s.delete(child)
        await s.commit()
        shown = {n.name: n.parent and n.parent.name for n in await s.all(Node)}
        both = {"n": None, "c": "n"}
        assert (
            shown
            == {
                "added": both,
                "needed": {**both, "o": "n"},
                "in a list": {"n": "o", "c": "n", "o": None},
                "undone": both,
                "not": {},
            }[way]
        )


# --- stale rows and versions


@pytest.mark.requirement("R26")
async def test_an_update_or_delete_of_a_row_that_is_gone_raises(db: Database) -> None:
    await db.save(*[Tag(name=f"t{i}") for i in range(3)])
    async with db.session() as s:
        tags = await s.all(Tag)
        await s.execute("DELETE FROM tag WHERE id = 2")
        for tag in tags:
            tag.name += "x"
        with pytest.raises(StaleDataError, match=r"UPDATE of 3 Tag \(key 1, 2, 3\) met 2 rows.*refresh"):
            await s.flush()
        assert len(s.dirty) == 3
        await s.expunge(tags[1])
        await s.commit()
        await s.execute("DELETE FROM tag WHERE id = 1")
        await s.delete(tags[0])
        with pytest.raises(StaleDataError, match="DELETE of 1 Tag"):
            await s.commit()
        assert s.deleted == [tags[0]]
        await s.rollback()


async def test_a_version_column_detects_concurrent_changes(db: Database) -> None:
    await db.save(Account(owner="a"))
    async with db.session() as s, db.session() as other:
        mine, theirs = await s.get_one(Account, 1), await other.get_one(Account, 1)
        assert (mine.version, mine.state, mine.changes) == (1, "open", 0)
        mine.balance = 5
        await s.commit()
        assert (mine.version, mine.changes) == (2, 99)
        theirs.balance = 7
        with pytest.raises(StaleDataError):
            await other.commit()
        assert (theirs.version, theirs.balance, theirs.changes) == (1, 7, 0)
        await other.refresh(theirs)
        assert (theirs.version, theirs.balance) == (2, 5)
        theirs.balance = 7
        await other.commit()
        await s.delete(mine)
        with pytest.raises(StaleDataError):
            await s.commit()
        with pytest.raises(StaleDataError, match="merge"):
            await other.merge(mine)
        await s.rollback()


async def test_a_failed_flush_gives_the_version_back(db: Database) -> None:
    await db.save(Account(owner="a"), Account(owner="b"))
    async with db.session() as s:
        a, b = await s.get_one(Account, 1), await s.get_one(Account, 2)
        a.balance = 3
        b.owner = "a"
        with pytest.raises(UniqueError):
            await s.flush()
        assert (a.version, b.version, a.changes, a.balance, b.owner) == (1, 1, 0, 3, "a")
        b.owner = "c"
        await s.commit()
        assert (a.version, b.version) == (2, 2)


# --- what is refused


async def test_what_is_no_model_is_refused(db: Database) -> None:
    async with db.session() as s:
        for wrong in (object(), None, "x", Author):
            with pytest.raises(ModelError):
                await s.add(wrong)


async def test_a_circle_of_keys_that_are_not_null_says_what_to_do(db: Database) -> None:
    async with db.session() as s:
        chapter: Any = Chapter(heading="no book")
        await s.add(chapter)
        with pytest.raises(ValidationError, match="book"):
            await s.flush()
        await s.expunge(chapter)
        await s.commit()


@pytest.mark.requirement("R20")
async def test_the_type_of_a_loaded_object_makes_new_ones(db: Database) -> None:
    await db.save(Author(name="a", email="a"))
    async with db.session() as s:
        loaded = await s.get_one(Author, 1)
        for state in ("unchanged", "changed", "with deferred columns"):
            made = type(loaded)(name=state)
            assert (type(made), made.name, made.id, made in s.session) == (Author, state, None, False)
            if state == "unchanged":
                loaded.email = "b"
            elif state == "changed":
                await s.commit()
                await s.expunge(loaded)
                loaded = (await s.do(lambda session: session.query(Author).defer(Author.email).all()))[0]
        await s.add(made)
        await s.commit()
    assert await db.rows("SELECT name FROM author ORDER BY id") == [("a",), ("with deferred columns",)]


@pytest.mark.requirement("R27")
async def test_values_that_a_new_object_was_given_may_change_after_its_insert(db: Database) -> None:
    meta: dict[str, Any] = {"deep": {"n": [1]}}
    deep, labels = meta["deep"]["n"], ["a"]
    async with db.session() as s:
        book = Book(title="One", meta=meta, labels=labels)
        await s.add(book)
        await s.flush()
        assert book.meta is meta
        meta["x"] = 1
        await s.flush()
        deep.append(2)
        labels.append("b")
        await s.commit()
        other = Book(title="Two", meta={"own": 1})
        await s.add(other)
        await s.commit()
        other.meta["y"] = 2
        await s.commit()
    assert await db.rows("SELECT meta, labels FROM book ORDER BY id") == [
        ('{"deep":{"n":[1,2]},"x":1}', '["a","b"]'),
        ('{"own":1,"y":2}', None),
    ]
