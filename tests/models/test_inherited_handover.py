"""Unique values that change hands between the classes of one hierarchy, in one table and in joined ones."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Optional

import pytest

from blaze import Field, ForeignKey, Model, Unique, create_all, field, foreign_key
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R24", "R48")


def vehicles(separate: bool) -> Any:
    """Define models with unique columns at several levels; `separate` gives each a table of its own."""

    class Vehicle(Model):
        id: Field[int] = field(primary_key=True)
        code: Field[str] = field(unique=True)
        number: Field[Optional[int]] = field(unique=True, default=None)
        price: Field[Decimal] = field(precision=20, scale=2, unique=True)
        note: Field[str] = field(default="")

        class Meta:
            discriminator = "kind"

    class Boat(Vehicle):
        depth: Field[int] = field(default=1)

        class Meta:
            joined = separate

    class Car(Vehicle):
        plate: Field[Optional[str]] = field(default=None)
        tows: ForeignKey[Optional[Car]] = foreign_key(on_delete="SET NULL")

        class Meta:
            joined = separate
            constraints = [Unique("plate")]

    class Truck(Car):
        load: Field[int] = field(default=1)

        class Meta:
            joined = separate

    found = SimpleNamespace(**{k: v for k, v in locals().items() if isinstance(v, type)})
    found.models = [Vehicle, Boat, Car, Truck]
    return found


@pytest.fixture(params=["single", "joined"])
def m(request: Any, db: Database) -> Any:
    found = vehicles(request.param == "joined")
    create_all(db.engine, found.models)
    return found


def one_of_each(m: Any) -> list[Any]:
    return [
        m.Truck(code="a", number=1, price=Decimal(1), plate="ta"),
        m.Boat(code="b", number=2, price=Decimal(2)),
        m.Vehicle(code="c", number=3, price=Decimal(3)),
        m.Car(code="d", number=4, price=Decimal(4), plate="cd"),
    ]


async def saved(s: Any, m: Any) -> list[Any]:
    found = one_of_each(m)
    await s.add_all(found)
    await s.commit()
    return found


@pytest.mark.parametrize("name", ["code", "number"])
@pytest.mark.parametrize("step", [1, 2, 3])
async def test_values_go_round_between_all_classes(db: Database, m: Any, name: str, step: int) -> None:
    async with db.session() as s:
        found = await saved(s, m)
        found[1].depth, found[3].note = 7, "changed beside"
        before = [getattr(o, name) for o in found]
        expected = before[step:] + before[:step]
        for instance, value in zip(found, expected):
            setattr(instance, name, value)
        await s.commit()
        assert [getattr(o, name) for o in found] == expected
    rows = await db.rows(f"SELECT {name}, note FROM vehicle ORDER BY id")
    assert rows == list(zip(expected, ["", "", "", "changed beside"]))


@pytest.mark.parametrize("backwards", [True, False])
async def test_a_chain_through_the_classes_is_written_from_its_end(
    db: Database, m: Any, backwards: bool
) -> None:
    async with db.session() as s:
        found = await saved(s, m)
        if backwards:
            found.reverse()
        values = [o.price for o in found]  # a price cannot be parked
        for instance, value in zip(found, [*values[1:], Decimal(99)]):
            instance.price = value
        count = s.statements
        await s.flush()
        assert s.statements - count == 4
        new = m.Car(code="new", price=values[0])
        await s.add(new)
        await s.commit()
    rows = await db.rows("SELECT id FROM vehicle ORDER BY price")
    assert len(rows) == 5


async def test_a_new_object_takes_what_a_changed_one_of_another_class_gives_up(db: Database, m: Any) -> None:
    async with db.session() as s:
        truck, boat, vehicle, _ = await saved(s, m)
        new = m.Boat(code="a", price=Decimal(2))
        boat.price, truck.code = vehicle.price, "b"
        boat.code, vehicle.price = "free", Decimal(9)
        await s.add(new)
        await s.commit()
    rows = await db.rows("SELECT code, price FROM vehicle ORDER BY id")
    assert [(code, Decimal(str(price))) for code, price in rows] == [
        ("b", 1), ("free", 3), ("c", 9), ("d", 4), ("a", 2),
    ]  # fmt: skip


async def test_what_a_deleted_object_had_goes_to_objects_of_other_classes(db: Database, m: Any) -> None:
    async with db.session() as s:
        truck, boat, vehicle, car = await saved(s, m)
        await s.delete(truck)
        await s.delete(vehicle)
        boat.code, car.plate = truck.code, truck.plate
        new = m.Truck(code=vehicle.code, number=truck.number, price=truck.price)
        await s.add(new)
        await s.commit()
    assert await db.rows("SELECT code, number FROM vehicle ORDER BY code") == [("a", 2), ("c", 1), ("d", 4)]
    table = m.Car.__mapper__.own_table.name
    assert await db.rows(f"SELECT plate FROM {table} WHERE plate IS NOT NULL") == [("ta",)]


async def test_a_deleted_row_of_another_class_that_has_to_stay_is_parked(db: Database, m: Any) -> None:
    async with db.session() as s:
        truck, boat, _, car = await saved(s, m)
        car.tows = truck
        await s.commit()
        car.tows, car.note = None, "free"
        boat.code, boat.number = truck.code, truck.number
        await s.delete(truck)
        await s.commit()
    assert await db.rows("SELECT code, number, note FROM vehicle ORDER BY id") == [
        ("a", 1, ""), ("c", 3, ""), ("d", 4, "free"),
    ]  # fmt: skip


async def test_the_unique_column_of_a_class_passes_to_one_that_derives_from_it(db: Database, m: Any) -> None:
    async with db.session() as s:
        truck, _, _, car = await saved(s, m)
        truck.plate, car.plate = car.plate, truck.plate
        await s.commit()
        truck.plate, car.plate, truck.load = "new", truck.plate, 5
        await s.commit()
        assert (truck.plate, car.plate) == ("new", "cd")
    table = m.Car.__mapper__.own_table.name
    assert await db.rows(f"SELECT plate FROM {table} WHERE plate IS NOT NULL ORDER BY id") == [
        ("new",), ("cd",),
    ]  # fmt: skip


async def test_a_circle_of_decimals_is_parked_and_taken_back(db: Database, m: Any) -> None:
    async with db.session() as s:
        truck, boat, *_ = await saved(s, m)
        truck.price, boat.price = boat.price, truck.price
        await s.flush()
        assert (len(s.dirty), truck.price, boat.price) == (0, 2, 1)
        await s.rollback()
        assert (truck.price, boat.price) == (1, 2)


async def test_objects_of_several_classes_take_one_statement_each(db: Database, m: Any) -> None:
    async with db.session() as s:
        found = await saved(s, m)
        for instance in found:
            instance.code += "x"
        count = s.statements
        await s.commit()
        assert s.statements - count == 4
