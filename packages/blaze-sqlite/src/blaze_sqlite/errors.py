"""From SQLite's error codes to the exceptions of Blaze.

The extended code decides. Python 3.9 and 3.10 do not give it: there it is read from the text, which SQLite
keeps stable. The names of constraint and columns stand only in the text, on every version.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple, Optional

from blaze import errors as e
from blaze.adapters import refusals
from blaze.security import redact_detail, redact_statement

__all__ = ["DRIVER_ERRORS", "code_of", "translate"]

# What sqlite3 raises from execute and from reading rows: its own errors, those of binding and decoding values
# (a ValueError covers UnicodeError), and before Python 3.12 a Warning for two statements in one text.
DRIVER_ERRORS = (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError)


class _Meaning(NamedTuple):
    """What a code means: the exception, whether to try again, what happened and what to do."""

    error: type[e.DatabaseError]
    text: str
    retryable: Optional[bool] = None


_MEANINGS: dict[str, _Meaning] = {
    "SQLITE_CONSTRAINT_UNIQUE": _Meaning(e.UniqueError, refusals.UNIQUE),
    "SQLITE_CONSTRAINT_PRIMARYKEY": _Meaning(e.UniqueError, refusals.KEY),
    "SQLITE_CONSTRAINT_ROWID": _Meaning(e.UniqueError, refusals.KEY),
    "SQLITE_CONSTRAINT_NOTNULL": _Meaning(e.NotNullError, refusals.NOT_NULL),
    "SQLITE_CONSTRAINT_CHECK": _Meaning(e.CheckError, refusals.CHECK),
    "SQLITE_CONSTRAINT_DATATYPE": _Meaning(e.DataError, "a value has another type than its STRICT column"),
    "SQLITE_CONSTRAINT_FOREIGNKEY": _Meaning(e.ForeignKeyError, "{reference}"),
    "SQLITE_CONSTRAINT": _Meaning(e.IntegrityError, "a constraint refused the change ({detail})"),
    "SQLITE_BUSY": _Meaning(
        e.TimeoutError,
        "the database stayed locked by another connection; keep write transactions short,"
        " or raise lock_timeout",
        True,
    ),
    "SQLITE_BUSY_SNAPSHOT": _Meaning(
        e.SerializationError,
        "another connection has written since this transaction began to read; run it again,"
        " beginning with a write lock",
        True,
    ),
    "SQLITE_LOCKED": _Meaning(
        e.TimeoutError,
        "a table stayed locked by another connection of the same in-memory database;"
        " end that transaction first",
        True,
    ),
    "SQLITE_PROTOCOL": _Meaning(
        e.TimeoutError, "other connections kept the write-ahead log busy; run it again", True
    ),
    "SQLITE_ABORT": _Meaning(e.DatabaseError, "the statement was ended by a rollback beside it"),
    "SQLITE_PERM": _Meaning(e.DatabaseError, "the permissions of the database file do not allow that"),
    "SQLITE_INTERRUPT": _Meaning(e.DatabaseError, "the statement was interrupted"),
    "SQLITE_READONLY": _Meaning(
        e.DatabaseError,
        "the database is read-only; check the permissions of the file and its folder, mode=ro,"
        " and read_only transactions",
    ),
    "SQLITE_CANTOPEN": _Meaning(
        e.DatabaseError, "the database file cannot be opened; its folder must exist and be accessible"
    ),
    "SQLITE_NOTADB": _Meaning(
        e.DatabaseError, "the file is no SQLite database (or an encrypted one); check the path of the DSN"
    ),
    "SQLITE_CORRUPT": _Meaning(
        e.DatabaseError,
        "the database file is damaged; restore a backup, or save what is left with `sqlite3 FILE .recover`",
    ),
    "SQLITE_FULL": _Meaning(
        e.DatabaseError,
        "the disk is full, or the file may not grow (max_page_count); free some space, roll back and run it"
        " again",
    ),
    "SQLITE_IOERR": _Meaning(e.DatabaseError, "the disk reported an error ({detail})"),
    "SQLITE_NOMEM": _Meaning(e.DatabaseError, "SQLite ran out of memory"),
    "SQLITE_TOOBIG": _Meaning(
        e.DataError, "a text, blob or decimal is longer than its column or SQLite can store"
    ),
    "SQLITE_MISMATCH": _Meaning(e.DataError, "a key column takes only whole numbers"),
    "SQLITE_RANGE": _Meaning(e.DataError, "a parameter is out of range"),
    "SQLITE_SCHEMA": _Meaning(e.DatabaseError, "the schema changed meanwhile; run the statement again", True),
    "SQLITE_AUTH": _Meaning(e.DatabaseError, "SQLite does not permit the statement ({detail})"),
    "SQLITE_ERROR": _Meaning(e.SQLSyntaxError, "SQLite does not accept the statement: {detail}"),
}

# The beginning of SQLite's text, in lower case, and the code it stands for: the longer beginnings first.
_TEXTS: tuple[tuple[str, str], ...] = (
    ("unique constraint failed", "SQLITE_CONSTRAINT_UNIQUE"),
    ("not null constraint failed", "SQLITE_CONSTRAINT_NOTNULL"),
    ("check constraint failed", "SQLITE_CONSTRAINT_CHECK"),
    ("foreign key constraint failed", "SQLITE_CONSTRAINT_FOREIGNKEY"),
    ("cannot store ", "SQLITE_CONSTRAINT_DATATYPE"),
    ("datatype mismatch", "SQLITE_MISMATCH"),
    ("constraint failed", "SQLITE_CONSTRAINT"),
    ("database is locked", "SQLITE_BUSY"),
    ("database table is locked", "SQLITE_LOCKED"),
    ("database schema is locked", "SQLITE_LOCKED"),
    ("database schema has changed", "SQLITE_SCHEMA"),
    ("interrupted", "SQLITE_INTERRUPT"),
    ("attempt to write a readonly database", "SQLITE_READONLY"),
    ("unable to open database file", "SQLITE_CANTOPEN"),
    ("file is not a database", "SQLITE_NOTADB"),
    ("file is encrypted or is not a database", "SQLITE_NOTADB"),
    ("database disk image is malformed", "SQLITE_CORRUPT"),
    ("database or disk is full", "SQLITE_FULL"),
    ("disk i/o error", "SQLITE_IOERR"),
    ("string or blob too big", "SQLITE_TOOBIG"),
    ("not authorized", "SQLITE_AUTH"),
)

_OUTSIDE = _Meaning(
    e.DatabaseError,
    "SQLite does this outside of transactions only ({detail}), and sessions have one: run it by"
    " engine.connection(), as in `with engine.connection() as connection: connection.execute(...)`",
)

# Plain SQLITE_ERROR covers more than syntax: the beginning of the text, and what it is.
_PLAIN_ERRORS: tuple[tuple[str, _Meaning], ...] = (
    ("integer overflow", _Meaning(e.DataError, "a number became larger than 64 bits")),
    ("malformed json", _Meaning(e.DataError, "a text is no valid JSON")),
    ("could not decode to utf-8", _Meaning(e.DataError, "a stored text is not UTF-8")),
    (
        "user-defined function raised",
        _Meaning(
            e.DataError, "a function could not work on a value, or one is too long for its column ({detail})"
        ),
    ),
    (
        "user-defined aggregate",
        _Meaning(
            e.DataError,
            "a value that is added up is no number ({detail}): reading the rows names field and key",
        ),
    ),
    (
        "misuse of aggregate",
        _Meaning(
            e.SQLSyntaxError,
            "an aggregate stands where single rows are chosen ({detail}): give the condition to having()",
        ),
    ),
    ("cannot vacuum from within a transaction", _OUTSIDE),
    ("safety level may not be changed inside", _OUTSIDE),
    ("cannot change into wal mode from within", _OUTSIDE),
    ("cannot change out of wal mode from within", _OUTSIDE),
    ("cannot start a transaction within", _Meaning(e.DatabaseError, "a transaction is open already")),
    (
        "cannot commit - no transaction",
        _Meaning(
            e.DatabaseError,
            "there is no transaction to commit: SQLite has rolled it back after an earlier error",
        ),
    ),
    ("cannot rollback - no transaction", _Meaning(e.DatabaseError, "there is no transaction to roll back")),
    (
        "too many levels of trigger recursion",
        _Meaning(
            e.DatabaseError,
            "an ON DELETE or ON UPDATE rule goes more than 1000 rows deep, where SQLite stops; delete the"
            " rows at the far end first, in several steps",
        ),
    ),
    ("no such savepoint", _Meaning(e.DatabaseError, "the savepoint is gone: {detail}")),
)


def code_of(error: BaseException) -> str:
    """Give SQLite's name of the extended code, such as ``SQLITE_BUSY_SNAPSHOT``; ``""`` when SQLite had no
    part in it.
    """
    name: Optional[str] = getattr(error, "sqlite_errorname", None)
    text = str(error).lower()
    if name == "SQLITE_CONSTRAINT_TRIGGER" and text.startswith("foreign key constraint failed"):
        return "SQLITE_CONSTRAINT_FOREIGNKEY"  # what ON DELETE RESTRICT reports
    if name:
        return name
    for beginning, code in _TEXTS:
        if text.startswith(beginning):
            return code
    if isinstance(error, sqlite3.IntegrityError):
        return "SQLITE_CONSTRAINT"
    return "SQLITE_ERROR" if isinstance(error, sqlite3.OperationalError) else ""


def translate(error: BaseException, statement: Optional[str] = None) -> e.DatabaseError:
    """Give the Blaze exception of a driver's one; the caller raises it ``from`` the driver's."""
    detail = redact_detail(str(error), statement)
    code = code_of(error)
    if not code:
        return _driver_error(error, detail, statement)
    meaning = _meaning(code, detail.lower())
    constraint, columns, place = _place(code, detail)
    text = meaning.text.format(place=place, detail=detail, reference=refusals.of_reference(statement))
    return meaning.error(
        _with_statement(text, statement),
        statement=None if statement is None else redact_statement(statement),
        code=code,
        constraint=constraint,
        columns=columns,
        retryable=meaning.retryable,
    )


def _meaning(code: str, detail: str) -> _Meaning:
    if code == "SQLITE_ERROR":
        for beginning, meaning in _PLAIN_ERRORS:
            if detail.startswith(beginning):
                return meaning
    while code not in _MEANINGS:  # SQLITE_IOERR_WRITE is a kind of SQLITE_IOERR
        code, separator, _ = code.rpartition("_")
        if not separator:
            return _Meaning(e.DatabaseError, "SQLite failed: {detail}")
    return _MEANINGS[code]


def _place(code: str, detail: str) -> tuple[Optional[str], tuple[str, ...], str]:
    """Read constraint and columns from ``UNIQUE constraint failed: book.title, book.author_id``."""
    if not code.startswith("SQLITE_CONSTRAINT"):
        return None, (), ""
    _, colon, names = detail.partition("constraint failed: ")
    if not colon:
        return None, (), ""
    if code == "SQLITE_CONSTRAINT_CHECK":
        return names, (), names
    if names.startswith("index '"):
        index = names[len("index '") :].rstrip("'")
        return index, (), f"index {index}"
    columns = tuple(name.rpartition(".")[2] for name in names.split(", "))
    return None, columns, names


def _driver_error(error: BaseException, detail: str, statement: Optional[str]) -> e.DatabaseError:
    """Translate what Python's sqlite3 refuses by itself: closed connections, values it cannot bind, several
    statements.
    """
    redacted = None if statement is None else redact_statement(statement)
    text = detail.lower()
    if "closed database" in text or "base connection.__init__ not called" in text:
        return e.ConnectionLostError(
            _with_statement("the connection is closed; open a new session", statement), statement=redacted
        )
    if "one statement at a time" in text:
        return e.SQLSyntaxError(
            _with_statement("the text holds more than one statement; execute them one by one", statement),
            statement=redacted,
        )
    if "number of bindings" in text:
        detail += " What stands in quotes or comments is no placeholder."
    if "query contains a null character" in text:
        return e.SQLSyntaxError(
            _with_statement("the SQL text holds a NUL character", statement), statement=redacted
        )
    if isinstance(error, UnicodeEncodeError):
        detail = "a text holds half a surrogate pair"  # the driver's own text would show a piece of the value
    elif isinstance(error, OverflowError):
        detail = "a whole number is larger than 64 bits"
    elif isinstance(error, ValueError):
        detail = f"a value cannot be read as the type of its column ({type(error).__name__})"
    return e.DataError(_with_statement(f"the values do not fit: {detail}", statement), statement=redacted)


def _with_statement(text: str, statement: Optional[str]) -> str:
    return text if statement is None else f"{text}\n  statement: {redact_statement(statement)}"


def add_place(error: e.DatabaseError, raw: sqlite3.Connection) -> None:
    """Say in which file a table is missing: a path with a slip makes a new, empty database."""
    try:
        file = raw.execute("PRAGMA database_list").fetchone()[2]
    except sqlite3.Error:
        return
    where = (
        f"the file {file}: check its path" if file else "an in-memory database, of which each engine has one"
    )
    text, line, statement = str(error).partition("\n")
    error.args = (f"{text}; this is {where}; create_all() and migrations make tables{line}{statement}",)
