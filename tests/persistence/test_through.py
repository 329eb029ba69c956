"""Many-to-many lists over a `through` model: its defaults at a link, its objects when the link goes."""

from __future__ import annotations

import contextlib
import enum
from typing import Any, Optional

import pytest

from blaze import (
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    create_all,
    field,
    foreign_key,
    many_to_many,
)
from blaze.errors import ModelError, SessionError
from tests.persistence.twins import Database, names, settled

pytestmark = pytest.mark.requirement("R29")


class Rank(enum.Enum):
    GUEST = "guest"
    HOST = "host"


class Club(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(default="")
    members: ManyToMany[Person] = many_to_many(related_name="clubs", through="Membership")


class Person(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(default="")


class Membership(Model):
    club: ForeignKey[Club] = foreign_key(related_name="memberships", on_delete="CASCADE", primary_key=True)
    person: ForeignKey[Person] = foreign_key(
        related_name="memberships", on_delete="CASCADE", primary_key=True
    )
    level: Field[int] = field(default=3)
    rank: Field[Rank] = field(default=Rank.GUEST)
    notes: Field[dict[str, Any]] = field(default_factory=lambda: {"new": True})
    since: Field[str] = field(server_default="'today'")
    note: Field[Optional[str]]
    version: Field[int] = field(version=True)


class Team(Model):
    id: Field[int] = field(primary_key=True)
    players: ManyToMany[Person] = many_to_many(related_name="teams", through="Contract")


class Contract(Model):
    """A key of its own, and a column that nothing fills in."""

    id: Field[int] = field(primary_key=True)
    team: ForeignKey[Team] = foreign_key(related_name="contracts")
    player: ForeignKey[Person] = foreign_key(related_name="contracts")
    wage: Field[int]


class Hall(Model):
    """A composite key on one side of the links."""

    house: Field[str] = field(primary_key=True)
    number: Field[int] = field(primary_key=True, init=True)
    guests: ManyToMany[Person] = many_to_many(related_name="halls", through="Booking")


class Booking(Model):
    id: Field[int] = field(primary_key=True)
    hall: ForeignKey[Hall] = foreign_key(related_name="bookings", on_delete="CASCADE")
    guest: ForeignKey[Person] = foreign_key(related_name="bookings", on_delete="CASCADE")
    seats: Field[int] = field(default=1)


class Event(Model):
    id: Field[int] = field(primary_key=True)


class Seat(Model):
    id: Field[int] = field(primary_key=True)
    guests: ManyToMany[Person] = many_to_many(related_name="seats", through="Ticket")


class Ticket(Model):
    """Goes with a row of a third model."""

    seat: ForeignKey[Seat] = foreign_key(primary_key=True)
    guest: ForeignKey[Person] = foreign_key(primary_key=True)
    event: ForeignKey[Event] = foreign_key(on_delete="CASCADE")


@pytest.fixture
async def db(db: Database) -> Database:
    create_all(db.engine, [Club, Person, Membership, Team, Contract, Hall, Booking, Event, Seat, Ticket])
    return db


ROWS = "SELECT club_id, person_id, level, rank, notes, since, note, version FROM membership ORDER BY 1, 2"


@pytest.mark.parametrize("side", ["members", "clubs"])
async def test_a_link_has_the_defaults_of_the_through_model(db: Database, side: str) -> None:
    await db.save(Club(), Person())
    async with db.session() as s:
        club, person = await s.get(Club, 1), await s.get(Person, 1)
        if side == "members":
            club.members.add(person)
        else:
            person.clubs.add(club)
        await s.commit()
        assert await s.read(club, "members") == [person]
        membership = await s.get_one(Membership, (1, 1))
        assert (membership.rank, membership.notes, membership.since) == (Rank.GUEST, {"new": True}, "today")
        membership.level = 4
        await s.commit()
    async with db.session() as s:
        club, person = await s.get(Club, 1), await s.get(Person, 1)
        club.members.add(person)  # there already: the row stays as it is
        await s.commit()
    found = [tuple(row) for row in await db.rows(ROWS)]
    assert [(*row[:4], *row[5:]) for row in found] == [(1, 1, 4, "guest", "today", None, 2)]


async def test_new_objects_on_both_sides_are_linked(db: Database) -> None:
    async with db.session() as s:
        club = Club(members=[Person(), Person()])
        await s.do(lambda session: session.add(club))
        await s.commit()
        assert len(await s.read(club, "memberships")) == 2
        assert await s.scalar("SELECT count(*) FROM membership WHERE level = 3 AND version = 1") == 2


async def test_a_loaded_list_of_through_objects_is_read_again_after_a_link(db: Database) -> None:
    await db.save(Club(), Person())
    async with db.session() as s:
        club, person = await s.get(Club, 1), await s.get(Person, 1)
        assert await s.read(club, "memberships") == []
        club.members.add(person)
        await s.flush()
        (membership,) = await s.read(club, "memberships")
        assert membership.person_id == 1
        await s.rollback()
        assert await s.read(club, "memberships") == []


@pytest.mark.parametrize("nested", [False, True])
async def test_a_through_object_that_was_loaded_goes_with_its_row(db: Database, nested: bool) -> None:
    async with db.session() as s:
        if nested:
            await s.begin()
        with contextlib.suppress(LookupError):
            async with s.transaction():
                await s.add(Club(id=1, members=[Person(id=1)]))
                await s.flush()
                (membership,) = await s.all(Membership)
                raise LookupError
        assert await s.get(Membership, (1, 1)) is None
        assert membership not in s.session
        club = Club(id=1, members=[Person(id=1)])
        await s.add(club)
        await s.flush()
        (again,) = await s.all(Membership)
        assert (again is membership, again.club, again.person) == (False, club, *club.members)
        await s.commit()


async def test_a_column_that_nothing_fills_in_is_named(db: Database) -> None:
    await db.save(Team(), Person())
    async with db.session() as s:
        team, person = await s.get(Team, 1), await s.get(Person, 1)
        team.players.add(person)
        with pytest.raises(ModelError, match=r"Contract: needs a value for wage.*build the Contract"):
            await s.commit()
        await s.rollback()
        await s.do(lambda session: session.add(Contract(team=team, player=person, wage=5)))
        await s.commit()
        assert await s.read(team, "players") == [person]


@pytest.mark.parametrize("how", ["remove", "other side", "clear", "set", "remove_m2m"])
async def test_unlinking_lets_go_of_the_through_object(db: Database, how: str) -> None:
    async with db.session() as s:
        club, ann, bob = Club(), Person(name="ann"), Person(name="bob")
        membership, other = Membership(club=club, person=ann), Membership(club=club, person=bob)
        await s.do(lambda session: session.add_all([membership, other]))
        await s.commit()
        assert len(await s.read(club, "memberships")) == len(await s.read(club, "members")) == 2
        assert await s.read(ann, "memberships") == [membership]
        if how == "remove":
            club.members.remove(ann)
        elif how == "other side":
            await s.read(ann, "clubs")
            ann.clubs.remove(club)
        elif how == "clear":
            club.members.clear()
        elif how == "set":
            club.members = [bob]
        else:
            await settled(s.session.remove_m2m(club, "members", ann))
        membership.level = 9  # its row goes, and the change with it
        await s.flush()
        rest = [] if how == "clear" else [other]
        assert await s.get(Membership, (1, 1)) is None
        assert list(club.memberships) == rest
        assert list(ann.memberships) == []
        assert await s.all(Membership) == rest
        assert names(club.members) == [o.person.name for o in rest]
        membership.level = 10
        await s.flush()
        await s.rollback()
        assert await s.get(Membership, (1, 1)) is membership
        assert membership.level == 3
        assert sorted(o.person_id for o in club.memberships) == [1, 2]
        assert names(club.members) == ["ann", "bob"]


async def test_clearing_and_adding_again_makes_a_new_row(db: Database) -> None:
    async with db.session() as s:
        club, ann = Club(), Person(name="ann")
        membership = Membership(club=club, person=ann, level=8)
        await s.do(lambda session: session.add(membership))
        await s.commit()
        await s.read(club, "members")
        club.members.clear()
        club.members.add(ann)
        await s.commit()
        assert list(club.members) == [ann]
        found = await s.get(Membership, (1, 1))
        assert found is not membership
        assert found.level == 3


@pytest.mark.parametrize("how", ["remove", "clear"])
async def test_unlinking_and_deleting_the_same_row_is_no_conflict(db: Database, how: str) -> None:
    async with db.session() as s:
        club, ann = Club(), Person(name="ann")
        membership = Membership(club=club, person=ann)
        await s.do(lambda session: session.add(membership))
        await s.commit()
        await s.read(club, "members")
        await s.do(lambda session: session.delete(membership))
        if how == "remove":
            club.members.remove(ann)
        else:
            club.members.clear()
        await s.commit()
        assert await s.all(Membership) == []
        assert await s.read(club, "members") == []


@pytest.mark.requirement("R34", "R54")
@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("side", ["members", "clubs"])
async def test_a_pair_is_linked_again_after_its_object_was_deleted(
    db: Database, side: str, loaded: bool
) -> None:
    await db.save(Club(name="c"), *[Person(name=n) for n in "pq"])
    await db.save(*[Membership(club_id=1, person_id=i, level=9) for i in (1, 2)])
    async with db.session() as s:
        club, person = await s.get_one(Club, 1), await s.get_one(Person, 1)
        if loaded:
            await s.read(club, "members")
            await s.read(person, "clubs")
            await s.read(club, "memberships")
        gone = await s.get_one(Membership, (1, 1))

        async def relink() -> None:
            await s.delete(gone)
            if side == "members":
                club.members.add(person)
            else:
                person.clubs.add(club)

        async def shown() -> list[Any]:
            lists = names(await s.read(club, "members")), names(await s.read(person, "clubs"))
            return [*lists, sorted(m.level for m in await s.read(club, "memberships"))]

        await relink()
        await s.flush()
        assert await shown() == [["p", "q"], ["c"], [3, 9]]
        assert await s.get(Membership, (1, 1)) is not gone
        await s.rollback()
        assert await shown() == [["p", "q"], ["c"], [9, 9]]
        await relink()
        club.members.remove(person)
        await s.flush()
        assert await shown() == [["q"], [], [9]]
        await s.rollback()
        await relink()
        await s.commit()
        assert await shown() == [["p", "q"], ["c"], [3, 9]]
    assert await db.rows("SELECT person_id, level FROM membership ORDER BY 1") == [(1, 3), (2, 9)]


@pytest.mark.requirement("R34", "R54")
async def test_lists_follow_a_through_object_that_links_another_pair(db: Database) -> None:
    await db.save(Club(name="a"), Club(name="b"), Person(name="p"), Membership(club_id=1, person_id=1))
    async with db.session() as s:
        a, b, person = await s.get(Club, 1), await s.get(Club, 2), await s.get(Person, 1)
        lists = [(a, "members"), (b, "members"), (person, "clubs")]
        membership = await s.get_one(Membership, (1, 1))

        async def shown() -> list[Any]:
            return [names(await s.read(owner, name)) for owner, name in lists]

        assert await shown() == [["p"], [], ["a"]]
        membership.club = b
        await s.flush()
        assert await shown() == [[], ["p"], ["b"]]
        await s.rollback()
        assert await shown() == [["p"], [], ["a"]]
        membership.club_id = 2
        await s.commit()
        assert await shown() == [[], ["p"], ["b"]]
        before = s.statements
        assert names(b.members) == ["p"]
        assert s.statements == before
        await s.delete(membership)
        await s.commit()
        assert await shown() == [[], [], []]


@pytest.mark.requirement("R34", "R54")
async def test_a_member_that_is_not_in_memory_is_read(db: Database) -> None:
    await db.save(Club(name="a"), Person(name="p"), Person(name="q"), Membership(club_id=1, person_id=1))
    async with db.session() as s:
        club, membership = await s.get(Club, 1), await s.get_one(Membership, (1, 1))
        assert names(await s.read(club, "members")) == ["p"]
        membership.person_id = 2
        await s.flush()
        assert names(await s.read(club, "members")) == ["q"]
        await s.rollback()
        assert names(await s.read(club, "members")) == ["p"]
        await s.add(Membership(club_id=1, person_id=2))
        await s.commit()
        assert names(await s.read(club, "members")) == ["p", "q"]


@pytest.mark.parametrize("side", ["guests", "halls"])
async def test_links_of_composite_keys(db: Database, side: str) -> None:
    rows = "SELECT hall_house, hall_number, guest_id, seats FROM booking ORDER BY 1, 2, 3"
    await db.save(Hall(house="A", number=1), Hall(house="A", number=2), Person(name="p"), Person(name="q"))
    async with db.session() as s:
        one, two = await s.get(Hall, ("A", 1)), await s.get(Hall, ("A", 2))
        p, q = await s.get(Person, 1), await s.get(Person, 2)
        if side == "guests":
            one.guests.add(p, q)
            two.guests.add(p)
        else:
            p.halls.add(one, two)
            q.halls.add(one)
        await s.commit()
        assert await db.rows(rows) == [("A", 1, 1, 1), ("A", 1, 2, 1), ("A", 2, 1, 1)]
    async with db.session() as s:
        halls = await settled(s.session.query(Hall).include(Hall.guests).order_by(Hall.number).all())
        assert [names(hall.guests) for hall in halls] == [["p", "q"], ["p"]]
        found = await settled(s.session.query(Person).where(Person.halls == halls[1]).all())
        assert names(found) == ["p"]
        assert await settled(s.session.query(Hall).filter(guests__name="q").count()) == 1
        one, two = halls
        p, q = await s.get(Person, 1), await s.get(Person, 2)
        assert names(await s.read(p, "halls"), "number") == [1, 2]
        (booking,) = await s.all(Booking, Booking.guest_id == 2)
        booking.hall = two
        await s.flush()
        assert (names(one.guests), names(two.guests)) == (["p"], ["p", "q"])
        if side == "guests":
            two.guests.remove(p)
        else:
            p.halls.remove(two)
        await s.commit()
        assert await db.rows(rows) == [("A", 1, 1, 1), ("A", 2, 2, 1)]
        assert (names(one.guests), names(two.guests)) == (["p"], ["q"])
        one.number = 7  # the rows of the links follow
        await s.commit()
        assert await db.rows(rows) == [("A", 2, 2, 1), ("A", 7, 1, 1)]
        one.guests.clear()
        await s.delete(two)
        await s.commit()
        assert await db.rows(rows) == []
        assert (names(await s.read(p, "halls")), names(await s.read(q, "halls"))) == ([], [])


@pytest.mark.parametrize("how", ["clear", "remove", "other clear", "other remove"])
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("key", ["own", "pair"])
@pytest.mark.parametrize("loaded", [False, True])
async def test_links_are_made_anew_with_their_columns(
    db: Database, how: str, linked: bool, key: str, loaded: bool
) -> None:
    """Unlinking goes first, so that it takes only the rows that were there."""
    through, owner, names_of = (
        (Booking, Hall, ("guests", "halls")) if key == "own" else (Membership, Club, ("members", "clubs"))
    )
    await db.save(Hall(house="A", number=1), Person(), Club())
    async with db.session() as s:
        left = await s.get(owner, ("A", 1) if key == "own" else 1)
        right = await s.get(Person, 1)
        given = {"hall": left, "guest": right} if key == "own" else {"club": left, "person": right}
        if linked:
            old = through(**given, **({"seats": 2} if key == "own" else {"level": 2}))
            await s.add(old)
            await s.commit()
        if loaded:
            await s.read(left, names_of[0])
            await s.read(right, names_of[1])
        near, far, name = (
            (right, left, names_of[1]) if how.startswith("other") else (left, right, names_of[0])
        )
        if how.endswith("clear"):
            if db.asynchronous:
                await s.load(near, name)
            getattr(near, name).clear()
        else:
            getattr(near, name).remove(far)
        new = through(**given, **({"seats": 9} if key == "own" else {"level": 9}))
        await s.add(new)
        await s.commit()
        assert await s.read(left, names_of[0]) == [right]
        assert await s.read(right, names_of[1]) == [left]
        assert new in s.session
        assert [new] == await s.all(through)
        if linked:
            assert old not in s.session
    column = "seats" if key == "own" else "level"
    assert await db.rows(f"SELECT {column} FROM {through.__mapper__.table.name}") == [(9,)]


CHANGES = {
    "replaced": lambda s, club, p, q, old: [s.delete(old), s.add(Membership(club=club, person=p, level=9))],
    "replaced the other way": lambda s, club, p, q, old: [
        s.add(Membership(club=club, person=p, level=9)), s.delete(old)
    ],
    "moved and made anew": lambda s, club, p, q, old: [
        setattr(old, "person", q), s.add(Membership(club=club, person=p, level=9))
    ],
    "cleared and moved": lambda s, club, p, q, old: [club.members.clear(), setattr(old, "person", q)],
    "removed and moved": lambda s, club, p, q, old: [club.members.remove(p), setattr(old, "person", q)],
    "moved and removed": lambda s, club, p, q, old: [setattr(old, "person", q), club.members.remove(p)],
    "moved and removed there": lambda s, club, p, q, old: [
        setattr(old, "person_id", 2), p.clubs.remove(club)
    ],
}  # fmt: skip


@pytest.mark.parametrize("how", CHANGES)
async def test_a_link_and_its_object_change_in_one_flush(db: Database, how: str) -> None:
    await db.save(Club(name="a"), Person(name="p"), Person(name="q"), Membership(club_id=1, person_id=1))
    async with db.session() as s:
        club, p, q = await s.get(Club, 1), await s.get(Person, 1), await s.get(Person, 2)
        old = await s.get_one(Membership, (1, 1))
        owners = [(club, "members"), (p, "clubs"), (q, "clubs"), (club, "memberships"), (q, "memberships")]
        for owner, name in owners:
            await s.read(owner, name)
        with s.session.no_autoflush():
            CHANGES[how](s.session, club, p, q, old)
        await s.commit()
        shown = [len(await s.read(owner, name)) for owner, name in owners]
        gone = how == "cleared and moved"
        moved = how.startswith("moved and removed") or how == "removed and moved"
        both = how == "moved and made anew"
        expected = [0, 0, 0, 0, 0] if gone else [1, 0, 1, 1, 1] if moved else [1, 1, 0, 1, 0]
        assert shown == ([2, 1, 1, 2, 1] if both else expected)
        assert (old in s.session) == (moved or both)
    rows = [tuple(row)[:3] for row in await db.rows(ROWS)]
    if moved:
        assert rows == [(1, 2, 3)]
    else:
        assert rows == ([] if gone else [(1, 1, 9), (1, 2, 3)] if both else [(1, 1, 9)])


@pytest.mark.parametrize("how", ["object", "key"])
async def test_a_link_that_goes_to_another_owner_survives_a_removal_and_refuses_a_clear(
    db: Database, how: str
) -> None:
    await db.save(Club(name="a"), Club(name="b"), Person(name="p"), Membership(club_id=1, person_id=1))
    async with db.session() as s:
        a, b, person = await s.get(Club, 1), await s.get(Club, 2), await s.get(Person, 1)
        membership = await s.get_one(Membership, (1, 1))
        for way in ("clear", "remove"):
            assert names(await s.read(a, "members")) == ["p"]
            with s.session.no_autoflush():
                if how == "object":
                    membership.club = b
                else:
                    membership.club_id = 2
                if way == "clear":
                    a.members.clear()
                    with pytest.raises(SessionError, match=r"cleared, .* Membership with the key \(1, 1\)"):
                        await s.flush()
                    await s.rollback()
                else:
                    a.members.remove(person)
        await s.flush()
        assert (list(a.members), await s.read(b, "members")) == ([], [person])
        await s.rollback()
        assert (await s.read(a, "members"), await s.read(b, "members")) == ([person], [])
        assert (membership.club, membership.club_id) == (a, 1)
        membership.club = b
        a.members.remove(person)
        await s.commit()
    assert [tuple(row)[:3] for row in await db.rows(ROWS)] == [(2, 1, 3)]


async def test_removing_a_renamed_member_still_deletes_the_link(db: Database) -> None:
    """The object refers to the same member: by the new key, which an assignment has given it already."""
    await db.save(Hall(house="h", number=1, guests=[Person(name="p")]))
    async with db.session() as s:
        hall, person = await s.get(Hall, ("h", 1)), await s.get(Person, 1)
        booking = await s.get_one(Booking, 1)
        assert await s.read(hall, "guests") == [person]
        person.id = 7
        booking.guest = person
        booking.seats = 4
        hall.guests.remove(person)
        await s.commit()
    assert await db.rows("SELECT guest_id FROM booking") == []


async def by_keys(s: Any) -> None:
    await s.bulk_delete(Membership, [(1, 1)])


async def by_query(s: Any) -> None:
    await settled(s.query(Membership).where(Membership.person_id == 1).delete())


@pytest.mark.requirement("R34", "R54")
@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("delete", [by_keys, by_query])
async def test_lists_show_that_rows_were_deleted_past_through_objects(
    db: Database, delete: Any, held: bool
) -> None:
    await db.save(Club(name="c"), *[Person(name=n) for n in "pq"])
    await db.save(*[Membership(club_id=1, person_id=i) for i in (1, 2)])
    async with db.session() as s:
        club, person = await s.get_one(Club, 1), await s.get_one(Person, 1)
        await s.read(club, "members")
        await s.read(person, "clubs")
        if held:
            await s.read(club, "memberships")
        before = s.statements
        await delete(s)
        assert s.statements - before <= 3
        before = s.statements
        assert (names(club.members), names(person.clubs)) == (["q"], [])
        assert s.statements == before
        assert len(await s.read(club, "memberships")) == 1
        await s.rollback()
        assert (names(club.members), names(person.clubs)) == (["p", "q"], ["c"])


@pytest.mark.requirement("R34", "R54")
@pytest.mark.parametrize("how", ["bulk_insert", "upsert"])
async def test_lists_show_rows_that_were_inserted_past_the_session(db: Database, how: str) -> None:
    await db.save(Club(name="c"), Person(name="p"))
    async with db.session() as s:
        club, person = await s.get_one(Club, 1), await s.get_one(Person, 1)

        async def shown() -> list[Any]:
            return [names(await s.read(club, "members")), names(await s.read(person, "clubs"))]

        assert await shown() == [[], []]
        link = Membership(club=club, person=person)
        if how == "upsert":
            await s.upsert([link], conflict=["club", "person"])
        else:
            await s.bulk_insert([link])
        assert await shown() == [["p"], ["c"]]
        await s.rollback()
        assert await shown() == [[], []]


@pytest.mark.requirement("R34", "R54")
@pytest.mark.parametrize("how", ["keys", "query"])
async def test_lists_show_that_links_went_with_rows_of_a_third_table(db: Database, how: str) -> None:
    await db.save(Event(), Event(), Seat(), Person(name="p"), Person(name="q"))
    await db.save(*[Ticket(seat_id=1, guest_id=i, event_id=i) for i in (1, 2)])
    async with db.session() as s:
        seat = await s.get_one(Seat, 1)
        assert names(await s.read(seat, "guests")) == ["p", "q"]
        if how == "keys":
            await s.bulk_delete(Event, [1])
        else:
            await settled(s.query(Event).where(Event.id == 1).delete())
        assert names(seat.guests) == ["q"]
        await s.commit()
