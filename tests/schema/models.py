"""A rich set of models: every type, every kind of key, relation, index and constraint."""

from __future__ import annotations

import enum
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Optional
from uuid import UUID, uuid4

from blaze.core.constraints import Check, Index, Unique
from blaze.core.fields import Field, field, foreign_key, key_column, many_to_many, one_to_one
from blaze.core.model import ModelBase as Model
from blaze.core.relation_types import ForeignKey, ManyToMany, OneToOne


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Everything(Model):
    """Every type, bare and optional; none of the defaults may be seen in the schema."""

    flag: Field[bool] = field(default=True)
    number: Field[int] = field(default=4711)
    weight: Field[float] = field(default=0.5)
    price: Field[Decimal] = field(precision=10, scale=2, default=Decimal("19.90"))
    amount: Field[Optional[Decimal]] = field(default=None)
    name: Field[str] = field(max_length=20, default="nobody")
    text: Field[Optional[str]] = field(default=None)
    picture: Field[bytes] = field(default=b"")
    day: Field[date] = field(default=date(2000, 1, 1))
    clock: Field[Optional[time]] = field(default=None)
    moment: Field[datetime] = field(default_factory=lambda: datetime.now(timezone.utc))
    local: Field[Optional[datetime]] = field(timezone=False, default=None)
    length: Field[timedelta] = field(default=timedelta(days=1))
    key: Field[UUID] = field(default_factory=uuid4)
    colour: Field[Colour] = field(default=Colour.RED)
    level: Field[Level] = field(default=Level.LOW)
    data: Field[dict[str, Any]] = field(default_factory=dict)
    numbers: Field[list[int]] = field(default_factory=list)


class Defaults(Model):
    """What the database fills in."""

    id: Field[int] = field(primary_key=True)
    created: Field[datetime] = field(server_default="CURRENT_TIMESTAMP")
    local: Field[datetime] = field(server_default="current_timestamp", timezone=False)
    day: Field[date] = field(server_default="CURRENT_DATE")
    state: Field[str] = field(server_default="'it''s new'", default="python", max_length=20)
    number: Field[int] = field(server_default="6 * 7")
    double: Field[int] = field(generated="number * 2")


class Person(Model):
    """A reference to itself, and a circle with Company."""

    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=80, index=True, comment="What people call them; it's free text")
    email: Field[Optional[str]] = field(unique=True, index=True, max_length=120)
    boss: ForeignKey[Optional[Person]] = foreign_key(related_name="staff", on_delete="SET NULL")
    employer: ForeignKey[Optional[Company]] = foreign_key(related_name="people", on_delete="RESTRICT")

    class Meta:
        comment = "Somebody"
        indexes = [
            Index("name", "boss"),
            Index("email", name="active_email", unique=True, where="email IS NOT NULL"),
        ]
        constraints = [
            Check("length(name) > 0"),
            Check("boss_id <> id", name="nobody_is_his_own_boss"),
            Unique("name", "employer"),
        ]


class Company(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=80, unique=True)
    owner: ForeignKey[Person] = foreign_key(related_name="companies", deferrable=True)


class Room(Model):
    """A composite key of its own values, with a column name that is not the attribute's."""

    building: Field[str] = field(primary_key=True, init=True, max_length=10)
    number: Field[int] = field(primary_key=True, init=True, column="RoomNo")
    seats: Field[int] = field(check="seats > 0")


class Booking(Model):
    """Composite foreign keys: one with an index, one that is unique."""

    id: Field[int] = field(primary_key=True)
    day: Field[date]
    room: ForeignKey[Room] = foreign_key(related_name="bookings", on_delete="CASCADE")
    spare: OneToOne[Optional[Room]] = one_to_one(related_name="spare_for")


class Badge(Model):
    """A key that is a foreign key."""

    person: OneToOne[Person] = one_to_one(related_name="badge", primary_key=True, on_delete="CASCADE")
    code: Field[str] = field(max_length=8)


class Country(Model):
    """A key that people give."""

    code: Field[str] = field(primary_key=True, max_length=2)


class Tag(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    articles: ManyToMany[Article] = many_to_many(related_name="tags")


class Article(Model):
    """A relation declared on both sides, one to itself, one with a table's name, one with a model."""

    id: Field[int] = field(primary_key=True)
    title: Field[str]
    tags: ManyToMany[Tag] = many_to_many(related_name="articles")
    sources: ManyToMany[Article] = many_to_many(related_name="quoted_by")
    countries: ManyToMany[Country] = many_to_many(through="printed_in")
    writers: ManyToMany[Person] = many_to_many(related_name="articles", through="Contribution")
    rooms: ManyToMany[Room] = many_to_many(related_name="articles")


class Contribution(Model):
    """The through model: a composite key of two foreign keys, and a column of its own."""

    article: ForeignKey[Article] = foreign_key(primary_key=True, on_delete="CASCADE")
    article_id: Field[int] = key_column()
    person: ForeignKey[Person] = foreign_key(primary_key=True)
    share: Field[Decimal] = field(precision=5, scale=2)

    class Meta:
        constraints = [Check("share BETWEEN 0 AND 100.00", name="share_is_percent")]


class Statistic(Model):
    """A view: nothing is created for it, and no foreign key can point at it."""

    id: Field[int] = field(primary_key=True)
    articles: Field[int]

    class Meta:
        view = True


class Report(Model):
    id: Field[int] = field(primary_key=True)
    statistic: ForeignKey[Statistic] = foreign_key(related_name="reports")


MODELS: list[type] = [
    Everything,
    Defaults,
    Report,
    Booking,
    Contribution,
    Badge,
    Person,
    Company,
    Room,
    Tag,
    Article,
    Country,
    Statistic,
]
