"""Values as literals in the text of a statement: the protocol that PyMySQL speaks knows no parameters.

The driver writes them too, at more than twice the time: for the rows of an INSERT that was a third of it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Callable

from pymysql.constants import SERVER_STATUS
from pymysql.converters import escape_float
from pymysql.err import ProgrammingError

__all__ = ["filled"]

_PLAIN = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES


def quoted(value: str) -> str:
    """Write a text, in whose literals a backslash escapes; nothing else is special between such quotes."""
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    return quoted_plain(value)


def quoted_plain(value: str) -> str:
    """Write a text for a session in which a backslash is a character as any other."""
    if "'" in value:
        value = value.replace("'", "''")
    return f"'{value}'"


def binary(value: bytes) -> str:
    """Write bytes; older drivers write a text that the server cannot read."""
    return f"_binary X'{value.hex()}'"


def number(value: Decimal) -> str:
    """Write a decimal; NaN and the infinities have no literal."""
    if not value.is_finite():
        raise ProgrammingError(f"{value} can not be used with MySQL")
    return format(value, "f")


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: quoted,
    bytes: binary,
    int: int.__repr__,
    bool: {False: "0", True: "1"}.__getitem__,
    float: escape_float,
    Decimal: number,
    type(None): {None: "NULL"}.__getitem__,
}
_PLAIN_WRITERS = {**_WRITERS, str: quoted_plain}


def filled(raw: Any, sql: str, params: Sequence[Any]) -> str:
    """Put the parameters in their places; the driver of the connection `raw` writes the rarer types."""
    writers = _PLAIN_WRITERS if raw.server_status & _PLAIN else _WRITERS
    texts = [
        writers[value.__class__](value) if value.__class__ in writers else raw.escape(value, raw.encoders)
        for value in params
    ]
    return sql % tuple(texts)
