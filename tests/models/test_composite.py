"""Composite keys in every kind of relation: written, loaded in every way, filtered, changed and deleted."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import (
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    OneToMany,
    OneToOne,
    Q,
    create_all,
    field,
    foreign_key,
    key_column,
    many_to_many,
    one_to_many,
    one_to_one,
)
from blaze.errors import ForeignKeyError, QueryError, UniqueError
from tests.persistence.twins import Database, names

pytestmark = pytest.mark.requirement("R51")


class Country(Model):
    code: Field[str] = field(primary_key=True, init=True, max_length=2)
    towns: OneToMany[Town] = one_to_many()


class Town(Model):
    """A key of a foreign key and a number; and a relation to its own kind."""

    country: ForeignKey[Country] = foreign_key(primary_key=True, related_name="towns")
    number: Field[int] = field(primary_key=True, init=True)
    name: Field[str]
    capital: ForeignKey[Optional[Town]] = foreign_key(
        related_name="suburbs", default=None, column=["cap_country", "cap_number"]
    )
    houses: OneToMany[House] = one_to_many()
    clubs: ManyToMany[Club] = many_to_many(related_name="towns")
    twins: ManyToMany[Town] = many_to_many(related_name="twin_of")


class House(Model):
    name: Field[str]
    town: ForeignKey[Town] = foreign_key(related_name="houses", on_delete="CASCADE")
    second: ForeignKey[Optional[Town]] = foreign_key(
        related_name="seconds", default=None, on_delete="SET NULL"
    )
    second_country_id: Field[Optional[str]] = key_column()


class Club(Model):
    league: Field[int] = field(primary_key=True, init=True)
    name: Field[str] = field(primary_key=True, init=True)


class Mayor(Model):
    """A one-to-one relation with a composite key, which is not the primary key."""

    name: Field[str]
    town: OneToOne[Town] = one_to_one(related_name="mayor")


class Hall(Model):
    """A one-to-one relation whose composite key is the primary key."""

    town: OneToOne[Town] = one_to_one(related_name="hall", primary_key=True)
    name: Field[str]


class Visit(Model):
    """A `through` model between two composite keys, with columns of its own."""

    town: ForeignKey[Town] = foreign_key(primary_key=True, related_name="visits")
    club: ForeignKey[Club] = foreign_key(primary_key=True, related_name="visits")
    day: Field[int] = field(default=1)


MODELS: list[type[Model]] = [Country, Town, House, Club, Mayor, Hall, Visit]


@pytest.fixture
async def db(db: Database) -> Database:
    create_all(db.engine, MODELS)
    a, b = Country(code="aa"), Country(code="bb")
    big, small, other = (
        Town(country=a, number=1, name="big"),
        Town(country=a, number=2, name="small"),
        Town(country=b, number=1, name="other"),
    )
    small.capital = big
    big.twins.add(other)
    club = Club(league=1, name="fc")
    big.clubs.add(club, Club(league=2, name="fc"))
    other.clubs.add(club)
    await db.save(
        House(name="h1", town=big, second=other),
        House(name="h2", town=big),
        House(name="h3", town=small),
        Mayor(name="m", town=big),
        Hall(name="hall", town=other),
        Visit(town=big, club=club, day=7),
        other,
        small,
    )
    return db


async def test_the_rows_are_what_was_meant(db: Database) -> None:
    assert await db.rows("SELECT * FROM town ORDER BY name") == [
        ("aa", 1, "big", None, None),
        ("bb", 1, "other", None, None),
        ("aa", 2, "small", "aa", 1),
    ]
    assert await db.rows(
        "SELECT name, town_country_id, town_number, second_country_id, second_number FROM house ORDER BY name"
    ) == [
        ("h1", "aa", 1, "bb", 1),
        ("h2", "aa", 1, None, None),
        ("h3", "aa", 2, None, None),
    ]
    assert await db.rows("SELECT * FROM hall") == [("bb", 1, "hall")]


@pytest.mark.parametrize("how", ["lazy", "select_related", "prefetch_related", "include", "load"])
async def test_every_way_of_loading(db: Database, how: str) -> None:
    async with db.session() as s:
        to_one: list[Any] = [House.town, House.second]
        query = s.session.query(House).order_by(House.name)
        if how in ("select_related", "prefetch_related", "include"):
            query = getattr(query, how)(*to_one)
        houses = await s.do(lambda q: query.all())
        if how == "load":
            for path in to_one:
                await s.load(houses, path)
        if how != "lazy":
            before = s.statements
            shown = [(h.town.name, h.second.name if h.second else None) for h in houses]
            assert s.statements == before
        else:
            shown = []
            for h in houses:
                second = await s.read(h, "second")
                shown.append(((await s.read(h, "town")).name, second.name if second else None))
        assert shown == [("big", "other"), ("big", None), ("small", None)]
        assert houses[0].town is houses[1].town
        assert (houses[0].town_country_id, houses[0].second_country_id) == ("aa", "bb")

        paths: list[Any] = [Town.houses, Town.seconds, Town.suburbs, Town.clubs, Town.twins, Town.twin_of]
        paths += [Town.mayor, Town.hall, Town.capital, Town.country, Town.visits]
        query = s.session.query(Town).order_by(Town.name)
        if how in ("prefetch_related", "include"):
            query = getattr(query, how)(*paths)
        elif how == "select_related":
            query = query.select_related(Town.mayor, Town.hall, Town.capital, Town.country)
        towns = await s.do(lambda q: query.all())
        if how == "load":
            for path in paths:
                await s.load(towns, path)
        table = []
        for town in towns:
            row = {path._relation_.name: await s.read(town, path._relation_.name) for path in paths}
            table.append(row)
        big, other, _ = table
        assert [names(row["houses"]) for row in table] == [["h1", "h2"], [], ["h3"]]
        assert [names(row["seconds"]) for row in table] == [[], ["h1"], []]
        assert [names(row["suburbs"]) for row in table] == [["small"], [], []]
        assert [[(c.league, c.name) for c in row["clubs"]] for row in table] == [
            [(1, "fc"), (2, "fc")],
            [(1, "fc")],
            [],
        ]
        assert big["clubs"][0] is other["clubs"][0]
        assert [names(row["twins"]) for row in table] == [["other"], [], []]
        assert [names(row["twin_of"]) for row in table] == [[], ["big"], []]
        assert [row["mayor"] and row["mayor"].name for row in table] == ["m", None, None]
        assert [row["hall"] and row["hall"].name for row in table] == [None, "hall", None]
        assert [row["capital"] and row["capital"].name for row in table] == [None, None, "big"]
        assert [row["country"].code for row in table] == ["aa", "bb", "aa"]
        assert [[v.day for v in row["visits"]] for row in table] == [[7], [], []]


async def test_get_by_tuple_and_by_names(db: Database) -> None:
    async with db.session() as s:
        big = await s.get_one(Town, ("aa", 1))
        assert big is await s.get(Town, country_id="aa", number=1)
        assert await s.get(Town, ("zz", 1)) is None
        with pytest.raises(QueryError, match=r"is a tuple \(country_id, number\), not one of length 1"):
            await s.get(Town, ("zz",))
        hall = await s.get_one(Hall, ("bb", 1))
        assert (await s.read(hall, "town")).name == "other"
        assert (await s.get_one(Visit, ("aa", 1, 1, "fc"))).day == 7


async def test_filters_along_paths(db: Database) -> None:
    async with db.session() as s:
        big = await s.get_one(Town, ("aa", 1))
        other = await s.get_one(Town, ("bb", 1))
        club = await s.get_one(Club, (1, "fc"))

        async def found(model: Any, *conditions: Any) -> list[str]:
            return names(await s.all(model, *conditions))

        assert await found(House, House.town == big) == ["h1", "h2"]
        assert await found(House, House.town != big) == ["h3"]
        assert await found(House, House.town.in_([big, other])) == ["h1", "h2"]
        assert await found(House, House.second.is_(None)) == ["h2", "h3"]
        assert await found(House, House.second.is_not(None)) == ["h1"]
        assert await found(House, House.second.in_([other, None])) == ["h1", "h2", "h3"]
        assert await found(House, House.town.name == "small") == ["h3"]
        assert await found(House, House.town.country.code == "aa") == ["h1", "h2", "h3"]
        assert await found(House, House.town.capital.name == "big") == ["h3"]
        assert await found(House, House.town.mayor.name == "m") == ["h1", "h2"]
        assert await found(House, House.second.hall.name == "hall") == ["h1"]
        assert await found(Town, Town.houses.name == "h2") == ["big"]
        assert await found(Town, Town.clubs == club) == ["big", "other"]
        assert await found(Town, Town.clubs.league == 2) == ["big"]
        assert await found(Town, Town.twins.clubs.league == 1) == ["big"]
        assert await found(Town, Town.suburbs.houses.name == "h3") == ["big"]
        assert await found(Town, Town.capital == big) == ["small"]
        query = s.session.query(Town).filter(~Q(houses__name="h1"), country__code="aa", mayor__isnull=True)
        assert names(await s.do(lambda q: query.all())) == ["small"]
        inner = s.session.query(Town).where(Town.name == "big")
        assert await found(House, House.town.in_(inner)) == ["h1", "h2"]


async def test_changes(db: Database) -> None:
    async with db.session() as s:
        h1 = (await s.all(House, House.name == "h1"))[0]
        h2 = (await s.all(House, House.name == "h2"))[0]
        big, other = await s.get_one(Town, ("aa", 1)), await s.get_one(Town, ("bb", 1))
        small = await s.get_one(Town, ("aa", 2))
        h1.town = other
        h1.second = None
        assert (h1.town_country_id, h1.town_number, h1.second_country_id) == ("bb", 1, None)
        h2.town_country_id, h2.town_number = "aa", 2
        small.capital = other
        await s.load(big, Town.clubs, Town.twins)
        big.clubs.remove(*[c for c in big.clubs if c.league == 1])
        big.twins.add(small)
        await s.commit()
        assert (await s.read(h2, "town")) is small
    assert await db.rows(
        "SELECT name, town_country_id, town_number, second_number FROM house ORDER BY name"
    ) == [("h1", "bb", 1, None), ("h2", "aa", 2, None), ("h3", "aa", 2, None)]
    assert await db.rows("SELECT cap_country, cap_number FROM town WHERE name = 'small'") == [("bb", 1)]
    assert await db.rows("SELECT count(*) FROM town_clubs") == [(2,)]
    assert await db.rows("SELECT count(*) FROM town_twins") == [(2,)]


async def test_a_one_to_one_relation_moves_and_holds_one(db: Database) -> None:
    async with db.session() as s:
        (mayor,) = await s.all(Mayor)
        small = await s.get_one(Town, ("aa", 2))
        await s.load(small, Town.mayor)
        small.mayor = mayor
        await s.commit()
        assert (mayor.town_country_id, mayor.town_number) == ("aa", 2)
    async with db.session() as s:
        small = await s.get_one(Town, ("aa", 2))
        await s.add(Mayor(name="two", town_country_id="aa", town_number=2))
        with pytest.raises(UniqueError):
            await s.flush()
        await s.rollback()


async def test_deletes_follow_composite_keys(db: Database) -> None:
    async with db.session() as s:
        other = await s.get_one(Town, ("bb", 1))
        hall = await s.get_one(Hall, ("bb", 1))
        await s.delete(hall)
        await s.delete(other)
        await s.commit()
    assert await db.rows("SELECT second_country_id, second_number FROM house WHERE name = 'h1'") == [
        (None, None)
    ]
    assert await db.rows("SELECT count(*) FROM town_twins") == [(0,)]
    async with db.session() as s:
        await s.delete(await s.get_one(Country, "aa"))
        with pytest.raises(ForeignKeyError):
            await s.commit()
        await s.rollback()
    async with db.session() as s:
        small = await s.get_one(Town, ("aa", 2))
        await s.delete(small)
        await s.commit()
    assert await db.rows("SELECT name FROM house ORDER BY name") == [("h1",), ("h2",)]


async def test_keys_given_without_objects_and_new_trees(db: Database) -> None:
    async with db.session() as s:
        country = Country(code="cc", towns=[Town(number=1, name="first", houses=[House(name="n")])])
        country.towns.append(Town(number=2, name="second", capital=country.towns[0]))
        await s.add(country)
        await s.add(House(name="k", town_country_id="aa", town_number=2))
        await s.commit()
        await s.bulk_insert([House(name="bulk", town_country_id="cc", town_number=2)])
        await s.commit()
        assert names(await s.all(House, House.town.country == country)) == ["bulk", "n"]
    assert await db.rows("SELECT cap_country, cap_number FROM town WHERE name = 'second'") == [("cc", 1)]


async def test_upsert_and_bulk_by_composite_keys(db: Database) -> None:
    async with db.session() as s:
        result = await s.do(
            lambda q: q.upsert(
                [
                    Visit(town_country_id="aa", town_number=1, club_league=1, club_name="fc", day=8),
                    Visit(town_country_id="bb", town_number=1, club_league=1, club_name="fc", day=9),
                ],
                conflict=["town", "club"],
                update=[Visit.day],
            )
        )
        assert (len(result.inserted), len(result.updated)) == (1, 1)
        await s.commit()
        visits = await s.all(Visit)
        for visit in visits:
            visit.day += 10
        assert await s.bulk_update(visits) == 2
        assert await s.bulk_delete(Visit, [("aa", 1, 1, "fc"), ("zz", 1, 1, "fc")]) == 1
        await s.commit()
    assert await db.rows("SELECT town_country_id, day FROM visit") == [("bb", 19)]
