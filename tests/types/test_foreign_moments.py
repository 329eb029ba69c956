"""Moments that SQLite or another program has written as text come back as their column says."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import pytest

from blaze import AsyncSession, DataError, Engine, Field, Model, Session, create_all, field, func

pytestmark = pytest.mark.requirement("R14")

NOON = datetime(2020, 1, 1, 12, tzinfo=timezone.utc)
AWARE = [
    ("2020-01-01 12:00:00", NOON),
    ("2020-01-01T12:00:00.000000", NOON),
    ("2020-01-01", NOON.replace(hour=0)),
    ("2020-01-01 14:00:00+02:00", NOON),
    ("2020-01-01 12:00:00.000000+00:00", NOON),
]


class Stamped(Model):
    id: Field[int] = field(primary_key=True)
    seen: Field[Optional[datetime]] = field(default=None)
    sent: Field[datetime] = field(default_factory=lambda: NOON)
    local: Field[Optional[datetime]] = field(default=None, timezone=False)


@pytest.fixture
def engine() -> Any:
    with Engine("sqlite://", pool_size=1, max_overflow=0) as engine:
        create_all(engine, [Stamped])
        with Session(engine) as s:
            s.add(Stamped())
            s.commit()
        yield engine


@pytest.mark.parametrize(("text", "wanted"), AWARE)
def test_an_aware_column_is_read_in_utc(engine: Engine, text: str, wanted: datetime) -> None:
    with Session(engine) as s:
        s.execute("UPDATE stamped SET seen = ?, sent = ?", [text, text])
        one = s.query(Stamped).one()
        row = s.query(Stamped.seen, Stamped.sent).one()
        values = [one.seen, one.sent, *row, s.query(func.max(Stamped.seen)).scalar()]
        s.refresh(one)
        values += [one.seen, one.sent]
        assert values == [wanted] * 7
        assert {value.tzinfo for value in values if value is not None} == {timezone.utc}
        assert s.dirty == []
        s.rollback()


async def test_current_timestamp_of_sqlite(engine: Engine) -> None:
    async with AsyncSession(engine) as s:
        await s.execute("UPDATE stamped SET seen = CURRENT_TIMESTAMP")
        one = await s.query(Stamped).one()
        assert one.seen is not None
        assert abs(datetime.now(timezone.utc) - one.seen) < timedelta(minutes=5)
        await s.rollback()


def test_a_naive_column_refuses_a_zone(engine: Engine) -> None:
    with Session(engine, auto_commit=True) as s:
        s.execute("UPDATE stamped SET local = '2020-01-01 12:00:00'")
        assert s.query(Stamped).one().local == datetime(2020, 1, 1, 12)
    with Session(engine, auto_commit=True) as s:
        s.execute("UPDATE stamped SET local = '2020-01-01 12:00:00+00:00'")
        with pytest.raises(DataError, match=r"Stamped.local of the row with the key 1 .* has a zone"):
            s.query(Stamped).one()
        with pytest.raises(DataError, match="has a zone"):
            s.query(Stamped.local).one()
