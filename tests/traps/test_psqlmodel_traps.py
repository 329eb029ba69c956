"""The traps of PSQLModel 0.9.31: each test names one and shows that Blaze does not fall into it."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Optional
from uuid import UUID, uuid4

import pytest

from blaze import (
    Delete,
    Engine,
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    SchemaBuilder,
    Session,
    Update,
    create_all,
    field,
    foreign_key,
    many_to_many,
)
from blaze.errors import ForeignKeyError, QueryError, UniqueError
from tests.persistence.models import Author, Book, Node, Tag
from tests.persistence.twins import Database, names

HOSTILE = ["'; DROP TABLE tag; --", '"; DELETE FROM tag; --', "\\'; --", "%(x)s ? :x %s", "\x00null", "a''b"]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Everything(Model):
    id: Field[int] = field(primary_key=True)
    flag: Field[bool]
    number: Field[float]
    money: Field[Decimal] = field(precision=20, scale=6)
    text: Field[str]
    data: Field[bytes]
    day: Field[date]
    clock: Field[time]
    moment: Field[datetime]
    span: Field[timedelta]
    key: Field[UUID]
    colour: Field[Colour]
    tree: Field[dict[str, Any]]
    row: Field[list[int]]
    nothing: Field[Optional[Decimal]] = field(precision=5, scale=2, default=None)


class Article(Model):
    id: Field[int] = field(primary_key=True)
    topics: ManyToMany[Topic] = many_to_many(related_name="articles")


class Topic(Model):
    id: Field[int] = field(primary_key=True)
    articles: ManyToMany[Article] = many_to_many(related_name="topics")


class Defaults(Model):
    id: Field[int] = field(primary_key=True)
    made: Field[str] = field(default_factory=lambda: str(uuid4()))
    labels: Field[list[str]] = field(default_factory=list)
    options: Field[dict[str, Any]] = field(default_factory=dict)


class Strict(Model):
    id: Field[int] = field(primary_key=True)
    author: ForeignKey[Author] = foreign_key(on_delete="NO ACTION")


async def test_values_are_never_pasted_into_the_statement(db: Database) -> None:
    async with db.session() as s:
        for value in HOSTILE:
            tag = Tag(name=value)
            await s.add(tag)
            await s.flush()
            found = await s.do(lambda q, value=value: q.query(Tag).where(Tag.name == value).one())
            assert found is tag
            assert len(await s.all(Tag, Tag.name.in_([value]))) == 1
            assert (
                len(await s.do(lambda q, value=value: q.query(Tag).filter(name__contains=value).all())) == 1
            )
            statement, params = s.session.query(Tag).where(Tag.name == value).to_sql()
            assert value not in statement
            assert value in params
            update = Update(Tag).set(name=value).where(Tag.name == value)
            assert (await s.exec(update)).rowcount == 1
        await s.commit()
        assert await s.do(lambda q: q.query(Tag).count()) == len(HOSTILE)


@pytest.mark.parametrize("name", ['id"; DROP TABLE tag; --', "name desc", "1", ""])
async def test_names_and_keys_are_no_way_into_the_statement(db: Database, name: str) -> None:
    async with db.session() as s:
        for refused in (
            lambda q: q.query(Tag).filter(**{name: 1}).all(),
            lambda q: q.query(Tag).order_by(name).all(),
            lambda q: q.query(Tag).include(name).all(),
            lambda q: q.exec(Update(Tag).set(**{name: 1}).all_rows()),
        ):
            with pytest.raises(QueryError):
                await s.do(refused)
        assert await s.do(lambda q: q.query(Tag).count()) == 0


@pytest.mark.requirement("R27")
async def test_an_edit_of_a_loaded_object_is_kept_without_adding_it_again(db: Database) -> None:
    await db.save(Tag(name="t"), Book(title="b", meta={"a": [1]}))
    async with db.session() as s:
        (tag,) = await s.all(Tag)
        (book,) = await s.all(Book)
        tag.name = "u"
        alias = book.meta["a"]
        alias.append(2)
        assert sorted(type(o).__name__ for o in s.dirty) == ["Book", "Tag"]
        await s.commit()
        alias.append(3)  # through an alias that outlived the commit
        await s.commit()
    assert await db.rows("SELECT name, meta FROM tag, book") == [("u", '{"a":[1,2,3]}')]


@pytest.mark.requirement("R20")
async def test_flush_gives_the_keys(db: Database) -> None:
    async with db.session() as s:
        book = Book(title="b", author=Author(name="a"))
        await s.add(book)
        await s.flush()
        assert None not in (book.id, book.author_id)
        await s.rollback()


@pytest.mark.requirement("R69", "R70", "R71")
async def test_bulk_operations_change_rows_in_few_statements(db: Database) -> None:
    async with db.session() as s:
        await s.bulk_insert([Tag(name=f"t{i}") for i in range(5000)])
        inserts = s.statements
        await s.commit()
        tags = await s.all(Tag)
        for i, tag in enumerate(tags):
            tag.name = f"u{i}"
        before = s.statements
        assert await s.bulk_update(tags, ["name"]) == 5000
        assert inserts < 50
        assert s.statements - before < 50
        await s.commit()
    assert await db.rows("SELECT count(*) FROM tag WHERE name LIKE 'u%'") == [(5000,)]


async def test_errors_leave_no_poisoned_and_no_lost_connection(db: Database) -> None:
    await db.save(Author(name="a", email="e"))
    for _ in range(30):
        s = db.open(autoflush=False)
        await s.add(Author(name="b", email="e"))
        with pytest.raises(UniqueError):
            await s.commit()
        with pytest.raises(QueryError):
            await s.do(lambda q: q.query(Author).filter(nme=1).all())
        with pytest.raises(Exception, match="nothing"):
            await s.execute("SELECT nothing FROM nowhere")
        await s.close()
        async with db.session() as after:
            assert len(await after.all(Author)) == 1
    stats = db.engine.pool_stats()
    assert (stats.in_use, stats.waiting) == (0, 0)


def test_an_engine_imports_no_file_of_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "bomb.py").write_text("raise SystemExit('imported')")
    (tmp_path / "models.py").write_text("open('imported', 'w').close()")
    script = (
        "from blaze import *\n"
        "class T(Model):\n    name: Field[str]\n"
        "e = Engine('sqlite:///x.db'); create_all(e, [T])\n"
        "with Session(e) as s: s.add(T(name='t')); s.commit()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    assert not (tmp_path / "imported").exists()


async def test_a_cancelled_query_leaves_the_session_usable(awaiting: Database) -> None:
    slow = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000000) SELECT max(x) FROM n"
    )
    async with awaiting.session() as s:
        await s.add(Tag(name="kept"))
        await s.flush()
        task = asyncio.ensure_future(s.execute(slow))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await s.scalar("SELECT count(*) FROM tag") == 1
        await s.commit()
    assert await awaiting.rows("SELECT name FROM tag") == [("kept",)]


@pytest.mark.requirement("R22", "R29")
async def test_the_identity_map_forgets_what_was_deleted_or_rolled_back(db: Database) -> None:
    await db.save(Tag(name="t"))
    async with db.session() as s:
        tag = await s.get(Tag, 1)
        await s.delete(tag)
        assert await s.get(Tag, 1) is None
        await s.flush()
        assert await s.get(Tag, 1) is None
        await s.rollback()
        assert await s.get(Tag, 1) is tag
        await s.delete(tag)
        await s.commit()
        assert await s.get(Tag, 1) is None
        again = Tag(id=1, name="again")
        await s.add(again)
        await s.commit()
        assert await s.get(Tag, 1) is again


async def test_children_are_not_deleted_where_no_on_delete_says_so(db: Database) -> None:
    create_all(db.engine, [Strict])
    await db.save(Strict(author=Author(name="a")), Node(name="c", parent=Node(name="p")))
    async with db.session() as s:
        await s.delete(await s.get(Author, 1))
        with pytest.raises(ForeignKeyError):
            await s.commit()
        await s.rollback()
        (parent,) = await s.all(Node, Node.name == "p")
        await s.delete(parent)
        with pytest.raises(ForeignKeyError):
            await s.commit()
        await s.rollback()
    assert await db.rows("SELECT count(*) FROM strict UNION ALL SELECT count(*) FROM node") == [(1,), (2,)]


async def test_a_many_to_many_declared_on_both_sides_is_one_table(db: Database) -> None:
    create_all(db.engine, [Article, Topic])
    async with db.session() as s:
        article, topic = Article(), Topic()
        article.topics.add(topic)
        await s.add(article)
        await s.commit()
        assert await s.read(topic, "articles") == [article]
    tables = await db.rows("SELECT name FROM sqlite_master WHERE name LIKE '%topic%' AND type = 'table'")
    assert len(tables) == 2, tables


@pytest.mark.requirement("R31")
async def test_relations_do_not_keep_a_session_alive_from_one_to_the_next(db: Database) -> None:
    await db.save(Book(title="b", author=Author(name="a"), tags=[Tag(name="t")]))
    kept = []
    sessions = []
    for _ in range(3):
        async with db.session() as s:
            (book,) = await s.do(lambda q: q.query(Book).include(Book.author, Book.tags).all())
            sessions.append(weakref.ref(s.session))
            kept.append(weakref.ref(book))
        del s, book
    gc.collect()
    assert [r() for r in kept + sessions] == [None] * 6


async def test_an_empty_list_matches_nothing(db: Database) -> None:
    await db.save(Tag(name="t"))
    async with db.session() as s:
        assert await s.all(Tag, Tag.id.in_([])) == []
        assert len(await s.all(Tag, ~Tag.id.in_([]))) == 1
        assert await s.do(lambda q: q.query(Tag).filter(id__in=[]).all()) == []
        assert len(await s.do(lambda q: q.query(Tag).exclude(id__in=()).all())) == 1
        assert await s.do(lambda q: q.query(Tag).where(Tag.id.in_([])).delete()) == 0
        await s.rollback()


async def test_the_direction_of_an_order_is_said_once(db: Database) -> None:
    await db.save(*[Tag(name=name) for name in "bca"])
    async with db.session() as s:
        for order in (Tag.name.desc(), "-name"):
            found = await s.do(lambda q, order=order: q.query(Tag).order_by(order).all())
            assert [tag.name for tag in found] == ["c", "b", "a"]
        turned = await s.do(lambda q: q.query(Tag).order_by(Tag.name.asc()).all())
        assert [tag.name for tag in turned] == ["a", "b", "c"]
        query = s.session.query(Tag).order_by(Tag.name.desc())
        assert "DESC ASC" not in query.to_sql()[0]


async def test_delete_and_update_without_a_condition_are_refused(db: Database) -> None:
    await db.save(Tag(name="t"))
    async with db.session() as s:
        for refused in (
            lambda q: q.exec(Delete(Tag)).all(),
            lambda q: q.exec(Update(Tag).set(name="x")).all(),
        ):
            with pytest.raises(QueryError, match="all_rows"):
                await s.do(refused)
        assert names(await s.all(Tag)) == ["t"]
        await s.do(lambda q: q.exec(Delete(Tag).all_rows()).all())
        await s.commit()
    assert await db.rows("SELECT count(*) FROM tag") == [(0,)]


async def test_a_default_that_is_a_function_is_not_frozen_into_the_schema(db: Database) -> None:
    sql = str(SchemaBuilder(db.engine.dialect).create_table_sql(Defaults))
    assert "DEFAULT" not in sql.upper().replace('"DEFAULTS"', "")
    create_all(db.engine, [Defaults])
    await db.save(Defaults(), Defaults())
    first, second = await db.rows("SELECT made FROM defaults")
    assert first != second


async def test_mutable_defaults_are_not_shared(db: Database) -> None:
    create_all(db.engine, [Defaults])
    first, second = Defaults(), Defaults()
    first.labels.append("x")
    first.options["y"] = 1
    assert (second.labels, second.options) == ([], {})
    await db.save(first, second)
    assert await db.rows("SELECT labels, options FROM defaults") == [('["x"]', '{"y":1}'), ("[]", "{}")]


async def test_every_python_type_makes_valid_tables_and_comes_back(db: Database) -> None:
    create_all(db.engine, [Everything])
    values: dict[str, Any] = {
        "flag": True,
        "number": 0.1,
        "money": Decimal("12345678901234.567890"),
        "text": "ß\u20ac\U0001f600",
        "data": bytes(range(256)),
        "day": date(1, 1, 1),
        "clock": time(23, 59, 59, 999999),
        "moment": datetime(2024, 1, 1, tzinfo=timezone.utc),
        "span": timedelta(days=-1, microseconds=1),
        "key": uuid4(),
        "colour": Colour.BLUE,
        "tree": {"a": [None, 1.5, {"b": "c"}]},
        "row": [1, 2, 3],
        "nothing": None,
    }
    await db.save(Everything(**values))
    async with db.session() as s:
        (found,) = await s.all(Everything)
        assert {name: getattr(found, name) for name in values} == values
        assert [type(getattr(found, name)) for name in values] == [type(value) for value in values.values()]


async def test_a_large_payload_does_not_make_an_insert_fail(db: Database) -> None:
    text = "ä" * 3_000_000
    async with db.session() as s:
        book = Book(title="b", meta={"text": text})
        await s.add(book)
        await s.commit()
        await s.refresh(book)
        assert book.meta["text"] == text


def fail_in_session(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Tag(name="t"))
        session.flush()
        raise ZeroDivisionError


def test_sessions_that_fail_at_once_do_not_exhaust_the_pool(tmp_path: Path) -> None:
    with Engine(f"sqlite:///{tmp_path / 'p.db'}", pool_size=1, max_overflow=0, pool_timeout=0.2) as engine:
        create_all(engine, [Tag])
        for _ in range(20):
            with pytest.raises(ZeroDivisionError):
                fail_in_session(engine)
        with Session(engine) as session:
            assert session.query(Tag).count() == 0
