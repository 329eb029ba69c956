"""What is written to MySQL and MariaDB, by both drivers."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from blaze import (
    AsyncSession,
    DataError,
    Engine,
    Field,
    Insert,
    Model,
    Session,
    UniqueError,
    cast,
    create_all,
    excluded,
    field,
)
from tests.support.loops import run


class Stall(Model):
    """Its table has a unique key more than the model says."""

    id: Field[int] = field(primary_key=True, init=True)
    name: Field[str] = field(max_length=50)

    class Meta:
        table = "mysql_stall"


class Scroll(Model):
    id: Field[int] = field(primary_key=True, init=True)
    text: Field[str] = field(default="")

    class Meta:
        table = "mysql_scroll"


# Together they are longer than a packet may be.
SCROLLS: list[dict[str, Any]] = [{"id": n, "text": "x" * 1_000_000} for n in range(1, 18)]
CHANGED: dict[str, Any] = {"text": excluded("text")}


def test_long_rows_are_written_by_several_statements(mysql: str) -> None:
    statements = [
        Insert(Scroll).values(SCROLLS).on_conflict("id", update=CHANGED).returning(Scroll.id),
        Insert(Scroll).values([*SCROLLS, {"id": 18, "text": cast("y", str)}]),
    ]
    with Engine(mysql) as engine:
        create_all(engine, [Scroll])
        with Session(engine) as s:
            result = s.upsert([Scroll(**row) for row in SCROLLS], conflict=["id"])
            assert len(result.inserted) == 17
            result = s.upsert([Scroll(**row) for row in SCROLLS], conflict=["id"])
            assert len(result.updated) == 17
            s.rollback()
            for statement in statements:
                s.exec(statement)
                assert s.exec_scalar("SELECT sum(length(text)) FROM mysql_scroll WHERE id < 18") == 17_000_000
                s.rollback()

        async def main() -> None:
            async with AsyncSession(engine) as s:
                result = await s.upsert([Scroll(**row) for row in SCROLLS], conflict=["id"])
                assert len(result.inserted) == 17
                await s.rollback()
                for statement in statements:
                    await s.exec(statement)
                    assert await s.query(Scroll).count() >= 17
                    await s.rollback()
            await engine.adispose()

        run(main())


def test_a_statement_that_the_server_would_break_off_is_not_sent(mysql: str) -> None:
    """Afterwards the connection lives, and so does what the transaction has written before."""
    long = "x" * 17_000_000
    row = {"id": 3, "text": long}

    def calls(s: Any) -> list[Callable[[], Any]]:
        return [
            lambda: s.upsert([Scroll(id=2, text=long)], conflict=["id"]),
            lambda: s.exec(Insert(Scroll).values([row, row]).on_conflict("id", do="nothing")),
            lambda: s.bulk_update([Scroll(id=1, text=long)]),
            lambda: s.execute("SELECT ?", [b"\0" * 9_000_000]),
            lambda: s.query(Scroll).where(Scroll.text == long).all(),
        ]

    with Engine(mysql, pool_size=1) as engine:
        create_all(engine, [Scroll])
        with Session(engine) as s:
            s.add(Scroll(id=1, text=long))
            with pytest.raises(DataError, match="max_allowed_packet"):
                s.commit()
            s.rollback()
            s.add(Scroll(id=1, text="before"))
            s.flush()
            for call in calls(s):
                with pytest.raises(DataError, match="max_allowed_packet"):
                    call()
            with pytest.raises(DataError, match="max_allowed_packet"):
                list(s.stream(s.query(Scroll).where(Scroll.text == long)))
            s.commit()
            assert [tuple(each) for each in s.query(Scroll.id, Scroll.text).all()] == [(1, "before")]

        async def main() -> None:
            async with AsyncSession(engine) as s:
                s.add(Scroll(id=2, text=long))
                with pytest.raises(DataError, match="max_allowed_packet"):
                    await s.commit()
                await s.rollback()
                s.add(Scroll(id=2, text="before"))
                await s.flush()
                for call in calls(s):
                    with pytest.raises(DataError, match="max_allowed_packet"):
                        await call()
                with pytest.raises(DataError, match="max_allowed_packet"):
                    [each async for each in s.stream(s.query(Scroll).where(Scroll.text == long))]
                await s.commit()
                assert await s.query(Scroll).count() == 2
            await engine.adispose()

        run(main())


def test_upsert_meets_a_key_that_only_the_table_has(mysql: str) -> None:
    with Engine(mysql) as engine:
        create_all(engine, [Stall])
        with Session(engine) as s:
            s.execute("ALTER TABLE mysql_stall ADD UNIQUE (name)")
            s.add(Stall(id=1, name="a"))
            s.commit()
            with pytest.raises(UniqueError, match="no row with its id: it met another unique key"):
                s.upsert([Stall(id=2, name="a")], conflict=["id"])

        async def main() -> None:
            async with AsyncSession(engine) as s:
                with pytest.raises(UniqueError, match="no row with its id: it met another unique key"):
                    await s.upsert([Stall(id=2, name="a")], conflict=["id"])
            await engine.adispose()

        run(main())
