"""What fits in another type is taken as the field's own type, on the object too; what does not is refused."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any, Optional

import pytest

from blaze import Field, Insert, Model, ValidationError, create_all, field
from tests.persistence.twins import Database

UTC = dt.timezone.utc
PLUS_2 = dt.timezone(dt.timedelta(hours=2))


class Word(str):
    __slots__ = ()


class Level(enum.IntEnum):
    LOW = 1


class Colour(str, enum.Enum):
    RED = "red"


class Sample(Model):
    number: Field[int] = field(default=1)
    ratio: Field[float] = field(default=1.0)
    price: Field[Decimal] = field(default=Decimal("1"))
    name: Field[str] = field(default="a")
    data: Field[bytes] = field(default=b"a")
    seen: Field[Optional[dt.datetime]] = field(default=None)
    items: Field[list[int]] = field(default_factory=list)
    flag: Field[bool] = field(default=True)
    colour: Field[Colour] = field(default=Colour.RED)
    document: Field[dict[str, Any]] = field(default_factory=dict)
    listed: Field[list[Any]] = field(default_factory=list)
    free: Field[Any] = field(default=1)


class Ruled(Model):
    number: Field[int] = field(default=1)
    price: Field[Decimal] = field(default=Decimal("1"))

    def clean(self) -> None:
        if self.number > 100:
            raise ValidationError({"number": ["is too high"]})


TAKEN: list[tuple[str, Any, Any]] = [
    ("number", True, 1),
    ("number", Level.LOW, 1),
    ("ratio", 1, 1.0),
    ("ratio", True, 1.0),
    ("price", 1, Decimal("1")),
    ("name", Word("a"), "a"),
    ("data", bytearray(b"a"), b"a"),
    ("data", memoryview(b"a"), b"a"),
    ("seen", dt.datetime(2024, 1, 1, 2, tzinfo=PLUS_2), dt.datetime(2024, 1, 1, tzinfo=UTC)),
    ("items", (1, 2), [1, 2]),
    ("items", [True, 2], [1, 2]),
]
REFUSED: list[tuple[str, Any, str]] = [
    ("number", 1.0, "float"),
    ("number", Decimal(1), "Decimal"),
    ("ratio", Decimal(1), "Decimal"),
    ("price", 1.0, "float"),
    ("price", True, "bool"),
    ("flag", 1, "int"),
    ("colour", "red", "Colour"),
    ("items", {}, "dict, not a list"),
    ("document", [], "list, not a dict"),
    ("document", "text", "str, not a dict"),
    ("document", None, "NOT NULL"),
    ("listed", {}, "dict, not a list"),
    ("listed", (), "tuple, not a list"),
    ("document", {"a": [{1}]}, r"at a\[0\] is a set"),
    ("document", {"a": {"b": object()}}, r"at a\.b is a object"),
    ("document", {"a": [0, float("nan")]}, r"nan at a\[1\]"),
    ("document", {"a": {1: 2}}, "key 1 at a is a int; JSON keys are str"),
    ("listed", [{"a": float("inf")}], r"inf at \[0\]\.a"),
    ("free", {"a": (1,)}, "at a is a tuple"),
]


def shown(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"


@pytest.fixture
def db(db: Database) -> Database:
    create_all(db.engine, [Sample, Ruled])
    return db


@pytest.mark.parametrize(("name", "value", "normal"), TAKEN, ids=lambda value: type(value).__name__)
async def test_what_fits_is_taken_as_the_type_of_the_field(
    db: Database, name: str, value: Any, normal: Any
) -> None:
    async with db.session() as s:
        new, loaded = Sample(**{name: value}), Sample()
        await s.add_all([new, loaded])
        await s.flush()
        assert shown(getattr(new, name)) == shown(normal)
        setattr(loaded, name, value)
        await s.commit()
        assert shown(getattr(loaded, name)) == shown(normal)
        assert s.dirty == []
        await s.bulk_insert([Sample(**{name: value})])
        await s.exec(Insert(Sample).values(**{name: value}))
        await s.commit()
    async with db.session() as s:
        assert [shown(getattr(o, name)) for o in await s.all(Sample)] == [shown(normal)] * 4


@pytest.mark.parametrize(("name", "value", "words"), REFUSED, ids=lambda value: type(value).__name__)
async def test_an_equal_value_of_another_type_is_refused(
    db: Database, name: str, value: Any, words: str
) -> None:
    await db.save(Sample())
    async with db.session() as s:
        loaded = await s.get_one(Sample, 1)
        before = getattr(loaded, name)
        setattr(loaded, name, value)
        with pytest.raises(ValidationError, match=words) as caught:
            await s.flush()
        assert list(caught.value.errors) == [name]
        await s.rollback()
        assert shown(getattr(loaded, name)) == shown(before)
        for write in (
            lambda: s.bulk_insert([Sample(**{name: value})]),
            lambda: s.exec(Insert(Sample).values(**{name: value})),
            lambda: s.do(lambda q: q.query(Sample).where(Sample.id == 1).update(**{name: value})),
        ):
            with pytest.raises(Exception, match=words if value is not None else "NULL|None"):
                await write()
        await s.rollback()
    assert await db.rows("SELECT count(*) FROM sample") == [(1,)]


async def test_a_model_with_rules_of_its_own_gets_its_types_too(db: Database) -> None:
    async with db.session() as s:
        row = Ruled(number=True, price=5)
        await s.add(row)
        await s.commit()
        assert (shown(row.number), shown(row.price)) == ("int 1", "Decimal Decimal('5')")
        row.price = 5  # type: ignore[assignment]
        await s.commit()
        assert shown(row.price) == "Decimal Decimal('5')"


async def test_a_list_stays_the_same_list(db: Database) -> None:
    async with db.session() as s:
        mine = [1, 2]
        row = Sample(items=mine)
        await s.add(row)
        await s.commit()
        assert row.items == mine
        row.items = mine = [3]
        await s.flush()
        mine.append(4)
        await s.commit()
    assert await db.rows("SELECT items FROM sample") == [("[3,4]",)]
