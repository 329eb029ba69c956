"""A cascade that is deeper than SQLite goes says so."""

from __future__ import annotations

from typing import Optional

import pytest

from blaze import (
    DatabaseError,
    Engine,
    Field,
    ForeignKey,
    Model,
    SQLSyntaxError,
    create_all,
    field,
    foreign_key,
)
from tests.persistence.twins import Database


class Knot(Model):
    id: Field[int] = field(primary_key=True)
    above: ForeignKey[Optional[Knot]] = foreign_key(related_name="below", on_delete="CASCADE", default=None)


@pytest.mark.requirement("R64")
async def test_a_cascade_deeper_than_the_limit(db: Database, engine: Engine) -> None:
    create_all(engine, [Knot])
    above, knots = None, []
    for _ in range(1500):
        above = Knot(above=above)
        knots.append(above)
    async with db.session() as s:
        await s.add_all(knots)
        await s.commit()
        await s.delete(knots[0])
        with pytest.raises(DatabaseError, match=r"1000 rows deep.*far end first") as caught:
            await s.commit()
        assert not isinstance(caught.value, SQLSyntaxError)
        await s.rollback()
        for start in (1000, 500, 0):
            await s.delete(knots[start])
            await s.commit()
    assert await db.rows("SELECT count(*) FROM knot") == [(0,)]
