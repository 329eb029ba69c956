"""Conditions of thousands of parts, however they are put together, and what is no condition at all."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from blaze import Engine, Field, ForeignKey, Model, Q, Session, create_all, foreign_key, func
from blaze.errors import QueryError


class Shelf(Model):
    name: Field[str]


class Volume(Model):
    number: Field[int]
    shelf: ForeignKey[Shelf] = foreign_key(related_name="volumes")


@pytest.fixture
def session(database_url: str) -> Any:
    with Engine(database_url) as engine:
        create_all(engine, [Shelf, Volume])
        with Session(engine, slow_query_ms=1e9) as session:
            session.add(Shelf(name="s", volumes=[Volume(number=n) for n in range(10)]))
            session.commit()
            yield session


COUNT = 3_000


@pytest.mark.parametrize("first", [True, False], ids=["append", "prepend"])
def test_thousands_of_alternatives(session: Session, first: bool) -> None:
    def joined(parts: list[Any]) -> Any:
        return reduce(lambda a, b: a | b if first else b | a, parts)

    lookups = joined([Q(number=n) for n in range(8, COUNT)])
    assert session.query(Volume).filter(lookups).count() == 2
    assert session.query(Volume).exclude(lookups).count() == 8
    expressions = joined([Volume.number == n for n in range(8, COUNT)])
    assert session.query(Volume).where(expressions).count() == 2
    assert session.query(Volume).where(~expressions).count() == 8
    many = joined([Q(volumes__number=n) for n in range(9, 600)])
    assert session.query(Shelf).filter(many).count() == 1


@pytest.mark.parametrize("first", [True, False], ids=["append", "prepend"])
def test_thousands_of_conditions(session: Session, first: bool) -> None:
    def joined(parts: list[Any]) -> Any:
        return reduce(lambda a, b: a & b if first else b & a, parts)

    assert session.query(Volume).filter(joined([Q(number__ne=n) for n in range(3, COUNT)])).count() == 3
    assert session.query(Volume).where(joined([Volume.number != n for n in range(3, COUNT)])).count() == 3
    assert session.query(Volume).where(*[Volume.number != n for n in range(3, COUNT)]).count() == 3
    query = session.query(Volume)
    for n in range(3, 1500):
        query = query.where(Volume.number != n)
    assert query.count() == 3


def test_the_order_of_a_long_chain_is_kept(session: Session) -> None:
    chain: Any = reduce(lambda a, b: a | b, [Volume.number == n for n in range(500)])
    sql, params = session.query(Volume).where(chain).to_sql()
    assert list(params) == list(range(500))
    assert sql.count(" OR ") == 499
    mixed = (chain & (Volume.id > 0)) | (Volume.number == -1)
    assert session.query(Volume).where(mixed).count() == 10


def test_a_relation_is_no_argument_of_a_function() -> None:
    wrong: list[Any] = [Volume.shelf, Shelf.volumes, Shelf, Shelf(name="x")]
    functions: list[Any] = [func.count, func.sum, func.max, func.coalesce]
    for value in wrong:
        for function in functions:
            with pytest.raises(QueryError, match=r"no argument of an SQL function.*func\.count\("):
                function(value)


@pytest.mark.parametrize("method", ["filter", "exclude"])
def test_conditions_nested_too_deeply_are_refused_clearly(session: Session, method: str) -> None:
    nested = reduce(lambda a, n: ~(a | Q(number=n)), range(1500), Q(number=-1))
    with pytest.raises(QueryError, match="nested too deeply"):
        getattr(session.query(Volume), method)(nested).count()
    flat = reduce(lambda a, n: a | Q(number=n), range(1500), Q(number=-1))
    assert session.query(Volume).filter(~flat).count() == 0
