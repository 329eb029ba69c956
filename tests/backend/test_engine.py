"""The engine: what it is made of, its pools, its end, and what happens at a fork."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blaze import Session
from blaze.adapters import Backend, ConnectionConfig
from blaze.engine import Engine
from blaze.errors import (
    ConfigurationError,
    ConnectionLostError,
    PluginError,
    PoolTimeoutError,
    SessionError,
    TimeoutError,
)
from blaze.plugins import registry
from blaze_sqlite import AiosqliteAdapter, SQLiteAdapter, SQLiteDialect
from tests.support.loops import run

pytestmark = pytest.mark.requirement("R110")


def count(engine: Engine) -> int:
    with engine.connection() as connection:
        number: int = connection.execute("SELECT count(*) FROM t").rows[0][0]
        return number


def wait_until(happened: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def fill(engine: Engine) -> None:
    with engine.connection() as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (1)")


@pytest.mark.requirement("R80", "R83")
def test_what_an_engine_is_made_of(database_url: str) -> None:
    config = ConnectionConfig.from_dsn(database_url)
    for engine in (
        Engine(database_url),
        Engine(config),
        Engine(SQLiteAdapter(), config=config),
        Engine(SQLiteAdapter(), config=database_url),
        Engine(AiosqliteAdapter(), config=database_url),
        Engine(database_url.replace("sqlite:", "sqlite+aiosqlite:")),
    ):
        with engine, engine.connection() as connection:
            assert connection.execute("SELECT 1").rows == [(1,)]
            assert isinstance(engine.dialect, SQLiteDialect)
            assert engine.dialect.driver == "sqlite3"
            assert engine.async_dialect.driver == "aiosqlite"
            assert engine.config.database == config.database


def test_an_adapter_takes_every_name_of_its_databases() -> None:
    from blaze_mysql import AsyncmyAdapter, MySQLAdapter
    from blaze_postgres import AsyncpgAdapter, PostgresAdapter

    for adapter, second, schemes, port in (
        (MySQLAdapter, AsyncmyAdapter, ("mysql", "mariadb"), 3306),
        (PostgresAdapter, AsyncpgAdapter, ("postgresql", "postgres"), 5432),
    ):
        made: Any = adapter()
        driver = second.driver
        for scheme in schemes:
            for engine in (
                Engine(made, config=f"{scheme}://u@127.0.0.1/x"),
                Engine(f"{scheme}://u@127.0.0.1/x?connect_timeout=1"),
                Engine(f"{scheme}+{driver}://u@127.0.0.1/x"),
            ):
                with engine:
                    assert engine.config.scheme == scheme
                    assert (engine.adapter.name, engine.adapter.driver) == (made.name, made.driver)
                    assert engine.async_adapter.driver == driver
                    assert engine.identity == f"{made.name}://localhost:{port}/x"


def test_a_database_has_one_identity_whatever_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def identities(*dsns: str) -> set[str]:
        return {Engine(dsn).identity for dsn in dsns}

    monkeypatch.delenv("PGHOST", raising=False)
    assert identities(
        "postgresql://a:b@127.0.0.1/shop",
        "postgresql://c@LOCALHOST:5432/shop?pgbouncer=true",
        "postgresql+asyncpg://[::1]:5432/shop",
        "postgresql://shop@localhost.",
    ) == {"postgresql://localhost:5432/shop"}
    assert identities("mysql:///shop", "mariadb+asyncmy://localhost/shop", "mysql://127.0.0.1:3306/shop") == {
        "mysql://localhost:3306/shop"
    }
    named = identities("postgresql://h1/a?cache_name=shop", "postgresql://h2:6432/b?cache_name=shop")
    assert named == {"postgresql:shop"}
    others = [
        "postgresql://localhost/shop",
        "postgresql://localhost/shop?search_path=one",
        "postgresql://localhost/shop?search_path=two",
        "postgresql://localhost:5433/shop",
        "postgresql:///shop",
        "postgresql://shop/shop?cache_name=other",
        "mysql://localhost/shop?unix_socket=/tmp/a",
        "mysql://localhost/shop?unix_socket=/tmp/A",
    ]
    assert len(identities(*others)) == len(others)
    monkeypatch.setenv("PGHOST", "db")
    assert identities("postgresql:///shop", "postgresql://db/shop") == {"postgresql://db:5432/shop"}


@pytest.mark.parametrize("dsn", ["sqlite:///rel.db", "sqlite:///file:rel.db", "sqlite:///rel.db?mode=rwc"])
def test_a_relative_path_is_that_of_the_folder_where_the_engine_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dsn: str
) -> None:
    here, there = tmp_path / "he re%", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    with Engine(dsn) as engine:
        monkeypatch.chdir(there)
        with engine.connection() as connection:
            connection.execute("CREATE TABLE t (x)")

        async def write() -> None:
            async with engine.aconnection() as other:
                await other.execute("INSERT INTO t VALUES (1)")
            await engine.adispose()

        run(write())
    assert (here / "rel.db").exists()
    assert not list(there.iterdir())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Engine("postgres_://x"), "no backend for postgres_:// is installed"),
        (lambda: Engine("sqlite+aiosqlit://"), "no driver 'aiosqlit'; did you mean 'aiosqlite'"),
        (lambda: Engine("sqlite://app.db"), "write sqlite:///relative.db"),
        (lambda: Engine("sqlite://u:p@/x"), "knows no user, password"),
        (lambda: Engine("sqlite:///x?sslmode=require"), "sslmode means nothing to SQLite"),
        (lambda: Engine("sqlite:///x?isolation_level=SNAPSHOOT"), "no isolation level"),
        (lambda: Engine("sqlite://", pool_size=-1), "pool_size -1"),
        (lambda: Engine("sqlite://", config="sqlite://"), "given twice"),
        (
            lambda: Engine(SQLiteAdapter(), config="postgresql:///prod"),
            "of sqlite, not of postgresql",
        ),
        (lambda: Engine(SQLiteAdapter(), config="mysql://u:hunter2@h/shop"), "not of mysql"),
        (lambda: Engine(AiosqliteAdapter(), config=ConnectionConfig("nosuch")), "not of nosuch"),
        (lambda: Engine(SQLiteAdapter(), config={"database": "x"}), "not as dict"),  # type: ignore[arg-type]
        (lambda: Session(AiosqliteAdapter(), connection_config=b"sqlite://"), "not as bytes"),  # type: ignore[arg-type]
        (lambda: Engine(SQLiteAdapter), "not of SQLiteAdapter"),  # type: ignore[arg-type]
        (lambda: Engine(3), "not of int"),  # type: ignore[arg-type]
    ],
)
def test_mistakes(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_a_missing_distribution_is_named() -> None:
    if "mysql" in registry.names("blaze.backends"):
        return
    with pytest.raises(ConfigurationError, match="pip install blaze-mysql"):
        Engine("mysql://u:p@h/x")


def raising() -> Any:
    raise OSError("libfoo.so.1: cannot open shared object file")


@pytest.mark.requirement("R90")
@pytest.mark.parametrize("side", ["adapter", "async_adapter", "drivers", "async_drivers"])
def test_a_backend_whose_factory_fails_is_named(side: str) -> None:
    factories: dict[str, Any] = {"adapter": SQLiteAdapter, "async_adapter": AiosqliteAdapter}
    factories[side] = {"quick": raising} if side.endswith("drivers") else raising
    registry.register("blaze.backends", "frail", Backend("frail", **factories))
    words = "'frail' of blaze.backends .registered by hand. cannot be used: OSError: libfoo"
    try:
        with pytest.raises(PluginError, match=words) as raised:
            assert Engine("frail+quick://" if side.endswith("drivers") else "frail://").async_dialect
        assert isinstance(raised.value.__cause__, OSError)
        if side == "adapter":
            with pytest.raises(PluginError, match=words):
                Engine(SQLiteAdapter(), config="frail://")
    finally:
        registry.unregister("blaze.backends", "frail")


@pytest.mark.parametrize(
    ("dsn", "driver", "module", "cure"),
    [
        ("sqlite+aiosqlite://", "aiosqlite", "blaze_sqlite.aio", "'blaze-sqlite.async.'"),
        ("postgresql://h/x", "psycopg2", "blaze_postgres.connection", "blaze-postgres"),
        ("postgresql+asyncpg://h/x", "asyncpg", "blaze_postgres.aio", "'blaze-postgres.async.'"),
        ("mysql://h/x", "pymysql", "blaze_mysql.connection", "blaze-mysql"),
        ("mysql+asyncmy://h/x", "asyncmy", "blaze_mysql.aio", "'blaze-mysql.async.'"),
    ],
)
def test_a_driver_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, dsn: str, driver: str, module: str, cure: str
) -> None:
    package, _, name = module.partition(".")
    monkeypatch.delattr(importlib.import_module(package), name, raising=False)
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, driver, None)
    words = rf"the driver {driver} cannot be imported \(ModuleNotFoundError: .*\): pip install {cure}"
    with Engine(dsn) as engine:
        if driver in ("psycopg2", "pymysql"):
            with pytest.raises(ConfigurationError, match=words):
                engine.acquire()
            with pytest.raises(ConfigurationError, match=words), Session(engine) as session:
                session.exec_scalar("SELECT 1")
        else:
            with pytest.raises(ConfigurationError, match=words):
                run(engine.aacquire())


def test_pool_settings_come_from_arguments_then_the_dsn(database_url: str) -> None:
    with Engine(f"{database_url}?pool_size=1&max_overflow=0&pool_timeout=0.01") as engine:
        held = engine.acquire()
        assert engine.pool_stats() == (1, 1, 0, 0)
        with pytest.raises(PoolTimeoutError):
            engine.acquire()
        engine.release(held)
        assert engine.pool_stats() == (1, 0, 1, 0)
    dsn = f"{database_url}?pool_size=1&max_overflow=0&pool_timeout=9"
    with Engine(dsn, max_overflow=1, pool_timeout=0) as engine:
        both = [engine.acquire(), engine.acquire()]
        with pytest.raises(PoolTimeoutError):
            engine.acquire()
        for connection in both:
            engine.release(connection)


def test_an_engine_does_not_show_or_pickle_its_password() -> None:
    engine = Engine(SQLiteAdapter(), config="sqlite:///x.db")
    assert repr(engine) == "Engine('sqlite:///x.db')"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(engine)
    assert pickle.loads(pickle.dumps(engine.config)) == engine.config
    engine.dispose()


def test_a_transaction_left_open_is_rolled_back_on_release(database_url: str) -> None:
    with Engine(database_url) as engine:
        fill(engine)
        with engine.connection() as connection:
            connection.begin()
            connection.execute("DELETE FROM t")
        assert count(engine) == 1


def test_a_disposed_engine(database_url: str) -> None:
    engine = Engine(database_url)
    fill(engine)
    held = engine.acquire()
    engine.dispose()
    engine.dispose()
    with pytest.raises(SessionError, match="make a new Engine"):
        engine.acquire()
    engine.release(held)
    assert not held.usable
    with pytest.raises(SessionError, match="make a new Engine"):
        run(engine.aacquire())


def test_a_forgotten_engine_closes_its_connections(database_url: str) -> None:
    engine = Engine(database_url)
    fill(engine)
    connection = engine.acquire()
    engine.release(connection)
    del engine  # no cycle holds it: it goes at once
    assert not connection.usable


def test_one_memory_database_per_engine_for_threads_and_both_sides() -> None:
    with Engine("sqlite://") as one, Engine("sqlite://") as two:
        fill(one)
        fill(two)  # another database
        first, second = one.acquire(), one.acquire()
        assert first.execute("SELECT count(*) FROM t").rows == second.execute("SELECT count(*) FROM t").rows

        async def read() -> Any:
            async with one.aconnection() as connection:
                await connection.execute("INSERT INTO t VALUES (2)")
                return (await connection.execute("SELECT count(*) FROM t")).rows

        assert run(read()) == [(2,)]
        one.release(first, discard=True)
        one.release(second, discard=True)
        assert count(one) == 2, "the database outlives its connections"
        assert count(two) == 1


def test_waiting_for_a_locked_table_of_a_memory_database() -> None:
    with Engine("sqlite://?lock_timeout=2") as engine, Engine("sqlite://?lock_timeout=0.05") as hasty:
        for each in (engine, hasty):
            fill(each)
            with each.connection() as one, each.connection() as two:
                one.begin()
                one.execute("INSERT INTO t VALUES (2)")
                if each is hasty:
                    for call in (
                        lambda: two.execute("SELECT * FROM t"),
                        lambda: two.execute_many("INSERT INTO t VALUES (?)", [(1,)]),
                        two.begin,
                    ):
                        with pytest.raises(TimeoutError, match="in-memory database") as caught:
                            call()
                        assert caught.value.retryable
                else:
                    threading.Timer(0.1, one.commit).start()
                    assert two.execute("SELECT count(*) FROM t").rows == [(2,)]


def test_a_named_memory_database_is_shared_by_engines() -> None:
    with (
        Engine("sqlite:///shared-by-name?mode=memory") as one,
        Engine("sqlite:///shared-by-name?mode=memory") as two,
    ):
        fill(one)
        assert count(two) == 1


def test_loops_one_after_another_and_disposal_without_a_loop(database_url: str) -> None:
    engine = Engine(database_url)
    fill(engine)

    async def use() -> Any:
        async with engine.aconnection() as connection:
            return (await connection.execute("SELECT count(*) FROM t")).rows

    assert run(use()) == [(1,)]
    assert engine.pool_stats().idle == 2
    assert run(use()) == [(1,)]
    assert engine.pool_stats().idle == 2, "the pool of the ended loop is gone"
    engine.dispose()


async def test_the_asynchronous_side(database_url: str) -> None:
    async with Engine(database_url, pool_size=2, max_overflow=0) as engine:
        fill(engine)

        async def one() -> Any:
            async with engine.aconnection() as connection:
                return (await connection.execute("SELECT count(*) FROM t")).rows

        assert await asyncio.gather(*(one() for _ in range(20))) == [[(1,)]] * 20
        async with engine.aconnection() as connection:
            await connection.begin()
            await connection.execute("DELETE FROM t")
        assert await one() == [(1,)]


async def test_a_cancelled_task_gives_its_connection_back_rolled_back(database_url: str) -> None:
    async with Engine(database_url, pool_size=1, max_overflow=0) as engine:
        fill(engine)

        async def work() -> None:
            async with engine.aconnection() as connection:
                await connection.begin()
                await connection.execute("DELETE FROM t")
                await connection.execute(
                    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
                )

        for pause in (0.0, 0.001, 0.01, 0.05):
            task = asyncio.ensure_future(work())
            await asyncio.sleep(pause)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with engine.aconnection() as connection:
                assert not connection.in_transaction
                assert (await connection.execute("SELECT count(*) FROM t")).rows == [(1,)]
        assert engine.pool_stats().in_use == 0


def test_replicas_take_turns(tmp_path: Path) -> None:
    dsns = [f"sqlite:///{tmp_path / name}" for name in ("a.db", "b.db", "c.db")]
    with Engine(dsns[0], replicas=dsns[1:]) as engine:
        assert [engine.reader().config.database for _ in range(3)] == [
            str(tmp_path / n) for n in ("b.db", "c.db", "b.db")
        ]
    with Engine(dsns[0]) as engine:
        assert engine.reader() is engine


def test_threads_share_an_engine(database_url: str) -> None:
    with Engine(database_url, pool_size=2, max_overflow=2) as engine:
        fill(engine)
        failures: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(20):
                    with engine.connection() as connection:
                        connection.begin()
                        connection.execute("INSERT INTO t VALUES (1)")
                        connection.commit()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert count(engine) == 161


if hasattr(os, "fork"):

    def _status_of_child(succeeds: Callable[[], bool]) -> int:
        pid = os.fork()
        if pid == 0:
            fine = False
            try:
                fine = succeeds()
            finally:
                os._exit(0 if fine else 1)
        status: list[int] = []

        def ended() -> bool:
            done, code = os.waitpid(pid, os.WNOHANG)
            if done:
                status.append(code)
            return bool(done)

        try:
            assert wait_until(ended), "the child hangs"
        finally:
            if not status:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return status[0]

    def _child(engine: Engine, number: int, held: Any, results: Any) -> None:
        try:
            assert not held.usable
            with pytest.raises(ConnectionLostError, match="parent"):
                held.execute("SELECT 1")
            engine.release(held)  # as a session's exit would; nothing happens
            for _ in range(50):
                with engine.connection() as connection:
                    assert connection.execute("SELECT ?", (number,)).rows == [(number,)]
                    connection.begin()
                    connection.execute("INSERT INTO t VALUES (?)", (number,))
                    connection.commit()

            async def one() -> Any:
                async with engine.aconnection() as connection:
                    return (await connection.execute("SELECT ?", (number,))).rows

            assert run(one()) == [(number,)]
            results.put("ok")
        except BaseException as error:
            results.put(repr(error))

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_children_open_their_own_connections(database_url: str) -> None:
        context = multiprocessing.get_context("fork")
        with Engine(database_url) as engine:
            fill(engine)

            async def warm() -> None:
                async with engine.aconnection() as connection:
                    await connection.execute("SELECT 1")

            run(warm())
            idle = [engine.acquire(), engine.acquire()]
            for connection in idle:
                engine.release(connection)
            held = engine.acquire()
            results = context.Queue()
            children = [context.Process(target=_child, args=(engine, n, held, results)) for n in range(4)]
            for child in children:
                child.start()
            assert [results.get(timeout=30) for _ in children] == ["ok"] * 4
            for child in children:
                child.join(10)
            assert [child.exitcode for child in children] == [0] * 4
            assert held.execute("SELECT count(*) FROM t").rows == [(201,)], "the parent's own goes on"
            engine.release(held)
            assert count(engine) == 201
            assert idle[0].usable is (idle[0] is held), "nothing idle is open while the process forks"

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_a_fork_while_another_thread_uses_the_pool(database_url: str) -> None:
        """The other thread only takes and gives back: a fork inside SQLite itself leaves SQLite's own locks
        taken in the child for ever (docs/caveats.md).
        """
        with Engine(database_url, pool_size=1, max_overflow=0) as engine:
            fill(engine)
            stop = threading.Event()
            rounds = 0

            def busy() -> None:
                nonlocal rounds
                while not stop.is_set():
                    with engine.connection():
                        rounds += 1

            thread = threading.Thread(target=busy)
            thread.start()
            try:
                for _ in range(20):
                    enough = rounds + 3  # so it has opened a connection since the last fork
                    assert wait_until(lambda enough=enough: rounds >= enough)
                    assert _status_of_child(lambda: count(engine) == 1) == 0
            finally:
                stop.set()
                thread.join()


def test_forgotten_asynchronous_connections_do_not_keep_the_interpreter(database_url: str) -> None:
    script = (
        "import asyncio, sys\n"
        "from blaze.engine import Engine\n"
        "engine = Engine(sys.argv[1])\n"
        "async def main():\n"
        "    connection = await engine.aacquire()\n"
        "    await connection.execute('SELECT 1')\n"
        "asyncio.run(main())\n"
        "print('end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, database_url], capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert not done.stderr
