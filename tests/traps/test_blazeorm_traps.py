"""The traps of BlazeORM 0.1.0: each test names one and shows that Blaze does not fall into it."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Optional

import pytest

from blaze import (
    Engine,
    Field,
    ForeignKey,
    Model,
    Session,
    UncommittedChangesWarning,
    create_all,
    field,
    foreign_key,
    hooks,
)
from blaze.errors import (
    BlazeError,
    ConfigurationError,
    ConnectionLostError,
    ForeignKeyError,
    NPlusOneWarning,
    PluginError,
    QueryError,
    SessionError,
    StaleDataError,
)
from blaze.security import Redactor
from tests.persistence.models import Account, Author, Book, Chapter, Node, Tag
from tests.persistence.twins import Database, names, settled


class Stamp(Model):
    id: Field[int] = field(primary_key=True)
    at: Field[datetime]
    maybe: Field[Optional[datetime]] = field(default=None)


class Renamed(Model):
    id: Field[int] = field(primary_key=True, column="RenamedId")
    name: Field[str] = field(column="Full Name")


class Base(Model):
    id: Field[int] = field(primary_key=True)
    created: Field[str] = field(default="now")

    class Meta:
        abstract = True


class Concrete(Base):
    title: Field[str]


class Owner(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]


class Deferred(Model):
    id: Field[int] = field(primary_key=True)
    owner: ForeignKey[Optional[Owner]] = foreign_key(on_delete="NO ACTION", deferrable=True)


@pytest.mark.requirement("R20")
async def test_generated_keys_come_back_from_the_insert(db: Database) -> None:
    async with db.session() as s:
        tags = [Tag(name=f"t{i}") for i in range(5)]
        await s.add_all(tags)
        await s.flush()
        assert [tag.id for tag in tags] == [1, 2, 3, 4, 5]
        await s.rollback()


async def test_a_datetime_is_read_back_as_it_was_written(db: Database) -> None:
    create_all(db.engine, [Stamp])
    moment = datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    await db.save(Stamp(at=moment))
    async with db.session() as s:
        (found,) = await s.all(Stamp)
        assert (found.at, found.at.utcoffset(), found.maybe) == (moment, timedelta(0), None)


async def test_a_killed_connection_ends_the_transaction_instead_of_keeping_its_second_half(
    db: Database,
) -> None:
    await db.save(Tag(name="before"))
    s = db.open()
    first, second = Tag(name="first"), Tag(name="second")
    await s.add(first)
    await s.flush()
    await settled(s.session.connection.close())
    await s.add(second)
    with pytest.raises(ConnectionLostError):
        await s.flush()
    with pytest.raises(SessionError, match="call rollback"):
        await s.commit()
    assert await db.rows("SELECT name FROM tag") == [("before",)]
    await s.rollback()
    await s.add_all([first, second])
    await s.commit()
    await s.close()
    assert len(await db.rows("SELECT name FROM tag")) == 3


async def test_a_failed_commit_leaves_no_level_and_no_lock(db: Database) -> None:
    create_all(db.engine, [Owner, Deferred])
    async with db.session() as s:
        for _ in range(3):
            with pytest.raises(ForeignKeyError):
                async with s.transaction():
                    await s.execute("INSERT INTO deferred (owner_id) VALUES (99)")
            assert not s.in_transaction
        await s.execute("INSERT INTO deferred (owner_id) VALUES (99)")
        with pytest.raises(ForeignKeyError):
            await s.commit()
        await db.save(Tag(name="other"))  # the lock is free
        await s.rollback()
        await s.add(Tag(name="after"))
        await s.commit()
    assert len(await db.rows("SELECT name FROM tag")) == 2
    assert await db.rows("SELECT * FROM deferred") == []


@pytest.mark.requirement("R22")
async def test_a_rollback_keeps_no_changed_value_as_if_it_were_stored(db: Database) -> None:
    await db.save(Tag(name="old"))
    async with db.session() as s:
        (tag,) = await s.all(Tag)
        tag.name = "new"
        await s.flush()
        await s.rollback()
        assert tag.name == "old"
        tag.name = "new"
        assert s.dirty == [tag]
        await s.commit()
    assert await db.rows("SELECT name FROM tag") == [("new",)]


@pytest.mark.requirement("R22", "R29")
async def test_a_rolled_back_insert_is_not_in_the_identity_map(db: Database) -> None:
    async with db.session() as s:
        tag = Tag(name="gone")
        await s.add(tag)
        await s.flush()
        key = tag.id
        await s.rollback()
        assert tag.id is None
        assert await s.get(Tag, key) is None
        await s.add(tag)
        await s.commit()
        assert await s.get(Tag, tag.id) is tag


@pytest.mark.requirement("R55")
async def test_select_related_with_a_condition_on_id_is_not_ambiguous(db: Database) -> None:
    await db.save(Book(title="b", author=Author(name="a")), Book(title="c", author=Author(name="d")))
    async with db.session() as s:
        (book,) = await s.do(lambda q: q.query(Book).select_related("author").where(Book.id == 1).all())
        assert (book.title, book.author.name) == ("b", "a")
        found = await s.do(
            lambda q: q.query(Book).select_related("author").filter(id=2).order_by(Book.id).all()
        )
        assert [b.author.name for b in found] == ["d"]


@pytest.mark.requirement("R55")
async def test_select_related_of_two_keys_to_one_table(db: Database) -> None:
    await db.save(Book(title="b", author=Author(name="writes"), editor=Author(name="edits")))
    async with db.session() as s:
        (book,) = await s.do(
            lambda q: (
                q.query(Book).select_related("author", "editor").where(Book.editor.name == "edits").all()
            )
        )
        before = s.statements
        assert (book.author.name, book.editor.name, s.statements - before) == ("writes", "edits", 0)


@pytest.mark.requirement("R55")
async def test_select_related_of_nested_paths(db: Database) -> None:
    await db.save(Chapter(heading="1", book=Book(title="b", author=Author(name="a"))))
    await db.save(Node(name="c", parent=Node(name="p", parent=Node(name="g"))))
    async with db.session() as s:
        (chapter,) = await s.do(lambda q: q.query(Chapter).select_related("book__author").all())
        (node,) = await s.do(
            lambda q: q.query(Node).select_related("parent__parent").where(Node.name == "c").all()
        )
        assert (chapter.book.author.name, node.parent.parent.name) == ("a", "g")
        assert s.statements == 2


@pytest.mark.requirement("R26")
async def test_adding_a_loaded_object_does_not_insert_it_again(db: Database) -> None:
    await db.save(Tag(name="one"))
    async with db.session() as s:
        (tag,) = await s.all(Tag)
        await s.add(tag)
        tag.name = "two"
        await s.add(tag)
        await s.commit()
    async with db.session() as s:
        tag.name = "three"
        await s.add(tag)  # of a closed session
        await s.commit()
    assert await db.rows("SELECT id, name FROM tag") == [(1, "three")]


@pytest.mark.requirement("R24")
async def test_no_child_is_stored_before_its_parent_or_with_null(db: Database) -> None:
    for turn in range(10):
        async with db.session() as s:
            author = Author(name=f"a{turn}")
            books = [Book(title=f"{turn}-{i}", author=author) for i in range(5)]
            chapters = [Chapter(heading="h", book=book) for book in books]
            await s.add_all([*chapters, *reversed(books), author] if turn % 2 else chapters)
            await s.commit()
    assert await db.rows("SELECT count(*) FROM book WHERE author_id IS NULL") == [(0,)]
    assert await db.rows("SELECT count(*) FROM chapter") == [(50,)]


@pytest.mark.requirement("R51")
async def test_a_foreign_key_gives_the_object_and_its_key_beside_it(db: Database) -> None:
    await db.save(Book(title="b", author=Author(name="a")))
    async with db.session() as s:
        (book,) = await s.all(Book)
        assert book.author_id == 1
        author = await s.read(book, "author")
        assert isinstance(author, Author)
        assert author.name == "a"


@pytest.mark.requirement("R52", "R54")
async def test_adding_a_many_to_many_pair_twice_is_no_error(db: Database) -> None:
    async with db.session() as s:
        book, tag = Book(title="b"), Tag(name="t")
        await s.add_all([book, tag])
        await s.add_m2m(book, Book.tags, tag)
        await s.add_m2m(book, "tags", tag, tag)
        await s.commit()
        await s.add_m2m(book, Book.tags, tag)
        await s.commit()
    async with db.session() as s:  # neither side is loaded
        book, tag = (await s.all(Book))[0], (await s.all(Tag))[0]
        book.m2m_add("tags", tag)
        await s.commit()
    assert await db.rows("SELECT count(*) FROM book_tags") == [(1,)]


@pytest.mark.requirement("R40")
async def test_get_uses_the_name_of_the_column(db: Database) -> None:
    create_all(db.engine, [Renamed])
    await db.save(Renamed(name="r"))
    async with db.session() as s:
        found = await s.get(Renamed, 1)
        found.name = "s"
        await s.commit()
        await s.refresh(found)
        assert found.name == "s"
        assert await s.get(Renamed, id=1) is found
        await s.delete(found)
        await s.commit()
    assert await db.rows('SELECT "RenamedId", "Full Name" FROM renamed') == []


async def test_wildcards_of_like_are_escaped(db: Database) -> None:
    wild = ["100%", "100x", "a_b", "axb", "c\\d", "c\\%d"]
    await db.save(*[Tag(name=name) for name in wild])
    async with db.session() as s:
        for text, expected in [
            ("0%", ["100%"]),
            ("_", ["a_b"]),
            ("\\", ["c\\%d", "c\\d"]),
            ("%", ["100%", "c\\%d"]),
        ]:
            assert names(await s.all(Tag, Tag.name.contains(text))) == sorted(expected)
            found = await s.do(lambda q, text=text: q.query(Tag).filter(name__icontains=text).all())
            assert names(found) == sorted(expected)
        assert names(await s.all(Tag, Tag.name.startswith("a_"))) == ["a_b"]
        assert names(await s.all(Tag, Tag.name.endswith("0%"))) == ["100%"]


@pytest.mark.parametrize("method", ["limit", "offset"])
@pytest.mark.parametrize("value", ["1; DROP TABLE tag", "1", 1.5, -1, True])
async def test_limit_takes_numbers_only(db: Database, method: str, value: Any) -> None:
    async with db.session() as s:
        with pytest.raises(QueryError):
            await s.do(lambda q: getattr(q.query(Tag), method)(value).all())


@pytest.mark.requirement("R46", "R47")
async def test_a_placeholder_in_quotes_or_comments_is_text(db: Database) -> None:
    statements = [
        ("SELECT 'a?b', '%s', ':x', ? -- ? %s :y", [7]),
        ("SELECT 'a?b', '%s', ':x', %s /* ? :y */", [7]),
        ("SELECT 'a?b', '%s', ':x', :n -- it's", {"n": 7}),
        ("SELECT 'a?b', '%s', ':x', ? AS \"q?\"", [7]),
    ]
    async with db.session() as s:
        for statement, params in statements:
            assert tuple((await s.execute(statement, params)).one()) == ("a?b", "%s", ":x", 7)
        await s.add(Tag(name="? %s :x"))
        await s.flush()
        assert (await s.do(lambda q: q.query(Tag).where(Tag.name == "? %s :x").one())).id == 1
        await s.rollback()


@pytest.mark.requirement("R10", "R83")
async def test_options_of_a_dsn_do_not_break_connecting(tmp_path: Path) -> None:
    options = (
        "connect_timeout=3&statement_timeout=2&lock_timeout=1&pool_timeout=4&pool_size=2&application_name=x"
    )
    engine = Engine(f"sqlite:///{tmp_path}/o.db?{options}&isolation_level=SERIALIZABLE&autocommit=true")
    create_all(engine, [Tag])
    with Session(engine) as session:
        session.add(Tag(name="kept"))  # autocommit
    with Session(engine) as session:
        assert session.exec_scalar("PRAGMA busy_timeout") == 1000
        assert session.query(Tag).count() == 1
    assert engine.pool_stats().size == 2
    await engine.adispose()
    with pytest.raises(ConfigurationError, match="conect_timeout"):
        Engine(f"sqlite:///{tmp_path}/o.db?conect_timeout=3")


@pytest.mark.requirement("R89")
def test_passwords_are_decoded_and_never_shown() -> None:
    from blaze import ConnectionConfig

    config = ConnectionConfig.from_dsn("postgresql://us%40er:p%40ss%2Fw%3Ard@db/app")
    assert config.user == "us@er"
    shown = f"{config!r} {config} {config.redacted()}"
    assert "p@ss" not in shown
    assert "p%40ss" not in shown


def test_the_n_plus_one_warning_does_not_fire_on_inserts(engine: Engine) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", NPlusOneWarning)
        with Session(engine, autocommit=True) as session:
            for i in range(20):
                session.add(Tag(name=f"t{i}"))
            for i in range(20):
                session.execute("INSERT INTO tag (name) VALUES (?)", [str(i)])
            for tag in session.query(Tag):
                tag.name += "x"
                session.commit()


@pytest.mark.requirement("R93")
def test_statistics_do_not_grow_without_bound(engine: Engine) -> None:
    with Session(engine) as session:
        for i in range(3000):
            session.execute(f"SELECT {i} AS c{i}")
        assert session.query_stats().total == 3000
        assert len(session.query_stats()) <= 1000


def test_redaction_goes_by_whole_names() -> None:
    redactor = Redactor()
    assert redactor.parameters({"tokenize": "yes", "author": "x"}) == {"tokenize": "'yes'", "author": "'x'"}
    shown = redactor.parameters({"password": "hunter2", "t.api_key": "hunter2", "apiKey": "hunter2"})
    assert "hunter2" not in str(shown)
    assert "hunter2" not in str(redactor.parameters(["hunter2"]))


@pytest.mark.requirement("R91")
def test_importing_installs_no_log_handler() -> None:
    script = (
        "import logging, sys; import blaze, blaze_sqlite; from blaze import Session;"
        "Session('sqlite://').close();"
        "found = [n for n, l in logging.root.manager.loggerDict.items()"
        " if [h for h in getattr(l, 'handlers', []) if not isinstance(h, logging.NullHandler)]];"
        "assert not logging.root.handlers and not found, (logging.root.handlers, found)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert logging.getLogger("blaze").level == logging.NOTSET


@pytest.mark.requirement("R90")
def test_a_typo_in_the_name_of_an_event_is_refused() -> None:
    with pytest.raises((BlazeError, ValueError), match="before_save"):
        hooks.register("before_sav", lambda: None)

    class Typo:
        def before_comit(self) -> None: ...

    with pytest.raises((ConfigurationError, PluginError), match="before_commit"):
        Session("sqlite://", hooks=[Typo()])


async def test_fields_of_an_abstract_base_are_inherited(db: Database) -> None:
    create_all(db.engine, [Concrete])
    await db.save(Concrete(title="t"))
    assert await db.rows("SELECT id, created, title FROM concrete") == [(1, "now", "t")]


@pytest.mark.parametrize("model", [Tag, Account])
async def test_an_update_of_no_row_is_an_error(db: Database, model: Any) -> None:
    await db.save(Tag(name="x"), Account(owner="x"))
    async with db.session() as s:
        (found,) = await s.all(model)
        await settled(s.execute(f"DELETE FROM {model.__name__.lower()}"))
        setattr(found, "name" if model is Tag else "owner", "y")
        with pytest.raises(StaleDataError, match=model.__name__):
            await s.flush()
        await s.rollback()
        await s.do(lambda q: q.execute(f"DELETE FROM {model.__name__.lower()}"))
        await s.delete(found)
        with pytest.raises(StaleDataError, match=model.__name__):
            await s.commit()
        await s.rollback()


@pytest.mark.requirement("R4", "R7")
async def test_a_nested_with_on_one_session_does_not_break_it(db: Database) -> None:
    s = db.open()
    if db.asynchronous:
        async with s.session:
            async with s.session:
                await s.add(Tag(name="inner"))
            assert not s.closed
            await s.commit()
    else:
        with s.session:
            with s.session:
                await s.add(Tag(name="inner"))
            assert not s.closed
            await s.commit()
    assert s.closed
    assert await db.rows("SELECT name FROM tag") == [("inner",)]
    with pytest.warns(UncommittedChangesWarning):
        async with db.session() as lost:
            await lost.add(Tag(name="lost"))
