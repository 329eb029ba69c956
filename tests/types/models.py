"""One model for each type of API.md: `value` must be there, `other` may be missing."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any, Optional
from uuid import UUID

from blaze import Field, ManyToMany, Model, field, many_to_many


class Color(str, enum.Enum):
    RED = "red"
    TRICKY = 'it\'s "%s" ?:x \\'
    EMPTY = ""


class Level(enum.IntEnum):
    LOW = -(2**63)
    NONE = 0
    HIGH = 2**63 - 1


class Shape(enum.Enum):
    POINT = (0, 0)
    NOTHING = None
    LINE = [1, 2]


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class BoolRow(Model):
    value: Field[bool]
    other: Field[Optional[bool]] = field(default=None)


class IntRow(Model):
    value: Field[int]
    other: Field[Optional[int]] = field(default=None)


class FloatRow(Model):
    value: Field[float]
    other: Field[Optional[float]] = field(default=None)


class DecimalRow(Model):
    value: Field[Decimal]
    other: Field[Optional[Decimal]] = field(default=None)


class MoneyRow(Model):
    value: Field[Decimal] = field(precision=12, scale=3)
    other: Field[Optional[Decimal]] = field(precision=12, scale=3, default=None)


class TextRow(Model):
    value: Field[str]
    other: Field[Optional[str]] = field(default=None)


class ShortTextRow(Model):
    value: Field[str] = field(max_length=10)
    other: Field[Optional[str]] = field(max_length=10, default=None)


class BytesRow(Model):
    value: Field[bytes]
    other: Field[Optional[bytes]] = field(default=None)


class DateRow(Model):
    value: Field[dt.date]
    other: Field[Optional[dt.date]] = field(default=None)


class TimeRow(Model):
    value: Field[dt.time]
    other: Field[Optional[dt.time]] = field(default=None)


class MomentRow(Model):
    value: Field[dt.datetime]
    other: Field[Optional[dt.datetime]] = field(default=None)


class NaiveRow(Model):
    value: Field[dt.datetime] = field(timezone=False)
    other: Field[Optional[dt.datetime]] = field(timezone=False, default=None)


class IntervalRow(Model):
    value: Field[dt.timedelta]
    other: Field[Optional[dt.timedelta]] = field(default=None)


class UuidRow(Model):
    value: Field[UUID]
    other: Field[Optional[UUID]] = field(default=None)


class ColorRow(Model):
    value: Field[Color]
    other: Field[Optional[Color]] = field(default=None)


class LevelRow(Model):
    value: Field[Level]
    other: Field[Optional[Level]] = field(default=None)


class ShapeRow(Model):
    value: Field[Shape]
    other: Field[Optional[Shape]] = field(default=None)


class RightsRow(Model):
    value: Field[Rights]
    other: Field[Optional[Rights]] = field(default=None)


class DictRow(Model):
    value: Field[dict[str, Any]]
    other: Field[Optional[dict[str, Any]]] = field(default=None)


class ListRow(Model):
    value: Field[list[Any]]
    other: Field[Optional[list[Any]]] = field(default=None)


class NumbersRow(Model):
    value: Field[list[int]]
    other: Field[Optional[list[int]]] = field(default=None)


class DecimalsRow(Model):
    value: Field[list[Decimal]]
    other: Field[Optional[list[Decimal]]] = field(default=None)


class MomentsRow(Model):
    value: Field[list[dt.datetime]]
    other: Field[Optional[list[dt.datetime]]] = field(default=None)


# Every type that can be a key is one here, and links to the others of its table.


class IntKey(Model):
    key: Field[int] = field(primary_key=True, init=True)
    friends: ManyToMany[IntKey] = many_to_many()


class TextKey(Model):
    key: Field[str] = field(primary_key=True, init=True)
    friends: ManyToMany[TextKey] = many_to_many()


class DecimalKey(Model):
    key: Field[Decimal] = field(primary_key=True, init=True)
    friends: ManyToMany[DecimalKey] = many_to_many()


class BytesKey(Model):
    key: Field[bytes] = field(primary_key=True, init=True)
    friends: ManyToMany[BytesKey] = many_to_many()


class DateKey(Model):
    key: Field[dt.date] = field(primary_key=True, init=True)
    friends: ManyToMany[DateKey] = many_to_many()


class MomentKey(Model):
    key: Field[dt.datetime] = field(primary_key=True, init=True)
    friends: ManyToMany[MomentKey] = many_to_many()


class UuidKey(Model):
    key: Field[UUID] = field(primary_key=True, init=True)
    friends: ManyToMany[UuidKey] = many_to_many()


class ColorKey(Model):
    key: Field[Color] = field(primary_key=True, init=True)
    friends: ManyToMany[ColorKey] = many_to_many()


class IntervalKey(Model):
    key: Field[dt.timedelta] = field(primary_key=True, init=True)
    friends: ManyToMany[IntervalKey] = many_to_many()


ROWS = (
    BoolRow,
    IntRow,
    FloatRow,
    DecimalRow,
    MoneyRow,
    TextRow,
    ShortTextRow,
    BytesRow,
    DateRow,
    TimeRow,
    MomentRow,
    NaiveRow,
    IntervalRow,
    UuidRow,
    ColorRow,
    LevelRow,
    ShapeRow,
    RightsRow,
    DictRow,
    ListRow,
    NumbersRow,
    DecimalsRow,
    MomentsRow,
)
KEYS = (IntKey, TextKey, DecimalKey, BytesKey, DateKey, MomentKey, UuidKey, ColorKey, IntervalKey)
MODELS = (*ROWS, *KEYS)
