"""What sessions do with a cache: read through it, fill it, and drop from it what commits."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from blaze import (
    ConfigurationError,
    Delete,
    Engine,
    Insert,
    MemoryCache,
    ModelError,
    QueryError,
    Session,
    SessionError,
    Update,
)
from blaze.cache import AsyncCacheBackend
from tests.cache.interleave import rows_in
from tests.cache.models import Label, Page, Work, Writer
from tests.persistence.twins import Database, Twin


@pytest.fixture
async def cache(db: Database) -> MemoryCache:
    """Give a cache, and rows in the database that it does not know."""
    await db.save(
        *[Writer(name=name) for name in "ab"],
        *[Label(name=name) for name in "xy"],
    )
    async with db.session() as s:
        a, b = await s.get(Writer, 1), await s.get(Writer, 2)
        work = Work(name="w", writer=a, editor=b)
        work.labels.add(await s.get(Label, 1))
        await s.add_all([work, Work(name="v", writer=b), Page(name="p", work=work)])
        await s.commit()
    return MemoryCache()


def known(cache: MemoryCache) -> set[tuple[str, str]]:
    return {(table.replace("cached_", ""), key) for table, key in rows_in(cache)}


async def fill(db: Database, cache: MemoryCache) -> None:
    async with db.session(cache_backend=cache) as s:
        for model, keys in ((Writer, (1, 2)), (Work, (1, 2)), (Page, (1,)), (Label, (1, 2))):
            for key in keys:
                await s.get_one(model, key)
    assert len(known(cache)) == 7


@pytest.mark.requirement("R31", "R32", "R33", "R40")
async def test_a_second_session_reads_no_row_again(db: Database, cache: MemoryCache) -> None:
    async with db.session(cache_backend=cache) as s:
        assert (await s.get(Writer, 1)).name == "a"
        assert s.statements == 1
    async with db.session(cache_backend=cache) as s:
        found = await s.get_one(Writer, 1)
        assert found.name == "a"
        assert found is await s.get(Writer, id=1)
        assert s.statements == 0
        assert await s.get(Writer, 9) is None
    ((_, row),) = rows_in(cache).items()
    assert {key: value for key, value in row.items() if key != "#"} == {"id": 1, "name": "a"}
    assert (cache.stats().hits, cache.stats().misses) == (1, 2)


async def test_to_one_relations_of_many_objects_are_looked_up_at_once(
    db: Database, cache: MemoryCache
) -> None:
    for statements in (2, 1):
        async with db.session(cache_backend=cache) as s:
            works = await s.do(lambda s: s.query(Work).order_by(Work.id).prefetch_related("writer").all())
            assert [work.writer.name for work in works] == ["a", "b"]
            assert s.statements == statements
    async with db.session(cache_backend=cache) as s:
        work = await s.get(Work, 1)
        assert (await s.read(work, "editor")).name == "b"
        assert s.statements == 1, "the row of the work"


async def test_what_is_in_part_there_is_completed(db: Database, cache: MemoryCache) -> None:
    async with db.session(cache_backend=cache) as s:
        await s.get(Writer, 2)
    async with db.session(cache_backend=cache) as s:
        works = await s.do(lambda s: s.query(Work).order_by(Work.id).prefetch_related("writer").all())
        assert [work.writer.name for work in works] == ["a", "b"]
    assert {("writer", "1"), ("writer", "2")} <= known(cache)


async def rename(s: Twin) -> None:
    (await s.get(Writer, 1)).name = "c"


async def remove(s: Twin) -> None:
    await s.delete(await s.get(Writer, 1))


async def unlink_editor(s: Twin) -> None:
    await s.delete(await s.get(Writer, 2))


async def move(s: Twin) -> None:
    (await s.get(Label, 2)).id = 5


async def relink(s: Twin) -> None:
    await s.add_m2m(await s.get(Work, 1), Work.labels, await s.get(Label, 2))


ALL = {("writer", "1"), ("writer", "2"), ("work", "1"), ("work", "2"), ("page", "1"), ("label", "1")} | {
    ("label", "2")
}
WORKS, WRITERS = {("work", "1"), ("work", "2")}, {("writer", "1"), ("writer", "2")}
CHANGES: list[tuple[str, Any, set[tuple[str, str]]]] = [
    ("update", rename, {("writer", "1")}),
    ("delete cascades", remove, {("writer", "1"), ("page", "1")} | WORKS),
    ("key", move, {("label", "2")}),
    ("m2m", relink, set()),
    ("bulk_update", lambda s: s.bulk_update([Writer(id=2, name="z")]), {("writer", "2")}),
    ("bulk_delete", lambda s: s.bulk_delete(Label, [2]), {("label", "2")}),
    ("bulk_insert", lambda s: s.bulk_insert([Writer(name="n")]), set()),
    ("upsert", lambda s: s.upsert([Writer(id=2, name="u")], conflict=["id"]), {("writer", "2")}),
    (
        "query.update",
        lambda s: s.do(lambda s: s.query(Writer).where(Writer.id == 1).update(name="q")),
        WRITERS,
    ),
    (
        "query.delete",
        lambda s: s.do(lambda s: s.query(Work).where(Work.id == 2).delete()),
        {("page", "1")} | WORKS,
    ),
    ("Update", lambda s: s.exec(Update(Writer).set(name="q").where(Writer.id == 1)), WRITERS),
    ("Delete", lambda s: s.exec(Delete(Page).where(Page.id == 1)), {("page", "1")}),
    ("Insert", lambda s: s.exec(Insert(Writer).values(name="i")), set()),
    (
        "Insert that may update",
        lambda s: s.exec(
            Insert(Page).values(id=1, name="i", work_id=1).on_conflict("id", update={"name": "j"})
        ),
        {("page", "1")},
    ),
    ("raw update", lambda s: s.execute("/* x */ UPDATE cached_writer SET name = 'r'"), WRITERS),
    ("raw delete", lambda s: s.execute("DELETE FROM cached_work"), {("page", "1")} | WORKS),
    ("raw without a table", lambda s: s.execute("CREATE TABLE other (a)"), ALL),
]


@pytest.mark.requirement("R34", "R54", "R70")
@pytest.mark.parametrize(
    ("change", "gone"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES]
)
async def test_what_commits_leaves_the_cache_and_what_is_rolled_back_stays(
    db: Database, cache: MemoryCache, change: Any, gone: set[tuple[str, str]]
) -> None:
    await fill(db, cache)
    async with db.session(cache_backend=cache) as s:
        result = change(s)
        if hasattr(result, "__await__"):
            await result
        await s.flush()
        await s.rollback()
        assert known(cache) == ALL
    async with db.session(cache_backend=cache) as s:
        result = change(s)
        if hasattr(result, "__await__"):
            await result
        await s.flush()
        assert known(cache) == ALL, "nothing is published before the commit"
        await s.commit()
        assert known(cache) == ALL - gone
    assert not cache._held
    async with db.session(cache_backend=cache) as through, db.session() as plain:
        for model in (Writer, Work, Page, Label):
            for key in (1, 2, 5):
                one, other = await through.get(model, key), await plain.get(model, key)
                assert (one and one.to_dict()) == (other and other.to_dict())


@pytest.mark.requirement("R34", "R54")
async def test_many_to_many_lists_are_read_from_the_database_on_both_sides(
    db: Database, cache: MemoryCache
) -> None:
    await fill(db, cache)
    async with db.session(cache_backend=cache) as s:
        assert len(await s.read(await s.get(Label, 2), "works")) == 0
        await s.rollback()
        await relink(s)
        await s.commit()
    async with db.session(cache_backend=cache) as s:
        assert [work.id for work in await s.read(await s.get(Label, 2), "works")] == [1]
        assert len(await s.read(await s.get(Work, 1), "labels")) == 2


async def test_a_transaction_that_has_written_neither_reads_nor_fills_the_cache(
    db: Database, cache: MemoryCache
) -> None:
    async with db.session(cache_backend=cache) as s:
        await rename(s)
        await s.flush()
        before = s.statements
        assert (await s.get(Writer, 2)).name == "b"
        assert s.statements == before + 1
        await s.rollback()
    assert known(cache) == {("writer", "1")}, "what was read before the first write"


async def test_a_snapshot_is_not_mixed_with_the_cache(db: Database, cache: MemoryCache) -> None:
    await fill(db, cache)
    async with db.session(cache_backend=cache) as s, s.transaction(read_only=True):
        await s.get(Writer, 2)
        assert s.statements == 1


@pytest.mark.requirement("R26")
async def test_refresh_asks_the_database_and_fills_the_cache(db: Database, cache: MemoryCache) -> None:
    async with db.session(cache_backend=cache) as s:
        writer = await s.get(Writer, 1)
        cache.clear()
        await s.refresh(writer)
        assert s.statements == 2
        assert known(cache) == {("writer", "1")}
        await s.refresh(writer)
        assert s.statements == 3


@pytest.mark.requirement("R35")
@pytest.mark.parametrize("how", ["key", "model", "object"])
async def test_invalidate_forgets_what_somebody_else_has_changed(
    db: Database, cache: MemoryCache, how: str
) -> None:
    await fill(db, cache)
    async with db.session() as other:
        await other.execute("UPDATE cached_writer SET name = 'else' WHERE id = 1")
        await other.commit()
    async with db.session(cache_backend=cache) as s:
        stale = await s.get(Writer, 1)
        assert stale.name == "a"
        changed = await s.get(Writer, 2)
        changed.name = "mine"
        await s.invalidate(*{"key": (Writer, 1), "model": (Writer,), "object": (stale,)}[how])
        assert stale.name == "else"
        assert await s.get(Writer, 1) is stale
        assert await s.get(Writer, 2) is changed, "a changed object is kept"
        assert how == "model" or ("writer", "2") in known(cache)
        await s.rollback()


async def test_invalidate_works_without_a_cache_and_refuses_what_is_no_row(db: Database) -> None:
    await db.save(Writer(name="a"))
    async with db.session() as s:
        before = await s.get(Writer, 1)
        await s.invalidate(Writer, 1)
        assert await s.get(Writer, 1) is before
        with pytest.raises(QueryError, match="id"):
            await s.invalidate(Writer, "one")
        with pytest.raises(ModelError, match="give a model"):
            await s.invalidate(3)


async def test_parallel_tasks_use_the_cache_of_their_session(db: Database, cache: MemoryCache) -> None:
    await fill(db, cache)

    def task(s: Any) -> Any:
        return s.exec(Update(Label).set(name="p").where(Label.id == 1)).all()

    async with db.session(cache_backend=cache) as s:
        await s.parallel_exec([task])
    assert ALL - known(cache) == {("label", "1"), ("label", "2")}


@pytest.mark.parametrize("backend", [object(), MemoryCache, {}])
def test_what_is_no_backend_is_refused(backend: Any) -> None:
    with pytest.raises(ConfigurationError, match="no cache backend"):
        Session("sqlite://", cache_backend=backend)


async def test_a_closed_session_reads_nothing_from_the_cache(db: Database, cache: MemoryCache) -> None:
    await fill(db, cache)
    s = db.open(cache_backend=cache)
    await s.close()
    with pytest.raises(SessionError, match="closed"):
        await s.get(Writer, 1)


def test_two_databases_share_a_cache_and_no_row() -> None:
    cache = MemoryCache()
    for name in "ab":
        with Engine("sqlite://") as engine, Session(engine, cache_backend=cache) as session:
            session.create_all(Writer)
            session.add(Writer(name=name))
            session.commit()
    names = set()
    for name in "cd":
        with Engine("sqlite://") as engine, Session(engine, cache_backend=cache) as session:
            session.create_all(Writer)
            session.commit()
            session.bulk_insert([Writer(id=1, name=name)])
            session.commit()
            found = session.get_one(Writer, 1)
            names.add(found.name)
    assert names == {"c", "d"}


class Asynchronous:
    """A backend that is awaited."""

    def __init__(self) -> None:
        self.inner = MemoryCache()

    async def set_many(self, *arguments: Any) -> Any:
        return self.inner.set_many(*arguments)

    async def delete_many(self, *arguments: Any) -> Any:
        return self.inner.delete_many(*arguments)

    async def clear(self) -> Any:
        return self.inner.clear()

    async def stats(self) -> Any:
        return self.inner.stats()

    async def close(self) -> Any:
        return self.inner.close()

    async def get_many(self, keys: Any) -> Any:
        return self.inner.get_many(keys)


async def test_an_asynchronous_backend_serves_asynchronous_sessions(db: Database, cache: MemoryCache) -> None:
    backend: Any = Asynchronous()
    assert isinstance(backend, AsyncCacheBackend)
    if not db.asynchronous:
        with pytest.raises(ConfigurationError, match="is asynchronous: use AsyncSession"):
            db.open(cache_backend=backend)
        return
    await fill(db, cache)
    for statements in (1, 0):
        async with db.session(cache_backend=backend) as s:
            await s.get(Writer, 1)
            assert s.statements == statements
    async with db.session(cache_backend=backend) as s:
        await rename(s)
        await s.commit()
    assert known(backend.inner) == set()


class Broken(MemoryCache):
    """A cache that is down when told so."""

    down: frozenset[str] = frozenset()

    def get_many(self, keys: Any) -> Any:
        return self._call("get_many", keys)

    def set_many(self, *arguments: Any) -> Any:
        return self._call("set_many", *arguments)

    def delete_many(self, *arguments: Any) -> Any:
        return self._call("delete_many", *arguments)

    def clear(self) -> Any:
        return self._call("clear")

    def _call(self, name: str, *arguments: Any) -> Any:
        if name in self.down:
            raise OSError("out of reach")
        return getattr(super(), name)(*arguments)


@pytest.mark.parametrize("failing", ["get_many", "set_many", "delete_many"])
async def test_statements_go_on_when_the_cache_is_down(
    db: Database, cache: MemoryCache, failing: str, caplog: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("blaze.cache.guard.PAUSE", 0.0)
    broken = Broken()
    broken.down = frozenset({failing})
    with caplog.at_level(logging.ERROR, "blaze.cache"):
        for name in "cde":
            async with db.session(cache_backend=broken) as s:
                writer = await s.get_one(Writer, 1)
                writer.name = name
                await s.commit()
    assert [tuple(row) for row in await db.rows("SELECT name FROM cached_writer WHERE id = 1")] == [("e",)]
    assert "the cache failed to" in caplog.text
    assert "OSError: out of reach" in caplog.text


async def test_after_a_lost_invalidation_nothing_is_read_before_the_cache_was_cleared(
    db: Database, cache: MemoryCache, monkeypatch: Any
) -> None:
    monkeypatch.setattr("blaze.cache.guard.PAUSE", 0.0)
    broken = Broken()
    async with db.session(cache_backend=broken) as s:
        await s.get(Writer, 1)
        await s.get(Writer, 2)
    broken.down = frozenset({"delete_many", "clear"})
    async with db.session(cache_backend=broken) as s:
        await rename(s)
        await s.commit()
    for down, names in ((broken.down, "c"), (frozenset[str](), "c")):
        broken.down = down
        async with db.session(cache_backend=broken) as s:
            assert (await s.get_one(Writer, 1)).name == names
            assert s.statements == 1
    async with db.session(cache_backend=broken) as s:
        await s.get_one(Writer, 1)
        assert s.statements == 0, "it is used again"


@pytest.mark.requirement("R40")
@pytest.mark.parametrize("change", [{"id": 2}, {"name": ["date", 5]}, {"name": 5}, {"#": None}], ids=str)
async def test_a_value_that_was_not_stored_so_is_replaced(
    db: Database, cache: MemoryCache, change: dict[str, Any]
) -> None:
    await fill(db, cache)
    (key,) = [key for key in cache._items if key.endswith("writer|1")]
    cache.set_many({key: {**cache.get_many([key])[key], **change}})
    for statements in (1, 0):
        async with db.session(cache_backend=cache) as s:
            writer = await s.get_one(Writer, 1)
            assert (writer.id, writer.name) == (1, "a")
            assert s.statements == statements


async def test_a_generation_that_is_no_text_is_replaced(db: Database, cache: MemoryCache) -> None:
    await fill(db, cache)
    tokens = [key for key in cache._items if key.startswith("#")]
    cache.set_many({key: {} for key in tokens})
    await fill(db, cache)
    assert all(type(value) is str for value in cache.get_many(tokens).values())
