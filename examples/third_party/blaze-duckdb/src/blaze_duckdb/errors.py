"""From DuckDB's exceptions to those of Blaze.

The driver gives no codes: the class of its exception decides, and where one class covers several things the
stable beginning of the text. Texts of constraints hold values, which are not shown.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

import duckdb

from blaze import errors as e
from blaze.adapters import refusals
from blaze.security import redact_detail, redact_statement

__all__ = ["DRIVER_ERRORS", "FATAL", "SENDING_ERRORS", "duplicate", "translate"]

# What comes from reading rows; the last two are about values.
DRIVER_ERRORS = (duckdb.Error, ValueError, OverflowError)
# What comes from execute, which has more words for values that it cannot take.
SENDING_ERRORS = (*DRIVER_ERRORS, RuntimeError, TypeError)
FATAL = ("FatalException", "InternalException")  # after these the database must be opened anew


class _Meaning(NamedTuple):
    """What an exception means: its class in Blaze, what happened and what to do, whether to try again."""

    error: type[e.DatabaseError]
    text: str
    retryable: Optional[bool] = None


_SYNTAX = _Meaning(e.SQLSyntaxError, "DuckDB does not accept the statement: {detail}")
_VALUE = _Meaning(e.DataError, "the values do not fit: {detail}")
_MEANINGS: dict[str, _Meaning] = {
    "ParserException": _SYNTAX,
    "SyntaxException": _SYNTAX,
    "BinderException": _SYNTAX,
    "CatalogException": _SYNTAX,
    "NotImplementedException": _SYNTAX,
    "DependencyException": _Meaning(e.DatabaseError, "something depends on what is to be changed: {detail}"),
    "ConversionException": _VALUE,
    "OutOfRangeException": _VALUE,
    "InvalidInputException": _VALUE,
    "InvalidTypeException": _VALUE,
    "TypeMismatchException": _VALUE,
    "OverflowError": _VALUE,
    "ValueError": _VALUE,
    "TypeError": _VALUE,
    "RuntimeError": _VALUE,
    "UnicodeEncodeError": _Meaning(e.DataError, "a text holds half a surrogate pair"),
    "ConstraintException": _Meaning(e.IntegrityError, "a constraint refused the change"),
    "ConnectionException": _Meaning(
        e.ConnectionLostError, "the connection is closed; open a new session", True
    ),
    "InterruptException": _Meaning(e.DatabaseError, "the statement was interrupted"),
    "OutOfMemoryException": _Meaning(e.DatabaseError, "DuckDB ran out of memory; raise memory_limit"),
    "IOException": _Meaning(e.DatabaseError, "the file cannot be read or written: {detail}"),
    "FatalException": _Meaning(
        e.ConnectionLostError, "DuckDB has closed the database: {detail}; make a new Engine", True
    ),
    "InternalException": _Meaning(e.DatabaseError, "DuckDB failed inside: {detail}"),
}
# The text decides first: its class may be one of several.
_TEXTS: tuple[tuple[str, _Meaning], ...] = (
    (
        r"[Cc]onflict on|write-write conflict|conflicts with",
        _Meaning(
            e.SerializationError, "another transaction has changed the same rows; run this one again", True
        ),
    ),
    (r"read-only mode", _Meaning(e.DatabaseError, "the database or the transaction is read-only")),
    (
        r"transaction is aborted",
        _Meaning(e.DatabaseError, "an earlier statement of the transaction has failed; roll back first"),
    ),
    (r"no transaction is active", _Meaning(e.DatabaseError, "there is no transaction")),
    (r"uplicate key", _Meaning(e.UniqueError, refusals.UNIQUE)),
    (r"NOT NULL constraint failed", _Meaning(e.NotNullError, refusals.NOT_NULL)),
    (r"CHECK constraint failed", _Meaning(e.CheckError, refusals.CHECK)),
    (r"foreign key constraint", _Meaning(e.ForeignKeyError, "{reference}")),
)
_NOT_NULL = re.compile(r"NOT NULL constraint failed: (?:.*\.)?(.+)")
_CHECK = re.compile(r"CHECK constraint failed on table (\S+) with expression CHECK\((.*)\)", re.DOTALL)
_DUPLICATE = re.compile(r'uplicate key "(.*)"', re.DOTALL)


def translate(error: BaseException, statement: Optional[str] = None) -> e.DatabaseError:
    """Give the Blaze exception of a driver's one; the caller raises it ``from`` the driver's."""
    code, detail = type(error).__name__, str(error)
    meaning = _meaning(code, detail)
    place = ""
    columns: tuple[str, ...] = ()
    if meaning.error is e.NotNullError:
        found = _NOT_NULL.search(detail)
        place = found[1].strip('"') if found else "a column"
        columns = (place,) if found else ()
    elif meaning.error is e.CheckError:
        found = _CHECK.search(detail)
        place = f"({found[2]})" if found else ""
    elif meaning.error is e.UniqueError:
        place = "a unique constraint"
    shown = redact_detail(detail.split("\n")[0].partition("Error: ")[2] or detail.split("\n")[0], statement)
    text = meaning.text.format(place=place, detail=shown, reference=refusals.of_reference(statement))
    redacted = None if statement is None else redact_statement(statement)
    return meaning.error(
        text if redacted is None else f"{text}\n  statement: {redacted}",
        statement=redacted,
        code=code,
        columns=columns,
        retryable=meaning.retryable,
    )


def duplicate(error: BaseException) -> str:
    """Give the `column: value, column: value` of a violated unique constraint, `""` for other errors."""
    found = _DUPLICATE.search(str(error))
    return found[1] if found else ""


def _meaning(code: str, detail: str) -> _Meaning:
    for pattern, meaning in _TEXTS:
        if re.search(pattern, detail):
            return meaning
    if code in _MEANINGS:
        return _MEANINGS[code]
    return _Meaning(e.DatabaseError, "DuckDB failed: {detail}")
