"""Generate the functions that check instances and take statement parameters from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from blaze.core.codegen import make_function
from blaze.core.specs import UNSET
from blaze.core.unreadable import Unwritable
from blaze.core.validation import field_messages, full_clean, refuse_deleted
from blaze.dialects import types as t
from blaze.errors import DataError, ValidationError

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.dialects.dialect import Dialect

# Classes whose values need no further check; all other values go through `full_clean`.
_PLAIN: dict[type, type] = {
    t.Boolean: bool,
    t.Integer: int,
    t.Binary: bytes,
    t.Date: dt.date,
    t.Interval: dt.timedelta,
}


def _fast_test(attribute: Attribute, variable: str, encodes: bool) -> str:
    """Return the source of a cheap test that a value surely fits; an empty text when there is none.

    `encodes` says that an encoder stands behind it, which refuses decimals and documents that do not fit.
    """
    kind = attribute.type
    if attribute.spec.choices is not None or attribute.spec.validators:
        return ""
    plain = _PLAIN.get(type(kind))
    if plain is not None:
        return f"{variable}.__class__ is {plain.__name__}"
    if isinstance(kind, t.Json) and encodes:
        return f"{variable}.__class__ is {kind.python_type.__name__}"
    if isinstance(kind, t.Numeric) and encodes:
        return f"{variable}.__class__ is Decimal"
    if isinstance(kind, t.String):
        if kind.length is None:
            return f"{variable}.__class__ is str"
        return f"{variable}.__class__ is str and len({variable}) <= {kind.length}"
    if isinstance(kind, t.Float):
        return f"{variable}.__class__ is float and {variable} == {variable}"
    if isinstance(kind, t.Time):
        return f"{variable}.__class__ is time and {variable}.tzinfo is None"
    if isinstance(kind, t.DateTime):
        zone = "utc" if kind.timezone else "None"
        return f"{variable}.__class__ is datetime and {variable}.tzinfo is {zone}"
    if isinstance(kind, t.Enum):
        return f"{variable}.__class__ is E{variable}"
    if isinstance(kind, t.Uuid):
        return f"{variable}.__class__ is UUID"
    return ""


class Checker:
    """The slow road of a generated taker: decides about a value that the fast test did not let through."""

    def __init__(self, mapper: Mapper) -> None:
        self.mapper = mapper

    def __call__(self, instance: Any, value: Any, attribute: Attribute) -> Any:
        """Return the value when it fits; raise `ValidationError` with everything that is wrong otherwise.

        A value that fits and is not what reading gives, such as an int for a Decimal, is replaced by that on
        the instance, too.
        """
        if value is UNSET:
            return None
        if value is None and attribute.nullable:
            return None
        if not self.mapper.own_rules and field_messages(attribute, value):
            full_clean(self.mapper, instance)
        normal = value if value is None else attribute.type.normal(value)
        if normal is not value:
            attribute.set(instance, normal)
        return normal


def make_taker(mapper: Mapper, dialect: Dialect, attributes: Sequence[Attribute], flat: bool) -> Any:
    """Generate `take(instances)`: the checked and encoded values of the attributes of every instance.

    The result is one flat list for a multi-row statement, or a list of tuples for one statement per row.
    Raises `ValidationError` for the first instance that does not fit, with all its messages.
    """
    names: dict[str, Any] = {
        "check": Checker(mapper),
        "utc": dt.timezone.utc,
        "datetime": dt.datetime,
        "date": dt.date,
        "time": dt.time,
        "timedelta": dt.timedelta,
        "Decimal": Decimal,
        "DataError": DataError,
        "UUID": UUID,
        "full_clean": full_clean,
        "refuse_deleted": refuse_deleted,
        "mapper": mapper,
        "attributes": attributes,
        "refuse": Unwritable(dialect.encoder, attributes),
    }
    lines = ["def take(instances):", "    out = []"]
    lines.append("    add = out.extend" if flat else "    add = out.append")
    lines += ["    try:", "        for o in instances:"]
    indent = " " * 12
    if mapper.own_rules:
        lines.append(f"{indent}full_clean(mapper, o)")
    values = []
    for number, attribute in enumerate(attributes):
        variable = f"v{number}"
        # A value that may not be decoded yet is read through its property.
        place = attribute.name if attribute.mutable or attribute.server_generated else attribute.slot
        lines.append(f"{indent}{variable} = o.{place}")
        names[f"A{variable}"] = attribute
        if isinstance(attribute.type, t.Enum):
            names[f"E{variable}"] = attribute.type.enum_class
        encoder = dialect.encoder(attribute.type)
        optional = attribute.nullable or attribute.server_generated
        fast = _fast_test(attribute, variable, encoder is not None)
        if optional:
            fast = f"{variable} is None or ({fast})" if fast else f"{variable} is None"
        call = f"{variable} = check(o, {variable}, A{variable})"
        if fast:
            lines += [f"{indent}if not ({fast}):", f"{indent}    {call}"]
        else:
            lines.append(f"{indent}{call}")
        values.append(_encoded(names, variable, encoder, optional))
    trailing = "," if len(values) == 1 else ""
    lines += [
        f"{indent}add(({', '.join(values)}{trailing}))",
        "    except DataError as error:",
        "        full_clean(mapper, o)",
        "        refuse(mapper.name, [each.peek(o) for each in attributes], error)",
        "    except AttributeError:",
        "        refuse_deleted(mapper, o)",
        "        raise",
        "    return out",
        "",
    ]
    return make_function("take", "\n".join(lines), names)


def _encoded(names: dict[str, Any], variable: str, encoder: Any, optional: bool) -> str:
    """Return the source of a value as the driver takes it."""
    if encoder is None:
        return variable
    names[f"e{variable}"] = encoder
    return (
        f"None if {variable} is None else e{variable}({variable})" if optional else f"e{variable}({variable})"
    )


def make_row_taker(mapper: Mapper, dialect: Dialect, attributes: Sequence[Attribute]) -> Any:
    """Generate `take(rows)` for rows of plain values in the order of the attributes: checked and encoded
    tuples.

    Raises `ValidationError` for the first row that does not fit, with all its messages.
    """
    names: dict[str, Any] = {
        "check": RowChecker(mapper, attributes),
        "utc": dt.timezone.utc,
        "datetime": dt.datetime,
        "date": dt.date,
        "time": dt.time,
        "timedelta": dt.timedelta,
        "Decimal": Decimal,
        "DataError": DataError,
        "UUID": UUID,
        "mapper": mapper,
        "refuse": Unwritable(dialect.encoder, attributes),
    }
    variables = [f"v{number}" for number in range(len(attributes))]
    tests = []
    values = []
    for variable, attribute in zip(variables, attributes):
        if isinstance(attribute.type, t.Enum):
            names[f"E{variable}"] = attribute.type.enum_class
        encoder = dialect.encoder(attribute.type)
        optional = attribute.nullable or attribute.server_generated
        fast = _fast_test(attribute, variable, encoder is not None)
        if optional:
            fast = f"{variable} is None or ({fast})" if fast else f"{variable} is None"
        tests.append(f"({fast or 'False'})")
        values.append(_encoded(names, variable, encoder, optional))
    comma = "," if len(variables) == 1 else ""
    row = f"({', '.join(variables)}{comma})"
    lines = [
        "def take(rows):",
        "    out = []",
        "    add = out.append",
        "    try:",
        f"        for {row[1:-1]} in rows:",
        f"            if not ({' and '.join(tests)}):",
        f"                {row} = check({row})",
        f"            add(({', '.join(values)}{comma}))",
        "    except DataError as error:",
        f"        check({row})",
        f"        refuse(mapper.name, {row}, error)",
        "    return out",
        "",
    ]
    return make_function("take", "\n".join(lines), names)


class RowChecker:
    """The slow road of a generated row taker."""

    def __init__(self, mapper: Mapper, attributes: Sequence[Attribute]) -> None:
        self.mapper = mapper
        self.attributes = tuple(attributes)

    def __call__(self, row: Sequence[Any]) -> Sequence[Any]:
        """Return the row as reading it will give it; raise `ValidationError` with all that is wrong."""
        errors = {}
        for attribute, value in zip(self.attributes, row):
            messages = field_messages(attribute, value)
            if messages:
                errors[attribute.name] = messages
        if errors:
            raise ValidationError(errors, model=self.mapper.model)
        return [
            value if value is None else attribute.type.normal(value)
            for attribute, value in zip(self.attributes, row)
        ]


def make_sameness(mapper: Mapper, written: Sequence[Attribute]) -> Any:
    """Generate `same(instance, old)`: whether surely no column beside the written ones differs from the
    snapshot of a complete instance.

    It compares identities only, which is four times as fast as a diff; False means that a diff has to tell.
    """
    tests = []
    for index, attribute in enumerate(mapper.columns):
        if attribute in written or attribute.spec.generated is not None:
            continue
        if attribute.mutable:  # not even read since it was loaded
            tests.append(f"getattr(o, {attribute.slot!r}, UNSET) is UNSET")
        else:
            tests.append(f"o.{attribute.slot} is old[{index}]")
    lines = [
        "def same(o, old):",
        "    try:",
        f"        return {' and '.join(tests) or 'True'}",
        "    except AttributeError:",
        "        return False",
        "",
    ]
    return make_function("same", "\n".join(lines), {"UNSET": UNSET})


def make_differ(mapper: Mapper, careful: bool) -> Any:
    """Generate `diff(instance, old)`: the indexes of the columns whose value differs from the snapshot.

    Columns of mutable types are not compared here, and generated ones never: nobody can set them. The careful
    form is for instances whose snapshot holds `UNSET` (columns not loaded): a value set since then differs.
    """
    lines = ["def diff(o, old):", "    try:", "        changed = []"]
    names: dict[str, Any] = {"mapper": mapper, "refuse_deleted": refuse_deleted}
    for index, attribute in enumerate(mapper.attributes.values()):
        if attribute.mutable or attribute.spec.generated is not None:
            continue
        names[f"peek{index}"] = attribute.peek
        lines += [
            f"        v = peek{index}(o)" if careful else f"        v = o.{attribute.slot}",
            f"        w = old[{index}]",
            # 1 == True == 1.0: an equal value of another class must be looked at, too; and 0.0 == -0.0. The
            # class comes first: an expression would make an expression of the comparison.
            "        if v is not w and (v.__class__ is not w.__class__ or v != w"
            f"{' or (not v and str(v) != str(w))' if attribute.type.python_type is float else ''}):",
            f"            changed.append({index})",
        ]
    lines += [
        "    except AttributeError:",
        "        refuse_deleted(mapper, o)",
        "        raise",
        "    return changed",
        "",
    ]
    return make_function("diff", "\n".join(lines), names)
