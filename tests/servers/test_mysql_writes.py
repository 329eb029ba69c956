"""What is written to MySQL and MariaDB, by both drivers."""

from __future__ import annotations

import pytest

from blaze import AsyncSession, Engine, Field, Model, Session, UniqueError, create_all, field
from tests.support.loops import run


class Stall(Model):
    """Its table has a unique key more than the model says."""

    id: Field[int] = field(primary_key=True, init=True)
    name: Field[str] = field(max_length=50)

    class Meta:
        table = "mysql_stall"


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
