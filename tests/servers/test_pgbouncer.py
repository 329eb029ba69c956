"""PgBouncer in transaction mode: `pgbouncer=true` keeps nothing in a session of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from blaze import (
    AsyncSession,
    ConfigurationError,
    Engine,
    Field,
    Migration,
    MigrationEngine,
    Model,
    Session,
    StaleDataError,
    create_all,
    drop_all,
    field,
)
from tests.servers.wire import record_asyncpg, record_psycopg2
from tests.support.loops import run
from tests.support.servers import pgbouncer


class Bird(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=40)
    version: Field[int] = field(version=True, default=1)

    class Meta:
        table = "pooled_bird"


@pytest.fixture(scope="module")
def pooled(postgres: str) -> Iterator[str]:
    with pgbouncer(postgres) as dsn:
        yield dsn


@pytest.fixture
def table(postgres: str) -> Iterator[None]:
    with Engine(postgres) as engine:
        create_all(engine, [Bird])
        yield
        drop_all(engine, [Bird])


# PgBouncer sets the encoding for each client; the others are set for the transaction that asks.
_NOT_OURS = ("client_encoding", "TimeZone", "statement_timeout")


async def done(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


async def work(s: Any, name: str) -> None:
    """Do a little of everything."""
    birds = [Bird(name=f"{name}{n}") for n in range(5)]
    s.add_all(birds)
    await done(s.commit())
    for bird in birds:
        bird.name += "!"
    await done(s.commit())
    found = await done(s.query(Bird).where(Bird.id.in_([b.id for b in birds])).order_by(Bird.id).all())
    assert [bird.name for bird in found] == [f"{name}{n}!" for n in range(5)]
    await done(s.commit())
    assert await done(s.get(Bird, birds[0].id)) is birds[0]
    await done(s.bulk_insert([Bird(name=f"{name} many") for _ in range(150)]))
    await done(s.delete(birds[0]))
    await done(s.commit())
    assert await done(s.query(Bird).where(Bird.name.startswith(name)).count()) == 154
    await done(s.commit())


async def state(dsn: str) -> tuple[int, list[str]]:
    """Tell what is kept in the one session of the server: prepared statements, settings of the session."""
    with Session(dsn) as session:
        statements = session.exec_scalar("SELECT count(*) FROM pg_prepared_statements")
        session.rollback()
        rows = session.execute("SELECT name FROM pg_settings WHERE source = 'session' ORDER BY name").all()
        return int(statements), [name for (name,) in rows if name not in _NOT_OURS]


def test_threads_share_one_session_of_the_server(pooled: str, table: None) -> None:
    with Engine(pooled, pool_size=4) as engine:

        def one(number: int) -> None:
            async def inside() -> None:
                with Session(engine) as session:
                    await work(session, f"t{number}-")

            run(inside())

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(one, range(8)))
    assert run(state(pooled)) == (0, [])


def test_tasks_share_one_session_of_the_server(pooled: str, table: None) -> None:
    async def inside() -> None:
        engine = Engine(pooled, pool_size=4)

        async def one(number: int) -> None:
            async with AsyncSession(engine) as session:
                await work(session, f"a{number}-")

        await asyncio.gather(*map(one, range(8)))
        await engine.adispose()

    run(inside())
    assert run(state(pooled)) == (0, [])


@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
def test_nothing_is_kept_in_the_session(
    postgres: str, table: None, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    """Without a pooler at hand: no statement has a name, no setting outlives its transaction."""
    sent = (record_psycopg2 if driver == "psycopg2" else record_asyncpg)(monkeypatch)

    async def inside() -> tuple[int, list[Any]]:
        kept = "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''"
        settings = (
            "SELECT current_setting('TimeZone'), current_setting('statement_timeout'),"
            " current_setting('lock_timeout')"
        )
        dsn = f"{postgres}?pgbouncer=true&lock_timeout=7&statement_timeout=9"
        if driver == "psycopg2":
            with Engine(dsn, pool_size=1) as engine:
                with Session(engine) as session:
                    await work(session, "x")
                    inner = session.execute(settings).all()
                    session.rollback()
                with engine.connection() as connection, connection.raw.cursor() as cursor:
                    cursor.execute(kept)
                    count = cursor.fetchone()[0]
                    cursor.execute(settings)
                    return count, [inner, cursor.fetchall()]
        engine = Engine(dsn, pool_size=1)
        async with AsyncSession(engine) as session:
            await work(session, "x")
            inner = (await session.execute(settings)).all()
            await session.rollback()
        async with engine.aconnection() as connection:
            count = await connection.raw.fetchval(kept)
            outer = [tuple(row) for row in await connection.raw.fetch(settings)]
        await engine.adispose()
        return count, [inner, outer]

    count, (inside_settings, outside) = run(inside())
    assert count == 0
    assert [tuple(row) for row in inside_settings] == [("UTC", "9s", "7s")]
    assert outside[0][1:] == ("0", "0")
    assert not [
        text for text in sent if text.lstrip().upper().startswith(("SET ", "PREPARE", "LISTEN", "RESET"))
    ]
    assert not [text for text in sent if "set_config" in text and ", true)" not in text]


@pytest.mark.requirement("R84")
def test_migrations_go_through_the_pooler(pooled: str, postgres: str) -> None:
    with Engine(pooled) as engine:
        migrations = MigrationEngine(engine)
        first = Migration(
            "0001_first", ["CREATE TABLE pooled_migrated (id int)"], ["DROP TABLE pooled_migrated"]
        )
        assert migrations.apply([first]) == ["0001_first"]
        assert migrations.applied() == ["0001_first"]
        assert migrations.rollback(confirm_destructive=True) == ["0001_first"]

    async def inside() -> None:
        engine = Engine(pooled)
        migrations = MigrationEngine(engine)
        assert await migrations.aapply([first]) == ["0001_first"]
        assert await migrations.arollback(confirm_destructive=True) == ["0001_first"]
        await engine.adispose()

    run(inside())


def test_streams_end_with_their_transaction(pooled: str, table: None) -> None:
    async def waiting() -> None:
        async with AsyncSession(pooled) as session:
            assert len([bird async for bird in session.query(Bird).stream(7)]) == 100
            await session.rollback()

    with Session(pooled) as session:
        session.bulk_insert([Bird(name="s") for _ in range(100)])
        session.commit()
        assert len(list(session.query(Bird).stream(7))) == 100
        session.rollback()
    run(waiting())


def test_a_lost_update_is_seen_through_the_pooler(pooled: str, table: None) -> None:
    with Session(pooled) as mine, Session(pooled) as theirs:
        bird = Bird(name="b")
        mine.add(bird)
        mine.commit()
        theirs.get_one(Bird, bird.id).name = "theirs"
        theirs.commit()
        bird.name = "mine"
        with pytest.raises(StaleDataError):
            mine.commit()
        mine.rollback()


def test_without_the_option_the_error_names_it(pooled: str) -> None:
    plain = pooled.partition("?")[0]

    async def waiting() -> None:
        async with AsyncSession(plain) as session:
            await session.exec_scalar("SELECT 1")

    with pytest.raises(ConfigurationError, match="pgbouncer=true"), Session(plain) as session:
        session.exec_scalar("SELECT 1")
    with pytest.raises(ConfigurationError, match="pgbouncer=true"):
        run(waiting())
