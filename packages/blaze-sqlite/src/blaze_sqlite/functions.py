"""SQL functions and the collation that SQLite lacks, written in Python and registered on every connection.

The names ``decimal``, ``decimal_add``, ``decimal_sub``, ``decimal_mul``, ``decimal_cmp`` and ``decimal_sum``
and the collation ``decimal`` are those of SQLite's official extension, so a file made here can be opened by
other programs that load it. NULL in gives NULL out.
"""

from __future__ import annotations

import decimal
import json
import math
import re
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache, wraps
from typing import Any, Optional

__all__ = ["register"]

# Sums, differences and products are exact; one with more digits than this is an error.
_EXACT = decimal.Context(
    prec=400_000,
    Emin=-999_999,
    Emax=999_999,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow, decimal.Inexact],
)
_ROUNDING = decimal.Context(prec=400_000, Emin=-999_999, Emax=999_999)
_QUOTIENT_DIGITS = 28


def _read(value: Any) -> Decimal:
    return Decimal(value) if isinstance(value, (str, int)) else Decimal(repr(value))


def _write(value: Decimal) -> str:
    text = str(value)
    return text if "E" not in text else format(value, "f")


def collate(left: str, right: str) -> int:
    """Order two texts as numbers; texts that are none come last, in their own order."""
    if left == right:
        return 0
    try:
        a = Decimal(left)
    except decimal.InvalidOperation:
        return _collate_text(left, right)
    try:
        b = Decimal(right)
    except decimal.InvalidOperation:
        return -1
    return (a > b) - (a < b)


def _collate_text(left: str, right: str) -> int:
    try:
        Decimal(right)
    except decimal.InvalidOperation:
        return (left > right) - (left < right)
    return 1


def _nullable(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*values: Any) -> Any:
        return None if None in values else function(*map(_read, values))

    return call


def _divide(left: Decimal, right: Decimal) -> Optional[str]:
    """Divide to 28 significant digits; by zero gives NULL, as SQLite's own ``/`` does."""
    if not right:
        return None
    quotient = decimal.Context(prec=_QUOTIENT_DIGITS, rounding=decimal.ROUND_HALF_EVEN).divide(left, right)
    return _write(quotient)


def _remainder(left: Decimal, right: Decimal) -> Optional[str]:
    return _write(_EXACT.remainder(left, right)) if right else None


def _float_remainder(left: Any, right: Any) -> Optional[float]:
    """Give the remainder of floats, with the sign of the first; without one NULL, as SQLite's own ``%``."""
    if left is None or right is None:
        return None
    first, second = float(left), float(right)
    return None if math.isinf(first) or not second else math.fmod(first, second)


def _round(value: Decimal, digits: Decimal = Decimal(0)) -> str:
    return _write(value.quantize(Decimal(1).scaleb(-int(digits)), decimal.ROUND_HALF_UP, _ROUNDING))


def _fitted(value: Decimal, precision: Decimal, scale: Decimal) -> str:
    """Round to the places of a column; raise where it has no room for the digits before the point."""
    rounded = value.quantize(Decimal(1).scaleb(-int(scale)), decimal.ROUND_HALF_UP, _ROUNDING)
    if rounded and rounded.adjusted() >= precision - scale:
        raise OverflowError(f"a decimal of more than {precision} digits")
    return _write(rounded)


def _short(value: Any, length: int) -> Any:
    """Give a text that its column has room for; raise where it has not."""
    if isinstance(value, str) and len(value) > length:
        raise OverflowError(f"a text of more than {length} characters")
    return value


class DecimalSum:
    """Add decimals exactly; NULLs do not count, and a sum of nothing is NULL."""

    def __init__(self) -> None:
        self.total = Decimal(0)
        self.count = 0

    def step(self, value: Any) -> None:
        """Add a value that comes into the window."""
        if value is not None:
            self.total = _EXACT.add(self.total, _read(value))
            self.count += 1

    def inverse(self, value: Any) -> None:
        """Take away a value that leaves the window."""
        if value is not None:
            self.total = _EXACT.subtract(self.total, _read(value))
            self.count -= 1

    def value(self) -> Optional[str]:
        """Give the present sum."""
        return _write(self.total) if self.count else None

    finalize = value


class DecimalAverage(DecimalSum):
    """Average decimals to 28 significant digits."""

    def value(self) -> Optional[str]:
        """Give the present average."""
        return _divide(self.total, Decimal(self.count)) if self.count else None

    finalize = value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _text(item: str) -> str:
    """Read `["hexadecimal"]`, the form of a text with NUL characters in a JSON list."""
    return bytes.fromhex(item[2:-2]).decode()


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _regexp(pattern: Optional[str], value: Any) -> Optional[bool]:
    """Search ``value REGEXP pattern`` with the syntax of Python's ``re``."""
    return None if pattern is None or value is None else _pattern(pattern).search(str(value)) is not None


def _document(text: Any) -> Any:
    """Give equal JSON documents equal texts: the order of an object's members means nothing (RFC 8259)."""
    return text if text is None else json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True)


_FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("decimal", 1, _nullable(_write)),
    ("decimal_add", 2, _nullable(lambda left, right: _write(_EXACT.add(left, right)))),
    ("decimal_sub", 2, _nullable(lambda left, right: _write(_EXACT.subtract(left, right)))),
    ("decimal_mul", 2, _nullable(lambda left, right: _write(_EXACT.multiply(left, right)))),
    ("decimal_div", 2, _nullable(_divide)),
    ("decimal_mod", 2, _nullable(_remainder)),
    ("decimal_cmp", 2, _nullable(lambda left, right: (left > right) - (left < right))),
    ("decimal_neg", 1, _nullable(lambda value: _write(_EXACT.minus(value)))),
    ("decimal_abs", 1, _nullable(lambda value: _write(_EXACT.abs(value)))),
    ("decimal_round", 1, _nullable(_round)),
    ("decimal_round", 2, _nullable(_round)),
    ("blaze_decimal", 3, _nullable(_fitted)),
    ("blaze_short", 2, _short),
    # SQLite's own lower() and upper() know only ASCII, and replacing them would break indexes made by other
    # programs.
    ("blaze_lower", 1, _lower),
    ("blaze_upper", 1, _upper),
    ("blaze_json", 1, _document),
    ("blaze_mod", 2, _float_remainder),
    ("blaze_text", 1, _text),
    ("regexp", 2, _regexp),
)
_AGGREGATES: tuple[tuple[str, type[DecimalSum]], ...] = (
    ("decimal_sum", DecimalSum),
    ("decimal_avg", DecimalAverage),
)


def register(raw: sqlite3.Connection) -> None:
    """Register the collation and all functions on a new connection."""
    raw.create_collation("decimal", collate)
    for name, arguments, function in _FUNCTIONS:
        raw.create_function(name, arguments, function, deterministic=True)
    # Python offers window functions from 3.11 on; before, these two are aggregates only.
    create: Callable[..., None] = getattr(raw, "create_window_function", raw.create_aggregate)
    for name, aggregate in _AGGREGATES:
        create(name, 1, aggregate)
