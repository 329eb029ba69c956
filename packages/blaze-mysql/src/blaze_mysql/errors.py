"""From the error numbers of MySQL and MariaDB to the exceptions of Blaze, the same for every driver.

The numbers are those of the servers' error references; 2000 to 2999 are the clients' own.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from blaze import errors as e
from blaze.adapters import refusals
from blaze.security import redact_detail, redact_statement

__all__ = [
    "GUARD",
    "KEY_COLUMNS",
    "LOST_CODES",
    "code_and_text",
    "may_end_transaction",
    "opening_error",
    "table_and_key",
    "translate",
    "with_columns",
]


class _Meaning(NamedTuple):
    """What a number means: the exception, what happened and what to do, whether to try again."""

    error: type[e.DatabaseError]
    text: str
    retryable: Optional[bool] = None


_UNIQUE = _Meaning(e.UniqueError, refusals.UNIQUE)
_OTHER_KEY = _Meaning(
    e.UniqueError,
    "another row has the same value of {place}, which is not the key that on_conflict() or upsert() names;"
    " change the value, or name that key",
)
_CHILD = _Meaning(e.ForeignKeyError, refusals.CHILD + " ({place})")
_PARENT = _Meaning(e.ForeignKeyError, refusals.PARENT + " ({place})")
_NULL = _Meaning(e.NotNullError, refusals.NOT_NULL)
_CASCADED = _Meaning(e.UniqueError, "a change that a foreign key passes on would make two rows with one key")
_CHECK = _Meaning(e.CheckError, refusals.CHECK)
_LONG = _Meaning(e.DataError, "a value is longer than the column {place}")
_RANGE = _Meaning(e.DataError, "a number is out of the range of the column {place}")
_VALUE = _Meaning(e.DataError, "a value does not fit the column {place}")
_GENERATED = _Meaning(e.DataError, "the database computes the column {place} itself; give no value for it")
_SYNTAX = _Meaning(e.SQLSyntaxError, "the server does not accept the statement: {message}")
_NEEDED = _Meaning(e.DatabaseError, "a foreign key needs it: {message}")
_RIGHTS = _Meaning(e.DatabaseError, "the user has not the right to do that")
_LOST = _Meaning(e.ConnectionLostError, "the connection to the server is lost ({message})")
_READ_ONLY = _Meaning(e.DatabaseError, "the transaction or the server is read-only")
_TIMED_OUT = _Meaning(e.TimeoutError, "the statement ran longer than statement_timeout")

_MEANINGS: dict[int, _Meaning] = {
    # Integrity
    1022: _UNIQUE,
    1062: _UNIQUE,
    1169: _UNIQUE,
    1586: _UNIQUE,
    1557: _CASCADED,
    1761: _CASCADED,
    1762: _CASCADED,
    1048: _NULL,
    1364: _Meaning(e.NotNullError, "{place} must have a value: it has no default"),
    1263: _NULL,
    1216: _CHILD,
    1452: _CHILD,
    1217: _PARENT,
    1451: _PARENT,
    3819: _CHECK,
    4025: _CHECK,
    # Values
    1264: _RANGE,
    1690: _Meaning(e.DataError, "a number became larger than its type"),
    1265: _VALUE,
    1292: _VALUE,
    1366: _VALUE,
    1367: _VALUE,
    1406: _LONG,
    1365: _Meaning(e.DataError, "a number was divided by zero"),
    1411: _VALUE,
    1525: _VALUE,
    3140: _Meaning(e.DataError, "a text is no valid JSON"),
    4038: _Meaning(e.DataError, "a text is no valid JSON"),
    1300: _Meaning(e.DataError, "a text holds bytes that are not valid in its character set"),
    1153: _Meaning(
        e.DataError,
        "the statement is longer than the server's max_allowed_packet: write shorter or fewer values at once,"
        " or raise it",
    ),
    1301: _Meaning(e.DataError, "a result is larger than the server's max_allowed_packet"),
    1441: _Meaning(e.DataError, "a date or time became larger than its type"),
    1526: _Meaning(e.DataError, "the table has no partition for the values"),
    1906: _GENERATED,
    3105: _GENERATED,
    1242: _Meaning(e.DataError, "a subquery gave several rows where one is wanted"),
    # Statements
    1064: _SYNTAX,
    1054: _Meaning(e.SQLSyntaxError, "{message}; the table differs from the model, or the name is wrong"),
    1146: _Meaning(e.SQLSyntaxError, "{message}; create the tables or run the migrations first"),
    1051: _SYNTAX,
    1050: _SYNTAX,
    1052: _SYNTAX,
    1055: _SYNTAX,
    1060: _SYNTAX,
    1061: _SYNTAX,
    1091: _SYNTAX,
    1093: _SYNTAX,
    1111: _SYNTAX,
    1136: _SYNTAX,
    1140: _SYNTAX,
    1170: _Meaning(e.SQLSyntaxError, "{message}; a text that is a key needs max_length"),
    1071: _Meaning(e.SQLSyntaxError, "{message}; make max_length of the texts in the key smaller"),
    1046: _Meaning(e.SQLSyntaxError, "no database is selected: name one in the DSN"),
    1066: _SYNTAX,
    1067: _SYNTAX,
    1068: _SYNTAX,
    1072: _SYNTAX,
    1074: _SYNTAX,
    1109: _SYNTAX,
    1118: _SYNTAX,
    1128: _SYNTAX,
    1222: _SYNTAX,
    1241: _SYNTAX,
    1630: _SYNTAX,
    1235: _SYNTAX,
    1248: _SYNTAX,
    1305: _SYNTAX,
    1215: _Meaning(e.DatabaseError, "the foreign key cannot be created: {message}"),
    1553: _NEEDED,
    1829: _NEEDED,
    1833: _NEEDED,
    1834: _NEEDED,
    1005: _Meaning(e.DatabaseError, "the table or its foreign key cannot be created: {message}"),
    1102: _SYNTAX,
    1103: _SYNTAX,
    1166: _SYNTAX,
    1059: _Meaning(e.SQLSyntaxError, "a name is longer than 64 characters"),
    # Transactions
    1213: _Meaning(e.DeadlockError, "two transactions waited for each other; run this one again"),
    1614: _Meaning(e.DeadlockError, "the transaction was rolled back by a deadlock; run it again"),
    1020: _Meaning(
        e.SerializationError, "a row has changed since it was read; run the transaction again", True
    ),
    1412: _Meaning(
        e.SerializationError, "a table was altered since the transaction began; run it again from its start"
    ),
    3058: _Meaning(e.DeadlockError, "two sessions waited for each other's named locks; run this one again"),
    3101: _Meaning(e.SerializationError, "the cluster refused the transaction; run it again from its start"),
    1689: _Meaning(e.TimeoutError, "a lock was not given because the table is to be altered", True),
    1205: _Meaning(
        e.TimeoutError, "a lock was not available within lock_timeout; keep transactions short", True
    ),
    3572: _Meaning(e.TimeoutError, "a row is locked, and the query does not wait (NOWAIT)", True),
    1792: _READ_ONLY,
    1290: _READ_ONLY,
    1836: _READ_ONLY,
    1969: _TIMED_OUT,
    3024: _TIMED_OUT,
    1317: _Meaning(e.DatabaseError, "the statement was interrupted by somebody"),
    1047: _Meaning(e.ConnectionLostError, "the node of the cluster is not ready; try again on another"),
    1180: _Meaning(e.SerializationError, "the transaction could not be committed; run it again"),
    # Connections, rights and the server
    1040: _Meaning(
        e.ConnectionLostError,
        "the server has no connection left; make pools smaller, or raise max_connections",
    ),
    1053: _LOST,
    1077: _LOST,
    1080: _LOST,
    1152: _LOST,
    1156: _LOST,
    1158: _LOST,
    1159: _LOST,
    1160: _LOST,
    1161: _LOST,
    1184: _LOST,
    1203: _Meaning(e.ConnectionLostError, "the user has too many connections"),
    1226: _Meaning(e.ConnectionLostError, "the user has used up what is granted: {message}"),
    1927: _LOST,
    2002: _LOST,
    2003: _LOST,
    2006: _LOST,
    2013: _LOST,
    2014: _LOST,
    2027: _LOST,
    2055: _LOST,
    4031: _LOST,
    1044: _RIGHTS,
    1045: _RIGHTS,
    1142: _RIGHTS,
    1143: _RIGHTS,
    1227: _RIGHTS,
    1370: _RIGHTS,
    1021: _Meaning(e.DatabaseError, "the disk of the server is full"),
    1114: _Meaning(e.DatabaseError, "the table is full"),
    1037: _Meaning(e.DatabaseError, "the server is out of memory"),
    1038: _Meaning(e.DatabaseError, "the server has too little memory to sort"),
    1194: _Meaning(e.DatabaseError, "the table is damaged and must be repaired"),
}
_UNKNOWN = _Meaning(e.DatabaseError, "the server failed: {message}")
_DRIVER = _Meaning(e.DataError, "the driver cannot send the values: {message}")
LOST_CODES = frozenset(code for code, meaning in _MEANINGS.items() if meaning.error is e.ConnectionLostError)

# With this begins the term that goes out of range where an INSERT meets another key than it names.
GUARD = "POW(1e300, IF"
_GUARDED = re.compile(r"'\(*pow\(1e300,\s*if\(.*?,\s*0,\s*(?:if\((.*?),\s*2,\s*0\))?", re.IGNORECASE)
_COMPARED = re.compile(r"[`\"]([^`\"]+)[`\"] = ")

_COLUMN = re.compile(r"[Cc]olumn '([^']+)'|[Ff]ield '([^']+)'|column `?[^`]*`?\.`[^`]*`\.`([^`]+)`")
_KEY_NAME = re.compile(r"for key '([^']+)'")
_CONSTRAINT = re.compile(r"CONSTRAINT `([^`]+)`(?: FOREIGN KEY \(([^)]*)\))?")
_CHECK_NAME = re.compile(r"CONSTRAINT `([^`]+)` failed|[Cc]heck constraint '([^']+)'")


def code_and_text(error: BaseException) -> tuple[int, str]:
    """Read number and text of a driver's error; 0 for those of Python."""
    if len(error.args) > 1 and isinstance(error.args[0], int) and not isinstance(error, OSError):
        return error.args[0], str(error.args[1])
    return 0, str(error) or type(error).__name__


def translate(
    code: int, message: str, statement: Optional[str] = None, lost: bool = False
) -> e.DatabaseError:
    """Give the exception for an error number; 0 is the driver's own. The caller raises it ``from`` the
    driver's.

    `lost` says that the connection is gone, whatever the number. Values, which the server quotes, stay out.
    """
    meaning = _MEANINGS.get(code, _UNKNOWN) if code else _DRIVER
    guarded = _GUARDED.search(message) if code == 1690 else None
    if guarded is not None:
        meaning = _OTHER_KEY
    if lost and not issubclass(meaning.error, e.ConnectionLostError):
        meaning = _LOST
    constraint, columns = _place(code, message)
    place = "of the table"
    if guarded is not None:
        columns, place = tuple(_COMPARED.findall(guarded[1] or "")), "another unique key"
    place = constraint or ", ".join(columns) or place
    text = meaning.text.format(place=place, message=redact_detail(message, statement))
    redacted = None if statement is None else redact_statement(statement)
    return meaning.error(
        text if redacted is None else f"{text}\n  statement: {redacted}",
        statement=redacted,
        code=str(code) if code else None,
        constraint=constraint,
        columns=columns,
        retryable=meaning.retryable,
    )


_KEEPS = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|SELECT|REPLACE|WITH)\b", re.IGNORECASE)


def may_end_transaction(error: e.DatabaseError) -> bool:
    """Whether the server may have ended the transaction with this error.

    It does after a deadlock or a time-out, and commits before DDL even if that fails; a row or a text that is
    refused costs its statement only.
    """
    refused = isinstance(error, (e.IntegrityError, e.DataError, e.SQLSyntaxError))
    return not (refused and _KEEPS.match(error.statement or ""))


_TABLE = re.compile(
    r"\s*(?:INSERT INTO|UPDATE|REPLACE INTO)\s+(?:[`\w]+\.)?`?(?P<table>\w+)`?", re.IGNORECASE
)
# The servers name the key and not its columns.
KEY_COLUMNS = (
    "SELECT column_name FROM information_schema.statistics"
    " WHERE table_schema = DATABASE() AND table_name = %s AND index_name = %s ORDER BY seq_in_index"
)


def table_and_key(error: e.DatabaseError) -> Optional[tuple[str, str]]:
    """Give the key that refused a statement, with its table, where its columns are to be looked up."""
    if not isinstance(error, e.UniqueError) or error.constraint is None or error.statement is None:
        return None
    match = _TABLE.match(error.statement)
    return None if match is None else (match["table"], error.constraint)


def with_columns(error: e.DatabaseError, columns: tuple[str, ...]) -> e.DatabaseError:
    """Tell the columns of the key that refused a statement."""
    error.columns = columns
    if error.constraint == "PRIMARY":  # every key of a table is called that: it says nothing
        error.constraint = None
    return error


def _last(pattern: re.Pattern[str], message: str) -> Optional[re.Match[str]]:
    """Find the last match: values, which may hold anything, stand before the names."""
    match = None
    for match in pattern.finditer(message):  # noqa: B007
        pass
    return match


def _place(code: int, message: str) -> tuple[Optional[str], tuple[str, ...]]:
    """Read constraint and columns, which the servers tell in their messages only."""
    if code in (1062, 1586, 1022, 1169):
        match = _last(_KEY_NAME, message)
        return (match[1].rpartition(".")[2] if match else None), ()
    if code in (1451, 1452, 1216, 1217):
        match = _CONSTRAINT.search(message)
        if match is None:
            return None, ()
        names = tuple(name.strip().strip("`") for name in (match[2] or "").split(",") if name.strip())
        return match[1], names
    if code in (3819, 4025):
        match = _CHECK_NAME.search(message)
        return ((match[1] or match[2]) if match else None), ()
    match = _last(_COLUMN, message)
    if match is None:
        return None, ()
    name = match[1] or match[2] or match[3]
    return None, (name.rpartition(".")[2],)


_NAMES = re.compile(r"(?<=\s)'[^']*'")  # not the apostrophe of "Can't"
_OPENING: dict[int, tuple[type[e.BlazeError], str]] = {
    1045: (e.ConfigurationError, "user or password is wrong"),
    1698: (e.ConfigurationError, "the user may not log in this way"),
    1044: (e.ConfigurationError, "the user has no right to this database"),
    1049: (e.ConfigurationError, "the database does not exist; create it first"),
    1130: (e.ConfigurationError, "the server does not admit this client"),
    1251: (e.ConfigurationError, "the server wants another way to authenticate"),
    2026: (e.ConfigurationError, "TLS as sslmode asks for it is refused; check sslmode and certificates"),
    3159: (e.ConfigurationError, "the server demands TLS: set sslmode=require"),
    2061: (e.ConfigurationError, "the server and the driver share no way to authenticate"),
    1040: (e.ConnectionLostError, "the server has no connection left"),
    1203: (e.ConnectionLostError, "the user has too many connections"),
    1226: (e.ConnectionLostError, "the user has used up what is granted"),
    1129: (e.ConfigurationError, "the server has locked this client out after many errors (FLUSH HOSTS)"),
    3118: (e.ConfigurationError, "the account is locked"),
    4151: (e.ConfigurationError, "the account is locked"),
    1820: (e.ConfigurationError, "the password has expired"),
    1862: (e.ConfigurationError, "the password has expired"),
}


def opening_error(where: str, code: int, text: str) -> e.BlazeError:
    """Give the exception for a failure to connect; `where` is the redacted DSN."""
    lowered = _NAMES.sub("''", text).lower()  # a host may be called anything
    kind: type[e.BlazeError] = e.ConnectionLostError
    cure = ""
    if code in _OPENING:
        kind, cure = _OPENING[code]
    elif "timed out" in lowered or "timeout" in lowered:
        kind, cure = e.TimeoutError, "the server did not answer within connect_timeout"
    elif "name or service" in lowered or "getaddrinfo" in lowered or "resolution" in lowered:
        cure = "the host is unknown; check its name"
    elif "ssl" in lowered or "tls" in lowered or "certificate" in lowered:
        kind, cure = e.ConfigurationError, "TLS as sslmode asks for it is refused; check sslmode"
    elif "refused" in lowered or "connect call failed" in lowered or "no such file" in lowered:
        cure = "no server listens there; check host and port, and start it"
    text = f"{cure} ({text.strip()})" if cure else text.strip()
    message = f"{where} cannot be opened: {text}"
    if issubclass(kind, e.DatabaseError):
        return kind(message, code=str(code) if code else None)
    return kind(message)
