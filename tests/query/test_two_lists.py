"""Several long lists in one query: SQLite looks one of them up and tests the others for what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from typing import Any, Callable, Optional
from uuid import UUID

import pytest

from blaze import Engine, Field, ForeignKey, Model, Select, Session, create_all, field, foreign_key, func
from blaze_sqlite import SQLiteAdapter

SIZE = 600
NUMBERS = range(SIZE)


class Member(Model):
    id: Field[int] = field(primary_key=True)
    code: Field[int] = field(unique=True)
    name: Field[str] = field(unique=True)
    fee: Field[Decimal] = field(precision=8, scale=2, unique=True)
    joined: Field[date] = field(unique=True)
    card: Field[UUID] = field(unique=True)
    weight: Field[float] = field(unique=True)
    badge: Field[bytes] = field(unique=True)
    sponsor: ForeignKey[Optional[Member]] = foreign_key(related_name="protégés", unique=True)


def member(number: int) -> Member:
    return Member(
        id=number,
        code=number,
        name=f"n{number}",
        fee=Decimal(number) / 4,
        joined=date.fromordinal(730_000 + number),
        card=UUID(int=number),
        weight=number / 8,
        badge=b"%d" % number,
        sponsor_id=None,
    )


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(f"sqlite:///{tmp_path_factory.mktemp('lists') / 'lists.db'}") as engine:
        create_all(engine, [Member])
        with Session(engine, auto_commit=True) as session:
            session.bulk_insert([member(number) for number in NUMBERS])
            session.execute("UPDATE member SET sponsor_id = id")
        yield engine


def steps(engine: Engine, query: Any) -> int:
    """Run a query; return how many instructions the database took, in thousands."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return taken > 2_000

    sql, params = query.to_sql()
    with closing(SQLiteAdapter().connect(engine.config)) as connection:
        driver: Any = connection.raw
        driver.set_progress_handler(count, 1_000)
        assert len(connection.execute(sql, params, lambda cursor: cursor.fetchall())) in (1, SIZE)
    return taken


PAIRS: dict[str, Callable[[], list[Any]]] = {
    "int": lambda: [Member.id.in_(NUMBERS), Member.code.in_(NUMBERS)],
    "text": lambda: [Member.name.in_([f"n{number}" for number in NUMBERS]), Member.id.in_(NUMBERS)],
    "decimal": lambda: [Member.id.in_(NUMBERS), Member.fee.in_([Decimal(number) / 4 for number in NUMBERS])],
    "date": lambda: [
        Member.id.in_(NUMBERS),
        Member.joined.in_([date.fromordinal(730_000 + number) for number in NUMBERS]),
    ],
    "uuid": lambda: [Member.id.in_(NUMBERS), Member.card.in_([UUID(int=number) for number in NUMBERS])],
    "float": lambda: [Member.id.in_(NUMBERS), Member.weight.in_([number / 8 for number in NUMBERS])],
    "bytes": lambda: [Member.id.in_(NUMBERS), Member.badge.in_([b"%d" % number for number in NUMBERS])],
    "key": lambda: [Member.sponsor_id.in_(NUMBERS), Member.id.in_(NUMBERS)],
    "query": lambda: [Member.id.in_(NUMBERS), Member.code.in_(Select(Member.id))],
    "three": lambda: [
        Member.code.in_(NUMBERS),
        Member.fee.in_([Decimal(number) / 4 for number in NUMBERS]),
        Member.id.in_(NUMBERS),
    ],
    "twice": lambda: [Member.id.in_(NUMBERS), Member.id.in_(NUMBERS)],
    "with NULL": lambda: [Member.sponsor_id.in_([None, *NUMBERS]), Member.id.in_(NUMBERS)],
}


@pytest.mark.parametrize("together", [True, False], ids=["one where", "two"])
@pytest.mark.parametrize("conditions", PAIRS.values(), ids=list(PAIRS))
def test_two_lists_cost_their_sum(
    engine: Engine, conditions: Callable[[], list[Any]], together: bool
) -> None:
    with Session(engine) as session:
        for query in (session.query(func.count(Member.id)), session.query(Member.id)):
            if together:
                query = query.where(*conditions())
            else:
                for condition in conditions():
                    query = query.where(condition)
            assert steps(engine, query) < 100
        assert session.query(Member).where(*conditions()).count() == SIZE


def test_one_list_alone_is_looked_up(engine: Engine) -> None:
    with Session(engine) as session:
        for condition in (
            Member.code.in_([1, 2]),
            Member.id.in_([1, 2]),
            Member.code.in_([1, 2]) & Member.id.not_in([7]),
            Member.code.in_([1, 2]) & Member.name.in_(["n1"]),
        ):
            assert "SEARCH member USING" in str(session.query(Member).where(condition).explain())
            assert "+" not in session.query(Member).where(condition).to_sql()[0]


def test_lists_of_different_rows_do_not_meet(engine: Engine) -> None:
    with Session(engine) as session:
        both = session.query(Member).where(Member.id.in_([1]), Member.sponsor.code.in_([1]))
        apart = session.query(Member).where(Member.protégés.id.in_([1])).where(Member.protégés.code.in_([1]))
        either = session.query(Member).where(Member.id.in_([1]) | Member.code.in_([2]))
        for query, count in ((both, 1), (apart, 1), (either, 2)):
            assert "+" not in query.to_sql()[0]
            assert query.count() == count


def test_changes_by_two_lists(engine: Engine) -> None:
    with Session(engine) as session:
        chosen = session.query(Member).where(Member.id.in_([1, 2, 3]), Member.code.in_([2, 3, 4]))
        assert chosen.update(name=Member.name + "!") == 2
        assert [each.name for each in chosen.order_by(Member.id)] == [
            "n2!",
            "n3!",
        ]
        session.rollback()
