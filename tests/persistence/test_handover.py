"""Unique values and keys that change hands within one flush."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, Optional
from uuid import UUID, uuid4

import pytest

from blaze import (
    Field,
    ForeignKey,
    Index,
    Model,
    OneToOne,
    Unique,
    create_all,
    field,
    foreign_key,
    key_column,
    one_to_one,
    sql,
)
from blaze.errors import SessionError, UniqueError
from tests.persistence.models import Account, Author, Book, Chapter, City, Country, Room, Setting
from tests.persistence.twins import Database, settled


class Slot(Model):
    """Unique columns of every kind that can, and cannot, hold another value for a while."""

    id: Field[int] = field(primary_key=True)
    code: Field[str] = field(unique=True)
    short: Field[Optional[str]] = field(unique=True, max_length=2, default=None)
    number: Field[Optional[int]] = field(default=None)
    key: Field[UUID] = field(unique=True, default_factory=uuid4)
    data: Field[bytes] = field(unique=True, default_factory=lambda: uuid4().bytes)
    price: Field[Decimal] = field(
        precision=30, scale=2, default_factory=lambda: Decimal(uuid4().int % 10**20)
    )
    note: Field[str] = field(default="")

    class Meta:
        indexes = [Index("number", unique=True), Index("price", unique=True)]


class Board(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(default="")


class Card(Model):
    """A place in a list, as everybody numbers them; nothing here may be NULL."""

    id: Field[int] = field(primary_key=True)
    board: ForeignKey[Board] = foreign_key(related_name="cards", on_delete="CASCADE")
    position: Field[int]

    class Meta:
        constraints = [Unique("board", "position")]


class Cover(Model):
    """A one-to-one key that must not be NULL."""

    id: Field[int] = field(primary_key=True)
    board: OneToOne[Board] = one_to_one(related_name="cover", on_delete="CASCADE")
    text: Field[str] = field(default="")


class Lamp(Model):
    """A composite one-to-one key."""

    id: Field[int] = field(primary_key=True)
    room: OneToOne[Optional[Room]] = one_to_one(related_name="lamp", on_delete="CASCADE")


class Login(Model):
    """Unique columns that the database computes."""

    id: Field[int] = field(primary_key=True)
    email: Field[str]
    host: Field[str] = field(default="h")
    port: Field[Optional[int]] = field(default=None)
    folded: Field[str] = field(generated="lower(email)", unique=True)
    place: Field[Optional[int]] = field(generated="port * 2")
    address: Field[Optional[str]] = field(generated="host || ':' || port")

    class Meta:
        indexes = [Index("host", "place", unique=True), Index("address", unique=True, where="port > 0")]


@pytest.fixture
async def tables(db: Database) -> Database:
    create_all(db.engine, [Slot, Board, Card, Cover, Lamp, Login])
    return db


def slots(count: int) -> list[Slot]:
    return [Slot(code=f"c{i}", short=str(i % 100), number=i) for i in range(count)]


@pytest.mark.requirement("R24", "R71")
@pytest.mark.parametrize("size", [2, 100])
@pytest.mark.parametrize("name", ["email", "port"])
async def test_what_unique_generated_columns_are_computed_from_rotates(
    tables: Database, name: str, size: int
) -> None:
    async with tables.session() as s:
        found = [Login(email=f"E{i}", port=i + 1) for i in range(size)]
        await s.add_all(found)
        await s.commit()
        before = [getattr(login, name) for login in found]
        expected = before[1:] + before[:1]
        for login, value in zip(found, expected):
            setattr(login, name, value)
        count = s.statements
        await s.commit()
        assert s.statements - count == 3  # the last one reads what is generated
        assert [login.folded for login in found] == [login.email.lower() for login in found]
        assert [(login.place, login.address) for login in found] == [
            (2 * login.port, f"h:{login.port}") for login in found if login.port
        ]


@pytest.mark.requirement("R24")
async def test_unique_generated_values_pass_from_old_rows_to_new_ones(tables: Database) -> None:
    async with tables.session() as s:
        first, second = Login(email="A"), Login(email="B")
        await s.add_all([first, second])
        await s.commit()
        await s.delete(second)
        first.email = "B"
        third = Login(email="A")
        await s.add(third)
        await s.commit()
        assert (first.folded, third.folded) == ("b", "a")
        swapped = await s.all(Login)
        swapped[0].email, swapped[1].email = "a", "b"  # other texts with the same values: nobody sees that
        with pytest.raises(UniqueError):
            await s.flush()
        await s.rollback()


@pytest.mark.requirement("R24", "R71")
@pytest.mark.parametrize("size", [2, 10, 100])
@pytest.mark.parametrize("name", ["code", "short", "number", "key", "data"])
async def test_unique_values_rotate_in_two_statements(tables: Database, name: str, size: int) -> None:
    async with tables.session() as s:
        found = slots(size)
        await s.add_all(found)
        await s.commit()
        before = [getattr(slot, name) for slot in found]
        expected = before[1:] + before[:1]
        for slot, value in zip(found, expected):
            setattr(slot, name, value)
        count = s.statements
        await s.commit()
        assert s.statements - count == 2
        assert [getattr(slot, name) for slot in found] == expected
    async with tables.session() as s:
        query = s.session.query(Slot).order_by(Slot.id)
        assert [getattr(slot, name) for slot in await s.do(lambda _: query.all())] == expected


@pytest.mark.requirement("R24", "R71")
@pytest.mark.parametrize("size", [2, 10, 100])
@pytest.mark.parametrize("fields", [("code",), ("key",), ("code", "number"), ("id",)], ids=" and ".join)
async def test_pairs_swap_in_as_many_statements_as_one(
    tables: Database, fields: tuple[str, ...], size: int
) -> None:
    async with tables.session() as s:
        found = slots(size)
        await s.add_all(found)
        await s.commit()
        for one, two in zip(found[::2], found[1::2]):
            for name in fields:
                first, second = getattr(one, name), getattr(two, name)
                setattr(one, name, second)
                setattr(two, name, first)
        expected = {slot.data: [getattr(slot, name) for name in fields] for slot in found}
        count = s.statements
        await s.commit()
        assert s.statements - count == 1 + len(fields)
    async with tables.session() as s:
        stored = await s.all(Slot)
        assert {slot.data: [getattr(slot, name) for name in fields] for slot in stored} == expected


@pytest.mark.requirement("R24", "R71")
@pytest.mark.parametrize("size", [1, 10, 1000])
async def test_a_chain_of_values_takes_one_statement(tables: Database, size: int) -> None:
    """Every card moves one place down, the first one first."""
    async with tables.session() as s:
        board = Board()
        cards = [Card(board=board, position=i) for i in range(size)]
        await s.add_all(cards)
        await s.commit()
        for card in cards:
            card.position += 1
        count = s.statements
        await s.flush()
        assert s.statements - count == 1
        await s.add(Card(board=board, position=0))
        await s.commit()
    assert await tables.rows("SELECT position FROM card ORDER BY position") == [(i,) for i in range(size + 1)]


@pytest.mark.requirement("R24")
async def test_a_new_row_takes_the_place_that_a_chain_of_changed_rows_makes(tables: Database) -> None:
    async with tables.session() as s:
        board = Board()
        cards = [Card(board=board, position=i) for i in range(5)]
        await s.add_all(cards)
        await s.commit()
        for card in cards[1:]:
            card.position += 1
        count = s.statements
        await s.add(Card(board=board, position=1))
        await s.commit()
        assert s.statements - count == 2
    assert await tables.rows("SELECT id FROM card ORDER BY position") == [(1,), (6,), (2,), (3,), (4,), (5,)]


@pytest.mark.requirement("R24")
async def test_rows_with_other_changes_beside_swap_as_well(tables: Database) -> None:
    async with tables.session() as s:
        a, b, c = slots(3)
        await s.add_all([a, b, c])
        await s.commit()
        a.code, b.code = b.code, a.code
        a.note, c.note = "a", "c"
        b.short, c.short = c.short, b.short
        b.number, a.number = None, b.number
        await s.commit()
    assert await tables.rows("SELECT code, short, number, note FROM slot ORDER BY id") == [
        ("c1", "0", 1, "a"), ("c0", "2", None, ""), ("c2", "1", 2, "c"),
    ]  # fmt: skip


@pytest.mark.requirement("R24")
async def test_the_value_of_a_deleted_row_goes_to_a_changed_or_a_new_one(tables: Database) -> None:
    async with tables.session() as s:
        a, b, c = slots(3)
        await s.add_all([a, b, c])
        await s.commit()
        await s.delete(a)
        b.code, c.code = "c0", "c1"
        new = Slot(code="c2", short="0", number=0)
        await s.add(new)
        await s.commit()
        assert await s.get(Slot, new.id) is new
    assert await tables.rows("SELECT id, code FROM slot ORDER BY id") == [
        (2, "c0"),
        (3, "c1"),
        (new.id, "c2"),
    ]


@pytest.mark.requirement("R24")
async def test_a_deleted_row_that_has_to_stay_for_a_while_is_parked(tables: Database) -> None:
    """The chapter leaves the book before that can go, and its new book takes the old one's title."""
    await tables.save(Book(title="b", author=Author(name="a"), chapters=[Chapter(heading="h")]))
    async with tables.session() as s:
        old = await s.get_one(Book, 1)
        (chapter,) = await s.read(old, "chapters")
        author = await s.read(old, "author")
        new = Book(title="b", author=author)
        chapter.book = new
        await s.delete(old)
        await s.commit()
        assert await s.get(Book, 1) is None
        assert await s.read(new, "chapters") == [chapter]
    assert await tables.rows("SELECT heading, book_id FROM chapter") == [("h", 2)]


@pytest.mark.requirement("R24")
async def test_one_to_one_keys_that_must_not_be_null_move_on(tables: Database) -> None:
    async with tables.session() as s:
        one, two, three = Board(), Board(), Board()
        first, second = Cover(board=one), Cover(board=two)
        await s.add_all([one, two, three, first, second])
        await s.commit()
        # A chain: second goes to a board that is new, first takes its place, a new cover that of first.
        second.board, first.board = Board(name="new"), two
        third = Cover(board=one)
        await s.add(third)
        await s.commit()
        assert (first.board_id, second.board_id, third.board_id) == (two.id, second.board.id, one.id)
        # A deleted one gives its board to a changed one.
        await s.delete(third)
        first.board = one
        await s.commit()
        assert await s.read(one, "cover") is first
        assert await s.read(two, "cover") is None


@pytest.mark.requirement("R24")
async def test_composite_one_to_one_keys_swap(tables: Database) -> None:
    async with tables.session() as s:
        rooms = [Room(house="A", number=i) for i in range(2)]
        lamps = [Lamp(room=room) for room in rooms]
        await s.add_all(lamps)
        await s.commit()
        for lamp, room in zip(lamps, reversed(rooms)):
            lamp.room = room
        await s.commit()
        assert [lamp.room for lamp in lamps] == rooms[::-1]
    assert await tables.rows("SELECT room_number FROM lamp ORDER BY id") == [(1,), (0,)]


@pytest.mark.requirement("R24", "R29")
async def test_primary_keys_swap_rotate_and_move_onto_free_ones(db: Database) -> None:
    async with db.session() as s:
        found = [Setting(name=f"s{i}", value=str(i)) for i in range(4)]
        await s.add_all(found)
        await s.commit()
        a, b, c, d = found
        a.name, b.name, c.name = "s1", "s2", "s0"
        await s.delete(d)
        await s.flush()
        assert [await s.get(Setting, f"s{i}") for i in range(4)] == [c, a, b, None]
        await s.rollback()
        assert [await s.get(Setting, f"s{i}") for i in range(4)] == found
        assert [x.name for x in found] == ["s0", "s1", "s2", "s3"]
        a.name, b.value = "s1", "changed"
        b.name = "s0"
        c.name = "s3"
        await s.delete(d)
        await s.commit()
        assert [await s.get(Setting, f"s{i}") for i in range(4)] == [b, a, None, c]
    assert await db.rows("SELECT name, value FROM setting ORDER BY name") == [
        ("s0", "changed"), ("s1", "0"), ("s3", "2"),
    ]  # fmt: skip
    async with db.session() as s:
        rooms = [Room(house="A", number=i, name=str(i)) for i in range(2)]
        await s.add_all(rooms)
        await s.commit()
        rooms[0].number, rooms[1].number = 1, 0
        await s.commit()
        assert await s.get(Room, ("A", 1)) is rooms[0]
    assert await db.rows("SELECT name FROM room ORDER BY number") == [("1",), ("0",)]


@pytest.mark.requirement("R24", "R29")
async def test_a_row_deleted_and_inserted_again_under_its_key_keeps_its_new_children(db: Database) -> None:
    async with db.session() as s:
        old = Country(code="fr", cities=[City(name="Paris")])
        await s.add_all([old, Setting(name="k", value="1")])
        await s.commit()
        await s.delete(await s.get_one(City, "Paris"))
        await s.delete(old)
        await s.delete(await s.get_one(Setting, "k"))
        new = Country(code="fr", cities=[City(name="Paris"), City(name="Lyon")])
        await s.add_all([new, Setting(name="k", value="2")])
        await s.commit()
        assert await s.get(Country, "fr") is new
        assert [city in s.session for city in new.cities] == [True, True]
        assert len(new.cities) == 2
    assert await db.rows("SELECT name FROM city ORDER BY name") == [("Lyon",), ("Paris",)]
    async with db.session() as s:
        room = Room(house="A", number=1)
        lamp_less = Room(house="A", number=2)
        await s.add_all([room, lamp_less])
        await s.commit()
        await s.delete(room)
        lamp_less.number = 1  # a changed row takes the key of the deleted one
        await s.flush()
        assert await s.get(Room, ("A", 1)) is lamp_less
        await s.rollback()
        assert await s.get(Room, ("A", 1)) is room
        assert await s.get(Room, ("A", 2)) is lamp_less


@pytest.mark.requirement("R24")
async def test_what_cannot_be_exchanged_says_why_and_loses_nothing(tables: Database) -> None:
    async with tables.session() as s:
        boards = [Board(), Board()]
        covers = [Cover(board=board) for board in boards]
        await s.add_all(covers)
        await s.commit()
        covers[0].board_id, covers[1].board_id = boards[1].id, boards[0].id
        with pytest.raises(SessionError, match=r"Cover.\(board_id\).*circle.*flush\(\), then the rest"):
            await s.commit()
        assert len(s.dirty) == 2
        await s.rollback()
        assert [c.board_id for c in covers] == [boards[0].id, boards[1].id]


class Reading(Model):
    """Unique values of the kinds that no key usually has; none may be NULL."""

    id: Field[int] = field(primary_key=True)
    day: Field[date] = field(unique=True)
    moment: Field[datetime] = field(unique=True)
    level: Field[float] = field(unique=True)
    cost: Field[Decimal] = field(precision=8, scale=2, unique=True)


async def test_days_moments_and_decimals_swap(db: Database) -> None:
    create_all(db.engine, [Reading])
    values = [
        (date(2026, 1, n), datetime(2026, 1, n, tzinfo=timezone.utc), n / 2, Decimal(n) / 4) for n in (1, 2)
    ]
    await db.save(*[Reading(day=d, moment=m, level=f, cost=c) for d, m, f, c in values])
    async with db.session() as s:
        readings = await s.all(Reading)
        for reading, (day, moment, level, cost) in zip(readings, reversed(values)):
            reading.day, reading.moment, reading.level, reading.cost = day, moment, level, cost
        await s.commit()
    async with db.session() as s:
        found = await s.do(lambda q: q.query(Reading).order_by(Reading.id).all())
        assert [(r.day, r.moment, r.level, r.cost) for r in found] == values[::-1]


async def test_children_of_one_position_change_places_between_parents(tables: Database) -> None:
    async with tables.session() as s:
        boards = [Board(), Board(), Board()]
        cards = [Card(board=board, position=1) for board in boards]
        await s.add_all(cards)
        await s.commit()
        before = s.statements
        cards[0].board, cards[1].board, cards[2].board = boards[1], boards[2], boards[0]
        await s.commit()
        assert s.statements - before == 3, "a position is given up, the others move, then that card"
        assert [card.position for card in cards] == [1, 1, 1]
        cards[0].board, cards[1].board = cards[1].board, cards[0].board
        cards[1].position = 2
        await s.commit()
    rows = await tables.rows("SELECT board_id, position FROM card ORDER BY id")
    assert rows == [(boards[2].id, 1), (boards[1].id, 2), (boards[0].id, 1)]


@pytest.mark.requirement("R24")
async def test_a_value_that_stays_where_it_is_raises_as_ever(tables: Database) -> None:
    async with tables.session() as s:
        a, b, c = slots(3)
        await s.add_all([a, b, c])
        await s.commit()
        a.code, b.code = "c1", "c2"
        with pytest.raises(UniqueError):
            await s.flush()
        assert (a.code, b.code, len(s.dirty)) == ("c1", "c2", 2)
        c.code = "c0"
        await s.commit()
    assert await tables.rows("SELECT code FROM slot ORDER BY id") == [("c1",), ("c2",), ("c0",)]


@pytest.mark.requirement("R71")
async def test_ordinary_updates_take_one_statement_for_each_set_of_columns(tables: Database) -> None:
    async with tables.session() as s:
        found = slots(20)
        await s.add_all(found)
        await s.commit()
        for slot in found:
            slot.code += "x"
        for slot in found[:10]:
            slot.note = "n"
        before: Any = s.statements
        await s.commit()
        assert s.statements - before == 2


class Place(Model):
    """Unique numbers under checks: one that large numbers pass, one that no stand-in passes."""

    id: Field[int] = field(primary_key=True)
    number: Field[int] = field(unique=True, check="number > 0")
    small: Field[int] = field(unique=True, check="small BETWEEN 0 AND 9")


class Edition(Model):
    """One row of each document is current."""

    id: Field[int] = field(primary_key=True)
    document: Field[int]
    current: Field[bool] = field(default=True)

    class Meta:
        indexes = [Index("document", unique=True, where="current = 1")]


async def test_a_swap_under_a_check(db: Database) -> None:
    create_all(db.engine, [Place])
    await db.save(Place(id=1, number=1, small=1), Place(id=2, number=2, small=2))
    async with db.session() as s:
        one, two = await s.get(Place, 1), await s.get(Place, 2)
        one.number, two.number = 2, 1
        await s.commit()
        one.small, two.small = 2, 1
        with pytest.raises(SessionError, match=r"Place.\(small\).* refuses stand-ins.*free value") as caught:
            await s.commit()
        assert caught.value.__cause__ is not None
        one.small = 9
        two.small = 3
        await s.commit()
    assert await db.rows("SELECT number, small FROM place ORDER BY id") == [(2, 9), (1, 3)]


async def test_a_row_that_is_current_no_more_makes_way_for_a_new_one(db: Database) -> None:
    create_all(db.engine, [Edition])
    await db.save(Edition(id=1, document=1), Edition(id=2, document=2))
    async with db.session() as s:
        first = await s.get(Edition, 1)
        first.current = False
        await s.add(Edition(id=3, document=1))
        await s.commit()
    assert await db.rows("SELECT id FROM edition WHERE current = 1 ORDER BY id") == [(2,), (3,)]


@pytest.mark.parametrize("order", ["on first", "off first"])
@pytest.mark.parametrize("current", [1, 2])
async def test_another_row_becomes_the_current_one(db: Database, current: int, order: str) -> None:
    create_all(db.engine, [Edition])
    await db.save(*[Edition(id=n, document=1, current=n == current) for n in (1, 2, 3)])
    async with db.session() as s:
        (was,) = await s.all(Edition, Edition.current.is_(True))
        becomes, other = await s.all(Edition, Edition.current.is_(False))
        if order == "on first":
            becomes.current, was.current = True, False
        else:
            was.current, becomes.current = False, True
        other.document = 2
        before = s.statements
        await s.commit()
        assert s.statements - before <= 4, "one to read, and one of each kind to write, or of each row"
    rows = await db.rows("SELECT id FROM edition WHERE current = 1 AND document = 1")
    assert rows == [(becomes.id,)]


async def test_rows_of_partial_indexes_that_do_not_meet_cost_no_statement(db: Database) -> None:
    create_all(db.engine, [Edition])
    await db.save(*[Edition(id=n, document=n) for n in (1, 2)])
    async with db.session() as s:
        for edition in await s.all(Edition):
            edition.current = False
        before = s.statements
        await s.commit()
        assert s.statements - before == 1


class Nick(Model):
    """What is unique is computed, and so is no column."""

    id: Field[int] = field(primary_key=True)
    name: Field[str]
    rank: Field[int] = field(default=0)

    class Meta:
        indexes = [Index(sql("lower(name)"), unique=True), Index("-rank", unique=True, where="rank > 0")]


async def test_unique_expressions_leave_the_order_as_it_is(db: Database) -> None:
    create_all(db.engine, [Nick])
    await db.save(Nick(id=1, name="Ann", rank=1), Nick(id=2, name="Bob", rank=2))
    async with db.session() as s:
        one, two = await s.get(Nick, 1), await s.get(Nick, 2)
        one.name, one.rank = "Eve", 3
        two.name, two.rank = "ANN", 1
        await s.add(Nick(id=3, name="bob", rank=2))
        await s.commit()
    assert await db.rows("SELECT name, rank FROM nick ORDER BY id") == [("Eve", 3), ("ANN", 1), ("bob", 2)]


@pytest.mark.parametrize("left_out", ["only", "defer"])
async def test_unique_values_that_were_not_loaded_change_hands(db: Database, left_out: str) -> None:
    create_all(db.engine, [Place])

    async def places(s: Any) -> list[Any]:
        query = s.session.query(Place)
        query = query.only(Place.id) if left_out == "only" else query.defer(Place.number, Place.small)
        return list(await settled(query.order_by(Place.id).all()))

    await db.save(*[Place(id=n, number=n, small=n) for n in (1, 2, 3)])
    async with db.session() as s:
        one, two, _ = await places(s)
        one.number, two.number = 2, 1
        await s.commit()
    async with db.session() as s:
        one, two, _ = await places(s)
        one.number = 1
        two.number = 9
        await s.commit()
    async with db.session() as s:
        one, two, three = await places(s)
        three.number = 7
        await s.add(Place(id=4, number=3, small=4))
        await s.delete(one)
        await s.add(Place(id=5, number=1, small=1))
        before = s.statements
        await s.commit()
        assert s.statements - before == 4, "one to read, one of each kind to write"
    rows = await db.rows("SELECT id, number, small FROM place ORDER BY id")
    assert rows == [(2, 9, 2), (3, 7, 3), (4, 3, 4), (5, 1, 1)]


async def test_versions_are_always_loaded(db: Database) -> None:
    await db.save(Account(id=1, owner="a"), Account(id=2, owner="b"))
    async with db.session() as s:
        query = s.session.query(Account).order_by(Account.id)
        one, two = await settled(query.only(Account.owner).all())
        one.owner = "c"
        await s.delete(two)
        await s.commit()
        assert one.version == 2
    async with db.session() as s:
        (one,) = await settled(s.session.query(Account).defer(Account.version).all())
        assert (await s.merge(Account(id=1, owner="d", version=2))) is one
        await s.commit()
    assert await db.rows("SELECT owner, version FROM account") == [("d", 3)]


class House(Model):
    code: Field[str] = field(primary_key=True)


class Tenant(Model):
    id: Field[int] = field(primary_key=True)
    note: Field[int] = field(default=0)
    house: ForeignKey[Optional[House]] = foreign_key(related_name="tenants", on_delete="SET NULL")
    house_id: Field[Optional[str]] = key_column()


async def one_house(s: Any) -> tuple[Any, Any]:
    house, tenant = House(code="a"), Tenant(id=1)
    tenant.house = house
    await s.add(tenant)
    await s.commit()
    return house, tenant


async def test_a_child_moves_to_what_takes_the_key_of_its_parent(db: Database) -> None:
    create_all(db.engine, [House, Tenant])
    async with db.session() as s:
        house, tenant = await one_house(s)
        with s.session.no_autoflush():
            house.code, new = "z", House(code="a")
            await s.add(new)
            tenant.house = new
        await s.commit()
        assert (tenant.house, tenant.house_id) == (new, "a")
    assert await db.rows("SELECT house_id FROM tenant") == [("a",)]


@pytest.mark.parametrize("how", ["moves", "list", "other change", "nothing"])
async def test_a_parent_is_replaced_by_one_of_the_same_key(db: Database, how: str) -> None:
    create_all(db.engine, [House, Tenant])
    async with db.session() as s:
        house, tenant = await one_house(s)
        with s.session.no_autoflush():
            await s.delete(house)
            new = House(code="a")
            await s.add(new)
            if how == "moves":
                tenant.house = new
            elif how == "list":
                new.tenants.add(tenant)
            elif how == "other change":
                tenant.note = 4
        await s.commit()
        moves = how in ("moves", "list")
        assert tenant.house is (new if moves else None)
        assert await s.read(new, "tenants") == ([tenant] if moves else [])
    expected = ("a" if moves else None, 4 if how == "other change" else 0)
    assert await db.rows("SELECT house_id, note FROM tenant") == [expected]


@pytest.mark.parametrize("order", ["related first", "deleted first"])
async def test_what_is_related_and_deleted_leaves_the_list(db: Database, order: str) -> None:
    create_all(db.engine, [House, Tenant])
    await db.save(House(code="a"), Tenant(id=1))
    async with db.session() as s:
        house, tenant = await s.get(House, "a"), await s.get(Tenant, 1)
        assert await s.read(house, "tenants") == []
        with s.session.no_autoflush():
            if order == "deleted first":
                await s.delete(tenant)
            tenant.house = house
            if order == "related first":
                await s.delete(tenant)
        await s.commit()
        assert await s.read(house, "tenants") == []
    assert await db.rows("SELECT count(*) FROM tenant") == [(0,)]


class Flat(Model):
    house: Field[str] = field(primary_key=True)
    number: Field[int] = field(primary_key=True, init=True)


class Guest(Model):
    id: Field[int] = field(primary_key=True)
    flat: ForeignKey[Optional[Flat]] = foreign_key(related_name="guests", on_delete="SET NULL")
    flat_number: Field[Optional[int]] = key_column()


@pytest.mark.parametrize("how", ["object", "key"])
async def test_a_child_leaves_a_parent_of_two_key_columns_that_is_replaced(db: Database, how: str) -> None:
    create_all(db.engine, [Flat, Guest])
    async with db.session() as s:
        old, other = Flat(house="h", number=1), Flat(house="h", number=2)
        guest = Guest(id=1, flat=old)
        await s.add_all([guest, other])
        await s.commit()
        with s.session.no_autoflush():
            if how == "object":
                guest.flat = other
            else:
                guest.flat_number = 2
            await s.delete(old)
            await s.add(Flat(house="h", number=1))
        await s.commit()
        assert await s.read(guest, "flat") is other
    assert await db.rows("SELECT flat_house, flat_number FROM guest") == [("h", 2)]
