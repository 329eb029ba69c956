"""What the errors of constraints say, the same for every backend: what happened, and the cure."""

from __future__ import annotations

from typing import Optional

__all__ = ["CHECK", "CHILD", "KEY", "NOT_NULL", "PARENT", "UNIQUE", "of_reference"]

# `{place}` is the constraint or the columns.
UNIQUE = "another row has the same value of {place}; change the value, or use upsert() or get_or_create()"
KEY = "another row has the same key {place}; change the key, or use upsert() or merge()"
NOT_NULL = "{place} must have a value and got NULL; give one, or declare the field Optional"
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
