"""Every exception and warning that Blaze raises, in one tree.

The driver's own exception is always ``__cause__``; messages name the model or statement, never a value.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

__all__ = [
    "BlazeError",
    "CapabilityError",
    "CheckError",
    "CommitOutcomeUnknownError",
    "ConfigurationError",
    "ConnectionLostError",
    "DataError",
    "DatabaseError",
    "DeadlockError",
    "ForeignKeyError",
    "IntegrityError",
    "MigrationError",
    "ModelError",
    "MultipleResultsError",
    "NPlusOneWarning",
    "NoResultError",
    "NoSessionError",
    "NotLoadedError",
    "NotNullError",
    "PluginError",
    "PoolTimeoutError",
    "QueryError",
    "SQLSyntaxError",
    "SerializationError",
    "SessionError",
    "StaleDataError",
    "TimeoutError",
    "UncommittedChangesWarning",
    "UniqueError",
    "UnknownFieldError",
    "UnknownOptionError",
    "ValidationError",
]


class BlazeError(Exception):
    """Base of everything Blaze raises; ``retryable`` says whether running the same work again can help."""

    retryable: bool = False


class ConfigurationError(BlazeError):
    """A DSN, option, engine or session argument is wrong; nothing was sent to a database."""


class ModelError(BlazeError):
    """A model cannot work as declared; the message names model and field."""


class QueryError(BlazeError):
    """A query is wrong before any SQL is sent: unknown name, wrong type, ambiguous table."""


class UnknownFieldError(QueryError, AttributeError, TypeError):
    """A model, path or constructor was asked for a field or relation that does not exist.

    It is an AttributeError and a TypeError too, so `hasattr` and callers of constructors see what they
    expect. An instance raises a plain AttributeError: its fields are slots, and a `__getattr__` would make
    each read dearer.
    """


class UnknownOptionError(ModelError, TypeError):
    """A specifier such as `field` was given an option that it does not have."""


class NoResultError(QueryError):
    """A query that must give a row gave none."""


class MultipleResultsError(QueryError):
    """A query that must give one row gave several."""


class SessionError(BlazeError):
    """A session was used in a state in which the operation cannot work."""


class NoSessionError(SessionError, RuntimeError):
    """Code that needs the current session ran outside ``with session:``."""


class NotLoadedError(SessionError):
    """A field or relation was read that the query did not load and that cannot be loaded now."""


class StaleDataError(SessionError):
    """An UPDATE or DELETE of one object met no row: it was changed or deleted by somebody else."""


class PluginError(BlazeError):
    """An installed plugin cannot be loaded or speaks another protocol version; the message names it."""


class MigrationError(BlazeError):
    """A migration cannot be made, applied or rolled back as asked."""


class CapabilityError(BlazeError):
    """The backend lacks the feature; the message names both and no SQL was sent."""


class ValidationError(BlazeError):
    """Values do not satisfy the model; ``errors`` maps each field name to its messages.

    A single text, or a list of them, is about the object as a whole and stands under ``"__all__"``.
    ``others`` are the errors of further objects that the same flush has found; ``key`` is the primary key, as
    text, of an object that has a row.
    """

    errors: dict[str, list[str]]
    model: Any
    key: Optional[str]
    others: tuple[ValidationError, ...] = ()

    def __init__(
        self,
        errors: Union[str, Iterable[str], Mapping[str, Union[str, Iterable[str]]]],
        model: Any = None,
        key: Optional[str] = None,
    ) -> None:
        given = errors if isinstance(errors, Mapping) else {"__all__": errors}
        self.errors = {
            name: [messages] if isinstance(messages, str) else list(messages)
            for name, messages in given.items()
        }
        self.model = model
        self.key = key
        name = getattr(model, "__name__", None) or (str(model) if model is not None else "values")
        if key is not None:
            name += f" (key {key})"
        lines = "; ".join(f"{field}: {', '.join(messages)}" for field, messages in self.errors.items())
        super().__init__(f"{name} is not valid: {lines}")

    def along_with(self, others: Sequence[ValidationError]) -> ValidationError:
        """Return the error itself, telling of those of other objects, too."""
        if others:
            self.others = tuple(others)
            self.args = ("\n".join(str(error) for error in (self, *others)),)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.errors, self.model)


class DatabaseError(BlazeError):
    """The database or its driver reported an error.

    ``statement`` is the SQL text without values, ``code`` the database's own code, ``constraint`` and
    ``columns`` what the database said about the place; ``retryable`` defaults to the class's.
    """

    statement: Optional[str]
    code: Optional[str]
    constraint: Optional[str]
    columns: tuple[str, ...]

    def __init__(
        self,
        message: str,
        *,
        statement: Optional[str] = None,
        code: Optional[str] = None,
        constraint: Optional[str] = None,
        columns: Sequence[str] = (),
        retryable: Optional[bool] = None,
    ) -> None:
        super().__init__(message)
        self.statement = statement
        self.code = code
        self.constraint = constraint
        self.columns = tuple(columns)
        if retryable is not None:
            self.retryable = retryable


class ConnectionLostError(DatabaseError):
    """The connection is gone and with it the open transaction; work may be run again on a new one."""

    retryable = True


class CommitOutcomeUnknownError(DatabaseError):
    """The connection broke during COMMIT: the transaction may or may not have been committed."""


class TimeoutError(DatabaseError, builtins.TimeoutError):
    """A time limit passed: connecting, a statement, or waiting for a lock."""


class PoolTimeoutError(TimeoutError):
    """No connection became free within the pool's time-out."""

    retryable = True


class DeadlockError(DatabaseError):
    """The database chose this transaction as the victim of a deadlock; run it again."""

    retryable = True


class SerializationError(DatabaseError):
    """The transaction conflicts with a concurrent one; run it again from its start."""

    retryable = True


class IntegrityError(DatabaseError):
    """A constraint refused the change; see ``constraint`` and ``columns``."""


class UniqueError(IntegrityError):
    """A unique constraint or primary key already holds these values."""


class ForeignKeyError(IntegrityError):
    """A referenced row is missing, or a row is still referenced."""


class NotNullError(IntegrityError):
    """A column that must have a value got NULL."""


class CheckError(IntegrityError):
    """A CHECK constraint refused the values."""


class DataError(DatabaseError):
    """A value cannot be stored or read as the column's type."""


class SQLSyntaxError(DatabaseError):
    """The SQL text is wrong, or names a table, column or function that does not exist."""


class UncommittedChangesWarning(UserWarning):
    """A session was left with pending changes that were rolled back."""


class NPlusOneWarning(UserWarning):
    """One line of the program sends the same SELECT again and again; the message names line and cure."""
