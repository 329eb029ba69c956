"""Dates and times that are none, which MySQL and MariaDB keep where the SQL mode lets them in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import pytest

from blaze import AsyncSession, DataError, Engine, Field, Model, Select, Session, create_all, drop_all, field
from tests.support.loops import run


class Moment(Model):
    id: Field[int] = field(primary_key=True, init=True)
    day: Field[date]
    hour: Field[time]
    naive: Field[datetime] = field(timezone=False)
    aware: Field[datetime]

    class Meta:
        table = "mysql_moment"


GOOD = ["2024-01-02", "01:02:03", "2024-01-02 03:04:05", "2024-01-02 03:04:05"]
BAD = [
    ("day", "2024-00-10"),
    ("day", "0000-00-00"),
    ("hour", "50:00:00"),
    ("hour", "-01:00:00"),
    ("naive", "0000-00-00"),
    ("aware", "0000-00-00"),
]


@pytest.fixture
def engine(mysql: str) -> Iterator[Engine]:
    """Give an engine on a table with a good row and one with each of the bad values."""
    names = ["day", "hour", "naive", "aware"]
    insert = "INSERT INTO mysql_moment VALUES (?, ?, ?, ?, ?)"
    with Engine(mysql) as engine:
        drop_all(engine, [Moment])
        create_all(engine, [Moment])
        with Session(engine) as s:
            s.execute("SET sql_mode = ''")
            s.execute(insert, [0, *GOOD])
            for number, (name, value) in enumerate(BAD, 1):
                s.execute(insert, [number, *[value if n == name else v for n, v in zip(names, GOOD)]])
            s.commit()
        yield engine


def attempt(statement: Any, engine: Engine) -> Any:
    try:
        with Session(engine) as s:
            return s.exec(statement).all()
    except DataError as error:
        return error


async def attempt_awaited(statement: Any, engine: Engine) -> Any:
    try:
        async with AsyncSession(engine) as s:
            return await (await s.exec(statement)).all()
    except DataError as error:
        return error


def both(engine: Engine, statements: list[Any]) -> list[Any]:
    """Run statements by each driver; give results and errors."""

    async def main() -> list[Any]:
        try:
            return [await attempt_awaited(each, engine) for each in statements]
        finally:
            await engine.adispose()

    return list(zip([attempt(each, engine) for each in statements], run(main())))


def test_good_ones_are_read(engine: Engine) -> None:
    statement = Select(Moment.day, Moment.hour, Moment.naive).where(Moment.id == 0)
    for rows in both(engine, [statement])[0]:
        assert rows == [(date(2024, 1, 2), time(1, 2, 3), datetime(2024, 1, 2, 3, 4, 5))]


def test_a_typed_column_refuses_what_is_none(engine: Engine) -> None:
    objects = both(engine, [Select(Moment).where(Moment.id == n) for n in range(1, len(BAD) + 1)])
    for number, ((name, value), found) in enumerate(zip(BAD, objects), 1):
        for error in found:
            assert isinstance(error, DataError)
            assert f"Moment.{name} of the row with the key {number} cannot be read" in str(error)
            assert error.columns == (name,)
            assert value not in str(error)


def test_a_typed_result_refuses_what_is_none(engine: Engine) -> None:
    columns = [Select(getattr(Moment, n)).where(Moment.id == k) for k, (n, _) in enumerate(BAD, 1)]
    assert all(isinstance(error, DataError) for found in both(engine, columns) for error in found)


def test_raw_sql_gives_them_as_they_are(engine: Engine) -> None:
    with Session(engine) as s:
        assert s.exec_scalar("SELECT hour FROM mysql_moment WHERE id = 3").startswith("50:00:00")
        assert s.exec_scalar("SELECT naive FROM mysql_moment WHERE id = 5").startswith("0000-00-00")
