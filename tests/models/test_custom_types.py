"""`field(type=...)`, and types of plugins by name and by Python type."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Optional

import pytest

from blaze import Field, Model, create_all, field, plugins
from blaze.dialects import types as t
from blaze.errors import ConfigurationError, ModelError, PluginError, ValidationError
from tests.persistence.twins import Database

pytestmark = pytest.mark.requirement("R51")


class Point:
    """A value class of an application."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (other.x, other.y) == (self.x, self.y)

    def __hash__(self) -> int:
        return hash((self.x, self.y))

    def __repr__(self) -> str:
        return f"Point({self.x}, {self.y})"


class PointType(t.Custom):
    storage = t.String()
    python_type = Point
    accepts = (Point,)

    def to_storage(self) -> Any:
        return lambda point: f"{point.x},{point.y}"

    def from_storage(self) -> Any:
        return lambda text: Point(*map(int, text.split(",")))


class Cents(t.Custom):
    storage = t.Integer()
    python_type = Decimal
    accepts = (Decimal,)

    def to_storage(self) -> Any:
        return lambda value: int(value * 100)

    def from_storage(self) -> Any:
        return lambda value: Decimal(value) / 100


@pytest.fixture
def installed() -> Iterator[None]:
    plugins.register("blaze.types", "point", PointType)
    plugins.register("blaze.types", "cents", Cents())
    plugins.register("blaze.types", "wrong", 5)
    yield
    for name in ("point", "cents", "wrong"):
        plugins.registry.unregister("blaze.types", name)


@pytest.mark.usefixtures("installed")
async def test_a_type_of_a_plugin(db: Database) -> None:
    class Place(Model):
        at: Field[Point]
        maybe: Field[Optional[Point]] = field(default=None)
        price: Field[Decimal] = field(type="cents", default=Decimal("0.00"))
        short: Field[str] = field(type=t.String(3), default="abc")
        whole: Field[Decimal] = field(type=t.Integer, default=0)

    create_all(db.engine, [Place])
    async with db.session() as s:
        place = Place(at=Point(1, 2), price=Decimal("1.25"))
        await s.add(place)
        await s.commit()
        place.maybe = Point(3, 4)
        await s.commit()
        wrong: Any = "1,2"
        place.at, place.short = wrong, "abcd"
        with pytest.raises(ValidationError) as caught:
            await s.flush()
        assert caught.value.errors == {
            "at": ["'1,2' is a str, not a Point"],
            "short": ["'abcd' has 4 characters, more than 3"],
        }
        await s.rollback()
    async with db.session() as s:
        (place,) = await s.all(Place, Place.at == Point(1, 2))
        assert (place.at, place.maybe, place.price) == (Point(1, 2), Point(3, 4), Decimal("1.25"))
        assert await s.all(Place, Place.at == Point(9, 9)) == []
        assert await s.do(lambda q: q.query(Place.maybe).scalars()) == [Point(3, 4)]
    assert await db.rows("SELECT at, maybe, price FROM place") == [("1,2", "3,4", 125)]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("cent", ConfigurationError, r"no plugin 'cent' of blaze\.types is installed; did you mean 'cents'"),
        ("wrong", ModelError, r"Bad\.price: type='wrong' is not a column type"),
    ],
)
def test_a_type_that_is_not_there(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):

        class Bad(Model):
            price: Field[Decimal] = field(type=name)


def test_a_broken_plugin_is_named_where_it_might_have_helped(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = PluginError("the plugin 'geo' of blaze.types (geo 1.0) cannot be used: it does not import")
    monkeypatch.setattr(plugins.registry, "load_all", lambda group: ({}, {"geo": broken}))
    with pytest.raises(ModelError, match=r"Bad\.at: no column type for .*Point.*the plugin 'geo'"):

        class Bad(Model):
            at: Field[Point]
