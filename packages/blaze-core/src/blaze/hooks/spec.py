"""The manual of the hooks: each function below is one event, its parameters are what handlers may ask for.

A handler names any of the parameters, in any order, or none; it is called with exactly those, by name. What
it returns is ignored. Handlers are plain functions, or `async def` functions for asynchronous sessions; a
synchronous session refuses the latter when it is made.

Order: higher `priority` first; within one priority the methods of the model itself, then functions given to
`hooks.register` in the order of registration, then installed plugins in the order that pluggy decides
(`tryfirst` and `trylast` are the priorities 100 and -100), then the objects of `Session(hooks=...)` in the
order given.

Sessions take the handlers that exist when they are made: what is registered or removed later holds for
sessions made afterwards. A handler registered with `model=Base` is called for `Base` and its subclasses.

Errors: what a handler raises is never swallowed. Before something, it stops it; after something inside the
transaction, it fails the operation, and the transaction can still be rolled back; after the commit or the
rollback the session is already consistent, every handler is called, and the first error is raised then.
Bulk operations and `Update`/`Delete` statements fire `before_execute` and `after_execute` only.

A handler may use the session: query, add, change, delete, flush, send statements. In the middle of something
(all events but `on_load`, `after_commit` and `after_rollback`) it may not end the transaction: `commit()`,
`rollback()` and `close()` raise SessionError there, and a flush takes no `transaction()` block. What a
handler does in an event of the session fires no further events of its kind, so none calls itself without end:
statements sent by handlers of `before_execute` and `after_execute` fire neither, and what handlers of
`before_commit`, `after_commit` and `after_rollback` commit or roll back fires none of the three.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

# --- events of one object: handlers may be registered for a model, models may have methods of these names ---


def before_validate(session: Any, instance: Any, created: bool) -> None:
    """Fire before an object is checked, at each flush that saves it.

    The place to fill in values. `created` says whether an INSERT follows. An error stops the flush.
    """


def after_validate(session: Any, instance: Any, created: bool) -> None:
    """Fire when an object has passed all checks; changes made here are not checked again.

    An error stops the flush.
    """


def before_save(session: Any, instance: Any, created: bool) -> None:
    """Fire before the INSERT or UPDATE of an object, after its validation.

    Changes to `instance` are part of the statement. Objects added here are saved by the same flush. An error
    stops the flush before the statement is sent.
    """


def after_save(session: Any, instance: Any, created: bool) -> None:
    """Fire after the INSERT or UPDATE of an object; generated values are there, the commit is still to come.

    Changes made here are saved by the next flush. An error fails the flush.
    """


def before_delete(session: Any, instance: Any) -> None:
    """Fire before the DELETE of an object, at the flush. An error stops the flush."""


def after_delete(session: Any, instance: Any) -> None:
    """Fire after the DELETE of an object, before the commit. An error fails the flush."""


def on_load(session: Any, instance: Any) -> None:
    """Fire when an object has been made from a row, not when the identity map already held it.

    It fires at the end of the query, when included relations are there, and for the objects of these, too.
    Values set here count as changes. Reading what is not loaded costs a statement for each object. An error
    fails the query.
    """


# --- events of the session ---


def before_commit(session: Any) -> None:
    """Fire before the flush of an outermost commit, so objects added here are part of it.

    An error stops the commit; everything stays pending.
    """


def after_commit(session: Any) -> None:
    """Fire when the outermost transaction has been committed, cache and objects included.

    The place for effects outside the database. Statements sent here are in a new transaction. The first
    error is raised once all handlers were called; the commit stands.
    """


def after_rollback(session: Any, error: Optional[BaseException]) -> None:
    """Fire when the outermost transaction has been rolled back and the objects restored.

    `error` is the exception that caused it, None for a plain `rollback()`. A rollback to a savepoint does not
    fire. The first error of a handler is raised once all handlers were called; the rollback stands.
    """


def before_execute(session: Any, statement: str, params: Sequence[Any]) -> None:
    """Fire before each statement is sent, but not before BEGIN, COMMIT and the like.

    `statement` is the SQL text, `params` are the driver's values. Both are for reading only. `params` are not
    redacted: do not log them. An error keeps the statement from being sent.
    """


def after_execute(
    session: Any,
    statement: str,
    params: Sequence[Any],
    duration: float,
    rows: Optional[int],
    error: Optional[BaseException],
) -> None:
    """Fire after each statement, also after one that failed.

    `duration` is in seconds, `rows` the number of rows fetched or changed, None when unknown. When the
    statement failed `error` says why and is raised afterwards. An error of the handler fails the operation.
    """


INSTANCE_EVENTS: tuple[str, ...] = (
    "before_validate",
    "after_validate",
    "before_save",
    "after_save",
    "before_delete",
    "after_delete",
    "on_load",
)
SESSION_EVENTS: tuple[str, ...] = (
    "before_commit",
    "after_commit",
    "after_rollback",
    "before_execute",
    "after_execute",
)
# What each event gives, in the order of its parameters above.
EVENTS: dict[str, tuple[str, ...]] = {
    name: globals()[name].__code__.co_varnames[: globals()[name].__code__.co_argcount]
    for name in (*INSTANCE_EVENTS, *SESSION_EVENTS)
}
ARGUMENTS: frozenset[str] = frozenset(name for names in EVENTS.values() for name in names)
