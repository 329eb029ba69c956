"""From the SQLSTATE of PostgreSQL to the exceptions of Blaze, the same for every driver.

The codes are those of PostgreSQL's documentation, appendix A. A code that is not listed takes the meaning of
its class, its first two characters.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from blaze import errors as e
from blaze.adapters import refusals
from blaze.security import redact_detail, redact_statement

__all__ = ["LOST", "Report", "opening_error", "translate"]


class _Meaning(NamedTuple):
    """What a code means: the exception, what happened and what to do, whether to try again."""

    error: type[e.DatabaseError]
    text: str
    retryable: Optional[bool] = None


class Report(NamedTuple):
    """What the server, or the driver in its stead, said; `code` is "" where the driver spoke."""

    code: str
    message: str
    detail: str = ""
    constraint: Optional[str] = None
    column: Optional[str] = None


_SERVER_GONE = _Meaning(e.ConnectionLostError, "the server ended the connection ({message})")
_VALUE = _Meaning(e.DataError, "a value does not fit: {message}")
_SYNTAX = _Meaning(e.SQLSyntaxError, "PostgreSQL does not accept the statement: {message}")
_RESOURCES = _Meaning(e.DatabaseError, "the server ran out of resources: {message}")
_CONFIGURATION = _Meaning(e.DatabaseError, "the server does not let us in: {message}")

_MEANINGS: dict[str, _Meaning] = {
    # Integrity
    "23505": _Meaning(e.UniqueError, refusals.UNIQUE),
    "23P01": _Meaning(e.UniqueError, "another row conflicts with the values of {place}"),
    "23503": _Meaning(
        e.ForeignKeyError,
        "{reference} ({place})",
    ),
    "23001": _Meaning(e.ForeignKeyError, refusals.PARENT + " ({place})"),
    "23502": _Meaning(e.NotNullError, refusals.NOT_NULL),
    "23514": _Meaning(e.CheckError, refusals.CHECK),
    "44000": _Meaning(e.CheckError, "the row would not be seen through its view (WITH CHECK OPTION)"),
    "23": _Meaning(e.IntegrityError, "a constraint refused the change ({message})"),
    # Values
    "22001": _Meaning(e.DataError, "a text is longer than its column"),
    "22003": _Meaning(e.DataError, "a number is out of the range of its type"),
    "22007": _Meaning(e.DataError, "a date or time cannot be read"),
    "22008": _Meaning(e.DataError, "a date or time is out of range"),
    "22012": _Meaning(e.DataError, "a number was divided by zero"),
    "22021": _Meaning(e.DataError, "a text holds bytes that are not valid in the database's encoding"),
    "22023": _VALUE,
    "22030": _Meaning(e.DataError, "a JSON object has a key twice"),
    "22032": _Meaning(e.DataError, "a text is no valid JSON"),
    "22P02": _Meaning(e.DataError, "a text cannot be read as the type of its column"),
    "22P03": _Meaning(e.DataError, "binary data cannot be read as the type of its column"),
    "22P05": _Meaning(e.DataError, "a character does not exist in the encoding of the database or client"),
    "2201B": _Meaning(e.DataError, "a regular expression is not valid"),
    "2201E": _Meaning(e.DataError, "the argument of a logarithm is out of range"),
    "2201F": _Meaning(e.DataError, "the argument of a power is out of range"),
    "2201W": _Meaning(e.DataError, "LIMIT must not be negative"),
    "2201X": _Meaning(e.DataError, "OFFSET must not be negative"),
    "22": _VALUE,
    "21000": _Meaning(e.DataError, "a statement met a row twice, or a subquery gave several rows: {message}"),
    # Statements
    "42601": _SYNTAX,
    "42501": _Meaning(e.DatabaseError, "the user has not the right to do that: {message}"),
    "42P01": _Meaning(e.SQLSyntaxError, "{message}; create the tables or run the migrations first"),
    "42703": _Meaning(e.SQLSyntaxError, "{message}; the table differs from the model, or the name is wrong"),
    "42883": _SYNTAX,
    "42804": _Meaning(
        e.SQLSyntaxError,
        "{message}; where a column of the database has another type than its field, give the field that type:"
        " field(type=...)",
    ),
    "42702": _SYNTAX,
    "42P07": _SYNTAX,
    "42701": _SYNTAX,
    "42710": _SYNTAX,
    "42803": _SYNTAX,
    "42P18": _Meaning(e.SQLSyntaxError, "{message}; write a CAST around the parameter"),
    "42": _SYNTAX,
    "3F000": _Meaning(e.SQLSyntaxError, "{message}; create the schema first"),
    "2BP01": _Meaning(e.DatabaseError, "something else depends on it: {message}"),
    "0A000": _Meaning(e.DatabaseError, "PostgreSQL cannot do that: {message}"),
    "26000": _Meaning(
        e.DatabaseError,
        "a prepared statement is unknown to the server: behind a pooler in transaction mode"
        " the DSN needs pgbouncer=true",
        True,
    ),
    "P0001": _Meaning(e.DatabaseError, "a function of the database raised: {message}"),
    "P0": _Meaning(e.DatabaseError, "a function of the database failed: {message}"),
    # Transactions
    "40001": _Meaning(
        e.SerializationError, "the transaction conflicts with a concurrent one; run it again from its start"
    ),
    "72000": _Meaning(
        e.SerializationError, "the snapshot of the transaction is too old; run it again from its start"
    ),
    "40P01": _Meaning(e.DeadlockError, "two transactions waited for each other; run this one again"),
    "40002": _Meaning(e.IntegrityError, "the transaction was rolled back by a constraint ({message})"),
    "40003": _Meaning(e.CommitOutcomeUnknownError, "the outcome of a statement is unknown ({message})"),
    "40": _Meaning(e.DatabaseError, "the transaction was rolled back ({message})"),
    "08007": _Meaning(e.CommitOutcomeUnknownError, "the outcome of the transaction is unknown ({message})"),
    "55P03": _Meaning(
        e.TimeoutError,
        "a lock was not available; wait longer (lock_timeout), or keep transactions short",
        True,
    ),
    "57014": _Meaning(
        e.TimeoutError,
        "the statement was cancelled: it ran longer than statement_timeout, or somebody cancelled it",
    ),
    "25006": _Meaning(e.DatabaseError, "the transaction is read-only"),
    "25P02": _Meaning(
        e.DatabaseError, "an earlier statement of the transaction has failed: roll back to go on"
    ),
    "25P03": _Meaning(e.ConnectionLostError, "the server ended a transaction that was idle too long"),
    "25P04": _Meaning(e.ConnectionLostError, "the server ended a transaction that took too long"),
    "25": _Meaning(e.DatabaseError, "not possible in this state of the transaction: {message}"),
    "3B001": _Meaning(e.DatabaseError, "the savepoint is gone: {message}"),
    # Connections and the server
    "08": _SERVER_GONE,
    "57P01": _SERVER_GONE,
    "57P02": _SERVER_GONE,
    "57P03": _Meaning(e.ConnectionLostError, "the server is starting up or shutting down; try again"),
    "57P04": _SERVER_GONE,
    "57P05": _SERVER_GONE,
    "57": _Meaning(e.DatabaseError, "the server stopped the statement ({message})"),
    "53300": _Meaning(
        e.ConnectionLostError,
        "the server has no connection left; make pools smaller, or raise max_connections",
    ),
    "53100": _Meaning(e.DatabaseError, "the disk of the server is full"),
    "53200": _Meaning(e.DatabaseError, "the server is out of memory"),
    "53": _RESOURCES,
    "54": _Meaning(e.DatabaseError, "the statement is too large for PostgreSQL: {message}"),
    "55": _Meaning(e.DatabaseError, "the object is not in the right state: {message}"),
    "58": _Meaning(e.DatabaseError, "the server met an error of its system: {message}"),
    "XX": _Meaning(e.DatabaseError, "the server reports an internal error: {message}"),
    "28": _CONFIGURATION,
    "3D": _CONFIGURATION,
}
_UNKNOWN = _Meaning(e.DatabaseError, "PostgreSQL failed: {message}")
LOST = _Meaning(e.ConnectionLostError, "the connection to the server is lost ({message})")
_DRIVER = _Meaning(e.DataError, "the driver cannot send or read a value: {message}")

_KEY = re.compile(r"\((?P<columns>.*?)\)=\(")


def meaning_of(code: str) -> _Meaning:
    """Return the meaning of an SQLSTATE."""
    return _MEANINGS.get(code) or _MEANINGS.get(code[:2]) or _UNKNOWN


def translate(report: Report, statement: Optional[str], lost: bool = False) -> e.DatabaseError:
    """Give the exception for a report; the caller raises it ``from`` the driver's.

    `lost` says that the connection is gone, whatever the code. Values, which PostgreSQL quotes in its
    details, stay out of the message.
    """
    if report.code:
        meaning = meaning_of(report.code)
        if lost and not issubclass(meaning.error, (e.ConnectionLostError, e.CommitOutcomeUnknownError)):
            meaning = LOST
    else:
        meaning = LOST if lost else _DRIVER
    columns = _columns(report)
    place = report.constraint or ", ".join(columns) or "the row"
    if columns and report.constraint:
        place = f"{', '.join(columns)} ({report.constraint})"
    text = meaning.text.format(
        place=place,
        message=redact_detail(_first_line(report), statement),
        reference=refusals.of_reference(statement),
    )
    redacted = None if statement is None else redact_statement(statement)
    return meaning.error(
        text if redacted is None else f"{text}\n  statement: {redacted}",
        statement=redacted,
        code=report.code or None,
        constraint=report.constraint,
        columns=columns,
        retryable=meaning.retryable,
    )


def _first_line(report: Report) -> str:
    line = report.message.strip().partition("\n")[0]
    # Of an invalid value the server quotes the value: only what stands before is of use to a log.
    return line.partition(': "')[0] if report.code.startswith("22") else line


def _columns(report: Report) -> tuple[str, ...]:
    if report.column:
        return (report.column,)
    match = _KEY.search(report.detail) if report.code.startswith("23") else None
    if match is None or "is still referenced" in report.detail:  # there it is the key of the other table
        return ()
    return tuple(name.strip().strip('"') for name in match["columns"].split(","))


# While connecting, psycopg2 gives a text and no code. The words are libpq's and, where the server speaks,
# English in any locale that Debian, the official images and the cloud services set.
_OPENING: tuple[tuple[str, type[e.BlazeError], str], ...] = (
    ("password authentication failed", e.ConfigurationError, "user or password is wrong"),
    ("no password supplied", e.ConfigurationError, "the server asks for a password and the DSN has none"),
    ("no pg_hba.conf entry", e.ConfigurationError, "pg_hba.conf of the server does not admit this client"),
    ('role "" does not exist', e.ConfigurationError, "the user does not exist"),
    ('database "" does not exist', e.ConfigurationError, "the database does not exist; create it first"),
    ("ssl", e.ConfigurationError, "TLS as sslmode asks for it is refused; check sslmode and certificates"),
    ("certificate", e.ConfigurationError, "a certificate is missing or refused; check sslrootcert"),
    ("timeout expired", e.TimeoutError, "the server did not answer within connect_timeout"),
    ("timed out", e.TimeoutError, "the server did not answer within connect_timeout"),
    ("translate host name", e.ConnectionLostError, "the host is unknown; check its name"),
    ("too many", e.ConnectionLostError, "the server has no connection left"),
    ("remaining connection slots", e.ConnectionLostError, "the server has no connection left"),
    ("refused", e.ConnectionLostError, "no server listens there; check host and port, and start it"),
    (
        "connect call failed",
        e.ConnectionLostError,
        "no server listens there; check host and port, and start it",
    ),
    (
        "unsupported startup parameter",
        e.ConfigurationError,
        "it is a pooler such as PgBouncer, which keeps no settings: add pgbouncer=true to the DSN",
    ),
    (
        "the database system is",
        e.ConnectionLostError,
        "the server is starting up or shutting down; try again",
    ),
)
_OPENING_CODES = {
    "28P01": _OPENING[0],
    "3D000": _OPENING[4],
    "53300": _OPENING[10],
    "57P03": _OPENING[-1],
}
_NAMES = re.compile(r'"[^"]*"')


def opening_error(where: str, text: str, code: Optional[str] = None) -> e.BlazeError:
    """Give the exception for a failure to connect; `where` is the redacted DSN."""
    found = _OPENING_CODES.get(code or "")
    if found is None:
        lowered = _NAMES.sub('""', text).lower()  # a host may be called anything
        found = next((each for each in _OPENING if each[0] in lowered), None)
    if found is None and code == "28000":
        found = _OPENING[2]
    if found is None:
        return e.ConnectionLostError(f"{where} cannot be opened: {text.strip()}", code=code)
    _, kind, cure = found
    message = f"{where} cannot be opened: {cure} ({text.strip()})"
    return kind(message, code=code) if issubclass(kind, e.DatabaseError) else kind(message)
