"""Column types that only PostgreSQL has, given as `field(type=Inet())` or `field(type=NativeEnum(Mood))`.

Other backends refuse them when the table is made, but for `NativeEnum`, which is a text there.
"""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
from typing import Any, Optional

from blaze.dialects import types as t
from blaze_postgres.ranges import Range

__all__ = [
    "Cidr",
    "DateRange",
    "Inet",
    "Int4Range",
    "Int8Range",
    "NativeEnum",
    "NumRange",
    "Range",
    "RangeType",
    "TsRange",
    "TstzRange",
]

Address = (ipaddress.IPv4Address, ipaddress.IPv6Address)  # interfaces are subclasses
Network = (ipaddress.IPv4Network, ipaddress.IPv6Network)


class Inet(t.SQLType):
    """INET: an `IPv4Address` or `IPv6Address`, or an `IPv4Interface` or `IPv6Interface` with a network.

    An interface whose network is the address alone is read as an address.
    """

    python_type = ipaddress.IPv4Address
    accepts = Address

    def normal(self, value: Any) -> Any:
        network = getattr(value, "network", None)
        return value.ip if network is not None and network.prefixlen == network.max_prefixlen else value

    def read(self, text: str) -> Any:
        """Read what the server writes."""
        return ipaddress.ip_interface(text) if "/" in text else ipaddress.ip_address(text)


class Cidr(t.SQLType):
    """CIDR: an `IPv4Network` or `IPv6Network`."""

    python_type = ipaddress.IPv4Network
    accepts = Network

    def read(self, text: str) -> Any:
        """Read what the server writes."""
        return ipaddress.ip_network(text)


class NativeEnum(t.Enum):
    """An enum type of the database: `CREATE TYPE name AS ENUM (...)`, made with the tables that use it.

    The labels are the values of the members where these are all texts, else their names; `name` is that of
    the class in lower case unless it is given. The database sorts by the order of the members.
    """

    name: str
    schema: Optional[str]

    _fields = ("enum_class", "name", "schema")

    def __init__(
        self, enum_class: type[enum.Enum], name: Optional[str] = None, schema: Optional[str] = None
    ) -> None:
        if issubclass(enum_class, enum.Flag):
            raise TypeError(
                f"{enum_class.__name__} is a Flag: its combinations are no labels of an enum type"
            )
        self._set(enum_class=enum_class, name=name or enum_class.__name__.lower(), schema=schema)
        super().__init__(enum_class)
        if isinstance(self.storage, t.Integer):
            self._set(by_name=True, storage=t.String(max(map(len, enum_class.__members__))))


class RangeType(t.SQLType):
    """Base of the range types; `item` is the type of the bounds, `step` what parts two values of it."""

    item: t.SQLType = t.Integer()
    step: Any = None
    word = ""

    python_type = Range
    accepts = (Range,)

    def check(self, value: Any) -> Optional[str]:
        if not isinstance(value, Range):
            return self._mismatch(value)
        for bound in (value.lower, value.upper):
            problem = None if bound is None else self.item.check(bound)
            if problem:
                return problem
        try:
            self.normal(value)
        except OverflowError:
            return f"{value} has a bound after which nothing comes"
        return None

    def normal(self, value: Any) -> Any:
        """Give a range as the server keeps it: ranges of whole numbers and days include only their start."""
        if value.empty:
            return value
        lower, upper = value.lower, value.upper
        lower = lower if lower is None else self.item.normal(lower)
        upper = upper if upper is None else self.item.normal(upper)
        bounds: Any = value.bounds
        if self.step is not None:
            if lower is not None and bounds[0] == "(":
                lower, bounds = lower + self.step, f"[{bounds[1]}"
            if upper is not None and bounds[1] == "]":
                upper, bounds = upper + self.step, f"{bounds[0]})"
        found: Range[Any] = Range(lower, upper, bounds)
        return found


class Int4Range(RangeType):
    """INT4RANGE: a `Range[int]` of 32 bits."""

    word, step = "INT4RANGE", 1

    def check(self, value: Any) -> Optional[str]:
        problem = super().check(value)
        if problem is None and not value.empty:
            found = self.normal(value)
            for bound in (found.lower, found.upper):
                if bound is not None and not -(2**31) <= bound < 2**31:
                    return f"{bound} does not fit into 32 bits"
        return problem


class Int8Range(RangeType):
    """INT8RANGE: a `Range[int]` of 64 bits."""

    word, step = "INT8RANGE", 1

    def check(self, value: Any) -> Optional[str]:
        problem = super().check(value)
        if problem is None and not value.empty:
            upper = self.normal(value).upper
            return None if upper is None else self.item.check(upper)
        return problem


class NumRange(RangeType):
    """NUMRANGE: a `Range[Decimal]`."""

    word, item = "NUMRANGE", t.Numeric()


class DateRange(RangeType):
    """DATERANGE: a `Range[date]`."""

    word, item, step = "DATERANGE", t.Date(), dt.timedelta(days=1)


class TsRange(RangeType):
    """TSRANGE: a `Range[datetime]` of naive moments."""

    word, item = "TSRANGE", t.DateTime(timezone=False)


class TstzRange(RangeType):
    """TSTZRANGE: a `Range[datetime]` of moments with a time zone, kept in UTC."""

    word, item = "TSTZRANGE", t.DateTime(timezone=True)

    def normal(self, value: Any) -> Any:
        found = super().normal(value)
        if found.empty:
            return found
        moments = [None if b is None else b.astimezone(dt.timezone.utc) for b in (found.lower, found.upper)]
        return Range(moments[0], moments[1], found.bounds)
