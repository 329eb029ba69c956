"""Every interleaving of sessions on one cache: nobody reads what is stale or rolled back."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blaze import IntegrityError, MemoryCache, NoResultError, SessionError, StaleDataError, TimeoutError
from blaze.persistence import bulk, bulk_deletes
from blaze.persistence.caching import SessionCache
from blaze.persistence.querying import delete as delete_rows
from blaze.persistence.querying import update as update_rows
from blaze.persistence.refreshing import refresh_plan
from blaze.persistence.statements import raw
from blaze.persistence.upsert import upsert as upsert_plan
from blaze.plan import CacheClear, Plan
from tests.cache.interleave import Actor, World, explore, follow_choices
from tests.cache.models import Label, Page, Work, Writer

pytestmark = pytest.mark.requirement("R33", "R34")
Make = Callable[[], World]


def reading(*reads: tuple[Any, Any]) -> Callable[[Actor], Plan[None]]:
    def script(actor: Actor) -> Plan[None]:
        for model, key in reads:
            yield from actor.read(model, key)

    return script


def change_and_commit(a: Actor) -> Plan[None]:
    yield from a.change(Writer, 1, name="changed")
    yield from a.commit()


def change_and_roll_back(a: Actor) -> Plan[None]:
    yield from a.change(Writer, 1, name="never")
    yield from a.flush()
    found = yield from a.read_own(Writer, 1)
    assert found is None or found.name == "never"
    yield from a.rollback()


def delete_and_insert_again(a: Actor) -> Plan[None]:
    yield from a.delete(Writer, 1)
    yield from a.commit()
    a.session.register(Writer(id=1, name="again"))
    yield from a.commit()


def change_the_key(a: Actor) -> Plan[None]:
    yield from raw(a.session, "DELETE FROM cached_work WHERE writer_id = 1")
    yield from a.change(Writer, 1, id=3)
    yield from a.commit()


def update_in_bulk(a: Actor) -> Plan[None]:
    yield from bulk.bulk_update(
        a.session, [Writer(id=1, name="bulk"), Writer(id=2, name="bulk")], ["name"], None
    )
    yield from a.commit()


def delete_in_bulk(a: Actor) -> Plan[None]:
    yield from bulk_deletes.bulk_delete(a.session, Writer, [1], None)
    yield from a.commit()


def upsert(a: Actor) -> Plan[None]:
    yield from upsert_plan(a.session, [Writer(id=1, name="up")], ["id"], None, None)
    yield from a.commit()


def update_by_query(a: Actor) -> Plan[None]:
    yield from update_rows(a.session, a.query(Writer).where(Writer.id < 2), {"name": "query"})
    yield from a.commit()


def delete_by_query(a: Actor) -> Plan[None]:
    yield from delete_rows(a.session, a.query(Writer).where(Writer.id == 1))
    yield from a.commit()


def raw_sql(a: Actor) -> Plan[None]:
    yield from raw(a.session, 'UPDATE "cached_writer" SET name = ? WHERE id = 1', ["raw"])
    yield from a.commit()


def savepoint(a: Actor) -> Plan[None]:
    transactions = a.session.transactions
    outer = yield from transactions.enter()
    yield from a.change(Writer, 2, name="outer")
    inner = yield from transactions.enter()
    yield from a.change(Writer, 1, name="inner")
    yield from a.flush()
    yield from transactions.abandon(inner, RuntimeError())
    yield from transactions.leave(outer)


def refresh(a: Actor) -> Plan[None]:
    found = yield from a.read(Writer, 1)
    if found is not None:
        first = a.world.clock
        try:
            yield from refresh_plan(a.session, found)
        except NoResultError:
            return
        a.saw(Writer, 1, first, found)


def change_the_name_twice(a: Actor) -> Plan[None]:
    for name in ("one", "two"):
        yield from a.change(Writer, 1, name=name)
        yield from a.commit()


def delete_the_writer(a: Actor) -> Plan[None]:
    yield from a.delete(Writer, 1)
    yield from a.commit()


def delete_the_editor(a: Actor) -> Plan[None]:
    yield from raw(a.session, "DELETE FROM cached_work WHERE id = 2")
    yield from bulk_deletes.bulk_delete(a.session, Writer, [2], None)
    yield from a.commit()


def link_and_unlink(a: Actor) -> Plan[None]:
    work = yield from a.read_own(Work, 1)
    for label in (1, 2):
        found = yield from a.load(Label, label)
        if work is None or found is None:
            return
        a.session.related(work, "labels").add(found)
    yield from a.commit()
    a.session.related(work, "labels").remove(found)
    yield from a.commit()


def refused_commit(a: Actor) -> Plan[None]:
    """The database refuses the COMMIT: a page without its work."""
    yield from raw(a.session, "PRAGMA defer_foreign_keys = ON")
    yield from update_rows(a.session, a.query(Writer).where(Writer.id == 1), {"name": "never"})
    yield from raw(a.session, "PRAGMA defer_foreign_keys = ON")
    yield from raw(a.session, "UPDATE cached_page SET work_id = 99")
    with pytest.raises(IntegrityError):
        yield from a.commit()
    yield from a.rollback()


def read_through_relations(a: Actor) -> Plan[None]:
    work = yield from a.read(Work, 1)
    if work is not None:
        for name in ("writer", "editor"):
            yield from a.read_related(work, name)


def read_lists(a: Actor) -> Plan[None]:
    yield from a.read_list(Work, 1, "labels")
    yield from a.read_list(Label, 2, "works")


def read_in_a_snapshot(a: Actor) -> Plan[None]:
    """A transaction sees one state from its first read on, whatever others put into the cache."""
    level = yield from a.session.transactions.enter(None, True)
    first = yield from a.read(Writer, 2)
    names = [first and first.name]
    state = a.world.now
    for _ in range(2):
        found = yield from a.read_own(Writer, 1)
        names.append(found and found.name)
    assert names[1] == names[2]
    expected = state.get((Writer, 1))
    assert names[1] == (expected and expected[0])
    yield from a.session.transactions.leave(level)


def clear_the_cache(a: Actor) -> Plan[None]:
    yield CacheClear(a.world.cache)


def reader_once(a: Actor) -> Plan[None]:
    yield from a.read(Writer, 1)


WRITERS = [
    change_and_commit,
    change_and_roll_back,
    change_the_key,
    delete_and_insert_again,
    update_in_bulk,
    delete_in_bulk,
    upsert,
    update_by_query,
    delete_by_query,
    raw_sql,
    savepoint,
    refused_commit,
]
QUICK = [update_by_query, update_in_bulk, upsert, raw_sql]
name: Any = {"ids": lambda script: script.__name__}


@pytest.mark.parametrize("script", WRITERS, ids=lambda script: script.__name__)
async def test_a_reader_of_what_is_cached_and_a_writer(make_world: Make, script: Any) -> None:
    assert await explore(make_world, [reading((Writer, 1), (Writer, 2)), script]) > 10


@pytest.mark.parametrize("script", QUICK, ids=lambda script: script.__name__)
async def test_a_reader_that_fills_the_cache_and_a_writer(make_world: Make, script: Any) -> None:
    assert await explore(make_world, [reader_once, script], warm=False) > 10


@pytest.mark.parametrize(
    ("reader", "writer"),
    [
        (reading((Work, 1), (Page, 1)), delete_the_writer),
        (reading((Work, 1), (Work, 2)), delete_the_editor),
        (read_through_relations, update_by_query),
        (read_through_relations, delete_the_editor),
        (refresh, update_by_query),
        (read_in_a_snapshot, update_by_query),
        (read_lists, link_and_unlink),
    ],
    ids=["cascade", "set null", "relations", "relations to null", "refresh", "snapshot", "many-to-many"],
)
async def test_what_others_change(make_world: Make, reader: Any, writer: Any) -> None:
    assert await explore(make_world, [reader, writer], most=400) > 5


@pytest.mark.parametrize("third", [reader_once, update_by_query, clear_the_cache], **name)
async def test_three_sessions(make_world: Make, third: Any) -> None:
    assert await explore(make_world, [reader_once, raw_sql, third], most=400) > 10


@pytest.mark.long
@pytest.mark.parametrize("script", WRITERS, ids=lambda script: script.__name__)
async def test_two_reads_of_an_empty_cache_and_every_writer(make_world: Make, script: Any) -> None:
    assert await explore(make_world, [reading((Writer, 1), (Writer, 1)), script], warm=False) > 100


@pytest.mark.long
@pytest.mark.parametrize("third", [reader_once, update_by_query, clear_the_cache], **name)
async def test_three_sessions_in_every_order(make_world: Make, third: Any) -> None:
    assert await explore(make_world, [reader_once, raw_sql, third], warm=False) > 400


def none(*_: Any) -> Plan[None]:
    yield from ()


@pytest.mark.parametrize("broken", ["no hold", "no mark", "no invalidation of children"])
async def test_the_interleavings_find_what_is_wrong(
    make_world: Make, db: Any, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that cannot fail proves nothing: without one of the measures there is an order that shows it."""
    reader: Any = reader_once
    writer: Any = update_by_query
    if broken == "no hold":
        monkeypatch.setattr(SessionCache, "hold", none)
    elif broken == "no mark":
        inner = MemoryCache.set_many
        monkeypatch.setattr(
            MemoryCache, "set_many", lambda self, values, ttl=None, mark=None: inner(self, values, ttl)
        )
    else:
        monkeypatch.setattr("blaze.persistence.cache_journal._FOLLOWED", ())
        reader, writer = reading((Page, 1)), delete_the_writer
    with pytest.raises(AssertionError, match="in the order"):
        await explore(make_world, [reader, writer], warm=broken != "no mark")


# --- random scripts ---------------------------------------------------------------------------------

OPERATIONS: dict[str, Callable[[Actor], Plan[None]]] = {
    script.__name__: script
    for script in (*WRITERS, delete_the_writer, delete_the_editor, link_and_unlink, refresh, reader_once)
    if script is not refused_commit
} | {"works": reading((Work, 1), (Page, 1)), "lists": read_lists, "relations": read_through_relations}


FAILURES = (IntegrityError, NoResultError, StaleDataError, TimeoutError)


def sequence(names: list[str]) -> Callable[[Actor], Plan[None]]:
    def script(actor: Actor) -> Plan[None]:
        for name in names:
            try:
                yield from OPERATIONS[name](actor)
            except (
                IntegrityError,
                AssertionError,
                NoResultError,
                StaleDataError,
                TimeoutError,
                SessionError,
            ):
                yield from actor.rollback()

    return script


operations = st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=3)


@pytest.mark.parametrize("examples", [30, pytest.param(1_000, marks=pytest.mark.long)])
def test_three_sessions_do_anything_in_any_order(engine: Any, tmp_path: Any, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, database=None)
    @given(
        st.tuples(operations, operations, operations),
        st.lists(st.integers(0, 2), max_size=60),
        st.booleans(),
        st.booleans(),
    )
    def play(scripts: Any, choices: list[int], warm: bool, asynchronous: bool) -> None:
        async def run() -> None:
            world = World(engine, str(tmp_path / "test.db"), asynchronous, MemoryCache())
            try:
                await world.begin([sequence(names) for names in scripts], warm)
                await follow_choices(world, choices)
                world.check()
            finally:
                await world.end()

        loop.run_until_complete(run())

    loop = asyncio.new_event_loop()
    try:
        play()
    finally:
        loop.run_until_complete(engine.adispose())
        loop.close()
