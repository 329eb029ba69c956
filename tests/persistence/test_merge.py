"""`merge`, `expunge` and `get_or_create`."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest

from blaze.errors import (
    CheckError,
    ModelError,
    NotLoadedError,
    NPlusOneWarning,
    QueryError,
    SessionError,
    StaleDataError,
    UniqueError,
    ValidationError,
)
from tests.persistence.models import Account, Author, Book, Chapter, Node, Profile, Setting, Tag
from tests.persistence.twins import Database, names

# --- merge


@pytest.mark.requirement("R26")
async def test_merge_of_a_new_object_copies_it(db: Database) -> None:
    async with db.session() as s:
        source = Setting(name="k", value="v")
        merged = await s.merge(source)
        assert merged is not source
        assert (source in s.session, merged in s.session) == (False, True)
        await s.commit()
        assert await s.merge(merged) is merged
        with pytest.raises(ModelError, match="cannot merge str"):
            await s.merge("x")
    assert await db.rows("SELECT name, value FROM setting") == [("k", "v")]


@pytest.mark.requirement("R26")
async def test_merge_of_a_changed_detached_object_writes_what_differs(db: Database) -> None:
    await db.save(Book(title="b", meta={"k": [1]}), Author(name="a"))
    async with db.session() as s:
        source = await s.get_one(Book, 1)
    source.title = "changed"
    clone = pickle.loads(pickle.dumps(source))
    for each in (source, clone, copy.copy(clone)):
        async with db.session() as s:
            author = await s.get_one(Author, 1)
            target = await s.merge(each)
            assert (target.title, target.meta) == ("changed", {"k": [1]})
            target.author = author
            await s.commit()
    assert await db.rows("SELECT title, author_id FROM book") == [("changed", 1)]


@pytest.mark.requirement("R24", "R26")
async def test_merge_takes_the_loaded_objects_around_with_it(db: Database) -> None:
    author = Author(name="a", profile=Profile(text="p"))
    chapters = [Chapter(heading="0"), Chapter(heading="1")]
    await db.save(Book(title="b", author=author, tags=[Tag(name="t")], chapters=chapters))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        for name in ("author", "tags", "chapters"):
            await s.read(book, name)
        await s.read(book.author, "profile")
    book.author.name = "changed"
    book.author.profile.text = "changed"
    book.tags[0].name = "changed"
    gone = book.chapters[1]
    async with db.session() as s:
        mine = await s.merge(book)
        assert mine.author.name == mine.author.profile.text == "changed"
        assert names(mine.tags) == ["changed"]
        assert [o in s.session for o in (mine, mine.author, mine.tags[0], *mine.chapters)] == [True] * 5
        await s.commit()
    book.tags = [Tag(name="new")]
    book.chapters.remove(gone)
    gone.book = Book(title="other")
    async with db.session() as s:
        mine = await s.merge(gone)
        await s.merge(book)
        await s.commit()
        assert mine.book.title == "other"
    assert await db.rows("SELECT a.name, p.text FROM author a JOIN profile p ON p.author_id = a.id") == [
        ("changed", "changed")
    ]
    assert await db.rows(
        "SELECT b.title, t.name FROM book_tags JOIN book b ON b.id = book_id JOIN tag t ON t.id = tag_id"
    ) == [("b", "new")]
    assert await db.rows(
        "SELECT c.heading, b.title FROM chapter c JOIN book b ON b.id = c.book_id ORDER BY c.heading"
    ) == [("0", "b"), ("1", "other")]


@pytest.mark.requirement("R24", "R26")
async def test_merge_of_a_circle_ends(db: Database) -> None:
    ring = [Node(name=str(i)) for i in range(3)]
    for i, node in enumerate(ring):
        node.parent = ring[(i + 1) % 3]
        node.friends.add(ring[(i + 1) % 3])
    async with db.session() as s:
        mine = await s.merge(ring[0])
        await s.commit()
        assert mine.parent.parent.parent is mine
        assert mine.friends[0] is mine.parent
    assert await db.rows("SELECT count(*) FROM node") == [(3,)]
    assert await db.rows("SELECT count(*) FROM node_friends") == [(3,)]


@pytest.mark.requirement("R26")
async def test_merge_reads_everything_before_it_changes_anything(db: Database) -> None:
    """A key that must not be NULL is there when a later read flushes."""
    await db.save(Book(title="b"))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
    chapter = Chapter(heading="h", book=book)
    async with db.session() as s:
        mine = await s.merge(chapter)
        await s.commit()
        assert (mine.book_id, mine.book.title) == (1, "b")


@pytest.mark.requirement("R26")
async def test_merge_of_an_outdated_version_is_refused(db: Database) -> None:
    await db.save(Account(owner="a"))
    async with db.session() as s:
        outdated = await s.get_one(Account, 1)
    async with db.session() as s:
        account = await s.get_one(Account, 1)
        account.balance = 1
        await s.commit()
        with pytest.raises(StaleDataError, match=r"merge\(\) of a Account .key 1. with version 1"):
            await s.merge(outdated)
        assert account.balance == 1
        outdated.version = account.version
        outdated.balance = 2
        await s.merge(outdated)
        await s.commit()
    assert await db.rows("SELECT balance, version FROM account") == [(2, 3)]


@pytest.mark.requirement("R26")
async def test_merge_leaves_a_foreign_key_alone_that_an_object_was_never_given(db: Database) -> None:
    await db.save(Book(title="b", author=Author(name="a"), editor=Author(name="e")))
    async with db.session() as s:
        for source in (Book(id=1, title="c"), pickle.loads(pickle.dumps(Book(id=1, title="d")))):
            assert source.author is None
            merged = await s.merge(source)
            assert (merged.author_id, merged.title) == (1, source.title)
        by_relation, by_key = Book(id=1, title="e"), Book(id=1, title="f")
        by_relation.author = None
        by_key.author_id = None
        given = [
            Book(id=1, title="x", author=None),
            Book(id=1, title="x", author_id=None),
            pickle.loads(pickle.dumps(Book(id=1, title="x", author=None))),
            by_relation,
            by_key,
        ]
        for source in given:
            merged.author_id = 1
            assert source.author is None
            await s.merge(source)
            assert (merged.author_id, merged.author, merged.editor_id) == (None, None, 2)
        await s.commit()
        loaded = await s.get_one(Book, 1)
        detached = pickle.loads(pickle.dumps(loaded))
        loaded.author_id = 1
        await s.merge(detached)  # this one was loaded with NULL
        assert loaded.author_id is None
    assert await db.rows("SELECT title, author_id, editor_id FROM book") == [("f", None, 2)]


@pytest.mark.requirement("R24", "R26")
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("held", [False, True])
async def test_merge_leaves_what_else_a_row_has_when_a_new_object_of_its_key_was_merely_linked(
    db: Database, copied: bool, held: bool
) -> None:
    await db.save(Author(name="a", books=[Book(title="1"), Book(title="2", tags=[Tag(name="t")])]))
    await db.save(Chapter(heading="1", book=Book(title="3", author_id=1)))
    linked = [
        Book(title="4", author=Author(id=1, name="a"), tags=[Tag(id=1, name="t")]),
        Chapter(heading="2", book=Book(id=3, title="3", author_id=1)),
    ]
    appended = [Author(id=1, name="a"), Book(id=2, title="2", author_id=1)]
    appended[0].books.add(Book(title="5"))
    appended[1].tags.add(Tag(id=1, name="t"), Tag(name="u"))  # the first is linked already
    async with db.session() as s:
        if held:
            author = await s.get_one(Author, 1)
            assert len(await s.read(author, "books")) == 3
        for source in [*linked, *appended]:
            await s.merge(copy.deepcopy(source) if copied else source)
        await s.commit()
    assert await db.rows("SELECT title, author_id FROM book ORDER BY title") == [(t, 1) for t in "12345"]
    assert await db.rows("SELECT heading, book_id FROM chapter ORDER BY heading") == [("1", 3), ("2", 3)]
    assert await db.rows("SELECT book_id, tag_id FROM book_tags ORDER BY 1, 2") == [(2, 1), (2, 2), (4, 1)]


@pytest.mark.requirement("R24", "R26")
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("how", ["constructor", "assignment", "clear"])
async def test_merge_takes_a_list_that_a_new_object_was_given_for_all_of_the_row(
    db: Database, copied: bool, how: str
) -> None:
    await db.save(Author(name="a", books=[Book(title="1"), Book(title="2", tags=[Tag(name="t")])]))
    if how == "constructor":
        author, book = Author(id=1, name="a", books=[]), Book(id=2, title="2", author=None, tags=[])
    else:
        author, book = Author(id=1, name="a"), Book(id=2, title="2", author=None)
        for listed in (author.books, book.tags):
            listed.set([]) if how == "assignment" else listed.clear()
    Book(title="3", author=author)  # is one of those given
    async with db.session() as s:
        for source in (author, book):
            await s.merge(copy.deepcopy(source) if copied else source)
        await s.commit()
    assert await db.rows("SELECT title, author_id FROM book ORDER BY title") == [
        ("1", None), ("2", None), ("3", 1),
    ]  # fmt: skip
    assert await db.rows("SELECT * FROM book_tags") == []


@pytest.mark.requirement("R26")
async def test_merge_in_a_loop_warns_of_nothing_and_reads_only_what_the_session_does_not_hold(
    db: Database,
) -> None:
    await db.save(*[Tag(name=str(i)) for i in range(20)])
    async with db.session() as s:
        tags = await s.all(Tag)
    for tag in tags:
        tag.name += "!"
    with warnings.catch_warnings():
        warnings.simplefilter("error", NPlusOneWarning)
        async with db.session(performance_threshold=2) as s:
            for tag in tags:
                await s.merge(tag)
            await s.commit()
        async with db.session(performance_threshold=2) as s:
            held = await s.all(Tag)
            before = (await s.query_stats()).total
            for tag in tags:
                await s.merge(tag)
            assert (await s.query_stats()).total == before
            assert names(held) == names(tags)


# --- expunge


@pytest.mark.requirement("R26")
async def test_expunge_takes_one_object_out_and_leaves_its_row(db: Database) -> None:
    await db.save(Book(title="b", author=Author(name="a"), meta={"k": 1}))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        author = await s.read(book, "author")
        book.title = "never written"
        author.name = "written"
        await s.expunge(book)
        assert (book in s.session, author in s.session, s.dirty) == (False, True, [author])
        await s.commit()
        assert (book.title, book.meta, book.author) == ("never written", {"k": 1}, author)
        with pytest.raises(NotLoadedError, match="belongs to no session"):
            book.tags[0]
        assert await s.get_one(Book, 1) is not book
        with pytest.raises(SessionError, match="does not belong to the session"):
            await s.expunge(book)
    assert await db.rows("SELECT title, name FROM book JOIN author ON 1") == [("b", "written")]


@pytest.mark.requirement("R26")
async def test_expunge_of_a_new_object_forgets_it_and_its_links(db: Database) -> None:
    await db.save(Tag(name="t"), Author(name="a"))
    async with db.session() as s:
        tag, author = await s.get_one(Tag, 1), await s.get_one(Author, 1)
        book = Book(title="b", tags=[tag])
        other = Book(title="c")
        await s.add(book)
        author.books.add(other)
        await s.expunge(book)
        await s.expunge(other)
        await s.commit()
        assert (book in s.session, other in s.session) == (False, False)
    assert await db.rows("SELECT * FROM book") == []
    assert await db.rows("SELECT * FROM book_tags") == []


# --- get_or_create


@pytest.mark.requirement("R24")
async def test_defaults_are_values_or_make_them(db: Database) -> None:
    calls: list[str] = []

    def name() -> str:
        calls.append("name")
        return "made"

    async with db.session() as s:
        author, created = await s.get_or_create(Author, email="x", defaults={"name": name})
        assert (author.name, created) == ("made", True)
        again, created = await s.get_or_create(Author, email="x", defaults={"name": name})
        assert (again is author, created, calls) == (True, False, ["name"])
        with pytest.raises(QueryError, match="takes a dict of fields and values, not function"):
            await s.get_or_create(Author, email="y", defaults=lambda: {"name": "z"})
        await s.commit()


@pytest.mark.requirement("R24")
async def test_get_or_create_gives_what_somebody_else_has_made_meanwhile(db: Database) -> None:
    """Inside a transaction, nothing of which is lost: the failed insert is undone by itself."""
    async with db.session() as s, s.transaction():
        await s.add(Tag(name="mine"))
        await s.flush()
        tag, created = await s.get_or_create(Tag, name="mine")
        assert (tag.id, created) == (1, False)
        author, created = await s.get_or_create(Author, email="x", defaults={"name": "a"})
        assert (author.name, created) == ("a", True)
        again, created = await s.get_or_create(Author, email="x", defaults={"name": "b"})
        assert (again, created) == (author, False)
        pending = Tag(name="pending")
        await s.add(pending)
        # The search is for another value than the one that is taken: the insert fails.
        with pytest.raises(UniqueError):
            await s.get_or_create(Author, name="z", email="x")
        assert (s.new, pending in s.session, pending.id) == ([], True, 2)
    assert await db.rows("SELECT name FROM tag ORDER BY id") == [("mine",), ("pending",)]
    assert await db.rows("SELECT name, email FROM author") == [("a", "x")]


@pytest.mark.requirement("R24")
async def test_get_or_create_leaves_nothing_pending_of_what_cannot_be_created(db: Database) -> None:
    async with db.session() as s:
        with pytest.raises(ValidationError):
            await s.get_or_create(Author, name="x" * 100)
        with pytest.raises(CheckError):
            await s.get_or_create(Book, title="b", defaults={"rating": -1})
        assert s.new == []
        await s.commit()
    assert await db.rows("SELECT * FROM author") == []
