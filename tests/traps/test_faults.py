"""Faults: processes that die, fork or block each other, interrupts, cancellation, and what is forgotten."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from blaze import AsyncSession, Engine, Field, Model, Select, Session, create_all, field
from blaze.errors import BlazeError, DatabaseError, NotLoadedError, SessionError, UniqueError
from tests.persistence.models import Author, Book, Tag
from tests.persistence.twins import Database, names

ROOT = Path(__file__).parents[2]
SLOW = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000000) SELECT max(x) FROM n"


def run_script(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program with the models of the persistence tests imported."""
    head = "import os, sys, time\nfrom blaze import *\nfrom tests.persistence.models import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + script, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def open_files(folder: Path) -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


async def exhaust(stream: Any) -> int:
    """Read a stream of either kind to its end; return the number of its items."""
    seen = 0
    if hasattr(stream, "__aiter__"):
        async for _ in stream:
            seen += 1
    else:
        for _ in stream:
            seen += 1
    return seen


# --- threads and memory databases


async def test_a_memory_database_is_one_for_all_sessions_threads_and_tasks() -> None:
    engine = Engine("sqlite://", pool_size=4)
    create_all(engine, [Tag])

    def work(number: int) -> None:
        for i in range(10):
            with Session(engine) as session:
                session.add(Tag(name=f"{number}-{i}"))
                session.commit()
                assert session.query(Tag).where(Tag.name == f"{number}-{i}").count() == 1

    async def task(number: int) -> None:
        for i in range(5):
            async with AsyncSession(engine) as session:
                session.add(Tag(name=f"t{number}-{i}"))
                await session.commit()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    await asyncio.gather(*[task(number) for number in range(8)])
    with Session(engine) as session:
        assert session.query(Tag).count() == 120
    assert engine.pool_stats().in_use == 0
    await engine.adispose()


def test_sixteen_threads_that_write_to_a_file_lose_no_update(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Book(title="counter"))
        session.commit()

    def work(number: int) -> None:
        for _ in range(15):
            with Session(engine) as session, session.transaction():
                session.get_one(Book, 1).rating += 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    with Session(engine) as session:
        assert session.get_one(Book, 1).rating == 240
    assert engine.pool_stats().in_use == 0


# --- processes


def test_a_process_killed_inside_a_transaction_leaves_nothing_of_it(engine: Engine) -> None:
    script = (
        "s = Session(sys.argv[1]); s.add(Tag(name='kept')); s.commit()\n"
        "s.add_all([Tag(name=str(i)) for i in range(1000)]); s.flush()\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    process = run_script(script, f"sqlite:///{engine.config.database}")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate()
    with Session(engine) as session:
        assert names(session.query(Tag).all()) == ["kept"]
        session.add(Tag(name="after"))
        session.commit()


def test_two_processes_that_write_wait_for_each_other(engine: Engine) -> None:
    script = (
        "with Engine(sys.argv[1]) as engine:\n"
        "    for i in range(60):\n"
        "        with Session(engine) as session:\n"
        "            session.query(Tag).count(); session.add(Tag(name=str(i))); session.commit()\n"
    )
    dsn = f"sqlite:///{engine.config.database}?lock_timeout=20"
    processes = [run_script(script, dsn) for _ in range(2)]
    assert [process.communicate() and process.returncode for process in processes] == [0, 0]
    with Session(engine) as session:
        assert session.query(Tag).count() == 120


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_forked_child_uses_connections_of_its_own(tmp_path: Path, kind: str) -> None:
    script = (
        "engine = Engine(sys.argv[1]); create_all(engine, [Tag])\n"
        "with Session(engine) as s: s.add(Tag(name='parent')); s.commit()\n"
        "open_session = Session(engine); open_session.query(Tag).count()\n"
        "children = []\n"
        "for n in range(4):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        try:\n"
        "            for i in range(50):\n"
        "                with Session(engine) as s:\n"
        "                    assert s.exec_scalar('SELECT ? * 2', [n * 100 + i]) == (n * 100 + i) * 2\n"
        "                    if sys.argv[2] == 'file': s.add(Tag(name=f'{n}-{i}')); s.commit()\n"
        "        except BaseException as error:\n"
        "            print(repr(error), flush=True); os._exit(1)\n"
        "        os._exit(0)\n"
        "    children.append(pid)\n"
        "codes = [os.waitpid(pid, 0)[1] for pid in children]\n"
        "assert codes == [0] * 4, codes\n"
        "open_session.add(Tag(name='on')); open_session.commit()\n"
        "assert open_session.query(Tag).count() == (202 if sys.argv[2] == 'file' else 2)\n"
        "open_session.close(); engine.dispose()\n"
    )
    process = run_script(
        script, f"sqlite:///{tmp_path / 'f.db'}?lock_timeout=20" if kind == "file" else "sqlite://", kind
    )
    output, _ = process.communicate()
    assert (process.returncode, output) == (0, "")


# --- cancellation and interrupts


@pytest.mark.parametrize("ending", ["close", "rollback", "commit", "flush"])
async def test_a_session_cancelled_at_any_await_goes_on(awaiting: Database, ending: str) -> None:
    """Cancel after ever more turns of the loop; whatever follows must see all rows of the work or none."""
    engine = awaiting.engine
    for step in range(60):
        before = (await awaiting.rows("SELECT count(*) FROM tag"))[0][0]
        session = AsyncSession(engine)

        async def work(session: AsyncSession = session) -> None:
            async with session.transaction():
                session.add_all([Tag(name="a"), Tag(name="b", books=[Book(title="c")])])
                await session.flush()
                await session.query(Tag).limit(2).all()
                async with session.transaction():
                    session.add(Tag(name="d"))

        task = asyncio.ensure_future(work())
        for _ in range(step):
            await asyncio.sleep(0 if step < 40 else 0.0002)
        task.cancel()
        try:
            await task
            done = True
        except asyncio.CancelledError:
            done = False
        if ending != "close":
            await getattr(session, ending)()
            session.add(Tag(name="after"))
            await session.commit()
        await session.close()
        extra = int(ending != "close")
        rows = (await awaiting.rows("SELECT count(*) FROM tag"))[0][0] - before - extra
        assert rows == 3 if done else rows in (0, 3), (step, rows)
        assert engine.pool_stats().in_use == 0
        with sqlite3.connect(str(engine.config.database), timeout=1, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody holds the lock
            other.execute("ROLLBACK")
        other.close()


async def test_a_cancelled_begin_is_not_forgotten(awaiting: Database) -> None:
    for step in range(12):
        async with AsyncSession(awaiting.engine) as session:
            await session.query(Tag).count()
            session.add(Tag(name=f"t{step}"))
            task = asyncio.ensure_future(session.flush())
            for _ in range(step):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await session.flush()
            await session.commit()
    assert (await awaiting.rows("SELECT count(*) FROM tag")) == [(12,)]


async def test_a_cancelled_commit_does_not_take_the_connection_from_another_task(awaiting: Database) -> None:
    for method in ("commit", "rollback"):
        async with AsyncSession(awaiting.engine) as session:
            session.add(Tag(name=method))
            await session.flush()
            running = asyncio.ensure_future(session.execute(SLOW))
            await asyncio.sleep(0.02)
            waiting = asyncio.ensure_future(getattr(session, method)())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert (await running).scalar() == 1_000_000
            await session.commit()
    assert await awaiting.rows("SELECT name FROM tag") == [("commit",), ("rollback",)]


async def test_a_session_closed_while_a_task_uses_it_gives_its_connection_back(awaiting: Database) -> None:
    session = AsyncSession(awaiting.engine)
    running = asyncio.ensure_future(session.execute(SLOW))
    await asyncio.sleep(0.02)
    await session.close()
    assert (await running).scalar() == 1_000_000
    assert awaiting.engine.pool_stats().in_use == 0


async def test_memory_agrees_with_the_database_after_a_commit_cut_short(awaiting: Database) -> None:
    for step in range(40):
        async with AsyncSession(awaiting.engine) as session:
            tag = Tag(name=f"t{step}")
            session.add(tag)
            await session.flush()
            task = asyncio.ensure_future(session.commit())
            for _ in range(step):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            stored = await awaiting.rows(f"SELECT id FROM tag WHERE name = 't{step}'")
            if session.in_transaction:  # cancelled before it began
                assert stored == []
            else:
                assert stored == ([] if tag.id is None else [(tag.id,)])
            session.add(tag)
            await session.commit()
    assert await awaiting.rows("SELECT count(DISTINCT name), count(*) FROM tag") == [(40, 40)]


def interrupted_commit(session: Session, line: int) -> bool:
    """Commit with a KeyboardInterrupt at the given line of what Blaze runs; say whether it was reached."""
    left = line

    def in_frame(frame: Any, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if not left:
                sys.settrace(None)
                raise KeyboardInterrupt
        return in_frame

    def trace(frame: Any, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        return in_frame if "/flush.py" in name or "/inserts.py" in name or "/updates.py" in name else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        session.commit()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupt_anywhere_in_a_flush_leaves_nothing_half_written(engine: Engine) -> None:
    line, reached = 0, True
    while reached:
        line += 5
        with Session(engine) as session:
            session.add(Author(name=f"a{line}", books=[Book(title=f"b{line}", tags=[Tag(name="t")])]))
            reached = interrupted_commit(session, line)
            session.rollback()
            found = [session.query(model).count() for model in (Author, Book, Tag)]
            assert found == ([0, 0, 0] if reached else [1, 1, 1]), line
            session.add(Tag(name="on"))
            session.flush()
            session.rollback()
        assert engine.pool_stats().in_use == 0
    assert line > 100


def test_an_interrupted_statement_rolls_back_and_can_be_repeated(engine: Engine) -> None:
    class Interrupts:
        armed = True

        def before_execute(self, statement: str) -> None:
            if self.armed and statement.startswith("INSERT"):
                self.armed = False
                raise KeyboardInterrupt

    with Session(engine, hooks=[Interrupts()]) as session:
        author = Author(name="a", books=[Book(title="b")])
        session.add(author)
        with pytest.raises(KeyboardInterrupt):
            session.flush()
        assert not session.in_transaction
        assert session.new
        session.commit()
    with Session(engine) as session:
        assert (session.query(Author).count(), session.query(Book).count()) == (1, 1)


# --- a full database


async def test_a_full_database_is_an_error_that_loses_nothing(db: Database) -> None:
    await db.save(Tag(name="before"))
    async with db.session() as s:
        pages = await s.scalar("PRAGMA page_count")
        await s.execute(f"PRAGMA max_page_count = {pages + 1}")
        await s.add(Tag(name="first"))
        await s.flush()
        large = [Book(title=f"b{i}", meta={"t": "x" * 100_000}) for i in range(20)]
        await s.add_all(large)
        with pytest.raises(DatabaseError, match="full"):
            await s.flush()
        await s.rollback()
        await s.execute("PRAGMA max_page_count = 1000000")
        assert names(await s.all(Tag)) == ["before"]
        await s.add_all(large)
        await s.commit()
    assert await db.rows("SELECT count(*) FROM book") == [(20,)]


# --- after the end, pickles, copies


async def test_objects_stay_readable_after_close_and_say_what_was_not_loaded(db: Database) -> None:
    await db.save(Book(title="b", meta={"a": 1}, author=Author(name="a")))
    async with db.session() as s:
        (book,) = await s.all(Book)
    assert (book.title, book.meta, book.author_id) == ("b", {"a": 1}, 1)
    with pytest.raises(NotLoadedError, match="include"):
        _ = book.author
    for call in (
        lambda: s.add(book),
        lambda: s.flush(),
        lambda: s.all(Book),
        lambda: s.commit(),
        lambda: s.rollback(),
    ):
        with pytest.raises(SessionError, match="closed"):
            await call()


async def test_a_pickled_object_comes_back_without_its_session(db: Database) -> None:
    await db.save(Book(title="b", meta={"a": [1]}, author=Author(name="a")))
    async with db.session() as s:
        (book,) = await s.do(lambda q: q.query(Book).include(Book.author).all())
        for twin in (pickle.loads(pickle.dumps(book)), copy.deepcopy(book)):
            assert (twin.title, twin.meta, twin.author_id) == ("b", {"a": [1]}, 1)
            assert twin not in s.session
            twin.title = "changed"
            merged = await s.merge(twin)
            assert merged is book
            assert book.title == "changed"
            await s.rollback()
    for unpicklable in (db.engine, s.session):
        with pytest.raises((TypeError, BlazeError)):
            pickle.dumps(unpicklable)


# --- garbage


async def test_a_session_dropped_without_close_gives_its_connection_back(db: Database) -> None:
    async def use() -> None:
        s = db.open()
        await s.add(Tag(name="dropped"))
        await s.flush()

    for _ in range(5):
        await use()
        gc.collect()
        await asyncio.sleep(0)
        assert db.engine.pool_stats().in_use == 0
    assert await db.rows("SELECT * FROM tag") == []
    await db.save(Tag(name="kept"))


def test_engines_dropped_without_dispose_leave_no_file_open(tmp_path: Path) -> None:
    def use(number: int) -> None:
        engine = Engine(f"sqlite:///{tmp_path / f'{number}.db'}")
        create_all(engine, [Tag])
        session = Session(engine)
        session.add(Tag(name="t"))
        session.flush()

    threads = threading.active_count()
    for number in range(20):
        use(number)
    gc.collect()
    assert open_files(tmp_path) == []
    assert threading.active_count() == threads


async def test_asynchronous_engines_leave_no_file_and_no_thread(tmp_path: Path) -> None:
    threads = threading.active_count()
    for number in range(10):
        async with Engine(f"sqlite:///{tmp_path / f'{number}.db'}") as engine:
            create_all(engine, [Tag])
            async with AsyncSession(engine) as session:
                session.add(Tag(name="t"))
                await session.commit()
    gc.collect()
    assert open_files(tmp_path) == []
    assert threading.active_count() <= threads  # one of a test before may have ended meanwhile


def test_models_made_in_functions_are_collected() -> None:
    def make() -> weakref.ref[Any]:
        class Local(Model):
            id: Field[int] = field(primary_key=True)
            name: Field[str]

        with Engine("sqlite://") as engine:
            create_all(engine, [Local])
            with Session(engine) as session:
                session.add(Local(name="x"))
                session.commit()
                assert session.query(Local).where(Local.name == "x").one().name == "x"
        return weakref.ref(Local)

    made = [make() for _ in range(5)]
    gc.collect()
    assert sum(found() is not None for found in made) <= 1


# --- streams


async def test_a_stream_left_open_keeps_no_snapshot_on_a_connection_of_the_pool(db: Database) -> None:
    await db.save(*[Tag(name=str(i)) for i in range(3000)])
    async with db.session() as s:
        stream = s.session.stream(Select(Tag), size=10)
        if db.asynchronous:
            await stream.__anext__()
        else:
            next(stream)
    other = Database(Engine(db.engine.config), "sync")
    await other.save(Tag(name="other"))
    other.engine.dispose()
    async with db.session() as s:
        assert await s.do(lambda q: q.query(Tag).count()) == 3001
        await s.add(Tag(name="mine"))
        await s.commit()
    with pytest.raises(SessionError, match="closed before the stream"):
        await exhaust(stream)


async def test_a_stream_goes_on_after_a_commit_inside_it(db: Database) -> None:
    await db.save(*[Tag(name=str(i)) for i in range(50)])
    async with db.session() as s:
        seen = 0
        stream = s.session.stream(Select(Tag).order_by(Tag.id), size=10)
        if db.asynchronous:
            async for tag in stream:
                seen += 1
                await s.add(Tag(name="n"))
                tag.name += "x"
                await s.commit()
                if seen == 50:
                    break
            await stream.aclose()
        else:
            for tag in stream:
                seen += 1
                await s.add(Tag(name="n"))
                tag.name += "x"
                await s.commit()
                if seen == 50:
                    break
            stream.close()
    assert await db.rows("SELECT count(*) FROM tag WHERE name LIKE '%x'") == [(50,)]


@pytest.mark.long
async def test_streaming_half_a_million_rows_takes_little_memory(db: Database) -> None:
    async with db.session() as s:
        await s.execute(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 500000)"
            " INSERT INTO tag (name) SELECT 'name ' || x FROM n"
        )
        await s.commit()
        gc.collect()
        tracemalloc.start()
        seen = await exhaust(s.session.stream(Select(Tag)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert seen == 500_000
    assert peak < 30_000_000


# --- size


async def test_a_list_of_300000_values_is_a_condition_like_any_other(db: Database) -> None:
    await db.save(*[Tag(name=f"t{i}") for i in range(10)])
    numbers = list(range(3, 300_003))
    async with db.session() as s:
        assert len(await s.all(Tag, Tag.id.in_(numbers))) == 8
        assert len(await s.all(Tag, Tag.id.not_in(numbers))) == 2
        assert await s.do(lambda q: q.query(Tag).filter(id__in=numbers).count()) == 8
        texts = [f"t{i}" for i in range(5, 300_005)]
        assert len(await s.all(Tag, Tag.name.in_(texts))) == 5
        assert await s.do(lambda q: q.query(Tag).where(Tag.id.in_(numbers)).delete()) == 8
        await s.rollback()


def shapes(session: Session, start: int, count: int) -> None:
    columns = [Book.id, Book.title, Book.rating, Book.author_id, Book.author.name, Book.author.email]
    for number in range(start, start + count):
        query = session.query(Book.id)
        digits, rest = [], number
        while rest:
            rest, digit = divmod(rest, 12)
            digits.append(digit)
        for digit in digits:
            column = columns[digit % 6]
            query = query.where(column.is_not(None) if digit < 6 else column.is_(None))
        query.to_sql()


def test_the_statement_cache_is_bounded(engine: Engine) -> None:
    with Session(engine) as session:
        shapes(session, 1, 3000)
        gc.collect()
        tracemalloc.start()
        shapes(session, 3000, 3000)
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert grown < 20_000_000


@pytest.mark.long
def test_a_hundred_thousand_shapes_do_not_grow_memory(engine: Engine) -> None:
    with Session(engine) as session:
        shapes(session, 100_000, 5_000)
        gc.collect()
        tracemalloc.start()
        shapes(session, 110_000, 5_000)
        gc.collect()
        first, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        shapes(session, 120_000, 90_000)
        gc.collect()
        tracemalloc.start()
        shapes(session, 220_000, 5_000)
        gc.collect()
        second, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert second < first + 3_000_000


# --- changes in place


async def test_a_change_in_place_through_any_alias_is_found(db: Database) -> None:
    await db.save(Book(title="b", meta={"list": [1], "deep": {"er": {"x": []}}}, labels=["a"]))
    async with db.session() as s:
        (book,) = await s.all(Book)
        deep, labels = book.meta["deep"]["er"]["x"], book.labels
        del book
        gc.collect()
        deep.append(1)
        labels.append("b")
        await s.commit()
        deep.append(2)
        await s.flush()
        labels[0] = "z"
        await s.commit()
    assert await db.rows("SELECT meta, labels FROM book") == [
        ('{"list":[1],"deep":{"er":{"x":[1,2]}}}', '["z","b"]')
    ]


async def test_a_failed_flush_in_a_block_can_be_mended(db: Database) -> None:
    await db.save(Author(name="a", email="e"))
    async with db.session() as s:
        twin = Author(name="b", email="e", books=[Book(title="b")])
        await s.add(twin)
        with pytest.raises(UniqueError):
            await s.flush()
        twin.email = "f"
        await s.commit()
    assert await db.rows("SELECT count(*) FROM author JOIN book ON author_id = author.id") == [(1,)]
