"""Streams: what they tell of themselves, what they load, and how they end."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from pathlib import Path
from typing import Any, Optional

import pytest

from blaze import (
    AsyncSession,
    Engine,
    Field,
    ForeignKey,
    Model,
    QueryError,
    Session,
    acreate_all,
    create_all,
    field,
    foreign_key,
    sql,
)
from blaze.errors import DatabaseError
from tests.query.conftest import Both
from tests.query.models import Author, Book, Review, Tag


async def take(stream: Any, count: int = 10**9) -> list[Any]:
    """Return the first items of a stream of either kind, and close it."""
    found = []
    if hasattr(stream, "__aiter__"):
        async for item in stream:
            found.append(item)
            if len(found) == count:
                break
        await stream.aclose()
        return found
    for item in stream:
        found.append(item)
        if len(found) == count:
            break
    stream.close()
    return found


class Twig(Model):
    """A hierarchy, whose rows become objects of several classes."""

    id: Field[int] = field(primary_key=True)
    parent: ForeignKey[Optional[Twig]] = foreign_key(related_name="twigs", default=None)

    class Meta:
        discriminator = "kind"


class Leaf(Twig):
    pass


class Nest(Model):
    id: Field[int] = field(primary_key=True)
    twig: ForeignKey[Twig] = foreign_key(related_name="nests")


class Told:
    """Hooks that note what they were told."""

    def __init__(self) -> None:
        self.loaded: list[Any] = []
        self.executed: list[Any] = []

    def on_load(self, instance: Any) -> None:
        self.loaded.append(instance)

    def after_execute(self, statement: str, rows: int, error: Any) -> None:
        self.executed.append((statement, rows, error))


def opened(engine: Engine, kind: str, **options: Any) -> Any:
    return AsyncSession(engine, **options) if kind == "async" else Session(engine, **options)


async def closed(session: Any, engine: Engine) -> None:
    if isinstance(session, AsyncSession):
        await session.close()
        await engine.adispose()
    else:
        session.close()


async def test_a_stream_shows_in_the_statistics(both: Both) -> None:
    both.session.reset_query_stats()
    assert len(await take(both.query(Book).order_by("id").stream(size=2))) == 7
    (entry,) = list(both.session.query_stats())
    assert (entry.count, entry.rows) == (1, 7)
    assert 'FROM "book"' in entry.sql
    assert len(await take(both.query(Book).order_by("id").stream(size=2), 3)) == 3
    (entry,) = list(both.session.query_stats())
    assert (entry.count, entry.rows) == (2, 11), "what was read of one that was left"


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_hooks_hear_of_streams_and_their_objects(engine: Engine, kind: str) -> None:
    told = Told()
    session = opened(engine, kind, hooks=[told])
    try:
        books = await take(session.query(Book).include("author", "tags").order_by("id").stream(size=3))
        assert [o for o in told.loaded if isinstance(o, Book)] == books
        assert {o.name for o in told.loaded if isinstance(o, Author)} == {
            "Ursula",
            "Italo",
            "Octavia",
            "Émile",
        }
        assert any(isinstance(o, Tag) for o in told.loaded)
        assert [(rows, error) for text, rows, error in told.executed if 'FROM "book" ORDER' in text] == [
            (7, None)
        ]
        told.loaded.clear()
        assert len(await take(session.query(Book.title).stream())) == 7
        assert told.loaded == []
    finally:
        await closed(session, engine)


async def test_a_stream_that_fails_says_so(both: Both) -> None:
    query = both.query(Book).where(sql("no_such_function(1) = 1"))
    before = both.statements
    with pytest.raises(DatabaseError):
        await take(query.stream())
    assert both.statements == before
    assert len(await take(both.query(Book).stream())) == 7


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_joined_relations_of_a_hierarchy_are_streamed_along(kind: str, size: int) -> None:
    engine = Engine("sqlite://", pool_size=1, max_overflow=0)
    with Session(engine, auto_commit=True) as filling:
        filling.create_all(Twig, Leaf, Nest)
        for model, parent in ((Leaf, 0), (Twig, 0), (Leaf, 0), (Leaf, 2), (Twig, 1), (Twig, 2)):
            filling.add(model(parent=filling.get(Twig, parent)))
            filling.flush()
        filling.add(Nest(twig=filling.get_one(Twig, 4)))
    session = opened(engine, kind, lazy="raise")
    for query in (
        session.query(Twig).select_related(Twig.parent),
        session.query(Leaf).select_related("parent"),
    ):
        twigs = await take(query.stream(size=size))
        parents = {twig.id: twig.parent and (type(twig.parent).__name__, twig.parent.id) for twig in twigs}
        assert (
            parents.items()
            <= {1: None, 2: None, 3: None, 4: ("Twig", 2), 5: ("Leaf", 1), 6: ("Twig", 2)}.items()
        )
        assert len(parents) > 2
    (nest,) = await take(session.query(Nest).select_related(Nest.twig.parent).stream(size=size))
    assert (type(nest.twig).__name__, nest.twig.id, nest.twig.parent.id) == ("Leaf", 4, 2)
    await closed(session, engine)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_abandoned_stream_frees_its_connection(tmp_path: Path, kind: str) -> None:
    engine = Engine(f"sqlite:///{tmp_path}/own.db", pool_size=1, max_overflow=0, pool_timeout=0.5)
    create_all(engine, [Tag])
    with Session(engine) as filling:
        filling.bulk_insert([Tag(name=f"n{n}") for n in range(50)])
        filling.commit()
    for _ in range(3):
        session = opened(engine, kind)
        stream = session.query(Tag).stream(size=5)
        if kind == "async":
            await stream.__anext__()
            await session.close()
        else:
            next(stream)
            session.close()
        del stream
    for _ in range(3):
        session = opened(engine, kind)
        assert len(await take(session.query(Tag).stream(size=5), 7)) == 7
        await (session.close() if kind == "async" else _nothing(session.close()))
    assert engine.pool_stats().in_use == 0
    await engine.adispose()


async def _nothing(value: Any) -> None:
    assert value is None


async def test_what_a_stream_changes_is_written(both: Both) -> None:
    stream = both.query(Book).order_by("id").stream(size=2)
    if hasattr(stream, "__aiter__"):
        async for book in stream:
            book.pages += 1000
    else:
        for book in stream:
            book.pages += 1000
    assert len(both.session.dirty) == 7
    await both(both.session.commit())
    assert await both(both.query(Book).where(Book.pages < 1000).count()) == 0
    assert both.session.dirty == []


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_long_stream_takes_the_memory_of_a_batch(engine: Engine, kind: str) -> None:
    with Session(engine) as filling:
        filling.execute(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000)"
            " INSERT INTO review (stars, book_id) SELECT x % 5, x % 7 + 1 FROM n"
        )
        filling.commit()
    session = opened(engine, kind)
    try:
        await take(session.query(Review).include("book").stream(size=200), 300)
        tracemalloc.start()
        seen = 0
        stream = session.query(Review).include("book").stream(size=200)
        if kind == "async":
            async for review in stream:
                seen += review.book.id > 0
        else:
            for review in stream:
                seen += review.book.id > 0
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seen == 20_009
        assert peak < 1_500_000, "20,000 objects take 5 MB"
        assert sum(len(objects) for objects in session.identity.values()) == 0
    finally:
        await closed(session, engine)


@pytest.mark.parametrize("size", [0, -1, 1.5, "5", True, None])
async def test_a_batch_has_a_size(both: Both, size: Any) -> None:
    with pytest.raises(QueryError, match="size"):
        await take(both.query(Book).stream(size=size))


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_batch_is_freed_without_the_garbage_collector(engine: Engine, kind: str) -> None:
    def alive() -> int:
        return sum(isinstance(each, Review) for each in gc.get_objects())

    with Session(engine) as filling:
        filling.execute(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000)"
            " INSERT INTO review (stars, book_id) SELECT x % 5, x % 7 + 1 FROM n"
        )
        filling.commit()
    session = opened(engine, kind)
    gc.collect()
    gc.disable()
    try:
        before, most, seen = alive(), 0, 0
        stream = session.query(Review).stream(size=100)
        if kind == "async":
            async for _ in stream:
                seen += 1
                most = max(most, alive() - before if seen % 500 == 0 else 0)
        else:
            for _ in stream:
                seen += 1
                most = max(most, alive() - before if seen % 500 == 0 else 0)
        assert seen == 2_009
        assert most <= 201
        assert alive() - before <= 1
    finally:
        gc.enable()
        await closed(session, engine)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_rollback_unloads_what_is_held_and_keeps_nothing_else_of_a_stream(
    engine: Engine, kind: str
) -> None:
    session = opened(engine, kind)
    both = Both(session)
    held = await both(session.get_one(Author, 1))
    gc.collect()
    before = sum(isinstance(each, (Author, Book)) for each in gc.get_objects())
    try:
        await both(session.execute("DELETE FROM review"))
        await both(session.execute("DELETE FROM book WHERE id > 1"))
        seen = [
            (author.id, len(author.books))
            for author in await take(session.query(Author).include("books").order_by("id").stream(size=1))
        ]
        assert seen == [(1, 1), (2, 0), (3, 0), (4, 0), (5, 0)]
        assert len(held.books) == 1
        gc.collect()
        now = sum(isinstance(each, (Author, Book)) for each in gc.get_objects())
        assert now == before + 1, "the book of the list that is held"
        await both(session.rollback())
        await both(session.load(held, Author.books))
        assert len(held.books) > 1
    finally:
        await closed(session, engine)


@pytest.mark.parametrize("after", ["count", "commit", "nothing"])
async def test_a_stream_that_is_left_ends_in_silence(tmp_path: Path, after: str) -> None:
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
    async with Engine(f"sqlite:///{tmp_path / 'left.db'}") as engine:
        await acreate_all(engine, [Tag])
        async with AsyncSession(engine) as session:
            await session.bulk_insert([Tag(id=number, name=str(number)) for number in range(3000)])
            await session.commit()
        async with AsyncSession(engine) as session:
            async for _ in session.query(Tag).stream():
                break
            if after == "count":
                assert await session.query(Tag).count() == 3000
            elif after == "commit":
                await session.commit()
        for _ in range(5):
            await asyncio.sleep(0.01)
        gc.collect()
        assert engine.pool_stats().in_use == 0
    assert problems == []
