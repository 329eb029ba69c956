"""How many statements reach a server: as many for a thousand rows as for ten."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Optional

import pytest

from blaze import AsyncSession, Engine, Field, Model, Session, create_all, drop_all, field
from tests.servers.wire import record_asyncpg, record_psycopg2
from tests.support.loops import run


class Ware(Model):
    id: Field[int] = field(primary_key=True)
    code: Field[str] = field(max_length=20, unique=True)
    price: Field[Optional[Decimal]] = field(precision=10, scale=2, default=None)
    words: Field[list[str]] = field(default_factory=list)

    class Meta:
        table = "round_trip_ware"


def wares(size: int) -> list[Ware]:
    return [Ware(code=f"c{n}", price=Decimal(n), words=["a", f'"{n}"']) for n in range(size)]


async def work(s: Any, size: int, note: Callable[[], Any]) -> list[int]:
    """Write rows in every way; tell how many statements each took."""

    async def done(value: Any) -> Any:
        return await value if hasattr(value, "__await__") else value

    costs = []

    async def step(value: Any) -> None:
        before = await done(note())
        await done(value())
        costs.append(await done(note()) - before)

    found = wares(size)
    await done(s.begin())
    await done(s.execute("SELECT 1"))

    async def add_all() -> None:
        await done(s.add_all(found))
        await done(s.flush())

    await step(add_all)
    for ware in found:
        ware.price, ware.words = None, [ware.code]
    await step(s.flush)
    await step(lambda: s.bulk_update(found, ["price", "words"]))

    async def delete() -> None:
        for ware in found:
            await done(s.delete(ware))
        await done(s.flush())

    await step(delete)
    await step(lambda: s.bulk_insert(wares(size)))
    await done(s.rollback())
    return costs


async def costs(dsn: str, asynchronous: bool, counter: Callable[[Any], Callable[[], Any]]) -> list[list[int]]:
    """Work with few rows twice, since the first time drivers ask about types, and with many."""
    found = []
    with Engine(dsn) as engine:
        create_all(engine, [Ware])
        for size in (120, 120, 900):
            if asynchronous:
                async with AsyncSession(engine, autoflush=False) as session:
                    found.append(await work(session, size, counter(session)))
            else:
                with Session(engine, autoflush=False) as session:
                    found.append(await work(session, size, counter(session)))
        drop_all(engine, [Ware])
        if asynchronous:
            await engine.adispose()
    return found[1:]


@pytest.mark.requirement("R24", "R71")
@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
def test_postgres(postgres: str, monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    sent = (record_psycopg2 if driver == "psycopg2" else record_asyncpg)(monkeypatch)
    few, many = run(costs(postgres, driver == "asyncpg", lambda session: lambda: len(sent)))
    assert few == many
    assert max(many) <= 6, many  # a flush in a transaction, and a bulk operation, have a savepoint around


@pytest.mark.requirement("R24", "R71")
@pytest.mark.parametrize("driver", ["pymysql", "asyncmy"])
def test_mysql(mysql: str, driver: str) -> None:
    def questions(s: Any) -> Callable[[], Any]:
        async def ask() -> int:
            result = s.execute("SHOW SESSION STATUS LIKE 'Questions'")
            result = await result if hasattr(result, "__await__") else result
            return int(result.one()[1])

        return ask

    few, many = run(costs(mysql, driver == "asyncmy", questions))
    assert few == many
    assert max(many) <= 7, many


async def prepared(session: AsyncSession) -> int:
    """Count the statements that the connection has prepared under a name."""
    found = await session.execute("SELECT count(*) FROM pg_prepared_statements")
    return int(found.scalar() or 0)


@pytest.mark.asyncio
async def test_asyncpg_parses_a_repeated_statement_once(postgres: str) -> None:
    engine = Engine(postgres, pool_size=1)
    async with AsyncSession(engine) as session:
        await session.execute("SELECT 1")
        before = await prepared(session)
        for number in range(5):
            assert (await session.execute("SELECT CAST(? AS integer) + 1", [number])).scalar() == number + 1
        assert await prepared(session) == before + 1
        calls = await session.execute(
            "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE '%+ 1'"
        )
        assert calls.scalar() == 5
    await engine.adispose()


@pytest.mark.asyncio
async def test_a_statement_prepared_before_a_change_of_its_columns_goes_on(postgres: str) -> None:
    engine = Engine(postgres, pool_size=2)
    async with AsyncSession(engine) as one, AsyncSession(engine) as other:
        await other.execute("CREATE TABLE changing (n integer)")
        await other.execute("INSERT INTO changing VALUES (1)")
        await other.commit()
        assert (await one.execute("SELECT n FROM changing")).scalar() == 1
        await other.execute("ALTER TABLE changing ALTER n TYPE text")
        await other.commit()
        assert (await one.execute("SELECT n FROM changing")).scalar() == "1"
    await engine.adispose()
