"""One model for each type of value, with values that it must hold exactly and values that it must refuse."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any, NamedTuple, Optional
from uuid import UUID

from blaze import Field, Model, field, many_to_many
from blaze.core.relation_types import ManyToMany

UTC = dt.timezone.utc


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


class Kind(NamedTuple):
    """A type: its model, values of it, values each of which it must refuse, and what a database does with it.

    `values` are distinct and, where `ordered`, in their order.
    """

    name: str
    model: Any
    values: list[Any]
    refused: list[Any]
    ordered: bool
    compared: bool

    def __repr__(self) -> str:
        return self.name


def _model(name: str, annotation: Any, **options: Any) -> Any:
    """Make a model with a `value` that must be there and an `other` that may be missing."""
    body = {
        "__module__": __name__,
        "__qualname__": name,
        "__annotations__": {"value": Field[annotation], "other": Field[Optional[annotation]]},
        "value": field(**options),
        "other": field(default=None, **options),
        "Meta": type("Meta", (), {"table": f"suite_{name.lower()}"}),
    }
    make: Any = type(Model)
    return make(name, (Model,), body)


def _kind(
    name: str,
    annotation: Any,
    values: list[Any],
    refused: list[Any],
    *,
    ordered: bool = True,
    compared: bool = True,
    **options: Any,
) -> Kind:
    model = _model(f"{name.title().replace('_', '')}Value", annotation, **options)
    return Kind(name, model, values, refused, ordered, compared)


def _at(*parts: int, hours: int = 0) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.timezone(dt.timedelta(hours=hours)))  # type: ignore[arg-type, misc]


TEXTS = [
    "", " ", "  ", "\"", "%", "%s", "'", "--", "/*", "0123", ":x", "?", "A", "B", "Z", "\\", "\\n", "a", "a ",
    "a b", "aa", "b", "it's", "null", "{x}", "ß", "é", "Ω", "ﬀ", "🦄", "🦄👩‍👩‍👧",
]  # fmt: skip

KINDS = [
    _kind("bool", bool, [False, True], [2, "x"]),
    _kind(
        "int",
        int,
        [-(2**63), -(2**53) - 1, -1, 0, 1, 2**31, 2**53 + 1, 2**63 - 1],
        [2**63, -(2**63) - 1, 1.5, "1", Decimal(1)],
    ),
    _kind(
        "float",
        float,
        [
            -1.7976931348623157e308,
            -0.1,
            0.0,
            2.2250738585072014e-308,
            0.1,
            1.0,
            3.14,
            1e22,
            1.7976931348623157e308,
        ],
        [float("nan"), 2**53 + 1, Decimal("0.1"), "1"],
    ),
    _kind(
        "decimal",
        Decimal,
        [
            Decimal(x)
            for x in ("-99999999999999999999.5", "-0.00000001", "0", "0.00000001", "0.10", "9", "10", "1E+20")
        ],
        [0.1, "0.1", True, Decimal("NaN"), Decimal("-Infinity")],
    ),
    _kind(
        "money",
        Decimal,
        [Decimal(x) for x in ("-999999999.999", "-1", "0", "0.001", "7", "100", "999999999.999")],
        [Decimal("0.0001"), Decimal("1000000000"), 10**9],
        precision=12,
        scale=3,
    ),
    _kind("text", str, TEXTS, [b"x", 1, "\ud800"]),
    _kind("short_text", str, [t for t in TEXTS if len(t) <= 10], ["12345678901", 5, "\udfff"], max_length=10),
    _kind("long_text", str, ["x", "y" * 70_000, "z🦄" * 20_000], [b"x"]),
    _kind(
        "bytes",
        bytes,
        [b"", b"\x00", b"\x00\xff", b"'", b"\\", b"a", bytes(range(256)) * 300, b"\xff"],
        ["x", 1],
    )._replace(ordered=False),
    _kind(
        "date",
        dt.date,
        [
            dt.date(1, 1, 1),
            dt.date(1582, 10, 15),
            dt.date(1970, 1, 1),
            dt.date(2024, 2, 29),
            dt.date(9999, 12, 31),
        ],
        [dt.datetime(2024, 1, 1), "2024-01-01"],
    ),
    _kind(
        "time",
        dt.time,
        [dt.time(0), dt.time(0, 0, 0, 1), dt.time(12, 30), dt.time(23, 59, 59), dt.time(23, 59, 59, 999_999)],
        [dt.time(1, tzinfo=UTC), "12:00"],
    ),
    _kind(
        "moment",
        dt.datetime,
        [
            _at(1, 1, 1),
            _at(1969, 12, 31, 23, 59, 59, 999_999),
            _at(2024, 3, 31, 2, 30),
            _at(2024, 3, 31, 2, 30, 0, 1),
            _at(2024, 7, 1, 12, hours=-7),
            _at(9999, 12, 31, 23, 59, 59, 999_999),
        ],
        [dt.datetime(2024, 1, 1), dt.date(2024, 1, 1), _at(1, 1, 1, hours=9), "2024-01-01T00:00:00Z"],
    ),
    _kind(
        "naive",
        dt.datetime,
        [
            dt.datetime.min,
            dt.datetime(2024, 3, 31, 2, 30),
            dt.datetime(2024, 3, 31, 2, 30, 0, 1),
            dt.datetime.max,
        ],
        [_at(2024, 1, 1), dt.date(2024, 1, 1)],
        timezone=False,
    ),
    _kind(
        "interval",
        dt.timedelta,
        [
            dt.timedelta(microseconds=-(2**63)),
            dt.timedelta(days=-1, seconds=1),
            dt.timedelta(microseconds=-1),
            dt.timedelta(0),
            dt.timedelta(hours=25),
            dt.timedelta(days=40),
            dt.timedelta(microseconds=2**63 - 1),
        ],
        [5, "1 day"],
    ),
    _kind(
        "uuid",
        UUID,
        [UUID(int=0), UUID(int=1), UUID(int=2**127), UUID(int=2**128 - 1)],
        [str(UUID(int=1)), 1],
    ),
    _kind("color", Color, list(Color), ["red", 1], ordered=False),
    _kind("level", Level, [Level.LOW, Level.NONE, Level.HIGH], [0, "LOW"]),
    _kind("shape", Shape, list(Shape), [(0, 0), "POINT"], ordered=False),
    _kind("rights", Rights, [Rights(0), Rights.READ, Rights.READ | Rights.WRITE], [1], ordered=False),
    _kind(
        "dict",
        dict[str, Any],
        [
            {},
            {"a": None},
            {"a": [1, 2.5, True, None, "é", {"b": {}}]},
            {"": 0, "k\"'\\": "%s ?"},
            {"n": 2**53 + 1},
            {"f": 1e100, "g": -0.5, "h": 1.0},
            {"🦄": "🦄"},
        ],
        [{1: 2}, {"a": float("nan")}, {"a": (1, 2)}, {"a": dt.date(2024, 1, 1)}, "{}"],
        ordered=False,
        compared=False,
    ),
    _kind(
        "list",
        list[Any],
        [[], [None], [1, "1", 1.5, [], {}], [[[[]]]], ["a,b", '"', "\\", "{}"]],
        [[Decimal(1)], {"a": 1}],
        ordered=False,
        compared=False,
    ),
    _kind(
        "ints",
        list[int],
        [[], [0], [-(2**63), 2**63 - 1], list(range(300))],
        [[1, "2"], [2**63], 5],
        ordered=False,
        compared=False,
    ),
    _kind(
        "strs",
        list[str],
        [[], [""], ["a", "b,c", 'd"', "\\", "{}", "NULL", "é🦄", " "]],
        [[1], "abc"],
        ordered=False,
        compared=False,
    ),
    _kind(
        "decimals",
        list[Decimal],
        [[], [Decimal("0.1"), Decimal("-5")], [Decimal("12345678901234567890.123")]],
        [[0.1]],
        ordered=False,
        compared=False,
    ),
    _kind(
        "moments",
        list[dt.datetime],
        [[], [_at(2024, 1, 1), _at(2024, 7, 1, 12, 30, 1, 5, hours=3)]],
        [[dt.datetime(2024, 1, 1)]],
        ordered=False,
        compared=False,
    ),
]


class IntKey(Model):
    key: Field[int] = field(primary_key=True, init=True)
    friends: ManyToMany[IntKey] = many_to_many()

    class Meta:
        table = "suite_intkey"


class TextKey(Model):
    key: Field[str] = field(primary_key=True, init=True, max_length=50)
    friends: ManyToMany[TextKey] = many_to_many()

    class Meta:
        table = "suite_textkey"


class DecimalKey(Model):
    key: Field[Decimal] = field(primary_key=True, init=True, precision=12, scale=3)
    friends: ManyToMany[DecimalKey] = many_to_many()

    class Meta:
        table = "suite_decimalkey"


class DateKey(Model):
    key: Field[dt.date] = field(primary_key=True, init=True)
    friends: ManyToMany[DateKey] = many_to_many()

    class Meta:
        table = "suite_datekey"


class MomentKey(Model):
    key: Field[dt.datetime] = field(primary_key=True, init=True)
    friends: ManyToMany[MomentKey] = many_to_many()

    class Meta:
        table = "suite_momentkey"


class UuidKey(Model):
    key: Field[UUID] = field(primary_key=True, init=True)
    friends: ManyToMany[UuidKey] = many_to_many()

    class Meta:
        table = "suite_uuidkey"


class IntervalKey(Model):
    key: Field[dt.timedelta] = field(primary_key=True, init=True)
    friends: ManyToMany[IntervalKey] = many_to_many()

    class Meta:
        table = "suite_intervalkey"


class BoolKey(Model):
    key: Field[bool] = field(primary_key=True, init=True)
    friends: ManyToMany[BoolKey] = many_to_many()

    class Meta:
        table = "suite_boolkey"


_OF = {kind.name: kind for kind in KINDS}
KEYS: list[Kind] = [
    _OF[name]._replace(model=model, values=_OF[name].values[:6])
    for name, model in {
        "int": IntKey,
        "short_text": TextKey,
        "money": DecimalKey,
        "date": DateKey,
        "moment": MomentKey,
        "uuid": UuidKey,
        "interval": IntervalKey,
        "bool": BoolKey,
    }.items()
]
MODELS: list[type[Any]] = [kind.model for kind in (*KINDS, *KEYS)]


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same type, all the way down.

    0.0 equals -0.0, and a JSON object has no order: databases keep neither.
    """
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def model_of(name: str) -> Any:
    """Give the model of a kind."""
    return next(kind.model for kind in KINDS if kind.name == name)
