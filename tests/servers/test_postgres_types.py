"""PostgreSQL's own types through both drivers: every value comes back as it went in, however written."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Iterator
from decimal import Decimal
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any, Optional, Union

import pytest

from blaze import (
    AsyncSession,
    CapabilityError,
    Engine,
    Field,
    Insert,
    MigrationError,
    Model,
    Session,
    Update,
    ValidationError,
    create_all,
    drop_all,
    field,
)
from blaze.dialects.types import Array, Integer
from blaze.schema import AddColumn, Migration, MigrationEngine, TableColumn
from blaze_postgres import Range
from blaze_postgres.types import (
    Cidr,
    DateRange,
    Inet,
    Int4Range,
    Int8Range,
    NativeEnum,
    NumRange,
    TsRange,
    TstzRange,
)
from tests.support.loops import run as run_alone

UTC = dt.timezone.utc
EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))


class Mood(enum.Enum):
    SAD = "sad"
    OK = 'it\'s "ok" \\ {,}'
    HAPPY = "happy"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Host(Model):
    id: Field[int] = field(primary_key=True)
    address: Field[Optional[Union[IPv4Address, IPv6Address]]] = field(type=Inet(), default=None)
    network: Field[Optional[Union[IPv4Network, IPv6Network]]] = field(type=Cidr(), default=None)
    addresses: Field[list[Any]] = field(type=Array(Inet()), default_factory=list)
    networks: Field[Optional[list[Any]]] = field(type=Array(Cidr()), default=None)
    mood: Field[Optional[Mood]] = field(type=NativeEnum(Mood, "native mood"), default=None)
    moods: Field[list[Mood]] = field(type=Array(NativeEnum(Mood, "native mood")), default_factory=list)
    size: Field[Optional[Size]] = field(type=NativeEnum(Size), default=None)

    class Meta:
        table = "native_host"


class Span(Model):
    id: Field[int] = field(primary_key=True)
    small: Field[Optional[Range[int]]] = field(type=Int4Range(), default=None)
    whole: Field[Optional[Range[int]]] = field(type=Int8Range(), default=None)
    price: Field[Optional[Range[Decimal]]] = field(type=NumRange(), default=None)
    days: Field[Optional[Range[dt.date]]] = field(type=DateRange(), default=None)
    naive: Field[Optional[Range[dt.datetime]]] = field(type=TsRange(), default=None)
    time: Field[Optional[Range[dt.datetime]]] = field(type=TstzRange(), default=None)
    several: Field[list[Range[int]]] = field(type=Array(Int8Range()), default_factory=list)

    class Meta:
        table = "native_span"


def at(year: int, *rest: int, zone: Any = UTC) -> dt.datetime:
    month, day, *time = (*rest, 1, 1)[:2] if len(rest) < 2 else rest
    return dt.datetime(year, month, day, *time, tzinfo=zone)


HOSTS: dict[str, list[Any]] = {
    "address": [
        ip_address("10.0.0.1"),
        ip_interface("10.0.0.1/8"),
        ip_address("::1"),
        ip_interface("2001:db8::7/64"),
        ip_address("255.255.255.255"),
    ],
    "network": [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"), ip_network("1.2.3.4/32")],
    "addresses": [
        [],
        [ip_address("10.0.0.1"), None, ip_interface("10.0.0.1/8"), ip_address("::1")],
        [ip_address("10.0.0.1"), ip_interface("10.0.0.1/8")],
    ],
    "networks": [[ip_network("10.0.0.0/8")], [None, ip_network("2001:db8::/32")]],
    "mood": list(Mood),
    "moods": [[], [Mood.OK], [Mood.SAD, None, Mood.HAPPY, Mood.OK]],
    "size": list(Size),
}
SPANS: dict[str, list[Any]] = {
    "small": [Range(1, 5), Range(None, 5), Range(-7, None), Range(), Range.nothing()],
    "whole": [Range(-(2**63), 2**63 - 1), Range(0, 1), Range.nothing()],
    "price": [
        Range(Decimal("0.10"), Decimal("9.99"), "[]"),
        Range(Decimal("-1"), Decimal("1"), "()"),
        Range(Decimal(0), None),
        Range.nothing(),
    ],
    "days": [Range(dt.date(2026, 1, 1), dt.date(2026, 2, 1)), Range(None, dt.date(1, 1, 2)), Range()],
    "naive": [
        Range(dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, 0, 0, 0, 1), "(]"),
        Range(dt.datetime(2026, 1, 1, 1, 2, 3, 450_000), None),
        Range(dt.datetime.min, dt.datetime.max, "[]"),
    ],
    "time": [
        Range(at(2026), at(2027), "[]"),
        Range(at(2026, 7, 1, 12, 0, 0, 5), None),
        Range(None, at(9999, 12, 31, 23, 59, 59, 999_999), "(]"),
    ],
    "several": [[], [Range(1, 2), None, Range(), Range.nothing()], [Range(1, 2), Range(None, 5)]],
}


def rows(model: Any, values: dict[str, list[Any]]) -> list[dict[str, Any]]:
    most = max(map(len, values.values()))
    return [{name: each[n % len(each)] for name, each in values.items()} for n in range(most)]


async def done(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


@pytest.fixture(scope="module")
def tables(postgres: str) -> Iterator[str]:
    with Engine(postgres) as engine:
        create_all(engine, [Host, Span])
        create_all(engine, [Host, Span])  # the types are there already
        yield postgres
        drop_all(engine, [Host, Span])
        with Session(engine) as session:
            assert session.exec_scalar("SELECT count(*) FROM pg_type WHERE typtype = 'e'") == 0


@pytest.fixture(params=["psycopg2", "asyncpg"])
def play(request: pytest.FixtureRequest, tables: str) -> Callable[[Any], Any]:
    """Run a coroutine function with a session of either kind, and take its changes back."""

    def run(case: Any) -> Any:
        async def inside() -> Any:
            if request.param == "psycopg2":
                with Session(tables) as session:
                    await case(session)
                    session.rollback()
                return
            async with AsyncSession(tables) as session:
                await case(session)
                await session.rollback()

        return run_alone(inside())

    return run


async def by_flush(s: Any, model: Any, given: list[dict[str, Any]]) -> None:
    s.add_all([model(**row) for row in given])
    await done(s.flush())


async def one_by_one(s: Any, model: Any, given: list[dict[str, Any]]) -> None:
    for row in given:
        s.add(model(**row))
        await done(s.flush())


async def by_update(s: Any, model: Any, given: list[dict[str, Any]]) -> None:
    objects = [model() for _ in given]
    s.add_all(objects)
    await done(s.flush())
    for instance, row in zip(objects, given):
        for name, value in row.items():
            setattr(instance, name, value)
    await done(s.flush())


async def by_bulk(s: Any, model: Any, given: list[dict[str, Any]]) -> None:
    await done(s.bulk_insert([model(**row) for row in given]))


async def by_statement(s: Any, model: Any, given: list[dict[str, Any]]) -> None:
    for row in given:
        await done(s.exec(Insert(model).values(**row)))


async def by_update_statement(s: Any, model: Any, given: list[dict[str, Any]]) -> None:
    for row in given:
        instance = model()
        s.add(instance)
        await done(s.flush())
        await done(s.exec(Update(model).set(**row).where(model.id == instance.id)))


WAYS = [by_flush, one_by_one, by_update, by_bulk, by_statement, by_update_statement]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(("model", "values"), [(Host, HOSTS), (Span, SPANS)], ids=["hosts", "spans"])
def test_round_trip(play: Any, model: Any, values: dict[str, list[Any]], way: Any) -> None:
    given = rows(model, values)

    async def case(s: Any) -> None:
        await way(s, model, given)
        columns = [getattr(model, name) for name in values]
        found = await done(s.query(*columns).order_by(model.id).all())
        assert [dict(zip(values, row)) for row in found] == given
        types = [[type(value) for value in row] for row in found]
        assert types == [[type(value) for value in row.values()] for row in given]
        for name, kinds in values.items():
            column = getattr(model, name)
            for value in kinds:
                here = sum(row[name] == value for row in given)
                assert await done(s.query(model).where(column == value).count()) == here
                assert await done(s.query(model).where(column.in_([value])).count()) == here

    play(case)


@pytest.mark.parametrize(("model", "values"), [(Host, HOSTS), (Span, SPANS)], ids=["hosts", "spans"])
def test_many_at_once(play: Any, model: Any, values: dict[str, list[Any]]) -> None:
    given = rows(model, values) * 40

    async def case(s: Any) -> None:
        await done(s.bulk_insert([model(**row) for row in given]))
        found = await done(s.query(*[getattr(model, name) for name in values]).order_by(model.id).all())
        assert [dict(zip(values, row)) for row in found] == given

    play(case)


def test_ranges_are_read_as_the_server_keeps_them(play: Any) -> None:
    day = dt.date(2026, 1, 1)

    async def case(s: Any) -> None:
        span = Span(
            small=Range(1, 5, "[]"), days=Range(day, day, "[]"), whole=Range(1, 2, "()"),
            time=Range(at(2026, zone=EAST), None),
        )  # fmt: skip
        s.add(span)
        await done(s.flush())
        assert span.small == Range(1, 6)
        assert span.days == Range(day, dt.date(2026, 1, 2))
        assert span.whole == Range.nothing()
        assert span.time is not None
        assert span.time.lower == at(2026, zone=EAST)
        before = (span.small, span.days, span.whole, span.time)
        await done(s.refresh(span))
        assert (span.small, span.days, span.whole, span.time) == before

    play(case)


def test_enums_sort_by_their_members(play: Any) -> None:
    async def case(s: Any) -> None:
        s.add_all([Host(mood=mood) for mood in (Mood.HAPPY, Mood.SAD, Mood.OK)])
        await done(s.flush())
        assert list(await done(s.query(Host.mood).order_by(Host.mood).scalars())) == list(Mood)
        found = await done(s.exec_scalar("SELECT pg_typeof(mood)::text FROM native_host LIMIT 1"))
        assert found == '"native mood"'

    play(case)


def test_a_column_that_a_migration_adds(tables: str) -> None:
    class Colour(enum.Enum):
        RED = "red"

    column = TableColumn("colour", NativeEnum(Colour), nullable=True)
    migration = Migration("0001_colour", [AddColumn("native_host", column)])
    with Engine(tables) as engine:
        migrations = MigrationEngine(engine)
        migrations.apply([migration])
        with Session(engine) as session:
            session.execute("INSERT INTO native_host (colour, addresses, moods) VALUES ('red', '{}', '{}')")
            session.rollback()
        migrations.rollback(confirm_destructive=True)
        with Session(engine, auto_commit=True) as session:
            session.execute("DROP TYPE colour")
            session.execute("INSERT INTO native_host (addresses, moods) VALUES ('{}', '{}')")
        number = Migration("0002_number", [AddColumn("native_host", TableColumn("number", Integer()))])
        with pytest.raises(
            MigrationError, match=r": number must have a value, .*server_default=.*nullable=True"
        ):
            migrations.apply([number])
        with Session(engine, auto_commit=True) as session:
            session.execute("DELETE FROM native_host")


def test_what_does_not_fit() -> None:
    def problem(model: Any, **values: Any) -> list[str]:
        with pytest.raises(ValidationError) as caught:
            model(**values).full_clean()
        return list(caught.value.errors)

    assert problem(Host, address="10.0.0.1") == ["address"]
    assert problem(Host, network=IPv4Interface("10.0.0.1/8")) == ["network"]
    assert problem(Host, mood="sad") == ["mood"]
    assert problem(Span, small=Range(0, 2**31)) == ["small"]
    assert problem(Span, whole=Range(0, 2**63 - 1, "[]")) == ["whole"]
    assert problem(Span, days=Range(None, dt.date.max, "[]")) == ["days"]
    assert problem(Span, small=(1, 2)) == ["small"]
    assert problem(Span, time=Range(dt.datetime(2026, 1, 1), None)) == ["time"]
    with pytest.raises(ValueError, match="above its upper"):
        Range(2, 1)


def test_a_range_is_a_set() -> None:
    assert 1 in Range(1, 2)
    assert 2 not in Range(1, 2)
    assert 2 in Range(1, 2, "(]")
    assert 1 not in Range(1, 2, "(]")
    assert 10**30 in Range(1, None)
    assert not Range.nothing()
    assert Range(1, 1) == Range.nothing()
    assert Range(1, 1, "[]") != Range.nothing()
    assert str(Range(1, 2)) == '["1","2")'
    assert len({Range(1, 2), Range(1, 2, "[)"), Range(1, 3)}) == 2


def test_elsewhere_an_enum_is_a_text_and_a_range_is_refused() -> None:
    class Note(Model):
        mood: Field[Mood] = field(type=NativeEnum(Mood))

    with Engine("sqlite://") as engine, Session(engine) as session:
        session.create_all(Note)
        session.add(Note(mood=Mood.OK))
        session.flush()
        assert session.query(Note).where(Note.mood == Mood.OK).count() == 1
        with pytest.raises(CapabilityError, match="sqlite has no column type for Int4Range"):
            session.create_all(Span)
        session.rollback()
