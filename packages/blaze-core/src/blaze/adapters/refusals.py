"""What the errors of constraints and commits say, the same for every backend: what happened, and the cure."""

from __future__ import annotations

from typing import Optional

from blaze.errors import CommitOutcomeUnknownError, ConnectionLostError, DatabaseError
from blaze.security.redaction import redact_statement

__all__ = [
    "CHECK",
    "CHILD",
    "KEY",
    "NOT_NULL",
    "PARENT",
    "UNFILLED",
    "UNIQUE",
    "lost_before_commit",
    "of_reference",
    "outcome_unknown",
]

# `{place}` is the constraint or the columns.
UNIQUE = "another row has the same value of {place}; change the value, or use upsert() or get_or_create()"
KEY = "another row has the same key {place}; change the key, or use upsert() or merge()"
NOT_NULL = "{place} must have a value and got NULL; give one, or declare the field Optional"
UNFILLED = (  # by a column that is added or altered
    "{place} must have a value, and rows that are there have none: give a new column a server_default=, fill "
    "an old one by an UPDATE before, or let it be NULL (nullable=True)"
)
CHECK = "the check {place} refuses the values; correct them, or the check"
CHILD = "a referenced row does not exist; save it first, or correct the key"
PARENT = (
    "a row that goes is still referenced; delete or change the rows that refer to it first, or see on_delete"
)


def of_reference(statement: Optional[str]) -> str:
    """Say what a foreign key refused, told by the verb of the statement; both where it may be either."""
    verb = "" if statement is None else statement.lstrip().partition(" ")[0].upper()
    if verb == "INSERT":
        return CHILD
    if verb == "DELETE":
        return PARENT
    return "a referenced row does not exist, or a row that goes is still referenced"


def lost_before_commit() -> ConnectionLostError:
    """Make the error of what was not sent to commit, because the connection had gone before."""
    return ConnectionLostError(
        "the connection was lost before COMMIT was sent: nothing of the transaction is committed;"
        " roll back and run it again",
        statement="COMMIT",
    )


def outcome_unknown(error: DatabaseError, statement: str = "COMMIT") -> CommitOutcomeUnknownError:
    """Make the error of a COMMIT, or of a statement that is a transaction by itself, that was sent and not
    answered.
    """
    during = statement.partition(" ")[0]
    return CommitOutcomeUnknownError(
        f"the connection broke during {during}: the transaction may or may not have been committed;"
        " look into the database before running it again",
        statement=redact_statement(statement),
        code=error.code,
    )
