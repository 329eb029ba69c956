"""Commit, rollback and nested blocks restore objects as well as rows; failures leave a usable session."""

# ruff: noqa: PT012, PT031 - what raises here are blocks: their ends, or what stands in them

from __future__ import annotations

import warnings
from typing import Any

import pytest

from blaze.errors import (
    CheckError,
    ConfigurationError,
    ForeignKeyError,
    NoResultError,
    NotNullError,
    SessionError,
    UncommittedChangesWarning,
    UniqueError,
    ValidationError,
)
from tests.persistence.models import (
    Account,
    Author,
    Book,
    Chapter,
    Course,
    Enrolment,
    Node,
    Profile,
    Setting,
    Student,
    Tag,
)
from tests.persistence.twins import Database, names


async def library(db: Database) -> None:
    await db.save(
        Author(name="a", email="a", profile=Profile(text="p"), books=[
            Book(title="x", meta={"k": [1]}, labels=["l"], tags=[Tag(name="t"), Tag(name="u")]),
            Book(title="y"),
        ]),
        Author(name="b", email="b"),
    )  # fmt: skip


# --- rollback


@pytest.mark.requirement("R22")
async def test_rollback_restores_every_kind_of_change(db: Database) -> None:
    await library(db)
    for flushed in (False, True):
        async with db.session() as s:
            a, b = await s.get_one(Author, 1), await s.get_one(Author, 2)
            x, y = await s.all(Book, Book.title.in_(["x", "y"]))
            for o, relation in [
                (a, "books"),
                (b, "books"),
                (x, "tags"),
                (a, "profile"),
                (b, "profile"),
                (x, "author"),
            ]:
                await s.read(o, relation)
            tags, profile = list(x.tags), a.profile
            for tag in tags:
                await s.read(tag, "books")
            books = list(a.books)
            x.title, x.author = "z", b
            x.meta["k"].append(2)
            x.labels.append("m")
            x.labels = None
            y.author_id = None
            x.tags.remove(tags[0])
            new_tag, new_author, new_book = Tag(name="n"), Author(name="n"), Book(title="n")
            x.tags.add(new_tag)
            new_book.author = new_author
            a.profile = None
            b.profile = profile
            await s.add(new_book)
            await s.delete(y)
            if flushed:
                await s.flush()
                assert new_book.author_id == new_author.id is not None
                x.title = "zz"
                x.meta["more"] = 1
                await s.flush()
            await s.rollback()
            assert (x.title, x.meta, x.labels) == ("x", {"k": [1]}, ["l"])
            assert (x.author, x.author_id, y.author, y.author_id) == (a, 1, a, 1)
            assert (list(a.books), list(b.books)) == (books, [])
            assert (list(x.tags), list(tags[0].books), list(tags[1].books)) == (tags, [x], [x])
            assert (a.profile, profile.author, b.profile) == (profile, a, None)
            assert new_tag.id is new_author.id is new_book.id is new_book.author_id is None
            assert not any(o in s.session for o in (new_tag, new_author, new_book))
            assert await s.get(Book, y.id) is y
            assert (s.new, s.dirty, s.deleted) == ([], [], [])
            assert new_book.author is new_author
            await s.add(new_book)
            await s.commit()
            assert new_book.author_id == new_author.id
            await s.delete(new_book)
            await s.delete(new_author)
            await s.commit()
    assert await db.rows("SELECT title, author_id FROM book ORDER BY title") == [("x", 1), ("y", 1)]


@pytest.mark.requirement("R22")
async def test_a_rolled_back_graph_can_be_added_again(db: Database) -> None:
    async with db.session() as s:
        tag = Tag(name="t")
        await s.add(tag)
        await s.commit()
        await s.read(tag, "books")
        author = Author(name="a", profile=Profile(text="p"))
        book = Book(
            title="b",
            author=author,
            tags=[tag, Tag(name="u")],
            chapters=[Chapter(heading="h")],
            meta={"a": 1},
        )
        await s.add(book)
        await s.flush()
        book.meta["a"] = 2
        await s.flush()
        await s.rollback()
        assert list(tag.books) == []
        assert list(author.books) == [book]
        assert [o.id for o in (author, book, book.chapters[0], author.profile)] == [None] * 4
        await s.add(book)
        assert list(tag.books) == [book]
        await s.commit()
        assert len(s.session.identity[Tag]) == 2
    async with db.session() as s:
        found = await s.get_one(Book, 1)
        assert names(await s.read(found, "tags")) == ["t", "u"]
        assert names(await s.read(found, "chapters"), "heading") == ["h"]
        assert (await s.read(found, "author")).name == "a"
        assert found.meta == book.meta


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("other", ["stored", "new"])
async def test_a_rolled_back_object_keeps_links_that_were_made_from_the_other_side(
    db: Database, other: str, flushed: bool
) -> None:
    async with db.session() as s:
        tag, book = Tag(name="t"), Book(title="b")
        await s.add(tag)
        if other == "stored":
            await s.commit()
        with s.session.no_autoflush():
            await s.add(book)
            tag.books.add(book)
        if flushed:
            await s.flush()
        await s.rollback()
        assert list(book.tags) == [tag]
        await s.add(book)
        await s.commit()
        assert (await s.read(book, "tags"), await s.read(tag, "books")) == ([tag], [book])
    assert await db.rows("SELECT book_id, tag_id FROM book_tags") == [(book.id, tag.id)]


async def test_a_rolled_back_server_default_comes_anew(db: Database) -> None:
    async with db.session() as s:
        account, setting = Account(owner="a"), Setting(name="k")
        await s.add_all([account, setting])
        await s.flush()
        assert (account.state, setting.value, account.version) == ("open", "unset", 1)
        await s.rollback()
        assert (account.id, account.state) == (None, None)
        await s.add_all([account, setting])
        await s.commit()
        assert (account.state, setting.value) == ("open", "unset")


async def test_lists_loaded_after_a_flush_do_not_keep_what_was_rolled_back(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        b = await s.get_one(Author, 2)
        x = (await s.all(Book, Book.title == "x"))[0]
        await s.add(Book(title="new", author_id=2))
        x.author = b
        await s.flush()
        assert len(await s.read(b, "books")) == 2
        await s.rollback()
        assert await s.read(b, "books") == []


async def test_objects_loaded_after_raw_writes_do_not_outlive_their_rollback(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        a = await s.get_one(Author, 1)
        await s.execute("INSERT INTO tag (id, name) VALUES (50, 'raw')")
        await s.bulk_insert([Tag(id=51, name="bulk")])
        await s.execute("UPDATE author SET name = 'raw' WHERE id = 2")
        await s.execute("UPDATE author SET name = 'raw' WHERE id = 1")
        await s.refresh(a)
        assert (a.name, (await s.get_one(Author, 2)).name) == ("raw", "raw")
        assert [(await s.get_one(Tag, key)).name for key in (50, 51)] == ["raw", "bulk"]
        await s.rollback()
        assert await s.get(Tag, 50) is await s.get(Tag, 51) is None
        assert (await s.get_one(Author, 2)).name == "b"
        assert await s.get(Author, 1) is a
        assert a.name == "a"


@pytest.mark.requirement("R18")
async def test_the_session_goes_on_after_commit_and_rollback(db: Database) -> None:
    async with db.session() as s:
        for i in range(3):
            await s.add(Tag(name=f"t{i}"))
            await s.commit()
            await s.add(Tag(name="lost"))
            await s.flush()
            await s.rollback()
        assert names(await s.all(Tag)) == ["t0", "t1", "t2"]


# --- nested blocks


class Boom(Exception):
    pass


@pytest.mark.requirement("R7", "R8")
@pytest.mark.parametrize("broken", range(6))
async def test_blocks_nest_to_depth_five_with_an_error_at_any_level(db: Database, broken: int) -> None:
    """An error at a level undoes that level and those inside it, no more and no less."""
    await db.save(Book(title="start", meta={"n": []}))
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        made: list[Tag] = []

        async def level(depth: int) -> None:
            tag = Tag(name=f"t{depth}")
            made.append(tag)
            await s.add(tag)
            book.title = f"level {depth}"
            book.meta["n"].append(depth)
            book.tags.add(tag)
            if depth % 2:
                await s.flush()
            if depth < 5:
                try:
                    async with s.transaction():
                        await level(depth + 1)
                except Boom:
                    pass
            if depth == broken:
                raise Boom

        try:
            async with s.transaction():
                await level(1)
        except Boom:
            pass
        kept = list(range(1, broken if broken else 6))
        last = kept[-1] if kept else None
        assert book.title == (f"level {last}" if last else "start")
        assert book.meta == {"n": kept}
        assert names(await s.read(book, "tags")) == [f"t{i}" for i in kept]
        assert [tag.id is not None for tag in made] == [i in kept for i in range(1, 6)]
        assert names(await s.all(Tag)) == [f"t{i}" for i in kept]
        assert s.session.in_transaction is False
    assert await db.rows("SELECT count(*) FROM tag") == [(len(kept),)]


@pytest.mark.requirement("R7")
async def test_an_inner_error_keeps_the_earlier_work_of_the_outer_block(db: Database) -> None:
    async with db.session() as s:
        async with s.transaction():
            author = Author(name="a")
            await s.add(author)
            with pytest.raises(UniqueError):
                async with s.transaction():
                    author.name = "inner"
                    await s.add_all([Author(name="x", email="e"), Author(name="y", email="e")])
            assert author.name == "a"
            async with s.transaction():
                author.email = "kept"
        assert await db.rows("SELECT name, email FROM author") == [("a", "kept")]


async def test_a_pending_object_of_before_the_block_survives_an_inner_error(db: Database) -> None:
    async with db.session() as s:
        async with s.transaction():
            before = Tag(name="before")
            await s.add(before)
            with pytest.raises(Boom):
                async with s.transaction():
                    await s.delete(before)
                    await s.flush()
                    raise Boom
            assert before in s.session
        assert names(await s.all(Tag)) == ["before"]


async def test_commit_inside_a_block_is_refused_and_rollback_ends_it(db: Database) -> None:
    async with db.session() as s:
        async with s.transaction():
            with pytest.raises(SessionError, match="the block commits at its end"):
                await s.commit()
        with pytest.raises(SessionError, match="ended inside its block"):
            async with s.transaction():
                await s.add(Tag(name="t"))
                await s.rollback()
                await s.add(Tag(name="flushed"))
                await s.flush()
                await s.add(Tag(name="pending"))
        assert s.session.new == []
        with pytest.raises(Boom):
            async with s.transaction(), s.transaction():
                await s.rollback()
                await s.add(Tag(name="pending"))
                raise Boom
        assert s.session.new == []
        await s.commit()
        assert await s.all(Tag) == []


@pytest.mark.requirement("R5", "R9")
async def test_begin_without_a_block_is_ended_by_commit_or_rollback(db: Database) -> None:
    async with db.session() as s:
        await s.begin()
        assert s.session.in_transaction
        await s.add(Tag(name="kept"))
        await s.commit()
        await s.begin()
        await s.add(Tag(name="lost"))
        await s.rollback()
        block = await s.begin()
        if db.asynchronous:
            async with block:
                await s.add(Tag(name="block"))
        else:
            with block:
                await s.add(Tag(name="block"))
        assert names(await s.all(Tag)) == ["block", "kept"]
        for statement in ("BEGIN", "commit", " /* x */ ROLLBACK", "SAVEPOINT a", "END"):
            with pytest.raises(SessionError, match="session's business"):
                await s.execute(statement)


async def test_isolation_and_read_only(db: Database) -> None:
    async with db.session() as s:
        async with s.transaction(isolation="SERIALIZABLE", read_only=True):
            assert await s.all(Tag) == []
            with pytest.raises(Exception, match=r"read-only|readonly"):
                await s.execute("INSERT INTO tag (name) VALUES ('x')")
            with pytest.raises(SessionError, match="outermost"):
                async with s.transaction(read_only=True):
                    pass
        with pytest.raises(ConfigurationError, match="SERIALIZABLE"):
            async with s.transaction(isolation="SERIALISABLE"):
                pass
        await s.add(Tag(name="t"))
        await s.flush()
        with pytest.raises(SessionError, match="begun already"):
            async with s.transaction(isolation="SERIALIZABLE"):
                pass
        await s.commit()


# --- failing flushes and commits


def failures() -> list[tuple[Any, Any]]:
    return [
        (lambda: Author(name="x", email="a"), UniqueError),
        (lambda: Author(name=None), ValidationError),  # type: ignore[arg-type]
        (lambda: Author(name="n" * 51), ValidationError),
        (lambda: Book(title="t", rating=-1), CheckError),
        (lambda: Book(title="t", author_id=999), ForeignKeyError),
        (lambda: Book(title="t", rating="many"), ValidationError),  # type: ignore[arg-type]
    ]


@pytest.mark.requirement("R20")
@pytest.mark.parametrize("number", range(6))
async def test_a_failing_flush_leaves_everything_as_it_was(db: Database, number: int) -> None:
    await library(db)
    make, error = failures()[number]
    async with db.session() as s:
        for earlier in (False, True):
            if earlier:
                await s.add(Tag(name="earlier"))
                await s.flush()
            a = await s.get_one(Author, 1)
            y = (await s.all(Book, Book.title == "y"))[0]
            profile = await s.get_one(Profile, 1)
            bad, good = make(), Author(name="good")
            child = Book(title="child", author=good, tags=[Tag(name="new")])
            a.name = "changed"
            y.rating = 5
            y.meta["m"] = 1
            await s.add_all([child, bad])
            await s.delete(profile)
            for _ in range(2):
                with pytest.raises(error):
                    await s.flush()
                assert (good.id, child.id, child.author_id, child.tags[0].id) == (None, None, None, None)
                assert set(map(id, s.dirty)) == {id(a), id(y)}
                assert {id(o) for o in s.new} == {id(o) for o in (good, child, child.tags[0], bad)}
                assert len(s.deleted) == 1
                assert (a.name, y.rating, y.meta) == ("changed", 5, {"m": 1})
            await s.expunge(bad)
            await s.flush()
            assert child.author_id == good.id is not None
            assert await s.scalar("SELECT count(*) FROM tag") == 3 + earlier
            await s.rollback()
            assert (a.name, y.rating, y.meta) == ("a", 0, {})


async def test_a_not_null_error_of_the_database_is_told_apart(db: Database) -> None:
    async with db.session() as s:
        with pytest.raises(NotNullError) as caught:
            await s.execute("INSERT INTO tag (name) VALUES (NULL)")
        assert caught.value.columns == ("name",)
        assert await s.all(Tag) == []


@pytest.mark.requirement("R20", "R21")
@pytest.mark.parametrize("earlier", [False, True])
async def test_a_commit_whose_flush_fails_keeps_everything_pending(db: Database, earlier: bool) -> None:
    await library(db)
    async with db.session() as s:
        if earlier:
            await s.add(Tag(name="earlier"))
            await s.flush()
        a = await s.get_one(Author, 1)
        a.name = "changed"
        duplicate, good = Author(name="x", email="b"), Book(title="good")
        await s.add_all([good, duplicate])
        for _ in range(2):
            with pytest.raises(UniqueError) as caught:
                await s.commit()
            assert caught.value.columns == ("email",)
            assert (a.name, s.dirty, s.new) == ("changed", [a], [good, duplicate])
            assert s.in_transaction is earlier
        duplicate.email = "c"
        await s.commit()
        assert None not in (duplicate.id, good.id)
    assert await db.rows("SELECT name FROM author") == [("changed",), ("b",), ("x",)]
    assert await db.rows("SELECT count(*) FROM tag WHERE name = 'earlier'") == [(int(earlier),)]


@pytest.mark.requirement("R21", "R22")
async def test_rollback_after_a_failed_commit_takes_back_all(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        earlier, duplicate = Tag(name="earlier"), Author(name="x", email="b")
        await s.add(earlier)
        await s.flush()
        a = await s.get_one(Author, 1)
        a.name = "changed"
        await s.add(duplicate)
        with pytest.raises(UniqueError):
            await s.commit()
        await s.rollback()
        assert (a.name, earlier.id, s.new, s.dirty) == ("a", None, [], [])
        await s.commit()
    assert await db.rows("SELECT count(*) FROM tag WHERE name = 'earlier'") == [(0,)]


@pytest.mark.requirement("R21")
async def test_a_commit_that_the_database_refuses_asks_for_a_rollback(db: Database) -> None:
    """A deferred foreign key is checked at COMMIT only."""
    async with db.session() as s:
        await s.execute("CREATE TABLE late (x REFERENCES tag (id) DEFERRABLE INITIALLY DEFERRED)")
        known = Tag(name="known")
        await s.add(known)
        await s.commit()
        tag = Tag(name="t")
        await s.add(tag)
        known.name = "changed"
        await s.execute("INSERT INTO late VALUES (77)")
        with pytest.raises(ForeignKeyError):
            await s.commit()
        await db.save(Tag(name="other"))  # the database has rolled back: no lock is held
        for use in (
            lambda: s.commit(),
            lambda: s.flush(),
            lambda: s.all(Tag),
            lambda: s.add(Tag(name="u")),
            lambda: s.delete(known),
            lambda: s.execute("SELECT 1"),
            lambda: s.begin(),
            lambda: s.run_in_transaction(lambda: None),
            lambda: s.bulk_insert([Tag(name="u")]),
        ):
            with pytest.raises(SessionError, match=r"the transaction is lost .*call rollback\(\)"):
                await use()
        await s.rollback()
        assert (tag.id, known.name) == (None, "known")
        assert tag not in s.session
        await s.add(tag)
        await s.commit()
    assert await db.rows("SELECT name FROM tag") == [("known",), ("other",), ("t",)]
    assert await db.rows("SELECT * FROM late") == []


async def test_a_session_with_a_refused_commit_can_be_closed(db: Database) -> None:
    async with db.session() as s:
        await s.execute("CREATE TABLE late (x REFERENCES tag (id) DEFERRABLE INITIALLY DEFERRED)")
        await s.commit()
    s = db.open()
    tag = Tag(name="t")
    await s.add(tag)
    await s.execute("INSERT INTO late VALUES (77)")
    with pytest.raises(ForeignKeyError):
        await s.commit()
    await s.close()
    assert tag.id is None
    for options in ({"auto_commit": True}, {"autocommit": True}):
        with pytest.raises(ForeignKeyError):
            async with db.session(**options) as s:
                await s.execute("INSERT INTO late VALUES (77)")
                await s.add(tag)
        assert tag.id is None
    assert await db.rows("SELECT name FROM tag") == []


@pytest.mark.requirement("R6", "R16")
async def test_what_commits_by_itself_rolls_back_when_that_fails(db: Database) -> None:
    await library(db)
    async with db.session(autocommit=True) as s:
        a, duplicate = await s.get_one(Author, 1), Author(name="x", email="b")
        a.name = "changed"
        with pytest.raises(UniqueError):
            await s.add(duplicate)
        assert duplicate not in s.session
        assert (a.name, s.new, s.dirty) == ("a", [], [])
        duplicate.email = "c"
        await s.add(duplicate)
    told: list[Any] = []

    class Told:
        def after_rollback(self, error: Any) -> None:
            told.append(type(error))

    again = Author(name="y", email="b")
    with pytest.raises(UniqueError):
        async with db.session(auto_commit=True, hooks=[Told()]) as s:
            await s.add(Tag(name="lost"))
            await s.flush()
            await s.add(again)
    assert told == [UniqueError]
    async with db.session() as s:
        with pytest.raises(UniqueError):
            async with s.transaction():
                await s.add(again)
        assert again not in s.session
        with pytest.raises(UniqueError):
            await s.run_in_transaction(lambda session: session.add(again))
        assert again not in s.session
        assert not s.in_transaction
    assert await db.rows("SELECT name FROM author") == [("a",), ("b",), ("x",)]
    assert await db.rows("SELECT count(*) FROM tag WHERE name = 'lost'") == [(0,)]


# --- the arguments of a session


@pytest.mark.requirement("R15", "R16", "R17")
async def test_what_the_end_of_the_block_keeps(db: Database) -> None:
    with pytest.warns(UncommittedChangesWarning, match="1 new"):
        async with db.session() as s:
            await s.add(Tag(name="lost"))
    with pytest.warns(UncommittedChangesWarning, match="flushed"):
        async with db.session() as s:
            await s.add(Tag(name="lost"))
            await s.flush()
    with pytest.warns(UncommittedChangesWarning, match="executed"):
        async with db.session() as s:
            await s.execute("INSERT INTO tag (name) VALUES ('lost')")
    async with db.session() as s:
        await s.add(Tag(name="t", books=[Book(title="b")]))
        await s.commit()
    with pytest.warns(UncommittedChangesWarning, match="relinked"):
        async with db.session() as s:
            (await s.get_one(Book, 1)).tags.clear()
    with pytest.warns(UncommittedChangesWarning, match="1 changed"):
        async with db.session() as s:
            (await s.get_one(Book, 1)).meta["a"] = 1
    async with db.session(auto_commit=True) as s:
        await s.add(Tag(name="kept"))
    with pytest.raises(Boom):
        async with db.session(auto_commit=True) as s:
            await s.add(Tag(name="lost"))
            raise Boom
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with db.session() as s:
            await s.all(Tag)
            tag = Tag(name="x")
            await s.add(tag)
            await s.rollback()
    assert await db.rows("SELECT name FROM tag ORDER BY name") == [("kept",), ("t",)]


@pytest.mark.requirement("R17")
async def test_without_auto_rollback_the_caller_decides(db: Database) -> None:
    s = db.open(auto_rollback=False)
    with pytest.raises(Boom):
        if db.asynchronous:
            async with s.session:
                await s.add(Tag(name="t"))
                raise Boom
        else:
            with s.session:
                await s.add(Tag(name="t"))
                raise Boom
    assert not s.session.closed
    await s.commit()
    await s.close()
    assert await db.rows("SELECT name FROM tag") == [("t",)]


@pytest.mark.requirement("R6")
async def test_autocommit_commits_each_add_and_delete(db: Database) -> None:
    async with db.session(autocommit=True) as s:
        tag = Tag(name="t")
        await s.add(tag)
        assert await db.rows("SELECT name FROM tag") == [("t",)]
        await s.add_all([Tag(name="u"), Tag(name="v")])
        await s.delete(tag)
        assert await db.rows("SELECT name FROM tag ORDER BY name") == [("u",), ("v",)]
        async with s.transaction():
            await s.add(Tag(name="w"))
            assert len(await db.rows("SELECT name FROM tag")) == 2
        assert len(await db.rows("SELECT name FROM tag")) == 3
        await s.add(Author(name="a", email="e"))
        with pytest.raises(UniqueError):
            await s.add(Author(name="b", email="e"))
        await s.add(Tag(name="x"))
        assert len(await db.rows("SELECT name FROM tag")) == 4


@pytest.mark.requirement("R19")
async def test_atomic_closes_at_commit(db: Database) -> None:
    s = db.open(atomic=True)
    await s.add(Tag(name="t"))
    await s.commit()
    for use in (
        lambda: s.all(Tag),
        lambda: s.add(Tag(name="u")),
        lambda: s.get(Tag, 1),
        lambda: s.commit(),
        lambda: s.rollback(),
        lambda: s.flush(),
        lambda: s.execute("SELECT 1"),
        lambda: s.begin(),
    ):
        with pytest.raises(SessionError, match="the session is closed; open a new one"):
            await use()
    await s.close()


async def test_all_combinations_of_the_flags(db: Database) -> None:
    """What is in the database after one add, an explicit commit or none, a clean or a failing end."""
    number = 0
    for bits in range(32):
        flags = {name: bool(bits >> i & 1) for i, name in enumerate(["autocommit", "auto_commit", "atomic"])}
        explicit, failing = bool(bits & 8), bool(bits & 16)
        if flags["autocommit"] and flags["atomic"] and explicit:
            continue  # the first add has closed the session already
        number += 1
        name = f"n{number}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UncommittedChangesWarning)
            try:
                async with db.session(**flags) as s:
                    await s.add(Tag(name=name))
                    if explicit:
                        await s.commit()
                    if failing:
                        raise Boom
            except Boom:
                pass
        kept = flags["autocommit"] or explicit or (flags["auto_commit"] and not failing)
        found = await db.rows(f"SELECT count(*) FROM tag WHERE name = '{name}'")
        assert found == [(int(kept),)], (flags, explicit, failing)


async def test_the_options_of_a_dsn_take_effect(db: Database, tmp_path: Any) -> None:
    from blaze import AsyncSession, Session

    dsn = f"{db.engine.config.redacted()}?autocommit=true&isolation_level=SERIALIZABLE"
    session: Any = AsyncSession(dsn) if db.asynchronous else Session(dsn)
    assert session.autocommit is True
    if db.asynchronous:
        async with session:
            await session.add(Tag(name="t"))
    else:
        with session:
            session.add(Tag(name="t"))
    assert await db.rows("SELECT name FROM tag") == [("t",)]


@pytest.mark.requirement("R13")
async def test_a_block_entered_twice_ends_with_the_outer_one(db: Database) -> None:
    s = db.open()
    if db.asynchronous:
        async with s.session:
            async with s.session:
                await s.add(Tag(name="t"))
            assert not s.session.closed
            await s.commit()
    else:
        with s.session:
            with s.session:
                await s.add(Tag(name="t"))
            assert not s.session.closed
            await s.commit()
    assert s.session.closed
    with pytest.raises(SessionError, match="closed"):
        if db.asynchronous:
            await s.session.__aenter__()
        else:
            s.session.__enter__()


async def test_a_keyboard_interrupt_rolls_back(db: Database) -> None:
    with pytest.raises(KeyboardInterrupt):
        async with db.session(auto_commit=True) as s:
            await s.add(Tag(name="t"))
            await s.flush()
            raise KeyboardInterrupt
    assert await db.rows("SELECT name FROM tag") == []


# --- run_in_transaction


async def test_a_function_runs_again_after_a_conflict(db: Database) -> None:
    from blaze.errors import SerializationError

    async with db.session() as s:
        calls: list[int] = []
        made: list[Tag] = []

        def work(session: Any) -> str:
            calls.append(1)
            made.append(Tag(name=f"t{len(calls)}"))
            session.add(made[-1])
            if len(calls) < 3:
                raise SerializationError("conflict")
            return "done"

        async def awork(session: Any) -> str:
            return work(session)

        assert await s.run_in_transaction(awork if db.asynchronous else work) == "done"
        assert names(await s.all(Tag)) == ["t3"]
        assert [tag in s.session for tag in made] == [False, False, True]
        calls.clear()
        calls += [1, 1, 1, 1]

        def fails() -> None:
            calls.append(1)
            raise SerializationError("conflict")

        async def afails() -> None:
            fails()

        calls.clear()
        with pytest.raises(SerializationError):
            await s.run_in_transaction(afails if db.asynchronous else fails, retries=2)
        assert len(calls) == 3

        def wrong() -> None:
            calls.append(1)
            raise Boom

        async def awrong() -> None:
            wrong()

        calls.clear()
        with pytest.raises(Boom):
            await s.run_in_transaction(awrong if db.asynchronous else wrong)
        assert len(calls) == 1
        calls.clear()
        with pytest.raises(SerializationError):
            await s.do(lambda session: session.transaction(retries=1)(afails if db.asynchronous else fails))
        assert len(calls) == 2
        with pytest.raises(SessionError, match="run_in_transaction"):
            async with s.transaction(retries=3):
                """Never."""


async def test_a_block_after_a_conflict_shows_what_others_have_written(db: Database) -> None:
    from blaze.errors import SerializationError

    await library(db)
    async with db.session() as s, db.session() as other:
        known, changed = await s.get_one(Author, 2), await s.get_one(Author, 1)
        await s.read(known, "books")
        with pytest.raises(SerializationError):
            async with s.transaction():
                x = (await s.all(Book, Book.title == "x"))[0]
                await s.read(x, "chapters")
                changed.name = "lost"
                await s.add(Author(name="lost"))
                await s.flush()
                raise SerializationError("conflict")
        theirs = (await other.all(Book, Book.title == "x"))[0]
        theirs.rating, (await other.get_one(Author, 2)).name = 5, "new"
        await other.add(Chapter(heading="new", book=theirs))
        await other.commit()
        assert (x.rating, known.name, changed.name, x in s.session) == (0, "b", "a", True)
        async with s.transaction():
            assert (x.rating, known.name, list(known.books)) == (5, "new", [])
            assert [c.heading for c in await s.read(x, "chapters")] == ["new"]
            assert (await s.all(Book, Book.title == "x"))[0] is x
            x.rating += 1
        assert (x.meta, x.tags and x.labels) == ({"k": [1]}, ["l"]) if not db.asynchronous else True
        before = s.statements
        with pytest.raises(Boom):
            async with s.transaction():
                raise Boom
        async with s.transaction():
            """Nothing is read again: nobody stood in the way."""
        assert s.statements == before
    assert await db.rows("SELECT rating FROM book WHERE title = 'x'") == [(6,)]


async def test_refresh_get_or_create_merge_and_expunge(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        a = await s.get_one(Author, 1)
        a.name = "local"
        await s.refresh(a)
        assert (a.name, s.dirty) == ("a", [])
        with pytest.raises(SessionError, match="not in the database yet"):
            new = Author(name="n")
            await s.add(new)
            await s.refresh(new)
        await s.rollback()
        found, created = await s.get_or_create(Author, email="b", defaults={"name": "unused"})
        assert (found.name, created) == ("b", False)
        found, created = await s.get_or_create(Author, email="c", defaults={"name": "made"})
        assert (found.name, created, found.id) == ("made", True, 3)
        await s.execute("DELETE FROM author WHERE id = 3")
        with pytest.raises(NoResultError, match="is gone"):
            await s.refresh(found)
        await s.expunge(found)
        outside = Author(name="merged", email="a")
        outside.id = 1
        merged = await s.merge(outside)
        assert merged is a
        assert a.name == "merged"
        fresh = await s.merge(Author(name="fresh"))
        await s.commit()
        assert fresh.id is not None
        b = await s.get_one(Author, 2)
        await s.expunge(b)
        b.name = "nobody sees it"
        assert b not in s.session
        again = await s.get_one(Author, 2)
        assert again is not b
        with pytest.raises(SessionError, match=r"another Author with the key 2; merge\(\)"):
            await s.add(b)
        await s.expunge(again)
        await s.add(b)
        await s.commit()
    assert await db.rows("SELECT name FROM author ORDER BY id") == [
        ("merged",),
        ("nobody sees it",),
        ("fresh",),
    ]


async def test_merge_keeps_json_apart_and_links_known_objects(db: Database) -> None:
    await library(db)
    async with db.session() as s:
        source = await s.get_one(Book, 1)
        assert source.meta == {"k": [1]}
    async with db.session() as s:
        target = await s.merge(source)
        assert target is not source
        source.meta["k"].append(9)
        assert target.meta == {"k": [1]}
        assert s.dirty == []


async def test_a_through_row_that_is_rolled_back_leaves_the_lists(db: Database) -> None:
    async with db.session() as s:
        ann, maths = Student(name="ann"), Course(name="maths")
        await s.add_all([ann, maths])
        await s.commit()
        assert await s.read(ann, "courses") == []
        await s.add(Enrolment(student=ann, course=maths))
        await s.flush()
        assert list(ann.courses) == [maths]
        await s.rollback()
        assert list(ann.courses) == []


async def test_nodes_of_a_rolled_back_circle_forget_their_keys(db: Database) -> None:
    async with db.session() as s:
        a, b = Node(name="a"), Node(name="b")
        a.parent, b.parent = b, a
        await s.add(a)
        await s.flush()
        assert (a.parent_id, b.parent_id) == (b.id, a.id)
        await s.rollback()
        assert (a.id, b.id, a.parent_id, b.parent_id) == (None, None, None, None)
        assert (a.parent, b.parent) == (b, a)
        await s.add(b)
        await s.commit()
        assert (a.parent_id, b.parent_id) == (b.id, a.id)
