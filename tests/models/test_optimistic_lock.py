"""`version=True`: no increment is lost, and every kind of write keeps to it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Optional

import pytest

from blaze import AsyncSession, Engine, Field, Model, Session, StaleDataError, create_all, field
from blaze.errors import DatabaseError
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R24")


class Counter(Model):
    name: Field[str] = field(default="c")
    value: Field[int] = field(default=0)
    note: Field[Optional[str]] = field(default=None)
    version: Field[int] = field(version=True)


@pytest.fixture
def db(db: Database) -> Database:
    create_all(db.engine, [Counter])
    return db


THREADS, TASKS, TIMES = 16, 8, 100


def test_sixteen_threads_lose_no_increment(files: Engine) -> None:
    engine = files
    create_all(engine, [Counter])
    with Session(engine) as session:
        session.add(Counter())
        session.commit()
    errors: list[BaseException] = []
    stale = [0] * THREADS

    def work(number: int) -> None:
        done = 0
        try:
            while done < TIMES:
                with Session(engine) as session:
                    counter = session.get_one(Counter, 1)
                    counter.value += 1
                    try:
                        session.commit()
                    except StaleDataError:
                        stale[number] += 1
                        session.rollback()
                    except DatabaseError as error:
                        if not error.retryable:
                            raise
                        session.rollback()
                    else:
                        done += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Session(engine) as session:
        counter = session.get_one(Counter, 1)
        assert counter.value == THREADS * TIMES == 1_600
        assert counter.version == 1_601


async def test_many_tasks_lose_no_increment(files: Engine) -> None:
    create_all(files, [Counter])
    async with AsyncSession(files) as session:
        session.add(Counter())
        await session.commit()

    async def work() -> None:
        done = 0
        while done < 25:
            async with AsyncSession(files) as session:
                counter = await session.get_one(Counter, 1)
                counter.value += 1
                await asyncio.sleep(0)
                try:
                    await session.commit()
                except StaleDataError:
                    await session.rollback()
                else:
                    done += 1

    await asyncio.gather(*[work() for _ in range(TASKS)])
    async with AsyncSession(files) as session:
        assert (await session.get_one(Counter, 1)).value == TASKS * 25
    await files.adispose()


async def in_between(db: Database) -> tuple[Any, Any]:
    """Load a counter in one session and change it in another."""
    await db.save(Counter())
    mine = db.open()
    counter = await mine.get_one(Counter, 1)
    async with db.session() as s:
        (await s.get_one(Counter, 1)).note = "theirs"
        await s.commit()
    return mine, counter


@pytest.mark.parametrize("how", ["flush", "delete", "bulk_update", "merge", "upsert"])
async def test_every_write_of_an_object_compares_the_version(db: Database, how: str) -> None:
    mine, counter = await in_between(db)
    counter.value = 5
    if how == "upsert":  # takes what it is given: an insert that became an update raises the version
        await mine.rollback()
        fresh = Counter(id=1, name="c", value=7)
        await mine.upsert([fresh], conflict=["id"], update=["value"])
        await mine.commit()
        await mine.close()
        assert await db.rows("SELECT value, version FROM counter") == [(7, 3)]
        return
    if how == "delete":
        await mine.refresh(counter)
        async with db.session() as s:
            (await s.get_one(Counter, 1)).note = "again"
            await s.commit()
        await mine.delete(counter)
    async with db.session() as other:
        writes = {
            "flush": mine.flush,
            "delete": mine.flush,
            "bulk_update": lambda: mine.bulk_update([counter], ["value"]),
            "merge": lambda: other.merge(counter),
        }
        with pytest.raises(StaleDataError, match="Counter"):
            await writes[how]()
    await mine.rollback()
    await mine.close()
    assert (await db.rows("SELECT value FROM counter")) == [(0,)]


async def test_each_save_raises_the_version_by_one(db: Database) -> None:
    async with db.session() as s:
        counter = Counter()
        await s.add(counter)
        await s.flush()
        assert counter.version == 1
        for number in range(2, 5):
            counter.value = number
            await s.flush()
            assert counter.version == number
        await s.flush()
        assert counter.version == 4, "nothing changed, nothing is written"
        await s.commit()
        await s.bulk_update([counter], ["value"])
        await s.commit()
        await s.refresh(counter)
        assert counter.version == 5
        counter.value = 99
        await s.commit()
        await s.rollback()
    assert await db.rows("SELECT value, version FROM counter") == [(99, 6)]


async def test_update_statements_raise_the_version_too(db: Database) -> None:
    mine, counter = await in_between(db)
    async with db.session() as s:
        before = await db.rows("SELECT version FROM counter")
        await s.do(lambda q: q.query(Counter).where(Counter.id == 1).update(value=50))
        await s.commit()
    after = await db.rows("SELECT version FROM counter")
    counter.value = 1
    with pytest.raises(StaleDataError):
        await mine.flush()
    await mine.rollback()
    await mine.close()
    assert after[0][0] == before[0][0] + 1
