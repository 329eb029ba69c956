"""Statements and bulk operations that write past loaded objects: no lost update, no ghost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from blaze import (
    Engine,
    Field,
    ForeignKey,
    Insert,
    MemoryCache,
    Model,
    OneToMany,
    StaleDataError,
    Update,
    create_all,
    excluded,
    field,
    foreign_key,
    one_to_many,
)
from tests.persistence.twins import Database, settled


class Shelf(Model):
    id: Field[int] = field(primary_key=True, init=True)
    size: Field[int] = field(default=0)
    jars: OneToMany[Jar] = one_to_many()


class Jar(Model):
    id: Field[int] = field(primary_key=True)
    size: Field[int] = field(default=0)
    shelf: ForeignKey[Optional[Shelf]] = foreign_key(related_name="jars", on_delete="CASCADE")
    lids: OneToMany[Lid] = one_to_many()


class Lid(Model):
    id: Field[int] = field(primary_key=True)
    jar: ForeignKey[Optional[Jar]] = foreign_key(related_name="lids", on_delete="SET NULL")


class Stamped(Model):
    id: Field[int] = field(primary_key=True)
    size: Field[int] = field(default=0)
    double: Field[int] = field(generated="size * 2")
    version: Field[int] = field(version=True, init=False)


class Vehicle(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(default="")
    version: Field[int] = field(version=True, init=False)

    class Meta:
        discriminator = "kind"


class Lorry(Vehicle):
    axles: Field[int] = field(default=2)

    class Meta:
        joined = True


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(f"sqlite:///{tmp_path / 'test.db'}") as engine:
        create_all(engine, [Shelf, Jar, Lid, Stamped, Vehicle, Lorry])
        yield engine


def dml_update(s: Any) -> Any:
    return s.exec(Update(Lorry).set(axles=Lorry.axles + 3).where(Lorry.axles == 2))


def query_update(s: Any) -> Any:
    return s.query(Lorry).where(Lorry.axles == 2).update(axles=Lorry.axles + 3)


def update_by_version(s: Any) -> Any:
    return s.query(Lorry).where(Lorry.version == 1, Lorry.axles == 2).update(axles=5)


def update_all(s: Any) -> Any:
    return s.exec(Update(Lorry).set(axles=5).all_rows())


# --- versions


@pytest.mark.parametrize("change", [dml_update, query_update, update_by_version, update_all])
async def test_an_update_of_a_joined_table_raises_the_version_in_the_other(db: Database, change: Any) -> None:
    await db.save(Lorry(), Lorry(axles=9))
    async with db.session() as s, db.session() as t:
        lorry = await s.get_one(Lorry, 1)
        await s.rollback()
        mine = await t.get_one(Lorry, 1)
        found = await settled(change(t.session))
        everything = change is update_all
        assert (found if isinstance(found, int) else found.rowcount) == (2 if everything else 1)
        assert (mine.axles, mine.version) == (5, 2)
        await t.commit()
        mine.name = "own"
        await t.commit()
        lorry.axles = 6
        with pytest.raises(StaleDataError):
            await s.commit()
        await s.rollback()
    rows = await db.rows("SELECT axles, version FROM lorry JOIN vehicle USING (id) ORDER BY lorry.id")
    assert rows == [(5, 3), (5, 2) if everything else (9, 1)]


async def test_an_update_of_a_joined_table_that_meets_no_row_changes_nothing(db: Database) -> None:
    await db.save(Lorry())
    async with db.session() as s:
        assert await settled(s.session.query(Lorry).where(Lorry.axles == 7).update(axles=1)) == 0
        await s.commit()
    assert await db.rows("SELECT version FROM vehicle") == [(1,)]


@pytest.mark.parametrize("rows", [1, 2])
async def test_an_insert_that_updates_raises_the_version(db: Database, rows: int) -> None:
    await db.save(Stamped(), Stamped())
    async with db.session() as s, db.session() as t:
        theirs = await s.get_one(Stamped, 1)
        await s.rollback()
        mine = await t.get_one(Stamped, 1)
        values = [{"id": key, "size": 5} for key in range(1, rows + 1)]
        statement = Insert(Stamped).values(values).on_conflict("id", update={"size": excluded("size")})
        await t.exec(statement)
        assert (mine.size, mine.double, mine.version) == (5, 10, 2)
        mine.size = 6
        await t.commit()
        theirs.size = 7
        with pytest.raises(StaleDataError):
            await s.commit()
        await s.rollback()
    assert await db.rows("SELECT size, version FROM stamped WHERE id = 1") == [(6, 3)]


async def test_an_insert_that_updates_nothing_leaves_the_version(db: Database) -> None:
    await db.save(Stamped())
    async with db.session() as s:
        await s.exec(Insert(Stamped).values(id=1, size=5).on_conflict("id", do="nothing"))
        await s.commit()
    assert await db.rows("SELECT size, version FROM stamped") == [(0, 1)]


@pytest.mark.requirement("R29")
@pytest.mark.parametrize("others", [0, 40])
@pytest.mark.parametrize("statement", [False, True])
async def test_objects_follow_an_update_with_version_and_computed_columns(
    db: Database, others: int, statement: bool
) -> None:
    await db.save(*[Stamped() for _ in range(others + 1)])
    async with db.session() as s:
        mine = await s.get_one(Stamped, 1)
        assert len(await s.all(Stamped)) == others + 1
        if statement:
            await s.exec(Update(Stamped).set(size=5).where(Stamped.id == 1))
        else:
            await settled(s.session.query(Stamped).where(Stamped.id == 1).update(size=5))
        assert (mine.size, mine.double, mine.version) == (5, 10, 2)
        mine.size = 6
        await s.commit()
        assert (mine.double, mine.version) == (12, 3)
        await settled(s.session.query(Stamped).where(Stamped.id == 1).update(size=1))
        await s.rollback()
        assert (mine.size, mine.double, mine.version) == (6, 12, 3)


async def test_objects_follow_an_update_that_gives_rows_back(db: Database) -> None:
    await db.save(Stamped())
    async with db.session() as s:
        mine = await s.get_one(Stamped, 1)
        statement = Update(Stamped).set(size=5).where(Stamped.id == 1).returning(Stamped.size)
        assert [tuple(row) for row in await settled((await s.exec(statement)).all())] == [(5,)]
        assert (mine.size, mine.version) == (5, 2)
        mine.size = 6
        await s.commit()


# --- one object for each row


async def by_bulk_update(s: Any) -> None:
    assert await settled(s.bulk_update([Shelf(id=1, size=50)])) == 1


async def by_upsert(s: Any) -> None:
    result = await settled(s.upsert([Shelf(id=1, size=50)], conflict=[Shelf.id]))
    assert result.updated == [1]


async def by_invalidate(s: Any) -> None:
    await settled(s.execute("UPDATE shelf SET size = 50 WHERE id = 1"))
    await settled(s.invalidate(Shelf, 1))


async def by_invalidating_all(s: Any) -> None:
    await settled(s.execute("UPDATE shelf SET size = 50 WHERE id = 1"))
    await settled(s.invalidate(Shelf))


WAYS = [by_bulk_update, by_upsert, by_invalidate, by_invalidating_all]


@pytest.mark.requirement("R29")
@pytest.mark.parametrize("write", WAYS)
async def test_an_object_whose_row_was_written_past_it_stays_the_only_one(db: Database, write: Any) -> None:
    await db.save(Shelf(id=1, size=1, jars=[Jar()]), Shelf(id=2))
    async with db.session() as s:
        shelf, other = await s.get_one(Shelf, 1), await s.get_one(Shelf, 2)
        await s.load(shelf, "jars")
        await write(s.session)
        assert await s.get_one(Shelf, 1) is shelf
        assert await s.all(Shelf, Shelf.id == 1) == [shelf]
        assert await s.get_one(Shelf, 2) is other
        assert (shelf.size, s.dirty) == (50, [])
        shelf.size = 60
        assert s.dirty == [shelf]
        await s.commit()
    assert await db.rows("SELECT size FROM shelf WHERE id = 1") == [(60,)]


@pytest.mark.requirement("R29")
@pytest.mark.parametrize("write", WAYS)
async def test_a_rollback_gives_it_its_values_back(db: Database, write: Any) -> None:
    await db.save(Shelf(id=1, size=1))
    async with db.session() as s:
        shelf = await s.get_one(Shelf, 1)
        await write(s.session)
        await s.rollback()
        assert shelf.size == 1
        assert await s.get_one(Shelf, 1) is shelf
        shelf.size = 2
        await s.commit()
    assert await db.rows("SELECT size FROM shelf") == [(2,)]


@pytest.mark.requirement("R29")
async def test_what_somebody_else_wrote_survives_a_rollback_after_invalidate(db: Database) -> None:
    await db.save(Shelf(id=1, size=1), Shelf(id=2))
    async with db.session() as s:
        shelf, gone = await s.get_one(Shelf, 1), await s.get_one(Shelf, 2)
        await s.rollback()
        async with db.session() as other:
            await other.execute("UPDATE shelf SET size = 9 WHERE id = 1")
            await other.execute("DELETE FROM shelf WHERE id = 2")
            await other.commit()
        await s.invalidate(Shelf)
        await s.rollback()
        assert shelf.size == 9
        assert gone not in s.session
        assert await s.get(Shelf, 2) is None


@pytest.mark.requirement("R29")
async def test_a_changed_object_keeps_its_changes(db: Database) -> None:
    await db.save(Shelf(id=1, size=1))
    async with db.session(autoflush=False) as s:
        shelf = await s.get_one(Shelf, 1)
        shelf.size = 7
        for write in (by_bulk_update, by_upsert, by_invalidate):
            await write(s.session)
            assert (shelf.size, s.dirty) == (7, [shelf])
        await s.commit()
    assert await db.rows("SELECT size FROM shelf") == [(7,)]


@pytest.mark.requirement("R29")
async def test_an_upserted_object_of_the_session_learns_its_version(db: Database) -> None:
    await db.save(Stamped())
    async with db.session() as s:
        mine = await s.get_one(Stamped, 1)
        await s.upsert([mine], conflict=[Stamped.id], update=[Stamped.size])
        assert mine.version == 2
        mine.size = 3
        await s.commit()
        await s.bulk_update([mine])
        assert (mine.double, mine.version) == (6, 4)
        mine.size = 4
        await s.commit()
    assert await db.rows("SELECT size, version FROM stamped") == [(4, 5)]


@pytest.mark.requirement("R29")
async def test_following_costs_one_statement_and_none_without_objects(db: Database) -> None:
    await db.save(*[Shelf(id=key) for key in range(1, 31)])
    for held, statements in ((False, 1), (True, 2)):
        async with db.session() as s:
            if held:
                await s.all(Shelf)
            before = s.statements
            await s.bulk_update([Shelf(id=key, size=2) for key in range(1, 31)])
            assert s.statements - before == statements
            await s.commit()


# --- no ghosts of deleted rows


@pytest.mark.requirement("R29")
@pytest.mark.parametrize("shelves", [1, 30])
@pytest.mark.parametrize("autoflush", [True, False])
async def test_a_bulk_delete_takes_children_and_lists_along(
    db: Database, shelves: int, autoflush: bool
) -> None:
    await db.save(*[Shelf(id=n, jars=[Jar(lids=[Lid()])]) for n in range(1, shelves + 1)])
    async with db.session(autoflush=autoflush) as s:
        found = await s.all(Shelf)
        jars, lids = await s.all(Jar), await s.all(Lid)
        jar, lid = await s.get_one(Jar, 1), await s.get_one(Lid, 1)
        await s.load(jar, "lids")
        jar.size = 3  # a change of what goes
        assert await s.bulk_delete(Shelf, [1, 1, 1_000]) == 1
        assert await s.get(Jar, 1) is None
        assert await s.get(Shelf, 1) is None
        assert lid.jar_id is None
        assert (len(await s.all(Shelf)), len(await s.all(Jar))) == (shelves - 1, shelves - 1)
        assert (len(found), len(jars), len(lids)) == (shelves, shelves, shelves)
        await s.rollback()
        assert await s.get_one(Jar, 1) is jar
        assert lid.jar_id == 1
        assert await s.read(jar, "lids") == [lid]


@pytest.mark.requirement("R29")
async def test_a_bulk_deleted_object_leaves_the_lists_that_show_it(db: Database) -> None:
    await db.save(Shelf(id=1, jars=[Jar(), Jar()]))
    async with db.session() as s:
        shelf = await s.get_one(Shelf, 1)
        first, second = await s.read(shelf, "jars")
        assert await s.bulk_delete(Jar, [first.id]) == 1
        assert await s.read(shelf, "jars") == [second]
        assert first not in s.session
        await s.commit()
        assert await s.read(shelf, "jars") == [second]


@pytest.mark.requirement("R29")
async def test_a_bulk_delete_that_fails_forgets_nothing(db: Database) -> None:
    await db.save(Shelf(id=1, jars=[Jar()]))
    async with db.session() as s:
        shelf = await s.get_one(Shelf, 1)
        (jar,) = await s.read(shelf, "jars")

        def stop(done: int, total: Optional[int]) -> None:
            raise ValueError("stop")

        with pytest.raises(ValueError, match="stop"):
            await s.bulk_delete(Shelf, [1], progress=stop)
        assert await s.get(Shelf, 1) is shelf
        assert await s.get(Jar, 1) is jar
        assert await s.read(shelf, "jars") == [jar]


# --- the second-level cache and changed keys


def tables(journal: Any) -> set[str]:
    found: list[str] = journal.keys()
    return {key.split("|")[1] for key in found}


MOVES = [
    "UPDATE OR REPLACE shelf SET id = 2 WHERE id = 1",
    'update shelf set size = 3, "id" = 2 where id = 1',
    "UPDATE shelf SET shelf.size = 1, /* why */ id = 2",
    "REPLACE INTO shelf (id, size) VALUES (1, 1)",
    "INSERT INTO shelf (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2",
    "UPDATE shelf SET size = '/*', id /* new */ = 2 -- it's",
    "WITH x AS (SELECT 1) UPDATE shelf SET (size, id) = (1, 2)",
]


@pytest.mark.requirement("R34")
@pytest.mark.parametrize("sql", MOVES)
async def test_raw_sql_that_may_change_a_key_drops_dependent_rows_from_the_cache(
    db: Database, sql: str
) -> None:
    async with db.session(cache_backend=MemoryCache()) as s:
        journal, lexis = s.session.cache.journal, s.session.dialect.features.lexis
        journal.note_statement(sql, lexis)
        assert {"jar", "lid"} <= tables(journal)
        journal.clear()
        journal.note_statement("UPDATE shelf SET size = 3 WHERE size = 1 AND id = 1", lexis)
        assert tables(journal) == {"shelf"}
        journal.clear()


@pytest.mark.requirement("R34")
@pytest.mark.parametrize("way", ["raw", "query", "statement", "conflict"])
async def test_a_changed_key_drops_what_follows_it_from_the_cache(db: Database, way: str) -> None:
    async with db.session() as s:
        for sql in (
            "DROP TABLE jar",
            "CREATE TABLE jar (id INTEGER PRIMARY KEY, size INTEGER NOT NULL DEFAULT 0, "
            "shelf_id INTEGER REFERENCES shelf (id) ON UPDATE CASCADE ON DELETE CASCADE)",
        ):
            await s.execute(sql)
        await s.commit()
    await db.save(Shelf(id=1, jars=[Jar()]))
    cache = MemoryCache()
    async with db.session(cache_backend=cache) as s:
        assert (await s.get_one(Jar, 1)).shelf_id == 1
    async with db.session(cache_backend=cache) as s:
        held = (await s.all(Jar))[0] if way in ("query", "statement") else None
        if way == "raw":
            await s.execute("UPDATE OR REPLACE shelf SET id = 9 WHERE id = 1")
        elif way == "query":
            await settled(s.session.query(Shelf).where(Shelf.id == 1).update(id=9))
        elif way == "statement":
            await s.exec(Update(Shelf).set(id=9).where(Shelf.id == 1))
        else:
            await s.exec(Insert(Shelf).values(id=1).on_conflict("id", update={"id": 9}))
        assert held is None or held.shelf_id == 9
        await s.commit()
    async with db.session(cache_backend=cache) as s:
        assert (await s.get_one(Jar, 1)).shelf_id == 9


@pytest.mark.requirement("R34")
async def test_an_update_of_other_columns_leaves_dependent_rows_in_the_cache(db: Database) -> None:
    await db.save(Shelf(id=1, jars=[Jar()]))
    cache = MemoryCache()
    async with db.session(cache_backend=cache) as s:
        await s.get_one(Jar, 1)
    async with db.session(cache_backend=cache) as s:
        await s.execute("UPDATE shelf SET size = 3 WHERE id = 1")
        await settled(s.session.query(Shelf).where(Shelf.id == 1).update(size=4))
        await s.exec(Update(Shelf).set(size=5).where(Shelf.id == 1))
        await s.commit()
    async with db.session(cache_backend=cache) as s:
        await s.get_one(Jar, 1)
        assert s.statements == 0
